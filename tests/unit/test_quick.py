"""`make unit` must see all that pytest sees: its forks report every failure, and one that dies is not taken for done."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents import ROOT

pytestmark = pytest.mark.thorough

FILES = {
    "test_a.py": "import pytest\n@pytest.fixture\ndef broken():\n    raise OSError('no disk')\ndef test_error(broken): ...\ndef test_ok(): ...\n",
    "test_b.py": "import pytest\ndef test_fails():\n    assert 1 == 2\n@pytest.mark.xfail\ndef test_known():\n    assert 0\n",
    "test_c.py": "def test_fine(tmp_path): ...\n",
}


def run(directory: Path, files: dict[str, str], *options: str) -> "subprocess.CompletedProcess[str]":
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "tests.quick", "-p", "no:cacheprovider", f"--rootdir={directory}"]
    return subprocess.run(
        [*command, *options, str(directory)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_every_outcome_is_told(tmp_path: Path) -> None:
    done = run(tmp_path, FILES)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "1 failed, 2 passed, 1 xfailed, 1 error" in done.stdout
    assert "no disk" in done.stdout
    assert "assert 1 == 2" in done.stdout


def test_all_is_well_only_if_all_have_run(tmp_path: Path) -> None:
    assert run(tmp_path, {"test_c.py": FILES["test_c.py"]}).returncode == pytest.ExitCode.OK
    assert run(tmp_path, {}, "-k", "nothing_of_that_name").returncode == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_process_that_dies_is_told(tmp_path: Path) -> None:
    done = run(tmp_path, {"test_d.py": "import os\ndef test_dies():\n    os._exit(0)\n"})
    assert done.returncode not in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
    assert "a process that ran tests has died" in done.stdout + done.stderr


def test_a_file_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    done = run(tmp_path, FILES | {"test_e.py": "import nothing_of_that_name\n"})
    assert done.returncode == pytest.ExitCode.INTERRUPTED
    assert "1 error" in done.stdout
