"""Fixtures that several test files share."""

from __future__ import annotations

import gc
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab.emulator import ACCOUNT, REGION, Emulator
from lab.stage import LocalStage
from tests.commands import forked
from tests.properties import register
from tests.support import deployed_stage, start_emulator
from tests.workers import shared

# A shell has what it runs in the background ignore Ctrl-C, and the commands that a test interrupts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
register()


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """One emulator per test process (each worker has its own)."""
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
    common = own.parent if request.config.pluginmanager.hasplugin("tests.runner") else own
    with shared(common, "stage", make) as made:
        copy = shutil.copytree(made["directory"], own / "stage")
        yield LocalStage(Emulator(made["endpoint"], REGION, ACCOUNT, Path(made["log"])), copy, "e2e", forked)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """What has been imported and collected stays: it need not be looked through for garbage again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000)
