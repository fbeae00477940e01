"""What a start does about what is in its way: every rule a row. The ids are the rules."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.decide.facts import CantTell, Claim, Details, Execution, Request
from chalicelib.decide.overlap import Decision, Policy, Start
from tests.world import COMMAND, GUARD, MACHINE, NOW, History, ago, execution, run, task

JUST_BEGUN = ago(0.2)


def start(overlap: Any = "skip", *, look: int = 1, **more: Any) -> Start:
    """A start of this very minute under the policy; `look` 1 is its first, 2 its second."""
    policy = Policy("nightly-report", overlap, grace=15)
    request = Request(MACHINE, GUARD, may_wait=look == 1)
    return Start(request, policy, began_at=JUST_BEGUN, deadline=NOW + timedelta(hours=1), **more)


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
    return replace(begun, request=replace(begun.request, claim=Claim(run_name, taken), losses=1))


RUNS = History((run(41, "RUNNING", began=61),))
"""A run that began an hour ago is in progress."""
BEGAN_SINCE = History((run(41, "RUNNING", began=0.1),))
"""The run in progress began after the start."""
ORPHAN = History((run(41, "ABORTED", ended=9),), tasks=(task(of="run-000041", created_at=ago(60)),))
UNSEEN = History((run(41, "ABORTED", began=61, ended=0.1),))
BY_HAND = History((run(41),), tasks=(task(command=COMMAND, created_at=ago(60)),))
PAUSE = execution("paused-000003", "RUNNING", began=60)
PAUSED = History((PAUSE, run(41)), details={"paused-000003": Details(PAUSE, reason="the database moves")})


def waiters(**of: Execution) -> dict[str, Details | None]:
    """Guard executions that wait, by the end of their names with _ for -."""
    return {f"nightly-report-after-{name.replace('_', '-')}": Details(e, None, "another") for name, e in of.items()}


NOT_VISIBLE_YET = History((run(41),), tasks=(task(of="run-000042"),), details={"run-000042": None})
WAITS = execution("w", "RUNNING", began=5)
GAVE_UP = execution("w", "FAILED", began=90, ended=30)

TABLE = [
    # skip
    pytest.param(start(), History((run(41),)), Decision("start", "free: run-000041 has ended", next_run="run-000042"), id="free: it starts"),
    pytest.param(start(), RUNS, Decision("wait", "run-000041 has been running for 61 min", wait_seconds=15), id="skip: busy may be old news, so it waits the grace"),
    pytest.param(start(look=2), RUNS, Decision("skip", "run-000041 has been running for 61 min", error="AlreadyRunning"), id="skip: on the second look it steps back"),
    pytest.param(start(look=2), BY_HAND, Decision("skip", "a task that this guard did not start", error="AlreadyRunning"), id="skip: a task by hand is in the way, too"),
    pytest.param(start(look=2), ORPHAN, Decision("skip", "run-000041 was closed, but its task lives on", error="AlreadyRunning"), id="skip: an orphan is waited for by default"),
    # orphans = stop
    pytest.param(orphans_stopped(start()), ORPHAN, Decision("stop_task", "run-000041 was closed, but", wait_seconds=5), id="orphans = stop: the orphan is stopped"),
    pytest.param(orphans_stopped(start(look=2)), ORPHAN, Decision("stop_task", "run-000041 was closed, but", wait_seconds=5), id="orphans = stop: and again until it is STOPPED"),
    pytest.param(orphans_stopped(start(look=2)), BY_HAND, Decision("skip", "a task that this guard", error="AlreadyRunning"), id="orphans = stop: a task by hand is nobody's orphan"),
    pytest.param(orphans_stopped(start(look=2)), RUNS, Decision("skip", "run-000041 has", error="AlreadyRunning"), id="orphans = stop: a run in progress has no orphan"),
    pytest.param(replace(orphans_stopped(start(look=2)), deadline=NOW), ORPHAN, Decision("skip", "run-000041 was closed", error="AlreadyRunning"), id="orphans = stop: not beyond the deadline"),
    pytest.param(orphans_stopped(start(look=2)), NOT_VISIBLE_YET, Decision("skip", "run-000042 is not seen closed, and its task is alive", error="AlreadyRunning"), id="orphans = stop: a task whose run is not visible yet is no orphan"),
    # replace
    pytest.param(start("replace", look=2), NOT_VISIBLE_YET, Decision("skip", "run-000042 is not seen closed, and its task is alive", error="AlreadyRunning"), id="replace: a run that is not visible yet is not replaced"),
    pytest.param(start("replace"), RUNS, Decision("stop_run", "run-000041 has been running", wait_seconds=5), id="replace: a run that began before it is stopped"),
    pytest.param(start("replace", look=2), UNSEEN, Decision("wait", "run-000041 ended as ABORTED", wait_seconds=5), id="replace: what it stopped must be seen STOPPED"),
    pytest.param(start("replace", look=2), ORPHAN, Decision("stop_task", "run-000041 was closed, but", wait_seconds=5), id="replace: and its task is stopped if Step Functions left it behind"),
    pytest.param(start("replace", look=2, scheduled_at=ago(50)), History((run(41, "ABORTED", began=61, ended=9),), tasks=(task(of="run-000041", created_at=ago(49)),)), Decision("stop_task", "run-000041 was closed, but", wait_seconds=5), id="replace: what counts is when the run began, not its task"),
    pytest.param(start("replace", look=2, scheduled_at=ago(62)), History((run(41, "ABORTED", began=61, ended=9),), tasks=(task(of="run-000041", created_at=ago(60)),)), Decision("skip", "run-000041 was closed, but", error="AlreadyRunning"), id="replace: the task of a run that began after it is left alone"),
    pytest.param(start("replace", look=2), BEGAN_SINCE, Decision("skip", "run-000041 has been", error="AlreadyRunning"), id="replace: a run that began after it is left alone"),
    pytest.param(start("replace", look=2, scheduled_at=ago(90)), RUNS, Decision("skip", "run-000041 has been", error="AlreadyRunning"), id="replace: a late start leaves alone what began after its scheduled time"),
    pytest.param(start("replace", look=2, scheduled_at=NOW + timedelta(hours=1)), BEGAN_SINCE, Decision("skip", "run-000041", error="AlreadyRunning"), id="replace: nor does a scheduled time to come let it stop what began after it"),
    pytest.param(start("replace", look=2), BY_HAND, Decision("skip", "a task that this guard", error="AlreadyRunning"), id="replace: a task by hand is never stopped"),
    pytest.param(start("replace", look=2), History((execution("5f0c", "RUNNING", began=60),)), Decision("skip", "5f0c has been", error="AlreadyRunning"), id="replace: nor an execution that is no run"),
    pytest.param(replace(start("replace", look=2), deadline=NOW), RUNS, Decision("skip", "run-000041", error="AlreadyRunning"), id="replace: not beyond the deadline"),
    pytest.param(asked_for(start("replace", look=2), "run-000042"), History((run(41),), details={"run-000042": Details(run(42, "RUNNING", began=0.1), None, "another")}), Decision("skip", "run-000042 was started by somebody else", error="AlreadyRunning"), id="replace: of two that meet, one loses the name and steps back"),
    pytest.param(asked_for(start("replace"), "run-000042"), History((run(41),), details={"run-000042": None}), Decision("wait", "run-000042 was started by somebody else", wait_seconds=15), id="replace: who may have a run of its own stops nothing"),
    # queue
    pytest.param(start("queue"), RUNS, Decision("queue", "run-000041 has been", waiter="nightly-report-after-run-000041-1"), id="queue: one waits in its stead, after the run"),
    pytest.param(start("queue"), BY_HAND, Decision("queue", "a task that", waiter="nightly-report-after-run-000041-1"), id="queue: a task by hand is waited for at the place after the last run"),
    pytest.param(start("queue"), replace(BY_HAND, page=()), Decision("queue", "a task that", waiter="nightly-report-after-run-000000-1"), id="queue: also before the first run"),
    pytest.param(start("queue", place_taken="nightly-report-after-run-000041-1"), replace(RUNS, waiters=waiters(run_000041_1=WAITS)), Decision("skip", "nightly-report-after-run-000041-1 already waits", error="AlreadyQueued"), id="queue: the place is taken: it steps back"),
    pytest.param(start("queue", place_taken="nightly-report-after-run-000041-1"), RUNS, Decision("skip", "nightly-report-after-run-000041-1 already waits", error="AlreadyQueued"), id="queue: the place is taken by one that is not visible yet"),
    pytest.param(start("queue", place_taken="nightly-report-after-run-000041-1"), replace(RUNS, waiters=waiters(run_000041_1=GAVE_UP)), Decision("queue", "run-000041", waiter="nightly-report-after-run-000041-2"), id="queue: the one that waited gave up, so nobody waits: the next turn"),
    pytest.param(start("queue", place_taken="nightly-report-after-run-000040-7"), RUNS, Decision("queue", "run-000041", waiter="nightly-report-after-run-000041-1"), id="queue: meanwhile another run is in the way: the place after that one"),
    pytest.param(start("queue", place_taken="nightly-report-after-run-000041-1"), replace(RUNS, waiters={"nightly-report-after-run-000041-1": Details(WAITS, None, GUARD)}), Decision("queued", "nightly-report-after-run-000041-1 waits in its stead", waiter="nightly-report-after-run-000041-1"), id="queue: the one that waits was asked for by itself: the answer had been lost"),
    pytest.param(asked_for(start("queue"), "run-000042"), History((run(41),), details={"run-000042": None}), Decision("wait", "run-000042 was started", wait_seconds=15), id="queue: who may have a run of its own does not wait for another"),
    pytest.param(waiting("run-000041-1", minutes=2), RUNS, Decision("wait", "run-000041 has been", wait_seconds=6), id="a waiter waits on, a twentieth of the time so far"),
    pytest.param(waiting("run-000041-1", minutes=59), RUNS, Decision("wait", "run-000041 has been", wait_seconds=177), id="a waiter waits on until its time is up"),
    pytest.param(waiting("run-000041-1", minutes=60), RUNS, Decision("skip", "waited for 60 min, and run-000041 has been", error="WaitedTooLong"), id="a waiter gives up after queue_timeout"),
    pytest.param(waiting("run-000041-1", minutes=9), History((run(41),)), Decision("start", "free", next_run="run-000042"), id="a waiter starts when the job is free"),
    pytest.param(waiting("run-000041-1", minutes=9), History((run(40, "RUNNING"),)), Decision("wait", "run-000040", wait_seconds=27), id="a waiter that reads an old list keeps its place"),
    pytest.param(waiting("run-000041-2", minutes=9), History((run(42, "RUNNING"),)), Decision("queue", "run-000042 has been", waiter="nightly-report-after-run-000042-1"), id="a waiter that another start overtook gets the place behind it"),
    pytest.param(waiting("run-000041-2", minutes=9, place_taken="nightly-report-after-run-000042-1"), replace(History((run(42, "RUNNING"),)), waiters=waiters(run_000042_1=WAITS)), Decision("skip", "nightly-report-after-run-000042-1 already waits", error="AlreadyQueued"), id="a waiter that another start overtook steps back when that place is taken"),
    pytest.param(waiting("run-000041-1", minutes=9, overlap="skip"), RUNS, Decision("wait", "run-000041", wait_seconds=27), id="a waiter waits on when the jobs file has meanwhile changed to skip"),
    # paused
    pytest.param(start(), PAUSED, Decision("skip", "paused since 2026-11-23T18:01:00Z: the database moves", error="Paused"), id="paused: it steps back at once, with the reason"),
    pytest.param(start("replace"), replace(PAUSED, page=(PAUSE, run(41, "RUNNING"))), Decision("skip", "paused since", error="Paused"), id="paused: nothing is replaced"),
    pytest.param(start("queue"), replace(PAUSED, page=(PAUSE, run(41, "RUNNING"))), Decision("skip", "paused since", error="Paused"), id="paused: nothing waits"),
    pytest.param(waiting("run-000041-1", minutes=9), replace(PAUSED, page=(PAUSE, run(41, "RUNNING"))), Decision("skip", "paused since", error="Paused"), id="paused: who waits gives up"),
    pytest.param(start(), replace(PAUSED, details={"paused-000003": None}), Decision("skip", "paused since 2026-11-23T18:01:00Z: no reason is visible", error="Paused"), id="paused: also when the reason is not visible"),
    pytest.param(start(anyway=True), PAUSED, Decision("start", "free", next_run="run-000042"), id="paused, but anyway: it starts"),
    pytest.param(start(anyway=True, look=2), replace(PAUSED, page=(PAUSE, run(41, "RUNNING"))), Decision("skip", "run-000041", error="AlreadyRunning"), id="anyway is no way past a run"),
    pytest.param(start(), History((replace(PAUSE, status="ABORTED", stopped_at=ago(1)), run(41))), Decision("start", "free", next_run="run-000042"), id="resumed: it starts"),
    pytest.param(asked_for(start(), "run-000042", taken=False), replace(PAUSED, details={**PAUSED.details, "run-000042": Details(run(42, "RUNNING"), None, GUARD)}), Decision("started", "run-000042 is this guard execution's own"), id="paused a moment too late: its run is there"),
]  # fmt: skip


@pytest.mark.parametrize(("begun", "history", "expected"), TABLE)
def test_what_a_start_does(begun: Start, history: History, expected: Decision) -> None:
    decision = history.decide(begun)
    assert decision.reason.startswith(expected.reason)
    assert replace(decision, reason=expected.reason, holder=None) == expected
    assert (decision.holder is None) == (decision.outcome == "start")


def test_a_pause_is_not_believed_by_a_start_that_may_have_run() -> None:
    history = replace(PAUSED, details={**PAUSED.details, "run-000042": None})
    with pytest.raises(CantTell, match="by now the job is paused"):
        history.decide(asked_for(start(), "run-000042", taken=False))


def test_a_queue_in_which_everybody_gave_up_is_a_riddle() -> None:
    name = "nightly-report-after-run-000041-99"
    with pytest.raises(CantTell, match="in vain"):
        replace(RUNS, waiters={name: Details(GAVE_UP)}).decide(start("queue", place_taken=name))


@pytest.mark.parametrize("days", [1, 7])
def test_waiting_stays_far_from_the_end_of_a_history(days: int) -> None:
    waited, looks = timedelta(0), 0
    policy = Policy("nightly-report", "queue", queue_timeout=days * 86_400)
    while waited < timedelta(days=days):
        begun = replace(waiting("run-000041-1", minutes=0), policy=policy, queued_since=NOW - waited)
        waited += timedelta(seconds=RUNS.decide(begun).wait_seconds or 0)
        looks += 1
    events_of_a_look = 9
    assert looks * events_of_a_look < 25_000 / 2
