"""What a start does about what is in its way: every rule a row. The ids are the rules."""

from dataclasses import asdict, replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from chalicelib.decide.decisions import Decision, Queue, Queued, Run, Skip, Started, StopRun, StopTask, Wait
from chalicelib.decide.facts import (
    CantTell,
    Claim,
    Details,
    Execution,
    Member,
    Missing,
    NeedDetails,
    NeedEvidence,
    NeedPage,
    NeedTasksOf,
    NeedWaiting,
    Target,
)
from chalicelib.decide.overlap import Start
from chalicelib.decide.policy import Policy
from chalicelib.decide.verdicts import Holder
from chalicelib.names import execution_arn, pool_waiter_name
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
    slot,
    task,
    with_slots,
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


NOT_VISIBLE_YET = History((run(41),), tasks=(task(of="run-000042", cluster="batch"),), details={"run-000042": None})
"""A run that neither the page nor a description shows, but its task is alive: so it is no renewal."""
UNDESCRIBED = replace(RUNS, details={"run-000041": None})
"""A run that the page shows and a description does not yet."""
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
    pytest.param(start("queue", place_taken="nightly-report-after-run-000041-1"), replace(RUNS, details=waiters(run_000041_1=WAITS)), Wait("run-000041 has been running for 61 min", ANY, 15), id="queue: the place is taken, which may be old news, so it waits the grace"),
    pytest.param(start("queue", place_taken="nightly-report-after-run-000041-1", look=2), replace(RUNS, details=waiters(run_000041_1=WAITS)), Skip("nightly-report-after-run-000041-1 already waits", ANY, "AlreadyQueued"), id="queue: the place is taken: on the second look it steps back"),
    pytest.param(start("queue", place_taken="nightly-report-after-run-000041-1"), RUNS, Wait("the name nightly-report-after-run-000041-1 is taken, and Step Functions does not show yet whose", ANY, 15), id="queue: the place is taken by one that is not visible yet, which may be its own"),
    pytest.param(start("queue", place_taken="nightly-report-after-run-000041-1", place_is_unclear=True), History((run(41),)), Queue("nightly-report-after-run-000041-1 was asked for, and no answer came", ANY, "nightly-report-after-run-000041-1", GUARD_MACHINE), id="queue: no answer came, and none is visible: it asks for that very name, also when the job is free by now"),
    pytest.param(start("queue", place_taken="nightly-report-after-run-000041-1", place_is_unclear=True), replace(RUNS, details=waiters(run_000041_1=GAVE_UP)), Queue("run-000041", ANY, "nightly-report-after-run-000041-2", GUARD_MACHINE), id="queue: no answer came, and that one was another's: the next turn"),
    pytest.param(start("queue", place_taken="nightly-report-after-run-000041-1"), replace(RUNS, details=waiters(run_000041_1=GAVE_UP)), Queue("run-000041", ANY, "nightly-report-after-run-000041-2", GUARD_MACHINE), id="queue: the one that waited gave up, so nobody waits: the next turn"),
    pytest.param(start("queue", place_taken="nightly-report-after-run-000040-7"), replace(RUNS, details=waiters(run_000040_7=GAVE_UP)), Queue("run-000041", ANY, "nightly-report-after-run-000041-1", GUARD_MACHINE), id="queue: meanwhile another run is in the way: the place after that one"),
    pytest.param(start("queue", place_taken="nightly-report-after-run-000041-1"), replace(RUNS, details={"nightly-report-after-run-000041-1": Details(WAITS, None, GUARD)}), Queued("nightly-report-after-run-000041-1 waits for this start", ANY, "nightly-report-after-run-000041-1", GUARD_MACHINE), id="queue: the one that waits was asked for by itself: the answer had been lost"),
    pytest.param(asked_for(start("queue"), "run-000042"), History((run(41),), details={"run-000042": None}), Wait("run-000042 was started", ANY, 15), id="queue: who may have a run of its own does not wait for another"),
    pytest.param(waiting("run-000041-1", minutes=2), RUNS, Wait("run-000041 has been", ANY, 6), id="a waiter waits on, a twentieth of the time so far"),
    pytest.param(waiting("run-000041-1", minutes=59), RUNS, Wait("run-000041 has been", ANY, 177), id="a waiter waits on until its time is up"),
    pytest.param(waiting("run-000041-1", minutes=60), RUNS, Skip("waited for 60 min, and run-000041 has been", ANY, "WaitedTooLong"), id="a waiter gives up after queue_timeout"),
    pytest.param(waiting("run-000041-1", minutes=9), History((run(41),)), Run("free", 42, MACHINE), id="a waiter starts when the job is free"),
    pytest.param(waiting("run-000041-1", minutes=9), History((run(40, "RUNNING"),)), Wait("run-000040", ANY, 27), id="a waiter that reads an old list keeps its place"),
    pytest.param(waiting("run-000041-2", minutes=9), History((run(42, "RUNNING"),)), Queue("run-000042 has been", ANY, "nightly-report-after-run-000042-1", GUARD_MACHINE), id="a waiter that another start overtook gets the place behind it"),
    pytest.param(waiting("run-000041-2", minutes=9, look=2, place_taken="nightly-report-after-run-000042-1"), replace(History((run(42, "RUNNING"),)), details=waiters(run_000042_1=WAITS)), Skip("nightly-report-after-run-000042-1 already waits", ANY, "AlreadyQueued"), id="a waiter that another start overtook steps back when that place is taken"),
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
    is_decided(history.decide(begun), expected)


