"""Probes of an alarm: that a failure rings, and what its message looks like in a queue behind the topic."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from guardctl.acceptance.findings import Assumption, Finding, Probe, differs, holds, judged, untried
from guardctl.acceptance.trial import NotInTime, Trial

RINGS_WITHIN = 300.0
"""Seconds: an alarm of one period of a minute looks every minute, and metrics come late."""

KEYS = ("AlarmName", "AlarmDescription", "NewStateValue", "OldStateValue", "NewStateReason", "StateChangeTime")


@dataclass(frozen=True)
class Rung:
    """`seconds` from the failure to its message, None if none came; `message` is the first, set off by hand if need be.

    `body` is what the queue held.
    """

    seconds: float | None
    message: Mapping[str, Any] | None
    body: str = ""
    waited: float = RINGS_WITHIN


def rung(trial: Trial) -> Rung:
    """Fail, wait for the message; when none comes, set the alarm off by hand to see one at all."""
    trial.outcome("fail", {})
    waited = trial.at_most(RINGS_WITHIN)
    began = trial.clock.now()
    try:
        body = trial.until(lambda: _received(trial), "a message", within=RINGS_WITHIN, every=1)
        return Rung(trial.clock.now() - began, _message(body), body)
    except NotInTime:
        pass
    trial.cloudwatch.set_alarm_state(AlarmName=trial.names.alarm, StateValue="ALARM", StateReason="set by a probe")
    try:
        body = trial.until(lambda: _received(trial), "a message", within=60, every=1)
    except NotInTime:
        return Rung(None, None, waited=waited)
    return Rung(None, _message(body), body, waited)


def _received(trial: Trial) -> str | None:
    """The body of a message that tells of an ALARM; others (an alarm's first OK) are taken off the queue."""
    answer = trial.sqs.receive_message(QueueUrl=trial.queue, WaitTimeSeconds=1, MaxNumberOfMessages=10)
    bodies = []
    for message in answer.get("Messages", []):
        trial.sqs.delete_message(QueueUrl=trial.queue, ReceiptHandle=message["ReceiptHandle"])
        bodies.append(str(message["Body"]))
    return next((body for body in bodies if "ALARM" in body), None)


def _message(body: str) -> Mapping[str, Any] | None:
    """The alarm's own message in the notification; None if it is not JSON in JSON."""
    try:
        message = json.loads(json.loads(body)["Message"])
    except (ValueError, KeyError, TypeError):
        return None
    return message if isinstance(message, dict) else None


def _judge_rings(seen: Rung) -> Finding:
    if seen.seconds is None:
        told = f"no message within {seen.waited:.0f} s"
        return differs(told) if seen.waited >= RINGS_WITHIN else untried(f"{told}; nobody waited longer")
    return judged(seen.seconds <= RINGS_WITHIN, f"its message came {seen.seconds:.0f} s after the failure")


def _judge_message(seen: Rung) -> Finding:
    if seen.message is None:
        return differs("no JSON in the notification" if seen.body else "no message, though set off by hand")
    missing = [key for key in KEYS if key not in seen.message]
    if missing:
        return differs(f"it has no {', '.join(missing)}")
    return holds(f"it has {', '.join(sorted(seen.message))}")


PROBES = (
    Probe(
        "alarm",
        "an execution that fails, an alarm, a topic, and a queue behind it",
        rung,
        (
            Assumption(
                "alarm-rings",
                "A failed execution rings within five minutes.",
                "not documented",
                _judge_rings,
            ),
            Assumption(
                "alarm-message",
                "An alarm's message is JSON, with the alarm's name, description, states and reason.",
                "documented",
                _judge_message,
            ),
        ),
    ),
)
