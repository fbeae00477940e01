"""`guardctl import` on an account of the emulator with a hundred rules and schedules of every kind."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chalicelib.config.jobs import load
from lab.emulator import Emulator
from lab.stage import LocalStage
from tests import targets as aws
from tests.support import local_stage

ACCOUNT = "130000000013"
"""An account of these tests' own: the emulator takes its number for an access key."""


def here(value: Any) -> Any:
    """The same in that account."""
    return json.loads(json.dumps(value).replace(aws.ACCOUNT, ACCOUNT))


def make(emulator: Emulator) -> None:
    """A hundred rules and schedules, and what they need."""
    session: Any = emulator.session()
    events, scheduler, ecs = (session.client(service) for service in ("events", "scheduler", "ecs"))

    def rule(name: str, *targets: Any, **more: Any) -> None:
        told = aws.rule(name, **more)
        given = {key: told[key] for key in ("Name", "State", "EventBusName", "ScheduleExpression", "EventPattern") if key in told}  # fmt: skip
        events.put_rule(**given)
        if targets:
            events.put_targets(Rule=name, EventBusName=told["EventBusName"], Targets=here([*targets]))

    for family in ("report", "import"):
        definition = here(aws.definition())
        ecs.register_task_definition(family=family, **{key: definition[key] for key in ("containerDefinitions", "taskRoleArn", "executionRoleArn")})  # fmt: skip
    for n in range(56):
        rule(f"nightly-{n}", aws.target(parameters=aws.ecs("report"), Input=aws.overrides([f"bin/{n}"])), expression=f"cron({n} 3 * * ? *)")  # fmt: skip
    rule("hourly", aws.target(parameters=aws.ecs("import"), Input=aws.overrides(["bin/hourly"])), expression="rate(1 hour)")  # fmt: skip
    rule("weekdays", aws.target(parameters=aws.ecs("import")), expression="cron(0 3 ? * MON-FRI *)")
    rule("weekend", aws.target(parameters=aws.ecs("import")), expression="cron(0 5 ? * SAT,SUN *)")
    rule("off", aws.target(parameters=aws.ecs("report"), Input=aws.overrides(["bin/off"])), State="DISABLED")
    rule("both", *(aws.target(each, parameters=aws.ecs("report"), Input=aws.overrides([f"bin/{each}"])) for each in ("a", "b")))  # fmt: skip
    rule("on-upload", aws.target(parameters=aws.ecs("report")), expression="", EventPattern='{"source": ["aws.s3"]}')
    rule("gone", aws.target(parameters=aws.ecs("gone")))
    rule("function", {"Id": "1", "Arn": f"arn:aws:lambda:{aws.HERE}:function:f"})
    scheduler.create_schedule_group(Name="night")
    for n in range(35):
        told = aws.schedule(f"schedule-{n}", group="night" if n % 2 else "default", ScheduleExpressionTimezone="Asia/Tokyo")  # fmt: skip
        told["Target"]["EcsParameters"] = aws.ecs("report")
        scheduler.create_schedule(**here({key: value for key, value in told.items() if key != "Arn"}))
    call = {"Cluster": "batch", "TaskDefinition": "report", "LaunchType": "EC2", "Overrides": {"ContainerOverrides": [{"Name": "app", "Command": ["bin/universal"]}]}}  # fmt: skip
    whole = {"Arn": aws.UNIVERSAL, "RoleArn": aws.ROLE, "Input": json.dumps(call)}
    told = aws.schedule("universal", Target=whole)
    scheduler.create_schedule(**here({key: value for key, value in told.items() if key != "Arn"}))


pytestmark = pytest.mark.together("import")


@pytest.fixture(scope="module")
def account(emulator: Emulator) -> Iterator[LocalStage]:
    """The project beside that account; its jobs file is yet to be written."""
    theirs = replace(emulator, account=ACCOUNT)
    make(theirs)
    with local_stage(theirs, name="imported") as stage:
        yield stage


def guardctl(stage: LocalStage, *arguments: str, code: int = 0) -> str:
    done = stage.command("guardctl", *arguments, "--stage", stage.name, code=code)
    return done.stdout + done.stderr