def is_decided(decision: Decision, expected: Decision) -> None:
    """The decision is as expected; its reason begins so, and a holder is some holder."""
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
    ],
)  # fmt: skip
def test_a_skip_says_when_the_run_in_the_way_has_no_task_any_more(history: History, says: str) -> None:
    decision = history.decide(start(look=2))
    assert isinstance(decision, Skip)
    assert decision.reason == f"run-000041 has been running for 61 min, since 2026-11-23T18:00:00Z{says}"


@pytest.mark.parametrize("overlap", ["skip", "replace"])
@pytest.mark.parametrize("of_a_pool", [False, True])
def test_a_run_that_cant_be_described_may_be_a_renewal_so_no_start_steps_back_for_it(
    overlap: str, of_a_pool: bool
) -> None:
    """Until the deadline it is asked again."""
    begun = start(overlap, look=2, scheduled_at=ago(90))
    begun = shared(begun) if of_a_pool else begun
    with pytest.raises(CantTell, match=r"run-000041 has .*, and whether it only renews the run numbers is not visible"):
        UNDESCRIBED.decide(begun)
    late = UNDESCRIBED.decide(replace(begun, deadline=NOW))
    is_decided(late, Skip("run-000041 has been running for 61 min, since 2026-11-23T18:00:00Z", ANY, "AlreadyRunning"))
    assert late.reason.endswith("Z"), "nothing is said of its task"


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


def test_a_place_that_stays_invisible_is_nobodys() -> None:
    with pytest.raises(CantTell, match="is taken, and Step Functions does not show yet whose it is"):
        RUNS.decide(start("queue", place_taken="nightly-report-after-run-000041-1", look=2))


def test_a_queue_in_which_everybody_gave_up_is_not_joined() -> None:
    name = "nightly-report-after-run-000041-99"
    with pytest.raises(CantTell, match="99 starts have given up waiting behind run-000041"):
        replace(RUNS, details={name: Details(GAVE_UP)}).decide(start("queue", place_taken=name))


@pytest.mark.thorough
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


# --- a pool of one job: who waits goes first --------------------------------------------------------------

FIRST = "nightly-report-after-run-000041-1"
SECOND = "nightly-report-after-run-000041-2"
FREE = History((run(41),))
EVERYBODY_GAVE_UP = {f"nightly-report-after-run-000041-{turn}": Details(GAVE_UP) for turn in range(1, 100)}


def waiter_open(name: str, minutes: float = 5) -> Details:
    """A guard execution that waits by this name."""
    return Details(execution(name, "RUNNING", began=minutes, of=GUARD_MACHINE), None, "another")


