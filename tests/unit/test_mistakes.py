"""A mistake in a command, or a disk that is full, is a sentence and exit code 2: never a traceback."""

import subprocess
import sys

import pytest

from tests.documents import ROOT


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["iam", "viewer"], "output: No space left on device", id="a disk that is full"),
        pytest.param(
            ["export", "--csv", "/nowhere/x.csv"], "--csv /nowhere/x.csv: there is no folder /nowhere", id="no folder"
        ),
    ],
)
def test_a_mistake_is_a_sentence(arguments: list[str], says: str) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "guardctl", *arguments],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr.strip()) == (2, says)
