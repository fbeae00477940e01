"""Whether a job is free: every rule, a row each. The ids are the rules. test_overlap.py goes on from there."""

from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.decide.availability import RestedTooLong
from chalicelib.decide.facts import (
    CantTell,
    Claim,
    Details,
    Execution,
    Member,
    Missing,
    NeedCreatedAt,
    NeedDetails,
    NeedEvidence,
    NeedPage,
    Request,
    Target,
    Task,
)
from chalicelib.decide.policy import Outsiders
from chalicelib.decide.verdicts import Busy, Free, Mine, Unsure, Why
from chalicelib.decide.words import command
from chalicelib.names import run_name
from tests.world import (
    ASKS,
    COMMAND,
    GUARD,
    MACHINE,
    NOW,
    STAGE_RUNS,
    TARGET,
    History,
    ago,
    arn_of,
    execution,
    run,
    slot,
    task,
    with_slots,
)

ELSEWHERE = Target("old-cluster", "old-report", "app")
ANOTHER_STAGES = STAGE_RUNS.replace("-dev-", "-prod-") + "nightly-report:run-000001"
ANOTHER_JOBS = STAGE_RUNS + "hourly-import:run-000007"


def described(of: Execution, *seen_stopping: str, **more: object) -> dict[str, Details | None]:
    """The details of one run of this job: it ran at the job's target, and saw these tasks (as `task` names them) stop."""
    tasks = frozenset(task(identity).arn for identity in seen_stopping)
    return {of.name: Details(of, target=TARGET, tasks=tasks, **more)}  # type: ignore[arg-type]  # a row names the fields


def lost(run_name: str, *, losses: int = 1, taken: bool = True) -> Request:
    """A second look after `run_name` was asked for."""
    return replace(ASKS, claim=Claim(run_name, taken, MACHINE), losses=losses)


def counting(outsiders: Outsiders) -> Request:
    """A start of the job, with this of its outsiders."""
    return replace(ASKS, members=(Member("nightly-report", TARGET, outsiders),))


