"""``guardctl calendar``."""

import re
import tomllib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from chalicelib.config import calendars, jobs
from chalicelib.decide.calendars import Data, data_of, read
from guardctl.console import command, err, out
from guardctl.errors import NOT_RUN, Stop
from guardctl.holiday_data import UnknownPlace, computed, written

_FEW = 10
"""So many changed days are named."""


@command(example="guardctl calendar --through 2029")
def calendar(
    places: Annotated[
        list[str] | None,
        typer.Argument(help="Such as JP, DE-BY, JP+bank, XNYS; those of all the jobs files if none is named."),
    ] = None,
    through: Annotated[int | None, typer.Option(help="The last year, whole; three years from now if not said.")] = None,
    since: Annotated[int | None, typer.Option("--from", help="The first year; last year if not said.")] = None,
) -> None:
    """Write the holidays that the jobs files' calendars use.

    From the library holidays into chalicelib/calendars, without asking AWS.
    Commit the files and deploy. Days of your own stand in the jobs file, and stay there.
    """
    year = datetime.now(UTC).year
    first, last = since or year - 1, through or year + 3
    if first > last:
        raise Stop(f"--from {first} is after --through {last}")
    asked = list(dict.fromkeys(places or _places()))
    if not asked:
        raise Stop(
            'no jobs file names a place: write [calendars.jp] holidays = "JP", or name one: guardctl calendar JP'
        )
    files = {}
    for place in asked:
        if not re.fullmatch(calendars.PLACE, place):
            raise Stop(f'"{place}" is not a place: write JP, DE-BY, JP+bank or XNYS')
        try:
            files[place] = written(place, computed(place, first, last), first, last)
        except UnknownPlace as error:
            raise Stop(f"{place}: {error}") from error
        except ModuleNotFoundError as error:
            raise Stop(f"{error}: run: pip install -r requirements-dev.txt", NOT_RUN) from error
    for place, text in files.items():
        out.print(write(place, text), markup=False, highlight=False)


def _places() -> Iterable[str]:
    """What the jobs files of all stages name. They are not read whole: that a place has no file is no fault here."""
    for file in sorted(jobs.DIRECTORY.glob("*.toml")):
        try:
            found = tomllib.loads(file.read_text(encoding="utf-8-sig")).get("calendars", {})
        except (ValueError, OSError) as error:
            err.print(f"left out: {file.name} can't be read: {error}", markup=False)
            continue
        tables = found.values() if isinstance(found, dict) else ()
        yield from (each["holidays"] for each in tables if isinstance(each, dict) and type(each.get("holidays")) is str)


def write(place: str, text: str, directory: Path = calendars.DIRECTORY) -> str:
    """Write the file, if its days are others; says what it has, and what is new. Raises `Stop`."""
    old = calendars.stored(place, directory)
    before, after = (read(data) if data else None for data in (data_of(old or ""), data_of(text)))
    assert after is not None
    told = f"{place}: {len(after.names)} holidays, {after.first} to {after.last}"
    if after == before:
        return f"{told}, as before"
    file = directory / f"{place}.txt"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return "\n".join([f"{told}{f', before that to {before.last}' if before else ''}", *_changed(before, after)])


def _changed(before: Data | None, after: Data) -> Iterable[str]:
    """The days that both have in their years, and that are others now."""
    if before is None:
        return
    first, last = (str(day) for day in (max(before.first, after.first), min(before.last, after.last)))
    told = [
        f"  {day} {after.names.get(day, before.names.get(day, ''))} is {'new' if day in after.names else 'gone'}"
        for day in sorted(before.names.keys() ^ after.names.keys())
        if first <= day <= last
    ]
    yield from told[:_FEW]
    if len(told) > _FEW:
        yield f"  and {len(told) - _FEW} more: git diff shows them"
