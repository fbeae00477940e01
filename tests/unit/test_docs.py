"""The pages name only what exists: each other, commands with their options, and the ways in which executions end."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

import pytest
import typer

from chalicelib.config.jobs import JobsFileInvalid
from chalicelib.decide.decisions import SkipError
from chalicelib.decide.facts import Refused
from chalicelib.names import parse_guard_name, parse_told_name
from guardctl.__main__ import application
from tests import documents
from tests.documents import ROOT, Section

read = cache(documents.read)  # links lead to the same few pages

PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
GUARDCTL = typer.main.get_group(application()).commands
ROOT_OPTIONS = {option for parameter in typer.main.get_command(application()).params for option in parameter.opts}

of_each_page = pytest.mark.parametrize("path", sorted(path.relative_to(ROOT).as_posix() for path in PAGES))


@of_each_page
def test_every_link_leads_somewhere(path: str) -> None:
    for href in (href for section in read(path) for href in section.links if "://" not in href):
        target, _, anchor = href.partition("#")
        file = (ROOT / path).parent / target if target else ROOT / path
        assert file.exists(), href
        if anchor:
            there = read(file.resolve().relative_to(ROOT).as_posix())
            assert anchor in [section.anchor for section in there], href


def commands(section: Section) -> Iterator[list[str]]:
    """What a section tells to type of guardctl, in words, without ``guardctl``; its examples of a shell included."""
    typed = [line for language, text in section.blocks if language == "sh" for line in text.splitlines()]
    for text in [*section.spans, *typed]:
        if text.startswith("guardctl ") and text != "guardctl …":
            yield shlex.split(re.sub(r"[][]", "", text), comments=True)[1:]


@of_each_page
def test_every_guardctl_command_and_its_options_exist(path: str) -> None:
    for name, *rest in (words for section in read(path) for words in commands(section)):
        if name.startswith("--"):
            assert name in ROOT_OPTIONS, name
            continue
        assert name in GUARDCTL, name
        known = {option for parameter in GUARDCTL[name].params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= known, name


@of_each_page
def test_every_file_of_the_project_exists(path: str) -> None:
    rooms = "chalicelib|decide|config|read|guardctl|lab|tests|docs"
    named = [span for section in read(path) for span in section.spans if re.fullmatch(rf"({rooms})/[\w./-]+", span)]
    assert [name for name in named if not (ROOT / name).exists() and not name.endswith("/prod.toml")] == []


@of_each_page
def test_every_name_of_an_execution_is_one(path: str) -> None:
    meant = re.compile(r"(<?job>?|nightly-report|told)-.*[0-9]{6}.*", re.IGNORECASE)
    named = [span for section in read(path) for span in section.spans if meant.fullmatch(span)]
    names = [re.sub("JOB|<job>", "job", name).replace("KIND", "failed") for name in named]
    assert [name for name in names if not (parse_guard_name(name) or parse_told_name(name))] == []


def all_kinds(of: type[Any]) -> Iterator[str]:
    """The names of all subclasses."""
    for kind in of.__subclasses__():
        yield kind.__name__
        yield from all_kinds(kind)


def test_every_way_to_end_is_told_and_no_other() -> None:
    code = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "chalicelib").rglob("*") if path.suffix in {".py", ".json"}
    )
    verdicts = [f"BatchGuard.{name}" for name in re.findall(r'Verdict\(\s*"(\w+)"', code)]
    refused = [f"BatchGuard.{name}" for name in (*get_args(SkipError), *all_kinds(Refused), JobsFileInvalid.__name__)]
    written = re.findall(r'"Error": "((?:BatchGuard|Unclean)\.\w+)"', code)
    assert len(verdicts) >= 1
    assert len(written) >= 10
    rows = [row[0] for section in read("docs/endings.md") for row in section.rows]
    told = [name for cell in rows for name in re.findall(r"`((?:BatchGuard|Unclean)\.\w+)`", cell)]
    assert sorted(told) == sorted({*verdicts, *refused, *written})