FREE = [
    pytest.param(ASKS, History(), "run-000001", id="a job that has never run gets its first run"),
    pytest.param(ASKS, History((run(41),)), "run-000042", id="a job whose last run succeeded gets the next number"),
    pytest.param(
        ASKS,
        History((run(9), run(12, ended=50), run(11, ended=70))),
        "run-000013",
        id="the highest number counts, wherever it is on the page",
    ),
    pytest.param(
        ASKS,
        History((execution("by-hand"), execution("run-42"), execution("run-0000043")), (run(7),)),
        "run-000008",
        id="other spellings are not run names, and the page behind is read until a run is found",
    ),
    pytest.param(
        ASKS,
        History(
            (run(41, "FAILED", ended=1),),
            details={"run-000041": Details(run(41, "FAILED", ended=1), "BatchGuard.TaskFailed")},
        ),
        "run-000042",
        id="a run that failed cleanly a minute ago leaves the job free",
    ),
    pytest.param(
        ASKS, History((run(41, "FAILED", ended=6),)), "run-000042", id="a failure six minutes ago and no task: free"
    ),
    pytest.param(
        ASKS, History((run(41, "ABORTED", ended=6),)), "run-000042", id="an abort six minutes ago and no task: free"
    ),
    pytest.param(
        ASKS,
        History((run(41, "ABORTED", ended=2),), tasks=(task(of="run-000041", status="STOPPED", stopped_at=ago(1)),)),
        "run-000042",
        id="an abort two minutes ago whose task was seen stopped since: free",
    ),
    pytest.param(
        ASKS,
        History((run(41, ended=5.9),), tasks=(task(of="run-000041"),), details=described(run(41, ended=5.9), "t1")),
        "run-000042",
        id="a live task that its run saw stop less than six minutes ago: ECS lags, free",
    ),
    pytest.param(
        ASKS,
        History(
            (run(41, "FAILED", ended=1),),
            tasks=(task(of="run-000041"),),
            details=described(run(41, "FAILED", ended=1), "t0", "t1", error="BatchGuard.TaskFailed"),
        ),
        "run-000042",
        id="a live task that its run saw stop before it failed cleanly: ECS lags, free",
    ),
    pytest.param(
        counting("family"),
        History((run(41),), tasks=(task(of=ANOTHER_JOBS, command=COMMAND, job="hourly-import"),)),
        "run-000042",
        id="a task of another job of this stage is not ours, whatever it runs: that job has a lock",
    ),
    pytest.param(
        ASKS,
        History((run(41),), tasks=(task(of=ANOTHER_STAGES, command=("bin/migrate",)),)),
        "run-000042",
        id="a task of another stage's run is an outsider: with another command it is not this job",
    ),
    pytest.param(
        counting("ignore"),
        History((run(41),), tasks=(task(of=ANOTHER_STAGES, command=COMMAND),)),
        "run-000042",
        id="outsiders = ignore: nor does a task of another stage's run count",
    ),
    pytest.param(
        ASKS,
        History((run(41, "ABORTED", ended=1),), details=described(run(41, "ABORTED", ended=1), renewal=True)),
        "run-000042",
        id="a renewal that was aborted a minute ago has left no task",
    ),
    pytest.param(
        lost("run-000042"),
        History((run(42, "RUNNING", began=1), run(41)), details=described(run(42, ended=0.5))),
        "run-000043",
        id="a description shows that the run has closed, though the list says RUNNING: a closed one stays closed",
    ),
    pytest.param(
        replace(ASKS, history=timedelta(days=30)),
        History((run(41, began=21 * 1440, ended=19 * 1440),)),
        "run-000042",
        id="30 days of history and a rest of 19: the names are remembered",
    ),
    pytest.param(
        ASKS,
        History((run(41),), tasks=(task(command=("bin/migrate",)),)),
        "run-000042",
        id="an outsider with another command is not this job",
    ),
    pytest.param(
        ASKS,
        History((run(41),), tasks=(task(command=COMMAND, service=True),)),
        "run-000042",
        id="the task of a service is not a batch",
    ),
    pytest.param(
        counting("ignore"),
        History((run(41),), tasks=(task(command=COMMAND),)),
        "run-000042",
        id="outsiders = ignore: a task by hand does not count",
    ),
    pytest.param(
        ASKS,
        History((run(41),), tasks=(task(command=COMMAND, status="STOPPED"),)),
        "run-000042",
        id="an outsider that has stopped is gone",
    ),
    pytest.param(
        lost("run-000042"),
        History((run(42, ended=1),), details={"run-000042": Details(run(42, "RUNNING"), guard_execution="another")}),
        "run-000043",
        id="the list shows that the run that won has succeeded, though its details lag behind: free",
    ),
    pytest.param(
        lost("run-000042"),
        History((run(42, ended=1), run(41))),
        "run-000043",
        id="the run that won has ended since: the next number",
    ),
    pytest.param(
        lost("run-000042"),
        History((run(41),), details={"run-000042": Details(run(42, ended=1))}),
        "run-000043",
        id="the list is older than the run that won, and the run has ended: the next number all the same",
    ),
    pytest.param(
        lost("run-000042", taken=False),
        History((run(41),), details={"run-000042": None}),
        "run-000042",
        id="a start that got no answer and is not visible is asked for again under the same name",
    ),
    pytest.param(
        lost("run-000042", taken=False),
        History((run(40),), details={"run-000042": None}),
        "run-000042",
        id="a start that got no answer asks under the same name, also when the list has become older meanwhile",
    ),
    pytest.param(
        ASKS,
        History((run(41, began=80 * 1440, ended=79 * 1440),)),
        "run-000042",
        id="a rest of 79 days: the names are remembered",
    ),
    pytest.param(
        replace(ASKS, first=True),
        History((run(41, began=90 * 1440, ended=85 * 1440),)),
        "run-000042",
        id="a rest of 85 days, and an operator vouches for it",
    ),
    pytest.param(
        replace(ASKS, first=True),
        History(created_at=NOW - timedelta(days=200)),
        "run-000001",
        id="nothing is remembered, and an operator vouches for it",
    ),
    pytest.param(
        replace(ASKS, first=True, first_after=41),
        History(created_at=NOW - timedelta(days=1)),
        "run-000042",
        id="the stage was made anew, and an operator knows the last run of the one before",
    ),
    pytest.param(
        replace(ASKS, first=True, first_after=41),
        History((run(50),)),
        "run-000051",
        id="a later run than an operator remembers is visible",
    ),
    pytest.param(
        ASKS,
        History((execution("paused-000001", "RUNNING", began=3), run(41))),
        "run-000042",
        id="a pause is not a run: whether it counts is decided elsewhere",
    ),
    pytest.param(
        ASKS,
        History((execution("paused-000001", "ABORTED", ended=1), run(41))),
        "run-000042",
        id="a pause that was ended a minute ago has left no task",
    ),
    pytest.param(
        ASKS,
        History(
            (run(41, "ABORTED", ended=1),),
            tasks=(task(of="run-000041", status="STOPPED", stopped_at=ago(1) - timedelta(seconds=2)),),
        ),
        "run-000042",
        id="its task stopped as the run was aborted, two seconds earlier by the other clock: free",
    ),
]

