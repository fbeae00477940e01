"""How `make test` spreads the tests over its workers, of which there are more than cores: most tests here wait.

What waits longest begins first, with something short behind it (a worker is always told of its next test). What a
worker can't share goes on one: a file of unit tests, and the tests of an ``xdist_group``. All else is spread test by
test; the deployed stage, which half of them use, is made by the first worker that needs it.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

import pytest
from xdist.scheduler import LoadGroupScheduling

SPREAD = "loadgroup"
"""pytest's ``--dist`` for which all this holds."""


class Spread(LoadGroupScheduling):  # type: ignore[misc]  # xdist tells no types
    """Without a group a unit test goes with its file, and any other with its own parameters."""

    def _split_scope(self, nodeid: str) -> str:
        group = str(super()._split_scope(nodeid))
        if group != nodeid:
            return group
        file, _, test = nodeid.partition("::")
        return file if is_unit(nodeid) else f"{file}::{test.partition('[')[0]}"


def is_unit(nodeid: str) -> bool:
    """Whether it is one of the unit tests, which wait for nothing."""
    return nodeid.startswith("tests/unit/")


def in_order(items: list[pytest.Item]) -> list[pytest.Item]:
    """What is marked `waits`; a few short files; what needs the emulator; long files of unit tests; the rest."""
    sizes = Counter(item.path for item in items if is_unit(item.nodeid))
    waits = {_scope(item) for item in items if item.get_closest_marker("waits")}
    several = sorted((size, path) for path, size in sizes.items() if size > 2)
    short = {path for _, path in several[: 3 * len(waits)]}
    long = {item.path for item in items if is_unit(item.nodeid) and item.get_closest_marker("thorough")}

    def rank(item: pytest.Item) -> int:
        if item.get_closest_marker("waits"):
            return 0
        if item.path in short:
            return 1
        if is_unit(item.nodeid):
            return 3 if item.path in long else 5
        return 2 if "tests/emulator/" in item.nodeid else 4

    return sorted(items, key=rank)


def _scope(item: pytest.Item) -> str:
    group = item.get_closest_marker("xdist_group")
    return str(group.args[0]) if group else item.nodeid


@contextmanager
def shared(
    directory: Path, name: str, make: Callable[[], AbstractContextManager[dict[str, str]]]
) -> Iterator[dict[str, str]]:
    """What the first worker makes that needs it. It is taken down by the same, when nobody uses it any more."""
    told = directory / f"{name}.json"
    with (directory / f"{name}.making").open("w") as making, (directory / f"{name}.using").open("w") as using:
        fcntl.flock(making, fcntl.LOCK_EX)
        if told.exists():
            fcntl.flock(using, fcntl.LOCK_SH)
            fcntl.flock(making, fcntl.LOCK_UN)
            yield json.loads(told.read_text(encoding="utf-8"))
            return
        with make() as made:
            told.write_text(json.dumps(made), encoding="utf-8")
            fcntl.flock(making, fcntl.LOCK_UN)
            yield made
            while not _left_alone(making, using):
                time.sleep(0.2)
            told.unlink()
            fcntl.flock(making, fcntl.LOCK_UN)


def _left_alone(making: IO[str], using: IO[str]) -> bool:
    """Whether nobody uses it. Then nobody can begin to, either: `making` is held."""
    try:
        fcntl.flock(making, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    try:
        fcntl.flock(using, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(making, fcntl.LOCK_UN)
        return False
    return True