@pytest.mark.parametrize(
    ("begun", "history", "expected"),
    [
        pytest.param(start("queue"), FREE, Run("free", 42, MACHINE), id="nobody waits: it starts"),
        pytest.param(start("queue"), replace(FREE, details={FIRST: waiter_open(FIRST)}), Wait(f"free, but {FIRST} has waited since 2026-11-23T18:56:00Z and goes first", ANY, 15, yields=True), id="one waits behind the run that has ended: it goes first"),
        pytest.param(start("queue"), replace(FREE, details={FIRST: Details(GAVE_UP)}), Run("free", 42, MACHINE), id="the one that waited gave up: it starts"),
        pytest.param(start("queue"), replace(FREE, details={FIRST: Details(GAVE_UP), SECOND: waiter_open(SECOND)}), Wait(f"free, but {SECOND} has waited", ANY, 15, yields=True), id="the next one waits: that goes first"),
        pytest.param(start("queue"), replace(FREE, details=EVERYBODY_GAVE_UP), Run("free", 42, MACHINE), id="all that could wait gave up: it starts"),
        pytest.param(start("queue", yields_since=ago(1.9)), replace(FREE, details={FIRST: waiter_open(FIRST)}), Wait("free, but", ANY, 15, yields=True), id="for two minutes"),
        pytest.param(start("queue", yields_since=ago(2)), replace(FREE, details={FIRST: waiter_open(FIRST)}), Run("free", 42, MACHINE), id="and no longer: a waiter that can't go on holds nobody up"),
        pytest.param(start("queue", look=2, yields_since=ago(1)), replace(History((run(42, "RUNNING", began=0.1), run(41))), details={FIRST: waiter_open(FIRST)}), Queue("run-000042 has been running", ANY, "nightly-report-after-run-000042-1", GUARD_MACHINE), id="it runs by now: the place behind it"),
        pytest.param(waiting("run-000041-1", minutes=9), replace(FREE, details={FIRST: waiter_open(FIRST)}), Run("free", 42, MACHINE), id="who waits yields to nobody"),
        pytest.param(start("skip"), replace(FREE, details={FIRST: waiter_open(FIRST)}), Run("free", 42, MACHINE), id="a job that does not queue has no queue"),
        pytest.param(start("queue", renewal=True), replace(FREE, details={FIRST: waiter_open(FIRST)}), Run("free", 42, MACHINE), id="a renewal is over in a moment"),
        pytest.param(asked_for(start("queue"), "run-000042", taken=False), replace(FREE, details={FIRST: waiter_open(FIRST), "run-000042": None}), Run("free", 42, MACHINE), id="who may have a run of its own asks for that one again, and yields to nobody"),
    ],
)  # fmt: skip
def test_in_a_pool_of_one_job_who_waits_goes_first(begun: Start, history: History, expected: Decision) -> None:
    is_decided(history.decide(begun), expected)


OF_THE_RUN = [NeedPage(MACHINE), NeedEvidence((TARGET,))]


@pytest.mark.parametrize(
    ("begun", "history", "needs"),
    [
        pytest.param(start("skip"), FREE, OF_THE_RUN, id="skip: no call more"),
        pytest.param(start("replace"), FREE, OF_THE_RUN, id="replace: no call more"),
        pytest.param(waiting("run-000041-1", minutes=9), FREE, OF_THE_RUN, id="a waiter: no call more"),
        pytest.param(start("queue"), FREE, [*OF_THE_RUN, NeedDetails(arn_of(FIRST))], id="queue: one description"),
        pytest.param(start("queue"), replace(FREE, details={FIRST: Details(GAVE_UP)}), [*OF_THE_RUN, NeedDetails(arn_of(FIRST)), NeedDetails(arn_of(SECOND))], id="and the next when that has closed"),
        pytest.param(start("queue"), RUNS, [NeedPage(MACHINE), NeedDetails(arn_of("run-000041"))], id="queue, and a run in the way: whether it is a renewal"),
    ],
)  # fmt: skip
def test_a_pool_of_one_job_and_one_slot_lists_nothing_more(
    begun: Start, history: History, needs: list[Missing]
) -> None:
    assert history.asked_by(begun) == needs


