"""What a start does about what is in its way: every rule a row. The ids are the rules."""

from dataclasses import asdict, replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from chalicelib.decide.availability import Holder
from chalicelib.decide.facts import CantTell, Claim, Details, Execution, NeedDetails, NeedTasksOf, Target
from chalicelib.decide.overlap import (
    Decision,
    Queue,
    Queued,
    Run,
    Skip,
    Start,
    Started,
    StopRun,
    StopTask,
    Wait,
)
from chalicelib.decide.policy import Policy
from tests.world import (
    ASKS,
    COMMAND,
    GUARD,
    GUARD_MACHINE,
    MACHINE,
    NOW,
    STAGE_RUNS,
    TARGET,
    WAITING_MACHINE,
    History,
    ago,
    arn_of,
    execution,
    run,
    task,
)

JUST_BEGUN = ago(0.2)


def start(overlap: Any = "skip", *, look: int = 1, **more: Any) -> Start:
    """A start of this very minute under the policy; `look` 1 is its first, 2 its second."""
    policy = Policy("nightly-report", overlap, grace=15)
    return Start(
        replace(ASKS, may_wait=look == 1),
        policy,
        began_at=JUST_BEGUN,
        deadline=NOW + timedelta(hours=1),
        guard_machine=GUARD_MACHINE,
        waiting_machine=WAITING_MACHINE,
        **more,
    )


def orphans_stopped(start: Start) -> Start:
    """The same with orphans = stop."""
    return replace(start, policy=replace(start.policy, orphans="stop"))


def waiting(after: str, *, minutes: float, overlap: Any = "queue", **more: Any) -> Start:
    """A start that waits, as the guard execution ``nightly-report-after-<after>``, and has been for so long."""
    begun = start(overlap, queued_since=ago(minutes), **more)
    guard = f"{GUARD.rpartition(':')[0]}:nightly-report-after-{after}"
    return replace(begun, request=replace(begun.request, guard_execution=guard))


def asked_for(begun: Start, run_name: str, *, taken: bool = True) -> Start:
    """The same start after it asked for a run."""
    return replace(begun, request=replace(begun.request, claim=Claim(run_name, taken, MACHINE), losses=1))


RUNS = History((run(41, "RUNNING", began=61),))
"""A run that began an hour ago is in progress."""
BEGAN_SINCE = History((run(41, "RUNNING", began=0.1),))
"""The run in progress began after the start."""
ORPHAN = History((run(41, "ABORTED", ended=9),), tasks=(task(of="run-000041", created_at=ago(60), cluster="batch"),))
UNSEEN = History((run(41, "ABORTED", began=61, ended=0.1),))
COPY = History(
    (run(41, began=600, ended=540),), tasks=(task("t2", of="run-000041", created_at=ago(5), cluster="batch"),)
)
"""A task with the name of a run that has closed cleanly: somebody made it, with that run's environment."""
FROM_ELSEWHERE = History(
    (run(41),),
    tasks=(
        task(of=STAGE_RUNS + "hourly-import:run-000007", job="nightly-report", created_at=ago(60), cluster="batch"),
    ),
)
"""A task of this job, from before it moved here."""
BY_HAND = History((run(41),), tasks=(task(command=COMMAND, created_at=ago(60)),))
RENEWAL = replace(RUNS, details={"run-000041": Details(run(41, "RUNNING", began=61), renewal=True)})
"""A renewal of the run numbers is in the way."""
PAUSE = execution("paused-000003", "RUNNING", began=60)
PAUSED = History((PAUSE, run(41)), details={"paused-000003": Details(PAUSE, reason="the database moves")})


def waiters(**of: Execution) -> dict[str, Details | None]:
    """Guard executions that wait, by the end of their names with _ for -."""
    return {f"nightly-report-after-{name.replace('_', '-')}": Details(e, None, "another") for name, e in of.items()}


NOT_VISIBLE_YET = History((run(41),), tasks=(task(of="run-000042"),), details={"run-000042": None})
WAITS = execution("w", "RUNNING", began=5)
GAVE_UP = execution("w", "FAILED", began=90, ended=30)

