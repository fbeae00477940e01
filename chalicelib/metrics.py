"""The metrics of batch-guard, in one table: the functions write them, alarms and dashboard read them.

What each one counts, for people: docs/alarms.md.
"""

from collections.abc import Mapping
from typing import Literal

from chalicelib.values import dataclass

NAMESPACE = "BatchGuard"

Dimension = Literal["stage", "job"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A CloudWatch metric. Alarms find it only by exactly these dimensions (AWS, CloudWatch concepts)."""

    name: str
    dimensions: tuple[Dimension, ...] = ("stage", "job")
    unit: Literal["Count"] = "Count"

    def of(self, stage: str, job: str | None = None) -> dict[str, str]:
        """Its dimensions' values, in order. Raises ValueError for a metric of a job when no job is given."""
        known: dict[Dimension, str | None] = {"stage": stage, "job": job}
        values: dict[str, str] = {
            dimension: value for dimension in self.dimensions if (value := known[dimension]) is not None
        }
        if len(values) < len(self.dimensions):
            raise ValueError(f"the metric {self.name} is of a job, and none was given")
        return values


TRIGGERED = Metric("Triggered")
ERROR = Metric("Error")
PAUSED = Metric("Paused")
SKIP = Metric("Skip")
SKIPS_IN_A_ROW = Metric("SkipsInARow")
REFUSE = Metric("Refuse", dimensions=("stage",))
"""Without the job, which may be a typo."""

BEYOND_CALENDAR = Metric("BeyondCalendar", dimensions=("stage",))
"""A start on a day of which nobody knows whether it is a holiday, since the calendar's data ends before: of all jobs,
because one command mends it for all."""

STUCK = Metric("Stuck", dimensions=("stage",))
"""A start stepped back because of a run whose task has long stopped: one alarm for the stage, a reason for the job."""

LATE = Metric("Late")
"""At its moment a scheduled time had no run that succeeded: 1; it had one: 0."""

OUTCOMES: Mapping[str, Metric] = {
    "start": Metric("Start"),
    "started": Metric("Started"),
    "wait": Metric("Wait"),
    "queue": Metric("Queue"),
    "queued": Metric("Queued"),
    "stop_run": Metric("StopRun"),
    "stop_task": Metric("StopTask"),
    "skip": SKIP,
    "shadow": Metric("Shadow"),
    "refuse": REFUSE,
}
"""The outcome of a decision → what counts it; a skip because of a pause is counted by `PAUSED` instead."""

METRICS = (TRIGGERED, ERROR, PAUSED, SKIPS_IN_A_ROW, BEYOND_CALENDAR, STUCK, LATE, *OUTCOMES.values())
