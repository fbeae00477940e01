"""README.ja.md says the same as README.md, and README.md names only what exists.

The two are compared section by section, by their *facts*: commands, code spans, links, table keys and how many
paragraphs, list items and rows there are; and the figures of README.md are in README.ja.md. What the prose says is
the translator's.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from difflib import ndiff
from itertools import chain, zip_longest

import pytest
import typer

from chalicelib.config import jobs
from guardctl.__main__ import application
from tests.documents import ROOT, Section, read, sections


def without_comments(language: str, text: str) -> Iterator[str]:
    """The lines of a fenced block, less what a translation changes."""
    for line in text.splitlines():
        if language in {"sh", "toml"}:
            yield " ".join(shlex.split(line, comments=True, posix=False))
        elif language == "text":  # two columns: what it is, and what is said of it
            yield line.split("  ")[0]
        elif language == "mermaid":
            yield re.sub(r'"[^"]*"|(?<=-- )\w+(?= -->)', "LABEL", line).strip()
        else:
            yield line


def facts(section: Section, anchors: list[str]) -> list[str]:
    """What a translation of this section must have too. `anchors` are those of its whole document."""
    counted = Counter(token.type.removesuffix("_open") for token in chain(section.tokens, section.inline))
    things = {"paragraph": "paragraphs", "list_item": "list items", "tr": "table rows", "strong": "words in bold"}
    links = {"the other language" if href in {"README.md", "README.ja.md"} else href for href in section.links}
    here = {f"#{anchor}": f"#(heading {number})" for number, anchor in enumerate(anchors, start=1)}
    return [
        f"a heading of level {section.level}",
        *(f"{counted[thing]} {name}" for thing, name in things.items()),
        *(f"{lang}: {line}" for lang, text in section.blocks for line in ["```", *without_comments(lang, text)]),
        *(f"code span `{span}`" for span in sorted(set(section.spans))),
        *(f"link to {href}" for href in sorted(here.get(href, href) for href in links)),
        *(f"table key {row[0]}" for row in section.rows),
    ]


def differences(ours: list[Section], theirs: list[Section]) -> Iterator[str]:
    """A line for each thing that only one of the two documents has, with the section it is in."""
    for number, (mine, other) in enumerate(zip_longest(ours, theirs), start=1):
        headings = f"heading {number}, {mine.heading if mine else None!r} / {other.heading if other else None!r}"
        if mine is None or other is None or mine.level != other.level:
            yield f"{headings}: not the same headings from here on"
            return
        where = {"-": "only in README.md", "+": "only in README.ja.md"}
        for line in ndiff(facts(mine, [s.anchor for s in ours]), facts(other, [s.anchor for s in theirs])):
            if line[0] in where:
                yield f"{headings}: {where[line[0]]}: {line[2:]}"
        for figure in sorted(mine.figures - other.figures):  # Japanese has figures where English has words, too
            yield f"{headings}: only in README.md: the figure {figure}"


def test_the_japanese_readme_says_the_same() -> None:
    found = list(differences(read("README.md"), read("README.ja.md")))
    assert not found, "\n" + "\n".join(found)


ENGLISH = """# Name
Text with `a span` 7 times, see [there](docs/x.md) and [below](#the-end).

| key | |
| --- | --- |
| `one` | first |

```sh
make demo  # a comment
```
## The end
"""
JAPANESE = """# 名前
[こちら](docs/x.md)と[下](#終わり)に `a span` が 7 回ある。

| キー | |
| --- | --- |
| `one` | 最初 |

```sh
make demo  # コメント
```
## 終わり
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        pytest.param("", "", [], id="prose, comments and headings may be translated"),
        pytest.param(
            "make demo", "make test", ["en: sh: make demo", "ja: sh: make test"], id="another command is told"
        ),
        pytest.param("`a span`", "a span", ["en: code span `a span`"], id="a lost code span is told"),
        pytest.param("7 回", "8 回", ["en: the figure 7"], id="another figure is told"),
        pytest.param("x.md", "y.md", ["en: link to docs/x.md", "ja: link to docs/y.md"], id="another link is told"),
        pytest.param(
            "#終わり", "#名前", ["ja: link to #(heading 1)", "en: link to #(heading 2)"], id="another target is told"
        ),
        pytest.param(
            "`one`",
            "`two`",
            ["en: code span `one`", "ja: code span `two`", "en: table key `one`", "ja: table key `two`"],
            id="another table key is told",
        ),
        pytest.param(
            "ある。", "ある。\n\nそして。", ["en: 1 paragraphs", "ja: 2 paragraphs"], id="a paragraph more is told"
        ),
        pytest.param("## 終", "### 終", ["not the same headings from here on"], id="another level of heading is told"),
        pytest.param(
            "## 終",
            "## 続き\n## 終",
            ["ja: link to #(heading 3)", "en: link to #(heading 2)", "not the same headings from here on"],
            id="a heading more is told",
        ),
    ],
)
def test_a_difference_between_the_two_is_told(old: str, new: str, told: list[str]) -> None:
    assert old in JAPANESE
    found = differences(sections(ENGLISH), sections(JAPANESE.replace(old, new) if old else JAPANESE))
    short = [
        line.partition(": ")[2].replace("only in README.md", "en").replace("only in README.ja.md", "ja")
        for line in found
    ]
    assert sorted(short) == sorted(told)


