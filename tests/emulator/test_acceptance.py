"""`guardctl acceptance` on the emulator: the report is honest about what differs here, and nothing is left behind."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from guardctl.acceptance import permissions
from guardctl.acceptance.definitions import waiting
from guardctl.acceptance.probes import BEYOND, FIRST, PROBES
from guardctl.acceptance.stack import template
from guardctl.acceptance.trial import TAG, Names
from guardctl.errors import INTERRUPTED, NOT_RUN, OK
from lab.emulator import Emulator
from lab.stage import LocalStage
from tests.commands import forked
from tests.emulator.trail import UNNAMED, calls
from tests.support import local_stage, start_emulator

PATIENCE = "20s"
"""Longer than the emulator needs for anything but what it never does."""

KEY = "whoever-tries"
"""The access key of the command; the emulator takes any."""

POLICY = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]})

HOLDS = """iam-lag two-starts orphan alarm-message list-lag describe-lag task-lag used-name expression client-token
timeout-expression"""
"""What the emulator can bear out. docs/emulator.md names what it does otherwise; the rest needs time, or AWS."""

DIFFERS = """run-ends task-succeeds started-by timeout-cause refused-no-cluster refused-no-subnet refused-denied
unknown-field old-names deleting taken-name taken-name-sdk no-machine same-start redrive-count redriven-fail
machine-timeout client-token-once"""


@pytest.fixture(scope="module")
def project() -> Iterator[LocalStage]:
    """A checkout of a user, and an account with nothing in it."""
    recorded = {"CLOUDTRAIL_RECORDING": "1"}
    with start_emulator(wait_scale=0.05, environment=recorded) as running, local_stage(running) as checkout:
        yield checkout


def environment(project: LocalStage) -> dict[str, str]:
    return {**project.emulator.environment(), "AWS_ACCESS_KEY_ID": KEY, "PYTHONDONTWRITEBYTECODE": "1"}


def acceptance(project: LocalStage, *options: str) -> tuple[int, str]:
    """The exit code, and all that was said."""
    done = forked(["-m", "guardctl", "acceptance", *options], project.directory, environment(project))
    return done.returncode, done.stdout + done.stderr


def read_until(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdout
    for told in process.stdout:
        if told.startswith(line):
            return
    raise AssertionError(f"it never said {line!r}")


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def left(aws: Emulator) -> list[str]:
    """The names of everything in the account that a trial may have made."""
    session = aws.session()
    every: Any = session.client
    found = [stack["StackName"] for stack in every("cloudformation").describe_stacks()["Stacks"]]
    found += [machine["name"] for machine in every("stepfunctions").list_state_machines()["stateMachines"]]
    found += [function["FunctionName"] for function in every("lambda").list_functions()["Functions"]]
    found += [role["RoleName"] for role in every("iam").list_roles()["Roles"]]
    found += [rule["Name"] for rule in every("events").list_rules()["Rules"]]
    found += [group["logGroupName"] for group in every("logs").describe_log_groups()["logGroups"]]
    found += [alarm["AlarmName"] for alarm in every("cloudwatch").describe_alarms()["MetricAlarms"]]
    found += [topic["TopicArn"] for topic in every("sns").list_topics()["Topics"]]
    found += every("sqs").list_queues().get("QueueUrls", [])
    found += every("ecs").list_clusters()["clusterArns"]
    for status in ("ACTIVE", "INACTIVE"):
        found += every("ecs").list_task_definitions(status=status)["taskDefinitionArns"]
    return [name for name in found if "trial" in name]


@pytest.mark.long
def test_the_report_says_what_differs_here_and_nothing_is_left(project: LocalStage, tmp_path: Path) -> None:
    before, began = contents(project.directory), time.time()
    path = tmp_path / "report"
    code, output = acceptance(project, "--yes", "--patience", PATIENCE, "--report", str(path))
    assert code == NOT_RUN, output
    found = json.loads(path.with_name("report.json").read_text(encoding="utf-8"))["assumptions"]
    verdicts = {line["name"]: line["verdict"] for line in found}
    assert {name for name, verdict in verdicts.items() if verdict == "holds"} == set(HOLDS.split()), output
    assert {name for name, verdict in verdicts.items() if verdict == "differs"} == set(DIFFERS.split()), output
    every = [a.name for probe in (FIRST, *PROBES) for a in probe.assumptions] + [line.name for line in BEYOND]
    assert sorted(verdicts) == sorted(every)
    assert not [line for line in found if "the probe itself failed" in line["seen"]]
    for suffix in (".md", ".json"):
        text = path.with_name(f"report{suffix}").read_text(encoding="utf-8")
        assert project.emulator.account not in text
        assert "arn:" not in text
    assert left(project.emulator) == []
    assert contents(project.directory) == before
    assert_allowed(calls(project.emulator, KEY, began))


def assert_allowed(called: set[str]) -> None:
    """`guardctl iam acceptance` allows what the command calls."""
    actions = {action for s in permissions.policy("trial")["Statement"] for action in s["Action"]}
    services = {action.partition(":")[0] for action in actions} | {"sts"}  # GetCallerIdentity needs no permission
    unnamed = {call for call in called if UNNAMED.search(call)}
    assert len(called) > 20
    assert called - unnamed <= actions
    assert {call.partition(":")[0] for call in unnamed} <= services


@pytest.mark.long
def test_after_ctrl_c_nothing_is_left(project: LocalStage, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "guardctl", "acceptance", "--yes", "--report", str(tmp_path / "report")],
        cwd=project.directory,
        env={**environment(project), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    read_until(process, "deploying the stage")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=600)
    assert process.returncode == INTERRUPTED, output
    assert output.splitlines()[-1] == "interrupted: nothing is left"
    assert left(project.emulator) == []


def what_a_kill_leaves(aws: Emulator, names: Names, of: str) -> None:
    """The probes' stack with its tag; and, with nothing but their names, what Chalice and the probes make."""
    session = aws.session()
    every: Any = session.client
    tags = [{"Key": TAG, "Value": of}]
    every("cloudformation").create_stack(
        StackName=names.stack, TemplateBody=json.dumps(template(names, "aws")), Tags=tags
    )
    role = every("iam").create_role(RoleName=f"{names.prefix}check", AssumeRolePolicyDocument=POLICY)["Role"]["Arn"]
    every("iam").put_role_policy(RoleName=f"{names.prefix}check", PolicyName="p", PolicyDocument=POLICY)
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", "")
    every("lambda").create_function(
        FunctionName=f"{names.prefix}check",
        Role=role,
        Code={"ZipFile": code.getvalue()},
        Runtime="python3.11",
        Handler="app.check",
    )
    every("logs").create_log_group(logGroupName=f"/aws/lambda/{names.prefix}check")
    every("events").put_rule(Name=f"{names.prefix}trigger-event", ScheduleExpression="rate(1 minute)")
    every("events").put_targets(Rule=f"{names.prefix}trigger-event", Targets=[{"Id": "1", "Arn": "arn:aws:lambda:::x"}])
    machine = every("stepfunctions").create_state_machine(
        name=names.machine("deleting"), roleArn=role, definition=json.dumps(waiting(600))
    )["stateMachineArn"]
    every("stepfunctions").start_execution(stateMachineArn=machine)
    every("ecs").run_task(cluster=names.cluster, taskDefinition=names.family("story"))


