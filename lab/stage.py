"""A stage on the emulator, deployed for real: what the demo and the end-to-end tests share.

The project is copied first, so that a deployment's own files (.chalice/deployed) never mix with yours.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from chalicelib.config.jobs import Job, JobsFile, load
from chalicelib.decide.schedule import renewals
from chalicelib.names import Function, batch_machine, execution_arn, function_name, guard_machine, pause_number
from chalicelib.values import dataclass
from lab.emulator import Emulator, require_loopback

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_stepfunctions import SFNClient

PROJECT = Path(__file__).resolve().parent.parent
_COPIED = ("app.py", "chalicelib", "guardctl", "requirements.txt", ".chalice")
_LEFT = ("deployed", "deployments")


class CommandFailed(Exception):
    """A command of the deployment ended with another code than 0; the message is what it printed."""


class Runner(Protocol):
    """Runs ``python arguments`` (``-m module …`` or ``-c code …``) in `directory`, with `stdin` for its input."""

    def __call__(
        self, arguments: Sequence[str], directory: Path, environment: Mapping[str, str], stdin: str | None = None
    ) -> "subprocess.CompletedProcess[str]": ...


def in_a_process(
    arguments: Sequence[str], directory: Path, environment: Mapping[str, str], stdin: str | None = None
) -> "subprocess.CompletedProcess[str]":
    """As a person would."""
    command = [sys.executable, *arguments]
    with subprocess.Popen(
        command,
        cwd=directory,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        try:
            stdout, stderr = process.communicate(stdin)
        except BaseException:
            _end_group(process)
            raise
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


@dataclass(frozen=True)
class LocalStage:
    """A stage of the copied project in `directory`, on `emulator`."""

    emulator: Emulator
    directory: Path
    name: str
    run: Runner = in_a_process

    @cached_property
    def stepfunctions(self) -> "SFNClient":
        """Step Functions of the emulator."""
        return self.emulator.client("stepfunctions")

    @cached_property
    def ecs(self) -> "ECSClient":
        """ECS of the emulator."""
        return self.emulator.client("ecs")

    @cached_property
    def functions(self) -> "LambdaClient":
        """Lambda of the emulator."""
        return self.emulator.client("lambda")

    @cached_property
    def jobs(self) -> JobsFile:
        """The stage's jobs file."""
        return load(self.name, self.directory / "chalicelib" / "jobs")

    @property
    def guard(self) -> str:
        """The guard machine's ARN."""
        return self._arn(guard_machine(self.name))

    def machine(self, job: str, slot: int = 1) -> str:
        """The ARN of a batch machine of the job's pool."""
        known = self.jobs.jobs.get(job)
        return self._arn(batch_machine(self.name, known.pool if known else job, slot))

    def run_arn(self, job: str, run: str, slot: int = 1) -> str:
        """The ARN of the run called `run`."""
        return execution_arn(self.machine(job, slot), run)

    def command(self, *arguments: str, stdin: str | None = None, code: int = 0) -> "subprocess.CompletedProcess[str]":
        """Run a Python module of the project (``guardctl …``). Raises `CommandFailed`."""
        return self._run(["-m", *arguments], stdin, code)

    def chalice(self, *arguments: str, stdin: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run ``chalice …`` in the project. Raises `CommandFailed`."""
        return self._run(["-c", "import sys; from chalice.cli import main; sys.exit(main())", *arguments], stdin, 0)

    def deploy(self) -> None:
        """Deploy for real: ``guardctl deploy``, and what the jobs need of ECS."""
        self.command("guardctl", "deploy", "--stage", self.name, "--make-bucket")
        self.provide()
        self.use_up_renewals(datetime.now(UTC))

    def use_up_renewals(self, now: datetime) -> None:
        """On a renewal day the trigger renews every job's run numbers, by a run that no test expects.

        So their guard executions are there already, refused for want of a job; also when such a day is about to begin.
        """
        for day in (now, now + timedelta(hours=6)):
            for renewal in renewals(self.jobs.renewed.items(), day.replace(hour=12), self.jobs.history_days):
                with suppress(self.stepfunctions.exceptions.ExecutionAlreadyExists):
                    self.stepfunctions.start_execution(stateMachineArn=self.guard, name=renewal.name, input="{}")

    def provide(self) -> None:
        """Make the clusters and task definitions that the jobs name. Deploying is not concerned with them."""
        for job in self.jobs.jobs.values():
            self.ecs.create_cluster(clusterName=job.ecs.cluster_name)
            container = {"name": job.ecs.container, "image": "batch", "command": [f"bin/{job.ecs.family}"]}
            self.ecs.register_task_definition(family=job.ecs.family, containerDefinitions=[container])  # type: ignore[list-item]  # a plain dict is what boto3 takes

    def start(self, job: str, **request: Any) -> str:
        """Start a guard execution for the job and return its ARN; it goes on by itself."""
        body = json.dumps({"job": job, **request})
        return self.stepfunctions.start_execution(stateMachineArn=self.guard, input=body)["executionArn"]

    def start_together(self, job: str, times: int) -> list[str]:
        """Start that many guard executions at once."""
        with ThreadPoolExecutor(times) as pool:
            return [*pool.map(lambda _: self.start(job), range(times))]

    def ended(self, arn: str, *, within: float = 120) -> dict[str, Any]:
        """The description of an execution once it has ended."""

        def description() -> dict[str, Any] | None:
            answer: Any = self.stepfunctions.describe_execution(executionArn=arn)
            return None if answer["status"] == "RUNNING" else answer

        found: dict[str, Any] = until(description, within=within, what=f"the end of {arn}")
        return found

    def states_entered(self, arn: str) -> list[str]:
        """The names of the states an execution has entered so far, in order."""
        pages = self.stepfunctions.get_paginator("get_execution_history").paginate(executionArn=arn)
        entered = (event.get("stateEnteredEventDetails") for page in pages for event in page["events"])
        return [details["name"] for details in entered if details]

    def verdicts(self, arns: Iterable[str], *, within: float = 180) -> list[dict[str, Any]]:
        """The descriptions of guard executions once all have ended."""
        return [self.ended(arn, within=within) for arn in arns]

    def runs(self, job: str) -> list[Any]:
        """The job's runs in all slots of its pool, oldest first."""
        pool = self._job(job).pool
        slots = range(1, self.jobs.slots_of(pool) + 1)
        lists = self.stepfunctions.get_paginator("list_executions")
        pages = [page for slot in slots for page in lists.paginate(stateMachineArn=self.machine(job, slot))]
        found = [item for page in pages for item in page["executions"] if pause_number(item["name"]) is None]
        if self.jobs.shared(pool):
            found = [item for item in found if self._job_of(item["executionArn"]) == job]
        return sorted(found, key=lambda item: item["startDate"])

    def _job_of(self, run: str) -> Any:
        return json.loads(self.stepfunctions.describe_execution(executionArn=run)["input"]).get("job")

    def live_tasks(self, job: str) -> list[str]:
        """The ARNs of the live tasks of the job's family, whoever started them."""
        ecs = self._job(job).ecs
        return self.ecs.list_tasks(cluster=ecs.cluster_name, family=ecs.family, desiredStatus="RUNNING")["taskArns"]

    def a_task(self, job: str, *, within: float = 60) -> str:
        """The job's one live task, once there is one."""
        tasks: list[str] = until(lambda: self.live_tasks(job), within=within, what=f"a task of {job}")
        return tasks[0]

    def describe_task(self, job: str, task: str) -> Any:
        """A task of the job, as DescribeTasks shows it."""
        return self.ecs.describe_tasks(cluster=self._job(job).ecs.cluster_name, tasks=[task])["tasks"][0]

    def run_task_by_hand(
        self,
        job: str,
        command: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        started_by: str = "",
    ) -> str:
        """Start a task of the job past the guard, as a person would in the ECS console, or a rule."""
        ecs = self._job(job).ecs
        variables = [{"name": name, "value": value} for name, value in (environment or {}).items()]
        override: Any = {"name": ecs.container, "environment": variables}
        if command:
            override["command"] = list(command)
        answer = self.ecs.run_task(
            cluster=ecs.cluster_name,
            taskDefinition=ecs.task_definition,
            overrides={"containerOverrides": [override]} if command or environment else {},
            startedBy=started_by,
        )
        return answer["tasks"][0]["taskArn"]

    def stop_task(self, job: str, task: str) -> None:
        """End a task. Without Docker an emulated task runs until it is stopped, and its exit code is 0."""
        self.ecs.stop_task(cluster=self._job(job).ecs.cluster_name, task=task)

    def finish(self, job: str, *, within: float = 60) -> None:
        """End the job's tasks, also one that is only about to start, until its runs are closed."""

        def closed() -> bool:
            for task in self.live_tasks(job):
                self.stop_task(job, task)
            return all(run["status"] != "RUNNING" for run in self.runs(job))

        until(closed, within=within, what=f"the end of the runs of {job}")

    def invoke(self, function: Function, event: Any) -> Any:
        """Invoke a function of the stage and return its answer, or the error it raised."""
        name = function_name(self.name, function)
        answer = self.functions.invoke(FunctionName=name, Payload=json.dumps(event).encode())
        return json.loads(answer["Payload"].read() or b"null")

    def _job(self, name: str) -> Job:
        return self.jobs.jobs[name]

    def _arn(self, machine: str) -> str:
        return f"arn:aws:states:{self.emulator.region}:{self.emulator.account}:stateMachine:{machine}"

    def _run(self, arguments: list[str], stdin: str | None, code: int) -> "subprocess.CompletedProcess[str]":
        require_loopback(self.emulator.endpoint)
        done = self.run(arguments, self.directory, {**self.emulator.environment(), "COLUMNS": "200"}, stdin)
        if done.returncode != code:
            shown = " ".join(arguments[1:])
            raise CommandFailed(f"{shown} ended with {done.returncode}, not {code}:\n{done.stdout}{done.stderr}")
        return done


@contextmanager
def local_stage(
    emulator: Emulator, *, name: str = "local", jobs: str | None = None, run: Runner = in_a_process
) -> Iterator[LocalStage]:
    """A copy of the project, not yet deployed; `jobs` replaces the text of its jobs file."""
    with tempfile.TemporaryDirectory(prefix="batch-guard-stage-") as temporary:
        directory = Path(temporary)
        # What was compiled here is still good there, since copies keep their times; forks have it in memory.
        left = _LEFT if run is in_a_process else (*_LEFT, "__pycache__")
        for entry in _COPIED:
            source = PROJECT / entry
            if source.is_dir():
                shutil.copytree(source, directory / entry, ignore=shutil.ignore_patterns(*left))
            else:
                shutil.copy(source, directory / entry)
        if jobs is not None:
            (directory / "chalicelib" / "jobs" / f"{name}.toml").write_text(jobs, encoding="utf-8")
        yield LocalStage(emulator, directory, name, run)


def until(look: Callable[[], Any], *, within: float, what: str) -> Any:
    """The first true answer of `look`. Raises TimeoutError after `within` seconds.

    It looks again after a tenth of the time so far: asked ten times a second, the emulator does little else.
    """
    began = time.monotonic()
    while not (answer := look()):
        waited = time.monotonic() - began
        if waited > within:
            raise TimeoutError(f"not within {within:.0f} s: {what}")
        time.sleep(min(0.5, max(0.05, waited / 10)))
    return answer


def _end_group(process: "subprocess.Popen[str]") -> None:
    """End a command and all it started (guardctl starts chalice, chalice pip), on Ctrl-C for instance.

    SIGINT first: they have files of their own to remove.
    """
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
