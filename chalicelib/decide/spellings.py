"""What people write where a schedule is wanted, and what they should write instead. Only a fault needs it; pure.

Each advice is one that is right when it is followed: what it says to write has been read before it is given.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from chalicelib.decide.cron_fields import ScheduleRefused
from chalicelib.decide.expressions import EXAMPLES, parse_schedule, reads
from chalicelib.decide.schedule import is_zone
from chalicelib.decide.zones import advice

_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_UNITS = {"m": "minute", "h": "hour", "d": "day"}


def refusal(text: str) -> ScheduleRefused:
    """Why `text` is no schedule, and what to write."""
    for spelling in _SPELLINGS:
        if found := spelling(text):
            return found
    return ScheduleRefused(f'"{text}" is not a schedule', EXAMPLES)


def _with_zone(text: str) -> ScheduleRefused | None:
    """`CRON_TZ=Asia/Tokyo 0 3 * * *`, as Go's cron libraries and Kubernetes have it."""
    match = re.fullmatch(r"(?:CRON_)?TZ\s*=\s*[\"']?([^\"'\s]+)[\"']?\s+(.+)", text, re.IGNORECASE)
    if match is None:
        return None
    zone, rest = match.groups()
    when = f'schedule = "{rest}"'
    try:
        parse_schedule(rest)
    except ScheduleRefused as refused:
        when = f"for the schedule {refused.right}"
    where = f'timezone = "{zone}"' if is_zone(zone) else f"for the timezone, which {zone} is not: {advice(zone)}"
    right = f"write {when} and {where}" if when.startswith("schedule") else f"{when}; and {where}"
    return ScheduleRefused(f'"{text}" has its time zone in it, which is a key of its own', right)


def _called(text: str) -> ScheduleRefused | None:
    """`Cron(`, `RATE(`, `cron (`, and what lacks its closing bracket."""
    match = re.fullmatch(r"(cron|rate|at)\s*\(\s*(.*?)\s*\)?", text, re.IGNORECASE)
    if match is None:
        return None
    name, inner = match[1].lower(), match[2]
    written = f"{name}({inner.lower() if name == 'rate' else inner})"
    try:
        parse_schedule(written)
    except ScheduleRefused as refused:
        return refused
    return ScheduleRefused(f'"{text}" is not a schedule as EventBridge writes it', f'write "{written}"')


def _alias(text: str) -> ScheduleRefused | None:
    if not text.startswith("@"):
        return None
    right = _ALIASES.get(text.lower())
    if match := re.fullmatch(r"@every\s+([0-9]{1,5})([mhd])", text.lower()):
        rate = f"rate({int(match[1])} {_UNITS[match[2]]}{'' if int(match[1]) == 1 else 's'})"
        right = rate if reads(rate) else None
    return ScheduleRefused(f'"{text}" is an alias', f'write "{right}"' if right else EXAMPLES)


def _six(text: str) -> ScheduleRefused | None:
    """EventBridge's six fields without `cron()`; or six that begin with seconds, as Quartz's and Spring's do."""
    fields = text.split()
    if len(fields) not in {6, 7}:
        return None
    if len(fields) == 6 and reads(aws := f"cron({text})"):
        return ScheduleRefused(f'"{text}" has EventBridge\'s six fields', f'write "{aws}"')
    seconds, *rest = fields
    wrong = f'"{text}" has {len(fields)} fields; seconds can\'t be kept, the schedule is looked at once a minute'
    if not seconds.isdecimal():
        return ScheduleRefused(wrong, EXAMPLES)
    five, quartz = " ".join(rest), f"cron({' '.join([*rest, '*'][:6])})"
    yearly = f"cron({' '.join([*fields[:4], '?', fields[5]])})"
    if reads(quartz):
        return ScheduleRefused(wrong, f'write "{quartz}"')
    if len(fields) == 7 or not reads(five):
        return ScheduleRefused(wrong, EXAMPLES)
    right = f'if its first is the seconds, write "{five}"'
    if fields[4] == "*" and reads(yearly):
        right += f'; if its last is the year, write "{yearly}"'
    return ScheduleRefused(wrong, right)


_SPELLINGS: tuple[Callable[[str], ScheduleRefused | None], ...] = (_with_zone, _called, _alias, _six)
