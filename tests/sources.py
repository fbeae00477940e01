"""What a Python file imports."""

import ast
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path


@cache
def parsed(file: Path) -> ast.Module:
    """Its tree."""
    return ast.parse(file.read_text(encoding="utf-8"))


def imports(file: Path, *, for_types: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """What it imports when it is loaded or called; `for_types`: also what it imports for the type checker alone."""
    for statement in _statements(parsed(file).body, for_types=for_types):
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            yield statement


def _statements(body: Sequence[ast.AST], *, for_types: bool) -> Iterator[ast.AST]:
    """An import is a statement, so no expression need be looked into."""
    for each in body:
        yield each
        skipped = isinstance(each, ast.If) and not for_types and ast.unparse(each.test) == "TYPE_CHECKING"
        for part in ("orelse",) if skipped else ("body", "orelse", "finalbody", "handlers", "cases"):
            found = getattr(each, part, ())
            if isinstance(found, list):
                yield from _statements(found, for_types=for_types)
