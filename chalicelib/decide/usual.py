"""What a page of executions says besides: how long runs usually take, and how many in a row went wrong. Pure.

Only of a pool that one job has to itself: a shared page says nothing of one job. What can't be told is left out.
"""

import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol

from chalicelib.decide.facts import Execution, newest_run, span, stamp
from chalicelib.decide.schedule import is_renewal_day
from chalicelib.decide.verdicts import Holder
from chalicelib.names import run_number
from chalicelib.values import dataclass

_RENEWAL = timedelta(seconds=5)
"""A renewal starts no task, and is over in less."""

ENOUGH = 5
"""Of fewer runs a 95th percentile says nothing."""

_A_FEW = 3
"""Of fewer a median says nothing."""


class Listed(Protocol):
    """An execution as a list tells it. Times are UTC."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def status(self) -> str:
        """Its status."""

    @property
    def started_at(self) -> datetime:
        """When it began."""

    @property
    def stopped_at(self) -> datetime | None:
        """When it ended."""


@dataclass(frozen=True)
class Usual:
    """How long runs that succeeded took, those on the newest page."""

    median: timedelta
    p95: timedelta
    runs: int


def usual(executions: Iterable[Listed], history_days: int) -> Usual | None:
    """Median and 95th percentile (nearest rank, both) of the runs that succeeded; None if there is none."""
    took = sorted(
        each.stopped_at - each.started_at for each in executions if each.stopped_at and did_work(each, history_days)
    )
    if not took:
        return None
    return Usual(took[(len(took) - 1) // 2], took[math.ceil(0.95 * len(took)) - 1], len(took))


def did_work(execution: Listed, history_days: int) -> bool:
    """It is a run that succeeded, and no renewal as far as a list can tell: on a renewal day, and over in seconds."""
    if execution.status != "SUCCEEDED" or execution.stopped_at is None or run_number(execution.name) is None:
        return False
    long = execution.stopped_at - execution.started_at >= _RENEWAL
    return long or not is_renewal_day(execution.started_at, history_days)


def expected(holder: Holder | None, executions: Iterable[Execution], now: datetime, history_days: int) -> str:
    """How long a run in the way usually takes, and when it should end; empty if that is not known."""
    found = usual(executions, history_days)
    if holder is None or holder.kind != "run" or holder.started_at is None or found is None or found.runs < _A_FEW:
        return ""
    took = found.median
    end = holder.started_at + took
    should = "and should end" if end > now else "so it should have ended"
    return f"It usually takes {span(took)}, {should} about {stamp(end)}."


def went_wrong(executions: Iterable[Execution]) -> str:
    """How many runs in a row, up to the newest, did not succeed; empty if that one did.

    As far as the page goes: those of it that closed otherwise since the newest that succeeded.
    """
    closed = [each for each in executions if each.closed and run_number(each.name)]
    last = newest_run(each for each in closed if each.status == "SUCCEEDED")
    since = (run_number(last.name) or 0) if last else 0
    bad = sum(each.status != "SUCCEEDED" and (run_number(each.name) or 0) > since for each in closed)
    if not bad:
        return ""
    before = f" since {last.name}" if last else ""
    return (
        f"The run before it did not succeed either{before}."
        if bad == 1
        else (f"The {bad} runs before it did not succeed either{before}.")
    )


def in_a_row(row: int) -> str:
    """How often it was skipped since it ran, this time included; in a shared pool there may be more before them."""
    return f"It has been skipped {row} times in a row." if row > 1 else ""
