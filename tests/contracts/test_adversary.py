"""What an adversary found: sequences that AWS's documents allow, each played by the definitions' own text."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.config.jobs import parse
from chalicelib.read.aws import PermissionDenied
from lab.play import Play, Played, Program, StatesError
from tests.contracts.played import DEFAULTS, played

MINUTE = 60.0
JOBS = (
    DEFAULTS
    + """
[pools.two]
slots = 2
[jobs.a]
pool = "two"
ecs = { task_definition = "a" }
[jobs.b]
pool = "two"
ecs = { task_definition = "b" }
[jobs.day-close]
pool = "warehouse"
overlap = "queue"
queue_timeout = "6h"
ecs = { task_definition = "day-close" }
[jobs.import]
pool = "warehouse"
orphans = "stop"
ecs = { task_definition = "import" }
[jobs.alone]
overlap = "queue"
queue_timeout = "6h"
ecs = { task_definition = "alone" }
[jobs.report]
ecs = { task_definition = "report" }
"""
)


def stage(jobs: str = JOBS) -> Play:
    """A stage with these pools."""
    return played(jobs)


def end(execution: Played) -> str:
    """How it ended, in a word."""
    return execution.error or (execution.output or {}).get("outcome") or execution.status


def test_orphans_of_several_slots_that_moved_are_all_looked_for() -> None:
    """Two runs were aborted and left their tasks; then both jobs moved. Each slot asks for another place."""
    play = stage()
    play.program = Program(seconds=120 * MINUTE)
    play.start("a")
    play.start("b")
    play.run_until(MINUTE)
    for run in play.runs("a"):
        play.abort(run)
    moved = JOBS.replace('definition = "a"', 'definition = "a-2"').replace('definition = "b"', 'definition = "b-2"')
    play.jobs = parse(moved, stage="dev", place="moved")
    listed = play.list_tasks
    calls = 0

    def counted(**arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        assert calls < 1000, "the checker asks for ever"
        return listed(**arguments)

    play.list_tasks = counted  # type: ignore[method-assign]
    start = play.start("a")
    play.run_until(20 * MINUTE)
    assert (end(start), play.most_at_once) == ("BatchGuard.AlreadyRunning", 2)


def test_an_orphan_of_a_neighbour_is_not_stopped() -> None:
    """`orphans = "stop"` is the job's own: the day close, which left a task, wants it to go on."""
    play = stage()
    play.program = Program(seconds=120 * MINUTE)
    play.start("day-close")
    play.run_until(MINUTE)
    play.abort(play.runs("day-close")[0])
    play.run_until(7 * MINUTE)
    start = play.start("import")
    play.run_until(5 * MINUTE)
    assert play.tasks[0].told_at is None
    assert end(start) == "BatchGuard.AlreadyRunning"


