"""`guardctl check`: the deployed checker's answer in words, and what it ends with. The client of Lambda is a fake."""

from __future__ import annotations

import io
import json
from dataclasses import field
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from chalicelib.decide.facts import CantTell
from chalicelib.values import dataclass
from guardctl.commands.check import ask, exit_code, told
from guardctl.errors import AWS, Stop
from guardctl.stage import Stage

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:batch-guard-dev-report"
RUN = "arn:aws:states:us-east-1:123456789012:execution:batch-guard-dev-report:run-000041"
TASK = "arn:aws:ecs:us-east-1:123456789012:task/batch/0a1b"


class Missing(Exception):
    """ResourceNotFoundException."""


@dataclass
class Function:
    """Lambda with one function in it, which gives this answer; None: it is not deployed."""

    payload: Any
    failed: bool = False
    asked: dict[str, Any] = field(default_factory=dict)
    exceptions: Any = field(default_factory=lambda: SimpleNamespace(ResourceNotFoundException=Missing))

    def invoke(self, **asked: Any) -> Any:
        self.asked = asked
        if self.payload is None:
            raise Missing
        more = {"FunctionError": "Unhandled"} if self.failed else {}
        return {"Payload": io.BytesIO(json.dumps(self.payload).encode()), **more}


@dataclass(frozen=True)
class OfFunction(Stage):
    """A stage whose Lambda is `function`."""

    function_there: Function | None = None

    def client(self, service: Any, region: str | None = None) -> Any:
        assert service == "lambda"
        return self.function_there


def answer(outcome: str, error: str | None = None, **more: Any) -> dict[str, Any]:
    """As the checker gives it."""
    return {"running_flg": outcome != "start", "outcome": outcome, "error": error, "reason": "so it is", **more}


def test_the_function_of_the_stage_is_asked_with_the_jobs_name_alone() -> None:
    there = Function(answer("start"))
    assert ask(OfFunction("prod", function_there=there), "report") == there.payload
    assert there.asked == {"FunctionName": "batch-guard-prod-check", "Payload": b'{"job": "report"}'}


@pytest.mark.parametrize(
    ("outcome", "error", "code"),
    [
        pytest.param("start", None, 0, id="free"),
        pytest.param("skip", "AlreadyRunning", 1, id="it would step back"),
        pytest.param("skip", "Paused", 1, id="it is paused"),
        pytest.param("wait", None, 1, id="it would wait and look again"),
        pytest.param("stop_run", None, 1, id="it would stop a run first"),
        pytest.param("refuse", "NotDeployed", 1, id="its machine is missing"),
        pytest.param("refuse", "UnknownJob", 2, id="the stage has no such job"),
        pytest.param("refuse", "InvalidInput", 2, id="a name that no job can have"),
        pytest.param("an outcome of a later release", None, 1, id="what this checkout does not know is no start"),
    ],
)
def test_only_a_job_that_would_start_ends_it_with_0(outcome: str, error: str | None, code: int) -> None:
    assert exit_code(answer(outcome, error)) == code


def test_who_is_in_the_way_is_named_in_one_zone_with_a_link() -> None:
    holder = {"kind": "run", "name": "run-000041", "arn": RUN, "started_at": "2026-11-23T18:00:00Z"}
    said = answer("skip", holder=holder, next_run=None) | {"reason": "it runs since 2026-11-23T18:00:00Z"}
    lines = told("report", said, ZoneInfo("Asia/Tokyo")).splitlines()
    assert lines[0] == "report: would step back: it runs since 2026-11-24 03:00 JST"
    assert lines[1].split() == ["in", "the", "way", "run", "run-000041", "since", "2026-11-24", "03:00"]
    assert lines[2].strip().endswith(f"#/v2/executions/details/{RUN}")


def test_a_task_in_the_way_has_a_link_into_ecs_and_may_have_no_time() -> None:
    holder = {"kind": "task", "name": "0a1b", "arn": TASK, "started_at": None}
    _, who, link = told("report", answer("skip", holder=holder, next_run=None), ZoneInfo("UTC")).splitlines()
    assert who.split() == ["in", "the", "way", "task", "0a1b"]
    assert "/ecs/v2/clusters/batch/tasks/0a1b" in link


def test_a_free_job_is_told_with_the_run_that_would_be_started() -> None:
    free = answer("start", holder=None, next_run="run-000042", state_machine_arn=MACHINE)
    first, second = told("report", free, ZoneInfo("UTC")).splitlines()
    assert (first, second.split()) == (
        "report: would run: so it is",
        ["as", "run-000042", "of", "batch-guard-dev-report"],
    )


def test_a_refusal_has_no_more_than_its_reason() -> None:
    assert told("typo", answer("refuse", "UnknownJob"), ZoneInfo("UTC")) == "typo: would be refused: so it is"


def test_a_checker_that_can_not_tell_is_no_answer() -> None:
    error = {"errorType": "CantTell", "errorMessage": "states:ListExecutions failed: ThrottlingException"}
    with pytest.raises(CantTell, match="can't tell, so a start would not run: states:ListExecutions failed"):
        ask(OfFunction("dev", function_there=Function(error, failed=True)), "report")


def test_a_checker_that_fails_is_told_with_where_its_log_is() -> None:
    error = {"errorType": "Runtime.ImportModuleError", "errorMessage": "No module named app"}
    with pytest.raises(Stop, match="ImportModuleError: No module named app; see: aws logs tail /aws/lambda/batch-guard-dev-check") as stopped:  # fmt: skip
        ask(OfFunction("dev", function_there=Function(error, failed=True)), "report")
    assert stopped.value.code == AWS


def test_a_stage_without_a_checker_is_told_with_what_to_do() -> None:
    with pytest.raises(
        Stop,
        match="there is no function batch-guard-dev-check in this account and Region; deploy: guardctl deploy --stage dev",
    ):
        ask(OfFunction("dev", function_there=Function(None)), "report")
