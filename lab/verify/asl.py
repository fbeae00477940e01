"""Reads a state machine file and answers what Step Functions would do next. The model moves by these answers only."""

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.expressions import answer, program

GUARD_FILE = Path(__file__).parent.parent.parent / "chalicelib" / "machines" / "guard.asl.json"


class Asl:
    """One state machine. `taken` collects the transitions that were asked for, as (state, how, next state)."""

    def __init__(self, definition: dict[str, Any] | None = None) -> None:
        self.definition: dict[str, Any] = definition or json.loads(GUARD_FILE.read_text())
        self.states: dict[str, Any] = self.definition["States"]
        self.taken: set[tuple[str, str, str]] = set()

    def deploy(self, rows: str) -> None:
        """Put the pools' rows into the check's arguments, as a deployment does."""
        for state in self.states.values():
            if "$pools := {}" in (payload := state.get("Arguments", {}).get("Payload", "")):
                state["Arguments"]["Payload"] = payload.replace("$pools := {}", f"$pools := {rows}")

    @property
    def start_at(self) -> str:
        """The first state."""
        return str(self.definition["StartAt"])

    def arguments(self, name: str, states: Mapping[str, Any]) -> Any:
        """A Task's arguments."""
        return _fill(self.states[name]["Arguments"], _text(states))

    def error(self, name: str) -> str:
        """The error of a Fail state as it is written: a constant or an expression."""
        return str(self.states[name].get("Error", ""))

    def succeed(self, name: str, states: Mapping[str, Any]) -> tuple[str, Any]:
        """After a Task's result, or a Wait: the next state and its input."""
        state = self.states[name]
        return self._go(name, "next", state["Next"], state, states)

    def fail(self, name: str, error: str, states: Mapping[str, Any]) -> tuple[str, Any]:
        """After a Task's error that is not retried (any more): the next state and its input."""
        for index, clause in enumerate(self.states[name].get("Catch", ())):
            if _matches(error, clause["ErrorEquals"]):
                return self._go(name, f"catch {index}", clause["Next"], clause, states)
        raise AssertionError(f"{name} does not catch {error}: the execution would fail without a name")

    def retries(self, name: str, error: str) -> bool:
        """Whether Step Functions itself tries again after this error."""
        for clause in self.states[name].get("Retry", ()):
            if _matches(error, clause["ErrorEquals"]):
                return bool(clause.get("MaxAttempts", 3))
        return False

    def choose(self, name: str, states: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """A Choice, decided by its conditions. A condition on the clock, which the model has not, may go either way."""
        state, text = self.states[name], _text(states)
        possible = []
        for index, choice in enumerate(state["Choices"]):
            either = "$now()" in choice["Condition"] or "$millis()" in choice["Condition"]
            if either or _fill(choice["Condition"], text) is True:
                possible.append(self._go(name, f"choice {index}", choice["Next"], choice, states))
                if not either:
                    return possible
        return [*possible, self._go(name, "default", state["Default"], {}, states)]

    def transitions(self) -> set[tuple[str, str, str]]:
        """All that the file has."""
        found = set()
        for name, state in self.states.items():
            if "Next" in state:
                found.add((name, "next", state["Next"]))
            for kind, key in (("catch", "Catch"), ("choice", "Choices")):
                found.update((name, f"{kind} {i}", item["Next"]) for i, item in enumerate(state.get(key, ())))
            if "Default" in state:
                found.add((name, "default", state["Default"]))
        return found

    def _go(
        self, name: str, how: str, target: str, clause: Mapping[str, Any], states: Mapping[str, Any]
    ) -> tuple[str, Any]:
        self.taken.add((name, how, target))
        output = _fill(clause["Output"], _text(states)) if "Output" in clause else states["input"]
        return target, output


def _matches(error: str, patterns: list[str]) -> bool:
    return error in patterns or "States.ALL" in patterns


def _text(states: Mapping[str, Any]) -> str:
    return json.dumps(states, sort_keys=True)


def _fill(template: Any, states: str) -> Any:
    if isinstance(template, dict):
        return {key: _fill(value, states) for key, value in template.items()}
    if isinstance(template, list):
        return [_fill(value, states) for value in template]
    if isinstance(template, str) and (match := re.fullmatch(r"\{%(.*)%\}", template, re.DOTALL)):
        return json.loads(_evaluate(match[1], states))
    return template


@functools.cache
def _evaluate(expression: str, states: str) -> str:
    return json.dumps(answer(program(expression), {"states": json.loads(states)}).get("value"))
