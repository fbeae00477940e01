"""Fixtures that several test files share."""

from __future__ import annotations

import gc
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.emulator import ACCOUNT, REGION, Emulator
from lab.emulator import emulator as start_emulator
from lab.stage import LocalStage
from tests.commands import forked
from tests.properties import register
from tests.support import deployed_stage
from tests.workers import SPREAD, Spread, in_order, shared

# A shell has what it runs in the background ignore Ctrl-C, and the commands that a test interrupts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
register()


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """One emulator per test process (each pytest-xdist worker has its own)."""
    with start_emulator() as running:
        yield running


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[LocalStage]:
    """The stage of the end-to-end tests, of all workers; each has a copy of its project. See `deployed_stage`."""

    @contextmanager
    def make() -> Iterator[dict[str, str]]:
        with deployed_stage() as deployed:
            aws = deployed.emulator
            yield {"endpoint": aws.endpoint, "log": str(aws.log), "directory": str(deployed.directory)}

    own = tmp_path_factory.getbasetemp()
    common = own.parent if hasattr(request.config, "workerinput") else own
    with shared(common, "stage", make) as made:
        copy = shutil.copytree(made["directory"], own / "stage")
        yield LocalStage(Emulator(made["endpoint"], REGION, ACCOUNT, Path(made["log"])), copy, "e2e", forked)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Spread | None:
    """For `make test`."""
    if config.getvalue("dist") != SPREAD:
        return None
    config.option.loadscopereorder = False  # or the files with the most tests would come first
    return Spread(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """What has been imported and collected stays: it need not be looked through for garbage again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Or each worker would make for itself what a group shares: with pytest 9.2, xdist 3.8 does that in silence."""
    if getattr(session.config.option, "loadgroup", False):
        lost = [
            item.nodeid for item in session.items if item.get_closest_marker("xdist_group") and "@" not in item.nodeid
        ]
        if lost:
            raise pytest.UsageError(f"this pytest-xdist loses the group of {lost[0]}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On the workers of `make test`."""
    if getattr(config.option, "loadgroup", False):
        items[:] = in_order(items)
