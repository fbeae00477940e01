"""Values that nobody means to send, made for what an expression reads. Seeded: the same seed, the same values."""

import json
from collections.abc import Callable
from dataclasses import field
from random import Random
from typing import Any, Final

from rstr import Rstr

from chalicelib.values import dataclass
from lab.judges.reads import Tree


class Missing:
    """The type of `MISSING`."""


MISSING: Final = Missing()
"""Not there at all: the key is left out."""

Path = tuple[str, ...]
"""Where a value stands: ``("states", "input", "error")``."""

PARSED: Final = "()"
"""What stands in a path for ``$parse(…)``."""

TEXTS: Final = (
    "", " ", "x", "x" * 3000, "ジョブ 💥 \u0000\u2028", "0", "-1", "1e3", "true", "null", "{", "}", "{}", "[]", "[1]",
    '""', "{not json}", '{"a": 1, "b": "cut in the mid}', '{"a": "}', '{"a": {"b": "{\\"c\\": \\"}\\"}"}}', '{"a":1}}',
    "{'a': 1}",     "2026-13-45T99:99:99Z", "2026-02-30T00:00:00Z", "2026-11-23T18:00:00Z", "2026-11-23T18:00:00.123Z",
    "2026-11-23", "2026-11-23T18:00:00+09:00", "2026-11-23T24:00:00Z", "9999-12-31T23:59:59Z", "run-000042", "run-42",
    "paused-000001",     "arn:aws:ecs:ap-northeast-1:123456789012:task/batch/0123456789abcdef",
)  # fmt: skip
"""Strings."""

SCALARS: Final = (None, True, False, 0, 1, -1, 1.5, 60, 99_999_999, 10**14)
"""What is no string. (Nothing of ours is as large as 10**15.)"""


@dataclass(frozen=True)
class Domain:
    """What is certain of a place."""

    make: Callable[["Maker", Path, Tree], Any]
    """A value of it, for a place of which so much is read."""
    holds: Callable[[Any], bool]
    """Whether a value, or MISSING, is one of it."""


@dataclass(frozen=True)
class Maker:
    """Makes values for one expression."""

    random: Random
    guarantee: Callable[[Path], Domain | None]
    texts: Rstr
    made: dict[int, Any] = field(default_factory=dict)
    """id of a tree → the value that was made for it last."""

    def value(self, path: Path, tree: Tree) -> Any:
        """A value for the place, or MISSING: as it is guaranteed, else anything."""
        domain = self.guarantee(path)
        self.made[id(tree)] = value = domain.make(self, path, tree) if domain else self.anything(path, tree)
        return value

    def anything(self, path: Path, tree: Tree) -> Any:
        """Anything that JSON can say; mostly of the kind that is read, else nothing behind it would be reached."""
        chance = self.random.random()
        if chance < 0.08:
            return MISSING
        known = self.known(tree)
        if known and chance < 0.6:
            return self.random.choice(known)
        if tree.parsed and chance < 0.7:
            return self.json_text(path, tree.parsed)
        if tree.members and chance < 0.85:
            return self.members(path, tree)
        if chance < 0.93:
            return [value for _ in range(self.random.randrange(3)) if (value := self._item(path, tree)) is not MISSING]
        return self.random.choice((*TEXTS, *SCALARS, *SCALARS, {}, {"a": "b"}, {"a": None}))

    def members(self, path: Path, tree: Tree) -> dict[str, Any]:
        """An object with what is read of it, as far as it is not missing."""
        # By name: the context comes before the input, which may then be equal to a part of it.
        made = {name: self.value((*path, name), tree.members[name]) for name in sorted(tree.members)}
        return {name: value for name, value in made.items() if value is not MISSING}

    def text(self, path: Path, tree: Tree) -> str:
        """Any string; often one that the expression looks for."""
        chance = self.random.random()
        if tree.parsed and chance < 0.5:
            return self.json_text(path, tree.parsed)
        known = [value for value in self.known(tree) if isinstance(value, str)]
        return self.random.choice(known if known and chance < 0.75 else TEXTS)

    def known(self, tree: Tree) -> list[Any]:
        """What the expression compares it with, and a text that each of its patterns finds."""
        beside = (self.made.get(id(other), MISSING) for other in tree.beside)
        there = [value for value in beside if value is not MISSING]
        return [*tree.compared, *there, *map(self.texts.xeger, tree.patterns)]

    def json_text(self, path: Path, parsed: Tree) -> str:
        """JSON of what is read of the parsed text: whole, cut anywhere, or cut and ending in a brace by chance."""
        text = json.dumps(self.members((*path, PARSED), parsed), ensure_ascii=False)
        cut = text[: self.random.randrange(len(text))]
        return self.random.choice((text, text, text, cut, cut + "}", "{" + text + "}", f"[{text}]"))

    def _item(self, path: Path, tree: Tree) -> Any:
        if tree.members and self.random.random() < 0.8:
            return self.members(path, tree)
        return self.random.choice((*TEXTS, *SCALARS))


def cases(reads: Tree, guarantee: Callable[[Path], Domain | None], *, count: int, seed: int) -> list[dict[str, Any]]:
    """At most `count` different sets of values (name of a variable → value) for what is read."""
    random = Random(seed)
    maker = Maker(random, guarantee, Rstr(random))
    made = (maker.members((), reads) for _ in range(count))
    return list({json.dumps(case, sort_keys=True): case for case in made}.values())
