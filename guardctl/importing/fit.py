"""Names that a jobs file takes, made of names that AWS takes. Pure."""

import re
from collections.abc import Collection
from itertools import count

from chalicelib.names import LONGEST_NAME, MOST_SLOTS, batch_machine

_LONGEST = LONGEST_NAME - len("-20261123T1800Z-by-hand-99")
"""Of a job's name: a start by hand for a given time has the longest name of the guard's executions."""


def fitted(name: str, stage: str, taken: Collection[str]) -> str:
    """The nearest valid name that nobody has: ``NightlyReport_v2`` is ``nightly-report-v2``; the second one ``…-2``."""
    spaced = re.sub("([a-z0-9])([A-Z][a-z])", r"\1-\2", name)
    words = re.findall("[a-z0-9]+", spaced.lower()) or ["job"]
    whole = "-".join(words)
    whole = whole if whole[0].isalpha() else f"job-{whole}"
    room = min(_LONGEST, LONGEST_NAME - len(batch_machine(stage, "", MOST_SLOTS)))
    for number in count(1):
        ending = "" if number == 1 else f"-{number}"
        candidate = whole[: room - len(ending)].rstrip("-") + ending
        if candidate not in taken:
            return candidate
    raise AssertionError  # count never ends
