"""A Python that has loaded libraries, and becomes each command that it is asked for.

It is started as a file, as ``python -P forks.py <socket> <code that loads>``: nothing of the project is on its path. It
listens on the socket, forks for each command, and ends with the process that has started it. A command gets the
arguments, the folder, the environment and the three streams of whoever asked, and ends as it would have by itself. The
emulator's Lambda workers are such forks; and in tests the emulators themselves, and commands.
"""

import gc
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn


def start(path: str, load: str) -> "subprocess.Popen[bytes]":
    """Start such a process, that will listen on `path`; its folder is removed when this process has ended."""
    return subprocess.Popen(
        [sys.executable, "-P", os.path.abspath(__file__), path, load], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def wait(process: "subprocess.Popen[bytes]") -> None:
    """Until it listens."""
    assert process.stdout
    if process.stdout.readline() != b"ready\n":
        raise RuntimeError(f"what forks are made of could not be loaded: {process.args!r}")


class Fork:
    """``python arguments`` in `directory`, in a session of its own if asked. To be used as `subprocess.Popen`."""

    def __init__(
        self,
        path: str,
        arguments: Sequence[str],
        directory: str,
        environment: Mapping[str, str],
        streams: Sequence[int],
        *,
        session: bool = False,
        executable: str = sys.executable,
    ) -> None:
        """Ask on the socket `path`. `streams` are its stdin, stdout and stderr; the caller closes its own of them."""
        self.args = arguments
        self.returncode: int | None = None
        asked: dict[str, Any] = {"session": session, "executable": executable, "directory": directory}
        asked |= {"arguments": [*arguments], "environment": dict(environment)}
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            socket.send_fds(connection, [json.dumps(asked).encode() + b"\n"], streams)
            self._answer = connection.makefile()
        self.pid = int(self._answer.readline())

    def poll(self) -> int | None:
        """Its exit code if it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code. Raises `subprocess.TimeoutExpired` after that many seconds."""
        if self.returncode is None:
            if timeout is not None and not select.select([self._answer], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout)
            self.returncode = int(self._answer.readline())
            self._answer.close()
        return self.returncode

    def terminate(self) -> None:
        """As `subprocess.Popen`."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """As `subprocess.Popen`."""
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


def serve(path: str) -> dict[str, Any]:
    """Answer on the socket `path`. Returns what was asked, in the fork that is to become it."""
    asking: dict[int, socket.socket] = {}
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)  # or nothing would be written below
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([listener, sys.stdin, woken], [], [])
            if sys.stdin in ready:  # whoever has started this is gone
                shutil.rmtree(os.path.dirname(os.path.abspath(path)), ignore_errors=True)
                os._exit(0)
            if woken in ready:
                os.read(woken, 4096)
                _tell_who_has_ended(asking)
            if listener in ready:
                connection, _ = listener.accept()
                asked, streams = _asked(connection)
                if not asked:  # whoever asked is gone
                    connection.close()
                    continue
                command = os.fork()
                if not command:
                    break
                for stream in streams:
                    os.close(stream)
                asking[command] = connection
                _tell(connection, command)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for other in (connection, *asking.values()):
        other.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    return asked


def _asked(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    message, streams, _, _ = socket.recv_fds(connection, 1_000_000, 3)
    while not message.endswith(b"\n"):
        more = connection.recv(1_000_000)
        if not more:
            return {}, streams
        message += more
    return json.loads(message), streams


def _tell_who_has_ended(asking: dict[int, socket.socket]) -> None:
    while asking:
        command, status = os.waitpid(-1, os.WNOHANG)
        if not command:
            return
        with asking.pop(command) as connection:
            _tell(connection, os.waitstatus_to_exitcode(status))


def _tell(connection: socket.socket, number: int) -> None:
    with suppress(OSError):  # by now, whoever asked may be gone
        connection.sendall(b"%d\n" % number)


def become(session: bool, arguments: list[str], directory: str, environment: dict[str, str], executable: str) -> None:
    """What ``python arguments`` does, of ``-m module``, ``-c code`` and ``[-P] file``. Raises what that raises."""
    if session:
        os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # to be looked up in that
    time.tzset()
    os.chdir(directory)
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    sys.executable = executable
    kind, *rest = arguments
    if kind == "-P":
        sys.argv = rest
        runpy.run_path(rest[0], run_name="__main__")
    elif kind == "-m":
        sys.path.insert(0, directory)
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.path.insert(0, "")
        sys.argv = [kind, *rest[1:]]
        exec(rest[0], {"__name__": "__main__"})
    else:
        sys.path.insert(0, os.path.dirname(kind))
        sys.argv = arguments
        runpy.run_path(kind, run_name="__main__")


def end(command: Callable[[], None]) -> NoReturn:
    """As Python ends it, but for clearing away all that was loaded."""
    code: object = 0
    try:
        command()
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # waits for its threads
    if not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


if __name__ == "__main__":
    exec(sys.argv[2], {})
    gc.freeze()  # or each fork would go through it all, and so have its own copy
    gc.disable()  # a command is over before that pays
    asked = serve(sys.argv[1])
    end(lambda: become(**asked))
