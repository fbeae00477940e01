"""The command line as a person and as a script meet it: help, exit codes, words, and never a traceback."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from typer.main import get_command

from guardctl.__main__ import app
from guardctl.errors import AWS, EXIT_CODES, INTERRUPTED, NOT_RUN, OK, USAGE
from lab.stage import LocalStage

# Typer's own command class carries no types of its own.
COMMANDS: Mapping[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
REGION = ("AWS_REGION", "AWS_DEFAULT_REGION")


def guardctl(
    stage: LocalStage, *arguments: str, without: tuple[str, ...] = (), **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Run a command in the stage's directory, without some variables and with others. It never shows a traceback."""
    environment = {k: v for k, v in stage.emulator.environment().items() if k not in without} | variables
    done = subprocess.run(
        [sys.executable, "-m", "guardctl", *arguments],
        cwd=stage.directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert "Traceback" not in done.stderr + done.stdout
    return done


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_help_of_every_command_has_an_example_and_the_exit_codes(name: str) -> None:
    command = COMMANDS[name]
    examples = re.findall(r"Example: (?:python -m guardctl|make) (\S+)", command.epilog)
    assert examples == [name]
    assert command.epilog.count("Exit codes: 0 ") == 1
    assert command.help


def test_the_exit_codes_in_the_help_are_those_of_the_code() -> None:
    assert re.findall(r"\b(\d+) ", EXIT_CODES) == [str(c) for c in (OK, NOT_RUN, USAGE, AWS, INTERRUPTED)]


def test_what_chalice_refuses_is_not_called_done(stage: LocalStage) -> None:
    refused = guardctl(stage, "package", "--stage", stage.name, without=REGION)
    assert refused.returncode == AWS
    assert "wrote" not in refused.stdout
    assert refused.stderr.startswith(f"chalice package --stage {stage.name}")
    assert "No region configured" in refused.stderr


def test_without_a_command_the_help_lists_all_of_them(stage: LocalStage) -> None:
    shown = guardctl(stage, COLUMNS="80").stderr
    assert "..." not in shown.partition("Commands:")[2], "a first sentence is too long for 80 columns"
    listed = re.findall(r"^  ([a-z]+) {2,}", shown.partition("Commands:")[2], re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)


MISTAKES = [
    pytest.param(["bogus"], "No such command 'bogus'", id="an unknown command"),
    pytest.param(["status", "--bogus"], "No such option: --bogus", id="an unknown option"),
    pytest.param(["run"], "Missing argument", id="no job"),
    pytest.param(["run", "nope", "--stage", "e2e"], "no job 'nope' in stage e2e; the jobs are: ", id="an unknown job names the known ones"),
    pytest.param(["status", "--stage", "nope"], "the stages that exist: dev, e2e, local", id="an unknown stage names the known ones"),
    pytest.param(["deploy", "--stage", "nope"], ".chalice/config.json has no stage 'nope'", id="a stage that chalice does not know"),
    pytest.param(["destroy", "--stage", "nope"], ".chalice/config.json has no stage 'nope'", id="and to remove"),
    pytest.param(["package", "--stage", "nope"], ".chalice/config.json has no stage 'nope'", id="and to package"),
    pytest.param(["template", "--stage", "Up-1"], '"Up-1" is not a stage name', id="a name that no stage can have"),
    pytest.param(["run", "idle", "--stage", "e2e", "--command", "say 'hello"], "can't be split: No closing quotation", id="a quote that is not closed"),
    pytest.param(["run", "idle", "--stage", "e2e", "--scheduled-at", "noon"], "'noon' is not a time", id="a time that is none"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "words"), MISTAKES)
def test_a_mistake_ends_with_2_and_says_what_would_be_right(
    stage: LocalStage, arguments: list[str], words: str
) -> None:
    done = guardctl(stage, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


ASK = ["status --stage e2e", "run idle --stage e2e", "deploy --stage e2e --dry-run", "destroy --stage e2e --yes"]


@pytest.mark.parametrize("command", ASK)
@pytest.mark.parametrize(
    ("without", "variables", "words"),
    [
        pytest.param(KEYS, {}, "no AWS credentials: set AWS_PROFILE, or run", id="no credentials"),
        pytest.param(REGION, {}, "no AWS Region: set AWS_DEFAULT_REGION, or a region in the profile", id="no Region"),
        pytest.param(KEYS, {"AWS_PROFILE": "nobody"}, "The config profile (nobody) could not be found", id="no such profile"),
    ],
)  # fmt: skip
def test_aws_that_can_not_be_asked_ends_with_3_and_says_what_to_set(
    stage: LocalStage, command: str, without: tuple[str, ...], variables: dict[str, str], words: str
) -> None:
    done = guardctl(stage, *command.split(), without=without, **variables)
    assert done.returncode == 3
    assert done.stderr.startswith(words)


def test_a_stage_that_is_not_deployed_is_said_to_be_so(stage: LocalStage) -> None:
    done = guardctl(stage, "run", "nightly-report", "--stage", "dev")
    assert done.returncode == 3
    assert "python -m guardctl deploy --stage dev" in done.stderr
    states = json.loads(guardctl(stage, "status", "--stage", "dev", "--json").stdout)
    assert {line["state"] for line in states} == {"not deployed"}


def test_a_faulty_jobs_file_is_told_all_its_faults_at_once(stage: LocalStage) -> None:
    file = stage.directory / "chalicelib" / "jobs" / "faulty.toml"
    file.write_text('[jobs.Bad]\nscheduel = "daily"\n[jobs.good]\ntimezone = "Mars"\n', encoding="utf-8")
    try:
        told = [guardctl(stage, command, "--stage", "faulty") for command in ("validate", "template", "status")]
    finally:
        file.unlink()
    assert [done.returncode for done in told] == [2, 2, 2]
    assert {done.stderr for done in told} == {told[0].stderr}, "the same for every command"
    for place in ("jobs.Bad", "jobs.Bad.scheduel", "jobs.good.timezone", "jobs.good.ecs"):
        assert f"faulty.toml:{place}" in told[0].stderr


def test_a_faultless_jobs_file_is_counted(stage: LocalStage) -> None:
    assert guardctl(stage, "validate", "--stage", "dev").stdout == "dev: 2 jobs, no fault\n"


def test_the_template_is_json_and_needs_neither_credentials_nor_a_region(stage: LocalStage) -> None:
    done = guardctl(stage, "template", "--stage", "dev", without=(*KEYS, *REGION))
    assert "GuardMachine" in json.loads(done.stdout)["Resources"]


def test_a_run_that_starts_ends_with_0_and_one_that_steps_back_with_1(stage: LocalStage) -> None:
    first = guardctl(stage, "run", "by-hand", "--stage", "e2e", "--json", "--command", "bin/x --title 'a b'")
    assert first.returncode == 0
    told = json.loads(first.stdout)
    assert (told["ok"], told["started"], told["run"]) == (True, True, stage.run_arn("by-hand", "run-000001"))
    task = stage.describe_task("by-hand", stage.a_task("by-hand"))
    assert task["overrides"]["containerOverrides"][0]["command"] == ["bin/x", "--title", "a b"]

    second = guardctl(stage, "run", "by-hand", "--stage", "e2e", "--json")
    assert second.returncode == 1
    assert json.loads(second.stdout)["ok"] is False
    third = guardctl(stage, "run", "by-hand", "--stage", "e2e")
    assert third.returncode == 1
    assert third.stdout.startswith("by-hand: not started: BatchGuard.AlreadyRunning: run-000001 has been running")
    assert third.stderr == "how it stands: python -m guardctl status by-hand --stage e2e\n"
    stage.finish("by-hand")


def started(stage: LocalStage, *arguments: str) -> "subprocess.Popen[str]":
    """A command that is not waited for."""
    return subprocess.Popen(
        [sys.executable, "-m", "guardctl", *arguments, "--stage", "e2e"],
        cwd=stage.directory,
        env=stage.emulator.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_ends_the_waiting_with_130_and_not_the_run(stage: LocalStage) -> None:
    with started(stage, "run", "interrupted", "--wait") as waiting:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "interrupted: started run-000001\n"
        waiting.send_signal(signal.SIGINT)
        stdout, stderr = waiting.communicate(timeout=30)
    assert (waiting.returncode, stdout) == (130, "")
    assert stderr.endswith("interrupted\n")
    assert "Traceback" not in stderr
    assert [run["status"] for run in stage.runs("interrupted")] == ["RUNNING"]
    stage.a_task("interrupted")

    with started(stage, "stop", "interrupted") as asking:
        assert asking.stdout is not None
        while not asking.stdout.readline(1).endswith("?"):
            pass
        asking.send_signal(signal.SIGINT)
        _, stderr = asking.communicate(timeout=30)
    assert asking.returncode == 130, "Ctrl-C is no answer"
    assert stderr.endswith("interrupted\n")
    assert [run["status"] for run in stage.runs("interrupted")] == ["RUNNING"]
    stage.finish("interrupted")
