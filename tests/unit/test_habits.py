"""What keeps the project in order is in order itself: pins, hashes, and what runs on each push."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.documents import ROOT
from tests.sources import imports

PIN = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[^]]*\])?==(\S+)", re.MULTILINE)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DECLARED = dict(PIN.findall("\n".join(PROJECT["dependencies"])))
SHIPS = (ROOT / "requirements.txt").read_text(encoding="utf-8")
DEVELOPS = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8")
WITH_BOTO3 = {"botocore"}
"""boto3 needs it, and says which version."""
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def packages(*places: str) -> set[str]:
    """The packages of others that these files or folders import when they run."""
    files = [
        file for place in places for file in ((ROOT / place).rglob("*.py") if "." not in place else [ROOT / place])
    ]
    found = {name for file in files for name in imported(file)}
    return found - set(sys.stdlib_module_names) - {"app", "chalicelib", "guardctl", "guardctl_command"}


def imported(file: Path) -> Iterator[str]:
    """The first names of what a file imports, but for the type checker."""
    for node in imports(file, for_types=True):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif node.module and not node.module.startswith("mypy_boto3"):
            yield node.module.partition(".")[0]


@pytest.mark.thorough
def test_the_installed_command_finds_all_that_it_imports() -> None:
    used = packages("guardctl", "chalicelib", "app.py", "guardctl_command.py")
    assert len(used) >= 5
    assert used - WITH_BOTO3 <= DECLARED.keys()
    assert DECLARED.keys() - used <= {"tzdata"}, "tzdata is data: zoneinfo reads it"


def test_what_is_installed_is_what_was_tested() -> None:
    tested = dict(PIN.findall(SHIPS + DEVELOPS))
    assert {name: tested.get(name) for name in DECLARED} == DECLARED


@pytest.mark.thorough
def test_what_ships_is_pinned_by_hash_and_is_all_that_the_functions_import() -> None:
    lines = [line for line in SHIPS.splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[\w.-]+==\S+( --hash=sha256:[0-9a-f]{64})+", line)] == []
    of_the_runtime = WITH_BOTO3 | {"chalice"}  # Chalice puts itself into the zip
    assert packages("chalicelib", "app.py") - of_the_runtime <= dict(PIN.findall(SHIPS)).keys()


def test_every_tool_is_pinned() -> None:
    lines = [line for line in DEVELOPS.splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not PIN.fullmatch(line)] == []


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_actions_are_pinned_by_commit_and_every_job_has_a_time_limit(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    used = re.findall(r"uses: (.+)", text)
    assert used
    assert [each for each in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)] == []
    assert text.count("timeout-minutes:") == text.count("runs-on:") > 0


def test_a_push_runs_the_unit_tests_and_then_what_ci_runs_which_is_make_test() -> None:
    runs = re.findall(r"run: (.+)", (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    assert runs.index("make unit") < runs.index(".ci/run")
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
