"""The project's commands as forks of a process in which the libraries are loaded already.

Loading them takes longer than most commands do. The modules of the project are loaded by each command, out of the
stage's own copy, as if a person had typed it. That a command works in a process of its own, the tests of the command
line see (`tests/unit/test_command_line.py`), and those of Ctrl-C and of people's permissions.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

_PROJECT = str(Path(__file__).resolve().parent.parent)


def forked(
    module: str, arguments: Sequence[str], directory: Path, environment: Mapping[str, str], stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """``python -m module …`` in `directory`, without loading what is loaded. See `lab.stage.Runner`."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.libraries"])
    with tempfile.TemporaryDirectory() as temporary:
        streams = [Path(temporary, name) for name in ("in", "out", "err")]
        streams[0].write_text(stdin or "", encoding="utf-8")
        command: Any = processes.Process(
            target=_run, args=(module, [*arguments], directory, dict(environment), streams)
        )
        command.start()
        try:
            command.join()
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(command.pid, 9)
            raise
        out, err = (path.read_text(encoding="utf-8") for path in streams[1:])
    return subprocess.CompletedProcess([module, *arguments], command.exitcode, out, err)


def _run(
    module: str, arguments: Sequence[str], directory: Path, environment: Mapping[str, str], streams: Sequence[Path]
) -> None:
    os.setpgid(0, 0)  # what it starts belongs to it, also when it is ended
    for number, path in enumerate(streams):
        opened = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)  # multiprocessing gives its children none
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(directory)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tests", "lab", "chalicelib", "guardctl")]:
        del sys.modules[name]
    sys.path[:] = [str(directory), *(path for path in sys.path if path not in ("", _PROJECT))]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