# --- a shared pool ----------------------------------------------------------------------------------------

IMPORT = Target("batch", "import", "app")
MEMBERS = (Member("nightly-report", TARGET), Member("import", IMPORT))


def shared(begun: Start, *, slots: int = 1) -> Start:
    """The same start of the report, in a pool with the import."""
    return replace(begun, request=replace(with_slots(slots, begun.request), members=MEMBERS))


def waits(job: str, minutes: float, token: str = "0a1b2c3d4e5f") -> Execution:
    """An execution that waits for the pool, for so long."""
    return execution(f"{job}-waits-{token}", "RUNNING", began=minutes, of=WAITING_MACHINE)


def pool_waiter(minutes: float, token: str = "aaaaaaaaaaaa", overlap: Any = "queue", **more: Any) -> Start:
    """A waiter of the report that has waited for so long."""
    begun = shared(start(overlap, look=2, queued_since=ago(minutes), **more))
    guard = execution_arn(WAITING_MACHINE, f"nightly-report-waits-{token}")
    begun = replace(begun, began_at=ago(minutes), policy=replace(begun.policy, queue_timeout=7 * 86_400))
    return replace(begun, request=replace(begun.request, guard_execution=guard))


def held_by(job: str | None, history: History = RUNS, **more: Any) -> History:
    """Run 41 is of this job."""
    of = next(e for e in history.page if e.name == "run-000041")
    return replace(history, details={**history.details, "run-000041": Details(of, target=TARGET, job=job, **more)})


MINE = pool_waiter_name("nightly-report", GUARD)
OLD, YOUNG = waits("import", 9), waits("import", 1)
GONE = replace(waits("nightly-report", 9), status="ABORTED", stopped_at=ago(0.1))
SAME_MINUTE = waits("import", 5, "bbbbbbbbbbbb")
NEIGHBOUR = held_by("import")
OWN = held_by("nightly-report")


def free(*waiting: Execution) -> History:
    """The pool is free, and these wait or pause."""
    return replace(FREE, waiting=waiting)


def busy(*waiting: Execution, history: History = NEIGHBOUR) -> History:
    """A run of the import is in the way, and these wait or pause."""
    return replace(history, waiting=waiting)


def orphan_of(job: str) -> History:
    """The task of a run that was aborted nine minutes ago lives on."""
    left = task(of="run-000041", created_at=ago(60), cluster="batch", job=job)
    return held_by(job, replace(ORPHAN, tasks=(left,)))


POOL_PAUSE = execution("nightly-report-paused-0a1b2c3d4e5f", "RUNNING", began=60, of=WAITING_MACHINE)
NEIGHBOURS_PAUSE = execution("import-paused-0a1b2c3d4e5f", "RUNNING", began=60, of=WAITING_MACHINE)
PAUSED_FOR = {POOL_PAUSE.arn: Details(POOL_PAUSE, reason="the database moves")}
ENDED_PAUSE = {POOL_PAUSE.arn: Details(replace(POOL_PAUSE, status="ABORTED", stopped_at=ago(0.1)))}

