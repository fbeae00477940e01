"""How every job stands, from one page of its executions each."""

from dataclasses import dataclass
from datetime import datetime

from chalicelib import schedule
from chalicelib.aws import NotDeployed
from chalicelib.executions import StepFunctions
from chalicelib.guard import Execution
from chalicelib.jobs import Job
from chalicelib.names import pause_number, run_number
from guardctl.stage import Stage


@dataclass(frozen=True)
class JobStatus:
    """A line of ``guardctl status``. Times are UTC."""

    job: str
    state: str
    """running, paused, free, disabled or not deployed."""
    run: Execution | None
    """The run in progress."""
    last: Execution | None
    """The last run that ended."""
    next_time: datetime | None


def read(stage: Stage, job: Job, now: datetime) -> JobStatus:
    """One ListExecutions call. Raises what `chalicelib.aws.reading` raises, but for a missing machine."""
    upcoming = schedule.upcoming(job.schedules, job.timezone, now, limit=1) if job.enabled else []
    next_time = next(iter(upcoming), None)
    try:
        page = StepFunctions(stage.stepfunctions).page(stage.machine(job.name))
    except NotDeployed:
        return JobStatus(job.name, "not deployed", None, None, next_time)
    runs = [e for e in page.executions if run_number(e.name)]
    opened = [e for e in page.executions if not e.closed]
    running = next((e for e in opened if pause_number(e.name) is None), None)
    last = max((e for e in runs if e.closed), key=lambda e: run_number(e.name) or 0, default=None)
    idle = "paused" if opened else "free" if job.enabled else "disabled"
    state = "running" if running else idle
    return JobStatus(job.name, state, running, last, next_time)
