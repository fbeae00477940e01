"""The calendars of a jobs file, and what a job makes of its own: `[calendars.NAME]`, `calendar`, `on_holiday`,
`business_day`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any, get_args

from chalicelib.config.tables import BAD, Reader, Spot, array, near, one_of, table, text
from chalicelib.decide.calendars import WEEKDAYS, Calendar, DayRule, data_of
from chalicelib.decide.policy import OnHoliday
from chalicelib.decide.schedule import Schedule

DIRECTORY = Path(__file__).parent.parent / "calendars"
"""Where the holidays are, a file for each place; `guardctl calendar` writes them."""

PLACE = r"[A-Za-z0-9]{2,12}(-[A-Za-z0-9]{1,20})?(\+[a-z_]{2,30})*"
COMMAND = "run: guardctl calendar"

_DAYS = [name[:3].upper() for name in WEEKDAYS]
_NAME = "[a-z][a-z0-9-]{0,62}"

Load = Callable[[str], str | None]
"""The file of a place; None if there is none."""


def stored(place: str, directory: Path = DIRECTORY) -> str | None:
    """The file of a place in this checkout, or in the zip."""
    file = directory / f"{place}.txt"
    # By its very name: to some file systems jp.txt is JP.txt, and not to Lambda's.
    return file.read_text(encoding="utf-8") if directory.is_dir() and file in directory.iterdir() else None


# --- [calendars] --------------------------------------------------------------------------------------------


def _day(value: Any, spot: Spot) -> Any:
    right = 'write a day, "2026-12-31", or one of every year, "12-31"'
    if type(value) is date:
        return value.isoformat()
    if spot.lacks(str, value, right):
        return BAD
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII):
            return date.fromisoformat(value).isoformat()
        if re.fullmatch(r"\d\d-\d\d", value, re.ASCII):
            return date.fromisoformat(f"2000-{value}").isoformat()[5:]
    except ValueError as error:
        return spot.fault(f'"{value}" is not a day: {error}', right)
    return spot.fault(f'"{value}" is not a day', right)


_WEEKDAY = one_of(*_DAYS)


def _weekend(value: Any, spot: Spot) -> Any:
    right = 'write days of the week, ["SAT", "SUN"], or [] if there is none'
    days = array(_WEEKDAY, right)(value, spot)
    if days is BAD or BAD in days:
        return BAD
    if len(set(days)) == len(_DAYS):
        return spot.fault("is the whole week", "leave a day on which work is done")
    return frozenset(_DAYS.index(day) for day in days)


def _holidays(load: Load, value: Any, spot: Spot) -> Any:
    """The place, and its data."""
    right = 'write a country "JP", its region "DE-BY", with its bank holidays "JP+bank", or an exchange "XNYS"'
    place = text(PLACE, right)(value, spot)
    if place is BAD:
        return BAD
    file = load(place)
    if file is None:
        return spot.fault(f'"{place}" has no holidays in chalicelib/calendars', COMMAND)
    data = data_of(file)
    if data is None:
        return spot.fault(f"chalicelib/calendars/{place}.txt is not as guardctl calendar writes it", COMMAND)
    return place, data


def reader(load: Load) -> Reader:
    """Reads `[calendars]` into calendars by name; `BAD` stands for one with a fault. `load` gives the data."""
    days = array(_day, 'write days, ["2026-12-31"]')
    keys: dict[str, Reader] = {"holidays": partial(_holidays, load), "weekend": _weekend, "also": days, "except": days}

    def calendar(name: str, value: Any, spot: Spot) -> Any:
        if not re.fullmatch(_NAME, name):
            spot.fault(f'"{name}" is not a name for a calendar', "write lower case letters, digits and hyphens")
        before = len(spot.faults)
        read = table(keys, value, spot)
        if len(spot.faults) > before:
            return BAD
        also, excepted = (frozenset(read.get(key, ())) for key in ("also", "except"))
        if both := sorted(also & excepted):
            return spot.key("except").fault(f'"{both[0]}" is in also, too', "keep it in one of the two")
        place, data = read.get("holidays", ("", ""))
        weekend = {"weekend": read["weekend"]} if "weekend" in read else {}
        return Calendar(name=name, place=place, data=data, also=also, excepted=excepted, **weekend)

    def read(value: Any, spot: Spot) -> Any:
        if spot.lacks(dict, value, "write every calendar as a table, [calendars.jp]"):
            return BAD
        return {name: calendar(name, each, spot.key(name)) for name, each in value.items()}

    return read


# --- a job's keys -------------------------------------------------------------------------------------------


def _business_day(value: Any, spot: Spot) -> Any:
    right = "write 1 for the first business day of a month, 5 for the fifth, -1 for the last"
    if spot.lacks(int, value, right):
        return BAD
    return value if 1 <= abs(value) <= 31 else spot.fault(f"{value} is out of range", right)


READERS: dict[str, Reader] = {
    "calendar": text(_NAME, "write the name of a calendar, [calendars.jp]"),
    "on_holiday": one_of(*get_args(OnHoliday)),
    "business_day": _business_day,
}


def together(defaults: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """The settings of a job. on_holiday and business_day are one choice: a job that makes it replaces the default's."""
    choice = ("on_holiday", "business_day")
    if any(key in own for key in choice):
        defaults = {key: value for key, value in defaults.items() if key not in choice}
    return defaults | own


