"""README.md names only what exists, and README.ja.md says the same as README.md.

A section of the two is compared by its *facts*: commands, code spans, links, table keys and how many paragraphs, list
items and rows there are. What a fact of prose says is the translator's.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import ndiff
from itertools import chain, zip_longest
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer
from markdown_it import MarkdownIt
from markdown_it.token import Token

from guardctl.__main__ import app

ROOT = Path(__file__).parent.parent
MARKDOWN = MarkdownIt("commonmark").enable("table")
GUARDCTL = typer.main.get_group(app).commands
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


@dataclass
class Section:
    """A heading and what follows it, up to the next heading of any level."""

    heading: str
    """As it is written, with its ``#``."""
    tokens: list[Token] = field(default_factory=list)

    @property
    def level(self) -> int:
        return self.heading.count("#", 0, 6)

    @property
    def anchor(self) -> str:
        """What GitHub calls it in a link."""
        return re.sub(r"[^\w\- ]", "", self.heading.lower()).strip().replace(" ", "-")

    @property
    def inline(self) -> Iterator[Token]:
        return chain.from_iterable(token.children or () for token in self.tokens)

    @property
    def spans(self) -> list[str]:
        return [token.content for token in self.inline if token.type == "code_inline"]

    @property
    def links(self) -> list[str]:
        return [unquote(str(token.attrGet("href"))) for token in self.inline if token.type == "link_open"]

    @property
    def blocks(self) -> list[tuple[str, str]]:
        """Language and text of each fenced block."""
        return [(token.info, token.content) for token in self.tokens if token.type == "fence"]

    @property
    def rows(self) -> list[list[str]]:
        """The cells of the body rows of its tables."""
        rows: list[list[str]] = []
        for before, token in zip(self.tokens, self.tokens[1:], strict=False):
            if before.type == "tr_open" and token.type == "td_open":
                rows.append([])
            if before.type == "td_open":
                rows[-1].append(token.content)
        return rows


def sections(markdown: str) -> list[Section]:
    """The document's sections in order."""
    found: list[Section] = []
    heading = False
    for token in MARKDOWN.parse(markdown):
        if heading:
            found[-1].heading += token.content
        elif token.type == "heading_open":
            found.append(Section(f"{token.markup} "))
        else:
            found[-1].tokens.append(token)
        heading = token.type == "heading_open"
    return found


def read(name: str) -> list[Section]:
    return sections((ROOT / name).read_text(encoding="utf-8"))


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
        pair = (facts(side, [section.anchor for section in whole]) for side, whole in ((mine, ours), (other, theirs)))
        where = {"-": "only in README.md", "+": "only in README.ja.md"}
        for line in ndiff(*pair):
            if line[0] in where:
                yield f"{headings}: {where[line[0]]}: {line[2:]}"


def test_the_japanese_readme_says_the_same() -> None:
    found = list(differences(read("README.md"), read("README.ja.md")))
    assert not found, "\n" + "\n".join(found)


ENGLISH = """# Name
Text with `a span`, see [there](docs/x.md) and [below](#the-end).

| key | |
| --- | --- |
| `one` | first |

```sh
make demo  # a comment
```
## The end
"""
JAPANESE = """# 名前
[こちら](docs/x.md)と[下](#終わり)に `a span` がある。

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
        pytest.param("make demo", "make test", ["en: sh: make demo", "ja: sh: make test"], id="another command is told"),
        pytest.param("`a span`", "a span", ["en: code span `a span`"], id="a lost code span is told"),
        pytest.param("x.md", "y.md", ["en: link to docs/x.md", "ja: link to docs/y.md"], id="another link is told"),
        pytest.param("#終わり", "#名前", ["ja: link to #(heading 1)", "en: link to #(heading 2)"], id="another target is told"),
        pytest.param("`one`", "`two`", ["en: code span `one`", "ja: code span `two`", "en: table key `one`", "ja: table key `two`"], id="another table key is told"),
        pytest.param("がある。", "がある。\n\nそして。", ["en: 1 paragraphs", "ja: 2 paragraphs"], id="a paragraph more is told"),
        pytest.param("## 終", "### 終", ["not the same headings from here on"], id="another level of heading is told"),
        pytest.param("## 終", "## 続き\n## 終", ["ja: link to #(heading 3)", "en: link to #(heading 2)", "not the same headings from here on"], id="a heading more is told"),
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
