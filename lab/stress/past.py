"""Answers of AWS's reads as they may be on a bad day. Pure: the clock and the dice are passed in.

Reads are eventually consistent. So an answer may be an earlier one (`Memory`), or one in which each execution is
shown as it was at a time of its own (`blend`, `blurred`): not there yet, or still open. Nothing is ever shown that
was never so.
"""

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

_ENDS = ("stopDate", "error", "cause", "output", "outputDetails")
"""What an execution has only when it is closed."""


@dataclass
class Memory:
    """Earlier answers, by question."""

    _answers: dict[bytes, deque[tuple[float, bytes]]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=500))
    )

    def keep(self, question: bytes, asked_at: float, answer: bytes) -> None:
        """Remember an answer that was asked for then, so it shows that time or a later one."""
        self._answers[question].append((asked_at, answer))

    def earlier(self, question: bytes, now: float, lag: float, random: Random) -> bytes | None:
        """One of the answers to this question, at most `lag` seconds old; None if there is none."""
        recent = [answer for asked_at, answer in self._answers[question] if now - asked_at <= lag]
        return random.choice(recent) if recent else None


def blend(page: Mapping[str, Any], now: float, lag: float, random: Random) -> dict[str, Any]:
    """A page of ListExecutions, each execution as it was at some moment of the last `lag` seconds."""
    shown = (_as_it_was(item, now - random.uniform(0, lag)) for item in page["executions"])
    return {**page, "executions": [item for item in shown if item]}


def blurred(execution: Mapping[str, Any], now: float, lag: float, random: Random) -> dict[str, Any] | None:
    """An answer of DescribeExecution likewise; None if the execution was not there."""
    return _as_it_was(execution, now - random.uniform(0, lag))


def _as_it_was(execution: Mapping[str, Any], moment: float) -> dict[str, Any] | None:
    if execution["startDate"] > moment:
        return None
    if (execution.get("stopDate") or 0) > moment:
        return {**{key: value for key, value in execution.items() if key not in _ENDS}, "status": "RUNNING"}
    return dict(execution)