ANY = Holder("run", "any", "any")
"""In a row: some holder."""

TABLE = [
    # skip
    pytest.param(start(), History((run(41),)), Run("free: run-000041 has ended", 42, MACHINE), id="free: it starts"),
    pytest.param(start(), RUNS, Wait("run-000041 has been running for 61 min", ANY, 15), id="skip: busy may be old news, so it waits the grace"),
    pytest.param(start(look=2), RUNS, Skip("run-000041 has been running for 61 min", ANY, "AlreadyRunning"), id="skip: on the second look it steps back"),
    pytest.param(start(look=2), BY_HAND, Skip("a task that this guard did not start", ANY, "AlreadyRunning"), id="skip: a task by hand is in the way, too"),
    pytest.param(start(look=2), ORPHAN, Skip("run-000041 was closed, but its task lives on", ANY, "AlreadyRunning"), id="skip: an orphan is waited for by default"),
    # orphans = stop
    pytest.param(orphans_stopped(start()), ORPHAN, StopTask("run-000041 was closed, but", ANY, 5, "batch"), id="orphans = stop: the orphan is stopped"),
    pytest.param(orphans_stopped(start(look=2)), ORPHAN, StopTask("run-000041 was closed, but", ANY, 5, "batch"), id="orphans = stop: and again until it is STOPPED"),
    pytest.param(orphans_stopped(start(look=2)), BY_HAND, Skip("a task that this guard", ANY, "AlreadyRunning"), id="orphans = stop: a task by hand is nobody's orphan"),
    pytest.param(orphans_stopped(start(look=2)), RUNS, Skip("run-000041 has", ANY, "AlreadyRunning"), id="orphans = stop: a run in progress has no orphan"),
    pytest.param(orphans_stopped(start(look=2)), COPY, Skip("a task with the name of run-000041", ANY, "AlreadyRunning"), id="orphans = stop: a copy of a task is nobody's orphan"),
    pytest.param(orphans_stopped(start()), replace(ORPHAN, tasks=(task(of="run-000041", cluster="old-cluster"),)), StopTask("run-000041 was closed, but", ANY, 5, "old-cluster"), id="orphans = stop: it is stopped in the cluster where it lives"),
    pytest.param(replace(orphans_stopped(start(look=2)), deadline=NOW), ORPHAN, Skip("run-000041 was closed", ANY, "AlreadyRunning"), id="orphans = stop: not beyond the deadline"),
    pytest.param(orphans_stopped(start(look=2)), NOT_VISIBLE_YET, Skip("run-000042 is not seen closed, and its task is alive", ANY, "AlreadyRunning"), id="orphans = stop: a task whose run is not visible yet is no orphan"),
    # replace
    pytest.param(start("replace", look=2), NOT_VISIBLE_YET, Skip("run-000042 is not seen closed, and its task is alive", ANY, "AlreadyRunning"), id="replace: a run that is not visible yet is not replaced"),
    pytest.param(start("replace"), RUNS, StopRun("run-000041 has been running", ANY, 5), id="replace: a run that began before it is stopped"),
    pytest.param(start("replace", look=2), UNSEEN, Wait("run-000041 ended as ABORTED", ANY, 5), id="replace: what it stopped must be seen STOPPED"),
    pytest.param(start("replace", look=2), ORPHAN, StopTask("run-000041 was closed, but", ANY, 5, "batch"), id="replace: and its task is stopped if Step Functions left it behind"),
    pytest.param(start("replace", look=2, scheduled_at=ago(50)), History((run(41, "ABORTED", began=61, ended=9),), tasks=(task(of="run-000041", created_at=ago(49), cluster="batch"),)), StopTask("run-000041 was closed, but", ANY, 5, "batch"), id="replace: what counts is when the run began, not its task"),
    pytest.param(start("replace", look=2, scheduled_at=ago(62)), History((run(41, "ABORTED", began=61, ended=9),), tasks=(task(of="run-000041", created_at=ago(60)),)), Skip("run-000041 was closed, but", ANY, "AlreadyRunning"), id="replace: the task of a run that began after it is left alone"),
    pytest.param(start("replace", look=2), BEGAN_SINCE, Skip("run-000041 has been", ANY, "AlreadyRunning"), id="replace: a run that began after it is left alone"),
    pytest.param(start("replace", look=2, scheduled_at=ago(90)), RUNS, Skip("run-000041 has been", ANY, "AlreadyRunning"), id="replace: a late start leaves alone what began after its scheduled time"),
    pytest.param(start("replace", look=2, scheduled_at=NOW + timedelta(hours=1)), BEGAN_SINCE, Skip("run-000041", ANY, "AlreadyRunning"), id="replace: nor does a scheduled time to come let it stop what began after it"),
    pytest.param(start("replace", look=2), BY_HAND, Skip("a task that this guard", ANY, "AlreadyRunning"), id="replace: a task by hand is never stopped"),
    pytest.param(start("replace", look=2), History((execution("5f0c", "RUNNING", began=60),)), Skip("5f0c has been", ANY, "AlreadyRunning"), id="replace: nor an execution that is no run"),
    pytest.param(replace(start("replace", look=2), deadline=NOW), RUNS, Skip("run-000041", ANY, "AlreadyRunning"), id="replace: not beyond the deadline"),
    pytest.param(asked_for(start("replace", look=2), "run-000042"), History((run(41),), details={"run-000042": Details(run(42, "RUNNING", began=0.1), None, "another")}), Skip("run-000042 was started by another start", ANY, "AlreadyRunning"), id="replace: of two that meet, one loses the name and steps back"),
    pytest.param(asked_for(start("replace"), "run-000042"), History((run(41),), details={"run-000042": None}), Wait("run-000042 was started by another start", ANY, 15), id="replace: who may have a run of its own stops nothing"),
    pytest.param(start("replace", look=2), COPY, Skip("a task with the name of run-000041", ANY, "AlreadyRunning"), id="replace: a copy of a task is never stopped"),
    pytest.param(start("replace", look=2), replace(UNSEEN, details={"run-000041": None}), Wait("run-000041 ended as ABORTED, and Step Functions does not show yet", ANY, 5), id="replace: what it stopped must be described, too"),
    # a renewal
    pytest.param(start(), RENEWAL, Wait("run-000041 has been running for 61 min", ANY, 15), id="a renewal: on the first look it is as any run"),
    pytest.param(start(look=2), RENEWAL, Wait("run-000041 renews the run numbers and runs nothing", ANY, 15), id="a renewal: skip waits for it, though it has waited"),
    pytest.param(start("queue", look=2), RENEWAL, Wait("run-000041 renews", ANY, 15), id="a renewal: queue waits for it, and for no place"),
    pytest.param(start("queue"), RENEWAL, Wait("run-000041 renews", ANY, 15), id="a renewal: also on the first look"),
    pytest.param(start("replace", look=2), RENEWAL, Wait("run-000041 renews", ANY, 15), id="a renewal: it is not replaced"),
    pytest.param(waiting("run-000040-1", minutes=9), RENEWAL, Wait("run-000041 renews", ANY, 15), id="a renewal: who waits keeps its place"),
    pytest.param(asked_for(start(look=2), "run-000042"), History((run(41),), details={"run-000042": Details(run(42, "RUNNING", began=0.1), None, "another", renewal=True)}), Wait("run-000042 renews", ANY, 15), id="a renewal: who lost the name to one looks again"),
    pytest.param(replace(start(look=2), deadline=NOW), RENEWAL, Skip("run-000041 has been", ANY, "AlreadyRunning"), id="a renewal: skip does not wait past its deadline"),
    pytest.param(replace(start("replace", look=2), deadline=NOW), RENEWAL, Skip("run-000041 has been", ANY, "AlreadyRunning"), id="a renewal: nor does replace"),
    pytest.param(replace(start("queue", look=2), deadline=NOW), RENEWAL, Queue("run-000041 has been", ANY, "nightly-report-after-run-000041-1", GUARD_MACHINE), id="a renewal: past its deadline queue takes it for a run"),
    # old news
    pytest.param(start(), History((run(41, began=90 * 1440, ended=80 * 1440),)), Wait("run-000041 ended on 2026-09-04T19:01:00Z, 80 days ago", None, 15), id="a rest that seems too long may be old news, so it waits the grace"),
    # queue
    pytest.param(start("queue"), RUNS, Queue("run-000041 has been", ANY, "nightly-report-after-run-000041-1", GUARD_MACHINE), id="queue: one waits for the job, after the run"),
    pytest.param(start("queue"), BY_HAND, Queue("a task that", ANY, "nightly-report-after-run-000041-1", GUARD_MACHINE), id="queue: a task by hand is waited for at the place after the last run"),
    pytest.param(start("queue"), replace(BY_HAND, page=()), Queue("a task that", ANY, "nightly-report-after-run-000000-1", GUARD_MACHINE), id="queue: also before the first run"),
    pytest.param(start("queue", place_taken="nightly-report-after-run-000041-1"), replace(RUNS, details=waiters(run_000041_1=WAITS)), Skip("nightly-report-after-run-000041-1 already waits", ANY, "AlreadyQueued"), id="queue: the place is taken: it steps back"),
    pytest.param(start("queue", place_taken="nightly-report-after-run-000041-1"), RUNS, Skip("nightly-report-after-run-000041-1 already waits", ANY, "AlreadyQueued"), id="queue: the place is taken by one that is not visible yet"),
    pytest.param(start("queue", place_taken="nightly-report-after-run-000041-1"), replace(RUNS, details=waiters(run_000041_1=GAVE_UP)), Queue("run-000041", ANY, "nightly-report-after-run-000041-2", GUARD_MACHINE), id="queue: the one that waited gave up, so nobody waits: the next turn"),
    pytest.param(start("queue", place_taken="nightly-report-after-run-000040-7"), RUNS, Queue("run-000041", ANY, "nightly-report-after-run-000041-1", GUARD_MACHINE), id="queue: meanwhile another run is in the way: the place after that one"),
    pytest.param(start("queue", place_taken="nightly-report-after-run-000041-1"), replace(RUNS, details={"nightly-report-after-run-000041-1": Details(WAITS, None, GUARD)}), Queued("nightly-report-after-run-000041-1 waits for this start", ANY, "nightly-report-after-run-000041-1", GUARD_MACHINE), id="queue: the one that waits was asked for by itself: the answer had been lost"),
    pytest.param(asked_for(start("queue"), "run-000042"), History((run(41),), details={"run-000042": None}), Wait("run-000042 was started", ANY, 15), id="queue: who may have a run of its own does not wait for another"),
    pytest.param(waiting("run-000041-1", minutes=2), RUNS, Wait("run-000041 has been", ANY, 6), id="a waiter waits on, a twentieth of the time so far"),
    pytest.param(waiting("run-000041-1", minutes=59), RUNS, Wait("run-000041 has been", ANY, 177), id="a waiter waits on until its time is up"),
    pytest.param(waiting("run-000041-1", minutes=60), RUNS, Skip("waited for 60 min, and run-000041 has been", ANY, "WaitedTooLong"), id="a waiter gives up after queue_timeout"),
    pytest.param(waiting("run-000041-1", minutes=9), History((run(41),)), Run("free", 42, MACHINE), id="a waiter starts when the job is free"),
    pytest.param(waiting("run-000041-1", minutes=9), History((run(40, "RUNNING"),)), Wait("run-000040", ANY, 27), id="a waiter that reads an old list keeps its place"),
    pytest.param(waiting("run-000041-2", minutes=9), History((run(42, "RUNNING"),)), Queue("run-000042 has been", ANY, "nightly-report-after-run-000042-1", GUARD_MACHINE), id="a waiter that another start overtook gets the place behind it"),
    pytest.param(waiting("run-000041-2", minutes=9, place_taken="nightly-report-after-run-000042-1"), replace(History((run(42, "RUNNING"),)), details=waiters(run_000042_1=WAITS)), Skip("nightly-report-after-run-000042-1 already waits", ANY, "AlreadyQueued"), id="a waiter that another start overtook steps back when that place is taken"),
    pytest.param(waiting("run-000041-1", minutes=9, overlap="skip", look=2), RUNS, Wait("run-000041", ANY, 27), id="a waiter waits on when the jobs file has meanwhile changed to skip"),
    # paused
    pytest.param(start(), PAUSED, Skip("paused since 2026-11-23T18:01:00Z: the database moves", ANY, "Paused"), id="paused: it steps back at once, with the reason"),
    pytest.param(start("replace"), replace(PAUSED, page=(PAUSE, run(41, "RUNNING"))), Skip("paused since", ANY, "Paused"), id="paused: nothing is replaced"),
    pytest.param(start("queue"), replace(PAUSED, page=(PAUSE, run(41, "RUNNING"))), Skip("paused since", ANY, "Paused"), id="paused: nothing waits"),
    pytest.param(waiting("run-000041-1", minutes=9), replace(PAUSED, page=(PAUSE, run(41, "RUNNING"))), Skip("paused since", ANY, "Paused"), id="paused: who waits gives up"),
    pytest.param(start(), replace(PAUSED, details={"paused-000003": None}), Skip("paused since 2026-11-23T18:01:00Z: no reason is visible", ANY, "Paused"), id="paused: also when the reason is not visible"),
    pytest.param(start(anyway=True), PAUSED, Run("free", 42, MACHINE), id="paused, but anyway: it starts"),
    pytest.param(start(anyway=True, look=2), replace(PAUSED, page=(PAUSE, run(41, "RUNNING"))), Skip("run-000041", ANY, "AlreadyRunning"), id="anyway is no way past a run"),
    pytest.param(start(), History((replace(PAUSE, status="ABORTED", stopped_at=ago(1)), run(41))), Run("free", 42, MACHINE), id="resumed: it starts"),
    pytest.param(asked_for(start(), "run-000042", taken=False), replace(PAUSED, details={**PAUSED.details, "run-000042": Details(run(42, "RUNNING"), None, GUARD)}), Started("run-000042 is this guard execution's own", ANY), id="paused a moment too late: its run is there"),
]  # fmt: skip