BUSY = [
    pytest.param(ASKS, History((run(41, "RUNNING", began=61),)), "run", "run-000041 has been running for 61 min, since 2026-11-23T18:00:00Z", id="a run is in progress"),
    pytest.param(ASKS, History((run(41, "PENDING_REDRIVE"),)), "run", "run-000041 has been running for 2 h 0 min, since 2026-11-23T17:01:00Z (status PENDING_REDRIVE)", id="a status nobody knows counts as running"),
    pytest.param(ASKS, History((run(41, "SUCCEEDED", ended=None),)), "run", "run-000041 has been running", id="a closed status without an end is not believed"),
    pytest.param(ASKS, History((run(42), execution("5f0c", "RUNNING", began=1))), "run", "5f0c has been running for 60 s", id="an execution started past the guard is in progress"),
    pytest.param(ASKS, History((run(40, "RUNNING"), run(41))), "run", "run-000040 has been running", id="an older run was redriven"),
    pytest.param(ASKS, History((run(41, "ABORTED", ended=1),)), "unseen", "run-000041 ended as ABORTED 60 s ago and ECS has not shown its task stopped; if none appears, the job is free in 5 min", id="aborted a minute ago: its task may not be visible yet"),
    pytest.param(ASKS, History((run(41, "TIMED_OUT", ended=4),)), "unseen", "run-000041 ended as TIMED_OUT", id="timed out four minutes ago: its task may be alive"),
    pytest.param(ASKS, History((run(41, "FAILED", ended=4),), details={"run-000041": Details(run(41, "FAILED", ended=4), "Unclean.LostSight")}), "unseen", "run-000041 ended as FAILED", id="failed with an error that promises nothing"),
    pytest.param(ASKS, History((run(41, "ABORTED", ended=2),), tasks=(task(of="run-000041", status="STOPPED", stopped_at=ago(3)),)), "unseen", "run-000041 ended as ABORTED", id="aborted after a task of it had stopped: a later attempt's task may not be visible yet"),
    pytest.param(ASKS, History((run(41, "ABORTED", ended=59),), tasks=(task(of="run-000041"),)), "orphan", "run-000041 was closed, but its task lives on: arn:aws:ecs", id="an orphan: aborted an hour ago, its task lives on"),
    pytest.param(ASKS, History((run(41, "FAILED"),), tasks=(task(of="run-000041", status="DEACTIVATING"),)), "orphan", "run-000041 was closed, but its task lives on", id="a task on its way down is alive"),
    pytest.param(ASKS, History((run(241),), tasks=(task(of="run-000041"),), details={"run-000041": None}), "copy", "a task of run-000041, whose end is not visible any more, lives: arn:aws:ecs", id="a task of a run so old that nobody knows how it ended"),
    pytest.param(ASKS, History((run(41),), tasks=(task(command=COMMAND),)), "outsider", "a task that this guard did not start is alive: arn:aws:ecs", id="an outsider with the job's command"),
    pytest.param(replace(ASKS, commands=("bin/report", "--day", "1")), History((run(41),), tasks=(task(command=("bin/report", "--day", "1")),)), "outsider", "a task that this guard did not start", id="an outsider with the command that this start would run"),
    pytest.param(ASKS, History((run(41),), tasks=(task(),), command=None), "outsider", "a task that this guard did not start", id="neither names a command: both run the image's own"),
    pytest.param(ASKS, History((run(41),), tasks=(task(command=("bin/report", "--day=20261122")),), command=command(("bin/report", "--day={local_date:%Y%m%d}"))), "outsider", "a task that this guard did not start", id="an outsider with the job's command of another day"),
    pytest.param(counting("family"), History((run(41),), tasks=(task(command=("bin/migrate",)),)), "outsider", "a task that this guard did not start", id="outsiders = family: any command counts"),
    pytest.param(lost("run-000042"), History((run(41),), details={"run-000042": Details(run(42, "RUNNING"), guard_execution="another")}), "claim", "run-000042 was started by another start a moment ago", id="the run that won is running"),
    pytest.param(lost("run-000042", taken=False), History((run(41),), details={"run-000042": Details(run(42, "RUNNING"), guard_execution="another")}), "claim", "run-000042 was started by another start", id="no answer, and it was somebody else who got the name: that run is running, though the list is too old to show it"),
    pytest.param(lost("run-000042"), History((run(41),), details={"run-000042": Details(run(42, "ABORTED", ended=1))}), "unseen", "run-000042 ended as ABORTED", id="the run that won was aborted a minute ago, and the list is too old to show it: its task may not be visible yet"),
    pytest.param(lost("run-000042", losses=10), History((run(42, ended=1),)), "claim", "others start this job faster: 10 names lost in a row", id="ten names lost in a row: others run the job"),
    pytest.param(replace(lost("run-000042"), may_wait=False, first=True), History((run(43, "RUNNING", began=1), run(42))), "run", "run-000043 has been running", id="the run that won has ended and another runs"),
    pytest.param(ASKS, History((run(41, ended=6),), tasks=(task(of="run-000041"),), details=described(run(41, ended=6), "t1")), "copy", "a task with the name of run-000041, which ended on 2026-11-23T18:55:00Z, is alive (a copy?): arn:aws:ecs", id="a task that its run saw stop lives six minutes later: it is another one"),
    pytest.param(ASKS, History((run(41, ended=540, began=600),), tasks=(task(of="run-000041"),), details=described(run(41, ended=540, began=600), "t1")), "copy", "a task with the name of run-000041", id="nine hours after a clean end a task has the run's name: a copy"),
    pytest.param(ASKS, History((run(41, ended=1),), tasks=(task("t2", of="run-000041"),), details=described(run(41, ended=1), "t1")), "copy", "a task with the name of run-000041", id="a task that the run did not see stop lives a minute after its clean end: a copy"),
    pytest.param(ASKS, History((run(41, "FAILED", ended=1),), tasks=(task("t2", of="run-000041"),), details=described(run(41, "FAILED", ended=1), "t1", error="BatchGuard.TaskFailed")), "copy", "a task with the name of run-000041", id="likewise after a clean failure"),
    pytest.param(ASKS, History((run(42), run(41, ended=540, began=600)), tasks=(task(of="run-000041"),)), "copy", "a task with the name of run-000041", id="a copy of an older run's task"),
    pytest.param(ASKS, History((run(41, ended=1),), tasks=(task(of="run-000041"),), details={"run-000041": None}), "run", "run-000041 has ended, how is not visible yet, and its task is alive", id="a live task of a run whose details are not visible yet"),
    pytest.param(ASKS, History((run(41),), tasks=(task(of=ANOTHER_STAGES, command=COMMAND),)), "outsider", "a task that this guard did not start is alive", id="a task of another stage's run with the job's command is an outsider"),
    pytest.param(counting("family"), History((run(41),), tasks=(task(of=ANOTHER_STAGES, command=("bin/migrate",)),)), "outsider", "a task that this guard did not start is alive", id="outsiders = family: so is a task of another stage's run, whatever its command"),
    pytest.param(ASKS, History((run(41),), tasks=(task(of=ANOTHER_JOBS, command=("bin/migrate",), job="nightly-report"),)), "outsider", "a task of batch-guard-dev-hourly-import:run-000007, from before nightly-report moved here, is alive", id="a task of another job's run that says it is this job"),
    pytest.param(ASKS, History((run(41, "ABORTED", ended=59),), details={"run-000041": None}), "unseen", "run-000041 ended as ABORTED, and Step Functions does not show yet where its task ran", id="the newest run is not clean and can't be described: nobody knows where to look"),
    pytest.param(ASKS, History((run(41, "ABORTED", ended=59),), tasks=(task(of="run-000041", cluster="old-cluster", target=ELSEWHERE),), details={"run-000041": Details(run(41, "ABORTED", ended=59), target=ELSEWHERE)}), "orphan", "run-000041 was closed, but its task lives on", id="an orphan on the cluster that the job had before"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "history", "next_run"), FREE)
