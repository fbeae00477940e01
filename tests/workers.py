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
    return sorted(found.values(), key=lambda scope: (_rank(scope), -len(scope)))


def on_emulator(item: pytest.Item) -> bool:
    """Whether it is one of the tests that deploy, and type commands."""
    return item.nodeid.startswith("tests/emulator/")


def _scope(item: pytest.Item) -> str:
    if marked := item.get_closest_marker("together"):
        return str(marked.args[0])
    return item.nodeid.partition("::" if item.nodeid.startswith("tests/unit/") else "[")[0]


def _rank(scope: list[pytest.Item]) -> int:
    if scope[0].get_closest_marker("waits"):
        return 0
    if on_emulator(scope[0]):
        return 1
    return 2 if any(item.get_closest_marker("thorough") for item in scope) else 3


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