SHARED = [
    # who waits longest goes first
    pytest.param(shared(start()), free(), Run("free", 42, MACHINE), id="free, and nobody waits: it starts"),
    pytest.param(shared(start()), free(OLD), Wait(f"free, but {OLD.name} has waited since 2026-11-23T18:52:00Z and goes first", ANY, 15, yields=True), id="a fresh start yields to a neighbour that waits"),
    pytest.param(shared(start("queue")), free(waits("nightly-report", 9)), Wait("free, but nightly-report-waits-0a1b2c3d4e5f has", ANY, 15, yields=True), id="and to one of its own job"),
    pytest.param(shared(start("replace")), free(OLD), Wait("free, but", ANY, 15, yields=True), id="whatever its policy"),
    pytest.param(shared(start(look=2)), free(YOUNG, OLD), Wait("free, but import-waits-0a1b2c3d4e5f has waited since 2026-11-23T18:52", ANY, 15, yields=True), id="to the oldest of them, also on a second look"),
    pytest.param(shared(start(yields_since=ago(1.9))), free(OLD), Wait("free, but", ANY, 15, yields=True), id="a fresh start yields for two minutes"),
    pytest.param(shared(start(yields_since=ago(2))), free(OLD), Run("free", 42, MACHINE), id="and goes ahead after them"),
    pytest.param(shared(start(look=2, yields_since=ago(1))), busy(), Skip("import: run-000041 has", ANY, "AlreadyRunning"), id="the run is there: it steps back"),
    pytest.param(shared(start(yields_since=ago(1))), free(), Run("free", 42, MACHINE), id="who waited is gone: it starts"),
    pytest.param(shared(start(renewal=True)), free(OLD), Run("free", 42, MACHINE), id="a renewal yields to nobody"),
    pytest.param(shared(start()), free(waits("stranger", 9)), Run("free", 42, MACHINE), id="who waits for another pool is nobody here"),
    pytest.param(shared(start()), free(NEIGHBOURS_PAUSE), Run("free", 42, MACHINE), id="a paused neighbour waits for nothing"),
    pytest.param(shared(start()), free(execution("by-hand", "RUNNING", began=9, of=WAITING_MACHINE)), Run("free", 42, MACHINE), id="an execution of another name waits for nothing"),
    pytest.param(asked_for(shared(start()), "run-000042", taken=False), replace(free(OLD), details={"run-000042": None}), Run("free", 42, MACHINE), id="who may have a run of its own asks for that one again"),
    pytest.param(pool_waiter(5), free(OLD, waits("nightly-report", 5, "aaaaaaaaaaaa")), Wait(f"free, but {OLD.name}", ANY, 15, yields=True), id="a waiter yields to an older one"),
    pytest.param(pool_waiter(5), free(YOUNG, waits("nightly-report", 5, "aaaaaaaaaaaa")), Run("free", 42, MACHINE), id="and not to a younger one"),
    pytest.param(pool_waiter(5), free(YOUNG), Run("free", 42, MACHINE), id="also when the list does not show itself"),
    pytest.param(pool_waiter(5), free(), Run("free", 42, MACHINE), id="or nobody at all"),
    pytest.param(pool_waiter(5, "aaaaaaaaaaaa"), free(waits("nightly-report", 5, "000000000000")), Wait("free, but nightly-report-waits-000000000000", ANY, 15, yields=True), id="of one date the lesser name goes first"),
    pytest.param(pool_waiter(5, "aaaaaaaaaaaa"), free(waits("nightly-report", 5, "bbbbbbbbbbbb")), Run("free", 42, MACHINE), id="which is this one's"),
    pytest.param(pool_waiter(5), free(SAME_MINUTE), Wait("free, but import-waits", ANY, 15, yields=True), id="names begin with the job's"),
    pytest.param(pool_waiter(5, yields_since=ago(2)), free(OLD), Run("free", 42, MACHINE), id="a waiter, too, goes ahead after two minutes"),
    # skip
    pytest.param(shared(start()), busy(), Wait("run-000041 has been running", ANY, 15), id="skip: busy may be old news, so it waits the grace"),
    pytest.param(shared(start(look=2)), busy(), Skip("import: run-000041 has been running for 61 min, since 2026-11-23T18:00:00Z", ANY, "AlreadyRunning"), id="skip: for anybody, and says whose run it is"),
    pytest.param(shared(start(look=2)), busy(history=OWN), Skip("nightly-report: run-000041 has", ANY, "AlreadyRunning"), id="skip: also of its own job"),
    pytest.param(shared(start(look=2)), busy(history=held_by(None)), Skip("run-000041 has", ANY, "AlreadyRunning"), id="skip: a forged run is nobody's"),
    pytest.param(shared(start(look=2)), busy(history=held_by("import", renewal=True)), Wait("run-000041 renews", ANY, 15), id="skip: a neighbour's renewal costs no start"),
    # queue
    pytest.param(shared(start("queue")), busy(), Queue("import: run-000041 has been", ANY, MINE, WAITING_MACHINE), id="queue: it lets one wait, by a name of its own"),
    pytest.param(shared(start("queue")), busy(waits("import", 9)), Queue("import: run-000041", ANY, MINE, WAITING_MACHINE), id="queue: a neighbour that waits is another queue"),
    pytest.param(shared(start("queue")), busy(waits("nightly-report", 9)), Wait("import: run-000041 has", ANY, 15), id="queue: one of each job: that it waits may be old news, so the next waits the grace"),
    pytest.param(shared(start("queue", look=2)), busy(waits("nightly-report", 9)), Skip("nightly-report-waits-0a1b2c3d4e5f has waited since 2026-11-23T18:52:00Z; import: run-000041 has", ANY, "AlreadyQueued"), id="queue: one of each job: on the second look the next steps back"),
    pytest.param(shared(start("queue", look=2)), replace(busy(waits("nightly-report", 9)), details={**NEIGHBOUR.details, GONE.arn: Details(GONE)}), Queue("import: run-000041", ANY, MINE, WAITING_MACHINE), id="queue: the one that the list shows is gone by its description: the next waits"),
    pytest.param(shared(start("queue")), busy(execution(MINE, "RUNNING", began=0.1, of=WAITING_MACHINE)), Queue("import: run-000041", ANY, MINE, WAITING_MACHINE), id="queue: its own waiter is there, and the answer was lost: it asks for the same once more"),
    pytest.param(shared(start("queue", place_taken=MINE)), busy(), Queued(f"{MINE} waits for this start", ANY, MINE, WAITING_MACHINE), id="queue: that name is taken: by its own"),
    pytest.param(shared(start("queue", place_taken=MINE)), free(), Queued(f"{MINE} waits for this start", ANY, MINE, WAITING_MACHINE), id="queue: and its own starts in its place, also when the pool is free by now"),
    pytest.param(shared(start("queue", place_taken=MINE)), busy(waits("nightly-report", 9)), Queued(f"{MINE} waits for this start", ANY, MINE, WAITING_MACHINE), id="queue: an older one waits beside its own: which steps back, not this"),
    pytest.param(shared(start("queue")), replace(BY_HAND, waiting=()), Queue("a task that this guard did not start", ANY, MINE, WAITING_MACHINE), id="queue: an outsider is waited for"),
    pytest.param(asked_for(shared(start("queue")), "run-000042"), replace(FREE, details={"run-000042": None}), Wait("run-000042 was started", ANY, 15), id="queue: who may have a run of its own does not wait for another"),
    pytest.param(pool_waiter(5), busy(), Wait("import: run-000041", ANY, 15), id="a waiter waits on, a twentieth of the time so far"),
    pytest.param(pool_waiter(5), busy(OLD), Wait("import: run-000041", ANY, 15), id="a waiter waits beside a neighbour's"),
    pytest.param(pool_waiter(5), busy(waits("nightly-report", 9)), Skip("nightly-report-waits-0a1b2c3d4e5f has waited", ANY, "AlreadyQueued"), id="of two waiters of one job the younger steps back"),
    pytest.param(pool_waiter(9.5), busy(waits("nightly-report", 9)), Wait("import: run-000041", ANY, 28), id="and the older waits on"),
    pytest.param(pool_waiter(5, "aaaaaaaaaaaa"), busy(waits("nightly-report", 5, "000000000000")), Skip("nightly-report-waits-000000000000", ANY, "AlreadyQueued"), id="of one date that with the greater name"),
    pytest.param(pool_waiter(5, "aaaaaaaaaaaa"), busy(waits("nightly-report", 5, "bbbbbbbbbbbb")), Wait("import", ANY, 15), id="and the other waits on"),
    pytest.param(pool_waiter(5, overlap="skip"), busy(), Wait("import: run-000041", ANY, 15), id="a waiter waits on when the jobs file has meanwhile changed to skip"),
    pytest.param(pool_waiter(7 * 1440), busy(), Skip("waited for 7 d 0 h, and import: run-000041 has", ANY, "WaitedTooLong"), id="a waiter gives up after queue_timeout, and says on whom it waited"),
    # replace
    pytest.param(shared(start("replace", look=2)), busy(history=OWN), StopRun("run-000041 has", ANY, 5), id="replace: a run of its own job is stopped"),
    pytest.param(shared(start("replace", look=2)), busy(), Skip("import: run-000041 has", ANY, "AlreadyRunning"), id="replace: a neighbour's is not"),
    pytest.param(shared(start("replace")), busy(), Wait("run-000041 has", ANY, 15), id="replace: which may be old news"),
    pytest.param(shared(start("replace", look=2)), busy(history=held_by(None)), Skip("run-000041 has", ANY, "AlreadyRunning"), id="replace: nor a run that does not say whose it is"),
    pytest.param(replace(shared(start("replace", look=2)), deadline=NOW), UNDESCRIBED, Skip("run-000041 has", ANY, "AlreadyRunning"), id="replace: nor one that can't be described"),
    pytest.param(shared(start("replace", look=2)), orphan_of("nightly-report"), StopTask("run-000041 was closed, but", ANY, 5, "batch"), id="replace: the task that its own run left behind is stopped"),
    pytest.param(shared(start("replace", look=2)), orphan_of("import"), Skip("run-000041 was closed, but", ANY, "AlreadyRunning"), id="replace: a neighbour's is waited for"),
    pytest.param(shared(start("replace", look=2)), held_by("nightly-report", UNSEEN), Wait("run-000041 ended as ABORTED", ANY, 5), id="replace: what it stopped must be seen STOPPED"),
    pytest.param(shared(start("replace", look=2)), held_by("import", UNSEEN), Skip("import: run-000041 ended as ABORTED", ANY, "AlreadyRunning"), id="replace: a neighbour's end is not waited for"),
    # paused
    pytest.param(shared(start()), replace(free(POOL_PAUSE), details=PAUSED_FOR), Skip("paused since 2026-11-23T18:01:00Z: the database moves", ANY, "Paused"), id="paused: by an execution of those who wait, with its reason"),
    pytest.param(shared(start(look=2)), replace(busy(POOL_PAUSE), details={**NEIGHBOUR.details, **PAUSED_FOR}), Skip("paused since", ANY, "Paused"), id="paused: also while a neighbour runs"),
    pytest.param(pool_waiter(5), replace(busy(POOL_PAUSE), details={**NEIGHBOUR.details, **PAUSED_FOR}), Skip("paused since", ANY, "Paused"), id="paused: who waits gives up"),
    pytest.param(shared(start()), replace(free(POOL_PAUSE), details={POOL_PAUSE.arn: None}), Skip("paused since 2026-11-23T18:01:00Z: no reason is visible", ANY, "Paused"), id="paused: also when the reason is not visible"),
    pytest.param(shared(start()), replace(free(POOL_PAUSE), details=ENDED_PAUSE), Run("free", 42, MACHINE), id="resumed a moment ago, though the list still shows it: it starts"),
    pytest.param(shared(start(anyway=True)), replace(free(POOL_PAUSE), details=PAUSED_FOR), Run("free", 42, MACHINE), id="paused, but anyway: it starts"),
    pytest.param(asked_for(shared(start()), "run-000042", taken=False), replace(free(POOL_PAUSE), details={**PAUSED_FOR, "run-000042": Details(run(42, "RUNNING"), None, GUARD)}), Started("run-000042 is this guard execution's own", ANY), id="paused a moment too late: its run is there"),
    # several slots
    pytest.param(shared(start(look=2), slots=2), replace(NEIGHBOUR, further=((run(3, of=slot(2)),),)), Run("free", 4, slot(2)), id="slots: one is free: it starts there"),
    pytest.param(shared(start(look=2), slots=2), replace(NEIGHBOUR, further=((run(3, of=slot(2)),),), waiting=(OLD,)), Wait(f"free, but {OLD.name}", ANY, 15, yields=True), id="slots: and yields it as any"),
    pytest.param(shared(start(look=2), slots=2), replace(NEIGHBOUR, further=((run(3, "RUNNING", began=2, of=slot(2)),),), details={**NEIGHBOUR.details, "2:run-000003": Details(run(3, "RUNNING", began=2, of=slot(2)), job="nightly-report")}), Skip("all 2 slots are held: import: run-000041 has been running for 61 min, since 2026-11-23T18:00:00Z; nightly-report: run-000003 has been running for 2 min", ANY, "AlreadyRunning"), id="slots: all held: it says by whom"),
    pytest.param(shared(start("queue", look=2), slots=2), replace(NEIGHBOUR, further=((run(3, "RUNNING", began=2, of=slot(2)),),)), Queue("all 2 slots are held: import", ANY, MINE, WAITING_MACHINE), id="slots: queue waits for any of them"),
    pytest.param(shared(start(look=2), slots=2), replace(NEIGHBOUR, further=((run(3, "RUNNING", began=2, of=slot(2)),),), details={**NEIGHBOUR.details, "2:run-000003": Details(run(3, "RUNNING", began=2, of=slot(2)), renewal=True)}), Wait("run-000003 renews", ANY, 15), id="slots: a renewal in one of them costs no start"),
]  # fmt: skip