def test_free(request_: Request, history: History, next_run: str) -> None:
    verdict = history.judge(request_)
    assert isinstance(verdict, Free), verdict
    assert run_name(verdict.latest + 1) == next_run


@pytest.mark.parametrize(("request_", "history", "why", "expected"), BUSY)
def test_busy(request_: Request, history: History, why: Why, expected: str) -> None:
    verdict = history.judge(request_)
    assert isinstance(verdict, Busy), verdict
    assert verdict.why == why
    assert verdict.reason.startswith(expected)
    assert not verdict.unclear


CANT_TELL = [
    pytest.param(ASKS, History((run(41, began=90 * 1440, ended=80 * 1440),)), RestedTooLong, "guardctl run JOB --first", id="a rest of 80 days: names may be forgotten"),
    pytest.param(ASKS, History(created_at=NOW - timedelta(days=80)), RestedTooLong, "no run is visible", id="nothing is visible of a machine that is 80 days old"),
    pytest.param(replace(ASKS, history=timedelta(days=30)), History((run(41, began=21 * 1440, ended=20 * 1440),)), RestedTooLong, "Step Functions forgets a run after 30 days", id="30 days of history and a rest of 20: names may be forgotten"),
    pytest.param(replace(ASKS, history=timedelta(days=30)), History(created_at=NOW - timedelta(days=20)), RestedTooLong, "runs older than 30 days are forgotten", id="30 days of history, and nothing is visible of a machine that is 20 days old"),
    pytest.param(lost("run-000042"), History((run(41),), details={"run-000042": None}), CantTell, "the name run-000042 is taken, but", id="a taken name that stays invisible"),
    pytest.param(lost("run-000042", taken=False), History((run(42, ended=60),), details={"run-000042": None}), CantTell, "whose it is", id="no answer, and a run of that name has ended that may have been its own: it must not run twice"),
    pytest.param(lost("run-000042", taken=False), History((run(43, ended=60),), details={"run-000042": None}), CantTell, "whose it is", id="no answer, and a later run has ended: the one asked for may have been its own"),
    pytest.param(lost("run-000042"), History((run(42, ended=60),), details={"run-000042": None}), CantTell, "whose it is", id="a taken name may be the start's own: until it can be described, nobody can tell"),
    pytest.param(lost("run-000042", taken=False), History((run(42, "RUNNING"),), details={"run-000042": None}), CantTell, "this start may have run", id="no answer, and the run of that name is running: it may be its own, so it is no skip"),
    pytest.param(lost("run-000010", losses=10), History(details={"run-000010": Details(run(10))}), CantTell, "which the list does not show", id="name after name is taken, and the list shows none of them"),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "history", "error", "expected"), CANT_TELL)
def test_cant_tell(request_: Request, history: History, error: type[Exception], expected: str) -> None:
    with pytest.raises(error, match=expected):
        history.judge(request_)


