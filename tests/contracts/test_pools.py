"""Pools and slots in play: at most `slots` runs of a pool at once, and who waits longest goes first."""

import json
from datetime import timedelta

import pytest

from chalicelib.config.jobs import parse
from chalicelib.contract import BY_HAND
from chalicelib.read.executions import PAGE_SIZE
from lab.play import Play, Played, Program, StatesError, with_pools
from tests.contracts.bad_day import bad_day
from tests.contracts.keys import definition
from tests.contracts.played import DEFAULTS, played

MINUTE = 60.0
MORE_THAN_A_PAGE = PAGE_SIZE + 5
JOBS = (
    DEFAULTS
    + """
[pools.two]
slots = 2
[pools.three]
slots = 3
[jobs.day-close]
pool = "warehouse"
overlap = "queue"
queue_timeout = "6h"
ecs = { task_definition = "day-close" }
[jobs.import]
pool = "warehouse"
ecs = { task_definition = "import" }
[jobs.report]
pool = "warehouse"
overlap = "queue"
ecs = { task_definition = "report" }
[jobs.renew]
pool = "warehouse"
overlap = "replace"
ecs = { task_definition = "renew" }
[jobs.a]
pool = "two"
ecs = { task_definition = "a" }
[jobs.b]
pool = "two"
overlap = "queue"
ecs = { task_definition = "b" }
[jobs.c]
pool = "three"
ecs = { task_definition = "c" }
[jobs.alone]
overlap = "queue"
ecs = { task_definition = "alone" }
"""
)
POOLS = {"warehouse": {"day-close", "import", "report", "renew"}, "two": {"a", "b"}, "three": {"c"}, "alone": {"alone"}}


def stage(jobs: str = JOBS) -> Play:
    """A stage with these pools."""
    return played(jobs)


def at_once(play: Play, pool: str) -> int:
    """How many tasks of a pool were alive at once, at most."""
    return most_in(play, POOLS[pool])


def most_in(play: Play, families: set[str]) -> int:
    """How many tasks of these families were alive at once, at most."""
    return play.most_of(lambda task: task.family in families)


def of(play: Play, job: str) -> list[Played]:
    """The job's own runs."""
    return [run for run in play.runs(job) if json.loads(run.given).get("job") == job]


# --- one slot ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [0, 3, 30])
def test_jobs_of_a_pool_do_not_run_at_the_same_time(lag: int) -> None:
    play = stage()
    play.list_lag = timedelta(seconds=lag)
    starts = [play.start(job) for job in ("import", "day-close", "report", "import")]
    play.run_until()
    assert at_once(play, "warehouse") == 1
    assert len(play.tasks) >= 1
    assert all(start.status != "RUNNING" for start in starts)


def test_a_skip_names_whose_run_is_in_the_way() -> None:
    play = stage()
    play.start("day-close")
    play.run_until(10)
    start = play.start("import")
    play.run_until(40)
    assert (start.cause or "").startswith("day-close: run-000001 has been running for ")


def test_a_job_alone_has_a_pool_of_its_own_and_nothing_changes_for_it() -> None:
    play = stage()
    for _ in range(3):
        play.start("alone")
    play.run_until()
    assert [run.name for run in play.runs("alone")] == ["run-000001", "run-000002"]
    assert "alone-after-run-000001-1" in {e.name for e in play.executions.values()}
    assert not play.waiters()


def test_who_waits_longest_goes_first() -> None:
    """An import every five minutes that takes four and a half, and the day close waiting."""
    play = stage()
    play.program = Program(seconds=4.5 * MINUTE)
    for n in range(24):
        play.at(n * 5 * MINUTE, lambda: play.start("import"))
    play.at(2 * MINUTE, lambda: play.start("day-close"))
    play.run_until(30 * MINUTE)
    (run,) = of(play, "day-close")
    assert run.started_at - play.tasks[0].created_at < timedelta(minutes=8)
    play.run_until()
    assert at_once(play, "warehouse") == 1
    assert len(of(play, "import")) >= 20