@pytest.mark.parametrize(("begun", "history", "expected"), TABLE)
def test_what_a_start_does(begun: Start, history: History, expected: Decision) -> None:
    decision = history.decide(begun)
    assert (type(decision), decision.reason[: len(expected.reason)]) == (type(expected), expected.reason)
    ours, theirs = asdict(decision), asdict(expected)
    assert (ours.get("holder") is None) == (theirs.get("holder") is None)
    assert [ours[key] for key in ours if key not in ("reason", "holder")] == [
        theirs[key] for key in theirs if key not in ("reason", "holder")
    ]


@pytest.mark.parametrize(
    "history",
    [
        pytest.param(COPY, id="a copy"),
        pytest.param(BY_HAND, id="a task by hand"),
        pytest.param(FROM_ELSEWHERE, id="from elsewhere"),
        pytest.param(NOT_VISIBLE_YET, id="of a run that is not visible yet"),
    ],
)
def test_a_task_that_no_closed_run_left_behind_is_never_stopped(history: History) -> None:
    for overlap, look, stop, scheduled in product(
        ("skip", "queue", "replace"), (1, 2), (False, True), (None, ago(1000), NOW)
    ):
        begun = start(overlap, look=look, scheduled_at=scheduled)
        decision = history.decide(orphans_stopped(begun) if stop else begun)
        assert isinstance(decision, Wait | Queue | Skip), (overlap, look, stop, decision)


