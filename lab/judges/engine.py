"""The engine of the tests, jsonatapy, asked as `Node.evaluate` asks the reference engine."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from lab.expressions import answer, program


def evaluate(expression: str, now: int, cases: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """``{"value": …}``, ``{}`` for undefined, or ``{"error": code, "message": …}`` for each case; `now` in epoch ms."""
    return [_answer(expression, datetime.fromtimestamp(now / 1000, UTC), case) for case in cases]


def _answer(expression: str, now: datetime, case: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return answer(program(expression), case, now)
    except ValueError as error:
        code, _, message = str(error).partition(": ")
        return {"error": code, "message": message}