def test_a_taken_name_that_is_not_visible_yet_is_waited_for() -> None:
    history = History((run(41),), details={"run-000042": None})
    verdict = history.judge(replace(lost("run-000042"), may_wait=True))
    assert isinstance(verdict, Busy)
    assert verdict.unclear, "it may be its own"
    assert verdict.holder.name == "run-000042"


@pytest.mark.parametrize("status", ["RUNNING", "SUCCEEDED", "FAILED"])
@pytest.mark.parametrize("taken", [True, False])
def test_a_lost_reply_is_recognised_as_ours(status: str, taken: bool) -> None:
    mine = Details(run(42, status), guard_execution=GUARD)
    verdict = History((run(41),), details={"run-000042": mine}).judge(lost("run-000042", taken=taken))
    assert isinstance(verdict, Mine)
    assert verdict.holder.name == "run-000042"


def test_a_rest_that_seems_too_long_is_looked_at_twice() -> None:
    rested = History((run(41, began=90 * 1440, ended=80 * 1440),))
    verdict = rested.judge(replace(ASKS, may_wait=True))
    assert isinstance(verdict, Unsure), "the list may be old news"
    assert "guardctl run JOB --first" in verdict.reason


PAGE = NeedPage(MACHINE)
ABORTED = run(41, "ABORTED", ended=59)
OWN = NeedEvidence((TARGET,))


def details_of(name: str) -> NeedDetails:
    """What the run with this name, as `arn_of` takes it, lacks."""
    return NeedDetails(arn_of(name))


AN_ARN = replace(TARGET, cluster="arn:aws:ecs:ap-northeast-1:123456789012:cluster/batch", container="main")


@pytest.mark.parametrize(
    ("history", "needs"),
    [
        pytest.param(History((run(41, "RUNNING"),)), [PAGE], id="a skip reads one page and never asks ECS"),
        pytest.param(History((run(41),)), [PAGE, OWN], id="a start reads one page and the tasks"),
        pytest.param(History(), [PAGE, NeedCreatedAt(MACHINE), OWN], id="a first start also asks how old the machine is"),
        pytest.param(History((run(41, "FAILED", ended=1),), details=described(run(41, "FAILED", ended=1), error="BatchGuard.X")), [PAGE, details_of("run-000041"), OWN], id="a fresh failure is looked at"),
        pytest.param(History((ABORTED,), details={"run-000041": Details(ABORTED, target=ELSEWHERE)}), [PAGE, details_of("run-000041"), NeedEvidence((TARGET, ELSEWHERE))], id="the newest run is not clean: its task is looked for where it was started, too"),
        pytest.param(History((run(41, "FAILED"),), details={"run-000041": Details(run(41, "FAILED"), "BatchGuard.X", target=ELSEWHERE)}), [PAGE, details_of("run-000041"), OWN], id="a clean failure has left no task elsewhere"),
        pytest.param(History((ABORTED,), details={"run-000041": Details(ABORTED, target=AN_ARN)}), [PAGE, details_of("run-000041"), OWN], id="one place, though one cluster is an ARN"),
        pytest.param(History((ABORTED,), details={"run-000041": Details(ABORTED)}), [PAGE, details_of("run-000041"), OWN], id="a run that says no target is looked for at the job's own"),
        pytest.param(History((run(42), ABORTED)), [PAGE, OWN], id="only the newest run can have left a task"),
        pytest.param(History((run(42), ABORTED), tasks=(task(of="run-000042"),), details=described(run(42))), [PAGE, OWN, details_of("run-000042")], id="a run is described when a live task has its name"),
    ],
)  # fmt: skip
def test_what_is_read_and_in_what_order(history: History, needs: list[Missing]) -> None:
    assert history.asked(ASKS) == needs


def test_a_lost_claim_is_looked_at_before_the_page_is_read_again() -> None:
    history = History((run(42, ended=1),))
    assert history.asked(lost("run-000042"))[:2] == [details_of("run-000042"), PAGE]


# --- several slots ----------------------------------------------------------------------------------------

THREE = with_slots(3)
LONG = run(7, "RUNNING", began=61)
"""A run of an hour in the first slot."""
IN_TWO, IN_THREE = (run(3, "RUNNING", began=n, of=slot(n)) for n in (2, 3))


def closed(number: int, at: int, status: str = "SUCCEEDED", ended: float = 60) -> Execution:
    """A run of another slot that has ended."""
    return run(number, status, ended=ended, of=slot(at))


def claimed(name: str, at: int, *, taken: bool = True, may_wait: bool = False) -> Request:
    """A look of a pool of three slots, after a run of one of them was asked for."""
    return replace(THREE, claim=Claim(name, taken, slot(at)), losses=1, may_wait=may_wait)


ORPHANED = History(
    (run(41, "ABORTED", ended=59),), tasks=(task(of="run-000041"),), further=((closed(3, 2),), (closed(5, 3),))
)
ALL_HELD = History((LONG,), further=((IN_TWO,), (IN_THREE,)))