STOPPED_FOR = "; but its task has been STOPPED for {}: end the run with: guardctl stop JOB"


def stopped(minutes: float, **more: Any) -> History:
    """Run 41 has been open for an hour; its task has been STOPPED for so long."""
    ended = task(of="run-000041", status="STOPPED", created_at=ago(60), stopped_at=ago(minutes))
    details = {"run-000041": Details(run(41, "RUNNING", began=61), target=TARGET, **more)}
    return replace(RUNS, stopped={"run-000041": (ended,)}, details=details)


def also(history: History, **of: Any) -> History:
    """The same, and another task of the run."""
    return replace(history, stopped={"run-000041": (*history.stopped["run-000041"], task("t2", of="run-000041", **of))})


@pytest.mark.parametrize(
    ("history", "says"),
    [
        pytest.param(stopped(5), STOPPED_FOR.format("5 min"), id="stopped for five minutes: the run should have heard"),
        pytest.param(stopped(4.9), "", id="stopped a moment ago: the run will hear of it"),
        pytest.param(stopped(14.9, retries=1), "", id="with retries there may be ten minutes between two tasks"),
        pytest.param(stopped(15, retries=1), STOPPED_FOR.format("15 min"), id="with retries, after fifteen minutes"),
        pytest.param(also(stopped(50), created_at=ago(40)), "", id="a later task is alive"),
        pytest.param(also(stopped(5), created_at=ago(70)), "", id="an earlier task is alive"),
        pytest.param(also(stopped(50), status="STOPPED", created_at=ago(40), stopped_at=ago(1)), "", id="the newest task counts"),
        pytest.param(also(stopped(9), status="STOPPED", created_at=ago(70), stopped_at=ago(1)), STOPPED_FOR.format("9 min"), id="not the one that stopped last"),
        pytest.param(RUNS, "", id="ECS shows no task, or does not answer: nothing is said"),
        pytest.param(replace(RUNS, details={"run-000041": None}), "", id="the run can't be described: nothing is said"),
    ],
)  # fmt: skip
def test_a_skip_says_when_the_run_in_the_way_has_no_task_any_more(history: History, says: str) -> None:
    decision = history.decide(start(look=2))
    assert isinstance(decision, Skip)
    assert decision.reason == f"run-000041 has been running for 61 min, since 2026-11-23T18:00:00Z{says}"


