"""The real checker (check.py, tasks.py, guard.py), fed with one read at a time.

`ask` runs the checker on the reads it has had so far. It answers with the next read that it needs, with its
decision, or with the error it ends with. Nothing is kept between two calls: so a pause of the model's checker is
an exception, and going on is running it again from the start with one read more.
"""

import functools
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, NoReturn

from chalicelib import check
from chalicelib.config.jobs import parse
from chalicelib.decide import availability as guard
from chalicelib.decide import overlap
from chalicelib.decide.facts import CantTell, Details, Execution, Facts, Need, NeedDetails
from chalicelib.names import (
    batch_machine,
    execution_arn,
    guard_machine,
    machine_arn,
    pause_name,
    pause_number,
    run_name,
    run_number,
)
from chalicelib.read.executions import Page
from lab.verify.world import (
    ABORTED,
    EARLIER,
    FAILED,
    FORGOTTEN,
    JUST_NOW,
    LONG_AGO,
    OPEN,
    RESTED,
    STOPPED,
    STOPPED_SINCE,
    SUCCEEDED,
    UNCLEAR,
    Features,
)

BEGAN = datetime(2026, 11, 23, 19, 0, tzinfo=UTC)
"""When the asking guard execution began, by its own account."""
LATE = timedelta(hours=2)
"""Later than any deadline of the model's job."""
LAMBDA = "arn:aws:lambda:eu-west-1:123456789012:function:batch-guard-dev-check"
JOB = "nightly"
MACHINE = machine_arn(LAMBDA, batch_machine("dev", JOB))
GUARD_MACHINE = machine_arn(LAMBDA, guard_machine("dev"))
OUTSIDER = 0  # the task started by hand, where the tasks of runs have the run's number
PAUSE = -1  # likewise: the execution that pauses the job
ODD = "PENDING_REDRIVE"

_ENDED = {
    JUST_NOW: timedelta(0),
    EARLIER: guard.TASK_LAG,
    LONG_AGO: 2 * guard.TASK_LAG,
    RESTED: guard.NAMES_LAST,
    FORGOTTEN: timedelta(days=90),
}
_JOBS_FILE = """
[jobs.{job}]
schedule = "0 0 1 1 *"
grace = "15s"
overlap = "{overlap}"
orphans = "{orphans}"
[jobs.{job}.ecs]
cluster = "batch"
task_definition = "report"
container = "app"
command = ["bin/report"]
launch_type = "EC2"
"""


class Shown(NamedTuple):
    """One execution as a read shows it; `age` is how long ago it closed when the checker looked at its clock."""

    number: int
    status: str
    age: int = JUST_NOW
    mine: bool = False
    older: bool = True
    """It began before the asking guard did."""


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
Decide = Callable[[overlap.Start, Facts], overlap.Decision | Need | NeedDetails]


class _Pause(BaseException):
    def __init__(self, wanted: Wanted) -> None:
        super().__init__()
        self.wanted = wanted


class RealChecker:
    """`check.Checker`, with another `decide` if a mutant brings one."""

    def __init__(self, features: Features, decide: Decide = overlap.decide) -> None:
        text = _JOBS_FILE.format(job=JOB, overlap=features.overlap, orphans=features.orphans)
        self._jobs = parse(text, stage="dev", place="verify")
        self._decide = decide
        self.ask = functools.cache(self._ask)

    def _ask(self, event: str, late: bool, reads: tuple[Read, ...]) -> Answer:
        asking = json.loads(event)
        now = BEGAN + LATE if late else BEGAN
        recorded = _Recorded(reads, now, asking["guard"]["execution"])
        clients: Any = recorded  # in place of two AWS clients
        checker = check.Checker(lambda: self._jobs, LAMBDA, clients, lambda: clients, lambda: now, self._decide)
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

    def __init__(self, reads: tuple[Read, ...], now: datetime, me: str) -> None:
        self._reads = iter(reads)
        self._now = now
        self._me = me

    def _next(self, what: str, of: Any = None) -> Any:
        read = next(self._reads, None)
        if read is None:
            raise _Pause(Wanted(what, of))
        assert (read.what, read.of) == (what, of), "the checker asked otherwise when it was run again"
        return read.answer

    def page(self, _machine: str, token: str | None = None, *, only_running: bool = False) -> Page:
        assert token is None, "the model's histories fit one page"
        assert not only_running
        return Page(tuple(_execution(shown, self._now) for shown in self._next("page")))

    def details(self, arn: str) -> Details | None:
        machine, _, name = arn.rpartition(":")
        if machine + ":" == execution_arn(GUARD_MACHINE, ""):
            shown: Shown | None = self._next("waiter", name)
        else:
            shown = self._next("details", PAUSE if pause_number(name) else run_number(name))
        if shown is None:
            return None
        error = {FAILED: "BatchGuard.TaskFailed", UNCLEAR: "Unclean.LostSight"}.get(shown.status)
        return Details(_execution(shown, self._now), error, self._me if shown.mine else "somebody else's")

    def created_at(self, _machine: str) -> datetime:
        return self._now - (guard.NAMES_LAST if self._next("created_at") else timedelta(days=1))

    def list_tasks(self, *, desiredStatus: str, **_: Any) -> Mapping[str, Any]:  # noqa: N803 (AWS's spelling)
        return {"taskArns": [_task_arn(number) for number in self._next("tasks", desiredStatus)]}

    def describe_tasks(self, *, tasks: list[str], **_: Any) -> Mapping[str, Any]:
        numbers = tuple(int(arn.rsplit("/", 1)[-1]) for arn in tasks)
        return {"tasks": [_task(seen, self._now) for seen in self._next("describe", numbers)]}

    def __getattr__(self, name: str) -> NoReturn:
        raise AssertionError(f"the model has no answer to {name}")


def _execution(shown: Shown, now: datetime) -> Execution:
    name = pause_name(1) if shown.number == PAUSE else run_name(shown.number)
    arn = execution_arn(MACHINE, name)
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


def _task(seen: tuple[int, str, int, bool], now: datetime) -> Mapping[str, Any]:
    number, status, age, older = seen
    override: dict[str, Any] = {"name": "app", "command": ["bin/report"]}
    if number != OUTSIDER:
        execution = execution_arn(MACHINE, run_name(number))
        override["environment"] = [{"name": "BATCH_EXECUTION", "value": execution}]
    stopped = {
        STOPPED: now - _ENDED[age] - 2 * guard.CLOCKS,
        STOPPED_SINCE: now - _ENDED[age] + timedelta(seconds=1),
    }
    return {
        "taskArn": _task_arn(number),
        "taskDefinitionArn": "arn:aws:ecs:eu-west-1:123456789012:task-definition/report:1",
        "lastStatus": "STOPPED" if status in stopped else "RUNNING",
        "createdAt": _began(older=older),
        "stoppedAt": stopped.get(status),
        "overrides": {"containerOverrides": [override]},
    }
