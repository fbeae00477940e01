"""The probe of an alarm: that a failure rings, and what its message looks like in a queue behind the topic."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from guardctl.acceptance.findings import Assumption, Finding, differs, holds, judged, not_seen, probe
from guardctl.acceptance.trial import NotInTime, Trial

RINGS_WITHIN = 300.0
"""Seconds: an alarm of one period of a minute looks every minute, and metrics come late."""

KEYS = ("AlarmName", "AlarmDescription", "NewStateValue", "OldStateValue", "NewStateReason", "StateChangeTime")


@probe(
    "an execution that fails, an alarm, a topic, and a queue behind it",
    Assumption("alarm-rings", "A failed execution rings within five minutes.", "not documented"),
    Assumption(
        "alarm-message",
        "An alarm's message is JSON, with the alarm's name, description, states and reason.",
        "documented",
    ),
)
def alarm(trial: Trial) -> Iterator[Finding]:
    """Fail, wait for the message; when none comes, set the alarm off by hand to see one at all."""
    trial.outcome("fail", {})
    waited = trial.at_most(RINGS_WITHIN)
    began = trial.clock.now()
    try:
        body = trial.until(lambda: _received(trial), "a message", within=RINGS_WITHIN, every=1)
        seconds = trial.clock.now() - began
        yield judged(seconds <= RINGS_WITHIN, f"its message came {seconds:.0f} s after the failure")
    except NotInTime:
        yield not_seen(f"no message within {waited:.0f} s", waited, RINGS_WITHIN)
        trial.cloudwatch.set_alarm_state(AlarmName=trial.names.alarm, StateValue="ALARM", StateReason="set by a probe")
        try:
            body = trial.until(lambda: _received(trial), "a message", within=60, every=1)
        except NotInTime:
            yield differs("no message, though set off by hand")
            return
    message = _message(body)
    if message is None:
        yield differs("no JSON in the notification")
    elif missing := [key for key in KEYS if key not in message]:
        yield differs(f"it has no {', '.join(missing)}")
    else:
        yield holds(f"it has {', '.join(sorted(message))}")


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
