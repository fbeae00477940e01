"""Small helpers that several test files share."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(predicate: Callable[[], T], *, within: float, what: str = "", every: float = 0.02) -> T:
    """The predicate's first true answer; AssertionError if there is none within so many seconds."""
    deadline = time.monotonic() + within
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what or predicate!r}; the last answer was {answer!r}")
        time.sleep(every)
