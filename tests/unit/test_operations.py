"""docs/operations.md names only commands, options, errors and keys that exist."""

from __future__ import annotations

import dataclasses
import re
import shlex

import typer

from chalicelib.config.jobs import Job
from guardctl.__main__ import application
from tests.documents import ROOT, read

GUIDE = read("docs/operations.md")
SPANS = [span for section in GUIDE for span in section.spans]
GUARDCTL = typer.main.get_group(application()).commands


def test_its_commands_and_options_exist() -> None:
    called = [words for span in SPANS if (words := shlex.split(span)) and words[0] in GUARDCTL]
    assert len(called) > 20
    for name, *rest in called:
        known = {option for parameter in GUARDCTL[name].params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= known, name


def test_its_errors_and_the_keys_of_the_jobs_file_exist() -> None:
    code = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "chalicelib").rglob("*") if path.suffix in {".py", ".json"}
    )
    errors = [span for span in SPANS if re.fullmatch(r"(BatchGuard|Unclean)\.\w+", span)]
    assert len(errors) >= 5
    assert [error for error in errors if not re.search(rf"\b{error.partition('.')[2]}\b", code)] == []
    keys = {match[1] for span in SPANS if (match := re.fullmatch(r"([a-z_]+) = .+", span))}
    assert keys == {"orphans", "outsiders", "overlap"}
    assert keys <= {field.name for field in dataclasses.fields(Job)}
