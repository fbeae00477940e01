"""The judges that need Node: they find what they are there to find, and nothing else."""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from lab.judges import handed, language
from lab.judges.definitions import Expression, all_expressions, texts
from lab.judges.expressions import Table, judge, judge_cases
from lab.judges.guarantees import AWS, Guarantee, Refusal, number, record, text
from lab.judges.hostile import Domain, cases
from lab.judges.node import Node
from lab.judges.node import node as start_node
from lab.judges.reads import Tree, reads
from tests.contracts.recorded import RECORDED, Recorded

pytestmark = pytest.mark.together("node")


@pytest.fixture(scope="module")
def node() -> Iterator[Node]:
    """One Node process for all."""
    with start_node() as running:
        yield running


@pytest.mark.parametrize("machine", texts())
def test_the_language_service_sees_a_next_to_nowhere_and_nothing_in_what_we_ship(node: Node, machine: str) -> None:
    shipped = texts()[machine]
    assert node.lint(shipped) == []
    said = node.lint(language.leading_nowhere(shipped))
    assert any('The value of "Next" property must be the name of an existing state' in finding for finding in said)


def read_by(node: Node, expression: str) -> Tree:
    """What an expression reads."""
    return reads(node.parse(expression)["ast"])


def shown(tree: Tree) -> dict[str, Any]:
    """A tree as nested dicts, with what is read of parsed JSON under ``()``."""
    inner = {name: shown(member) for name, member in tree.members.items()}
    return {**inner, "()": shown(tree.parsed)} if tree.parsed else inner


@pytest.mark.parametrize(
    ("expression", "read"),
    [
        pytest.param("$states.input.a.b & $looks", {"states": {"input": {"a": {"b": {}}}}, "looks": {}}, id="paths and variables"),
        pytest.param("($x := $states.input; $x.a)", {"states": {"input": {"a": {}}}}, id="through a local variable"),
        pytest.param("$parse($states.input.c).m", {"states": {"input": {"c": {"()": {"m": {}}}}}}, id="in the JSON of a text"),
        pytest.param("[$states.input.a, {}][0].b", {"states": {"input": {"a": {"b": {}}}}}, id="the first that is there"),
        pytest.param("$a.list[Name = $b.Name].Code", {"a": {"list": {"Name": {}, "Code": {}}}, "b": {"Name": {}}}, id="through a filter"),
        pytest.param("$merge([$a, {'k': $b}]).k", {"a": {"k": {}}, "b": {}}, id="through a merge"),
        pytest.param("($a ? $b : $c).d", {"a": {}, "b": {"d": {}}, "c": {"d": {}}}, id="either way of a condition"),
    ],
)  # fmt: skip
def test_what_an_expression_reads(node: Node, expression: str, read: dict[str, Any]) -> None:
    assert shown(read_by(node, expression)) == read


def test_a_value_is_tried_that_the_expression_compares_with(node: Node) -> None:
    tree = read_by(node, "$a = 'start' and $b in [7, 8] and $contains($c, /^run-[0-9]{6}$/) and $d = $a")
    made = cases(tree, lambda _path: None, count=300, seed=1)
    assert {"start"} <= {case["a"] for case in made if isinstance(case.get("a"), str)}
    assert {7, 8} <= {case["b"] for case in made if isinstance(case.get("b"), int)}
    assert any(str(case.get("c", "")).startswith("run-") for case in made)
    assert any(case["a"] == case["d"] == "start" for case in made if {"a", "d"} <= case.keys())


ROWS = (
    *AWS,
    Guarantee("m", "*", "states.input", record, "for the test"),
    Guarantee("m", "*", "states.input.text", text, "for the test"),
    Guarantee("m", "*", "states.input.number", number, "for the test"),
)
DATE = "/^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/"


