"""The settings the simulation goes by, read from the files that are deployed: nothing is copied by hand.

What can't be read any more because a file has changed its form is an error here, not a stale number there.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from random import Random
from typing import Any

from chalicelib import trigger
from chalicelib.config.jobs import Job
from chalicelib.read.aws import client_config

PROJECT = Path(__file__).resolve().parent.parent.parent


class FormChanged(Exception):
    """A file does not say a thing in the way this module can read."""


@dataclass(frozen=True)
class Retrier:
    """One entry of a state's Retry (Amazon States Language, "Retrying after error")."""

    errors: frozenset[str]
    interval: float
    rate: float
    attempts: int
    longest: float
    jitter: bool

    def delay(self, retry: int, random: Random) -> float:
        """Seconds before the retry of this number, counted from 1."""
        delay: float = min(self.interval * self.rate ** (retry - 1), self.longest)
        return random.uniform(0, delay) if self.jitter else delay


@dataclass(frozen=True)
class Waiting:
    """A wait before it is asked again: a part of the time spent so far, within bounds."""

    shortest: float
    longest: float
    part: float

    def seconds(self, spent: float) -> float:
        """How long, `spent` seconds after the guard execution began."""
        return min(self.longest, max(self.shortest, spent // self.part))


@dataclass(frozen=True)
class Settings:
    """Everything that decides how starts that are refused are tried again. Times in seconds."""

    check: tuple[Retrier, ...]
    start: tuple[Retrier, ...]
    run_task: tuple[Retrier, ...]
    again: Waiting
    room: Waiting
    """Before a run that ECS has no room for asks again."""
    deadline: float
    attempts: int
    """Of a botocore call."""
    side_by_side: int
    trigger_timeout: float


def load() -> Settings:
    """The settings as they stand in this repository."""
    guard, batch = _states("guard"), _states("batch")
    run_task = run_task_state(batch)
    config = json.loads((PROJECT / ".chalice" / "config.json").read_text(encoding="utf-8"))
    retries: Any = client_config().retries  # type: ignore[attr-defined]  # botocore makes its options at run time
    return Settings(
        check=retriers(guard["Check running executions"]),
        start=retriers(guard["Start the run"]),
        run_task=retriers(run_task),
        again=waiting(guard["Ask again later"]["Seconds"]),
        room=waiting(batch["Wait for room"]["Seconds"]),
        deadline=next(field.default for field in fields(Job) if field.name == "start_deadline"),  # type: ignore[arg-type]  # it has one
        attempts=retries["total_max_attempts"],
        side_by_side=trigger.SIDE_BY_SIDE,
        trigger_timeout=config["stages"]["dev"]["lambda_functions"]["trigger"]["lambda_timeout"],
    )


def retriers(state: Mapping[str, Any]) -> tuple[Retrier, ...]:
    """A state's Retry, with the defaults of the Amazon States Language."""
    return tuple(
        Retrier(
            errors=frozenset(entry["ErrorEquals"]),
            interval=entry.get("IntervalSeconds", 1),
            rate=entry.get("BackoffRate", 2.0),
            attempts=entry.get("MaxAttempts", 3),
            longest=entry.get("MaxDelaySeconds", float("inf")),
            jitter=entry.get("JitterStrategy") == "FULL",
        )
        for entry in state.get("Retry", ())
    )


def first_match(retriers: tuple[Retrier, ...], error: str) -> Retrier | None:
    """The entry that answers this error. States.TaskFailed stands for every error but a timeout; States.ALL for all."""
    for retrier in retriers:
        if error in retrier.errors or "States.ALL" in retrier.errors or "States.TaskFailed" in retrier.errors:
            return retrier
    return None


def waiting(expression: str) -> Waiting:
    """The bounds and the part in ``$min([300, $max([5, $floor((spent in ms) / 10000)])])``."""
    form = r"\$min\(\[(\d+), \$max\(\[(\d+), \$floor\(\(\$millis\(\) - .*\) / (\d+)\)\]\)\]\)"
    match = re.search(form, expression)
    if match is None:
        raise FormChanged(f"a state waits for {expression}, which the simulation does not understand")
    longest, shortest, milliseconds = map(int, match.groups())
    return Waiting(shortest, longest, milliseconds / 1000)


def run_task_state(batch: Mapping[str, Any]) -> Mapping[str, Any]:
    """The state of the batch machine that runs the task."""
    (found,) = [s for s in batch.values() if str(s.get("Resource", "")).endswith(":states:::ecs:runTask.sync")]
    state: Mapping[str, Any] = found
    return state


def _states(machine: str) -> Any:
    file = PROJECT / "chalicelib" / "machines" / f"{machine}.asl.json"
    return json.loads(file.read_text(encoding="utf-8"))["States"]
