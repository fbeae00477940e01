"""One contract for everything that reads executions: the fake in memory and the real adapter on the emulator."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from chalicelib.decide.facts import CantTell, Details, Execution
from chalicelib.names import execution_arn
from chalicelib.read import executions
from chalicelib.read.aws import Misconfigured, NotDeployed, PermissionDenied, client_config
from chalicelib.read.executions import Executions, StepFunctions
from lab.emulator import Emulator
from tests.support import eventually
from tests.world import FakeExecutions

WAITS = {"StartAt": "wait", "States": {"wait": {"Type": "Wait", "Seconds": 600, "End": True}}}
ENDS = {"StartAt": "end", "States": {"end": {"Type": "Fail", "Error": "BatchGuard.TaskFailed", "Cause": "exit 1"}}}


@dataclass
class World:
    """Something that reads executions, and how to make it show some."""

    executions: Executions
    running: str
    """The ARN of a machine whose executions run on."""
    failing: str
    """The ARN of a machine whose executions fail with BatchGuard.TaskFailed."""
    start: Callable[[str, str, dict[str, Any]], None]
    """Start an execution of a machine by name, with an input, and wait until it shows as it will."""


def fake() -> World:
    known = FakeExecutions(size=executions.PAGE_SIZE)
    running, failing = (f"arn:aws:states:us-east-1:1:stateMachine:{name}" for name in ("running", "failing"))
    known.machines.update({running: datetime.now(UTC), failing: datetime.now(UTC)})
    started = datetime.now(UTC)

    def start(machine: str, name: str, event: dict[str, Any]) -> None:
        at = started + timedelta(seconds=len(known.known.get(machine, [])))
        ended = at if machine == failing else None
        status = "FAILED" if ended else "RUNNING"
        shown = Execution(execution_arn(machine, name), name, status, at, ended)
        error = "BatchGuard.TaskFailed" if ended else None
        known.add(machine, Details(shown, error, event.get("guard_execution"), event.get("reason")))

    return World(known, running, failing, start)


def real(emulator: Emulator, prefix: str) -> World:
    client = emulator.client("stepfunctions")
    role = f"arn:aws:iam::{emulator.account}:role/x"
    running, failing = (
        client.create_state_machine(name=f"{prefix}-{name}", definition=json.dumps(asl), roleArn=role)[
            "stateMachineArn"
        ]
        for name, asl in (("running", WAITS), ("failing", ENDS))
    )

    def start(machine: str, name: str, event: dict[str, Any]) -> None:
        arn = client.start_execution(stateMachineArn=machine, name=name, input=json.dumps(event))["executionArn"]
        if machine == failing:
            eventually(lambda: client.describe_execution(executionArn=arn)["status"] != "RUNNING", within=10)

    return World(StepFunctions(client), running, failing, start)


@pytest.fixture(params=["fake", "real"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """Each contract is kept by both."""
    if request.param == "fake":
        yield fake()
    else:
        name: str = request.node.name
        yield real(request.getfixturevalue("emulator"), "".join(c if c.isalnum() else "-" for c in name)[:40])


def test_a_running_execution_is_shown_as_open(world: World) -> None:
    world.start(world.running, "run-000001", {})
    (shown,) = world.executions.page(world.running).executions
    assert (shown.name, shown.closed, shown.stopped_at) == ("run-000001", False, None)
    assert shown.arn == execution_arn(world.running, "run-000001")
    assert abs(datetime.now(UTC) - shown.started_at) < timedelta(minutes=1)


def test_an_ended_execution_is_shown_as_closed_and_its_error_in_the_details(world: World) -> None:
    world.start(world.failing, "run-000001", {"guard_execution": "arn:of:the:guard", "reason": "why"})
    (shown,) = world.executions.page(world.failing).executions
    assert (shown.status, shown.closed) == ("FAILED", True)
    details = world.executions.details(shown.arn)
    assert details is not None
    assert details.error == "BatchGuard.TaskFailed"
    assert (details.guard_execution, details.reason) == ("arn:of:the:guard", "why")
    assert details.execution == shown


def test_an_input_that_names_no_guard_is_nobodys(world: World) -> None:
    world.start(world.running, "run-000001", {"job": "x"})
    details = world.executions.details(execution_arn(world.running, "run-000001"))
    assert details is not None
    assert details.guard_execution is None


def test_what_was_never_started_has_no_details(world: World) -> None:
    assert world.executions.details(execution_arn(world.running, "run-000007")) is None


def test_a_page_is_unfiltered_newest_first_and_leads_to_the_older_ones(world: World) -> None:
    names = [f"run-{n:06d}" for n in range(1, executions.PAGE_SIZE + 4)]
    for name in names:
        world.start(world.running, name, {})
    first = world.executions.page(world.running)
    assert [e.name for e in first.executions] == names[: -executions.PAGE_SIZE - 1 : -1]
    assert first.token is not None
    second = world.executions.page(world.running, first.token)
    assert [e.name for e in second.executions] == names[2::-1]
    assert second.token is None


def test_only_running_ones_on_request(world: World) -> None:
    world.start(world.failing, "run-000001", {})
    assert world.executions.page(world.failing, only_running=True).executions == ()
    world.start(world.running, "run-000001", {})
    assert len(world.executions.page(world.running, only_running=True).executions) == 1


def test_a_machine_knows_when_it_was_made(world: World) -> None:
    assert abs(datetime.now(UTC) - world.executions.created_at(world.running)) < timedelta(minutes=1)


def test_a_machine_that_is_not_there_says_what_to_do(world: World) -> None:
    with pytest.raises(NotDeployed, match="does not exist"):
        world.executions.created_at(world.running + "-not")


# What only AWS answers: recorded errors, through botocore's Stubber.

MACHINE = "arn:aws:states:us-east-1:1:stateMachine:batch-guard-dev-x"


@pytest.mark.parametrize(
    ("code", "status", "meaning", "words"),
    [
        pytest.param(
            "AccessDeniedException", 400, PermissionDenied, "states:ListExecutions on .* is denied", id="denied"
        ),
        pytest.param("StateMachineDoesNotExist", 400, NotDeployed, "guardctl deploy", id="not deployed"),
        pytest.param("InvalidArn", 400, Misconfigured, "refuses", id="an ARN that is none"),
        pytest.param("ThrottlingException", 400, CantTell, "ThrottlingException: slow down", id="throttled"),
        pytest.param("InternalServerError", 500, CantTell, "InternalServerError", id="AWS's own fault"),
        pytest.param("SomethingNew", 418, CantTell, "SomethingNew", id="an error nobody knows"),
    ],
)
def test_what_aws_says_is_sorted_by_whether_asking_again_helps(
    code: str, status: int, meaning: type[Exception], words: str
) -> None:
    client = boto3.client("stepfunctions", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        for _ in range(5):  # as many as botocore's own retries may take
            stub.add_client_error("list_executions", code, "slow down", status)
        with pytest.raises(meaning, match=words):
            StepFunctions(client).page(MACHINE)


def test_no_answer_at_all_is_not_an_answer() -> None:
    client = boto3.client(
        "stepfunctions",
        region_name="us-east-1",
        endpoint_url="http://127.0.0.1:9",  # the discard port: nothing listens
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=client_config(),
    )
    with pytest.raises(CantTell, match="got no answer"):
        StepFunctions(client).page(MACHINE)


def test_a_redriven_execution_counts_from_its_redrive() -> None:
    client = boto3.client("stepfunctions", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    began, again = datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)
    arn = execution_arn(MACHINE, "run-000001")
    item = {"executionArn": arn, "stateMachineArn": MACHINE, "name": "run-000001", "status": "RUNNING"}
    with Stubber(client) as stub:
        answer = {"executions": [{**item, "startDate": began, "redriveCount": 1, "redriveDate": again}]}
        stub.add_response("list_executions", answer, {"stateMachineArn": MACHINE, "maxResults": 100})
        (shown,) = StepFunctions(client).page(MACHINE).executions
    assert shown.started_at == again
