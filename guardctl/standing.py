"""How jobs stand: values without behaviour, and how long runs usually take. Nothing here asks AWS.

`guardctl.job_status` reads them, `triage`, `meeting` and the commands judge and show them. Times are UTC.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from chalicelib.decide import schedule
from chalicelib.decide.facts import Execution
from chalicelib.names import run_number
from guardctl.ledger import Entry, Record
from guardctl.pauses import Pause
from guardctl.trigger_health import Trigger

_RENEWAL = timedelta(seconds=5)
"""A renewal starts no task, and is over in less."""

State = Literal["running", "busy", "in the way", "free", "paused", "disabled", "shadow", "not deployed", "unknown"]
"""Busy: no run of it is in progress, and yet a start would step back: its neighbours' runs hold the pool. In the way: a
task does, one that was left behind or started by hand. Unknown: it could not be read; `start_now` says why."""


@dataclass(frozen=True)
class Usual:
    """How long runs that succeeded took, those on the newest page."""

    median: timedelta
    p95: timedelta
    runs: int


@dataclass(frozen=True)
class Held:
    """A slot of a pool and the run in progress there. Whose it is can't be told while its input is not visible."""

    slot: int
    run: Execution
    job: str | None


@dataclass(frozen=True)
class PoolStatus:
    """How a shared pool stands."""

    name: str
    slots: int
    pages: tuple[tuple[Execution, ...], ...]
    """The newest executions of each slot."""
    held: tuple[Held, ...]
    waiting: tuple[Execution, ...]
    """Who waits for it: first who goes first."""


@dataclass(frozen=True)
class JobStatus:
    """How one job stands. Times are UTC."""

    job: str
    state: State
    run: Execution | None = None
    """The run in progress."""
    task: str | None = None
    """The ARN of its ECS task."""
    concern: str = ""
    """Why the run in progress has no live task."""
    last: Entry | None = None
    """The last run that ended."""
    usual: Usual | None = None
    next_time: datetime | None = None
    not_started: tuple[datetime, Entry] | None = None
    """The last start that stepped back, and when."""
    pause: Pause | None = None
    pool: PoolStatus | None = None
    """Its pool, if that is shared."""
    missed: datetime | None = None
    """Its last scheduled time, if nothing was started for it, and no tick will."""
    overdue: datetime | None = None
    """The same while a tick still may."""
    waits: Execution | None = None
    """The start that waits for its turn."""
    strip: tuple[Execution, ...] = ()
    """Its last runs, and its guard executions that failed, oldest first."""
    start_now: str = ""
    """What would become of a start now, and why."""
    in_shadow: bool = False
    """Its schedule starts nothing, and says what it would have done."""
    would_have: Entry | None = None
    """Of a job in shadow: what the last of its scheduled times would have been."""
    drift: tuple[str, ...] = ()
    """What is deployed otherwise than the jobs file says."""


@dataclass(frozen=True)
class StageStatus:
    """How a stage stands, at one moment (UTC)."""

    jobs: tuple[JobStatus, ...]
    drift: tuple[str, ...]
    trigger: Trigger
    read_at: datetime


def usual(executions: Iterable[Execution | Record], history_days: int = 90) -> Usual | None:
    """Median and 95th percentile (nearest rank, both) of the runs that succeeded; None if there is none.

    Renewals are left out, as far as they can be told in a list: on a renewal day, and over in seconds.
    """
    took = sorted(
        execution.stopped_at - execution.started_at
        for execution in executions
        if execution.status == "SUCCEEDED" and execution.stopped_at and run_number(execution.name)
        if worked(execution) or not schedule.is_renewal_day(execution.started_at, history_days)
    )
    if not took:
        return None
    return Usual(took[(len(took) - 1) // 2], took[math.ceil(0.95 * len(took)) - 1], len(took))


def worked(execution: Execution | Record) -> bool:
    """It took longer than a renewal does."""
    return execution.stopped_at is not None and execution.stopped_at - execution.started_at >= _RENEWAL
