"""JSONata, evaluated fast: jsonata-python, but for what definitions of state machines are full of."""

import functools
import operator
from collections.abc import Callable
from typing import Any

import jsonata

Run = Callable[[Any, Any], Any]
"""A part of an expression, ready to be asked: with the context value and the frame of variables."""
_Utils = jsonata.utils.Utils
NULL = _Utils.NULL_VALUE
"""JSON's null; None is what JSONata calls undefined."""


class Frame(jsonata.Jsonata.Frame):  # type: ignore[misc]  # the package has no types
    """The package's looks for a name by recursion, and has more to do when one is bound."""

    def lookup(self, name: str) -> Any:
        frame = self
        while frame is not None:
            if name in frame.bindings:
                return frame.bindings[name]
            frame = frame.parent
        return None


class Program(jsonata.Jsonata):  # type: ignore[misc]
    """An expression, read once; what it is asked with is bound apart, so that nothing stays.

    The package finds out at every step anew what sort of step it is. Here that is found out once, and what definitions
    are full of (paths through objects, objects, literals, conditions) is done at once. The rest is the package's, and
    `lab.judges` compares both with the reference engine.
    """

    def create_frame(self, enclosing_environment: Any = None) -> Any:
        return Frame(enclosing_environment)

    def eval(self, expr: Any, input: Any, environment: Any) -> Any:
        """The package asks this of each part of an expression."""
        return self._read(expr)(input, environment)

    def _read(self, expr: Any) -> Run:
        run: Run | None = expr.__dict__.get("run")
        if run is None:
            run = expr.run = self._made(expr, functools.partial(super().eval, expr))
        return run

    def _made(self, expr: Any, slow: Run) -> Run:
        if any(getattr(expr, name, None) for name in ("predicate", "group")):
            return slow
        kind, value = expr.type, expr.value
        if kind in {"string", "number", "value"}:
            literal = self.evaluate_literal(expr)
            return lambda _input, _frame: literal
        if kind == "variable" and value:
            return _one(lambda _input, frame: frame.lookup(value))
        if kind == "path" and _is_plain(expr):
            return _path(expr, slow)
        if kind == "unary" and value == "{" and all(key.type == "string" for key, _ in expr.lhs_object):
            return self._object(expr, slow)
        if kind == "unary" and value == "[" and not expr.consarray:
            return self._array(expr)
        if kind == "binary" and value in {"and", "or"}:
            return self._either(expr, slow)
        if kind == "condition":
            return self._condition(expr)
        if kind == "block":
            return self._block(expr)
        if kind in {"binary", "bind"}:
            return functools.partial(self.evaluate_binary if kind == "binary" else self.evaluate_bind_expression, expr)
        if kind == "function":
            return _one(self._call(expr))
        return slow

    def _call(self, expr: Any) -> Run:
        """The package's functions look at the kinds of what they are given; it is remembered which are taken as is."""
        slow = functools.partial(self.evaluate_function, expr, applyto_context=_Utils.NONE)
        if expr.procedure.type != "variable":
            return slow
        name, arguments = expr.procedure.value, [*map(self._read, expr.arguments or ())]
        taken: set[tuple[Any, ...]] = set()

        def run(input: Any, frame: Any) -> Any:
            function = frame.lookup(name)
            if type(function) is not self.JNativeFunction:
                return slow(input, frame)
            given = [argument(input, frame) for argument in arguments]
            kinds = (function, *map(type, given))
            if kinds in taken:
                return function.call(input, given)
            checked = function.validate(given, input)
            # Of a list it depends on what is in it, and without an argument on the context.
            if given and not any(isinstance(g, list) for g in given) and not any(map(operator.is_not, given, checked)):
                taken.add(kinds)
            return function.call(input, checked)

        return run

    def _object(self, expr: Any, slow: Run) -> Run:
        pairs = {key.value: self._read(value) for key, value in expr.lhs_object}
        if len(pairs) < len(expr.lhs_object):
            return slow

        def run(input: Any, frame: Any) -> Any:
            if isinstance(input, list):
                return slow(input, frame)
            found = ((key, value(input, frame)) for key, value in pairs.items())
            return {key: value for key, value in found if value is not None}

        return run

    def _array(self, expr: Any) -> Run:
        parts = [(self._read(part), part.value == "[") for part in expr.expressions]

        def run(input: Any, frame: Any) -> Any:
            array = _Utils.JList()
            for part, is_array in parts:
                value = part(input, frame)
                if isinstance(value, list) and not is_array:
                    array.extend(value)
                elif value is not None:
                    array.append(value)
            return array

        return run

    def _either(self, expr: Any, slow: Run) -> Run:
        left, right, enough = self._read(expr.lhs), self._read(expr.rhs), expr.value == "or"

        def run(input: Any, frame: Any) -> bool:
            if bool(self.boolize(left(input, frame))) is enough:
                return enough
            try:
                return bool(self.boolize(right(input, frame)))
            except (TypeError, ValueError):
                return bool(slow(input, frame))  # which has a name for it

        return run

    def _condition(self, expr: Any) -> Run:
        condition, then = self._read(expr.condition), self._read(expr.then)
        otherwise = self._read(expr._else) if expr._else is not None else None

        def run(input: Any, frame: Any) -> Any:
            if self.boolize(condition(input, frame)):
                return then(input, frame)
            return otherwise(input, frame) if otherwise else None

        return run

    def _block(self, expr: Any) -> Run:
        parts = [*map(self._read, expr.expressions)]

        def run(input: Any, frame: Any) -> Any:
            inner, result = self.create_frame(frame), None
            for part in parts:
                result = part(input, inner)
            return result

        return run


def _one(run: Run) -> Run:
    """A sequence of one is that one, and of none is undefined."""

    def one(input: Any, frame: Any) -> Any:
        result = run(input, frame)
        if not _Utils.is_sequence(result) or (result and result.keep_singleton):
            return result
        return result if len(result) > 1 else next(iter(result), None)

    return one


def _is_plain(path: Any) -> bool:
    """``$variable.name.name`` or ``name.name``."""
    said = ("stages", "predicate", "group", "tuple", "focus", "index", "ancestor", "keep_array", "consarray")
    first, *names = path.steps
    return (
        (first.type == "name" or (first.type == "variable" and first.value != ""))
        and all(step.type == "name" for step in names)
        and not any(getattr(step, name, None) for step in path.steps for name in said)
    )


def _path(expr: Any, slow: Run) -> Run:
    variable = expr.steps[0].value if expr.steps[0].type == "variable" else None
    names = [step.value for step in expr.steps if step.type == "name"]

    def run(input: Any, frame: Any) -> Any:
        value = input if variable is None else frame.lookup(variable)
        for name in names:
            if type(value) is not dict:
                return slow(input, frame)
            if name not in value:
                return None
            value = value[name]
            if value is None:
                value = NULL
        return slow(input, frame) if isinstance(value, _Utils.JList) else value

    return run
