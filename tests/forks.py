"""A Python that has loaded the libraries of this project's commands, and becomes each command that it is asked for.

`tests/commands.py` starts it, as a file and not as a module: nothing of the project is on its path. It listens on the
socket that it is told, forks for each command, and ends with the process that has started it. A command gets the
arguments, the folder, the environment and the three streams of whoever asked, and ends as it would have by itself.
"""

import functools
import gc
import json
import os
import runpy
import select
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn


def serve(path: str) -> dict[str, Any]:
    """Answer on the socket `path`. Returns what was asked, in the fork that is to become it."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks that attend
        print("ready", flush=True)
        connection = None
        while connection is None:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:  # whoever has started this is gone
                shutil.rmtree(os.path.dirname(path))
                os._exit(0)
            connection, _ = listener.accept()
            if os.fork():
                connection.close()
                connection = None
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    return _attend(connection)


def _attend(connection: socket.socket) -> dict[str, Any]:
    """Fork once more, and answer with the number of that process and at last with its exit code."""
    message, streams, _, _ = socket.recv_fds(connection, 1_000_000, 3)
    while not message.endswith(b"\n"):
        message += connection.recv(1_000_000)
    asked: dict[str, Any] = json.loads(message)
    command = os.fork()
    if command == 0:
        connection.close()
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
        return asked
    for stream in streams:
        os.close(stream)
    with suppress(BrokenPipeError):  # whoever asked was killed
        connection.sendall(b"%d\n" % command)
        _, status = os.waitpid(command, 0)
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def become(group: bool, arguments: list[str], directory: str, environment: dict[str, str], executable: str) -> None:
    """What ``python arguments`` does, of ``-m module`` and ``-c code``. Raises what the command raises."""
    if group:
        os.setpgid(0, 0)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(directory)
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    sys.executable = executable
    sys.path.insert(0, directory if arguments[0] == "-m" else "")
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = ["-c", *arguments[2:]]
        exec(arguments[1], {"__name__": "__main__"})


def load() -> None:
    """Load what commands load, nothing of the project."""
    import boto3  # noqa: PLC0415 (as all these: only here, where they are what is wanted)
    import botocore.loaders  # noqa: PLC0415
    import chalice.cli.factory  # noqa: PLC0415
    import chalice.deploy.packager  # noqa: F401, PLC0415
    import cronsim  # noqa: F401, PLC0415
    import pip._internal.cli.main  # noqa: PLC0415
    import pip._internal.commands.download  # noqa: F401, PLC0415
    import rich.console  # noqa: F401, PLC0415
    import typer._adapters  # noqa: F401, PLC0415

    read = botocore.loaders.JSONFileLoader().load_file
    # Half of what a client costs is reading its service's description; each session would read it anew.
    kept = functools.cache(read)
    botocore.loaders.JSONFileLoader.load_file = lambda _, path: kept(path)  # type: ignore[assignment, method-assign]
    for service in (
        "cloudformation",
        "cloudwatch",
        "ecs",
        "events",
        "iam",
        "lambda",
        "logs",
        "s3",
        "stepfunctions",
        "sts",
    ):
        boto3.client(service, "us-east-1", aws_access_key_id="none", aws_secret_access_key="none")


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
    load()
    gc.freeze()  # or each fork would go through it all, and so have its own copy
    gc.disable()  # a command is over before that pays
    asked = serve(sys.argv[1])
    end(lambda: become(**asked))
