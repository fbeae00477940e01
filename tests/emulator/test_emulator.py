"""The emulator's own promises: on loopback only, nobody's credentials, nothing left behind."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lab.emulator import Emulator, EmulatorFailed, NotLoopback, require_loopback
from lab.emulator import emulator as start_emulator
from tests.support import eventually

HOLDS_AN_EMULATOR = """
import sys, time
from lab.emulator import emulator
with emulator() as running:
    print(running.endpoint, running.log.parent, flush=True)
    time.sleep(60)
"""

MEETS_ANOTHER = """
import os, pathlib, time
def handler(event, context):
    here = pathlib.Path(event["here"])
    (here / str(os.getpid())).touch()
    while len(list(here.iterdir())) < 2:
        time.sleep(0.01)
    return os.path.realpath(__file__)
"""


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:4566", "http://localhost:4566", "http://[::1]:4566", "http://127.9.9.9"]
)
def test_a_loopback_endpoint_is_accepted(endpoint: str) -> None:
    require_loopback(endpoint)


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "127.0.0.1:4566",
        "https://states.us-east-1.amazonaws.com",
        "http://0.0.0.0:4566",
        "http://10.0.0.1:4566",
        "http://localhost.example.com",
        "http://127.0.0.1@example.com",
        "http://127.0.0.1.example.com",
    ],
)
def test_any_other_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(NotLoopback, match="refuses to run against anything but a loopback endpoint"):
        require_loopback(endpoint)


def is_listening(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        return probe.connect_ex((host, port)) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere 127.0.0.2 is no address of this machine")
def test_it_listens_on_127_0_0_1_and_nowhere_else(emulator: Emulator) -> None:
    port = urlsplit(emulator.endpoint).port
    assert port
    assert is_listening("127.0.0.1", port)
    assert not is_listening("127.0.0.2", port)  # would answer if it listened on all interfaces


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda sent: sent.name)
def test_it_ends_with_whoever_started_it(sent: signal.Signals) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS_AN_EMULATOR], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert holder.stdout
    with holder.stdout:
        endpoint, directory = holder.stdout.readline().split()
    port = urlsplit(endpoint).port
    assert port
    holder.send_signal(sent)
    holder.wait()
    eventually(lambda: not is_listening("127.0.0.1", port), within=5, what="the emulator is gone")
    eventually(lambda: not Path(directory).exists(), within=5, what="its directory is gone")


def test_a_failed_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "ministack.py").write_text("raise RuntimeError('no emulator today')")
    with (
        pytest.raises(EmulatorFailed, match="no emulator today"),
        start_emulator(environment={"PYTHONPATH": str(tmp_path)}),
    ):
        pass


def test_nothing_of_the_callers_settings_reaches_a_client(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "somebody's")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "internal.example.com")
    assert emulator.client("sts").get_caller_identity()["Account"] == emulator.account

    passed_on = emulator.environment()
    assert passed_on["AWS_ENDPOINT_URL"] == emulator.endpoint
    assert passed_on["NO_PROXY"] == "127.0.0.1,localhost,internal.example.com"
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN"} & set(passed_on)
    assert passed_on["PATH"] == os.environ["PATH"]


def test_the_timeout_of_a_state_may_be_an_expression(emulator: Emulator) -> None:
    """As on AWS. MiniStack takes a number only: `lab.emulator_process` evaluates it."""
    sfn, ecs = emulator.client("stepfunctions"), emulator.client("ecs")
    ecs.create_cluster(clusterName="expressions")
    ecs.register_task_definition(family="endless", containerDefinitions=[{"name": "app", "image": "batch"}])
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::ecs:runTask.sync",
        "Arguments": {"Cluster": "expressions", "TaskDefinition": "endless"},
        "TimeoutSeconds": "{% $states.input.seconds %}",
        "End": True,
    }
    machine = sfn.create_state_machine(
        name="timeout-as-an-expression",
        roleArn="arn:aws:iam::000000000000:role/there-is-no-such-role",
        definition=json.dumps({"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": state}}),
    )["stateMachineArn"]
    execution = sfn.start_execution(stateMachineArn=machine, input='{"seconds": 1}')["executionArn"]

    def error() -> str | None:
        answer = sfn.describe_execution(executionArn=execution)
        return None if answer["status"] == "RUNNING" else answer.get("error", answer["status"])

    assert eventually(error, within=20, what="the state times out") == "States.Timeout"


def test_a_simulation_takes_every_resource_its_context_and_policies_to_add(emulator: Emulator) -> None:
    """As on AWS. MiniStack takes the first resource alone: `lab.emulator_process` evaluates each."""
    iam = emulator.client("iam")
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}]}  # fmt: skip
    role = iam.create_role(RoleName="simulated", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    first, second = (f"arn:aws:ecs:us-east-1:{emulator.account}:task-definition/{name}:1" for name in ("one", "two"))
    condition = {"ArnEquals": {"ecs:cluster": "arn:aws:ecs:us-east-1:000000000000:cluster/batch"}}

    def policy(resource: str) -> str:
        allowed = {"Effect": "Allow", "Action": "ecs:RunTask", "Resource": resource, "Condition": condition}
        return json.dumps({"Version": "2012-10-17", "Statement": [allowed]})

    iam.put_role_policy(RoleName="simulated", PolicyName="batch-guard", PolicyDocument=policy(first))

    def decisions(cluster: str, *added: str) -> list[str]:
        arn = f"arn:aws:ecs:us-east-1:{emulator.account}:cluster/{cluster}"
        answer = iam.simulate_principal_policy(
            PolicySourceArn=role,
            ActionNames=["ecs:RunTask"],
            ResourceArns=[first, second],
            ContextEntries=[{"ContextKeyName": "ecs:cluster", "ContextKeyValues": [arn], "ContextKeyType": "string"}],
            PolicyInputList=[*added],
        )
        return [each["EvalDecision"] for each in answer["EvaluationResults"]]

    assert decisions("batch") == ["allowed", "implicitDeny"]
    assert decisions("other") == ["implicitDeny", "implicitDeny"]
    assert decisions("batch", policy(second)) == ["allowed", "allowed"]


def test_the_processes_of_a_function_share_its_code(emulator: Emulator, tmp_path: Path) -> None:
    """MiniStack unpacks the zip for each: `make demo` then takes 15 s and more to remove tens of thousands of files."""
    functions = emulator.client("lambda")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("app.py", MEETS_ANOTHER)
    functions.create_function(
        FunctionName="meets-another",
        Runtime="python3.11",
        Role="arn:aws:iam::000000000000:role/there-is-no-such-role",
        Handler="app.handler",
        Timeout=20,
        Code={"ZipFile": archive.getvalue()},
    )

    def invoke(_: int) -> str:
        answer = functions.invoke(FunctionName="meets-another", Payload=json.dumps({"here": str(tmp_path)}))
        return str(json.load(answer["Payload"]))

    with ThreadPoolExecutor(2) as pool:
        files = [*pool.map(invoke, range(2))]
    assert len({*tmp_path.iterdir()}) == 2
    assert len({*files}) == 1
    assert Path(files[0]).read_text(encoding="utf-8") == MEETS_ANOTHER
