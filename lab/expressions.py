"""JSONata as Step Functions evaluates it, in jsonatapy: what tests play, what is judged, and the emulator's.

The emulator's process runs this as a file: nothing of the project is on its path.
"""

import functools
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import jsonatapy

QUERY = "States.QueryEvaluationError"
"""What Step Functions makes of an expression that fails, or returns nothing."""

FUNCTIONS: dict[str, Callable[..., Any]] = {"parse": json.loads}
"""What Step Functions has besides JSONata's own; `lab.emulator_process` adds MiniStack's."""


def read(expression: str) -> jsonatapy.JsonataExpression:
    """To be asked by the thread that has read it alone. Raises ValueError, as ``Parse error: S0201: …``."""
    # In an object what is undefined is left out, and null stays: by itself the engine returns None for both.
    program = jsonatapy.compile(f"{{'value': ({expression}\n)}}")
    for name, function in FUNCTIONS.items():
        program.register_override(name, function)
    return program


program = functools.cache(read)


def answer(
    asked: jsonatapy.JsonataExpression, variables: Mapping[str, Any], now: datetime | None = None
) -> dict[str, Any]:
    """``{"value": …}``, or ``{}`` where it is undefined; at `now`, unless it is the clock's. Raises ValueError.

    Its message begins with JSONata's code, as ``D3137: …``, unless a function of `FUNCTIONS` has raised.
    """
    if now:
        asked.register_override("millis", lambda: int(now.timestamp() * 1000))
        asked.register_override("now", lambda: stamp_ms(now))
    try:
        found: dict[str, Any] = asked.evaluate(None, dict(variables))
    except OverflowError as error:  # an integer that JSON's readers would round
        raise ValueError(f"{error}: beyond 64 bits") from error
    return found


def stamp_ms(moment: datetime) -> str:
    """``2026-11-23T18:00:00.000Z``, as Step Functions and `$now()` write it."""
    moment = moment.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
