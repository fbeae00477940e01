"""The words of a command, which may have templates in them: `{scheduled_at}`, `{local_date:%Y%m%d}`. Pure.

What follows the colon is for strftime; a brace that is meant is doubled. A command without a brace is what it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

_DIRECTIVES = "aAbBdDeFgGHIjmMnpRStTuUVwWyYzZ%"
"""Of C's strftime: those that depend on nothing but the time. `%s` is no one's standard, `%c` the machine's habit."""


class Moment(NamedTuple):
    """What a template may be filled in from."""

    scheduled_at: datetime
    """UTC."""
    timezone: str
    """The job's."""
    business_date: date | None = None
    """Of a job with a calendar: the last business day not after the time as the schedule has it."""


class Template(NamedTuple):
    """What a name in braces stands for."""

    format: str
    """Unless another follows its colon."""
    read: Callable[[Moment], date | None]


BUSINESS_DATE = "business_date"
"""The one name that only a job with a calendar has."""

NAMES: Mapping[str, Template] = {
    "scheduled_at": Template("%Y-%m-%dT%H:%M:%SZ", lambda of: of.scheduled_at.astimezone(UTC)),
    "local_date": Template("%Y-%m-%d", lambda of: local_date(of.scheduled_at, of.timezone)),
    BUSINESS_DATE: Template("%Y-%m-%d", lambda of: of.business_date),
}
"""Every name that may stand in braces."""


class WordRefused(ValueError):
    """A word whose braces make no template: what is wrong, and what would be right."""

    def __init__(self, wrong: str, right: str) -> None:
        super().__init__(f"{wrong}; {right}")
        self.wrong = wrong
        self.right = right


class Field(NamedTuple):
    """One template in a word."""

    name: str
    format: str


class Word(NamedTuple):
    """A word that has a template in it. (Made faster than a dataclass: each cold start does.)"""

    parts: tuple[str | Field, ...]

    def at(self, scheduled_at: datetime, timezone: str, business_date: date | None = None) -> str:
        """The word for a scheduled time (UTC) of a job in this zone. Raises WordRefused for what the job has not."""
        moment = Moment(scheduled_at, timezone, business_date)
        return "".join(part if isinstance(part, str) else _filled(part, moment) for part in self.parts)

    @property
    def names(self) -> set[str]:
        """The names of its templates."""
        return {part.name for part in self.parts if isinstance(part, Field)}

    def may_be(self, word: str) -> bool:
        """Whether it may be this word for some time: what a template stands for may be anything, the rest is fixed."""
        pattern = "".join(re.escape(part) if isinstance(part, str) else ".*" for part in self.parts)
        return re.fullmatch(pattern, word, re.DOTALL) is not None


Command = tuple[str | Word, ...]


def command(words: Iterable[str]) -> Command:
    """A command as the jobs file has it, read. Raises WordRefused."""
    return tuple(parse_word(word) if "{" in word or "}" in word else word for word in words)


def for_time(
    words: Iterable[str], scheduled_at: datetime, timezone: str, business_date: date | None = None
) -> tuple[str, ...]:
    """What a command of the jobs file runs for a scheduled time (UTC). Raises WordRefused, as `Word.at` does."""
    of = (scheduled_at, timezone, business_date)
    return tuple(word if isinstance(word, str) else word.at(*of) for word in command(words))


def local_date(scheduled_at: datetime, timezone: str) -> datetime:
    """A scheduled time (UTC) on the clock of the job's zone."""
    return scheduled_at.astimezone(ZoneInfo(timezone))


def same(found: tuple[str, ...] | None, wanted: Command | None) -> bool:
    """Whether a task's command is a job's. None is the image's own."""
    if found is None or wanted is None:
        return found is wanted
    return len(found) == len(wanted) and all(
        word == each if isinstance(each, str) else each.may_be(word) for word, each in zip(found, wanted, strict=True)
    )


@lru_cache(maxsize=256)
def parse_word(text: str) -> str | Word:
    """A word, read: a plain one is a string, in which a doubled brace has become one. Raises WordRefused."""
    parts: list[str | Field] = []
    for match in re.finditer(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+", text):
        said = match[0]
        if match[1] is not None:
            parts.append(_field(match[1], text))
        elif said in {"{", "}"}:
            raise WordRefused(f'"{text}" has a brace that belongs to no template', _doubled(text))
        else:
            parts.append(said[0] if said in {"{{", "}}"} else said)
    return Word(tuple(parts)) if any(isinstance(part, Field) for part in parts) else "".join(map(str, parts))


def _filled(field: Field, moment: Moment) -> str:
    value = NAMES[field.name].read(moment)
    if value is None:
        raise WordRefused(f'"{{{field.name}}}" is of a job with a calendar', 'write calendar = "jp" and [calendars.jp]')
    return value.strftime(field.format)


def _field(inner: str, text: str) -> Field:
    name, colon, form = inner.partition(":")
    if name not in NAMES:
        from chalicelib.decide.nearest import nearest  # noqa: PLC0415 only a fault needs it

        known = ", ".join(f"{{{each}}}" for each in NAMES)
        like = nearest(name, NAMES)
        right = f'did you mean "{{{like}{colon}{form}}}"?' if like else f"known are {known}; {_doubled(text)}"
        raise WordRefused(f'"{{{inner}}}" is not a template', right)
    if not colon:
        return Field(name, NAMES[name].format)
    if not form:
        right = f'write how it is to look, "{{{name}:%Y%m%d}}", or "{{{name}}}"'
        raise WordRefused(f'"{{{inner}}}" has nothing after its colon', right)
    for directive in re.findall("%(.?)", form, re.DOTALL):
        if not directive or directive not in _DIRECTIVES:
            right = f'known are %{" %".join(_DIRECTIVES)}, as in "{{{name}:%Y%m%d}}"'
            raise WordRefused(f'"%{directive}" in "{{{inner}}}" is not a directive of strftime', right)
    return Field(name, form)


def _doubled(text: str) -> str:
    """The word with the braces doubled that are no template's; in one that has doubled ones, those that are not yet."""
    if "{{" in text:
        meant = re.sub(r"\{+|\}+", lambda match: match[0] * 2 if len(match[0]) % 2 else match[0], text)
    else:
        template = rf"\{{(?:{'|'.join(NAMES)})(?::[^{{}}]*)?\}}"
        meant = re.sub(rf"{template}|[{{}}]", lambda match: match[0] * 2 if len(match[0]) == 1 else match[0], text)
    return f"double a brace that is meant: '{meant}'"
