"""What was called with an access key, as the emulator's CloudTrail has it (it must run with CLOUDTRAIL_RECORDING)."""

from __future__ import annotations

import json
import re
import time
from typing import Any

from lab.emulator import Emulator

SOURCES = (
    *("states", "ecs", "lambda", "cloudformation", "s3", "ssm", "logs", "iam"),
    *("events", "sts", "monitoring", "sqs", "sns", "ec2", "scheduler"),
)
MOST = 50
"""Events that an answer has at most: the newest, and it has no second page."""

OTHERWISE = {"lambda:Invoke": "lambda:InvokeFunction", "s3:HeadBucket": "s3:ListBucket"}
"""Call → IAM's action, where the two have different names (AWS, Service Authorization Reference)."""

UNNAMED = re.compile(":(GET|POST|PUT|DELETE)[.]")
"""What it says of a call that it can't name."""


def calls(emulator: Emulator, key: str, began: float) -> set[str]:
    """The IAM actions of every call with this access key since `began` (seconds since 1970)."""
    trail: Any = emulator.client("cloudtrail")  # type: ignore[call-overload]  # its stubs are not installed
    found = _events(trail, key, int(began), int(time.time()) + 1)
    return {_action(json.loads(event["CloudTrailEvent"])) for event in found}


def _events(trail: Any, key: str, begin: int, end: int) -> list[Any]:
    """All events between two seconds: where an answer is full, each half is asked for, and at last each service."""
    asked = [{"AttributeKey": "AccessKeyId", "AttributeValue": key}]
    events: list[Any] = trail.lookup_events(LookupAttributes=asked, StartTime=begin, EndTime=end)["Events"]
    if len(events) < MOST:
        return events
    if end - begin > 1:
        middle = (begin + end) // 2
        return [*_events(trail, key, begin, middle), *_events(trail, key, middle, end)]
    for source in SOURCES:
        of = {"AttributeKey": "EventSource", "AttributeValue": f"{source}.amazonaws.com"}
        events += trail.lookup_events(LookupAttributes=[*asked, of], StartTime=begin, EndTime=end)["Events"]
    return events


def _action(told: Any) -> str:
    service = told["eventSource"].partition(".")[0].replace("monitoring", "cloudwatch")
    call = f"{service}:{told['eventName']}"
    return OTHERWISE.get(call, call)
