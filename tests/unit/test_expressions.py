"""The fast evaluation of JSONata answers as the package does."""

from typing import Any

import jsonata
import pytest

from lab.expressions import NULL, Program

VALUES: list[Any] = [
    None, True, 0, 2, 1.5, "", "x", "run-000042", "2026-11-23T18:00:00Z", [], [1], [1, None, "x"], [[1], [2]], {}, {"b": None},
    {"b": 1}, {"b": [1]}, {"b": {"c": "x"}}, {"b": {"c": [[1]]}}, [{"b": 1}, {"b": [2, 3]}], [{"b": {"c": None}}], {"b": [{"c": 1}, {}]}, [[1, 2], [3]],
]  # fmt: skip


def answer(program: jsonata.Jsonata, value: Any) -> str:
    """What it answers, of which kind, or how it fails."""
    jsonata.Jsonata.CURRENT.jsonata = program  # the package asks the last one made, whichever was meant
    program.set_output_convert_nulls(False)
    try:
        return repr(program.evaluate(value, {"a": NULL if value is None else value}))
    except (jsonata.JException, TypeError, ValueError) as error:
        return str(error)


@pytest.mark.parametrize(
    "expression",
    [
        "$a", "$a.b", "$a.b.c", "b.c", "$", "$.b", "$a.b[0]", "$a[b=1].b", "$a.b[]", "$b", "$a{'k': b}", "$a.b.(c)", "$sum", "$a.*", "$a.b^(c)",
        "{'k': $a, 'l': $a.b}", "{'k': b}", "{$a: 1}", "{'k': 1, 'k': 2}", "[$a, $a.b]", "[[$a], [b]]", "[$a][0]", "[1..3]", "['[']", "[null, $b]",
        "$a and $b", "$a or $toMillis($a)", "true and $toMillis($a)", "$a.b or b", "$a ? 1 : 2", "$a.b ? b", "($x := $a; {'x': $x})", "($x := b; $x)", "()",
        "$a = $a.b", "$a != 'x'", "$a < 2", "$a + 1", "$a & 'x'", "$a in ['x', 2]", "-$a", "$a ~> $string", "function($y){$y.b}($a)", "$map([$a], function($y){[$y]})",
        "$string($a)", "$a.$string()", "$exists($a.b)", "$merge([$a, {'k': 1}])", "$merge($a)", "$append($a, 1)", "$append($a, $a.b)", "$contains($a, /^run-[0-9]+$/)",
        "$a.{'k': $}", "($x := 1; ($x := 2); $x)", "$a.[b]", "[$a, $a].b", "$a[]", "b[]", "$string($a)[]", "$a@$v.b", "$a#$i.b", "$a.b.%", "$a.b{'k': c}", "(b).c",
        "($x := {'y': [$a]}; $x.y)", "($x := {'y': $a.b[]}; $x.y)", "{'k': ($x := $a.b[]; $x)}", "'x'.b", "[[1], $a]",
        "$not($a)", "$type($a)", "$count($a)", "$sum($a)", "$sum([1, 2])", "$length($a)", "$substring($a, 1)", "$fromMillis($a)", "$error('x')", "$nothing($a)", "$a('x')", "b($a)",
    ],
)  # fmt: skip
def test_it_answers_as_the_package_does(expression: str) -> None:
    ours, theirs = Program(expression), jsonata.Jsonata(expression)
    for value in VALUES:
        expected = answer(theirs, value)
        assert [answer(ours, value), answer(ours, value)] == [expected, expected], value
