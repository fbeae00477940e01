"""Judge: whatever AWS or a person sends, no expression throws or gives what its field refuses; two engines agree.

Each expression is evaluated over hostile values of all that it reads (`hostile`), as far as nothing is certain about it
(`guarantees`), in the reference engine and in the engine of the tests.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from functools import cache, partial
from typing import Any

from chalicelib.values import dataclass
from lab.judges import Finding
from lab.judges.definitions import Expression
from lab.judges.engine import evaluate
from lab.judges.guarantees import AWS, OURS, REFUSALS, Guarantee, Refusal
from lab.judges.hostile import Domain, Path, cases
from lab.judges.node import Node
from lab.judges.reads import Tree, reads

NOW = 1_795_457_101_250
"""2026-11-23T18:05:01.250Z in epoch milliseconds: five minutes after the execution began."""

MOST_SECONDS = 99_999_999
"""The longest Wait and timeout (Amazon States Language)."""

Answer = dict[str, Any]
Case = dict[str, Any]


@dataclass
class Table:
    """The guarantees, and which of their rows were needed."""

    rows: Sequence[Guarantee] = (*AWS, *OURS)
    refusals: Sequence[Refusal] = REFUSALS
    needed: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)

    def guarantee(self, expression: Expression, path: Path) -> Domain | None:
        """What is certain of this place: the last row that speaks of it."""
        place = (expression.machine, expression.state, expression.field, path)
        for index in range(len(self.rows) - 1, -1, -1):
            if self.rows[index].holds_for(*place):
                self.needed.add(index)
                return self.rows[index].domain
        return None

    def meant(self, expression: Expression, answer: Answer) -> bool:
        """Whether this throw is on purpose."""
        for index, refusal in enumerate(self.refusals):
            if (refusal.machine, refusal.state) == (expression.machine, expression.state) and (
                answer.get("error") == "D3137" and refusal.message in answer["message"]
            ):
                self.refused.add(index)
                return True
        return False

    def idle(self) -> Iterator[Finding]:
        """Our rows that no expression needed; AWS's are true whoever asks."""
        for index, row in enumerate(self.rows):
            if index not in self.needed and row not in AWS:
                yield Finding(f"guarantees / {row.machine} / {row.state} / {row.path}", "no expression needs this row")
        for index, refusal in enumerate(self.refusals):
            if index not in self.refused:
                yield Finding(
                    f"guarantees / {refusal.machine} / {refusal.state}", f'never refused: "{refusal.message}"'
                )


@dataclass(frozen=True)
class Tally:
    """What was found, and over how much."""

    findings: list[Finding]
    evaluated: int
    """Cases, each in both engines."""


def judge(node: Node, expressions: Iterable[Expression], table: Table, *, count: int = 500, seed: int = 1) -> Tally:
    """Judge each expression over up to `count` cases."""
    findings: list[Finding] = []
    evaluated = 0
    for number, expression in enumerate(expressions):
        parsed = [node.parse(text) for text in (expression.text, expression.given) if text is not None]
        if "error" in parsed[0]:
            findings.append(Finding(str(expression), f"does not parse: {parsed[0]['error']}"))
            continue
        read = reads(*(tree["ast"] for tree in parsed if "ast" in tree))
        guaranteed = cache(partial(table.guarantee, expression))
        made = cases(read, guaranteed, count=_enough(read, count), seed=seed * 1000 + number)
        if expression.given is not None:
            held = node.evaluate(expression.given, NOW, made)
            made = [case for case, answer in zip(made, held, strict=True) if answer.get("value") is True]
            if not made:
                findings.append(Finding(str(expression), "its rule's Condition was never true: nothing was judged"))
        evaluated += len(made)
        answers = node.evaluate(expression.text, NOW, made)
        findings += _failed(expression, table, made, answers)
        findings += _always(expression, answers)
    return Tally(findings, evaluated)


def judge_cases(node: Node, expression: Expression, table: Table, made: Sequence[Case]) -> list[Finding]:
    """Judge an expression over these cases."""
    return _failed(expression, table, made, node.evaluate(expression.text, NOW, made))


def _failed(expression: Expression, table: Table, made: Sequence[Case], answers: Sequence[Answer]) -> list[Finding]:
    """One finding for each way in which it fails, with its shortest example; `answers` are the reference's."""
    ours = evaluate(expression.text, NOW, made)
    failed: dict[str, tuple[str, Case]] = {}
    for case, reference, other in zip(made, answers, ours, strict=True):
        fault = _fault(expression, table, reference, other)
        if fault:
            kind, said = fault
            if kind not in failed or len(json.dumps(case)) < len(json.dumps(failed[kind][1])):
                failed[kind] = (said, case)
    return [Finding(str(expression), f"{said}\n    on {_shown(case)}") for said, case in failed.values()]


def _always(expression: Expression, answers: Sequence[Answer]) -> Iterator[Finding]:
    """A Condition that was never true, or never false, was not judged; ``true`` itself is the rule for all the rest."""
    if expression.field.endswith(".Condition") and expression.text != "true":
        for value in (True, False):
            if value not in [answer.get("value") for answer in answers]:
                yield Finding(
                    str(expression), f"was never {json.dumps(value)} in {len(answers)} cases: it was not judged"
                )


def _fault(expression: Expression, table: Table, reference: Answer, other: Answer) -> tuple[str, str] | None:
    """The sort of fault, and its words."""
    if "error" in reference:
        if table.meant(expression, reference) and "error" in other:
            return None
        also = "" if "error" in other else f"; jsonatapy answers {_shown(other)}"
        return f"throws {reference['error']}", f"throws {reference['error']}: {reference['message']}{also}"
    if "error" in other:
        return f"only Python {other['error']}", (
            f"the engines differ: the reference answers {_shown(reference)}, "
            f"jsonatapy throws {other['error']}: {other['message']}"
        )
    if not same(reference, other):
        said = f"the engines differ: the reference answers {_shown(reference)}, jsonatapy {_shown(other)}"
        return "differ", said
    refused = not_taken(expression.field, reference)
    return (refused, f"answers {_shown(reference)}, {refused}") if refused else None


def not_taken(place: str, answer: Answer) -> str | None:
    """Why Step Functions would not take this answer for the field (``States.QueryEvaluationError``), if so."""
    if "value" not in answer:
        return "and nothing at all is an error here"
    value = answer["value"]
    whole = isinstance(value, int) and not isinstance(value, bool)
    match place.rpartition(".")[2]:
        case "Condition" if not isinstance(value, bool):
            return "and a Condition must be true or false"
        case "Seconds" if place == "Seconds" and not (whole and 0 <= value <= MOST_SECONDS):
            return f"and Seconds must be a whole number from 0 to {MOST_SECONDS:,}"
        case "TimeoutSeconds" if place == "TimeoutSeconds" and not (whole and 1 <= value <= MOST_SECONDS):
            return f"and TimeoutSeconds must be a whole number from 1 to {MOST_SECONDS:,}"
        case "Error" | "Cause" if place in ("Error", "Cause") and not isinstance(value, str):
            return "and it must be a string"
    return None


def same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1 is 1.0, but true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _enough(read: Tree, count: int) -> int:
    """A tenth will do for what reads next to nothing."""
    return count if sum(1 for _ in read.all()) > 4 else count // 10


def _shown(value: Any) -> str:
    text = "nothing" if value == {} else json.dumps(value.get("value", value), ensure_ascii=False)
    return text if len(text) <= 400 else f"{text[:400]}… ({len(text):,} characters)"
