"""Ctrl-C: what is held back, what is said, and what becomes of a start or a stop that is interrupted."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from chalicelib.config.jobs import Ecs, Job
from chalicelib.decide.facts import CLOCKS, CantTell, Execution
from guardctl import alive, starts
from guardctl.errors import INTERRUPTED, Stop
from guardctl.interrupts import finishing, interruptible
from guardctl.stage import Stage
from guardctl.starts import Verdict

NOW = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:batch-guard-dev"
EXECUTION = MACHINE.replace(":stateMachine:", ":execution:")
GUARD = f"{EXECUTION}:report-by-hand-0123456789ab"
OTHER = f"{EXECUTION}:report-20261123T1800Z"
RUN = f"{EXECUTION}-report:run-000042"
WAITER = f"{EXECUTION}:report-after-run-000041-1"
JOB = Job(name="report", pool="report", ecs=Ecs(cluster="batch", task_definition="report", container="app"))
TASK = "arn:aws:ecs:us-east-1:123456789012:task/batch/0a1b2c"


def ctrl_c() -> None:
    """What the terminal does on Ctrl-C."""
    signal.raise_signal(signal.SIGINT)


def told(case: Callable[[], str], block: Callable[[], None] = ctrl_c) -> str:
    """What an interrupted command says."""
    with pytest.raises(Stop) as stopped, interruptible(case, look="guardctl status"):
        block()
    assert stopped.value.code == INTERRUPTED
    return str(stopped.value)


def test_a_block_that_changes_something_is_finished_first() -> None:
    done = []

    def block() -> None:
        with finishing():
            ctrl_c()
            done.append("the answer has come")

    assert told(lambda: "it is paused", block) == "interrupted: it is paused"
    assert done
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_does_not_wait_for_it() -> None:
    def block() -> None:
        with finishing():
            ctrl_c()
            ctrl_c()
            pytest.fail("it went on")

    assert told(lambda: pytest.fail("asked"), block) == (
        "interrupted: again, before it was clear what goes on; look: guardctl status"
    )
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_command_that_ignores_ctrl_c_goes_on_ignoring_it() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with finishing():
            ctrl_c()
            ctrl_c()
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_is_the_case_is_said() -> None:
    assert told(lambda: "nothing was started") == "interrupted: nothing was started"


def cant_tell() -> NoReturn:
    raise CantTell("throttled")


def test_what_can_not_be_asked_is_said_to_be_so() -> None:
    assert told(cant_tell) == "interrupted: what goes on could not be asked (throttled); look: guardctl status"


def test_a_second_ctrl_c_ends_the_asking() -> None:
    def asking() -> str:
        ctrl_c()
        return pytest.fail("it went on")

    assert told(asking) == "interrupted: again, before it was clear what goes on; look: guardctl status"


class Invalid(Exception):
    """ValidationException."""


class Missing(Exception):
    """ExecutionDoesNotExist."""


@dataclass
class Steps:
    """Step Functions with a guard execution that ends so, and the executions that it shows, some only later."""

    ended: Mapping[str, Any]
    decisions: list[Mapping[str, Any]] = field(default_factory=list)
    """Those whose StartExecution the guard has entered."""
    shown: Mapping[str, str] = field(default_factory=dict)
    """ARN → the guard execution in its input."""
    hidden_looks: int = 0
    stop_date: datetime | None = None
    """Of a run that ended on its own."""
    stopped: list[Any] = field(default_factory=list)
    exceptions: Any = field(
        default_factory=lambda: SimpleNamespace(ValidationException=Invalid, ExecutionDoesNotExist=Missing)
    )

    def stop_execution(self, **asked: Any) -> Any:
        self.stopped.append(asked)
        if self.ended["status"] != "ABORTED":
            raise Invalid
        return {"stopDate": NOW}

    def describe_execution(self, executionArn: str) -> Any:  # noqa: N803 (boto3's name)
        about: dict[str, Any] = {"executionArn": executionArn, "startDate": NOW}
        if executionArn == GUARD:
            return {**about, **self.ended}
        if executionArn not in self.shown:
            raise Missing
        if self.hidden_looks:
            self.hidden_looks -= 1
            raise Missing
        if self.stop_date:
            ran = {"executionArn": executionArn, "name": "run-000042", "startDate": self.stop_date}
            return {**ran, "status": "SUCCEEDED", "stopDate": self.stop_date}
        return {**about, "status": "RUNNING", "input": json.dumps({"guard_execution": self.shown[executionArn]})}

    def list_executions(self, **_: Any) -> Any:
        return {"executions": []}

    def get_paginator(self, _name: str) -> Any:
        first: Any = {"type": "ExecutionStarted", "executionStartedEventDetails": {"input": "{}"}}
        entered = [
            {"type": "TaskStateEntered", "stateEnteredEventDetails": {"input": json.dumps({"decision": decision})}}
            for decision in self.decisions
        ]
        check: Any = {"type": "TaskStateEntered", "stateEnteredEventDetails": {"input": '{"guard": {}}'}}
        return SimpleNamespace(paginate=lambda **_: [{"events": [first, check]}, {"events": entered}])


def stage(steps: Any, ecs: Any = None) -> Stage:
    """The stage dev on a fake AWS."""
    made = Stage("dev")
    identity = {"Arn": "arn:aws:iam::123456789012:user/ada", "Account": "123456789012"}
    vars(made).update(
        stepfunctions=steps, ecs=ecs, _identity=identity, session=SimpleNamespace(region_name="us-east-1")
    )
    return made


START = {"outcome": "start", "next_run": "run-000042", "state_machine_arn": f"{MACHINE}-report"}
QUEUE = {"outcome": "queue", "waiter": "report-after-run-000041-1", "state_machine_arn": f"{MACHINE}-report"}
ABORTED = {"status": "ABORTED", "cause": "interrupted by ada"}
STARTED = {
    "status": "SUCCEEDED",
    "output": json.dumps({"outcome": "started", "run": "run-000042", "state_machine_arn": f"{MACHINE}-report"}),
}
STEPPED_BACK = {"status": "FAILED", "error": "BatchGuard.AlreadyRunning", "cause": "run-000041 has been running"}
RUNS, WAITS = Verdict(RUN, "started run-000042"), WAITER

ABANDONED = [
    pytest.param(Steps(ABORTED), Verdict(None, "the start was stopped before it started anything"), id="stopped before it asked for a run"),
    pytest.param(Steps(ABORTED, [START], {RUN: GUARD}), RUNS, id="stopped, and the run that it had asked for is there"),
    pytest.param(Steps(ABORTED, [START], {RUN: GUARD}, hidden_looks=2), RUNS, id="that run is shown late"),
    pytest.param(Steps(ABORTED, [START], {RUN: OTHER}), Verdict(None, "the start was stopped before it started anything"), id="that run is somebody else's"),
    pytest.param(Steps(ABORTED, [START]), Verdict(None, "the start was stopped, but it had asked for run-000042, which Step Functions does not show (yet)"), id="that run is not shown"),
    pytest.param(Steps(ABORTED, [QUEUE], {WAITER: GUARD}), Verdict(None, "waits in the queue as report-after-run-000041-1", WAITER), id="stopped, and it has a place in the queue"),
    pytest.param(Steps(STARTED), RUNS, id="it had started a run by then"),
    pytest.param(Steps(STEPPED_BACK), Verdict(None, "BatchGuard.AlreadyRunning: run-000041 has been running", error="BatchGuard.AlreadyRunning"), id="it had stepped back by then"),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "expected"), ABANDONED)
def test_a_start_that_nobody_waits_for_is_stopped_and_looked_for(steps: Steps, expected: Verdict) -> None:
    assert starts.abandon(stage(steps), GUARD, sleep=lambda _: None) == expected
    assert steps.stopped == [{"executionArn": GUARD, "cause": "interrupted by ada"}]


def test_what_goes_on_is_named_with_the_commands_that_show_and_end_it() -> None:
    here = stage(Steps(ABORTED))
    assert starts.left(here, "report", RUNS) == (
        "run-000042 was started and goes on: guardctl status report --stage dev; "
        "stop it with: guardctl stop report --stage dev"
    )
    assert starts.left(here, "report", Verdict(None, "waits", WAITER)) == (
        "report-after-run-000041-1 waits in the queue and goes on: guardctl status report --stage dev; "
        f"end it with: aws stepfunctions stop-execution --execution-arn {WAITER}"
    )
    assert starts.left(here, "report", Verdict(None, "the start was stopped")) == "the start was stopped"


@dataclass
class Ecs1:
    """ECS with one task of the run."""

    status: str
    stopped_at: datetime | None = None
    told: list[str] = field(default_factory=list)

    def list_tasks(self, desiredStatus: str, **_: Any) -> Any:  # noqa: N803 (boto3's name)
        listed = "STOPPED" if self.stopped_at or self.told else "RUNNING"
        return {"taskArns": [TASK] if listed == desiredStatus else []}

    def describe_tasks(self, **_: Any) -> Any:
        override = {"name": "app", "environment": [{"name": "BATCH_EXECUTION", "value": RUN}]}
        stopped = {"stoppedAt": self.stopped_at} if self.stopped_at else {}
        task = {"taskArn": TASK, "lastStatus": self.status, "overrides": {"containerOverrides": [override]}, **stopped}
        return {"tasks": [task]}

    def stop_task(self, task: str, **_: Any) -> None:
        self.told.append(task)


OPEN = alive.Target((Execution(RUN, "run-000042", "RUNNING", NOW - timedelta(hours=1)),), ())
MORE = timedelta(milliseconds=1)


class Waits(Exception):
    """The command goes on waiting."""


def stop(ecs: Ecs1, block: Callable[[], None], steps: Steps | None = None) -> tuple[str, ...]:
    """Stop the run now; `block` is called where the command would wait."""
    here = stage(steps or Steps(ABORTED), ecs)
    return alive.stop(here, JOB, OPEN, "stopped by hand", lambda _: block(), lambda: NOW)


def waits() -> NoReturn:
    raise Waits


def test_stop_does_not_wait_for_a_task_that_stopped_as_long_before_as_clocks_may_differ() -> None:
    assert stop(Ecs1("STOPPED", NOW - CLOCKS), waits) == ()
    with pytest.raises(Waits):
        stop(Ecs1("STOPPED", NOW - CLOCKS - MORE), waits)


def test_stop_does_not_wait_for_the_task_of_a_run_that_ended_before_a_person_said_yes() -> None:
    ended = NOW - timedelta(minutes=2)
    steps = Steps({"status": "SUCCEEDED"}, shown={RUN: GUARD}, stop_date=ended)
    assert stop(Ecs1("STOPPED", ended - CLOCKS), waits, steps) == ()


@pytest.mark.parametrize(
    ("ecs", "says"),
    [
        pytest.param(Ecs1("RUNNING"), "run-000042 was stopped, and task 0a1b2c is not STOPPED yet; go on with: guardctl stop report --stage dev", id="its task is on its way down"),
        pytest.param(Ecs1("STOPPED", NOW - timedelta(hours=1)), "run-000042 was stopped, and a task that ECS does not show yet may be alive; look: guardctl status report --stage dev", id="its task has not been seen"),
    ],
)  # fmt: skip
def test_an_interrupted_stop_says_what_is_stopped_and_what_is_not(ecs: Ecs1, says: str) -> None:
    with pytest.raises(Stop) as stopped:
        stop(ecs, ctrl_c)
    assert (str(stopped.value), stopped.value.code) == (f"interrupted: {says}", INTERRUPTED)
