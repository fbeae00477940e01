"""The newest starts of a stage, and of one job the last that was none. Nothing here writes."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from chalicelib.config.jobs import Job
from chalicelib.decide import schedule
from chalicelib.decide.facts import Execution
from chalicelib.names import parse_guard_name, scheduled_name
from chalicelib.read.aws import reading
from chalicelib.read.executions import execution_of
from guardctl import ledger
from guardctl.ledger import KEPT, Entry
from guardctl.records import Reader
from guardctl.stage import Stage

_NEWEST = 1000
_LOOK_BACK = 10
"""So many scheduled times are looked up for a job whose skips end green, and so don't show as failed."""
_UNDECIDED = 3
"""So many scheduled times are looked up for the last verdict of a job in shadow."""


def newest(stage: Stage) -> list[Execution]:
    """The newest guard executions, open and closed."""
    with reading("states:ListExecutions", stage.guard):
        answer = stage.stepfunctions.list_executions(stateMachineArn=stage.guard, maxResults=_NEWEST)
        return [execution_of(item) for item in answer["executions"]]


def failed(stage: Stage) -> list[Execution]:
    """The newest guard executions that failed, newest first."""
    with reading("states:ListExecutions", stage.guard):
        answer = stage.stepfunctions.list_executions(
            stateMachineArn=stage.guard, statusFilter="FAILED", maxResults=_NEWEST
        )
        return [execution_of(item) for item in answer["executions"]]


def is_of(guard: Execution, deployed: Job) -> bool:
    """Whether it is a start of that job: a time that a holiday leaves out is none, and tells nothing of the job."""
    said = parse_guard_name(guard.name)
    if said is None or said.job != deployed.name:
        return False
    at = said.scheduled_at
    if at is None or said.kind != "scheduled":
        return True
    return not schedule.left_out(deployed.schedules, deployed.timezone, at - timedelta(seconds=1), at)


def in_shadow(reader: Reader, deployed: Job, now: datetime) -> Entry | None:
    """What the last scheduled time in shadow would have been; of those just passed, one may not be decided yet."""
    for at in _last_times(deployed, now, _UNDECIDED):
        guard = reader.guard(scheduled_name(deployed.name, at))
        if guard and (entry := ledger.in_shadow(deployed, at, guard)):
            return entry
    return None


def stepped_back(
    reader: Reader, job: Job, deployed: Job, failed: Sequence[Execution], now: datetime, unless: Entry | None
) -> tuple[datetime, Entry] | None:
    """The last start that stepped back or was refused; of one before the run `unless`, nothing is asked.

    Green ones are looked up by name, the last few, for one job alone.
    """
    newest = next((e for e in failed if is_of(e, deployed)), None)
    if newest and unless and unless.started and newest.started_at < unless.started:
        newest = None
    names = [newest.name] if newest else []
    if job.on_skip == "succeed" and unless is None:
        names += [scheduled_name(job.name, at) for at in _last_times(deployed, now, _LOOK_BACK)]
    steps = [
        (guard.stopped_at, entry)
        for guard in map(reader.guard, names)
        if guard and guard.stopped_at and (entry := ledger.not_started(job, guard))
    ]
    return max(steps, key=lambda step: step[0], default=None)


def _last_times(deployed: Job, now: datetime, count: int) -> Iterator[datetime]:
    """Its last scheduled times (UTC), so many at most, the newest first."""
    for _ in range(count):
        at = schedule.latest(deployed.schedules, deployed.timezone, now, within=KEPT)
        if at is None:
            return
        yield at
        now = at - timedelta(minutes=1)
