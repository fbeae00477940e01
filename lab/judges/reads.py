"""What an expression reads, and what it compares with: from the syntax tree that the reference engine makes of it."""

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from chalicelib.values import dataclass


@dataclass
class Tree:
    """What is read of one value: ``$states.input.task.arn`` is ``states`` → ``input`` → ``task`` → ``arn``."""

    members: dict[str, "Tree"] = field(default_factory=dict)
    parsed: "Tree | None" = None
    """What is read of ``$parse(…)`` of it."""
    compared: list[Any] = field(default_factory=list)
    """The literals that it is compared with."""
    beside: list["Tree"] = field(default_factory=list)
    """What else it is compared with."""
    patterns: list[str] = field(default_factory=list)
    """The sources of the regular expressions that it is searched with."""

    def member(self, name: str) -> "Tree":
        """What is read of this member."""
        return self.members.setdefault(name, Tree())

    def parse(self) -> "Tree":
        """What is read of the JSON in it."""
        self.parsed = self.parsed or Tree()
        return self.parsed

    def has(self, path: tuple[str, ...]) -> bool:
        """Whether the member of a member … is read."""
        return not path or (path[0] in self.members and self.members[path[0]].has(path[1:]))

    def all(self) -> Iterator["Tree"]:
        """It, and all in it."""
        yield self
        for inner in (*self.members.values(), *((self.parsed,) if self.parsed else ())):
            yield from inner.all()


_PASSED_ON = {
    *("merge", "append", "distinct", "reverse", "sort", "filter", "lookup"),
    *("string", "trim", "lowercase", "uppercase", "substring"),
}
"""Functions whose answer is made of their arguments: what is read of it is read of them."""

_LITERALS = {"string", "number", "value"}

_Local = dict[str, list[Tree]]


def reads(*asts: Mapping[str, Any]) -> Tree:
    """What is read by the expressions with these syntax trees; the members are variables, ``states`` among them."""
    variables = Tree()
    for ast in asts:
        _Walk(variables).value_of(ast, {}, [])
    return variables


def is_path(ast: Mapping[str, Any]) -> bool:
    """Whether an expression only says where its value stands: ``$states.input.task``."""
    steps = ast.get("steps", [])
    return bool(steps) and all(step["type"] in ("variable", "name") and "stages" not in step for step in steps)


@dataclass(frozen=True)
class _Walk:
    variables: Tree

    def value_of(self, node: Any, local: _Local, item: list[Tree]) -> list[Tree]:  # noqa: PLR0912 a case per sort of node
        """Walk `node`, and say which trees its value may be. `item` is what a bare name is a member of."""
        if isinstance(node, list):
            return [tree for inner in node for tree in self.value_of(inner, local, item)]
        if not isinstance(node, Mapping):
            return []
        match node.get("type"):
            case "variable":
                trees = self._variable(node["value"], local, item)
            case "name":
                trees = [tree.member(node["value"]) for tree in item]
            case "path":
                trees = item
                for step in node["steps"]:
                    trees = self.value_of(step, local, trees)
            case "bind":
                trees = local[node["lhs"]["value"]] = self.value_of(node["rhs"], local, item)
            case "block":
                inside = dict(local)
                trees = [self.value_of(inner, inside, item) for inner in node["expressions"]][-1]
            case "condition":
                self.value_of(node["condition"], local, item)
                trees = self.value_of([node["then"], node.get("else")], local, item)
            case "function":
                trees = self._function(node, local, item)
            case "unary" if node["value"] == "[":
                trees = self.value_of(node["expressions"], local, item)
            case "binary":
                trees = self._binary(node, local, item)
            case _:
                for key in sorted(node.keys() - {"predicate", "stages"}):
                    self.value_of(node[key], local, item)
                trees = []
        for filtering in (*node.get("predicate", ()), *node.get("stages", ())):
            self.value_of(filtering.get("expr"), local, trees)
        return trees

    def _variable(self, name: str, local: _Local, item: list[Tree]) -> list[Tree]:
        if name == "":
            return item
        return local[name] if name in local else [self.variables.member(name)]

    def _function(self, node: Mapping[str, Any], local: _Local, item: list[Tree]) -> list[Tree]:
        name = node["procedure"].get("value")
        trees = self.value_of(node["arguments"], local, item)
        self._compare(trees, *node["arguments"])
        if name == "parse":
            return [tree.parse() for tree in trees]
        return trees if name in _PASSED_ON else []

    def _binary(self, node: Mapping[str, Any], local: _Local, item: list[Tree]) -> list[Tree]:
        one, other = (self.value_of(node[side], local, item) for side in ("lhs", "rhs"))
        self._compare([*one, *other], node["lhs"], node["rhs"])
        for tree in one:
            tree.beside += other
        for tree in other:
            tree.beside += one
        return []

    def _compare(self, trees: list[Tree], *with_these: Mapping[str, Any]) -> None:
        """Note the literals and patterns that stand beside these trees."""
        for node in with_these:
            inside = node["expressions"] if node.get("type") == "unary" and node["value"] == "[" else [node]
            for literal in inside:
                for tree in trees:
                    if literal.get("type") in _LITERALS:
                        tree.compared.append(literal["value"])
                    elif literal.get("type") == "regex":
                        tree.patterns.append(literal["value"]["source"])
