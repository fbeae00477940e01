"""`make emulator`: the README's first job, for somebody who has no AWS account."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import pytest

from lab.emulator import ACCOUNT, Emulator
from lab.stage import PROJECT, LocalStage, local_stage
from lab.without_account import READY
from tests.commands import forked
from tests.documents import read
from tests.support import eventually

FIRST_JOB = next(
    text
    for section in read("README.md")
    for language, text in section.blocks
    if language == "toml" and "[jobs." in text
)
ON_ITS_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp("sh", ["sh", "-c", 'make -f "$0"; exit $?', sys.argv[1]])
"""
CTRL_C = b"\x03"
ANOTHER = """
[jobs.day-close.ecs]
task_definition = "close:3"
container = "main"
"""


class Made(NamedTuple):
    """`make emulator`, started on a terminal, in a copy of the project with the README's first job."""

    project: Path
    temporary: Path
    running: subprocess.Popen[str]
    typed: IO[bytes]
    """The other side of its terminal."""


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    nowhere = Emulator(endpoint="", region="", account="", log=tmp_path)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with local_stage(nowhere, name="dev", jobs=FIRST_JOB) as copy:
        command = f"{sys.executable} -m lab.without_account {copy.directory} --seconds 2"
        (temporary / "Makefile").write_text(f"emulator:\n\t@{command}\n")
        running, typed = on_its_terminal(temporary)
        try:
            yield Made(copy.directory, temporary, running, typed)
        finally:
            if running.poll() is None:
                typed.write(CTRL_C)
            typed.close()
            running.communicate(timeout=60)


def on_its_terminal(temporary: Path) -> tuple[subprocess.Popen[str], IO[bytes]]:
    other_side, terminal = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-c", ON_ITS_TERMINAL, str(temporary / "Makefile")],
        cwd=PROJECT,
        env={**os.environ, "TMPDIR": str(temporary)},
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    os.close(terminal)
    return running, open(other_side, "wb", buffering=0)


def told(running: subprocess.Popen[str], last: str) -> str:
    """What it says, up to that line."""
    assert running.stdout
    lines: list[str] = []
    while not lines or last not in lines[-1]:
        lines.append(running.stdout.readline())
        assert lines[-1], f"it ended: {running.communicate()}"
    return "".join(lines)


def test_closing_the_terminal_ends_it(made: Made) -> None:
    told(made.running, READY)
    deployed = made.project / ".chalice" / "deployed"
    deployed.mkdir()
    (deployed / "dev.json").write_text(f'"arn:aws:lambda:us-east-1:{ACCOUNT}:function:check"')
    made.typed.close()
    made.running.wait(60)
    eventually(lambda: not [*deployed.iterdir()], within=10, what="what Chalice remembers is forgotten")
    eventually(lambda: left(made) == ["Makefile"], within=10, what="the emulator is gone")


def left(made: Made) -> list[str]:
    return [file.name for file in made.temporary.iterdir()]


def test_the_first_job_runs_on_this_machine_and_ctrl_c_forgets_it(made: Made, tmp_path: Path) -> None:
    ready = told(made.running, READY)
    assert "stage dev: task definition report:1 with container app" in ready
    exports = dict(re.findall(r"^export (\w+)=(.+)$", ready, re.MULTILINE))
    aws = Emulator(
        endpoint=exports["AWS_ENDPOINT_URL"],
        region=exports["AWS_DEFAULT_REGION"],
        account=exports["AWS_ACCESS_KEY_ID"],
        log=tmp_path,
    )
    assert exports.items() <= aws.environment().items()
    stage = LocalStage(aws, made.project, "dev", forked)
    assert " 0 NG" in stage.command("guardctl", "verify").stdout
    of_a_real_account = made.project / ".chalice" / "deployed" / "prod.json"
    stage.command("guardctl", "deploy")
    of_a_real_account.write_text("{}")

    waited = stage.command("guardctl", "run", "nightly-report", "--wait").stdout
    assert "run-000001" in waited
    assert stage.ended(stage.run_arn("nightly-report", "run-000001"))["status"] == "SUCCEEDED"
    assert "1 ok" in stage.command("guardctl", "status").stdout
    files = [file for file in (made.project / ".chalice").glob("*") if file.is_file()]
    assert not [file.name for file in files if exports["AWS_ACCESS_KEY_ID"] in file.read_text()]  # to be committed
    answer = json.loads(stage.chalice("invoke", "-n", "check", stdin='{"job": "nightly-report"}').stdout)
    assert (answer["outcome"], answer["running_flg"]) == ("start", False)

    with (made.project / "chalicelib" / "jobs" / "dev.toml").open("a") as file:
        file.write(ANOTHER)
    told(made.running, "stage dev: task definition close:3 with container main")

    made.typed.write(CTRL_C)
    output, errors = made.running.communicate(timeout=60)
    assert (made.running.returncode, errors) == (0, ""), output
    assert [file.name for file in of_a_real_account.parent.iterdir()] == ["prod.json"]
    assert left(made) == ["Makefile"]
