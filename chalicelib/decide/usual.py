"""What a page of executions says besides: how long runs usually take, and how many in a row went wrong. Pure.

Only of a pool that one job has to itself: a shared page says nothing of one job. What can't be told is left out.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from chalicelib.decide.availability import Holder
from chalicelib.decide.facts import Execution, newest_run, span, stamp
from chalicelib.names import run_number

_WORKED = timedelta(seconds=5)
"""A renewal starts no task, and is over in less; so is what failed before there was one."""

_SURE = 3
"""So many runs make a usual duration."""


def usual(executions: Iterable[Execution]) -> timedelta | None:
    """The median of the runs on the page that succeeded; None if they are too few."""
    took = sorted(
        each.stopped_at - each.started_at
        for each in executions
        if each.status == "SUCCEEDED" and each.stopped_at and run_number(each.name)
        if each.stopped_at - each.started_at >= _WORKED
    )
    return took[(len(took) - 1) // 2] if len(took) >= _SURE else None


def expected(holder: Holder | None, executions: Iterable[Execution], now: datetime) -> str:
    """How long a run in the way usually takes, and when it should end; empty if that is not known."""
    took = usual(executions)
    if holder is None or holder.kind != "run" or holder.started_at is None or took is None:
        return ""
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
    """How many scheduled times have been skipped in a row, this one included."""
    return f"{row} scheduled times in a row have been skipped." if row > 1 else ""
