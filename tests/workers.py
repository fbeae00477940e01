"""What the workers of `make test` and `make unit` (`tests/runner.py`) divide among them, and what they share.

A worker takes one scope at a time: what can't be shared, or is dear to make, is used by the tests of one. The deployed
stage, which half of the tests on the emulator use, is made by the first worker that needs it.
"""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

import pytest


def scopes(items: Iterable[pytest.Item]) -> list[list[pytest.Item]]:
    """The tests of one `together`, a file of unit tests, or a test with all its parameters; the longest first."""
    found: dict[str, list[pytest.Item]] = {}
    for item in items:
        found.setdefault(_scope(item), []).append(item)
    return sorted(found.values(), key=_order)


def on_emulator(item: pytest.Item) -> bool:
    """Whether it is one of the tests that deploy, and type commands."""
    return item.nodeid.startswith("tests/emulator/")


def _scope(item: pytest.Item) -> str:
    if marked := item.get_closest_marker("together"):
        return str(marked.args[0])
    return item.nodeid.partition("::" if _is_unit(item) else "[")[0]


def _is_unit(item: pytest.Item) -> bool:
    return item.nodeid.startswith("tests/unit/")


def _order(scope: list[pytest.Item]) -> tuple[int, int]:
    """Where modules have fixtures their scopes stay in a row: so a worker sets those up once."""
    first = scope[0]
    if first.get_closest_marker("long"):
        return 0, 0
    if first.get_closest_marker("together"):
        return 1, 0
    if on_emulator(first):
        return 2, 0
    if not _is_unit(first) or any(item.get_closest_marker("thorough") for item in scope):
        return 3, 0
    return 4, -len(scope)


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
