"""Who is told that something is wrong, and of what: `[alerts]`, and `tell` of a job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, get_args

from chalicelib.config.limits import TOPIC_NAME
from chalicelib.config.tables import BAD, Reader, Spot, array, integer, one_of, text
from chalicelib.config.task import ARN
from chalicelib.names import LONGEST_NAME, TOLD, Told, told_name
from chalicelib.values import dataclass

if TYPE_CHECKING:
    from chalicelib.config.jobs import Job

Form = Literal["text", "chat"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """Where to say that something is wrong."""

    topic: str
    skips_in_a_row: int = 3
    tell: tuple[Told, ...] = ()
    """Of which ends people are told by a message, where a job does not say it itself."""
    format: Form = "text"
    """``chat``: what subscribers by https get is what AWS's chat applications show; all others get the text."""


_kinds = array(one_of(*TOLD), f"write a list of some of: {', '.join(TOLD)}")


def tell(value: Any, spot: Spot) -> Any:
    """Kinds of messages, each once, in the order of `TOLD`."""
    found = _kinds(value, spot)
    if found is BAD or BAD in found:
        return BAD
    for n, kind in enumerate(found):
        if kind in found[:n]:
            return spot.item(n).fault(f'"{kind}" is there twice', "write it once")
    return tuple(kind for kind in TOLD if kind in found)


READERS: dict[str, Reader] = {
    "topic": text(
        f"{ARN}:sns:[a-z0-9-]+:[0-9]{{12}}:[A-Za-z0-9_-]+",
        'write "arn:aws:sns:REGION:123456789012:NAME"',
        most=TOPIC_NAME,
    ),
    "skips_in_a_row": integer(1, 1000),
    "tell": tell,
    "format": one_of(*get_args(Form)),
}

_SOME_TIME = datetime(2026, 11, 23, 18, tzinfo=UTC)


def check_tell(jobs: Mapping[str, Job], alerts: Alerts | None, spot: Spot) -> None:
    """Who tells has somebody to tell, and a name for it that Step Functions takes (StartExecution)."""
    for job, kind in _told(jobs, alerts):
        at = spot.key(job.name)
        if alerts is None:
            wrong = "is there, and the file has no [alerts]"
            at.key("tell").fault(wrong, "write [alerts] with the topic to tell, or leave it out")
            continue
        name = told_name(job.name, kind, _SOME_TIME)
        what, or_else = "the name of the execution that tells", ", or write tell = [] in it"
        at.too_long(what, name, LONGEST_NAME, "the job's name", or_else)


def _told(jobs: Mapping[str, Job], alerts: Alerts | None) -> Iterator[tuple[Job, Told]]:
    """Each job that tells something, and the kind with the longest name."""
    for job in jobs.values():
        kinds = job.tell if job.tell is not None else alerts.tell if alerts else ()
        if kinds:
            yield job, max(kinds, key=len)
