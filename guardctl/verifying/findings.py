"""What was found: OK, NG or SKIP, each with its reason; and what could not be read."""

from typing import Literal

from chalicelib.values import dataclass

Verdict = Literal["OK", "NG", "SKIP"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. OK only ever says that it was read."""

    verdict: Verdict
    what: str
    """The thing, by its name: ``cluster batch``."""
    reason: str


@dataclass(frozen=True, slots=True)
class Subject:
    """What the findings are about: a job, or with None the stage."""

    job: str | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Unread:
    """What could not be read, and why. What depends on it is skipped."""

    reason: str


def ok(what: str, reason: str) -> Finding:
    """It was read, and it is as it has to be."""
    return Finding("OK", what, reason)


def ng(what: str, reason: str) -> Finding:
    """It was read, and the job can't run so."""
    return Finding("NG", what, reason)


def skip(what: str, reason: str) -> Finding:
    """Nobody looked at it, or what was read does not tell."""
    return Finding("SKIP", what, reason)
