"""The real checker (check.py with all that it calls), fed with one read at a time.

`ask` runs the checker on the reads it has had so far. It answers with the next read that it needs, with its
decision, or with the error it ends with. Nothing is kept between two calls: so a pause of the model's checker is
an exception, and going on is running it again from the start with one read more.
"""

import functools
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, NoReturn

from chalicelib import check
from chalicelib.config.jobs import JobsFile, parse
from chalicelib.decide import overlap
from chalicelib.decide.availability import SURE_BEFORE_FORGOTTEN
from chalicelib.decide.decisions import Decision
from chalicelib.decide.facts import CLOCKS, TASK_LAG, CantTell, Details, Execution, Facts, Missing, NeedTasksOf
from chalicelib.names import (
    batch_machine,
    execution_arn,
    guard_machine,
    machine_arn,
    pause_name,
    pause_number,
    run_name,
    run_number,
    waiting_machine,
)
from chalicelib.parsing import details_of
from chalicelib.read.executions import Page
from chalicelib.read.tasks import Ecs
from guardctl.template import pool_rows
from lab.verify.world import (
    ABORTED,
    EARLIER,
    FAILED,
    FORGOTTEN,
    HERE,
    JUST_NOW,
    LONG_AGO,
    OPEN,
    RESTED,
    STOPPED,
    STOPPED_SINCE,
    SUCCEEDED,
    THERE,
    UNCLEAR,
    Features,
    run_id,
)

BEGAN = datetime(2026, 11, 23, 19, 0, tzinfo=UTC)
"""When the asking guard execution began, by its own account."""
LATE = timedelta(hours=2)
"""Later than any deadline of the model's job."""
CLOCKS_OF_A_START = (timedelta(0), overlap.YIELDS_FOR + timedelta(minutes=1), LATE)
"""What may have passed at a look: nothing; the time that a start yields; any deadline, and `queue_timeout`."""
ON_TIME, YIELDED, TOO_LATE = range(3)
LAMBDA = "arn:aws:lambda:eu-west-1:123456789012:function:batch-guard-dev-check"
JOB = "nightly"
NEIGHBOUR = "weekly"
JOBS = (JOB, NEIGHBOUR)
SHARED = "shared"
MACHINES = {
    pool: tuple(machine_arn(LAMBDA, batch_machine("dev", pool, slot)) for slot in (1, 2, 3)) for pool in (JOB, SHARED)
}
"""One a slot, of a job's own pool and of one that it shares."""
WAITING_MACHINE = machine_arn(LAMBDA, waiting_machine("dev"))
GUARD_MACHINE = machine_arn(LAMBDA, guard_machine("dev"))
OUTSIDER = 0  # the task started by hand, where the tasks of runs have the run's number
PAUSE = -1  # likewise: the execution that pauses the job
ODD = "PENDING_REDRIVE"
CLUSTERS = {"batch": HERE, "elsewhere": THERE}

_HISTORY = timedelta(days=90)
_ENDED = {
    JUST_NOW: timedelta(0),
    EARLIER: TASK_LAG,
    LONG_AGO: 2 * TASK_LAG,
    RESTED: _HISTORY - SURE_BEFORE_FORGOTTEN,
    FORGOTTEN: _HISTORY,
}
_TARGETS = {
    HERE: {"cluster": "batch", "family": "report", "container": "app"},
    THERE: {"cluster": "elsewhere", "family": "report-2", "container": "app"},
}
_JOBS_FILE = """
{pools}
[jobs.{job}]
{pool}
schedule = "0 0 1 1 *"
grace = "15s"
overlap = "{overlap}"
orphans = "{orphans}"
[jobs.{job}.ecs]
cluster = "{cluster}"
task_definition = "{family}"
container = "{container}"
command = ["bin/report"]
launch_type = "EC2"
{neighbour}
"""
_NEIGHBOUR = """
[jobs.{neighbour}]
pool = "{pool}"
schedule = "0 0 1 1 *"
grace = "15s"
overlap = "{overlap}"
orphans = "{orphans}"
[jobs.{neighbour}.ecs]
cluster = "{cluster}"
task_definition = "{family}"
container = "{container}"
command = ["bin/weekly"]
launch_type = "EC2"
"""


def slot_of(machine: str) -> int:
    """Which slot's it is; the first is 0."""
    (slot,) = (slots.index(machine) for slots in MACHINES.values() if machine in slots)
    return slot


class Shown(NamedTuple):
    """One execution as a read shows it; `age` is how long ago it closed when the checker looked at its clock."""

    number: int
    status: str
    age: int = JUST_NOW
    mine: bool = False
    older: bool = True
    """It began before the asking guard did."""
    renewal: bool = False
    place: int = HERE
    tasks: tuple[int, ...] = ()
    """The tasks that it says it saw stop."""
    slot: int = 0
    job: int = 0


