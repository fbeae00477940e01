"""Reads a Markdown document as its sections, for tests of what it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parent.parent
MARKDOWN = MarkdownIt("commonmark").enable("table")


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
    def figures(self) -> set[str]:
        """The numbers of its prose, as they are written."""
        prose = " ".join(token.content for token in self.inline if token.type == "text")
        return set(re.findall(r"[0-9](?:[0-9.,]*[0-9])?", prose))

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


def read(path: str) -> list[Section]:
    """The sections of a document of this repository."""
    return sections((ROOT / path).read_text(encoding="utf-8"))
