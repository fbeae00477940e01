"""When a job is due, as its table says it: `schedule`, `timezone`, `start` and `end`; and by when it should be done."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib.config import calendars
from chalicelib.config.tables import BAD, Reader, Spot, array, duration
from chalicelib.decide.calendars import Calendar
from chalicelib.decide.cron_fields import YEARS
from chalicelib.decide.schedule import (
    Schedule,
    ScheduleRefused,
    bounded,
    happens,
    instant,
    is_zone,
    parse_schedule,
    ruled,
)

_WRITE = "write a date and a time, 2026-12-01T00:00:00, which is in the job's timezone, or one with an offset"


def _schedules(value: Any, spot: Spot) -> Any:
    if type(value) is list:
        return array(_schedule, "")(value, spot)
    return (_schedule(value, spot),)


def _schedule(value: Any, spot: Spot) -> Any:
    if spot.lacks(str, value, 'write one, "cron(0 3 * * ? *)", or a list of them'):
        return BAD
    try:
        return parse_schedule(value)
    except ScheduleRefused as error:
        return spot.fault(error.wrong, error.right)


def _zone(value: Any, spot: Spot) -> Any:
    if spot.lacks(str, value, 'write a zone of the IANA database, such as "Asia/Tokyo"'):
        return BAD
    if is_zone(value):
        return value
    from chalicelib.decide import zones  # noqa: PLC0415 (only a fault needs it, and it reads every zone)

    return spot.fault(f'"{value}" is not a time zone', zones.advice(value))


def _moment(value: Any, spot: Spot) -> Any:
    """A date with a time, of TOML or in quotes (RFC 3339), in whole minutes. Without an offset it has no zone yet."""
    if isinstance(value, str):
        form = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2})?([Zz]|[+-][0-9]{2}:[0-9]{2})?"
        if not re.fullmatch(form, value):
            return spot.fault(f'"{value}" is not a date and a time', _WRITE)
        try:
            value = datetime.fromisoformat(value.upper())
        except ValueError as error:
            return spot.fault(f'"{value}" is not a date and a time: {error}', _WRITE)
    if type(value) is not datetime:
        return spot.fault("is not a date and a time", _WRITE)
    if value.year not in YEARS:
        return spot.fault(f"is in the year {value.year}", f"write one from {YEARS[0]} to {YEARS[-1]}")
    if value.second or value.microsecond:
        right = f"write {value.replace(second=0, microsecond=0).isoformat()}"
        return spot.fault("has seconds, and schedules are looked at once a minute", right)
    return value


def _time_of_day(value: Any, spot: Spot) -> Any:
    """``06:00``; also TOML's own local time, `06:00:00`."""
    right = 'write a time of day in the job\'s timezone, from "00:00" to "23:59"'
    if type(value) is time:
        value = f"{value:%H:%M}" if not (value.second or value.microsecond) else f"{value:%H:%M:%S}"
    if spot.lacks(str, value, right):
        return BAD
    if re.fullmatch("([01][0-9]|2[0-3]):[0-5][0-9]", value):
        return value
    if match := re.fullmatch("([0-9]):([0-5][0-9])", value):
        right = f'write "0{match[0]}"'
    elif value == "24:00":
        right = 'write "00:00"'
    return spot.fault(f'"{value}" is not a time of day', right)


_warn_after = duration("1m", "28d", ": a guard execution may be forgotten after 30 days")


def _warned(value: Any, spot: Spot) -> Any:
    if type(value) is str and re.fullmatch(r"[0-9.]+ ?x", value):
        right = 'write a duration, such as "2h"; guardctl status JOB says how long its runs usually take'
        return spot.fault(f'"{value}" is a multiple, and the trigger knows no usual duration', right)
    seconds = _warn_after(value, spot)
    if seconds is not BAD and seconds % 60:
        right = f'write "{seconds // 60 + 1}m"'
        return spot.fault(f'"{value}" has seconds, and the trigger looks once a minute', right)
    return seconds


PROMISES: dict[str, Reader] = {"expect_success_by": _time_of_day, "warn_after": _warned}
"""What of a job's table says when one of its scheduled times is late."""

READERS: dict[str, Reader] = {
    "schedule": _schedules,
    "timezone": _zone,
    "start": _moment,
    "end": _moment,
    **calendars.READERS,
}
"""What of a job's table decides when it is due."""


def schedules_of(
    settings: Mapping[str, Any], calendar: Calendar | None, at: Spot, *, happening: bool
) -> tuple[Schedule, ...]:
    """The schedules of a job within their bounds and by its calendar, settings of the defaults included.

    Notes what only shows when they are seen together: a bound that the zone's clock never shows, an end before its
    start, one that its calendar can't be kept with, and, with `happening`, one that never happens in between.
    """
    schedules, timezone = settings.get("schedule", ()), settings.get("timezone", "UTC")
    bounds = [settings.get(key) for key in ("start", "end")]
    if BAD in (schedules, timezone, *bounds) or BAD in schedules:
        return ()
    zone, found = ZoneInfo(timezone), len(at.faults)
    start, end = (_in_utc(bound, zone, at.key(key)) for bound, key in zip(bounds, ("start", "end"), strict=True))
    if start and end and end <= start:
        at.key("end").fault("is not after start", "write a later time, or leave one of the two out")
    if len(at.faults) > found:
        return ()
    rule = calendars.rule_of(settings, calendar, schedules, at)
    if len(at.faults) > found:
        return ()
    made = ruled(bounded(schedules, start, end), rule)
    if happening and (start or end or rule or any(each.once for each in made)):
        for n, each in enumerate(made):
            if not happens(each, timezone):
                spot = at.key("schedule").item(n) if len(made) > 1 else at.key("schedule")
                spot.fault(f'"{each.expression}" never happens{_why(each, timezone)}', _instead(each))
    return made


def _instead(schedule: Schedule) -> str:
    if schedule.rule is not None:
        return "write another day, or another on_holiday"
    return "move start or end, or take this schedule out" if schedule.start or schedule.end else _SHOWN


_SHOWN = "write a time that the clock shows"


def _why(schedule: Schedule, timezone: str) -> str:
    if schedule.once is not None and instant(schedule.once, ZoneInfo(timezone)) is None:
        return f": the clock of {timezone} skips that time"
    days = f" on such a day of calendar {schedule.rule.calendar.name}" if schedule.rule else ""
    return days + (
        " between start and end"
        if schedule.start and schedule.end
        else " from start on"
        if schedule.start
        else " up to end"
        if schedule.end
        else ""
    )


def _in_utc(bound: datetime | None, zone: ZoneInfo, spot: Spot) -> datetime | None:
    if bound is None or bound.tzinfo is not None:
        return bound and bound.astimezone(UTC)
    time = instant(bound, zone)
    if time is None:
        spot.fault(f"{bound.isoformat()} is skipped by the clock of {zone.key}", "write a time that the clock shows")
    return time


def check_promises(own: Mapping[str, Any], settings: Mapping[str, Any], at: Spot) -> None:
    """Without a schedule there is no scheduled time to be late; what [defaults] say of all jobs is passed over."""
    for key in PROMISES:
        if key in own and "schedule" not in settings:
            at.key(key).fault("is of a job without a schedule", "write schedule, or leave it out")