class SeenTask(NamedTuple):
    """One task as DescribeTasks shows it."""

    number: int
    status: str
    age: int = JUST_NOW
    """How long ago its run had closed when the checker looked at its clock."""
    older: bool = True
    """It began before the asking guard did."""
    of: int = OUTSIDER
    """The run whose BATCH_EXECUTION it has; none has the number 0."""
    job: int = 0
    """Its BATCH_JOB."""


class Read(NamedTuple):
    """One atomic read: what was asked (``page``, ``describe``, …), of what, and the answer."""

    what: str
    of: Any
    answer: Any


class Wanted(NamedTuple):
    """The checker needs this read next."""

    what: str
    of: Any


class Decided(NamedTuple):
    """The checker's answer, without the words."""

    payload: str


class Failed(NamedTuple):
    """The checker ended with this error."""

    error: str


Answer = Wanted | Decided | Failed
Decide = Callable[[overlap.Start, Facts], Decision | Missing]


class _Pause(BaseException):
    def __init__(self, wanted: Wanted) -> None:
        super().__init__()
        self.wanted = wanted


class RealChecker:
    """`check.Checker`, with another `decide` if a mutant brings one."""

    def __init__(self, features: Features, decide: Decide = overlap.decide) -> None:
        self._pool = SHARED if features.neighbour else JOB
        self._token = "more" if features.short_pages else None
        self._jobs = {
            (place, slots): jobs_file(features, place, slots) for place in _TARGETS for slots in {1, features.slots}
        }
        self._obeyed = decide
        self.ask = functools.cache(self._ask)

    def _decide(self, start: overlap.Start, facts: Facts) -> Decision | Missing:
        """What the tasks of an open run would add is for people: the model drops it, so it does not ask."""
        answer = self._obeyed(start, facts)
        if not isinstance(answer, NeedTasksOf):
            return answer
        return self._obeyed(start, replace(facts, stopped={**facts.stopped, answer.run: ()}))

    def _ask(
        self,
        event: str,
        clock: int,
        reads: tuple[Read, ...],
        place: int = HERE,
        slots: int = 1,
        memory: tuple[SeenTask, ...] = (),
    ) -> Answer:
        """`clock`: how late it is, of `CLOCKS_OF_A_START`; `place` and `slots`: what its jobs file says; `memory`: the
        tasks that it has seen STOPPED.
        """
        asking = json.loads(event)
        now = BEGAN + CLOCKS_OF_A_START[clock]
        recorded = _Recorded(reads, now, asking["guard"]["execution"], self._pool, self._token)
        clients: Any = recorded  # in place of two AWS clients
        ecs = Ecs(clients, {_task_arn(task.number): _task(task, now, self._pool) for task in memory})
        jobs = self._jobs[place, slots]
        checker = check.Checker(lambda: jobs, LAMBDA, clients, lambda: ecs, lambda: now, self._decide)
        try:
            answer = checker.answer(asking)
        except _Pause as pause:
            return pause.wanted
        except CantTell as error:
            return Failed(type(error).__name__)
        # What is said to people is dropped: no state machine branches on it, and it would tell equal states apart.
        holder = answer.get("holder") and {"name": answer["holder"]["name"], "arn": answer["holder"]["arn"]}
        told = {"reason": "", "holder": holder, "skips_in_a_row": 0}
        return Decided(json.dumps({**answer, **told}, sort_keys=True))


class _Recorded:
    """Both AWS clients: answers from the recording, in order, and pauses where it ends."""

    def __init__(self, reads: tuple[Read, ...], now: datetime, me: str, pool: str, token: str | None) -> None:
        self._reads = iter(reads)
        self._now = now
        self._me = me
        self._pool = pool
        self._token = token

    def _next(self, what: str, of: Any = None) -> Any:
        read = next(self._reads, None)
        if read is None:
            raise _Pause(Wanted(what, of))
        assert (read.what, read.of) == (what, of), "the checker asked otherwise when it was run again"
        return read.answer

    def page(self, machine: str, token: str | None = None, *, only_running: bool = False) -> Page:
        assert token is None, "a page with a run on it was not enough"
        assert only_running == (machine == WAITING_MACHINE)
        if only_running:
            return Page(tuple(itertools.starmap(_waiting, self._next("waiting"))))
        shown = [_execution(item, self._now, self._pool) for item in self._next("page", slot_of(machine))]
        return Page(tuple(shown), self._token if shown else None)

    def details(self, arn: str) -> Details | None:
        machine, _, name = arn.rpartition(":")
        if machine + ":" in {execution_arn(GUARD_MACHINE, ""), execution_arn(WAITING_MACHINE, "")}:
            shown: Shown | None = self._next("waiter", name)
        else:
            slot = slot_of(machine.replace(":execution:", ":stateMachine:"))
            shown = self._next("details", PAUSE if pause_number(name) else run_id(slot, run_number(name) or 0))
        if shown is None:
            return None
        return _details(shown, self._now, self._pool, self._me if shown.mine else "somebody else's")

    def created_at(self, machine: str) -> datetime:
        old = self._next("created_at", slot_of(machine))
        return self._now - (_ENDED[RESTED] if old else timedelta(days=1))

    def list_tasks(self, *, cluster: str, family: str, desiredStatus: str) -> Mapping[str, Any]:  # noqa: N803 (AWS's)
        place = CLUSTERS[cluster]
        assert _TARGETS[place]["family"] == family
        return {"taskArns": [_task_arn(number) for number in self._next("tasks", (desiredStatus, place))]}

    def describe_tasks(self, *, cluster: str, tasks: list[str]) -> Mapping[str, Any]:
        numbers = tuple(int(arn.rsplit("/", 1)[-1]) for arn in tasks)
        return {
            "tasks": [
                _task(seen, self._now, self._pool) for seen in self._next("describe", (numbers, CLUSTERS[cluster]))
            ]
        }

    def __getattr__(self, name: str) -> NoReturn:
        raise AssertionError(f"the model has no answer to {name}")


