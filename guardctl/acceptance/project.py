"""Deploying the throwaway stage from a copy of the project, so that nothing in the user's own directory changes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from chalicelib.config import blocks
from guardctl.errors import AWS, Stop
from guardctl.stage import PROJECT

_COPIED = ("app.py", "chalicelib", "guardctl", "requirements.txt", ".chalice")
_LEFT = shutil.ignore_patterns("__pycache__", "deployed")
_STOPS_WITHIN = 10.0


@contextmanager
def copied(stage: str, jobs: str, tags: Mapping[str, str]) -> Iterator[Path]:
    """A copy of the project that knows one stage only, whose jobs file has the text `jobs`; removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="batch-guard-acceptance-") as temporary:
        directory = Path(temporary)
        for entry in _COPIED:
            source = PROJECT / entry
            if source.is_dir():
                shutil.copytree(source, directory / entry, ignore=_LEFT)
            else:
                shutil.copy(source, directory / entry)
        files = directory / "chalicelib" / "jobs"
        for file in files.glob("*.toml"):
            file.unlink()
        (files / f"{stage}.toml").write_text(jobs, encoding="utf-8")
        config = directory / ".chalice" / "config.json"
        settings = json.loads(config.read_text(encoding="utf-8"))
        config.write_text(json.dumps(settings | {"tags": dict(tags), "stages": {stage: blocks.block(stage)}}), "utf-8")
        yield directory


def deploy(directory: Path, stage: str) -> None:
    """``guardctl deploy`` in the copy. Raises `Stop` with what it printed if it fails.

    It has a process group of its own: Ctrl-C is for us, and it is ended, with the chalice that it started, before
    anything is removed.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "guardctl", "deploy", "--stage", stage],
        cwd=directory,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            stdout, stderr = process.communicate()
        except BaseException:
            _end(process)
            raise
    if process.returncode:
        raise Stop(f"the stage could not be deployed:\n{stdout}{stderr.strip()}", AWS)


def _end(process: "subprocess.Popen[str]") -> None:
    """SIGINT first: Chalice writes down what it has made."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOPS_WITHIN)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
