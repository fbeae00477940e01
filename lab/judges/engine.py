"""The engine of the tests, jsonata-python, asked as `Node.evaluate` asks the reference engine."""

import functools
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import jsonata
from jsonata.utils import Utils

from lab.language import Program


def evaluate(expression: str, now: int, cases: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """``{"value": …}``, ``{}`` for undefined, or ``{"error": code, "message": …}`` for each case; `now` in epoch ms."""
    program = _program(expression)
    program.register_lambda("parse", lambda text: None if text is None else json.loads(text))
    program.register_lambda("millis", lambda: now)
    program.register_lambda(
        "now", lambda: datetime.fromtimestamp(now / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
    )
    return [_answer(program, case) for case in cases]


@functools.cache
def _program(expression: str) -> Program:
    program = Program(expression)
    program.set_output_convert_nulls(False)
    return program


def _answer(program: jsonata.Jsonata, case: Mapping[str, Any]) -> dict[str, Any]:
    try:
        # The engine changes what it is given, so it gets a copy.
        value = program.evaluate(None, json.loads(json.dumps(case)))
    except Exception as error:  # any error at all is the engine's answer: it raises Python's own, too
        return {"error": getattr(error, "error", None) or type(error).__name__, "message": str(error)}
    return {} if value is None else {"value": _plain(value)}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return None if value is Utils.NULL_VALUE else value