def test_of_several_that_wait_the_oldest_goes_first_each_time() -> None:
    ecs = '[defaults.ecs]\ncluster = "batch"\ncontainer = "app"\nlaunch_type = "EC2"\n'
    queueing = '[defaults]\npool = "one"\noverlap = "queue"\nqueue_timeout = "9h"\n'
    play = stage(queueing + ecs + "".join(f'[jobs.{job}]\necs.task_definition = "{job}"\n' for job in "abcde"))
    play.program = Program(seconds=25 * MINUTE)
    for job in "abcde":
        play.start(job)
        play.run_until(4 * MINUTE)
    play.run_until(150 * MINUTE)
    runs = sorted(play.runs("a"), key=lambda run: run.started_at)
    assert [json.loads(run.given)["job"] for run in runs] == [*"abcde"]


def test_a_fresh_start_that_yields_says_for_whom_and_steps_back_when_that_runs() -> None:
    play = stage()
    play.program = Program(seconds=10 * MINUTE)
    play.start("import")
    play.run_until(MINUTE)
    play.start("day-close")
    play.run_until(10 * MINUTE - 3)
    (waiter,) = play.waiters()
    play.run_until(5)
    start = play.start("import")
    play.run_until(5 * MINUTE)
    assert start.error == "BatchGuard.AlreadyRunning"
    assert "day-close: run-000002" in (start.cause or "")
    assert waiter.output["run"] == "run-000002"


def test_of_two_that_wait_for_one_job_the_younger_steps_back() -> None:
    play = stage()
    play.program = Program(seconds=20 * MINUTE)
    play.start("import")
    play.run_until(MINUTE)
    starts = [play.start("day-close") for _ in range(3)]
    play.run_until()
    assert len(of(play, "day-close")) == 1
    ends = sorted(e.error or e.output["outcome"] for e in (*starts, *play.waiters()))
    assert ends == ["BatchGuard.AlreadyQueued"] * 2 + ["queued"] * 3 + ["started"]


def test_an_aborted_waiter_holds_nobody_up() -> None:
    play = stage()
    play.program = Program(seconds=10 * MINUTE)
    play.start("import")
    play.run_until(MINUTE)
    play.start("day-close")
    play.run_until(MINUTE)
    play.abort(play.waiters()[0])
    play.run_until(9 * MINUTE)
    start = play.start("import")
    play.run_until(MINUTE)
    assert start.output["run"] == "run-000002"


def test_a_waiter_that_hangs_holds_nobody_up_for_more_than_two_minutes() -> None:
    play = stage()
    play.program = Program(seconds=10 * MINUTE)
    play.start("import")
    play.run_until(MINUTE)
    play.start("day-close")
    play.run_until(MINUTE)
    hangs = play.waiters()[0].arn
    play.checker_error = lambda event: (
        StatesError("Lambda.Unknown") if event.get("guard", {}).get("execution") == hangs else None
    )
    play.run_until(9 * MINUTE)
    start = play.start("import")
    play.run_until(4 * MINUTE)
    assert start.output["run"] == "run-000002"
    assert timedelta(minutes=2) <= play.runs("import")[1].started_at - start.started_at < timedelta(minutes=3)


def test_in_a_pool_of_one_job_who_waits_goes_before_a_fresh_start() -> None:
    play = stage()
    play.program = Program(seconds=60 * MINUTE)
    play.start("alone")
    play.run_until(10 * MINUTE)
    play.start("alone")
    play.run_until(51 * MINUTE)  # the run has just ended, and the waiter looks every few minutes
    fresh = play.start("alone")
    play.run_until(10 * MINUTE)
    waiter = next(e for e in play.executions.values() if e.name == "alone-after-run-000001-1")
    assert waiter.output["run"] == "run-000002"
    assert fresh.output["outcome"] == "queued"


def test_replace_stops_only_its_own_jobs_runs() -> None:
    play = stage()
    play.program = Program(seconds=60 * MINUTE)
    play.start("day-close")
    play.run_until(MINUTE)
    assert play.start("renew")
    play.run_until(2 * MINUTE)
    assert of(play, "day-close")[0].status == "RUNNING"
    play.run_until(60 * MINUTE)
    play.start("renew")
    play.run_until(MINUTE)
    play.start("renew")
    play.run_until(MINUTE)
    assert [run.error for run in of(play, "renew")] == ["BatchGuard.Replaced", None]
    assert at_once(play, "warehouse") == 1


# --- pauses -----------------------------------------------------------------------------------------------