@pytest.mark.parametrize(("begun", "history", "expected"), SHARED)
def test_what_a_start_does_in_a_shared_pool(begun: Start, history: History, expected: Decision) -> None:
    is_decided(history.decide(begun), expected)


def test_a_start_that_yields_names_whom_it_lets_go_first() -> None:
    decision = free(OLD).decide(shared(start()))
    assert isinstance(decision, Wait)
    assert decision.holder == Holder("waiter", OLD.name, OLD.arn, OLD.started_at)


def test_a_pause_of_the_pools_is_not_believed_by_a_start_that_may_have_run() -> None:
    history = replace(free(POOL_PAUSE), details={**PAUSED_FOR, "run-000042": None})
    with pytest.raises(CantTell, match="by now the job is paused"):
        history.decide(asked_for(shared(start()), "run-000042", taken=False))


@pytest.mark.parametrize("overlap", ["skip", "queue", "replace"])
def test_a_shared_pool_asks_once_who_waits(overlap: str) -> None:
    for history in (FREE, NEIGHBOUR, free(OLD), busy(OLD)):
        asked = history.asked_by(shared(start(overlap, look=2)))
        assert asked.count(NeedWaiting()) == 1


@pytest.mark.parametrize(
    ("minutes", "seconds"),
    [
        pytest.param(0, 5, id="at once every five seconds"),
        pytest.param(10, 30, id="a twentieth of the time so far"),
        pytest.param(20, 60, id="after twenty minutes once a minute"),
        pytest.param(1439, 60, id="for the first day"),
        pytest.param(1440, 600, id="then every ten minutes"),
    ],
)
def test_who_waits_for_a_pool_looks_at_least_once_a_minute_on_its_first_day(minutes: int, seconds: int) -> None:
    decision = NEIGHBOUR.decide(pool_waiter(minutes))
    assert isinstance(decision, Wait)
    assert decision.seconds == seconds


def test_who_waits_longest_is_one_whoever_asks() -> None:
    """Of any waiters of a free pool exactly one goes ahead, so that no two yield to each other for ever."""
    tokens = {"aaaaaaaaaaaa": 5.0, "bbbbbbbbbbbb": 5.0, "cccccccccccc": 7.0, "dddddddddddd": 1.0}
    open_ones = tuple(waits("nightly-report", minutes, token) for token, minutes in tokens.items())
    ahead = [
        token
        for token, minutes in tokens.items()
        if isinstance(free(*open_ones).decide(pool_waiter(minutes, token)), Run)
    ]
    assert ahead == ["cccccccccccc"]
