"""The command line as a person and as a script meet it: help, exit codes, words, and never a traceback."""

import http.server
import json
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import pytest
from typer.main import get_command

from guardctl import starts
from guardctl.__main__ import application
from guardctl.errors import AWS, EXIT_CODES, INTERRUPTED, NOT_RUN, OK, USAGE
from lab.stage import LocalStage, until
from tests.commands import forked

# Typer's own command class carries no types of its own.
COMMANDS: Mapping[str, Any] = get_command(application()).commands  # type: ignore[attr-defined]
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
REGION = ("AWS_REGION", "AWS_DEFAULT_REGION")


def guardctl(
    stage: LocalStage, *arguments: str, without: tuple[str, ...] = (), **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Run a command in the stage's directory, without some variables and with others. It never shows a traceback."""
    environment = {k: v for k, v in stage.emulator.environment().items() if k not in without} | variables
    done = forked(["-m", "guardctl", *arguments], stage.directory, environment)
    assert "Traceback" not in done.stderr + done.stdout
    return done


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_help_of_every_command_has_an_example_and_the_exit_codes(name: str) -> None:
    command = COMMANDS[name]
    examples = re.findall(r"Example: (?:python -m guardctl|guardctl|make) (\S+)", command.epilog)
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
    pytest.param(["run", "nope", "--stage", "e2e"], "no job 'nope' in stage e2e; there are ", id="an unknown job of many says how many there are"),
    pytest.param(["status", "--stage", "nope"], "the stages that exist: dev, e2e, local", id="an unknown stage names the known ones"),
    pytest.param(["deploy", "--stage", "nope"], '"nope" has no jobs file; the stages that exist: ', id="a stage without a jobs file"),
    pytest.param(["package", "--stage", "nope"], '"nope" has no jobs file; the stages that exist: ', id="and to package"),
    pytest.param(["iam", "acceptance", "--stage", "Up-1"], '"Up-1" is not a stage name', id="a trial that no stage can be"),
    pytest.param(["iam", "nobody", "--stage", "e2e"], "'nobody' is none of viewer, operator, deployer, acceptance", id="a person that nobody is"),
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


def test_a_stage_that_nobody_deployed_has_nothing_to_remove_and_a_mistyped_name_is_told(stage: LocalStage) -> None:
    done = guardctl(stage, "destroy", "--stage", "nope")
    assert (done.returncode, done.stdout) == (0, "there is nothing of stage nope to remove\n")
    assert '"nope" has no jobs file; the stages that exist: ' in done.stderr


ASK = [
    "status --stage e2e",
    "check idle --stage e2e",
    "verify --stage e2e",
    "run idle --stage e2e",
    "deploy --stage e2e --dry-run",
    "destroy --stage e2e --yes",
]


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
    said = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    assert said[0].startswith(words)


def test_a_stage_that_is_not_deployed_is_said_to_be_so(stage: LocalStage) -> None:
    done = guardctl(stage, "run", "nightly-report", "--stage", "dev")
    assert done.returncode == 3
    assert "guardctl deploy --stage dev" in done.stderr
    states = json.loads(guardctl(stage, "status", "--stage", "dev", "--json").stdout)["jobs"]
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


def test_a_jobs_file_that_aws_takes_may_be_warned_of(stage: LocalStage) -> None:
    file = stage.directory / "chalicelib" / "jobs" / "warned.toml"
    job = '[jobs.job-{0}]\nschedule = "rate(1 minute)"\necs = {{ task_definition = "x", command = ["{0}"] }}\n'
    shared = (
        '[defaults]\ntimezone = "Etc/GMT-9"\n[defaults.ecs]\ncluster = "c"\ncontainer = "app"\nlaunch_type = "EC2"\n'
    )
    file.write_text(shared + job.format(1) + job.format(2), encoding="utf-8")
    try:
        told = [guardctl(stage, "validate", "--stage", "warned", *strict) for strict in ((), ("--strict",))]
    finally:
        file.unlink()
    assert [done.returncode for done in told] == [0, 2]
    assert told[0].stdout == "warned: 2 jobs, no fault, 4 warnings\n", "three are of what guardctl deploy will write"
    assert told[1].stdout == ""
    for done in told:
        assert 'note: chalicelib/jobs/warned.toml:jobs.job-1.timezone: "Etc/GMT-9" means UTC+9' in done.stderr
        assert "\nwarning: chalicelib/jobs/warned.toml:jobs: the 2 jobs of family x on cluster c" in done.stderr


def test_what_aws_would_not_make_is_refused_by_every_command_that_makes_it(stage: LocalStage) -> None:
    file = stage.directory / "chalicelib" / "jobs" / "large.toml"
    roles = ", ".join(f'"arn:aws:iam::123456789012:role/{n:03d}{"r" * 60}"' for n in range(110))
    task = f'launch_type = "EC2", cluster = "c", container = "app", task_definition = "x", pass_roles = [{roles}]'
    file.write_text(f"[jobs.large]\necs = {{ {task} }}\n", encoding="utf-8")
    try:
        told = [
            guardctl(stage, command, "--stage", "large") for command in ("validate", "template", "package", "deploy")
        ]
    finally:
        file.unlink()
    assert [done.returncode for done in told] == [2, 2, 2, 2]
    for done in told:
        assert done.stderr.startswith("chalicelib/jobs/large.toml:jobs.large.ecs: the policy of the machine's")


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
    assert third.stderr == "how it stands: guardctl status by-hand --stage e2e\n"
    stage.finish("by-hand")


def started(stage: LocalStage, *arguments: str, **variables: str) -> "subprocess.Popen[str]":
    """A command that is not waited for."""
    return subprocess.Popen(
        [sys.executable, "-m", "guardctl", *arguments, "--stage", "e2e"],
        cwd=stage.directory,
        env=stage.emulator.environment() | variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def interrupted(process: "subprocess.Popen[str]") -> str:
    """What a command says on Ctrl-C; it ends with 130 and shows no traceback."""
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    assert "Traceback" not in stderr
    return stderr


def test_ctrl_c_ends_the_waiting_and_not_the_run(stage: LocalStage) -> None:
    with started(stage, "run", "interrupted", "--wait") as waiting:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "interrupted: started run-000001\n"
        told = interrupted(waiting)
    assert told == (
        "interrupted: run-000001 was started and goes on: guardctl status interrupted --stage e2e; "
        "stop it with: guardctl stop interrupted --stage e2e\n"
    )
    assert [run["status"] for run in stage.runs("interrupted")] == ["RUNNING"]
    stage.a_task("interrupted")

    with started(stage, "stop", "interrupted") as asking:
        assert asking.stdout is not None
        while not asking.stdout.readline(1).endswith("?"):
            pass
        assert interrupted(asking) == "interrupted: nothing was stopped\n", "Ctrl-C is no answer"
    assert [run["status"] for run in stage.runs("interrupted")] == ["RUNNING"]
    stage.finish("interrupted")


def deciding(stage: LocalStage, job: str) -> str:
    """The ARN of the guard execution by hand that waits for what is in its way, once it does."""

    def found() -> str | None:
        open_ = stage.stepfunctions.list_executions(stateMachineArn=stage.guard, statusFilter="RUNNING")["executions"]
        mine = [each["executionArn"] for each in open_ if each["name"].startswith(f"{job}-by-hand-")]
        return next((arn for arn in mine if stage.states_entered(arn)[-1:] == ["Wait for the holder"]), None)

    arn: str = until(found, within=60, what=f"a start of {job} that waits")
    return arn


def test_ctrl_c_stops_a_start_that_has_not_been_decided(stage: LocalStage) -> None:
    job = "interrupted-start"
    stage.ended(stage.start(job))
    with started(stage, "run", job) as waiting:
        guard = deciding(stage, job)
        assert interrupted(waiting) == "interrupted: the start was stopped before it started anything\n"
    ended = stage.stepfunctions.describe_execution(executionArn=guard)
    assert (ended["status"], ended["cause"]) == ("ABORTED", "interrupted by root")

    with started(stage, "run", job) as waiting:
        guard = deciding(stage, job)
        waiting.send_signal(signal.SIGSTOP)  # so that it does not see how the start is decided
        stage.finish(job)
        assert stage.ended(guard)["status"] == "SUCCEEDED"
        waiting.send_signal(signal.SIGINT)
        waiting.send_signal(signal.SIGCONT)
        _, stderr = waiting.communicate(timeout=60)
    assert waiting.returncode == INTERRUPTED
    assert stderr.startswith("interrupted: run-000002 was started and goes on: ")
    assert [run["status"] for run in stage.runs(job)] == ["SUCCEEDED", "RUNNING"]
    assert starts.asked_for(stage.stepfunctions, guard) == [stage.run_arn(job, "run-000002")]
    stage.finish(job)


def test_ctrl_c_leaves_a_start_in_the_queue_and_says_how_to_end_it(stage: LocalStage) -> None:
    job = "interrupted-queue"
    waiter = f"{job}-after-run-000001-1"
    stage.ended(stage.start(job))
    with started(stage, "run", job, "--wait") as waiting:
        assert waiting.stdout is not None
        assert waiting.stdout.readline().startswith(f"{job}: waits in the queue as {waiter}: ")
        told = interrupted(waiting)
    arn = f"{stage.guard.replace(':stateMachine:', ':execution:')}:{waiter}"
    assert told == (
        f"interrupted: {waiter} waits in the queue and goes on: guardctl status {job} --stage e2e; "
        f"end it with: aws stepfunctions stop-execution --execution-arn {arn}\n"
    )
    waits = stage.stepfunctions.describe_execution(executionArn=arn)
    assert waits["status"] == "RUNNING"
    assert starts.asked_for(stage.stepfunctions, json.loads(waits["input"])["guard_execution"]) == [arn]
    stage.stepfunctions.stop_execution(executionArn=arn)
    stage.finish(job)


@dataclass
class Aws:
    """A server in AWS's place that tells what it is asked, and holds the answer to one action back until `answer`."""

    held: str
    status: str = "RUNNING"
    """Of every execution."""
    asked: "queue.Queue[str]" = field(default_factory=queue.Queue)
    answer: threading.Event = field(default_factory=threading.Event)

    def wait_for(self, action: str) -> None:
        """Until the action has been asked for."""
        while not self.asked.get(timeout=60).startswith(action):
            pass

    def body(self, action: str) -> bytes:
        self.asked.put(action)
        if action.startswith(self.held):
            self.answer.wait()
        if action == "GetCallerIdentity":
            who = "<Arn>arn:aws:iam::000000000000:root</Arn><Account>000000000000</Account>"
            return f"<R><GetCallerIdentityResult>{who}</GetCallerIdentityResult></R>".encode()
        execution = {"executionArn": "arn:aws:states:us-east-1:000000000000:execution:x:x", "status": self.status}
        return json.dumps({**execution, "startDate": 0, "stopDate": 0, "executions": [], "events": []}).encode()


@contextmanager
def served(aws: Aws) -> Iterator[str]:
    """The server's address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.reply((self.headers.get("X-Amz-Target") or parse_qs(asked)["Action"][0]).rpartition(".")[2])

        def do_GET(self) -> None:
            self.reply(self.path)

        def reply(self, action: str) -> None:
            body = aws.body(action)
            with suppress(BrokenPipeError, ConnectionResetError):  # who was interrupted does not listen any more
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            aws.answer.set()
            server.shutdown()


def test_a_second_ctrl_c_ends_at_once(stage: LocalStage) -> None:
    aws = Aws(held="StopExecution")
    with served(aws) as url, started(stage, "run", "idle", AWS_ENDPOINT_URL=url) as waiting:
        aws.wait_for("DescribeExecution")
        waiting.send_signal(signal.SIGINT)
        aws.wait_for("StopExecution")
        told = interrupted(waiting)
    assert told == ("interrupted: again, before it was clear what goes on; look: guardctl status idle --stage e2e\n")


@pytest.mark.parametrize(
    ("command", "held", "says"),
    [
        pytest.param("logs idle 42 --follow", "DescribeExecution", "only the reading; go on with: guardctl logs idle 42 --follow --stage e2e", id="logs"),
        pytest.param("deploy", "DescribeStacks", "nothing was changed; a change set may be left, which changes nothing by itself", id="deploy, before anything was changed"),
        pytest.param("destroy --yes", "DescribeStacks", "nothing was removed", id="destroy, before anything was removed"),
        pytest.param("stop idle --yes", "ListExecutions", "nothing was stopped", id="stop, before anything was stopped"),
    ],
)  # fmt: skip
def test_ctrl_c_while_aws_is_asked_says_what_is_the_case(stage: LocalStage, command: str, held: str, says: str) -> None:
    aws = Aws(held)
    with served(aws) as url, started(stage, *command.split(), AWS_ENDPOINT_URL=url) as waiting:
        aws.wait_for(held)
        assert interrupted(waiting) == f"interrupted: {says}\n"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        pytest.param("pause idle --reason x", "but idle was paused by then (paused-000001); resume it with: guardctl resume idle --stage e2e", id="pause"),
        pytest.param("run idle", "the start was stopped before it started anything", id="run"),
    ],
)  # fmt: skip
def test_ctrl_c_waits_for_the_answer_to_a_call_that_changes_something(
    stage: LocalStage, command: str, says: str
) -> None:
    aws = Aws(held="StartExecution", status="ABORTED")
    with served(aws) as url, started(stage, *command.split(), AWS_ENDPOINT_URL=url) as waiting:
        aws.wait_for("StartExecution")
        waiting.send_signal(signal.SIGINT)
        aws.answer.set()
        _, stderr = waiting.communicate(timeout=60)
    assert (waiting.returncode, stderr) == (INTERRUPTED, f"interrupted: {says}\n")
