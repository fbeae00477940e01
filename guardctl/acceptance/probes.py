"""All that is tried, and what can't be tried in fifteen minutes."""

from guardctl.acceptance import deleting, reading, ringing, running, starting, story
from guardctl.acceptance.findings import Basis, Line, Probe, untried

FIRST: Probe = starting.permitted
"""Tried before all others: they would meet a role that IAM does not know yet."""

PROBES: tuple[Probe, ...] = (
    story.told,
    ringing.alarm,
    *running.PROBES,
    *deleting.PROBES,
    *reading.PROBES,
    *starting.PROBES,
)
"""The slow ones first: they are tried side by side."""

_BEYOND: tuple[tuple[str, str, Basis, str], ...] = (
    (
        "names-90-days",
        "A name is taken until 90 days after its execution closed.",
        "documented",
        "it takes 90 days",
    ),
    (
        "events-twice",
        "EventBridge delivers a tick at least once, now and then more than once or hours late.",
        "documented",
        "nothing makes it do so",
    ),
    (
        "no-capacity",
        "A task for which there is no room fails its step as AmazonECS.Unknown.",
        "reported",
        "nothing makes Fargate run out of room",
    ),
    (
        "launch-rate",
        "Throttled launches fail the step as ECS.AmazonECSException or ECS.InvalidParameterException.",
        "reported",
        "it takes more launches than a trial should pay for",
    ),
    (
        "spot",
        "A task on Spot that is interrupted may exit with 0, with the stop code SpotInterruption.",
        "reported",
        "nothing makes AWS interrupt it",
    ),
    (
        "long-runs",
        "A run may last for a year, and 25,000 events.",
        "documented",
        "it takes a year",
    ),
)

BEYOND: tuple[Line, ...] = tuple(Line(name, says, basis, "", untried(why)) for name, says, basis, why in _BEYOND)
"""Lines of every report."""
