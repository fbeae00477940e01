"""The checker's answers, as the state machines get them: event → facts → decision, without AWS."""

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.check import Checker
from chalicelib.config import jobs
from chalicelib.decide.facts import Details, Execution, Refused, stamp
from chalicelib.names import batch_machine, machine_arn
from tests.world import NOW, FakeExecutions, ago, execution

FUNCTION = "arn:aws:lambda:ap-northeast-1:123456789012:function:batch-guard-dev-check"
GUARD = "arn:aws:states:ap-northeast-1:123456789012:execution:batch-guard-dev:by-hand"
FILE = """
[defaults.ecs]
cluster = "batch"
container = "app"
launch_type = "EC2"
[jobs.plain]
ecs.task_definition = "plain"
[jobs.queued]
ecs.task_definition = "queued"
overlap = "queue"
queue_timeout = "2h"
[jobs.replaced]
ecs.task_definition = "replaced"
overlap = "replace"
[jobs.green]
ecs.task_definition = "green"
on_skip = "succeed"
"""


class NoTasks:
    """ECS with nothing in it."""

    def list_tasks(self, **_: Any) -> dict[str, Any]:
        return {"taskArns": []}


def answer(event: Any, *history: Execution) -> dict[str, Any]:
    """The checker's answer at `NOW`; the job's batch machine has had these executions."""
    file = jobs.parse(FILE, stage="dev", place="dev.toml")
    known = FakeExecutions()
    for job in file.jobs:
        machine = machine_arn(FUNCTION, batch_machine("dev", job))
        known.machines[machine] = ago(1440)
        for each in history:
            known.add(machine, Details(each))
    checker = Checker(lambda: file, FUNCTION, known, NoTasks, lambda: NOW)  # type: ignore[arg-type]  # two fakes
    return checker.answer(event)


RUNS = execution("run-000041", "RUNNING", began=61)
ABORTED = execution("run-000041", "ABORTED", began=61, ended=1)


def asks(job: str, *, waited: bool = True, began: float = 1, **more: Any) -> dict[str, Any]:
    """The event of a guard execution that began so many minutes ago, on its second look unless told otherwise."""
    guard = {"execution": GUARD, "started": stamp(ago(began)), "waited": waited}
    return {"job": job, "guard": {**guard, **more.pop("guard", {})}, **more}


def test_a_skip_says_how_it_is_to_end() -> None:
    assert answer(asks("plain"), RUNS)["on_skip"] == "fail"
    assert answer(asks("green"), RUNS)["on_skip"] == "succeed"
    assert answer(asks("plain", renewal=True), RUNS)["on_skip"] == "succeed", "the job is in use"


@pytest.mark.parametrize("job", ["queued", "replaced"])
def test_a_renewal_neither_waits_for_a_run_nor_stops_it(job: str) -> None:
    assert answer(asks(job, renewal=True), RUNS)["outcome"] == "skip"


def test_the_one_that_waits_gets_all_that_the_start_was_asked_for() -> None:
    event = asks("queued", scheduled_at="2026-11-23T18:00:00Z", commands=["bin/x"], began=1)
    decision = answer(event, RUNS)
    assert decision["outcome"] == "queue"
    assert decision["waiter_input"] == {
        "job": "queued",
        "scheduled_at": "2026-11-23T18:00:00Z",
        "commands": ["bin/x"],
        "queued_since": stamp(ago(1)),
        "deadline": stamp(ago(1) + timedelta(hours=2)),
        "guard_execution": GUARD,
    }


def test_one_that_moves_in_the_queue_has_waited_since_it_came() -> None:
    event = asks("queued", queued_since=stamp(ago(100)), began=1)
    assert answer(event, RUNS)["waiter_input"]["queued_since"] == stamp(ago(100))


def test_a_start_gives_up_at_its_deadline_but_not_on_what_it_has_begun_to_stop() -> None:
    event = asks("replaced", deadline=stamp(NOW))
    assert answer(event, RUNS)["outcome"] == "skip"
    begun = {**event, "guard": {**event["guard"], "stopped_at": stamp(ago(2))}}
    assert answer(begun, ABORTED)["outcome"] == "wait", "else the old run would be gone, and no new one there"
    long_ago = {**event, "guard": {**event["guard"], "stopped_at": stamp(ago(10))}}
    assert answer(long_ago, ABORTED)["outcome"] == "skip"


@pytest.mark.parametrize(
    ("event", "says"),
    [
        pytest.param({"job": "plain", "deadline": "2026-11-23T18:00Z"}, "deadline must be a UTC time", id="a deadline that the state machine can't read"),
        pytest.param({"job": "plain", "scheduled_at": "2026-13-23T18:00:00Z"}, "scheduled_at must be", id="a month that is none"),
        pytest.param({"job": "plain", "anyway": "yes"}, "anyway must be true or false", id="yes for true"),
        pytest.param({"job": "plain", "since": 1}, "unknown key 'since'", id="a key of another event"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_with_what_would_be_right(event: Any, says: str) -> None:
    decision = answer(event)
    assert (decision["outcome"], decision["error"]) == ("refuse", "InvalidInput")
    assert says in decision["reason"]


def test_a_batch_machine_asks_for_its_own_task_only() -> None:
    with pytest.raises(Refused, match="the ARN of a run of plain"):
        answer({"job": "plain", "task_of": GUARD})
    own = machine_arn(FUNCTION, batch_machine("dev", "plain")).replace("stateMachine", "execution")
    assert answer({"job": "plain", "task_of": f"{own}:run-000041", "since": 1_700_000_000_000}) == {"task": None}
    with pytest.raises(Refused, match="milliseconds"):
        answer({"job": "plain", "task_of": f"{own}:run-000041", "since": "now"})