def test_what_a_kill_has_left_is_found_by_its_tag_and_removed(project: LocalStage) -> None:
    what_a_kill_leaves(project.emulator, Names("trial0000"), "trial")
    what_a_kill_leaves(project.emulator, Names("trialother0000"), "trialother")
    there = left(project.emulator)
    others = [name for name in there if "trialother" in name]
    code, output = acceptance(project, "--clean")
    assert (code, left(project.emulator)) == (NOT_RUN, there), output
    code, output = acceptance(project, "--clean", "--yes")
    assert (code, left(project.emulator)) == (OK, others), output
    code, output = acceptance(project, "--clean", "--yes", "--stage", "trialother")
    assert (code, left(project.emulator)) == (OK, []), output
    code, output = acceptance(project, "--clean", "--yes")
    assert (code, output) == (OK, "no trial of trial has left anything\n")


def test_without_a_yes_nothing_is_made(project: LocalStage) -> None:
    code, output = acceptance(project)
    assert code == NOT_RUN, output
    assert "It costs about" in output
    assert "nothing was made" in output
    assert left(project.emulator) == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param(["--stage", "Trial-1"], '"Trial-1" is not a stage name', id="a stage name with a hyphen"),
        pytest.param(["--stage", "a" * 17], "at most 16 characters", id="a stage name that is too long"),
        pytest.param(["--patience", "soon"], '"soon" is not a duration; write "90s" or "5m"', id="no duration"),
        pytest.param(["--report", "nowhere/report"], "there is no directory nowhere", id="no directory for the report"),
    ],
)
def test_a_mistake_in_the_command_makes_nothing(project: LocalStage, options: list[str], told: str) -> None:
    code, output = acceptance(project, "--yes", *options)
    assert code == 2, output
    assert told in output
    assert left(project.emulator) == []
