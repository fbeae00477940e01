"""Times as a person is told them: in one zone, whose name is said once. Pure."""

import re
from datetime import datetime
from zoneinfo import ZoneInfo

_STAMP = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
"""As `facts.stamp` writes an instant: reasons have them so, whoever gave them."""


def local(moment: datetime, zone: ZoneInfo) -> str:
    """``2026-11-23 18:00 JST``."""
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")


def clock(moment: datetime, zone: ZoneInfo) -> str:
    """``2026-11-23 18:00``, where the zone's name stands beside it already."""
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def localised(text: str, zone: ZoneInfo, *, named: bool = False) -> str:
    """The text with every instant in it told in the zone, whose name the first has; none if it is `named` already."""
    first = not named

    def told(match: re.Match[str]) -> str:
        nonlocal first
        moment = datetime.fromisoformat(match[0])
        words = local(moment, zone) if first else clock(moment, zone)
        first = False
        return words

    return _STAMP.sub(told, text)