@pytest.mark.parametrize(
    ("request_", "history", "machine", "next_run"),
    [
        pytest.param(THREE, History((run(7),), further=((closed(3, 2),), (closed(5, 3),))), 1, 8, id="the first slot that is free"),
        pytest.param(THREE, History((LONG,), further=((closed(3, 2),), (closed(5, 3),))), 2, 4, id="the second when the first is held, by that slot's own numbers"),
        pytest.param(THREE, History((LONG,), further=((IN_TWO,), ())), 3, 1, id="the third has never run"),
        pytest.param(THREE, History((run(7),), further=((IN_TWO,), (IN_THREE,))), 1, 8, id="a slot is free again before others"),
        pytest.param(THREE, ORPHANED, 2, 4, id="an orphan holds its own run's slot"),
        pytest.param(THREE, History((run(41),), tasks=(task(of="2:run-000003"),), further=((closed(3, 2, "ABORTED"),), ())), 1, 42, id="an orphan of the second slot leaves the first free"),
        pytest.param(THREE, History((LONG,), tasks=(task(of="2:run-000003"),), further=((closed(3, 2, "ABORTED"),), ())), 3, 1, id="and is passed by"),
        pytest.param(THREE, History((LONG,), tasks=(task("t2", of="2:run-000003"),), further=((closed(3, 2),), ())), 3, 1, id="a copy holds the slot of the run whose name it has"),
        pytest.param(THREE, History((run(7),), tasks=(task(command=COMMAND),), further=((closed(3, 2),), ())), 2, 4, id="an outsider fills the first free slot"),
        pytest.param(THREE, History((LONG,), tasks=(task(command=COMMAND),), further=((closed(3, 2),), ())), 3, 1, id="the first free one, not the first"),
        pytest.param(THREE, History((run(7),), tasks=(task("t1", command=COMMAND), task("t2", command=COMMAND)), further=((closed(3, 2),), ())), 3, 1, id="two outsiders fill two"),
        pytest.param(THREE, History((run(41, "ABORTED", ended=59),), tasks=(task(of="run-000041"), task("t2", command=COMMAND)), further=((closed(3, 2),), ())), 3, 1, id="an orphan its own, an outsider the next"),
        pytest.param(THREE, History((run(41, "ABORTED", ended=1),), further=((closed(3, 2),), ())), 2, 4, id="a slot whose run's end ECS has not shown is held for six minutes, and no other"),
        pytest.param(THREE, History((run(7),), further=((closed(3, 2),), (execution("x", "RUNNING", of=slot(3)),))), 1, 8, id="what was started past the guard holds its slot only"),
        pytest.param(claimed("run-000042", 1), History((run(41),), details={"run-000042": Details(run(42, "RUNNING"), guard_execution="another")}, further=((closed(3, 2),), ())), 2, 4, id="who lost a name to a run that goes on gets the next slot"),
        pytest.param(claimed("run-000004", 2), History((LONG,), details={"2:run-000004": Details(run(4, "RUNNING", of=slot(2)), guard_execution="another")}, further=((closed(3, 2),), ())), 3, 1, id="also behind the second"),
        pytest.param(claimed("run-000004", 2), History((run(7),), details={"2:run-000004": Details(run(4, "RUNNING", of=slot(2)), guard_execution="another")}, further=((closed(3, 2),), ())), 1, 8, id="or the first, if that is free by now"),
        pytest.param(claimed("run-000004", 2), History((LONG,), details={"2:run-000004": Details(run(4, ended=1, of=slot(2)))}, further=((closed(3, 2),), ())), 2, 5, id="the claim's number counts in its own slot"),
        pytest.param(claimed("run-000009", 2, taken=False), History((run(7),), details={"2:run-000009": None}, further=((closed(8, 2),), ())), 2, 9, id="a start that got no answer asks for that very name again, though the first slot is free"),
        pytest.param(replace(ASKS, slots=(slot(2),)), History((LONG,), further=((closed(3, 2),),)), 2, 4, id="a renewal asks about its own slot"),
    ],
)  # fmt: skip
def test_a_slot_is_free(request_: Request, history: History, machine: int, next_run: int) -> None:
    verdict = history.judge(request_)
    assert isinstance(verdict, Free), verdict
    assert (verdict.machine, verdict.latest + 1) == (slot(machine), next_run)