def as_floats(value: Any) -> Any:
    """JSON whose whole numbers are written with a point: JSONata knows one kind of number."""
    if isinstance(value, dict):
        return {key: as_floats(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_floats(inner) for inner in value]
    return float(value) if type(value) is int else value


def test_whole_numbers_may_come_with_a_point() -> None:
    play = stage()
    invoke: Callable[[Any], Any] = play._invoke
    play._invoke = lambda event: invoke(as_floats(event))  # type: ignore[method-assign]
    play.program = Program(seconds=30)
    starts = [play.start("a") for _ in range(3)] + [play.start("a", renewal=True, slot=2)]
    play.run_until(10 * MINUTE)
    assert sorted(map(end, starts)) == ["BatchGuard.AlreadyRunning", "started", "started", "started"]
    play.start("report", first=True, first_after=41)
    play.run_until()
    assert [run.name for run in play.runs("report")] == ["run-000042"]


@pytest.mark.parametrize("job", ["day-close", "alone"])
def test_a_start_does_not_step_back_for_a_waiter_that_has_just_begun_its_run(job: str) -> None:
    play = stage()
    play.program = Program(seconds=10 * MINUTE)
    play.start("import" if job == "day-close" else job)
    play.run_until(MINUTE)
    play.start(job)
    while len(play.runs(job)) < 2:
        play.run_until(0.5)
    play.run_until(1)
    start = play.start(job)
    play.run_until()
    assert (end(start), len(play.tasks)) == ("queued", 3)


@pytest.mark.parametrize("lag", [0, 5])
@pytest.mark.parametrize("job", ["day-close", "alone"])
def test_a_start_does_not_step_back_for_a_waiter_that_has_just_given_up(job: str, lag: int) -> None:
    """The lists are a few seconds old, and what a warm function remembers of those who wait is, too."""
    play = stage()
    play.program = Program(seconds=30 * MINUTE)
    play.start("import" if job == "day-close" else job)
    play.run_until(MINUTE)
    play.start(job)
    play.run_until(MINUTE)
    waiter = next(e for e in play.executions.values() if "queued_since" in e.given)
    play.list_lag = timedelta(seconds=lag)
    play.start("import")  # reads who waits
    play.run_until(0.5)
    play.abort(waiter)
    start = play.start(job)
    play.run_until()
    assert end(start) == "queued"
    assert [task.family for task in play.tasks].count(job) == (1 if job == "day-close" else 2)


def test_a_waiter_that_lost_names_now_and_then_is_not_shut_out() -> None:
    """Ten names lost in a row mean that others are faster; ten in hours mean nothing."""
    play = stage()
    play.program = Program(seconds=10 * MINUTE)
    play.start("import")
    play.run_until(MINUTE)
    play.start("day-close")
    play.run_until(MINUTE)
    (waiter,) = play.waiters()
    start_execution = play.start_execution
    rivals = 0

    def with_a_rival(machine: str, name: str, given: str) -> Played:
        nonlocal rivals
        if json.loads(given).get("guard_execution") == waiter.arn and rivals < 10:
            rivals += 1
            start_execution(machine, name, json.dumps({**json.loads(given), "guard_execution": "arn:rival"}))
        return start_execution(machine, name, given)

    play.start_execution = with_a_rival  # type: ignore[method-assign]
    play.run_until()
    assert rivals == 10
    assert (end(waiter), waiter.error) == ("started", None)


@pytest.mark.parametrize("job", ["day-close", "alone"])
def test_a_start_whose_waiter_has_run_does_not_run_as_well(job: str) -> None:
    """The answer to the start of the waiter is lost for a minute, in which the waiter gets its run and ends it."""
    play = stage()
    play.run_task_answers = [Program(seconds=2 * MINUTE), Program(seconds=10)]
    play.start("import" if job == "day-close" else job)
    play.run_until(2 * MINUTE - 3)
    start_execution = play.start_execution
    lost: list[Played] = []

    def loses(machine: str, name: str, given: str) -> Played:
        if "queued_since" in given and not lost:
            lost.append(start_execution(machine, name, given))
            raise StatesError("States.Timeout")
        return start_execution(machine, name, given)

    play.start_execution = loses  # type: ignore[method-assign]
    called = play._called

    def slow(execution: Played, resource: str, arguments: Any, timeout: float) -> Any:
        try:
            return (yield from called(execution, resource, arguments, timeout))
        except StatesError as error:
            if error.error == "States.Timeout":
                yield timeout  # that is how long Step Functions waits for an answer
            raise

    play._called = slow  # type: ignore[method-assign]
    start = play.start(job, deadline="2026-11-23T20:00:00Z")
    play.run_until()
    assert lost
    assert (end(lost[0]), end(start), len(play.tasks)) == ("started", "queued", 2)


def test_fewer_slots_do_not_hide_a_run_that_has_no_task_yet() -> None:
    """`chalice deploy` alone: the functions know one slot, and a run of the second waits for room."""
    play = stage()
    fewer = parse(JOBS.replace("slots = 2", "slots = 1"), stage="dev", place="fewer")
    no_room = StatesError("AmazonECS.Unknown", "RESOURCE:CPU")
    play.run_task_answers = [Program(seconds=2 * MINUTE), *[no_room] * 15]
    play.program = Program(seconds=30 * MINUTE)
    play.start("a")
    play.run_until(1)
    play.start("b", deadline="2026-11-23T20:00:00Z")
    play.run_until(MINUTE)
    play.jobs = fewer
    play.run_until(2 * MINUTE)
    play.run_task_answers = [no_room] * 3
    start = play.start("a")
    play.run_until(2)
    play.run_task_answers = []
    play.run_until(60 * MINUTE)
    assert play.most_at_once == 1, end(start)


def test_fewer_slots_do_not_hide_a_task_that_ecs_hides() -> None:
    play = stage()
    play.program = Program(seconds=30 * MINUTE)
    play.run_task_answers = [Program(seconds=20)]
    play.ecs_hides = timedelta(minutes=5)
    play.start("a")
    play.run_until(10)
    play.start("b")
    play.run_until(15)
    play.jobs = parse(JOBS.replace("slots = 2", "slots = 1"), stage="dev", place="fewer")
    play.start("a")
    play.run_until(MINUTE)
    assert len(play.tasks) == 2, "one is alive, and there is one slot"


def test_a_redriven_start_runs_nothing_that_was_not_just_looked_for() -> None:
    """It was stopped while StartExecution was throttled; a person ran the task by hand, and then redrove it."""
    play = stage()
    play.program = Program(seconds=30 * MINUTE)
    start_execution = play.start_execution

    def throttled(machine: str, name: str, given: str) -> Played:
        raise StatesError("StepFunctions.ThrottlingException", "Rate exceeded")

    start = play.start("report", deadline="2026-11-23T22:00:00Z")
    play.start_execution = throttled  # type: ignore[method-assign]
    play.run_until(5)
    assert start.states[-1] == "Start the run"
    play.abort(start)
    play.start_execution = start_execution  # type: ignore[method-assign]
    play.run_until(60 * MINUTE)
    play.task_by_hand("batch", "report", Program(seconds=60 * MINUTE))
    play.run_until(MINUTE)
    play.redrive(start)
    play.run_until()
    assert (end(start), play.most_at_once) == ("BatchGuard.CheckFailed", 1)
    assert "a redriven start" in (start.cause or "")


def test_a_start_that_was_redriven_while_it_waited_goes_on() -> None:
    play = stage()
    play.program = Program(seconds=30 * MINUTE)
    play.start("alone")
    play.run_until(MINUTE)
    play.start("alone")
    play.run_until(MINUTE)
    waiter = next(e for e in play.executions.values() if "queued_since" in e.given)
    play.abort(waiter)
    play.run_until(60 * MINUTE)
    play.redrive(waiter)
    play.run_until()
    assert end(waiter) == "started"


@pytest.mark.parametrize("job", ["day-close", "alone"])
def test_a_start_that_never_heard_of_its_waiter_does_not_run_beside_it(job: str) -> None:
    """The waiter was made, that answer was lost, and every further one was a throttle: the pool is free meanwhile."""
    play = stage()
    play.run_task_answers = [Program(seconds=2 * MINUTE), Program(seconds=10), Program(seconds=10)]
    play.start("import" if job == "day-close" else job)
    play.run_until(2 * MINUTE - 3)
    start_execution = play.start_execution
    refused = iter(("States.Timeout", *["StepFunctions.ThrottlingException"] * 6))

    def loses(machine: str, name: str, given: str) -> Played:
        if "queued_since" in given and (error := next(refused, None)):
            if error == "States.Timeout":
                start_execution(machine, name, given)
            raise StatesError(error)
        return start_execution(machine, name, given)

    play.start_execution = loses  # type: ignore[method-assign]
    start = play.start(job, deadline="2026-11-23T20:00:00Z")
    play.run_until()
    assert (end(start), len(play.tasks)) == ("queued", 2)


@pytest.mark.parametrize("job", ["day-close", "alone"])
def test_a_start_whose_waiter_was_never_made_asks_for_it_again(job: str) -> None:
    play = stage()
    play.run_task_answers = [Program(seconds=2 * MINUTE), Program(seconds=10)]
    play.start("import" if job == "day-close" else job)
    play.run_until(2 * MINUTE - 3)
    start_execution = play.start_execution
    left = 7

    def refuses(machine: str, name: str, given: str) -> Played:
        nonlocal left
        if "queued_since" in given and left:
            left -= 1
            raise StatesError("StepFunctions.ThrottlingException")
        return start_execution(machine, name, given)

    play.start_execution = refuses  # type: ignore[method-assign]
    start = play.start(job, deadline="2026-11-23T20:00:00Z")
    play.run_until()
    assert (end(start), len(play.tasks)) == ("queued", 2)


def test_a_place_that_is_taken_and_not_shown_yet_may_be_its_own_waiters() -> None:
    """The first answer was lost, the name is taken, and descriptions lag: neither does it run, nor say it stepped back."""
    play = stage()
    play.program = Program(seconds=10)
    play.run_task_answers = [Program(seconds=2 * MINUTE)]
    play.start("alone")
    play.run_until(2 * MINUTE - 3)
    start_execution, details, lost = play.start_execution, play.details, False

    def loses(machine: str, name: str, given: str) -> Played:
        nonlocal lost
        if "queued_since" in given and not lost:
            lost = True
            waiter = start_execution(machine, name, given)
            play.run_until(30)  # so long until the next try
            assert waiter.status == "SUCCEEDED"
            raise StatesError("States.Timeout")
        return start_execution(machine, name, given)

    hidden = play.now + timedelta(minutes=2)
    play.start_execution = loses  # type: ignore[method-assign]
    play.details = lambda arn: (  # type: ignore[method-assign]
        None if "-after-" in arn and play.now < hidden else details(arn)
    )
    start = play.start("alone", deadline="2026-11-23T20:00:00Z")
    play.run_until()
    assert (end(start), len(play.tasks)) == ("queued", 2)


@pytest.mark.parametrize("job", ["day-close", "alone"])
@pytest.mark.parametrize("who", ["the guard", "the checker"])
def test_a_waiter_outlives_a_deployment_whose_permissions_are_not_visible_yet(job: str, who: str) -> None:
    """IAM is eventually consistent: for a minute of its third hour it is told that something is not allowed."""
    play = stage()
    play.run_task_answers = [Program(seconds=170 * MINUTE)]
    play.start("import" if job == "day-close" else job)
    play.run_until(MINUTE)
    play.start(job)
    play.run_until(130 * MINUTE)
    page = play.page
    if who == "the guard":
        play.checker_error = lambda _event: StatesError("Lambda.AccessDeniedException", "not authorized to perform")
    else:

        def denied(*_: Any, **__: Any) -> Any:
            raise PermissionDenied("states:ListExecutions is denied")

        play.page = denied  # type: ignore[method-assign]
    play.run_until(20 * MINUTE)
    play.checker_error, play.page = (lambda _event: None), page  # type: ignore[method-assign]
    play.run_until()
    waiter = next(e for e in play.executions.values() if "queued_since" in e.given)
    assert (end(waiter), len(play.tasks)) == ("started", 2)