# --- what README.md names exists --------------------------------------------------------------------------

README = read("README.md")
GUARDCTL = typer.main.get_group(application()).commands
OF_GUARDCTL = {option for parameter in typer.main.get_command(application()).params for option in parameter.opts}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE)
EXAMPLE = next(text for section in README for language, text in section.blocks if language == "toml")


def lines() -> list[list[str]]:
    """Every command line of README.md's blocks, in words."""
    blocks = [text for section in README for language, text in section.blocks if language == "sh"]
    commands = [command for text in blocks for line in text.splitlines() for command in re.split(r"&&|\|", line)]
    return [words for command in commands if (words := shlex.split(command, comments=True))]


def spans() -> list[list[str]]:
    """Every code span of README.md that begins like a command or an option, in words and without ``[]``."""
    begins = re.compile(rf"(guardctl|make|{'|'.join(GUARDCTL)}) |--")
    return [shlex.split(re.sub(r"[][]", "", s)) for section in README for s in section.spans if begins.match(s)]


def test_every_guardctl_line_is_understood() -> None:
    found = [words[1:] for words in lines() if words[0] == "guardctl"]
    assert len(found) >= 5
    for name, *arguments in found:
        assert name in GUARDCTL
        GUARDCTL[name].make_context(name, arguments)  # raises, with a sentence


def test_every_guardctl_command_and_option_in_the_text_exists() -> None:
    missing, last = [], ""
    for words in spans():
        if words[0] == "make":
            continue
        named, *rest = words[1:] if words[0] == "guardctl" else words
        if words[0] == "guardctl" and named.startswith("--"):
            missing += [word for word in [named, *rest] if word not in OF_GUARDCTL]
            continue
        if named.startswith("--"):  # an option by itself is one of the command named last
            rest = words
        elif named in GUARDCTL:
            last = named
        else:
            missing.append(f"guardctl {named}")
            continue
        known = {option for parameter in GUARDCTL[last].params for option in parameter.opts}
        missing += [f"guardctl {last} {word}" for word in rest if word.startswith("--") and word not in known]
    assert not missing


def test_every_make_target_and_variable_exists() -> None:
    found = [words[1:] for words in [*lines(), *spans()] if words[0] == "make"]
    assert len(found) >= 5
    for target, *variables in found:
        assert target in TARGETS, f"make {target}"
        for variable in variables:
            assert f"\n{variable.partition('=')[0]} ?= " in MAKEFILE, variable


def test_the_example_of_a_jobs_file_is_sound() -> None:
    assert list(jobs.parse(EXAMPLE, stage="dev", place="README.md").jobs) == ["nightly-report"]


def test_the_table_of_keys_has_every_key_and_the_defaults_that_hold() -> None:
    (eight,) = [rows for section in README if (rows := [row for row in section.rows if len(row) == 3])]
    whole = [row for section in read("docs/jobs-file.md") for row in section.rows if len(row) == 3]
    table = {row[0].strip("`"): row[1] for row in whole}
    of_a_job = {field.name for field in dataclasses.fields(jobs.Job)} - {"name", "schedules"} | {
        "schedule",
        "start",
        "end",
        "on_holiday",
        "business_day",
    }
    of_others = {f"ecs.{field.name}" for field in dataclasses.fields(jobs.Ecs)}
    of_others |= {f"alerts.{field.name}" for field in dataclasses.fields(jobs.Alerts)} | {"pools.NAME.slots"}
    of_others |= {f"calendars.NAME.{key}" for key in ("holidays", "weekend", "also", "except")}
    of_a_file = {field.name for field in dataclasses.fields(jobs.JobsFile)}
    of_others |= {f"stage.{name}" for name in of_a_file - {"stage", "jobs", "alerts", "slots", "timezone"}}
    assert set(table) == of_a_job | of_others
    assert len({row[0] for row in eight} - {"`ecs`"}) == 8
    assert {row[0].strip("`"): row[1] for row in eight}.items() <= {**table, "ecs": ""}.items()
    least = '[jobs.x.ecs]\ncluster = "c"\ntask_definition = "t"\ncontainer = "c"\nsubnets = ["subnet-1"]\n'
    by_default = jobs.parse(least, stage="dev", place="README.md")
    for key, default in table.items():
        if default.startswith("`") and "." not in key:
            said = f"[jobs.x]\n{key} = {default.strip('`')}\n{least}"
            assert jobs.parse(said, stage="dev", place="README.md") == by_default, key