def paused(play: Play, job: str, **more: str) -> Played:
    """Pause a job of a shared pool, as guardctl does."""
    given = json.dumps({"job": job, "paused": True, "reason": "the database moves", **more})
    return play.start_execution(play.waiting_machine, f"{job}-paused-0123456789ab", given)


def test_a_paused_job_rests_through_its_neighbours_runs_and_holds_none_up() -> None:
    play = stage()
    play.program = Program(seconds=20)
    pause = paused(play, "import")
    for n in range(MORE_THAN_A_PAGE):
        play.at(n * MINUTE, lambda: play.start("report"))
    play.at((MORE_THAN_A_PAGE - 0.5) * MINUTE, lambda: play.start("import"))
    play.run_until((MORE_THAN_A_PAGE + 5) * MINUTE)
    assert len(of(play, "report")) == MORE_THAN_A_PAGE
    assert not of(play, "import")
    play.abort(pause)
    play.start("import")
    play.run_until(MINUTE)
    assert len(of(play, "import")) == 1


@pytest.mark.parametrize("error", ["Lambda.Unknown", "Lambda.AccessDeniedException"])
def test_a_pause_holds_though_the_checker_can_not_be_asked_for_an_hour(error: str) -> None:
    """Jobs are paused when something is wrong; it is in force while its execution is open."""
    play = stage()
    play.checker_error = lambda _event: StatesError(error, "it is down")
    pause = paused(play, "import")
    play.run_until(60 * MINUTE)
    play.checker_error = lambda _event: None
    play.run_until(15 * MINUTE)
    start = play.start("import")
    play.run_until(MINUTE)
    assert (pause.status, start.error) == ("RUNNING", "BatchGuard.Paused")


def test_a_warm_checker_does_not_pass_over_a_pause_that_was_there_before_the_start() -> None:
    play = stage()
    play.start("report")
    play.run_until(1)  # the checker has read who waits and who pauses
    paused(play, "import")
    play.run_until(1)
    start = play.start("import")
    play.run_until(1)
    assert start.error == "BatchGuard.Paused"


def test_a_pause_ends_by_itself() -> None:
    play = stage()
    pause = paused(play, "import", until="2026-11-23T18:30:00Z")
    play.run_until(20 * MINUTE)
    first = play.start("import")
    play.run_until(20 * MINUTE)
    second = play.start("import")
    play.run_until()
    assert first.error == "BatchGuard.Paused"
    assert "the database moves" in (first.cause or "")
    assert pause.status == "SUCCEEDED"
    assert second.output["outcome"] == "started"


# --- several slots ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [0, 3, 30])
def test_at_most_as_many_run_as_there_are_slots_and_no_fewer(lag: int) -> None:
    play = stage()
    play.program = Program(seconds=10 * MINUTE)
    play.list_lag = timedelta(seconds=lag)
    for _ in range(8):
        play.start("c")
    play.run_until(9 * MINUTE)
    assert (len(play.tasks), at_once(play, "three")) == (3, 3)
    assert {task.environment["BATCH_SLOT"] for task in play.tasks} == {"1", "2", "3"}


def test_more_short_runs_than_a_page_has_beside_a_long_one() -> None:
    play = stage()
    play.run_task_answers = [Program(seconds=300 * MINUTE)]
    play.program = Program(seconds=30)
    play.start("a")
    for n in range(MORE_THAN_A_PAGE):
        play.at(30 + n * MINUTE, lambda: play.start("a"))
    play.run_until((MORE_THAN_A_PAGE + 5) * MINUTE)
    assert len(play.tasks) == MORE_THAN_A_PAGE + 1
    assert at_once(play, "two") == 2


def test_an_orphan_holds_its_own_slot_and_an_outsider_the_first_free_one() -> None:
    play = stage()
    play.program = Program(seconds=120 * MINUTE)
    play.start("c")
    play.run_until(MINUTE)
    play.abort(play.runs("c")[0])
    play.run_until(10 * MINUTE)
    play.task_by_hand("batch", "c", Program(seconds=60 * MINUTE))
    play.start("c")
    play.run_until(MINUTE)
    start = play.start("c")
    play.run_until(MINUTE)
    assert at_once(play, "three") == 3
    assert start.error == "BatchGuard.AlreadyRunning"
    assert "all 3 slots are held" in (start.cause or "")
    play.run_until(65 * MINUTE)
    again = play.start("c")
    play.run_until(MINUTE)
    assert again.output, "the outsider has stopped"


