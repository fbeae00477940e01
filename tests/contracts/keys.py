"""Which keys the definitions read and write, taken from their expressions, and what the contract says of them."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from chalicelib import contract
from chalicelib.config.jobs import parse
from chalicelib.decide.facts import Claim, Stopping, Target
from guardctl.template import pool_rows

_SHARED = parse(
    """
    [pools.p]
    slots = 2
    [jobs.j]
    pool = "p"
    ecs = { cluster = "c", task_definition = "t", container = "a", launch_type = "EC2" }
    """,
    stage="dev",
    place="p",
)

ROOT = Path(__file__).parent.parent.parent
MACHINES = ROOT / "chalicelib" / "machines"


def definition(machine: str) -> dict[str, Any]:
    """``chalicelib/machines/<machine>.asl.json``."""
    parsed: dict[str, Any] = json.loads((MACHINES / f"{machine}.asl.json").read_text(encoding="utf-8"))
    return parsed


def names(kind: Any) -> set[str]:
    """The keys of a form of the contract."""
    return {field.name for field in fields(kind)}


def strings(node: Any) -> Iterator[str]:
    """Every string in a part of a definition."""
    if isinstance(node, Mapping):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)
    elif isinstance(node, str):
        yield node


def read(node: Any, path: str) -> set[str]:
    """The keys that expressions read right below a path, such as ``$states.input.decision``."""
    found = (re.findall(rf"(?<![\w$.]){re.escape(path)}\.([A-Za-z_]\w*)", text) for text in strings(node))
    return {key for keys in found for key in keys}


def written(node: Any, opening: str) -> set[str]:
    """The keys of the object literals that follow `opening` in an expression."""
    keys: set[str] = set()
    for text in strings(node):
        for at in re.finditer(re.escape(opening), text):
            keys |= _keys_of_literal(text[at.end() :])
    return keys


def _keys_of_literal(text: str) -> set[str]:
    """The keys at the first level of an object literal, from behind its brace to the brace that closes it."""
    depth, keys, index = 1, set(), 0
    while index < len(text) and depth:
        match = re.match(r"'([^']*)'(\s*:)?", text[index:])
        if match:
            if match[2] and depth == 1:
                keys.add(match[1])
            index += match.end()
            continue
        depth += {"{": 1, "[": 1, "(": 1, "}": -1, "]": -1, ")": -1}.get(text[index], 0)
        index += 1
    return keys


def faults(guard: Mapping[str, Any], batch: Mapping[str, Any]) -> list[str]:
    """Where the definitions and the contract disagree, a line each."""
    return [
        f"{what}: {sorted(one)} here, {sorted(other)} there"
        for what, one, other in _compared(guard, batch)
        if one != other
    ]


def _compared(guard: Mapping[str, Any], batch: Mapping[str, Any]) -> Iterator[tuple[str, set[str], set[str]]]:
    states, runs = guard["States"], batch["States"]
    check = states["Check running executions"]
    own = written(check, "$own := {")
    rows = set(re.findall(r"'(\w+)': ", pool_rows(_SHARED).partition(": ")[2]))  # what a deployment puts into $pools
    carried = (
        own
        | rows
        | {k for name in states for k in _carried_by(states[name])}
        | written(check, "$exists($input.guard) ? {")
    )
    yield "what a guard carries", carried, names(contract.Carried)
    yield "its claim", written(states, "'claim': {"), names(Claim)
    yield "what it stops", written(states, "'stopping': {"), names(Stopping)
    yield "the version", set(re.findall(r"'version': (\d+)", json.dumps(check))), {str(contract.VERSION)}
    inputs = read(states, "$states.context.Execution.Input") | {"guard"}
    yield "what a guard reads of its input", inputs - names(contract.StartInput), {"guard"}
    told = read(states, "$states.context.Execution.Input.verdict")
    yield "what is told of a time that is passed over", told, names(contract.Verdict)
    for outcome, choices in _outcomes(states["Already running?"]).items():
        steps = [step for choice in choices for step in (choice, *_obeying(states, choice["Next"]))]
        keys = read(steps, "$states.input.decision")
        known = {*contract.ANSWERED, *contract.DECIDED, *contract.OBEYED.get(outcome, ()), *contract.TOLD_BESIDES}
        yield f"what is read of {outcome}", keys - known, set()
        yield f"what is needed of {outcome}", set(contract.OBEYED.get(outcome, ())) - keys, set()
        yield (
            f"whose holder, after {outcome}",
            read(steps, "$states.input.decision.holder") - set(contract.HOLDER),
            set(),
        )
        output = _output(states, steps)
        if output is not None:
            yield (
                f"the output after {outcome}",
                set(output),
                set(contract.GUARD_OUTPUT.get(_ENDS.get(outcome, outcome), ())),
            )
    tells, in_telling = states["Tell"], read(states["Tell"], "$states.input.decision")
    yield "what people are told of a decision", in_telling - {"outcome", "reason"}, set(contract.TOLD_BESIDES)
    who = read(states, "$states.context.Execution.Input.tell")
    yield "whom a guard tells", who - names(contract.Telling), set()
    for what, state, unsaid in (("guard", tells, set()), ("run", runs["Tell"], {"reason"})):
        said = names(contract.Telling) | set(re.findall(r"'(\w+)': ", state["Arguments"]["Input"]))
        yield f"what a {what} says to be told", said - {"machine", "kinds"}, names(contract.ToldInput) - unsaid
    yield "the outcomes", set(_outcomes(states["Already running?"])), set(contract.OBEYED)
    yield (
        "what the guard adds to a run",
        written(states["Start the run"], "$states.input.decision.run, {"),
        set(contract.ADDED_BY_THE_GUARD),
    )
    first = runs["Is it a run?"]
    yield "what a run reads of its input", read(first, "$states.input") - names(contract.RunInput), {"paused"}
    unread = {"job", "pool", "slot", "scheduled_at"}  # for people, and for guardctl
    yield "what of it is not read", names(contract.RunInput) - read(first, "$states.input"), unread
    yield "its target", read(runs, "$target"), names(Target) - {"family"}
    payload = runs["Look for the task"]["Arguments"]["Payload"]
    yield "what a run asks about its task", set(payload), names(contract.TaskQuestion)
    yield "what it is told", read(runs["Look for the task"], "$states.result.Payload"), {"task"}
    yield "how a task stands", read(runs, "$states.input.task") - {"Overrides"}, names(contract.TaskState)
    built = runs["Run an ECS task and wait for it to complete"]["Output"].get("task", {})
    yield "how a task stands after the step", set(built), names(contract.TaskState)
    (succeeded,) = [c["Output"] for c in runs["How does the task stand?"]["Choices"] if c["Next"] == "Succeeded"]
    yield "the output of a run", set(succeeded), set(contract.RUN_OUTPUT)
    yield "variables", _variables_read(runs) - _variables_assigned(runs), set()


_ENDS: Mapping[contract.Outcome, contract.Outcome] = {"start": "started", "queue": "queued"}
"""What a guard execution says of itself when it has done as it was told."""


def _carried_by(state: Mapping[str, Any]) -> set[str]:
    merged = "$merge([$type($states.input.guard) = 'object' ? $states.input.guard : {}, "
    waits = f"{merged}$states.input.decision.yields = true ? {{"
    keys = written(state, merged + "{") | written(state, waits) | written(state, "EnteredTime} : {")
    return keys | read(state, "$states.input.guard")


def _outcomes(choice: Mapping[str, Any]) -> dict[Any, list[Mapping[str, Any]]]:
    """Outcome → the rules that obey it."""
    found: dict[Any, list[Mapping[str, Any]]] = {}
    for rule in choice["Choices"]:
        match = re.search(r"\$states\.input\.decision\.outcome = '(\w+)'", rule["Condition"])
        if match and rule["Next"] != "Can asking again help?":
            found.setdefault(match[1], []).append(rule)
    return found


def _obeying(states: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The states that have the decision in their input, from this one on."""
    found, todo = [], [name]
    while todo:
        state = states[todo.pop()]
        if state in found:
            continue
        found.append(state)
        if "decision" in state.get("Output", {}):
            todo.append(state["Next"])
    return found


def _output(states: Mapping[str, Any], steps: list[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """What the guard execution ends with after this decision, if it succeeds."""
    for step in steps:
        if "outcome" in step.get("Output", {}) and states[step["Next"]]["Type"] == "Succeed":
            output: Mapping[str, Any] = step["Output"]
            return output
    return None


def _variables_read(runs: Mapping[str, Any]) -> set[str]:
    expressions = [text for text in strings(runs) if text.startswith("{%")]
    local = {name for text in expressions for name in re.findall(r"\$(\w+) :=", text)}
    used = {name for text in expressions for name in re.findall(r"\$([a-z]\w*)\b(?!\()", text)}
    return used - local - {"states"}


def _variables_assigned(runs: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    for state in runs.values():
        for clause in (state, *state.get("Choices", ()), *state.get("Catch", ())):
            found |= set(clause.get("Assign", {}))
    return found