@pytest.mark.parametrize(
    ("field", "expression", "found"),
    [
        pytest.param("Output", "$states.input.", "does not parse: S0207", id="no expression"),
        pytest.param("Output.x", "$states.input.a", "answers nothing, and nothing at all is an error here", id="a key that may be missing"),
        pytest.param("Output.x", "[$states.input.a, 0][0]", None, id="with a value in its place"),
        pytest.param("Output.x", "$parse($states.errorOutput.Cause).a ? 1 : 0", "throws SyntaxError", id="a cause need not be JSON"),
        pytest.param("Output.x", "$substring($states.errorOutput.Cause, -1) = '}' ? $parse($states.errorOutput.Cause) : 0", "throws SyntaxError", id="nor if it ends in a brace"),
        pytest.param("Output.x", f"$contains($string($states.input.a), {DATE}) ? $toMillis($string($states.input.a)) : 0", "throws D3110", id="what looks like a date need not be one"),
        pytest.param("Output.x", "$length($states.input.a) > 0 ? 1 : 0", "throws T0410", id="a string is not certain"),
        pytest.param("Output.x", "$length($states.input.text)", None, id="a string is certain"),
        pytest.param("Choices[0].Condition", "$states.input.a", "a Condition must be true or false", id="a Condition that is what a person sent"),
        pytest.param("Choices[0].Condition", "$states.input.a = 1", None, id="a Condition that compares"),
        pytest.param("Choices[0].Condition", "$states.input.a = 1 and false", "was never true in", id="a Condition that nothing makes true"),
        pytest.param("Seconds", "$states.input.number / 2", "Seconds must be a whole number", id="half a second"),
        pytest.param("Seconds", "$states.input.number", None, id="whole seconds"),
        pytest.param("TimeoutSeconds", "$states.input.number", "TimeoutSeconds must be a whole number from 1", id="no timeout of 0"),
        pytest.param("Cause", "$states.input.a = 1 ? 'x' : 1", "answers 1, and it must be a string", id="a cause that is a number"),
        pytest.param("Output.x", "$states.input.a = 1 ? $error('meant') : 1", None, id="a refusal that is meant"),
        pytest.param("Output.x", "$states.input.a = 1 ? $error('not meant') : 1", "throws D3137: not meant", id="one that is not"),
        pytest.param("Output.x", "$toMillis('2026-11-23T24:00:00Z')", "the engines differ", id="two engines, two answers"),
    ],
)  # fmt: skip
def test_what_the_judge_finds(node: Node, field: str, expression: str, found: str | None) -> None:
    table = Table(ROWS, (Refusal("m", "s", "meant", "for the test"),)) if found is None else Table(ROWS, ())
    findings = "\n".join(map(str, judge(node, [Expression("m", "s", field, expression)], table).findings))
    assert found in findings if found else findings == ""


def test_an_output_of_a_choice_is_judged_where_its_condition_holds(node: Node) -> None:
    given = Expression("m", "s", "Choices[0].Output.x", "$length($states.input.a)", "$type($states.input.a) = 'string'")
    assert judge(node, [given], Table(ROWS, ())).findings == []


@pytest.mark.parametrize(
    ("output", "row", "found"),
    [
        pytest.param("{% [$states.result.a, ''][0] & '' %}", text, None, id="a text is made"),
        pytest.param("{% $states.result.a %}", text, 'to "t", where states.input.x is guaranteed to be otherwise', id="a text is promised, anything is handed on"),
        pytest.param(1, text, 'hands {"x": 1}', id="a text is promised, a number stands there"),
        pytest.param({"y": 1}, text, 'hands {"x": {"y": 1}}', id="a text is promised, an object stands there"),
        pytest.param({}, Domain(text.make, lambda _: False), None, id="what the next state does not read does not matter"),
    ],
)  # fmt: skip
def test_what_a_state_hands_on_is_what_the_table_says(node: Node, output: Any, row: Domain, found: str | None) -> None:
    reading = "{% $states.input.z %}" if output == {} else "{% $states.input.x %}"
    first = {"Type": "Task", "Output": {"x": output}, "Next": "t"}
    table = Table((*AWS, Guarantee("m", "t", "states.input.x", row, "for the test")), ())
    definition = {"States": {"s": first, "t": {"Type": "Fail", "Cause": reading}}}
    findings = "\n".join(map(str, handed.judge(node, "m", definition, table)))
    assert found in findings if found else findings == ""


def test_the_same_seed_finds_the_same(node: Node) -> None:
    expression = Expression("m", "s", "Output.x", "$parse($states.errorOutput.Cause).a & $states.input.b")
    first, second = (judge(node, [expression], Table(ROWS, ()), count=100).findings for _ in range(2))
    assert first == second != []


@pytest.mark.parametrize("answer", RECORDED, ids=[row.what for row in RECORDED])
def test_every_expression_bears_what_aws_has_answered(node: Node, answer: Recorded) -> None:
    bearing = list(expressions_on(answer))
    table = Table()
    assert bearing
    for expression in bearing:
        tree = read_by(node, expression.text)
        made = cases(tree, partial(table.guarantee, expression), count=20, seed=1)
        for case in made:
            case["states"] = {**case.get("states", {}), **as_states(answer)}
        assert judge_cases(node, expression, table, made) == []


def as_states(answer: Recorded) -> dict[str, Any]:
    """What ``$states`` has of it."""
    if answer.error is None:
        return {"result": answer.result}
    return {"errorOutput": {"Error": answer.error, "Cause": answer.cause}}


def expressions_on(answer: Recorded) -> Iterator[Expression]:
    """The expressions of our definitions that are evaluated on it."""
    definitions = {machine: json.loads(shipped)["States"] for machine, shipped in texts().items()}
    for expression in all_expressions():
        task = definitions[expression.machine][expression.state]
        if task["Type"] == "Task" and task["Resource"].endswith(f":::{answer.resource}"):
            after = "Catch" if answer.error else ("Output", "Assign")
            if expression.field.startswith(after):
                yield expression