@pytest.mark.parametrize(
    ("request_", "history", "whys"),
    [
        pytest.param(THREE, ALL_HELD, ["run", "run", "run"], id="three runs"),
        pytest.param(THREE, History((LONG,), tasks=(task(of="2:run-000003"),), further=((closed(3, 2, "ABORTED"),), (closed(5, 3, "ABORTED", ended=1),))), ["run", "orphan", "unseen"], id="a run, an orphan, an end that ECS has not shown"),
        pytest.param(THREE, History((LONG,), tasks=(task(command=COMMAND), task("t2", of="2:run-000003")), further=((closed(3, 2),), (closed(5, 3),))), ["run", "copy", "outsider"], id="a copy holds the second, so the outsider fills the third"),
        pytest.param(THREE, replace(ORPHANED, tasks=(*ORPHANED.tasks, task("t2", command=COMMAND), task("t3", command=COMMAND))), ["orphan", "outsider", "outsider"], id="two outsiders behind an orphan"),
        pytest.param(replace(THREE, slots=THREE.slots[:1]), History((run(7),), tasks=(task(of="2:run-000003", job="nightly-report"),)), ["outsider"], id="slots were lowered: the task of a run of a slot that is no more fills a slot as one that was moved"),
        pytest.param(claimed("run-000042", 1), History((run(41),), details={"run-000042": Details(run(42, "RUNNING"), guard_execution="another")}, further=((IN_TWO,), (IN_THREE,))), ["claim", "run", "run"], id="the run that won, and two more"),
    ],
)  # fmt: skip
def test_all_slots_are_held(request_: Request, history: History, whys: list[Why]) -> None:
    verdict = history.judge(request_)
    assert isinstance(verdict, Busy), verdict
    assert [held.why for held in verdict.slots] == whys
    assert [held.machine for held in verdict.slots] == [slot(n) for n in range(1, len(whys) + 1)]
    assert not any(held.others for held in verdict.slots), "each tells of its own slot"


def test_what_is_said_of_a_full_pool_begins_with_its_first_slot() -> None:
    verdict = ALL_HELD.judge(THREE)
    assert isinstance(verdict, Busy)
    assert (verdict.holder.name, verdict.holder.arn, verdict.latest) == ("run-000007", LONG.arn, 7)
    assert [other.holder.arn for other in verdict.others] == [IN_TWO.arn, IN_THREE.arn]


def test_an_outsider_is_not_counted_in_two_slots() -> None:
    """A pool of two slots, one outsider and one start: they are two."""
    verdict = History((run(7),), tasks=(task(command=COMMAND),), further=((),)).judge(with_slots(2))
    assert isinstance(verdict, Free)
    assert verdict.machine == slot(2)


@pytest.mark.parametrize(
    ("request_", "history", "expected"),
    [
        pytest.param(claimed("run-000042", 1), History((run(42, ended=60),), details={"run-000042": None}, further=((closed(3, 2),), ())), "whose it is", id="a claim that is unclear is no reason to ask in a free slot"),
        pytest.param(claimed("run-000042", 1), History((run(41),), details={"run-000042": None}, further=((closed(3, 2),), ())), "the name run-000042 is taken, but", id="nor is a taken name that stays invisible"),
        pytest.param(claimed("run-000004", 2, taken=False), History((run(7),), details={"2:run-000004": None}, further=((run(4, "RUNNING", of=slot(2)),), ())), "this start may have run", id="nor is a run of that name which may be its own"),
        pytest.param(claimed("run-000004", 2, taken=False), History((run(7),), details={"2:run-000004": None}, further=((closed(3, 2),), ()), tasks=(task("t1", command=COMMAND),)), "this start may have run", id="nor an outsider that could as well be in the free one"),
    ],
)  # fmt: skip
def test_an_unclear_claim_is_judged_in_its_own_slot_only(request_: Request, history: History, expected: str) -> None:
    with pytest.raises(CantTell, match=expected):
        history.judge(request_)


def test_a_claim_that_is_waited_for_is_unclear_in_its_own_slot() -> None:
    history = History((run(7),), details={"2:run-000004": None}, further=((closed(3, 2),), ()))
    asks = claimed("run-000004", 2, may_wait=True)
    assert history.asked(asks) == [NeedDetails(arn_of("2:run-000004")), NeedPage(slot(2))]
    verdict = history.judge(asks)
    assert isinstance(verdict, Busy)
    assert (verdict.unclear, verdict.machine, verdict.others) == (True, slot(2), ())


def test_a_lost_reply_of_a_further_slot_is_recognised_as_ours() -> None:
    mine = Details(run(4, "RUNNING", of=slot(2)), guard_execution=GUARD)
    verdict = History((run(7),), details={"2:run-000004": mine}, further=((), ())).judge(claimed("run-000004", 2))
    assert isinstance(verdict, Mine)
    assert verdict.holder.arn == arn_of("2:run-000004")


def test_a_slot_that_rested_too_long_is_not_passed_by() -> None:
    """A slot whose names may be forgotten is neither free nor held; a later one would not make it clear."""
    history = History((run(41, began=90 * 1440, ended=80 * 1440),), further=((closed(3, 2),), ()))
    with pytest.raises(RestedTooLong):
        history.judge(THREE)
    assert isinstance(history.judge(replace(THREE, may_wait=True)), Unsure)


# --- several jobs -----------------------------------------------------------------------------------------

IMPORT = Target("batch", "import", "app")
NEIGHBOURS = replace(ASKS, members=(Member("nightly-report", TARGET), Member("import", IMPORT)))
IMPORTS = ("bin/import",)


def beside(*tasks: Task, members: tuple[Member, ...] = NEIGHBOURS.members) -> tuple[Request, History]:
    """A start of the report, in a pool with the import, while these tasks are alive."""
    history = History((run(41),), tasks=tasks, commands={"import": IMPORTS})
    return replace(NEIGHBOURS, members=members), history