def of_job(settings: Mapping[str, Any], calendars: Any, at: Spot) -> Calendar | None:
    """The calendar of a job; None if it has none, or has one with a fault."""
    name = settings.get("calendar")
    if name in {None, BAD} or calendars is BAD:
        return None
    if name not in calendars:
        right = near(name, calendars, f"write [calendars.{name}]")
        return at.key("calendar").fault(f'"{name}" is not a calendar of this file', right) and None
    found = calendars[name]
    return found if isinstance(found, Calendar) else None


def check_used(calendars: Any, named: set[Any], at: Spot) -> None:
    """A calendar that no job names is one that a job was meant to name: that one runs on holidays."""
    for name in calendars if calendars is not BAD else ():
        if name not in named:
            right = f'write calendar = "{name}" in the jobs that go by it, or take it out'
            at.key(name).fault("is a calendar of no job", right)


def rule_of(
    settings: Mapping[str, Any], calendar: Calendar | None, schedules: tuple[Schedule, ...], at: Spot
) -> DayRule | None:
    """What the calendar does to a job's schedules; None for nothing. Notes what can't be kept."""
    on_holiday, nth = settings.get("on_holiday", "run"), settings.get("business_day", 0)
    if BAD in (on_holiday, nth) or (on_holiday == "run" and not nth):
        return None
    key = "business_day" if nth else "on_holiday"
    if nth and on_holiday != "run":
        return (
            at.key("on_holiday").fault(
                "is given together with business_day, which is never a holiday", "keep one of the two"
            )
            and None
        )
    if "calendar" not in settings:
        return at.key(key).fault("is given without a calendar", 'write calendar = "jp" and [calendars.jp]') and None
    for n, schedule in enumerate(schedules):
        spot = at.key("schedule").item(n) if len(schedules) > 1 else at.key("schedule")
        _check_schedule(schedule, on_holiday, nth, spot)
    return DayRule(calendar, on_holiday, nth) if calendar else None


def _check_schedule(schedule: Schedule, on_holiday: OnHoliday, nth: int, spot: Spot) -> None:
    written = f'"{schedule.expression}"'
    if nth and (schedule.every or schedule.once or not _every_day(schedule)):
        right = 'write a schedule of every day, "cron(0 18 * * ? *)": business_day says which'
        spot.fault(f"{written} is not of every day at a time of day, as business_day needs it", right)
    if on_holiday in {"next", "previous"} and schedule.every and schedule.every < timedelta(days=1):
        right = 'write on_holiday = "skip", or a schedule with a time of day'
        spot.fault(f'{written} has no time of day to keep on another day (on_holiday = "{on_holiday}")', right)


def _every_day(schedule: Schedule) -> bool:
    _, _, days, _, weekdays = schedule.cron.split()
    return days == "*" and weekdays in {"*", "0,1,2,3,4,5,6"}
