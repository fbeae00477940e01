"""A plugin of pytest for `make unit` (``-p tests.quick``): a fork for each core runs one file of tests after the other.

These tests take milliseconds. What they import is imported, and collected, once for all; pytest-xdist does both anew in
each worker, and has each test told of three times. The output is that of one run, but for warnings, which `make test`
shows.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from itertools import groupby
from multiprocessing import Pipe, connection
from typing import Any

import pytest

_PLACE = 2
"""Bytes of a file's number: so few are read from a pipe at once or not at all."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Instead of pytest's own loop, but where there is nothing to run."""
    if session.testsfailed or session.config.option.collectonly:
        return None
    files = [[*items] for _, items in groupby(session.items, key=lambda item: item.nodeid.partition("::")[0])]
    files.sort(key=len, reverse=True)
    turns, taken = os.pipe()
    os.write(taken, b"".join(number.to_bytes(_PLACE, "big") for number in range(len(files))))
    os.close(taken)
    session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # or each fork would make its own
    forks: dict[connection.Connection, int] = {}
    for _ in range(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1):
        told, tells = Pipe(duplex=False)
        pid = os.fork()
        if not pid:
            _run(session, files, turns, tells)
        tells.close()
        forks[told] = pid
    try:
        hook = session.config.hook
        for data in _told([*forks]):
            report = hook.pytest_report_from_serializable(config=session.config, data=data)
            hook.pytest_runtest_logreport(report=report)
            if session.shouldfail:
                raise session.Failed(session.shouldfail)
    finally:
        for told, pid in forks.items():
            told.close()  # who has more to say ends by that
            os.waitpid(pid, 0)
    return True


def _told(forks: list[connection.Connection]) -> Iterator[Any]:
    """What the forks report."""
    while forks:
        for fork in connection.wait(forks):
            assert isinstance(fork, connection.Connection)
            try:
                report = pickle.loads(fork.recv_bytes())
            except EOFError:
                raise pytest.Session.Interrupted("a process that ran tests has died") from None
            if report is None:
                forks.remove(fork)
            else:
                yield report


def _run(session: pytest.Session, files: list[list[pytest.Item]], turns: int, tells: connection.Connection) -> None:
    config = session.config
    capture, terminal = (config.pluginmanager.getplugin(name) for name in ("capturemanager", "terminalreporter"))
    capture.stop_global_capturing()  # into a file that all forks have
    capture.start_global_capturing()
    config.pluginmanager.unregister(terminal)
    config.pluginmanager.register(_Teller(config, tells))
    try:
        while number := os.read(turns, _PLACE):
            items = files[int.from_bytes(number, "big")]
            for item, following in zip(items, [*items[1:], None], strict=True):
                config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        tells.send_bytes(pickle.dumps(None))
    finally:
        os._exit(0)  # what is at the end of a process is for the first one


class _Teller:
    def __init__(self, config: pytest.Config, tells: connection.Connection) -> None:
        self._config = config
        self._tells = tells

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            told = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
            self._tells.send_bytes(pickle.dumps(told))
