"""Which zone is advised for what is no zone: one that means the same, or none."""

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import pytest

from chalicelib.decide import zones
from chalicelib.decide.schedule import is_zone
from chalicelib.decide.zones import ABBREVIATIONS, advice

MONTHS = [datetime(2026, month, 15, tzinfo=UTC) for month in range(1, 13)]


def advised(word: str) -> str | None:
    """The zone that is advised."""
    if (said := advice(word)) == zones.RIGHT:
        return None
    found = re.search(r'"(.+?)"', said)
    return found[1] if found else None


def offsets(zone: str) -> set[timedelta | None]:
    return {month.astimezone(ZoneInfo(zone)).utcoffset() for month in MONTHS}


@pytest.mark.parametrize(
    ("word", "zone"),
    [
        pytest.param("JST", "Asia/Tokyo", id="JST, which looks like MST"),
        pytest.param("jst", "Asia/Tokyo", id="in small letters"),
        pytest.param("KST", "Asia/Seoul", id="KST"),
        pytest.param("UTC+9", "Etc/GMT-9", id="UTC+9, which looks like UTC"),
        pytest.param("UTC+09:00", "Etc/GMT-9", id="with minutes"),
        pytest.param("GMT+9", "Etc/GMT-9", id="GMT+9"),
        pytest.param("GMT -5", "Etc/GMT+5", id="with a space"),
        pytest.param("+09:00", "Etc/GMT-9", id="an offset alone"),
        pytest.param("+0900", "Etc/GMT-9", id="without a colon"),
        pytest.param("-5", "Etc/GMT+5", id="hours alone"),
        pytest.param("+05:30", "Asia/Kolkata", id="half an hour: a place that has it all year"),
        pytest.param("UTC+5:45", "Asia/Kathmandu", id="three quarters"),
        pytest.param("-03:30", None, id="Newfoundland's, which has daylight saving"),
        pytest.param("UTC+0", "UTC", id="none east"),
        pytest.param("+00:00", "UTC", id="no offset"),
        pytest.param("Z", "UTC", id="Z"),
        pytest.param("JST-9", "Asia/Tokyo", id="POSIX's, where the sign is the other way round"),
        pytest.param("JST+9", "Asia/Tokyo", id="an abbreviation and its offset"),
        pytest.param("JST+8", None, id="an abbreviation and another offset"),
        pytest.param("UTC+15", None, id="an offset that nobody has"),
        pytest.param("Etc/UTC+9", None, id="nobody knows which way that is"),
        pytest.param("EST5", None, id="half of POSIX's EST5EDT"),
        pytest.param("PST", None, id="the Pacific's, or the Philippines'"),
        pytest.param("PDT", None, id="half a year of a zone"),
        pytest.param("IST", None, id="India's, Israel's or Ireland's"),
        pytest.param("CST", None, id="Chicago's, Shanghai's or Havana's"),
        pytest.param("CEST", None, id="half a year of another zone"),
        pytest.param("BST", None, id="London's summer, or Bangladesh"),
        pytest.param("est", "EST", id="a zone in small letters"),
        pytest.param("asia/tokyo", "Asia/Tokyo", id="a place in small letters"),
        pytest.param("Tokyo", "Asia/Tokyo", id="a city"),
        pytest.param("TOKYO", "Asia/Tokyo", id="a city in capitals, which is no abbreviation"),
        pytest.param("New York", "America/New_York", id="a city of two words"),
        pytest.param("Asia/Toky", "Asia/Tokyo", id="misspelt"),
        pytest.param("Asia/Tokio", "Asia/Tokyo", id="as it is spelt elsewhere"),
        pytest.param("America/NewYork", "America/New_York", id="without its underscore"),
        pytest.param("Tokyo Standard Time", None, id="a name of Windows'"),
        pytest.param("somewhere", None, id="anything"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_advice(word: str, zone: str | None) -> None:
    assert not is_zone(word)
    assert advised(word) == zone


@cache
def in_use() -> dict[str, set[timedelta | None]]:
    """Every abbreviation that a zone's clock shows in 2026, with the offsets that it stands for."""
    found: dict[str, set[timedelta | None]] = {}
    for name in available_timezones():
        for month in (MONTHS[0], MONTHS[6]):
            local = month.astimezone(ZoneInfo(name))
            if (said := local.tzname()) and said.isalpha():
                found.setdefault(said, set()).add(local.utcoffset())
    return found


def test_every_abbreviation_leads_to_a_zone_that_has_its_one_offset_all_year_or_to_none() -> None:
    assert {"JST", "PST", "IST", "CEST", "EDT", "AEST"} <= in_use().keys()
    for word, meant in in_use().items():
        if not is_zone(word) and (zone := advised(word)):
            assert offsets(zone) == meant, word


@pytest.mark.parametrize("abbreviation", ABBREVIATIONS)
def test_a_zone_of_the_table_has_one_offset(abbreviation: str) -> None:
    assert len(offsets(ABBREVIATIONS[abbreviation])) == 1


@pytest.mark.parametrize("minutes", range(-720, 841, 15))
def test_an_offset_leads_to_a_zone_that_has_it_all_year_or_to_none(minutes: int) -> None:
    word = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    for written in (word, f"UTC{word}", f"GMT{word}"):
        zone = advised(written)
        assert zone is not None or minutes % 60
        assert zone is None or offsets(zone) == {timedelta(minutes=minutes)}
