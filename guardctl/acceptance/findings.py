"""What is assumed of AWS, how it is tried, and what came of it. A judge is pure: what was seen → a finding."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from guardctl.acceptance.trial import Trial

Verdict = Literal["holds", "differs", "could not be tried"]
VERDICTS: tuple[Verdict, ...] = ("holds", "differs", "could not be tried")

Basis = Literal["documented", "reported", "not documented", "our promise"]
"""Where an assumption comes from: AWS's documentation, what people saw, nowhere, or this project itself."""

Seen = TypeVar("Seen")


class Untried(Exception):
    """The probe could not be tried; the message says why, and never that AWS did something else."""


@dataclass(frozen=True)
class Finding:
    """A verdict, and in a sentence what was seen."""

    verdict: Verdict
    seen: str


def holds(seen: str) -> Finding:
    """It is as assumed."""
    return Finding("holds", seen)


def differs(seen: str) -> Finding:
    """AWS does something else."""
    return Finding("differs", seen)


def untried(why: str) -> Finding:
    """Nobody knows."""
    return Finding("could not be tried", why)


def judged(right: bool, seen: str) -> Finding:
    """`holds` if it is right, else `differs`."""
    return holds(seen) if right else differs(seen)


@dataclass(frozen=True)
class Assumption(Generic[Seen]):
    """One line of the report."""

    name: str
    says: str
    basis: Basis
    judge: Callable[[Seen], Finding]


@dataclass(frozen=True)
class Probe(Generic[Seen]):
    """One try, which may settle several assumptions.

    `look` raises `Untried`, `NotInTime`, or what botocore raises: then none of them could be tried.
    """

    name: str
    tried: str
    look: Callable[[Trial], Seen]
    assumptions: tuple[Assumption[Seen], ...]


AnyProbe = Probe[Any]


@dataclass(frozen=True)
class Line:
    """An assumption with its finding; `tried` says how."""

    name: str
    says: str
    basis: Basis
    tried: str
    finding: Finding