@pytest.mark.parametrize(
    ("began", "asks"),
    [pytest.param(5.9, False, id="younger than six minutes"), pytest.param(6, True, id="six minutes old")],
)
def test_ecs_is_asked_about_the_run_in_the_way_only_when_it_should_show_its_task(began: float, asks: bool) -> None:
    elsewhere = Target("old-cluster", "old-report", "app")
    details = Details(run(41, "RUNNING", began=began), target=elsewhere)
    history = History((run(41, "RUNNING", began=began),), details={"run-000041": details})
    asked = history.asked_by(start(look=2))
    assert NeedDetails(arn_of("run-000041")) in asked
    assert (NeedTasksOf(arn_of("run-000041"), elsewhere) in asked) is asks


def test_a_pause_is_not_believed_by_a_start_that_may_have_run() -> None:
    history = replace(PAUSED, details={**PAUSED.details, "run-000042": None})
    with pytest.raises(CantTell, match="by now the job is paused"):
        history.decide(asked_for(start(), "run-000042", taken=False))


def test_a_queue_in_which_everybody_gave_up_is_not_joined() -> None:
    name = "nightly-report-after-run-000041-99"
    with pytest.raises(CantTell, match="99 starts have given up waiting behind run-000041"):
        replace(RUNS, details={name: Details(GAVE_UP)}).decide(start("queue", place_taken=name))


@pytest.mark.parametrize("days", [1, 7])
def test_waiting_stays_far_from_the_end_of_a_history(days: int) -> None:
    waited, looks = timedelta(0), 0
    policy = Policy("nightly-report", "queue", queue_timeout=days * 86_400)
    while waited < timedelta(days=days):
        begun = replace(waiting("run-000041-1", minutes=0), policy=policy, queued_since=NOW - waited)
        decision = RUNS.decide(begun)
        assert isinstance(decision, Wait)
        waited += timedelta(seconds=decision.seconds)
        looks += 1
    events_of_a_look = 9
    assert looks * events_of_a_look < 25_000 / 2