def test_an_unclear_claim_is_cleared_up_in_its_own_slot() -> None:
    play = stage()
    play.program = Program(seconds=30 * MINUTE)
    play.start("b")
    play.run_until(MINUTE)
    play.lost_replies = {"run-000001"}
    start = play.start("a")
    play.run_until(5 * MINUTE)
    assert start.output["state_machine_arn"].endswith("--2")
    assert len(play.tasks) == 2


def test_each_slots_names_are_renewed() -> None:
    play = stage()
    for slot in (1, 2):
        play.start("a", renewal=True, slot=slot)
    play.run_until()
    assert [run.arn.rpartition("-two")[2] for run in play.runs("a")] == [":run-000001", "--2:run-000001"]
    assert not play.tasks


# --- changes ----------------------------------------------------------------------------------------------


def test_machines_and_functions_that_disagree_on_a_pool_run_nothing_and_say_what_to_do() -> None:
    play = stage()
    play.jobs = parse(JOBS.replace('pool = "warehouse"', 'pool = "other"', 1), stage="dev", place="moved")
    moved, left = play.start("day-close"), play.start("import")
    play.run_until()
    assert moved.error == "BatchGuard.CheckFailed"
    assert "guardctl deploy" in (moved.cause or "")
    assert left.output["run"] == "run-000001"
    assert moved.stopped_at
    assert moved.stopped_at - moved.started_at < 2 * BY_HAND


@pytest.mark.parametrize("functions_first", [True, False])
def test_of_two_numbers_of_slots_the_smaller_counts(functions_first: bool) -> None:
    fewer = parse(JOBS.replace("[pools.two]\nslots = 2", "[pools.two]\nslots = 1"), stage="dev", place="fewer")
    play = stage()
    play.program = Program(seconds=30 * MINUTE)
    if functions_first:
        play.jobs = fewer
    else:
        play.definitions["guard"] = with_pools(definition("guard"), fewer)
    for _ in range(4):
        play.start("a")
    play.run_until(5 * MINUTE)
    assert len(play.tasks) == 1


def test_fewer_slots_while_more_run_and_more_again() -> None:
    play = stage()
    play.run_task_answers = [Program(seconds=10 * MINUTE), Program(seconds=60 * MINUTE)]
    play.start("a")
    play.start("b")
    play.run_until(5 * MINUTE)
    assert len(play.tasks) == 2
    fewer = parse(JOBS.replace("[pools.two]\nslots = 2", "[pools.two]\nslots = 1"), stage="dev", place="fewer")
    play.jobs, before = fewer, play.jobs
    play.run_until(10 * MINUTE)  # the run of the first slot has ended; that of the second goes on
    start = play.start("a")
    play.run_until(MINUTE)
    assert start.error == "BatchGuard.AlreadyRunning"
    assert len(play.tasks) == 2
    play.jobs = before
    play.start("a")
    play.run_until(MINUTE)
    assert at_once(play, "two") == 2
    assert [run.name for run in play.runs("a")] == ["run-000001", "run-000001", "run-000002"]


# --- a bad day --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
def test_on_a_bad_day_no_pool_has_more_than_its_slots_and_afterwards_every_job_runs(seed: int) -> None:
    play, slots = bad_day(seed, jobs=9, pools=3, minutes=30)
    for pool, number in slots.items():
        most = most_in(play, {f"j{n}" for n in range(9) if n % 3 == int(pool[1:])})
        assert most <= number, f"{pool}: {most} at once"
    hanging = [e.name for e in play.executions.values() if e.status == "RUNNING"]
    assert not hanging
    waits = [e.stopped_at - e.started_at for e in play.waiters() if e.stopped_at]
    assert max(waits, default=timedelta()) <= timedelta(minutes=62), "queue_timeout, and a look more"
    for n in range(9):
        start = play.start(f"j{n}", deadline="2026-11-25T06:00:00Z")
        play.run_until(10 * MINUTE)
        assert start.output, f"j{n}: {start.error}: {start.cause}"
