"""What `[stage]` takes: of the account, and of everything that is made for the stage."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Literal, get_args

from chalicelib.config.limits import LOG_DAYS, POLICY_NAME, TAGS
from chalicelib.config.tables import BAD, Reader, Spot, boolean, each_in, integer, one_of, table, text
from chalicelib.config.task import ARN
from chalicelib.decide.pace import CALLS, Bucket

Logging = Literal["ALL", "ERROR", "FATAL"]
"""Which events of a state machine's executions CloudWatch gets (CreateStateMachine: LogLevel)."""


def _bucket(value: Any, spot: Spot) -> Any:
    right = "write what it holds and what comes in each second, [500, 10]"
    if spot.lacks(list, value, right):
        return BAD
    if len(value) != 2 or any(type(number) not in (int, float) for number in value):
        return spot.fault("is not two numbers", right)
    if not (1 <= value[0] <= 100_000 and 0.01 <= value[1] <= 100_000):
        return spot.fault(f"{value} is out of range", f"{right}: from 1 and from 0.01 to 100000")
    return Bucket(*value)


def _quotas(value: Any, spot: Spot) -> Any:
    read = table(dict.fromkeys(CALLS, _bucket), value, spot)
    return BAD if spot.faults else MappingProxyType(read)


_WORDS = r"[\w \t.:/=+@-]"
_TAG_NAME = text(f"(?!(?i:aws:)){_WORDS}{{1,128}}", "write letters, digits, spaces and _ . : / = + - @, not aws: first")
_TAG_VALUE = text(f"{_WORDS}{{0,256}}", "write at most 256 letters, digits, spaces and _ . : / = + - @")


def _tags(value: Any, spot: Spot) -> Any:
    if isinstance(value, dict) and (said := TAGS.exceeded(len(value))):
        return spot.fault(f"has {said}", f"leave out {len(value) - TAGS.most}")
    read = each_in(_TAG_VALUE, 'write a table, { team = "data" }', _TAG_NAME)(value, spot)
    return read if read is BAD else MappingProxyType(read)


def _log_days(value: Any, spot: Spot) -> Any:
    if spot.lacks(int, value, "write a whole number of days, 30"):
        return BAD
    if value in LOG_DAYS:
        return value
    longer = [days for days in LOG_DAYS if days > value] or [LOG_DAYS[-1]]
    return spot.fault(f"{value} days are none that CloudWatch Logs has", f"write {longer[0]}: it has {_SHOWN}")


_SHOWN = ", ".join(map(str, LOG_DAYS))

READERS: dict[str, Reader] = {
    "history_days": integer(30, 90),  # Step Functions, quotas: 90 days, or 30 if the account asks for it
    "quotas": _quotas,
    "tags": _tags,
    "permissions_boundary": text(
        rf"{ARN}:iam::([0-9]{{12}}|aws):policy/([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]+",
        'write the policy\'s ARN, "arn:aws:iam::123456789012:policy/NAME"',
        most=POLICY_NAME,
    ),
    "log_retention_days": _log_days,
    "machine_logging": one_of(*get_args(Logging)),
    "machine_tracing": boolean,
}
