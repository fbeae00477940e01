"""Small helpers that several test files share."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar

from lab import emulator, stage
from lab.stage import LocalStage
from tests.commands import LINTER, forked, forked_emulator
from tests.mocks import mock_config

T = TypeVar("T")

local_stage = partial(stage.local_stage, run=forked)
"""`lab.stage.local_stage`, whose commands begin at once."""

start_emulator = partial(emulator.emulator, begin=forked_emulator)
"""`lab.emulator.emulator`, which begins at once."""


def eventually(predicate: Callable[[], T], *, within: float, what: str = "") -> T:
    """The predicate's first true answer; AssertionError if there is none within so many seconds."""
    began = time.monotonic()
    while not (answer := predicate()):
        waited = time.monotonic() - began
        if waited > within:
            raise AssertionError(f"not within {within:g} s: {what or predicate!r}; the last answer was {answer!r}")
        time.sleep(min(0.5, max(0.05, waited / 10)))  # or it would be asking all the time, with a core that others need
    return answer


def lint(*templates: Path) -> None:
    """No error and no warning of cfn-lint about any of them."""
    for each in templates:  # it reads a definition without its substitutions, and wants a partition in an ARN
        each.write_text(each.read_text(encoding="utf-8").replace("${Partition}", "aws"), encoding="utf-8")
    linter = "import sys; from cfnlint.runner import main; sys.exit(main())"
    done = forked(["-c", linter, *map(str, templates)], templates[0].parent, os.environ, loaded=LINTER)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@contextmanager
def deployed_stage() -> Iterator[LocalStage]:
    """The stage e2e, deployed for real on an emulator of its own. Wait states and retries run at a tenth."""
    recorded = {"CLOUDTRAIL_RECORDING": "1"}
    with start_emulator(wait_scale=0.1, mock_config=mock_config(), environment=recorded) as running:
        jobs = Path(__file__).with_name("e2e.toml").read_text(encoding="utf-8")
        ten_minutes_ago = datetime.now(UTC) - timedelta(minutes=10)
        jobs = jobs.replace("TEN_MINUTES_AGO", str(ten_minutes_ago.minute))
        with local_stage(running, name="e2e", jobs=jobs) as deployed:
            deployed.deploy()
            deployed.stepfunctions.delete_state_machine(stateMachineArn=deployed.machine("gone"))
            yield deployed
