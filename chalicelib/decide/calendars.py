"""Calendars: which days are business days, and what a job does on the others. Pure.

A calendar is data: the holidays of a place, as the library `holidays` computed them at the operator's side
(`guardctl calendar`), and what the jobs file says besides. Outside of the years that the data has, a day is known by
its weekday and by the jobs file alone.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chalicelib.decide.policy import OnHoliday

_DAY = timedelta(days=1)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
OWN = "a day off in the jobs file"
"""The name of a day in `also`."""
_FURTHEST = 7_320
"""Days that are searched for one of a kind: twenty years, for some months have no 22nd business day."""


class Data(NamedTuple):
    """The holidays of a place."""

    first: date
    last: date
    """The span that the data has, whole years."""
    names: Mapping[str, str]
    """By date, 2026-01-01."""


class Calendar(NamedTuple):
    """Which days are business days. (Made faster than a dataclass: each cold start does.)"""

    name: str
    """In the jobs file."""
    place: str = ""
    """Whose holidays they are, as the library calls it: JP, DE-BY, XNYS; empty for nobody's."""
    data: str = ""
    """Of `place`: a line with the span, 2025-01-01 2029-12-31, then a line for each holiday, its date and its name."""
    weekend: frozenset[int] = frozenset({5, 6})
    """Days of the week, 0 is Monday."""
    also: frozenset[str] = frozenset()
    """Days off: 2026-12-31, or 12-31 for every year."""
    excepted: frozenset[str] = frozenset()
    """Business days, whatever else is said of them; written likewise."""

    def holiday(self, day: date) -> str:
        """Why it is no business day: the holiday's name, or that of the weekday; empty for a business day."""
        text = day.isoformat()
        if not self.excepted.isdisjoint((text, text[5:])):
            return ""
        if self.data and (name := read(self.data).names.get(text)):
            return name
        if not self.also.isdisjoint((text, text[5:])):
            return OWN
        weekday = day.weekday()
        return WEEKDAYS[weekday] if weekday in self.weekend else ""

    def is_business_day(self, day: date) -> bool:
        """Whether it is one."""
        return not self.holiday(day)

    def nearest(self, day: date, step: int) -> date:
        """The day itself if it is a business day, else the next one (step 1) or the one before (step -1)."""
        return seek(self.is_business_day, day, step) or day

    @property
    def span(self) -> tuple[date, date] | None:
        """The first day and the last day of the data; None for a calendar that has none and needs none."""
        return read(self.data)[:2] if self.data else None


class DayRule(NamedTuple):
    """What the days of a calendar do to a schedule."""

    calendar: Calendar
    on_holiday: OnHoliday = "run"
    business_day: int = 0
    """Only on the nth business day of a month, or the nth last if it is negative; 0: not restricted."""

    @property
    def step(self) -> int:
        """The direction in which a time moves that falls on a holiday; 0: it does not."""
        return {"next": 1, "previous": -1}.get(self.on_holiday, 0)

    def runs_on(self, day: date) -> bool:
        """Whether what falls on that day starts on that day."""
        if self.business_day:
            return nth_business_day(self.calendar, day.year, day.month, self.business_day) == day
        return self.on_holiday == "run" or self.calendar.is_business_day(day)

    def skips(self, day: date) -> bool:
        """Whether what falls on that day is passed over, with a verdict."""
        return self.on_holiday == "skip" and not self.business_day and not self.calendar.is_business_day(day)


@lru_cache(maxsize=32)
def read(data: str) -> Data:
    """A calendar's data; see `data_of` for its text."""
    span, *days = data.splitlines()
    first, last = map(date.fromisoformat, span.split(" "))
    return Data(first, last, {day[:10]: day[11:] for day in days})


def data_of(text: str) -> str | None:
    """The data in a file that `guardctl calendar` wrote, without its comments; None if it is not as that writes it."""
    data = "".join(f"{line}\n" for line in text.splitlines() if not line.startswith("#"))
    try:  # without an expression, which would take longer to compile than a file of ten years to read
        found = read(data)
        days = [str(date.fromisoformat(day)) for day in found.names]
    except ValueError:
        return None
    return data if found.first < found.last and days == [*found.names] and all(found.names.values()) else None


@lru_cache(maxsize=256)
def nth_business_day(calendar: Calendar, year: int, month: int, nth: int) -> date | None:
    """The nth business day of a month, or the nth last; None if it has fewer."""
    days = range(1, monthrange(year, month)[1] + 1)
    left = abs(nth)
    for number in days if nth > 0 else reversed(days):
        left -= calendar.is_business_day(day := date(year, month, number))
        if not left:
            return day
    return None


def seek(wanted: Callable[[date], bool], day: date, step: int) -> date | None:
    """The first day from `day` on, itself included, in the direction of `step` that is wanted; None if there is none
    for twenty years."""
    for _ in range(_FURTHEST):
        if wanted(day):
            return day
        day += step * _DAY
    return None
