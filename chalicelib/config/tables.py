"""Reading TOML tables: one reader per key, and every fault noted where it is written.

A reader takes a value and its `Spot`, and returns the value as the program wants it, or notes a fault there
and returns `BAD`. So reading goes on after a fault, and one look at a file finds them all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from chalicelib.values import dataclass

if TYPE_CHECKING:
    from chalicelib.config.limits import Limit

BAD: Any = object()
"""Stands for a value with a fault, so that the same fault is not found again under another name."""

_OTHERS_SAY = {
    "schedule": "cron rate schedules schedule_expression scheduleexpression",
    "timezone": "tz zone schedule_expression_timezone",
    "start": "start_date startdate start_time start_at",
    "end": "end_date enddate end_time end_at until",
}
_MEANT = {word: key for key, words in _OTHERS_SAY.items() for word in words.split()}
"""What others call a key of ours: spelling alone would take start_date for start_deadline."""

_REMOVED = {
    "expect_success_within": 'write expect_success_by = "06:00", the time of day by which a scheduled time should have '
    'succeeded, or warn_after = "2h", how long after it (docs/alarms.md)'
}
"""What a key of an older release is called now."""

Reader = Callable[[Any, "Spot"], Any]

_TYPES = {bool: "a boolean", int: "an integer", float: "a float", str: "a string", list: "an array", dict: "a table"}
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in a file, and what would be right."""

    file: str
    place: str
    """The key as TOML writes it, `jobs.nightly-report.ecs.cluster`, or line and column of broken TOML."""
    wrong: str
    right: str

    def __str__(self) -> str:
        line = f"{self.file}:{self.place}: {self.wrong}; {self.right}"
        # One line, whatever the file says.
        return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a file, and the list that its faults go to."""

    file: str
    place: str
    faults: list[Fault]

    def key(self, key: str) -> Spot:
        """The place of a key of this table."""
        written = key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else f'"{key}"'
        return Spot(self.file, f"{self.place}.{written}" if self.place else written, self.faults)

    def item(self, index: int) -> Spot:
        """The place of an item of this array; the first is 0."""
        return Spot(self.file, f"{self.place}[{index}]", self.faults)

    def fault(self, wrong: str, right: str) -> Any:
        """Note a fault here. Returns `BAD`."""
        self.faults.append(Fault(self.file, self.place, wrong, right))
        return BAD

    def too_long(self, what: str, name: str, most: int, mend: str, or_else: str = "") -> None:
        """Note it, if the name of something that will be made has more characters than AWS takes."""
        if (over := len(name) - most) > 0:
            wrong = f"{what} would have {len(name)} characters and AWS takes {most}"
            self.fault(wrong, f"make {mend} at least {over} shorter{or_else}")

    def lacks(self, kind: type, value: object, right: str) -> bool:
        """Whether `value` is of another type than `kind`, which is noted. TOML's true is no integer."""
        if type(value) is kind:
            return False
        self.fault(f"is {_TYPES.get(type(value), 'a date or time')}, not {_TYPES[kind]}", right)
        return True


def near(word: str, known: Mapping[str, object] | set[str], otherwise: str) -> str:
    """What would be right instead of `word`: the known word that looks like it, or `otherwise`."""
    from chalicelib.decide.nearest import nearest  # noqa: PLC0415 (only a fault needs it, and it imports difflib)

    found = _MEANT.get(word.lower().replace("-", "_"))
    found = found if found in known else nearest(word, known)
    return f'did you mean "{found}"?' if found else otherwise