def jobs_file(features: Features, place: int, slots: int) -> JobsFile:
    """The pool that the features tell of."""
    name = SHARED if features.neighbour else JOB
    said = {"job": JOB, "orphans": features.orphans, **_TARGETS[place]}
    pool = bool(features.neighbour) or features.slots > 1
    other = (
        _NEIGHBOUR.format(overlap=features.neighbour, neighbour=NEIGHBOUR, pool=name, **said)
        if features.neighbour
        else ""
    )
    text = _JOBS_FILE.format(
        overlap=features.overlap,
        pools=f"[pools.{name}]\nslots = {slots}" if pool else "",
        pool=f'pool = "{name}"' if pool else "",
        neighbour=other,
        **said,
    )
    return parse(text, stage="dev", place="verify")


def rows(features: Features) -> str:
    """What the guard's definition knows of the pool."""
    return pool_rows(jobs_file(features, HERE, features.slots))


def _waiting(name: str, place: int) -> Execution:
    """One that waits, or did."""
    return Execution(execution_arn(WAITING_MACHINE, name), name, "RUNNING", BEGAN + timedelta(seconds=1 + 2 * place))


@functools.cache
def _details(shown: Shown, now: datetime, pool: str, asked_by: str) -> Details:
    error = {FAILED: "BatchGuard.TaskFailed", UNCLEAR: "Unclean.LostSight"}.get(shown.status)
    given = {"guard_execution": asked_by, "renewal": shown.renewal}
    given |= {"target": _TARGETS.get(shown.place), "job": JOBS[shown.job]}
    output = json.dumps({"tasks": [_task_arn(number) for number in shown.tasks]})
    return details_of(_execution(shown, now, pool), json.dumps(given), error=error, output=output)


@functools.cache
def _execution(shown: Shown, now: datetime, pool: str) -> Execution:
    name = pause_name(1) if shown.number == PAUSE else run_name(shown.number)
    arn = execution_arn(MACHINES[pool][shown.slot], name)
    started = _began(older=shown.older)
    if shown.status in {OPEN, ODD}:
        return Execution(arn, name, shown.status, started)
    status = {UNCLEAR: "FAILED"}.get(shown.status, shown.status)
    assert status in {SUCCEEDED, FAILED, ABORTED}
    return Execution(arn, name, status, started, now - _ENDED[shown.age])


def _began(*, older: bool) -> datetime:
    return BEGAN - timedelta(minutes=1) if older else BEGAN + timedelta(seconds=1)


def _task_arn(number: int) -> str:
    return f"arn:aws:ecs:eu-west-1:123456789012:task/batch/{number:06d}"


@functools.cache
def _task(seen: SeenTask, now: datetime, pool: str) -> Mapping[str, Any]:
    override: dict[str, Any] = {"name": "app", "command": ["bin/report"]}
    if seen.of:
        slot, number = divmod(seen.of, run_id(1, 0))
        execution = execution_arn(MACHINES[pool][slot], run_name(number))
        job = {"name": "BATCH_JOB", "value": JOBS[seen.job]}
        override["environment"] = [{"name": "BATCH_EXECUTION", "value": execution}, job]
    stopped = {
        STOPPED: now - _ENDED[seen.age] - 2 * CLOCKS,
        STOPPED_SINCE: now - _ENDED[seen.age] + timedelta(seconds=1),
    }
    return {
        "taskArn": _task_arn(seen.number),
        "taskDefinitionArn": "arn:aws:ecs:eu-west-1:123456789012:task-definition/report:1",
        "lastStatus": "STOPPED" if seen.status in stopped else "RUNNING",
        "createdAt": _began(older=seen.older),
        "stoppedAt": stopped.get(seen.status),
        "overrides": {"containerOverrides": [override]},
    }
