"""The fields of EventBridge's cron, read into numbers that cronsim can't misread. Pure.

Sources: EventBridge user guide, "Cron expressions": lists, ranges and steps in each, L, W and #, day numbers from 1 =
SUN. A range that runs past the end of its field goes on at the beginning, as in Quartz, whose notation it is.
"""

from __future__ import annotations

import re
from calendar import monthrange
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

DAYS = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7}
_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
YEARS = range(1970, 2200)
"""As EventBridge documents them."""
SPANS = {"minute": 60, "hour": 24}
"""No step is as wide as these."""


class ScheduleRefused(ValueError):
    """A schedule that can't be kept exactly as it is written: what is wrong, and what would be right."""

    def __init__(self, wrong: str, right: str) -> None:
        super().__init__(f"{wrong}; {right}")
        self.wrong = wrong
        self.right = right


NEAREST = r"\b[0-9]+W"
"""15W, in a day-of-month field."""


def weekdays_of(field: str) -> str:
    """EventBridge's day-of-week in cronsim's numbers, which are one lower."""
    terms = []
    for term in field.split(","):
        if term == "L":  # the last day of the week
            terms.append("6")
        elif match := re.fullmatch(r"(\w+)L", term, re.ASCII):
            (day,) = numbers(match[1], "day-of-week", 1, 7, DAYS)
            terms.append(f"{day - 1}L")
        elif match := re.fullmatch(r"(\w+)#([1-5])", term, re.ASCII):
            (day,) = numbers(match[1], "day-of-week", 1, 7, DAYS)
            terms.append(f"{day - 1}#{match[2]}")
        else:
            # Written out: cronsim's week goes on to 7, and 2/2 would reach Sunday.
            terms += [str(day - 1) for day in numbers(term, "day-of-week", 1, 7, DAYS)]
    return ",".join(terms)


def month_days(field: str) -> str:
    """EventBridge's day-of-month: numbers, L, LW, and 15W for the weekday that is nearest to the 15th."""
    if field == "*":
        return field
    terms: list[str] = []
    for term in field.split(","):
        if term in {"L", "LW"}:
            terms.append(term)
        elif match := re.fullmatch(r"([0-9]+)W", term):
            (day,) = numbers(match[1], "day-of-month", 1, 31, {})
            terms.append(f"{day}W")
        elif re.search("[LW]", term):
            right = (
                "it may be 1-31, 15W for the weekday nearest to a day, L for the last day or LW for the last weekday"
            )
            raise ScheduleRefused(f'day-of-month "{term}" is not understood', right)
        else:
            terms += map(str, numbers(term, "day-of-month", 1, 31, {}))
    return ",".join(terms)


def may_be(days: str) -> str:
    """A day-of-month field with, in place of 15W, every day that it may be; of them `days_of` tells."""
    return re.sub(NEAREST, lambda match: ",".join(map(str, _around(int(match[0][:-1]), 31))), days)


def _around(day: int, last: int) -> range:
    """The days among which the weekday nearest to `day` is: it is of the same month."""
    return range(max(1, day - 2), min(last, day + 2) + 1)


@lru_cache(maxsize=64)
def days_of(field: str, year: int, month: int) -> frozenset[int]:
    """The days of a month that a day-of-month field with a W names. A day that the month lacks has no nearest one."""
    first, last = monthrange(year, month)
    days: set[int] = set()
    for term in field.split(","):
        day = int(term.rstrip("W")) if term[0].isdecimal() else last
        if term.endswith("W") and day <= last:
            weekdays = [each for each in _around(day, last) if (first + each - 1) % 7 < 5]
            days.add(min(weekdays, key=lambda each: abs(each - day)))
        else:
            days.add(day)
    return frozenset(days)


def written(field: str, name: str, low: int, high: int, names: Mapping[str, int] | None = None) -> str:
    """A field that has numbers only, for cronsim."""
    return "*" if field == "*" else ",".join(map(str, numbers(field, name, low, high, names or {})))


def numbers(field: str, name: str, low: int, high: int, names: Mapping[str, int]) -> list[int]:
    """The numbers of an EventBridge field, with its lists, ranges and steps. A range may go on past the end."""
    found: set[int] = set()
    right = f"it may be {low}-{high}" + (f" or {'-'.join(list(names)[:: len(names) - 1])}" if names else "")
    for term in field.split(","):
        match = re.fullmatch(r"(\*|\w+)(?:-(\w+))?(?:/([0-9]{1,4}))?", term, re.ASCII)
        if match is None or int(match[3] or 1) == 0 or (match[1] == "*" and match[2]):
            raise ScheduleRefused(f'{name} "{term}" is not understood', right)
        step = int(match[3] or 1)
        if step >= SPANS.get(name, 10_000):
            raise too_wide(name, term, step)
        ends = []
        for end in (match[1], match[2] or match[1]):
            number = low if end == "*" else names.get(end, int(end) if end.isdecimal() else -1)
            if not low <= number <= high:
                raise ScheduleRefused(f'{name} "{end}" is out of range', right)
            ends.append(number)
        first, last = ends
        if match[1] == "*" or (match[3] and not match[2]):
            last = high
        size = high - low + 1
        if last < first:
            if name == "year":
                raise ScheduleRefused(f'{name} "{term}" runs backwards', f'write "{last}-{first}"')
            last += size
        found.update((number - low) % size + low for number in range(first, last + 1, step))
    return sorted(found)


def too_wide(name: str, term: str, step: int) -> ScheduleRefused:
    """The refusal of a step that would never be taken."""
    return ScheduleRefused(
        f'{name} "{term}": a step of {step} does not fit in {SPANS[name]}',
        f'cron starts anew each time round; write "rate({step} {name}s)" for an interval',
    )