def table(
    readers: Mapping[str, Reader], value: Any, spot: Spot, *, strayed: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The keys of a table, read. `strayed` says of keys that belong elsewhere where that is."""
    if spot.lacks(dict, value, f"write it as a table, [{spot.place}]"):
        return dict.fromkeys(readers, BAD)
    read: dict[str, Any] = {}
    for key, inner in value.items():
        if key in readers:
            read[key] = readers[key](inner, spot.key(key))
        elif strayed and key in strayed:
            spot.key(key).fault("is not a key of this table", f"it belongs in [{strayed[key]}]")
        elif key in _REMOVED:
            spot.key(key).fault("was removed in 0.2.0", _REMOVED[key])
        else:
            right = near(key, readers, f"known here: {', '.join(readers)}")
            spot.key(key).fault("is not a known key", right)
    return read


def plain(value: str, spot: Spot) -> Any:
    """The text, if AWS takes it as it is written."""
    # Both would reach the state machine's definition, where neither is taken literally.
    if value.startswith("{%"):
        return spot.fault('starts with "{%"', "start it otherwise; Step Functions would evaluate it as JSONata")
    if "${" in value:
        return spot.fault('contains "${"', "write the value itself; CloudFormation would substitute it")
    if "\0" in value:  # execve(2): arguments and variables end there
        return spot.fault("contains the character NUL", "leave it out; no program can be given one")
    return value


def text(pattern: str, right: str, *, most: Limit | None = None) -> Reader:
    """Text that matches `pattern` from end to end, and that AWS takes as it is written.

    `most` is for the name in it: all of it, or of an ARN the last part without a revision.
    """

    def read(value: Any, spot: Spot) -> Any:
        if spot.lacks(str, value, right) or plain(value, spot) is BAD:
            return BAD
        # Compiled at the first use and not at import: a file uses few of the patterns.
        if not re.fullmatch(pattern, value, re.DOTALL):
            return spot.fault(f'"{value}" is not valid', right)
        if most and (said := most.exceeded(len(_name_in(value)))):
            return spot.fault(f"has a name of {said}", right)
        return value

    return read


def _name_in(value: str) -> str:
    """The name in a name, in `family:7` or in an ARN."""
    last = value.rpartition("/")[2]
    return last.rpartition(":")[2] if last.startswith("arn:") else last.partition(":")[0]


def one_of(*words: str) -> Reader:
    """One of these words."""
    right = "write " + ", ".join(f'"{word}"' for word in words[:-1]) + f' or "{words[-1]}"'

    def read(value: Any, spot: Spot) -> Any:
        if spot.lacks(str, value, right):
            return BAD
        return value if value in words else spot.fault(f'"{value}" is not valid', right)

    return read


def boolean(value: Any, spot: Spot) -> Any:
    """True or false."""
    return BAD if spot.lacks(bool, value, "write true or false") else value


def integer(low: int, high: int) -> Reader:
    """A whole number, both ends included."""
    right = f"write a whole number from {low} to {high}"

    def read(value: Any, spot: Spot) -> Any:
        if spot.lacks(int, value, right):
            return BAD
        return value if low <= value <= high else spot.fault(f"{value} is out of range", right)

    return read


def array(each: Reader, right: str, *, least: int = 0, most: Limit | None = None) -> Reader:
    """An array as a tuple."""

    def read(value: Any, spot: Spot) -> Any:
        if spot.lacks(list, value, right):
            return BAD
        if len(value) < least:
            return spot.fault("is empty", right)
        if most and (said := most.exceeded(len(value))):
            return spot.fault(f"has {said}", f"leave out {len(value) - most.most}")
        return tuple([each(item, spot.item(n)) for n, item in enumerate(value)])

    return read


def each_in(each: Reader, right: str, name: Reader = lambda name, _: name) -> Reader:
    """A table of things that somebody has named."""

    def read(value: Any, spot: Spot) -> Any:
        if spot.lacks(dict, value, right):
            return BAD
        return {key: (name(key, spot.key(key)), each(inner, spot.key(key)))[1] for key, inner in value.items()}

    return read


def size(unit: str, right: str) -> Reader:
    """A whole number, or a number of `unit` of 1024 each, as RunTask takes both: "0.5 vCPU" is "512".

    Only for RegisterTaskDefinition does AWS document other spellings than whole numbers.
    """

    def read(value: Any, spot: Spot) -> Any:
        if spot.lacks(str, value, right):
            return BAD
        match = re.fullmatch(rf"([0-9]{{1,9}})|([0-9]{{0,6}}\.?[0-9]{{1,6}}) ?{unit}", value, re.IGNORECASE)
        units = float(match[1] or float(match[2]) * 1024) if match else 0.0
        return str(int(units)) if units > 0 and units.is_integer() else spot.fault(f'"{value}" is not valid', right)

    return read


def duration(low: str, high: str, why: str = "") -> Reader:
    """Text like "1h30m" as whole seconds, both ends included; `why` tells a person of the ends."""

    def read(value: Any, spot: Spot) -> Any:
        if spot.lacks(str, value, 'write a duration with its unit, such as "90s"'):
            return BAD
        seconds = seconds_of(value)
        if seconds is None:
            return spot.fault(f'"{value}" is not a duration', 'write "90s", "15m", "2h", "1d" or "1h30m"')
        if not (seconds_of(low) or 0) <= seconds <= (seconds_of(high) or 0):
            return spot.fault(f'"{value}" is out of range', f'write a duration from "{low}" to "{high}"{why}')
        return seconds

    return read


def seconds_of(written: str) -> int | None:
    """5400 for "1h30m"; None for what is not a duration."""
    match = re.fullmatch("".join(rf"(?:([0-9]{{1,9}}){unit})?" for unit in _SECONDS), written)
    if match is None or not written:
        return None
    return sum(int(number) * each for number, each in zip(match.groups("0"), _SECONDS.values(), strict=True))
