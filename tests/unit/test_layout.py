"""The rooms and their directions: nothing imports upwards, and what decides knows no AWS, clock or environment."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources import imports, parsed

ROOT = Path(__file__).parent.parent.parent
SHIPPED = sorted((ROOT / "chalicelib").rglob("*.py"))

ROOMS = (
    "values",
    "names",
    "decide",
    "contract",
    "parsing",
    "config",
    "read",
    "metrics",
    "lines",
    "bytecode",
    "telling",
    "watch",
    "answers",
    "check",
    "late",
    "trigger",
)
"""From the lowest up. A room may import itself and those below it."""

IMPURE = {"boto3", "botocore", "os", "time", "random", "socket", "subprocess", "logging"}


def room(module: str) -> str:
    """The room of ``chalicelib.decide.facts``: decide."""
    return module.split(".")[1] if "." in module else ""


def imported(file: Path) -> Iterator[str]:
    """What a module imports when it is loaded or called; what it imports for the type checker alone is no import."""
    for node in imports(file, for_types=False):
        if isinstance(node, ast.ImportFrom) and node.module == "chalicelib":
            yield from (f"chalicelib.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_nothing_imports_upwards(file: Path) -> None:
    if file.name == "__init__.py":
        return
    own = file.relative_to(ROOT).with_suffix("").parts[1]
    for module in imported(file):
        assert not module.startswith(("guardctl", "lab", "tests")), module
        if module.startswith("chalicelib."):
            assert ROOMS.index(room(module)) <= ROOMS.index(own), f"{own} imports {module}"


@pytest.mark.parametrize("file", sorted((ROOT / "chalicelib" / "decide").glob("*.py")), ids=lambda file: file.name)
def test_what_decides_is_pure(file: Path) -> None:
    assert not IMPURE & {module.partition(".")[0] for module in imported(file)}
    calls = {ast.unparse(node.func) for node in ast.walk(parsed(file)) if isinstance(node, ast.Call)}
    assert not calls & {"datetime.now", "datetime.utcnow", "open", "print", "date.today"}


def test_no_class_is_frozen_at_run_time() -> None:
    """It would cost each cold start and each command what `chalicelib.values` says, and could not inherit from others."""
    for file in [*SHIPPED, ROOT / "app.py", *(ROOT / "guardctl").rglob("*.py")]:
        taken = re.search(r"^from dataclasses import .*\bdataclass\b", file.read_text(encoding="utf-8"), re.MULTILINE)
        assert not taken or file.name == "values.py", file


def test_the_words_of_a_policy_stand_once() -> None:
    from chalicelib.decide import policy  # noqa: PLC0415 (its literals are what is looked for)

    written = {
        file.relative_to(ROOT).as_posix()
        for file in SHIPPED
        if 'Literal["skip", "queue"' in (text := file.read_text()) or 'Literal["wait", "stop"]' in text
    }
    assert written == {Path(policy.__file__).relative_to(ROOT).as_posix()}
