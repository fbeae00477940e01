"""The language of state machines (Amazon States Language, JSONata), interpreted, in a time of whoever plays it.

Task with Retry and Catch, Choice, Wait, Succeed, Fail.
"""

import json
import re
from collections.abc import Generator, Mapping
from datetime import datetime
from typing import Any, Protocol

from lab.expressions import QUERY, answer, program, stamp_ms

Json = dict[str, Any]
Steps = Generator[float, None, Any]
"""Something that takes time: it yields the seconds until it is to go on."""


class StatesError(Exception):
    """An error as a state machine sees it."""

    def __init__(self, error: str, cause: str = "") -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


def evaluate(template: Any, variables: Mapping[str, Any], now: datetime) -> Any:
    """What Step Functions makes of a template: its expressions evaluated. Raises `StatesError`."""
    if isinstance(template, dict):
        return {key: evaluate(value, variables, now) for key, value in template.items()}
    if isinstance(template, list):
        return [evaluate(value, variables, now) for value in template]
    if not (isinstance(template, str) and (match := re.fullmatch(r"\{%(.*)%\}", template, re.DOTALL))):
        return template
    try:
        found = answer(program(match[1]), variables, now)
    except ValueError as error:
        raise StatesError(QUERY, str(error)) from error
    if not found:
        raise StatesError(QUERY, f"the expression returned nothing: {match[1]}")
    return found["value"]


class Interpreted(Protocol):
    """What an interpreter needs to know of an execution."""

    machine: str
    name: str
    given: str
    started_at: datetime
    states: list[str]
    redrives: int
    at: Any

    @property
    def arn(self) -> str:
        """Its ARN."""


class Interpreter:
    """Moves an execution from state to state. What a Task calls is `_called`."""

    now: datetime
    redrives: int
    """Of every execution, besides its own."""
    retried: int
    """How often Step Functions tried a state again: a transition as well (AWS, Step Functions pricing)."""

    def _called(self, execution: Any, resource: str, arguments: Json, timeout: float) -> Steps:
        raise NotImplementedError

    def _interpret(self, execution: Interpreted, definition: Json) -> Steps:
        variables: dict[str, Any] = {}
        data, name = json.loads(execution.given), definition["StartAt"]
        if execution.at:
            _, name, data, variables = execution.at
        context: Json = {
            "Execution": {
                "Id": execution.arn,
                "Name": execution.name,
                "Input": json.loads(execution.given),
                "StartTime": stamp_ms(execution.started_at),
                "RedriveCount": self.redrives + execution.redrives,
            },
            "StateMachine": {"Id": execution.machine},
        }
        while True:
            state = definition["States"][name]
            execution.states.append(name)
            execution.at = (definition, name, data, dict(variables))
            context["State"] = {"Name": name, "EnteredTime": stamp_ms(self.now)}
            known = {"input": data, "context": json.loads(json.dumps(context))}
            match state["Type"]:
                case "Succeed":
                    return data
                case "Fail":
                    said = {key: self._evaluated(state.get(key, ""), known, variables) for key in ("Error", "Cause")}
                    raise StatesError(said["Error"], said["Cause"])
                case "Wait":
                    yield float(self._evaluated(state["Seconds"], known, variables))
                    clause = state
                case "Choice":
                    clause = self._chosen(state, known, variables)
                case "Task":
                    clause, more = yield from self._task(execution, state, known, variables)
                    known = {**known, **more}
                case other:
                    raise AssertionError(f"a state of type {other} is not played")
            after = self._evaluated(clause["Output"], known, variables) if "Output" in clause else data
            if "Output" not in clause and "result" in known:
                after = known["result"]
            variables |= self._evaluated(clause.get("Assign", {}), known, variables)
            data, name = after, clause["Next"]

    def _evaluated(self, template: Any, known: Json, variables: Json) -> Any:
        return evaluate(template, {**variables, "states": known}, self.now)

    def _chosen(self, state: Json, known: Json, variables: Json) -> Json:
        for choice in state["Choices"]:
            answer = self._evaluated(choice["Condition"], known, variables)
            if not isinstance(answer, bool):
                raise StatesError(QUERY, f"a condition must be true or false: {choice['Condition']}")
            if answer:
                return dict(choice)
        return {"Next": state["Default"]}

    def _task(self, execution: Interpreted, state: Json, known: Json, variables: Json) -> Generator[float, None, Any]:
        tries: dict[int, int] = {}
        while True:
            try:
                arguments = self._evaluated(state["Arguments"], known, variables)
                timeout = self._evaluated(state["TimeoutSeconds"], known, variables)
                result = yield from self._called(execution, state["Resource"], arguments, timeout)
            except StatesError as error:
                index, retry = next(
                    (
                        (i, clause)
                        for i, clause in enumerate(state.get("Retry", ()))
                        if error.error in clause["ErrorEquals"] or "States.ALL" in clause["ErrorEquals"]
                    ),
                    (-1, {"MaxAttempts": 0}),
                )
                if tries.get(index, 0) < retry.get("MaxAttempts", 3):
                    spent = tries[index] = tries.get(index, 0) + 1
                    self.retried += 1
                    delay = retry["IntervalSeconds"] * retry["BackoffRate"] ** (spent - 1)
                    yield min(delay, retry.get("MaxDelaySeconds", delay))
                    continue
                for clause in state.get("Catch", ()):
                    if error.error in clause["ErrorEquals"] or "States.ALL" in clause["ErrorEquals"]:
                        return clause, {"errorOutput": {"Error": error.error, "Cause": error.cause}}
                raise
            return state, {"result": result}
