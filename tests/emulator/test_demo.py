"""`make demo` as a person meets it. Telling the whole story takes about a minute and a half."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lab.stage import PROJECT
from lab.story import overlaps
from tests.support import eventually

COMMAND = [sys.executable, "-m", "lab.demo"]

OUTCOMES = [
    r"deploy the stage: 2 functions, 5 state machines",
    r"25 starts at once during a run: 25 skipped, each naming run-000001",
    r"25 starts at once after its end: 1 started run-000002, 24 named it",
    r"a start during a task by hand: skipped, naming task \w{8}",
    r"a start after a run was aborted: skipped, naming its live task \w{8}; once that ended, run-000004",
    r"two jobs of one pool: day-close waited and got run-000002, before the next import",
    r"chalice invoke -n check: see below",
    r"the schedule fires: run-000001 for \d\d:\d\d UTC, its task has the 3 BATCH_… variables",
    r"its event is delivered twice: one guard execution for \d\d:\d\d UTC",
]


def at(second: int) -> datetime:
    """That second of an hour."""
    return datetime(2026, 11, 23, 18, 0, 0, tzinfo=UTC) + timedelta(seconds=second)


@pytest.mark.parametrize(
    ("spans", "met"),
    [
        pytest.param({"a": (0, 10), "b": (10, 20), "c": (21, 30)}, [], id="one after another"),
        pytest.param({"a": (0, 11), "b": (10, 20)}, [("a", "b")], id="one began before the other had ended"),
        pytest.param({"b": (3, 4), "a": (0, 10), "c": (4, 5)}, [("b", "a"), ("a", "c")], id="one within the other"),
        pytest.param({"a": (0, 10), "b": (0, 10)}, [("a", "b")], id="at the very same time"),
    ],
)
def test_overlaps_are_counted(spans: dict[str, tuple[int, int]], met: list[tuple[str, str]]) -> None:
    assert overlaps({name: (at(began), at(ended)) for name, (began, ended) in spans.items()}) == met


@contextmanager
def demo(temporary: Path) -> Iterator["subprocess.Popen[str]"]:
    """The demo in a process group of its own, as a shell starts it; `temporary` is its directory for files."""
    running = subprocess.Popen(
        COMMAND,
        cwd=PROJECT,
        env={**os.environ, "TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield running
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.communicate()


def processes_with(temporary: Path) -> list[str]:
    """The processes that were told to keep their files here: the demo's own, and the emulator's."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if str(temporary).encode() in environment.read_bytes():
                found.append(environment.parent.name)
        except OSError:  # it has just ended, or is somebody else's
            continue
    return found


@pytest.mark.long
def test_every_step_of_the_story_holds(tmp_path: Path) -> None:
    """About 90 s: EventBridge's first tick comes a minute after the deployment."""
    with demo(tmp_path) as running:
        output, errors = running.communicate(timeout=400)
    assert (running.returncode, errors) == (0, ""), output + errors
    told = [line.removeprefix("ok  ") for line in output.splitlines() if line.startswith("ok  ")]
    assert len(told) == len(OUTCOMES)
    for line, outcome in zip(told, OUTCOMES, strict=True):
        assert re.fullmatch(outcome + r" \(\d+\.\d s\)", line)
    _, _, table = output.partition("what was tried")
    assert [line[0] for line in table.splitlines() if line[:1].strip()].count("✓") == len(OUTCOMES)
    # One start more for each minute that turned since the tick.
    assert re.search(r"^(59|6[01]) starts, 7 runs, 0 overlaps$", output, re.MULTILINE)
    assert '"outcome": "skip"' in output
    assert list(tmp_path.iterdir()) == []


def is_deploying(temporary: Path) -> bool:
    """Three processes deep, it runs chalice."""
    commands = (Path("/proc", pid, "cmdline").read_bytes().split(b"\0") for pid in processes_with(temporary))
    return any(b"deploy" in command and any(b"chalice.cli" in word for word in command) for command in commands)


def interrupted(running: "subprocess.Popen[str]", temporary: Path) -> None:
    """It ended as an interrupted program should."""
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert errors == "Interrupted: the emulator is stopped, and nothing is left behind.\n"
    assert list(temporary.iterdir()) == []
    if sys.platform == "linux":
        eventually(lambda: not processes_with(temporary), within=10, what="no process of the demo is left")


@pytest.mark.long
def test_ctrl_c_during_the_story_leaves_nothing(tmp_path: Path) -> None:
    """About 15 s: the deployment comes first."""
    with demo(tmp_path) as running:
        assert running.stdout
        while not (line := running.stdout.readline()).startswith("ok  deploy"):
            assert line, "it ended before it was interrupted"
        os.killpg(running.pid, signal.SIGINT)  # as a terminal does
        interrupted(running, tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="it takes /proc to see how far the deployment is")
def test_interrupting_the_deployment_leaves_nothing(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        eventually(lambda: is_deploying(tmp_path), within=60, what="the deployment has got to chalice")
        running.send_signal(signal.SIGINT)  # and to nobody else: it has to pass it on
        interrupted(running, tmp_path)


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SFN"])
def test_it_refuses_an_endpoint_that_is_not_on_this_machine(variable: str) -> None:
    endpoint = "https://states.eu-west-1.amazonaws.com"
    done = subprocess.run(
        COMMAND,
        cwd=PROJECT,
        env={**os.environ, variable: endpoint},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "refuses to run against anything but a loopback endpoint" in done.stderr
    assert f"{endpoint!r} ({variable})" in done.stderr
