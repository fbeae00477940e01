"""What is assumed of AWS, how it is tried, and what came of it."""

from collections.abc import Callable, Iterable
from typing import Literal

from chalicelib.values import dataclass
from guardctl.acceptance.trial import Trial

Verdict = Literal["differs", "holds", "could not be tried"]
"""In the order of the report."""

Basis = Literal["documented", "reported", "not documented", "our promise"]
"""Where an assumption comes from: AWS's documentation, what people saw, nowhere, or this project itself."""


class Untried(Exception):
    """The probe could not be tried; the message says why, and never that AWS did something else."""


@dataclass(frozen=True)
class Finding:
    """A verdict, and in a sentence what was seen."""

    verdict: Verdict
    seen: str


def holds(seen: str) -> Finding:
    return Finding("holds", seen)


def differs(seen: str) -> Finding:
    return Finding("differs", seen)


def untried(why: str) -> Finding:
    return Finding("could not be tried", why)


def judged(right: bool, seen: str) -> Finding:
    """`holds` if it is right, else `differs`."""
    return holds(seen) if right else differs(seen)


def not_seen(told: str, waited: float, limit: float) -> Finding:
    """It did not happen: `differs` if it was waited for until the limit (seconds), else nobody knows."""
    return differs(told) if waited >= limit else untried(f"{told}; nobody waited longer")


@dataclass(frozen=True)
class Assumption:
    """One line of the report."""

    name: str
    says: str
    basis: Basis


@dataclass(frozen=True)
class Probe:
    """One try, which may settle several assumptions.

    `look` gives a finding for each, in their order. It may raise `Untried`, `NotInTime`, or what botocore raises: then
    those that it has not come to could not be tried.
    """

    tried: str
    look: Callable[[Trial], Iterable[Finding]]
    assumptions: tuple[Assumption, ...]


def probe(tried: str, *assumptions: Assumption) -> Callable[[Callable[[Trial], Iterable[Finding]]], Probe]:
    """Make a function the `look` of a probe."""
    return lambda look: Probe(tried, look, assumptions)


@dataclass(frozen=True)
class Line(Assumption):
    """An assumption with its finding; `tried` says how."""

    tried: str
    finding: Finding
