"""Whether now is a moment to switch an old schedule, and which times fell between. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from chalicelib.decide.schedule import Schedule, ScheduleRefused, between, parse_schedule
from guardctl.importing.switch import Snapshot

BEFORE = timedelta(minutes=2)
"""No time may be due so soon: the job could not be deployed by then."""
AFTER = timedelta(minutes=1)
"""Nor may one have been due so recently: a rule starts its target anywhere within its minute (EventBridge guide)."""

_HOUR = timedelta(hours=1)
_OFTEN = int(_HOUR / (BEFORE + AFTER))
"""With so many times an hour there is no better moment to wait for."""


def schedules_of(old: Snapshot) -> tuple[Schedule, ...]:
    """The old schedule, as far as it can be read here."""
    try:
        ZoneInfo(old.timezone)
        return (parse_schedule(old.expression),)
    except (ScheduleRefused, KeyError, ValueError, OSError):
        return ()


def in_the_way(schedules: Sequence[Schedule], timezone: str, now: datetime) -> datetime | None:
    """A scheduled time too near for a switch; None also where there is never a better moment.

    When a rate comes is not known: it counts from its creation.
    """
    crons = [schedule for schedule in schedules if schedule.every is None]
    often = len(between(crons, timezone, now, now + _HOUR, limit=_OFTEN)) >= _OFTEN
    near = between(crons, timezone, now - AFTER, now + BEFORE, limit=1)
    return near[0] if near and not often else None


def lost(schedules: Sequence[Schedule], timezone: str, since: datetime, until: datetime) -> list[datetime]:
    """The times that nobody has seen to: after the old one was off, and before the job was on."""
    return between(schedules, timezone, since, until)
