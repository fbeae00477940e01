"""The holidays of a place, by the library `holidays`, as a file that the functions read. Reads no file, asks nobody."""

from collections.abc import Mapping
from datetime import date
from importlib.metadata import version
from typing import Any

from chalicelib.decide.nearest import nearest

_ENGLISH = "en_US"
_FEW = 40
"""So many known words are named."""


class UnknownPlace(ValueError):
    """The library has no such place, or not those years of it; says what would be right."""


def computed(place: str, first: int, last: int) -> dict[date, str]:
    """The holidays of a place, by day, in the years `first` to `last`, both included.

    A place is a country (JP), with a subdivision of it (DE-BY), or an exchange (XNYS); `+bank` adds a category of the
    library's to the public holidays. Names are English where the library has them so.
    """
    import holidays  # noqa: PLC0415 three tenths of a second, for one command

    code, *categories = place.split("+")
    country, _, subdivision = code.partition("-")
    countries, markets = holidays.list_supported_countries(), holidays.list_supported_financial()
    about: dict[str, Any] = {}
    if subdivision:
        if country not in countries:
            raise _unknown(country, countries, "country")
        if subdivision not in countries[country]:
            raise _unknown(subdivision, countries[country], f"subdivision of {country}")
        about["subdiv"] = subdivision
    elif country not in countries and country not in markets:
        raise _unknown(country, [*countries, *markets], "country or exchange")
    make: Any = holidays.country_holidays if country in countries else holidays.financial_holidays
    known = type(make(country))
    if few := [each for each in categories if each not in known.supported_categories]:
        raise _unknown(few[0], known.supported_categories, f"category of {country}")
    if first < known.start_year or last > known.end_year:
        raise UnknownPlace(f"the library knows {country} from {known.start_year} to {known.end_year}")
    if categories:
        about["categories"] = tuple({"public", *categories} & set(known.supported_categories))
    if _ENGLISH in known.supported_languages:
        about["language"] = _ENGLISH
    years = range(first, last + 1)
    found = dict(make(country, years=years, **about))
    if missing := [year for year in years if not any(day.year == year for day in found)]:
        raise UnknownPlace(f"the library has no holiday of {place} in {missing[0]}")
    return {day: " ".join(found[day].split()) for day in sorted(found) if day.year in years}


def written(place: str, found: Mapping[date, str], first: int, last: int) -> str:
    """The file; `chalicelib.decide.calendars.data_of` reads it."""
    head = f"# Holidays of {place}, by the library holidays {version('holidays')}. Written by guardctl calendar: days\n"
    head += "# of your own belong in the jobs file (also, except), where the next refresh leaves them alone.\n"
    days = "".join(f"{day} {name}\n" for day, name in found.items())
    return f"{head}{date(first, 1, 1)} {date(last, 12, 31)}\n{days}"


def _unknown(word: str, known: Any, what: str) -> UnknownPlace:
    few = sorted(set(known))
    like = next((each for each in few if each.lower() == word.lower()), None) or nearest(word, few)
    some = f"known are {', '.join(few) or 'none'}" if len(few) < _FEW else "write its code: JP, or XNYS for an exchange"
    right = f'did you mean "{like}"?' if like else some
    return UnknownPlace(f'"{word}" is no {what} that the library knows; {right}')
