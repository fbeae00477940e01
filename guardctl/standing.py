"""How jobs stand: values without behaviour. Nothing here asks AWS.

`guardctl.job_status` reads them, `triage`, `meeting` and the commands judge and show them. Times are UTC.
"""

from datetime import datetime
from typing import Literal

from chalicelib.decide.facts import Execution
from chalicelib.decide.usual import Usual
from chalicelib.values import dataclass
from guardctl.ledger import Entry
from guardctl.pauses import Pause
from guardctl.trigger_health import Trigger

State = Literal["running", "busy", "in the way", "free", "paused", "disabled", "shadow", "not deployed", "unknown"]
"""Busy: no run of it is in progress, and yet a start would step back: its neighbours' runs hold the pool. In the way: a
task does, one that was left behind or started by hand. Unknown: it could not be read; `start_now` says why."""


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
    by: str | None = None
    """Who asked for it by hand, and why."""
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
    late: Entry | None = None
    """Its last scheduled time that should have succeeded by now, if it has not."""
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
