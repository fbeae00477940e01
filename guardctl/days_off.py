"""What days off make of a schedule's times: those that move, and those that are left out. Pure."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from chalicelib.decide.schedule import Schedule, between, left_out, nominal


class Coming(NamedTuple):
    """A scheduled time and what a calendar does to it. Times are UTC."""

    at: datetime
    """The scheduled time: the moved one, of one that is moved."""
    nominal: datetime
    """When it would have been."""
    holiday: str = ""
    """The name of the day because of which it was moved, or starts nothing."""
    skipped: bool = False
    """Nothing starts: it only has a verdict."""


def coming(schedules: Sequence[Schedule], timezone: str, start: datetime, end: datetime) -> list[Coming]:
    """Every scheduled time with start < time <= end, as `between` has them, and those that a holiday leaves out."""
    zone = ZoneInfo(timezone)
    found = []
    for at in between(schedules, timezone, start, end):
        written = nominal(schedules, timezone, at) or at
        day = written.astimezone(zone).date()
        found.append(Coming(at, written, _holiday(schedules, day) if written != at else ""))
    found += [Coming(at, at, why, skipped=True) for at, why in left_out(schedules, timezone, start, end)]
    return sorted(found, key=lambda each: each.at)


def with_verdict(schedules: Sequence[Schedule], timezone: str, start: datetime, end: datetime) -> list[datetime]:
    """Every time with start < time <= end that has a guard execution: those of `between`, and what is left out."""
    found = between(schedules, timezone, start, end)
    skipped = left_out(schedules, timezone, start, end)
    return sorted({*found, *(at for at, _ in skipped)}) if skipped else found


def _holiday(schedules: Sequence[Schedule], day: date) -> str:
    return next((each.rule.calendar.holiday(day) for each in schedules if each.rule), "")
