"""Judge: what one state hands to the next is what the guarantees say that it gets.

Only what an Output makes is judged, as far as a state that gets it reads it. What an Output takes over whole is taken
at its word, and so is a `trusted` row.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache, partial
from typing import Any

from chalicelib.values import dataclass
from lab.judges import Finding
from lab.judges.definitions import Expression, expressions
from lab.judges.expressions import NOW, Table
from lab.judges.guarantees import Guarantee
from lab.judges.hostile import MISSING, cases
from lab.judges.node import Node
from lab.judges.reads import Tree, is_path, reads


class AsItCame(dict[str, Any]):
    """An object that is handed on whole: what is in it was not made here."""


@dataclass(frozen=True)
class Handing:
    """An Output, and the state that gets it."""

    machine: str
    state: str
    field: str
    """``Output``, ``Catch[0].Output``."""
    output: Any
    given: str | None
    to: str


def judge(node: Node, machine: str, definition: Mapping[str, Any], table: Table, *, count: int = 100) -> list[Finding]:
    """Each row that does not hold for what is handed on, with the shortest example."""
    findings = []
    for handing in handings(machine, definition):
        values = list(_values(node, handing, handing.output, "", table, count))
        for to in getting(definition, handing.to):
            there = [expression for expression in expressions(machine, definition) if expression.state == to]
            parsed = [node.parse(expression.text) for expression in there]
            for row in rows_for(table, machine, to, reads(*(tree["ast"] for tree in parsed if "ast" in tree))):
                broken = [json.dumps(value, ensure_ascii=False) for value in values if not _holds(row, value)]
                if broken:
                    shown = min(broken, key=len)[:400]
                    what = f'hands {shown} to "{to}", where {row.path} is guaranteed to be otherwise ({row.why})'
                    findings.append(Finding(f"{machine} / {handing.state} / {handing.field}", what))
    return findings


def getting(definition: Mapping[str, Any], first: str) -> list[str]:
    """The states that get what is handed to the first: it, and those to which a Choice or a Wait hands it on."""
    found = [first]
    for name in found:
        state = definition["States"][name]
        if state["Type"] in ("Choice", "Wait"):
            rules = [*state.get("Choices", ()), {"Next": state.get("Default")}, {**state, "Choices": ()}]
            leads_to = [rule["Next"] for rule in rules if rule.get("Next") and "Output" not in rule]
            found += [to for to in dict.fromkeys(leads_to) if to not in found]
    return found


def handings(machine: str, definition: Mapping[str, Any]) -> Iterator[Handing]:
    """Every Output of a definition that another state gets."""
    for state, body in definition["States"].items():
        rules = [(body, "")]
        for several in ("Catch", "Choices"):
            rules += [(rule, f"{several}[{index}].") for index, rule in enumerate(body.get(several, ()))]
        for rule, prefix in rules:
            if "Output" in rule and "Next" in rule:
                condition = rule.get("Condition")
                given = condition[2:-2] if isinstance(condition, str) else None
                yield Handing(machine, state, f"{prefix}Output", rule["Output"], given, rule["Next"])


def rows_for(table: Table, machine: str, to: str, read: Tree) -> list[Guarantee]:
    """What is guaranteed of the input of this state, in all of its fields, and is read there."""
    last: dict[str, Guarantee] = {}
    for row in table.rows:
        path = tuple(row.path.split("."))
        speaks = row.field == "*" and row.holds_for(machine, to, "*", path)
        if speaks and path[:2] == ("states", "input") and read.has(path):
            last[row.path] = row
    return [row for row in last.values() if not row.trusted]


def _values(node: Node, handing: Handing, value: Any, inside: str, table: Table, count: int) -> Iterator[Any]:
    """What a part of the Output may be. The members of an object are made apart from each other."""
    if isinstance(value, dict):
        columns = {
            key: list(_values(node, handing, inner, f"{inside}.{key}", table, count)) for key, inner in value.items()
        }
        for index in range(max(map(len, columns.values()), default=1)):
            yield {key: column[index % len(column)] for key, column in columns.items() if column}
    elif isinstance(value, str) and value.startswith("{%"):
        yield from _answers(node, handing, value[2:-2], inside, table, count)
    else:
        yield value


def _answers(node: Node, handing: Handing, text: str, inside: str, table: Table, count: int) -> Iterator[Any]:
    expression = Expression(handing.machine, handing.state, f"{handing.field}{inside}", text, handing.given)
    parsed = [node.parse(text) for text in (expression.text, expression.given) if text]
    tree = reads(*(answer["ast"] for answer in parsed if "ast" in answer))
    made = cases(tree, cache(partial(table.guarantee, expression)), count=count, seed=1)
    if expression.given:
        held = node.evaluate(expression.given, NOW, made)
        made = [case for case, answer in zip(made, held, strict=True) if answer.get("value") is True]
    whole = is_path(parsed[0].get("ast", {}))
    for answer in node.evaluate(expression.text, NOW, made):
        if "value" in answer:
            yield AsItCame(answer["value"]) if whole and isinstance(answer["value"], dict) else answer["value"]


def _holds(row: Guarantee, handed: Any) -> bool:
    value = handed
    for name in row.path.split(".")[2:]:
        if not isinstance(value, dict) or isinstance(value, AsItCame):
            return True  # the row of what it is a member of says whether that may be
        value = value.get(name, MISSING)
    return row.domain.holds(value)
