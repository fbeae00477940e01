"""Fixtures that several test files share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.emulator import Emulator
from local.emulator import emulator as start_emulator


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """One emulator per test process (each pytest-xdist worker has its own)."""
    with start_emulator() as running:
        yield running
