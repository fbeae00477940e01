"""The words of a job's policies, once: the jobs file takes them, and what decides on them is exhausted by type.

A new word makes every `match` on its type fail to type-check until it is answered there.
"""

from typing import Literal

from chalicelib.values import dataclass

Overlap = Literal["skip", "queue", "replace"]
"""What a start does about a run that is in its way."""

Orphans = Literal["wait", "stop"]
"""What a start does about the task of a run that was closed without it."""

Outsiders = Literal["command", "family", "ignore"]
"""Which tasks that the guard did not start count as the job."""

OnSkip = Literal["fail", "succeed"]
"""How a start that stepped back ends."""

OnHoliday = Literal["run", "skip", "next", "previous"]
"""What becomes of a scheduled time on a day that is no business day: moved ones go to the nearest one that is."""

Enabled = bool | Literal["shadow"]
"""Whether a schedule starts anything: in shadow it only says what it would have done."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the jobs file says of one job. Durations are seconds."""

    job: str
    overlap: Overlap = "skip"
    orphans: Orphans = "wait"
    grace: int = 0
    queue_timeout: int = 3600
