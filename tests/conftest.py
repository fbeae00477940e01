"""Fixtures that several test files share."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lab.emulator import Emulator
from lab.emulator import emulator as start_emulator
from lab.stage import LocalStage, local_stage
from tests.mocks import mock_config


@pytest.fixture(scope="session")
def emulator() -> Iterator[Emulator]:
    """One emulator per test process (each pytest-xdist worker has its own)."""
    with start_emulator() as running:
        yield running


@pytest.fixture(scope="session")
def stage() -> Iterator[LocalStage]:
    """The stage of the end-to-end tests, deployed for real. Wait states and retries run at a tenth."""
    recorded = {"CLOUDTRAIL_RECORDING": "1"}
    with start_emulator(wait_scale=0.1, mock_config=mock_config(), environment=recorded) as running:
        jobs = Path(__file__).with_name("e2e.toml").read_text(encoding="utf-8")
        ten_minutes_ago = datetime.now(UTC) - timedelta(minutes=10)
        jobs = jobs.replace("TEN_MINUTES_AGO", str(ten_minutes_ago.minute))
        with local_stage(running, name="e2e", jobs=jobs) as deployed:
            deployed.deploy()
            deployed.stepfunctions.delete_state_machine(stateMachineArn=deployed.machine("gone"))
            yield deployed
