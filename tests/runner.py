"""A plugin of pytest, ``-p tests.runner``, for `make test` and `make unit`: forks run the tests side by side.

The first process imports and collects once. Its forks, the workers, each take one of `tests.workers.scopes` after the
other, with fixtures as in a pytest of their own, and tell what there is to report. All that is printed is printed by
the first. Without the plugin pytest's own loop runs all, in one process.
"""

from __future__ import annotations

import mmap
import os
import pickle
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe, connection
from pathlib import Path
from typing import Any, Literal

import pytest

from tests import commands
from tests.workers import on_emulator, scopes

Scopes = list[list[pytest.Item]]

_TURN = 2
"""Bytes of a scope's number: so few are read from a pipe at once or not at all."""
_NAME = 1024
"""Bytes that are noted of a test's name."""


@dataclass(frozen=True)
class _Worker:
    pid: int
    told: connection.Connection
    test: mmap.mmap
    """The name of the test that it runs: memory of both processes."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--workers", type=int, metavar="N", help="processes that run tests; one per core, unless told")


def pytest_collect_file(file_path: Path) -> None:
    """What the tests there need loads while the others are collected."""
    if file_path.parent.name == "emulator":
        commands.begin()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Instead of pytest's own loop, but where there is nothing to run."""
    config = session.config
    if session.testsfailed or config.option.collectonly:
        return None
    if any(map(on_emulator, session.items)):
        commands.server()  # or each worker would start one
    workers = _start(session, config.option.workers or _cores())
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # as Ctrl-C, or the workers would go on for a while
    missing = {item.nodeid for item in session.items}
    try:
        for kind, told in _told(workers):
            if kind == "report":
                report = config.hook.pytest_report_from_serializable(config=config, data=told)
                config.hook.pytest_runtest_logreport(report=report)
                missing.discard(report.nodeid)
            elif kind == "warning":
                nodeid, text, category, file, line = told
                message = warnings.WarningMessage(text, type(category, (Warning,), {}), file, line)
                kwargs = {"warning_message": message, "when": "runtest", "nodeid": nodeid, "location": None}
                config.hook.pytest_warning_recorded.call_historic(kwargs=kwargs)
            else:
                sys.stderr.write(told)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
    finally:
        _end([*workers.values()])
    if missing:
        raise session.Interrupted(f"tests have not run: {len(missing)}, with {min(missing)}")
    return True


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _start(session: pytest.Session, number: int) -> dict[connection.Connection, _Worker]:
    assert threading.active_count() == 1, "an import has begun a thread, which no fork would have"
    ordered = scopes(session.items)
    turns, gives = os.pipe()
    os.write(gives, b"".join(turn.to_bytes(_TURN, "big") for turn in range(len(ordered))))
    os.close(gives)
    session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # or each worker would make one
    session.config.pluginmanager.getplugin("capturemanager").stop_global_capturing()  # or all would share its file
    sys.stdout.flush()
    sys.stderr.flush()
    workers: dict[connection.Connection, _Worker] = {}
    for place in range(min(number, len(ordered))):
        told, tells = Pipe(duplex=False)
        test = mmap.mmap(-1, _NAME)
        pid = os.fork()
        if not pid:
            try:
                for other in [*workers, told]:
                    other.close()  # a pipe breaks when nobody else can read it
                _work(session, place, ordered, turns, _Teller(session.config, tells, test))
            finally:
                os._exit(0)  # what is at the end of a process is for the first one
        tells.close()
        workers[told] = _Worker(pid, told, test)
    os.close(turns)
    return workers


def _told(workers: dict[connection.Connection, _Worker]) -> Iterator[tuple[str, Any]]:
    """What the workers tell. Who is done is taken out; one that has died ends the run."""
    while workers:
        for ready in connection.wait([*workers]):
            assert isinstance(ready, connection.Connection)
            try:
                told = pickle.loads(ready.recv_bytes())
            except (EOFError, OSError):  # the latter within what it told
                worker = workers.pop(ready)
                code = os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1])
                test = worker.test[:].rstrip(b"\0").decode(errors="replace")
                raise pytest.Session.Interrupted(f"a process that ran tests has died ({code}), in {test}") from None
            if told:
                yield told
            else:
                os.waitpid(workers.pop(ready).pid, 0)


def _end(workers: list[_Worker]) -> None:
    """Have those that are still at work tear down what they use; at a second Ctrl-C, kill them."""
    try:
        for worker in workers:
            worker.told.close()
            os.kill(worker.pid, signal.SIGINT)
        for worker in workers:
            os.waitpid(worker.pid, 0)
    except KeyboardInterrupt:
        for worker in workers:
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)
        raise


def _work(session: pytest.Session, place: int, ordered: Scopes, turns: int, teller: _Teller) -> None:
    """What a worker does. With its own directory, its own file of what is captured, and Ctrl-C from the first alone."""
    os.setpgid(0, 0)
    config = session.config
    capture, terminal = (config.pluginmanager.getplugin(name) for name in ("capturemanager", "terminalreporter"))
    capture.start_global_capturing()
    capture.suspend_global_capture()
    config.pluginmanager.unregister(terminal)
    config.pluginmanager.register(teller)
    try:
        factory = config._tmp_path_factory  # type: ignore[attr-defined]
        factory._basetemp = factory.mktemp(f"worker-{place}", numbered=False)
        try:
            after = _Next(ordered, turns)
            after.listchain()
            while scope := after.scope:
                after = _Next(ordered, turns)
                for item, following in zip(scope, [*scope[1:], after], strict=True):
                    teller.begins(item)
                    config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                    if session.shouldfail:
                        return
        finally:
            session._setupstate.teardown_exact(None)  # of a run that ends early
        teller.tell(None)
    except BrokenPipeError:  # the first process has ended, or wants no more
        pass
    except BaseException:
        with suppress(BrokenPipeError):
            teller.tell(("error", traceback.format_exc()))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


class _Next:
    """Stands for the test after the last of a scope: which it is, is asked when fixtures are torn down.

    So a worker takes no scope that another one could begin, keeps what the next test uses as well, and tears down all
    after its last.
    """

    def __init__(self, ordered: Scopes, turns: int) -> None:
        self._ordered = ordered
        self._turns = turns
        self.scope: list[pytest.Item] = []

    def listchain(self) -> list[Any]:
        """As of a `pytest.Item`, of which pytest asks no more here."""
        if not (turn := os.read(self._turns, _TURN)):
            return []
        self.scope = self._ordered[int.from_bytes(turn, "big")]
        return self.scope[0].listchain()


class _Teller:
    """A worker's plugin in the place of the terminal."""

    def __init__(self, config: pytest.Config, tells: connection.Connection, test: mmap.mmap) -> None:
        self._config = config
        self._tells = tells
        self._test = test

    def begins(self, item: pytest.Item) -> None:
        self._test[:] = item.nodeid.encode()[:_NAME].ljust(_NAME, b"\0")

    def tell(self, what: tuple[str, Any] | None) -> None:
        self._tells.send_bytes(pickle.dumps(what))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed or self._config.option.durations is not None:
            self.tell(("report", self._config.hook.pytest_report_to_serializable(config=self._config, report=report)))

    def pytest_warning_recorded(
        self,
        warning_message: warnings.WarningMessage,
        when: Literal["config", "collect", "runtest"],
        nodeid: str,
        location: tuple[str, int, str] | None,
    ) -> None:
        if when == "runtest":  # the others come again, to each plugin that is registered
            name, file = warning_message.category.__name__, warning_message.filename
            self.tell(("warning", (nodeid, str(warning_message.message), name, file, warning_message.lineno)))