def jobs_file(stage: LocalStage) -> Path:
    return stage.directory / "chalicelib" / "jobs" / f"{stage.name}.toml"


def test_an_account_is_imported_and_importing_again_changes_nothing(account: LocalStage) -> None:
    told = guardctl(account, "import")
    jobs = load(account.name, account.directory / "chalicelib" / "jobs").jobs
    assert "98 of 100 schedules become jobs, 2 left where they are" in told
    assert len(jobs) == 98
    assert not any(job.enabled is True for job in jobs.values())
    assert {job.imported_from for job in jobs.values()} > {"rule/default/both#a", "schedule/night/schedule-1"}
    assert jobs["weekdays"].pool == jobs["weekend"].pool == "import-pool"
    assert jobs["schedule-1"].timezone == "Asia/Tokyo"
    assert (jobs["universal"].ecs.launch_type, jobs["universal"].ecs.command) == ("EC2", ("bin/universal",))
    assert jobs["nightly-7"].ecs.pass_roles == (here(aws.EXECUTION_ROLE), here(aws.TASK_ROLE))
    assert "rule/default/on-upload\n    it is started by events" in told
    assert "rule/default/gone\n    its task definition" in told
    assert "passed over, as no ECS tasks: 1 of lambda" in told
    assert "no fault" in guardctl(account, "validate")

    first = jobs_file(account).read_text(encoding="utf-8")
    assert "nothing was written" in guardctl(account, "import", "--force")
    assert jobs_file(account).read_text(encoding="utf-8") == first

    theirs: Any = account.emulator.session()
    theirs.client("events").put_rule(Name="late", ScheduleExpression="rate(2 hours)")
    late = here(aws.target(parameters=aws.ecs("report"), Input=aws.overrides(["bin/late"])))
    theirs.client("events").put_targets(Rule="late", Targets=[late])
    assert "--force adds the new jobs" in guardctl(account, "import", code=2)
    assert jobs_file(account).read_text(encoding="utf-8") == first
    guardctl(account, "import", "--force")
    backup = account.directory / "imported.toml.bak"  # what is beside the jobs file is deployed
    assert backup.read_text(encoding="utf-8") == first
    assert jobs_file(account).read_text(encoding="utf-8").startswith(first)
    assert len(load(account.name, account.directory / "chalicelib" / "jobs").jobs) == 99


@contextmanager
def refusing(action: str, code: str, status: int) -> Iterator[str]:
    """An AWS that has a bus without rules, and refuses this: its endpoint."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = self.headers.get("X-Amz-Target", "GetCallerIdentity").rpartition(".")[2]
            if asked == action:
                self.reply(status, json.dumps({"__type": code, "message": "not for you"}))
            elif asked == "GetCallerIdentity":
                who = "<Arn>arn:aws:iam::130000000013:user/me</Arn><Account>130000000013</Account>"
                inner = f"<GetCallerIdentityResult>{who}</GetCallerIdentityResult>"
                self.reply(200, f"<GetCallerIdentityResponse>{inner}</GetCallerIdentityResponse>")
            else:
                self.reply(200, json.dumps({"EventBuses": [{"Name": "default"}], "Rules": [], "NextToken": ""}))

        def reply(self, status: int, body: str) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_what_aws_refuses_is_a_sentence_and_nothing_is_written(account: LocalStage) -> None:
    with refusing("ListRules", "AccessDeniedException", 400) as url:
        elsewhere = replace(account, emulator=replace(account.emulator, endpoint=url), name="refused")
        told = guardctl(elsewhere, "import", code=3)
    needed = "what a person needs: guardctl iam viewer, operator or deployer"
    assert told == f"ListRules failed: AccessDeniedException: not for you; {needed}\n"
    assert not jobs_file(elsewhere).exists()


def test_a_jobs_file_with_a_fault_is_not_touched(account: LocalStage) -> None:
    other = replace(account, name="faulty")
    jobs_file(other).write_text("[jobs.x]\nfoo = 1\n", encoding="utf-8")
    assert "is not a known key" in guardctl(other, "import", "--force", code=2)
    assert jobs_file(other).read_text(encoding="utf-8") == "[jobs.x]\nfoo = 1\n"
    jobs_file(other).unlink()
