"""What people write where a time zone is wanted, and which zone means the same. Only a fault needs it; pure.

Spelling alone is no guide: JST looks like MST, and UTC+9 like UTC. So an offset or an abbreviation leads to a zone that
has that offset all year, or to none; only what is spelt like the name of a place leads to that place.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from chalicelib.decide.nearest import nearest
from chalicelib.decide.schedule import is_zone

RIGHT = 'write a zone of the IANA database, such as "Asia/Tokyo"'
BY_PLACE = "write the zone's place, Continent/City, as the IANA database names it"
_TURNED = ", whose sign is the other way round"

_SPELT_OUT = """
    JST Asia/Tokyo, KST Asia/Seoul, HKT Asia/Hong_Kong, SGT Asia/Singapore, MYT Asia/Kuala_Lumpur, PHT Asia/Manila,
    WIB Asia/Jakarta, WITA Asia/Makassar, WIT Asia/Jayapura, ICT Asia/Bangkok, PKT Asia/Karachi, NPT Asia/Kathmandu,
    MSK Europe/Moscow, TRT Europe/Istanbul, AWST Australia/Perth, SAST Africa/Johannesburg, EAT Africa/Nairobi,
    CAT Africa/Maputo, WAT Africa/Lagos, BRT America/Sao_Paulo, ART America/Argentina/Buenos_Aires, Z UTC
"""
ABBREVIATIONS: dict[str, str] = dict(map(str.split, _SPELT_OUT.split(",")))
"""Those that one offset alone is called by, all year. PST is the Pacific's and the Philippines', IST India's, Israel's
and Ireland's; EDT is half a year of a zone."""

_HALVES = {
    570: "Australia/Darwin",
    525: "Australia/Eucla",
    390: "Asia/Yangon",
    345: "Asia/Kathmandu",
    330: "Asia/Kolkata",
    270: "Asia/Kabul",
    210: "Asia/Tehran",
    -570: "Pacific/Marquesas",
}
"""Minutes east of Greenwich, in zones that have them all year."""

_ABBREVIATED = 4
"""Letters of an abbreviation, at most."""


def advice(word: str) -> str:
    """What would be right instead of `word`, which is no zone."""
    word = word.strip()
    if word[:1] in {"+", "-"} or re.search("[0-9]", word):
        zone = _of_offset(word)
        return f'write "{zone}"{_TURNED if zone.startswith("Etc/") else ""}' if zone else BY_PLACE
    if same := ABBREVIATIONS.get(word.upper()):
        return f'write "{same}"'
    if word.isupper() and len(word) <= _ABBREVIATED:  # also WEST, though Brazil has a zone of that name
        return f"an abbreviation may be several zones', or half a year of one: {BY_PLACE}"
    places = _places()
    asked = word.replace(" ", "_").lower()
    if found := [name for name in places if asked in {name.lower(), name.rpartition("/")[2].lower()}]:
        return f'did you mean "{min(found, key=lambda name: (name.lower() != asked, len(name), name))}"?'
    like = nearest(word, places, alike=0.8)
    return f'did you mean "{like}"?' if like else RIGHT


@cache
def _places() -> frozenset[str]:
    return frozenset(name for name in available_timezones() if is_zone(name))


def _of_offset(word: str) -> str | None:
    """The zone of `UTC+9`, `GMT+09:00`, `+0530`; also of `JST+9`, and of `JST-9`, as POSIX has it."""
    match = re.fullmatch(r"([A-Z]{1,5})?\s*([+-])\s*([0-9]{1,2})(?::?([0-9]{2}))?", word, re.IGNORECASE)
    if match is None:
        return None
    name, sign, hours, minutes = match.groups()
    east = (int(hours) * 60 + int(minutes or 0)) * (-1 if sign == "-" else 1)
    if name and name.upper() not in {"UTC", "GMT", "Z"}:
        zone = ABBREVIATIONS.get(name.upper())
        return zone if zone and abs(_minutes_east(zone)) == abs(east) else None
    if east == 0:
        return "UTC"
    if east % 60 == 0 and -12 <= east // 60 <= 14:
        return f"Etc/GMT{-east // 60:+d}"
    return _HALVES.get(east)


def _minutes_east(zone: str) -> int:
    """Of a zone that has one offset."""
    offset = datetime(2026, 1, 1, tzinfo=ZoneInfo(zone)).utcoffset()
    return round(offset.total_seconds() / 60) if offset else 0
