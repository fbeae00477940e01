"""What EventBridge and Scheduler put into a target's input at each time, as a job can have it. Pure.

What is the same each time is written out. The scheduled time becomes `TIME`, which `carry` turns into a command's
`{scheduled_at}`. Everything else is of one event, and a job has no event: a reason why not.

Sources: EventBridge guide, "Input transformation" (a placeholder within quotes is put in as it is, elsewhere as JSON)
and "Scheduled events" (the event's fields); Scheduler guide, "Context attributes".
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from guardctl.importing.old import Old, Reason, path_of

TIME = "\ue000"
"""Stands for the scheduled time, in UTC: a character of Unicode's private use, which no AWS input has."""

_PLACEHOLDER = re.compile("<([A-Za-z0-9_.-]+)>")
_WORDS = {
    "aws.scheduler.execution-id": "the invocation's ID",
    "aws.scheduler.attempt-number": "the attempt's number",
    "aws.events.event.ingestion-time": "the time at which the event came",
    "aws.events.event.json": "the whole event",
    "aws.events.event": "the whole event",
}
_INSTEAD = "leave it out of the command, and let the program read BATCH_EXECUTION, which is each run's own"


def rendered(transformer: Mapping[str, Any], old: Old, reasons: list[Reason]) -> str:
    """The JSON text that an input transformer makes of a scheduled event."""
    template, paths = str(transformer.get("InputTemplate", "")), transformer.get("InputPathsMap") or {}
    known = {name: _of_the_event(str(path), old) for name, path in paths.items()}
    known |= {"aws.events.rule-name": path_of(old.origin)[2], "aws.events.rule-arn": old.arn}
    pieces = []
    for text, name, quoted in _split(template):
        pieces.append(text)
        if name is None:
            continue
        value = known.get(name)
        if value is None:
            what = _WORDS.get(name) or paths.get(name) or f"<{name}>"
            reasons.append(Reason(f"its input transformer takes {what} from the event", _INSTEAD))
            value = ""
        encoded = json.dumps(value, ensure_ascii=False)
        pieces.append(encoded[1:-1] if quoted else encoded)
    return "".join(pieces)


def scheduled(text: str, old: Old, reasons: list[Reason]) -> str:
    """A schedule's input, with Scheduler's context attributes put in."""
    known = {"aws.scheduler.scheduled-time": TIME, "aws.scheduler.schedule-arn": old.arn}

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if not name.startswith("aws.scheduler."):
            return match[0]  # it is no attribute of Scheduler's: a redirection in a shell command, say
        if name not in known:
            reasons.append(Reason(f"its input takes {_WORDS.get(name, match[0])} from Scheduler", _INSTEAD))
        return known.get(name, "")

    return _PLACEHOLDER.sub(value, text)


def _of_the_event(path: str, old: Old) -> str | None:
    """A field of a scheduled event that is known beforehand; None for every other."""
    region, account = old.place
    return {
        "$.time": TIME,
        "$.source": "aws.events",
        "$.detail-type": "Scheduled Event",
        "$.resources[0]": old.arn,
        "$.region": region or None,
        "$.account": account or None,
    }.get(path)


def _split(template: str) -> Iterator[tuple[str, str | None, bool]]:
    """Text, the placeholder after it, and whether that one stands within quotes; at the end text alone."""
    at, quoted = 0, False
    for match in _PLACEHOLDER.finditer(template):
        before = template[at : match.start()]
        quoted ^= len(re.findall(r'(?<!\\)(?:\\\\)*"', before)) % 2 == 1
        yield before, match[1], quoted
        at = match.end()
    yield template[at:], None, False
