"""What a person meets before anything is asked of AWS: a mistake is a sentence, and a shell completes names."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from guardctl.__main__ import main
from guardctl.console import out
from guardctl.deploy import ending
from guardctl.errors import AWS, Stop, explained
from tests.documents import ROOT


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(
            ["pause", "nightly-report", "--reason", " "],
            '--reason is empty, and every start that steps back says it; write --reason "the database moves"',
            id="no reason",
        ),
        pytest.param(
            ["run", "nightly-report", "--scheduled-at", "noon"],
            "--scheduled-at 'noon' is not a time; write 03:00, \"yesterday 03:00\", 2026-11-23T18:00 or 2026-11-23T18:00Z",
            id="no time",
        ),
        pytest.param(
            ["check", "nightly-report", "--tz", "Asia/Tokio"],
            "--tz 'Asia/Tokio' is not a time zone; did you mean Asia/Tokyo?",
            id="no zone",
        ),
        pytest.param(
            ["backfill", "report", "--from", "2026-01-01", "--stage", "local"],
            "report has no schedule in the jobs file; start it with: guardctl run report --stage local",
            id="no schedule",
        ),
        pytest.param(
            ["export", "--csv", "/nowhere/x.csv"], "--csv /nowhere/x.csv: there is no folder /nowhere", id="no folder"
        ),
    ],
)
def test_a_mistake_is_a_sentence(
    arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["guardctl", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, capsys.readouterr()) == (2, ("", f"{says}\n"))


@pytest.mark.thorough
def test_a_disk_that_is_full_is_a_sentence() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "guardctl", "iam", "viewer"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr.strip()) == (2, "output: No space left on device")


@pytest.mark.thorough  # loads every command
@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        pytest.param("guardctl stop --stage local day", ["day-close"], id="a job of another stage"),
        pytest.param("guardctl run nightly-report --stage loc", ["local"], id="a stage"),
    ],
)
def test_a_shell_completes(typed: str, completed: list[str]) -> None:
    asked = {"_GUARDCTL_COMPLETE": "complete_bash", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    environment = {name: value for name, value in os.environ.items() if name != "GUARD_STAGE"} | asked
    done = subprocess.run(
        [sys.executable, "-c", "from guardctl.__main__ import main; main()"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == completed


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        pytest.param("AccessDeniedException", "guardctl iam viewer", id="not allowed"),
        pytest.param("ExpiredToken", "renew the credentials", id="credentials that have expired"),
        pytest.param("InvalidClientTokenId", "aws sts get-caller-identity", id="credentials of nobody"),
    ],
)
def test_what_aws_says_of_who_asks_comes_with_what_to_do(code: str, advice: str) -> None:
    with pytest.raises(Stop, match=f"DescribeStacks failed: {code}: no; .*{advice}") as stopped, explained():
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, "DescribeStacks")
    assert stopped.value.code == AWS


def test_ctrl_c_while_the_project_is_loaded_is_no_traceback(tmp_path: Path) -> None:
    for file in ("guardctl/__init__.py", "guardctl/__main__.py", "chalicelib/contract.py", ".chalice/config.json"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text("raise KeyboardInterrupt" if "__main__" in file else "", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", "from guardctl_command import main; main()"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_a_terminal_that_lacks_a_mark_shows_another(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), "ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "argv", ["guardctl", "--version"])
    with pytest.raises(SystemExit):
        main()
    out.print("█ ran")
    assert terminal.buffer.getvalue().endswith(b"? ran\n")


FAILED = """Traceback (most recent call last):
  File "app.py", line 239, in <module>
    jobs.load_all()
    ^^^^^^^^^^^^^^^
"""


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        pytest.param(f"{FAILED}chalicelib.JobsFileInvalid: dev.toml:jobs: one\ndev.toml:jobs: two", "dev.toml:jobs: one\ndev.toml:jobs: two", id="what app.py raises"),
        pytest.param(f"{FAILED}KeyError: 1\n\nDuring handling:\n\n{FAILED}botocore.ClientError: denied", "denied", id="the last of several"),
        pytest.param(f"{FAILED}KeyboardInterrupt", "KeyboardInterrupt", id="an error without words"),
        pytest.param("ERROR - While deploying: denied", "ERROR - While deploying: denied", id="Chalice's own words"),
    ],
)  # fmt: skip
def test_of_a_traceback_of_chalice_people_see_the_end(printed: str, told: str) -> None:
    assert ending(printed) == told