@pytest.mark.parametrize(
    ("found", "says"),
    [
        pytest.param(beside(task(command=IMPORTS, target=IMPORT)), "a task that this guard did not start is alive", id="an outsider that is the neighbour's"),
        pytest.param(beside(task(command=("bin/other",), target=IMPORT)), None, id="an outsider of the neighbour's family with another command"),
        pytest.param(beside(task(command=IMPORTS)), None, id="the neighbour's command in this job's family"),
        pytest.param(beside(task(command=COMMAND, target=IMPORT)), None, id="this job's command in the neighbour's family"),
        pytest.param(beside(task(command=("x",), target=IMPORT), members=(NEIGHBOURS.members[0], Member("import", IMPORT, "family"))), "a task that this guard did not start", id="the neighbour counts any of its family"),
        pytest.param(beside(task(command=("x",)), members=(NEIGHBOURS.members[0], Member("import", IMPORT, "family"))), None, id="but not of this job's"),
        pytest.param(beside(task(command=IMPORTS, target=IMPORT), members=(NEIGHBOURS.members[0], Member("import", IMPORT, "ignore"))), None, id="the neighbour ignores its outsiders"),
        pytest.param(beside(task(of=ANOTHER_JOBS, job="import", target=IMPORT)), "a task of batch-guard-dev-hourly-import:run-000007, from before import moved here", id="a task of the neighbour from before it moved here"),
        pytest.param(beside(task(of=ANOTHER_JOBS, job="hourly-import", target=IMPORT)), None, id="another pool's task"),
        pytest.param(beside(task("t2", of="run-000041", job="import", target=IMPORT)), "a task with the name of run-000041", id="a copy of the neighbour's task"),
    ],
)  # fmt: skip
def test_what_of_a_neighbour_is_in_the_way(found: tuple[Request, History], says: str | None) -> None:
    request_, history = found
    verdict = history.judge(request_)
    if says is None:
        assert isinstance(verdict, Free), verdict
    else:
        assert isinstance(verdict, Busy), verdict
        assert verdict.reason.startswith(says)


def test_what_a_start_was_asked_to_run_is_its_own_jobs_command_only() -> None:
    request_, history = beside(task(command=("bin/x",), target=IMPORT))
    assert isinstance(history.judge(replace(request_, commands=("bin/x",))), Free)


# --- what is read -----------------------------------------------------------------------------------------

PAGES = [NeedPage(slot(n)) for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("history", "needs"),
    [
        pytest.param(History((run(7),), further=((IN_TWO,), ())), [PAGES[0], OWN], id="a free first slot: no other is read"),
        pytest.param(History((LONG,), further=((closed(3, 2),), ())), [*PAGES[:2], OWN], id="a held one: the next is, and then the tasks"),
        pytest.param(ALL_HELD, PAGES, id="all held by runs: three pages, and ECS is not asked"),
        pytest.param(History((run(7),), tasks=(task(command=COMMAND),), further=((closed(3, 2),), ())), [PAGES[0], OWN, PAGES[1]], id="the tasks are read once for all slots"),
        pytest.param(History((run(7),), tasks=(task(command=COMMAND),), further=((closed(3, 2, "ABORTED"),), ()), details={"2:run-000003": Details(closed(3, 2, "ABORTED"), target=TARGET)}), [PAGES[0], OWN, PAGES[1], NeedDetails(arn_of("2:run-000003"))], id="an unclean end in a further slot at a known place: described, and the tasks are not read again"),
        pytest.param(History((run(7),), tasks=(task(command=COMMAND),), further=((closed(3, 2, "ABORTED"),), ()), details={"2:run-000003": Details(closed(3, 2, "ABORTED"), target=ELSEWHERE)}), [PAGES[0], OWN, PAGES[1], NeedDetails(arn_of("2:run-000003")), NeedEvidence((TARGET, ELSEWHERE))], id="at another place: the tasks are read again, there too"),
        pytest.param(History((LONG,), further=((IN_TWO,), ())), [*PAGES, NeedCreatedAt(slot(3)), OWN], id="a slot that has never run: how old its machine is"),
    ],
)  # fmt: skip
def test_what_is_read_of_slots_and_in_what_order(history: History, needs: list[Missing]) -> None:
    assert history.asked(THREE) == needs


def test_a_task_at_the_further_place_holds_its_slot() -> None:
    aborted = closed(3, 2, "ABORTED")
    tasks = (task(command=COMMAND), task("t2", of="2:run-000003", target=ELSEWHERE))
    history = History(
        (run(7),), tasks=tasks, further=((aborted,), ()), details={"2:run-000003": Details(aborted, target=ELSEWHERE)}
    )
    verdict = history.judge(with_slots(2))
    assert isinstance(verdict, Busy)
    assert [held.why for held in verdict.slots] == ["outsider", "orphan"]


def test_the_members_of_one_place_are_looked_for_once() -> None:
    twice = replace(ASKS, members=(Member("nightly-report", TARGET), Member("import", AN_ARN)))
    assert History((run(41),)).asked(twice) == [PAGE, OWN]
