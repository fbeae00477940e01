"""The project's commands as forks of a process in which the libraries are loaded already (`lab/forks.py`).

Loading them takes longer than most commands do, and so it is with what they start: chalice, and chalice's pip. The
modules of the project are those of the stage's own copy: guardctl's are loaded once for as long as no file of the copy
changes, but for the commands themselves, and Chalice loads them as ever. That a command works in a process of its own,
the tests of the command line see (`tests/unit/test_command_line.py`), those of Ctrl-C, of the demo and of what is typed
without an account.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from lab import forks
from lab.emulator_process import BOTO

# For `sys.executable` of a command: what it starts is a fork, too, if it is code that is given on the command line.
_EXECUTABLE = """#!{python} -IS
import json, os, socket, sys
arguments = sys.argv[1:]
if arguments[:2] == ["-B", "-c"]:
    del arguments[0]
if arguments[:1] != ["-c"]:
    os.execv({python!r}, [{python!r}, *arguments])
asked = {{"session": False, "arguments": arguments, "directory": os.getcwd(), "environment": dict(os.environ)}}
asked["executable"] = __file__
connection = socket.socket(socket.AF_UNIX)
connection.connect({path!r})
socket.send_fds(connection, [json.dumps(asked).encode() + b"\\n"], [0, 1, 2])
code = int(connection.makefile().read().split()[1])
sys.exit(code if code >= 0 else 128 - code)
"""


# All but the commands, and the console, which looks at its environment when it is loaded.
_LOAD_PROJECT = """
import importlib, os, pathlib, sys
sys.path[0] = os.getcwd()
for file in sorted([*pathlib.Path("chalicelib").rglob("*.py"), *pathlib.Path("guardctl").rglob("*.py")]):
    name = ".".join(file.with_suffix("").parts).removesuffix(".__init__")
    if "guardctl.console" not in file.read_text(encoding="utf-8") and file.stem not in ("console", "__main__"):
        importlib.import_module(name)
assert "guardctl.console" not in sys.modules
"""

LINTER = ".lint"
"""cfn-lint is in a process of its own, or each fork would have more to copy."""

_RUNTIME = ".runtime"
_COMPILED = {"PYTHONDONTWRITEBYTECODE": "1"}
"""What is compiled is in the memory of forks (`tests/loaded.py`)."""


def forked(
    arguments: Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    stdin: str | None = None,
    *,
    loaded: str = "",
) -> subprocess.CompletedProcess[str]:
    """``python arguments`` in `directory`, without loading what is loaded: a `lab.stage.Runner`. `loaded`: `LINTER`."""
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as given,
        tempfile.TemporaryFile("w+", encoding="utf-8") as out,
        tempfile.TemporaryFile("w+", encoding="utf-8") as err,
    ):
        given.write(stdin or "")
        given.seek(0)
        streams = [stream.fileno() for stream in (given, out, err)]
        where = server() + loaded
        if [*arguments[:2]] == ["-m", "guardctl"]:
            where = _with_project(directory, _state(directory))
        environment = {**environment, **_COMPILED}
        fork = forks.Fork(where, arguments, str(directory), environment, streams, session=True, executable=python())
        try:
            code = fork.wait()
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(fork.pid, signal.SIGKILL)
            raise
        return subprocess.CompletedProcess([*arguments], code, _all_of(out), _all_of(err))


def forked_emulator(
    arguments: Sequence[str], directory: Path, environment: Mapping[str, str], streams: Sequence[int]
) -> forks.Fork:
    """A `lab.emulator.Begin`: a third of what an emulator computes is loading, and unpacking what others have, too."""
    shared = {"BATCH_GUARD_UNPACKED": str(Path(server()).parent), "BATCH_GUARD_FORKS": server() + _RUNTIME}
    return forks.Fork(server(), arguments, str(directory), {**environment, **shared}, streams, session=True)


def python() -> str:
    """An executable that is this Python; ``-c code`` is forked."""
    return f"{server()}.python"


def _all_of(file: TextIO) -> str:
    file.seek(0)
    return file.read()


@functools.cache
def server() -> str:
    """Where forks are to be had, as long as this process lives, or a fork of it."""
    path, processes = begin()
    for process in processes:
        forks.wait(process)
    return path


@functools.cache
def _with_project(directory: Path, _: int) -> str:
    """Where forks are to be had that have loaded the project of that folder, as its files are now."""
    path = f"{tempfile.mkdtemp()}/forks"
    given, _held = os.pipe()  # open as long as this process lives, and so long does the other
    ready, out = os.pipe()
    arguments = [forks.__file__, path, _LOAD_PROJECT]
    forks.Fork(server(), arguments, str(directory), {**os.environ, **_COMPILED}, (given, out, 2), executable=python())
    os.close(given)
    os.close(out)
    with os.fdopen(ready) as lines:
        assert lines.readline() == "ready\n", f"the project in {directory} can't be loaded"
    return path


def _state(directory: Path) -> int:
    """What changes when a module does."""
    folders = [directory / "chalicelib", directory / "guardctl"]
    found = []
    for folder in folders:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(Path(entry))
                elif entry.name.endswith(".py"):
                    found.append((entry.path, entry.stat().st_mtime_ns))
    return hash(tuple(found))


@functools.cache
def begin() -> tuple[str, list[subprocess.Popen[bytes]]]:
    """Start what `server` waits for: it loads libraries for two seconds."""
    path = f"{tempfile.mkdtemp()}/forks"
    executable = Path(f"{path}.python")  # see `python`
    executable.write_text(_EXECUTABLE.format(python=sys.executable, path=path), encoding="utf-8")
    executable.chmod(0o755)
    loaded = Path(__file__).with_name("loaded.py")
    loads = {
        path: f"import runpy; runpy.run_path({str(loaded)!r})",
        path + _RUNTIME: BOTO,
        path + LINTER: "import cfnlint.runner",
    }
    return path, [forks.start(*each) for each in loads.items()]
