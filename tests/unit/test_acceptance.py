"""What `guardctl acceptance` says of AWS's answers: each probe against answers that bear its assumption out, and
against answers that break it. AWS's clients are small fakes; no test waits."""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.config.jobs import load
from guardctl.acceptance import report, runner, stack
from guardctl.acceptance.course import COST
from guardctl.acceptance.findings import Assumption, Finding, Line, Probe, Untried, Verdict, holds
from guardctl.acceptance.probes import BEYOND, FIRST, PROBES
from guardctl.acceptance.project import copied
from guardctl.acceptance.removal import leftovers, remove
from guardctl.acceptance.running import LOOKED
from guardctl.acceptance.trial import TAG, Cancelled, Clock, Names, Trial
from guardctl.errors import AWS, Stop
from tests.documents import ROOT
from tests.support import lint

NAMES = Names("trial0000")
NAME = re.compile("`([^`]+)`")
ARNS = "arn:aws:states:eu-west-1:123456789012:stateMachine:"
NOW = datetime(2026, 11, 25, 20, tzinfo=UTC)
Operation = Callable[..., Any]
Answers = Mapping[str, Any]


class Hurried(Clock):
    """A clock on which sleeping takes no time."""

    def __init__(self) -> None:
        super().__init__()
        self._at = 0.0

    def now(self) -> float:
        return self._at

    def sleep(self, seconds: float) -> None:
        self._at += seconds


class Client:
    """An AWS client with an answer for each operation: a value, an error, or a function of the parameters."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.calls: list[str] = []

    def __getattr__(self, operation: str) -> Operation:
        def call(**parameters: Any) -> Any:
            self.calls.append(operation)
            answer = self.answers[operation]
            answer = answer(**parameters) if callable(answer) else answer
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


def error(name: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": name, "Message": message}}, "AnOperation")


def one_after_the_other(*answers: Any) -> Operation:
    """An operation whose last answer is repeated."""
    left = list(answers)

    def call(**_: Any) -> Any:
        return left.pop(0) if len(left) > 1 else left[0]

    return call


# How executions end


def succeeded(output: object = None) -> dict[str, Any]:
    return {"status": "SUCCEEDED", "output": json.dumps(output or {})}


def failed(name: str, cause: str = "", status: str = "FAILED") -> dict[str, Any]:
    return {"status": status, "error": name, "cause": cause}


def caught(name: str, cause: str = "") -> dict[str, Any]:
    return succeeded({"error": name, "cause": cause})


RUNNING = {"status": "RUNNING"}


def stepfunctions(ends: Answers, **operations: Any) -> Client:
    """Step Functions: executions are numbered when they have no name; `ends` says how ``machine:name`` ends, or all
    of a machine. The guard machine is ``guard``, the job's ``story``."""
    numbers: Counter[str] = Counter()

    def start_execution(*, stateMachineArn: str, input: str, name: str = "") -> Any:  # noqa: N803 (boto3's)
        numbers[stateMachineArn] += 1
        return {
            "executionArn": f"{stateMachineArn.replace(':stateMachine:', ':execution:')}:{name or numbers[stateMachineArn]}"
        }

    def describe_execution(*, executionArn: str) -> Any:  # noqa: N803
        *_, machine, name = executionArn.split(":")
        key = {NAMES.prefix[:-1]: "guard", f"{NAMES.prefix}story": "story"}.get(
            machine, machine.removeprefix(NAMES.machine(""))
        )
        answer = ends.get(f"{key}:{name}", ends.get(key, RUNNING))
        return answer() if callable(answer) else answer

    answers: dict[str, Any] = {
        "start_execution": start_execution,
        "describe_execution": describe_execution,
        "stop_execution": {},
        "delete_state_machine": {},
        "create_state_machine": lambda name, **_: {"stateMachineArn": ARNS + name},
    }
    return Client(**(answers | operations))


def a_task(mark: str = "", status: str = "STOPPED", **more: Any) -> dict[str, Any]:
    """A task as DescribeTasks shows it; `mark` is ``machine:name`` of the execution that it was started by."""
    machine, _, name = mark.partition(":")
    full = {"story": f"{NAMES.prefix}story"}.get(machine, NAMES.machine(machine))
    value = f"{ARNS.replace(':stateMachine:', ':execution:')}{full}:{name}" if name else mark
    variables = [{"name": "BATCH_EXECUTION" if machine == "story" else "PROBE", "value": value}]
    overrides = {"containerOverrides": [{"name": "app", "environment": variables}]}
    arn = f"arn:aws:ecs:eu-west-1:123456789012:task/{NAMES.cluster}/{abs(hash(mark)) % 10_000:032}"
    return {"taskArn": arn, "lastStatus": status, "overrides": overrides, **more}


def ecs(*tasks: dict[str, Any] | Callable[[], list[dict[str, Any]]], **operations: Any) -> Client:
    """ECS with these tasks; a function tells them anew at each description."""

    def now() -> list[dict[str, Any]]:
        return [shown for task in tasks for shown in (task() if callable(task) else [task])]

    def describe_tasks(*, cluster: str, tasks: Sequence[str]) -> Any:
        return {"tasks": [task for task in now() if task["taskArn"] in tasks]}

    answers: dict[str, Any] = {
        "list_tasks": lambda **_: {"taskArns": [task["taskArn"] for task in now()]},
        "describe_tasks": describe_tasks,
        "stop_task": {},
        "run_task": lambda **_: {"tasks": [now()[0]]},
    }
    return Client(**(answers | operations))


def trial(sfn: Client, tasks: Client | None = None, messages: Client | None = None, patience: float = 600) -> Trial:
    alarms: Any = Client(set_alarm_state={})
    steps: Any = sfn
    elastic: Any = tasks or ecs()
    return Trial(
        NAMES,
        ARNS,
        steps,
        elastic,
        alarms,
        messages,
        "subnet-1",
        "a-role",
        "a-queue",
        patience,
        {TAG: "trial"},
        Hurried(),
    )


# The table: what AWS answers → what is said of it


def queue(*bodies: str) -> Client:
    """SQS: one message at each receipt, then none."""
    left = list(bodies)

    def receive_message(**_: Any) -> Any:
        return {"Messages": [{"Body": left.pop(0), "ReceiptHandle": "x"}]} if left else {}

    return Client(receive_message=receive_message, delete_message={})


def rings(**message: Any) -> str:
    return json.dumps({"Type": "Notification", "Message": json.dumps({"NewStateValue": "ALARM"} | message)})


WHOLE = rings(AlarmName="a", AlarmDescription="d", OldStateValue="OK", NewStateReason="r", StateChangeTime="t")
TAKEN = "StepFunctions.ExecutionAlreadyExistsException"
STEPS = {
    "start:1": caught(TAKEN),
    "start-sdk": caught("Sfn.ExecutionAlreadyExistsException"),
    "start:2": caught("StepFunctions.StateMachineDoesNotExistException"),
    "error": caught("States.QueryEvaluationError"),
}


def listing(status: Callable[[str], str], **more: Any) -> Client:
    """Lists and descriptions that show each execution in a status of its own."""
    stopped: set[str] = set()

    def stop_execution(*, executionArn: str, **_: Any) -> Any:  # noqa: N803
        stopped.add(executionArn.rpartition(":")[2])
        return {}

    def list_executions(**_: Any) -> Any:
        names = [f"lag-{number}" for number in range(1, 6)]
        return {"executions": [{"name": n, "status": status("ABORTED" if n in stopped else "RUNNING")} for n in names]}

    def describe_execution(*, executionArn: str) -> Any:  # noqa: N803
        return {"status": status("ABORTED" if executionArn.rpartition(":")[2] in stopped else "RUNNING")}

    return stepfunctions(
        {},
        stop_execution=stop_execution,
        list_executions=list_executions,
        describe_execution=describe_execution,
        **more,
    )


def same_start(running: Any, other: Any, closed: Any) -> Trial:
    """StartExecution of a name for the second, third and fourth time."""
    first = {"executionArn": f"{ARNS.replace(':stateMachine:', ':execution:')}{NAMES.machine('wait')}:the-same"}
    answers = one_after_the_other(first, running or first, other or first, closed or first)
    return trial(stepfunctions({"wait": failed("", status="ABORTED")}, start_execution=answers))


EXISTS = error("ExecutionAlreadyExists")
WELL = {
    "TaskArn": "arn:x",
    "LastStatus": "STOPPED",
    "StopCode": "EssentialContainerExited",
    "Containers": [{"ExitCode": 0}],
}
BADLY = WELL | {"Containers": [{"ExitCode": 3}]}


def answers(well: Any, badly: Any, started_by: str = "AWS Step Functions") -> Trial:
    return trial(stepfunctions({"task:1": well, "task:2": badly}), ecs(a_task("task:2", startedBy=started_by)))


def timed(end: dict[str, Any], status: str = "RUNNING", after: float = 5) -> Trial:
    """A step that ends so after so many seconds, and its task."""
    waiting = [RUNNING] * int(after)
    ends = {"timeout": lambda: waiting.pop() if waiting else end}
    return trial(stepfunctions(ends), ecs(a_task("timeout:1", status)))


def aborted(stops_after: float | None) -> Trial:
    """A RUNNING task that stops so many seconds after the abort."""

    def now() -> list[dict[str, Any]]:
        over = "stop_execution" in sfn.calls and stops_after is not None and aws.clock.now() >= stops_after
        return [a_task("aborted:1", "STOPPED" if over else "RUNNING", stoppedReason="why")]

    sfn = stepfunctions({})
    aws = trial(sfn, ecs(now))
    return aws


def refusals(**ends: dict[str, Any]) -> Trial:
    right = {
        "no-cluster": caught("ECS.ClusterNotFoundException"),
        "no-subnet": caught("ECS.InvalidParameterException"),
        "denied": caught("ECS.AccessDeniedException"),
    }
    return trial(stepfunctions(right | {name.replace("_", "-"): end for name, end in ends.items()}))


def made(sfn_answer: Any) -> Operation:
    """CreateStateMachine answers so."""
    return lambda **_: sfn_answer


def made_again(old_name: Any, *again: Any) -> Trial:
    """The machine is made, its name is free after `again`, and the old name is started."""
    machine = {"stateMachineArn": ARNS + NAMES.machine("again")}
    started = {"executionArn": f"{ARNS.replace(':stateMachine:', ':execution:')}{NAMES.machine('again')}:old-name"}
    return trial(
        stepfunctions(
            {"again": succeeded()},
            create_state_machine=one_after_the_other(machine, *again, machine),
            start_execution=one_after_the_other(started, old_name or started),
        )
    )


def deleting(status: Any, again: Any) -> Trial:
    machine = {"stateMachineArn": ARNS + NAMES.machine("deleting")}
    return trial(
        stepfunctions(
            {},
            create_state_machine=one_after_the_other(machine, again or machine, machine),
            describe_state_machine=lambda **_: status,
        )
    )


STARTED = succeeded({"outcome": "started", "run": "run-000001"})
BACK = failed("BatchGuard.AlreadyRunning", "run-000001 has been running for 2 s")


def story(
    *,
    starts: tuple[Any, Any] = (STARTED, BACK),
    first_run: Any = None,
    following: Any = None,
    after_abort: Any = None,
    redrive: Any = None,
    tasks: Sequence[dict[str, Any]] = (),
    more_tasks: Sequence[dict[str, Any]] = (),
) -> Trial:
    """The story as it should go, but for what is said; `more_tasks` are there once something was redriven."""
    redriven: list[bool] = []

    def redrive_execution(**_: Any) -> Any:
        redriven.append(True)
        return redrive or {}

    ends = {
        "guard:1": starts[0],
        "guard:2": starts[1],
        "guard:3": following or succeeded({"run": "run-000002"}),
        "guard:4": after_abort or failed("BatchGuard.AlreadyRunning", "run-000002 was closed, but its task lives on"),
        "story:run-000001": first_run or succeeded(),
        "story:run-000002": failed("Unclean.RedriveRefused"),
    }

    def now() -> list[dict[str, Any]]:
        told = (
            ["story:run-000001", "story:run-000002"] if sfn.calls.count("start_execution") > 2 else ["story:run-000001"]
        )
        shown = [*tasks] or [a_task(mark, "RUNNING") for mark in told]
        return [*shown, *(more_tasks if redriven else [])]

    sfn = stepfunctions(ends, redrive_execution=redrive_execution)
    return trial(sfn, ecs(now))


H: Verdict = "holds"
D: Verdict = "differs"
N: Verdict = "could not be tried"
Row = tuple[str, Verdict, str, Callable[[], Trial]]

TABLE: list[Row] = [
    # assumption, verdict, a part of what is said, AWS's answers
    ("iam-lag", H, "denied 2 times", lambda: trial(stepfunctions({"start": one_after_the_other(caught("StepFunctions.AccessDeniedException"), caught("StepFunctions.AccessDeniedException"), succeeded())}))),
    ("iam-lag", N, "nobody waited longer", lambda: trial(stepfunctions({"start": caught("StepFunctions.AccessDeniedException")}), patience=20)),
    ("iam-lag", D, "still denied after 300 s", lambda: trial(stepfunctions({"start": caught("StepFunctions.AccessDeniedException")}))),
    ("taken-name", H, TAKEN, lambda: trial(stepfunctions(STEPS))),
    ("taken-name", D, "told ExecutionAlreadyExists", lambda: trial(stepfunctions(STEPS | {"start:1": caught("ExecutionAlreadyExists")}))),
    ("taken-name", D, "no error: SUCCEEDED", lambda: trial(stepfunctions(STEPS | {"start:1": succeeded()}))),
    ("taken-name", N, "may not", lambda: trial(stepfunctions(STEPS | {"start:1": caught("StepFunctions.AccessDeniedException")}))),
    ("taken-name-sdk", H, "Sfn.", lambda: trial(stepfunctions(STEPS))),
    ("taken-name-sdk", D, "Sfn.SfnException", lambda: trial(stepfunctions(STEPS | {"start-sdk": caught("Sfn.SfnException")}))),
    ("no-machine", H, "StateMachineDoesNotExist", lambda: trial(stepfunctions(STEPS))),
    ("no-machine", D, "told StepFunctions.X", lambda: trial(stepfunctions(STEPS | {"start:2": caught("StepFunctions.X")}))),
    ("expression", H, "QueryEvaluationError", lambda: trial(stepfunctions(STEPS))),
    ("expression", D, "told States.Runtime", lambda: trial(stepfunctions(STEPS | {"error": failed("States.Runtime")}))),
    ("same-start", H, "the first one's ARN", lambda: same_start(None, EXISTS, EXISTS)),
    ("same-start", D, "refused as ExecutionAlreadyExists", lambda: same_start(EXISTS, EXISTS, EXISTS)),
    ("same-start", D, "another ARN", lambda: same_start({"executionArn": "another"}, EXISTS, EXISTS)),
    ("used-name", H, "another input: ExecutionAlreadyExists", lambda: same_start(None, EXISTS, EXISTS)),
    ("used-name", D, "another input: taken", lambda: same_start(None, None, EXISTS)),
    ("used-name", D, "after the end: taken", lambda: same_start(None, EXISTS, None)),
    ("redrive-count", H, "it is 0", lambda: trial(stepfunctions({"count": succeeded({"count": 0})}))),
    ("redrive-count", D, "it is 1", lambda: trial(stepfunctions({"count": succeeded({"count": 1})}))),
    ("redrive-count", D, "QueryEvaluationError", lambda: trial(stepfunctions({"count": failed("States.QueryEvaluationError")}))),
    ("redriven-fail", H, "redriven 1 times", lambda: trial(stepfunctions({"fail": one_after_the_other(failed("E", "redriven 0 times"), failed("E", "redriven 1 times"))}, redrive_execution={}))),
    ("redriven-fail", D, "then FAILED with E: redriven 0", lambda: trial(stepfunctions({"fail": failed("E", "redriven 0 times")}, redrive_execution={}))),
    ("redriven-fail", D, "then SUCCEEDED", lambda: trial(stepfunctions({"fail": one_after_the_other(failed("E", "redriven 0 times"), succeeded())}, redrive_execution={}))),
    ("redriven-fail", D, "refused as ExecutionNotRedrivable", lambda: trial(stepfunctions({"fail": failed("E", "x")}, redrive_execution=error("ExecutionNotRedrivable")))),
    ("machine-timeout", H, "TIMED_OUT", lambda: trial(stepfunctions({"limited": {"status": "TIMED_OUT"}}))),
    ("machine-timeout", D, "States.Timeout", lambda: trial(stepfunctions({"limited": failed("States.Timeout", status="TIMED_OUT")}))),
    ("machine-timeout", D, "SUCCEEDED", lambda: trial(stepfunctions({"limited": succeeded()}))),
    ("machine-timeout", N, "had not ended", lambda: trial(stepfunctions({}))),
    ("list-lag", H, "a start: 0.0 s", lambda: trial(listing(lambda status: status))),
    ("list-lag", D, "an end: not shown in time", lambda: trial(listing(lambda _: "RUNNING"))),
    ("list-lag", N, "nobody waited longer", lambda: trial(listing(lambda _: "RUNNING"), patience=5)),
    ("describe-lag", H, "an end: 0.0 s", lambda: trial(listing(lambda status: status))),
    ("describe-lag", D, "a start: not shown in time", lambda: trial(listing(lambda _: "ABORTED"))),
    ("task-lag", H, "ListTasks: 0.0 s", lambda: trial(stepfunctions({}), ecs(a_task()))),
    ("task-lag", D, "ListTasks: not shown in time", lambda: trial(stepfunctions({}), ecs(a_task(), list_tasks={"taskArns": []}))),
    ("task-lag", D, "DescribeTasks: not shown in time", lambda: trial(stepfunctions({}), ecs(a_task(), describe_tasks={"tasks": []}))),
    ("task-succeeds", H, "exit codes [0]", lambda: answers(succeeded({"answer": WELL}), caught("States.TaskFailed", json.dumps(BADLY)))),
    ("task-succeeds", D, "keys tasks", lambda: answers(succeeded({"answer": {"tasks": [WELL]}}), succeeded())),
    ("task-succeeds", D, "exit codes [None]", lambda: answers(succeeded({"answer": WELL | {"Containers": [{}]}}), succeeded())),
    ("task-succeeds", D, "no answer: FAILED", lambda: answers(failed("States.Runtime"), succeeded())),
    ("task-fails", H, "States.TaskFailed", lambda: answers(succeeded({"answer": WELL}), caught("States.TaskFailed", json.dumps(BADLY)))),
    ("task-fails", D, "nothing was caught", lambda: answers(succeeded({"answer": WELL}), succeeded({"answer": BADLY}))),
    ("task-fails", D, "its cause is no task", lambda: answers(succeeded({"answer": WELL}), caught("States.TaskFailed", "exit code 3"))),
    ("task-fails", D, "ECS.Failed", lambda: answers(succeeded({"answer": WELL}), caught("ECS.Failed", json.dumps(BADLY)))),
    ("started-by", H, "AWS Step Functions", lambda: answers(succeeded({"answer": WELL}), succeeded())),
    ("started-by", D, '"ecs-svc/1"', lambda: answers(succeeded({"answer": WELL}), succeeded(), "ecs-svc/1")),
    ("timeout-expression", H, "after 5 s: States.Timeout", lambda: timed(caught("States.Timeout"))),
    ("timeout-expression", D, "refused as InvalidDefinition", lambda: trial(stepfunctions({}, create_state_machine=made(error("InvalidDefinition"))))),
    ("timeout-expression", D, "after 2 s", lambda: timed(caught("States.Timeout"), after=2)),
    ("timeout-expression", D, "FAILED with States.Runtime", lambda: timed(failed("States.Runtime"))),
    ("timeout-cause", H, 'its cause is ""', lambda: timed(caught("States.Timeout"))),
    ("timeout-cause", D, 'its cause is "late"', lambda: timed(caught("States.Timeout", "late"))),
    ("timeout-cause", N, "did not time out", lambda: timed(failed("States.Runtime"))),
    ("timeout-expression", D, "not ended after 60 s", lambda: timed(RUNNING)),
    ("timeout-task", H, "was RUNNING at the timeout", lambda: timed(caught("States.Timeout"))),
    ("timeout-task", D, "was STOPPED 0 s after", lambda: timed(caught("States.Timeout"), "STOPPED")),
    ("timeout-task", D, "shows no task", lambda: trial(stepfunctions({"timeout": caught("States.Timeout")}))),
    ("timeout-task", N, "did not time out", lambda: timed(failed("States.Runtime"))),
    ("abort-task", H, "STOPPED after 2 s (\"why\")", lambda: aborted(2)),
    ("abort-task", D, f"not STOPPED {LOOKED:.0f} s later: it is an orphan", lambda: aborted(None)),
    ("refused-no-cluster", H, "ClusterNotFound", refusals),
    ("refused-no-cluster", D, "ECS.AmazonECSException", lambda: refusals(no_cluster=caught("ECS.AmazonECSException"))),
    ("refused-no-subnet", H, "InvalidParameter", refusals),
    ("refused-no-subnet", D, "SUCCEEDED", lambda: refusals(no_subnet=succeeded({"answer": {}}))),
    ("refused-denied", H, "AccessDenied", refusals),
    ("refused-denied", D, "States.TaskFailed", lambda: refusals(denied=caught("States.TaskFailed"))),
    ("unknown-field", H, "caught as ECS.ClientException", lambda: trial(stepfunctions({"unknown-field": caught("ECS.ClientException")}))),
    ("unknown-field", D, "definition itself was refused", lambda: trial(stepfunctions({}, create_state_machine=made(error("InvalidDefinition"))))),
    ("unknown-field", D, "nothing was caught", lambda: trial(stepfunctions({"unknown-field": failed("States.Runtime")}))),
    ("unknown-field", D, "taken, or ignored", lambda: trial(stepfunctions({"unknown-field": succeeded()}), ecs(a_task("unknown-field:1")))),
    ("client-token", H, "no step was refused", lambda: trial(stepfunctions({"token": succeeded()}), ecs(a_task("trial0000-one-token")))),
    ("client-token", D, "refused as InvalidDefinition", lambda: trial(stepfunctions({}, create_state_machine=made(error("InvalidDefinition"))))),
    ("client-token", D, "that was caught: ECS.ClientException", lambda: trial(stepfunctions({"token": caught("ECS.ClientException")}))),
    ("client-token", D, "nothing was caught: FAILED", lambda: trial(stepfunctions({"token": failed("States.Runtime")}))),
    ("client-token-once", H, "1 task for", lambda: trial(stepfunctions({"token": succeeded()}), ecs(a_task("trial0000-one-token")))),
    ("client-token-once", D, "2 tasks for", lambda: trial(stepfunctions({"token": succeeded()}), ecs(a_task("trial0000-one-token"), a_task("trial0000-one-token") | {"taskArn": "another"}))),
    ("client-token-once", N, "was not taken", lambda: trial(stepfunctions({"token": failed("States.Runtime")}))),
    ("old-names", H, "made again after 2 s", lambda: made_again(EXISTS, error("StateMachineDeleting"))),
    ("old-names", D, "the old name was free", lambda: made_again(None)),
    ("deleting", H, "DELETING for 20 s", lambda: deleting({"status": "DELETING"}, error("StateMachineDeleting"))),
    ("deleting", D, "was gone", lambda: deleting(error("StateMachineDoesNotExist"), None)),
    ("deleting", D, "yet it could be made again", lambda: deleting({"status": "DELETING"}, None)),
    ("alarm-rings", H, "came 0 s after", lambda: trial(stepfunctions({"fail": failed("E")}), messages=queue(WHOLE))),
    ("alarm-rings", D, "no message within 300 s", lambda: trial(stepfunctions({"fail": failed("E")}), messages=queue())),
    ("alarm-rings", N, "nobody waited longer", lambda: trial(stepfunctions({"fail": failed("E")}), messages=queue(), patience=9)),
    ("alarm-message", H, "AlarmDescription", lambda: trial(stepfunctions({"fail": failed("E")}), messages=queue(WHOLE))),
    ("alarm-message", D, "it has no AlarmName", lambda: trial(stepfunctions({"fail": failed("E")}), messages=queue(rings()))),
    ("alarm-message", D, "no JSON", lambda: trial(stepfunctions({"fail": failed("E")}), messages=queue("ALARM: look"))),
    ("alarm-message", D, "though set off by hand", lambda: trial(stepfunctions({"fail": failed("E")}), messages=queue())),
    ("two-starts", H, "run-000001; FAILED with BatchGuard.AlreadyRunning", story),
    ("two-starts", D, "run-000001; run-000002", lambda: story(starts=(STARTED, succeeded({"run": "run-000002"})))),
    ("two-starts", D, "AlreadyRunning: run-000009", lambda: story(starts=(STARTED, failed("BatchGuard.AlreadyRunning", "run-000009")))),
    ("two-starts", D, "tasks: 3", lambda: story(tasks=[a_task("story:run-000001", "RUNNING"), a_task("story:run-000002", "RUNNING"), a_task("by-hand", "RUNNING")])),
    ("two-starts", N, "no start got a run", lambda: story(starts=(BACK, BACK))),
    ("run-ends", H, "the next start: run-000002", story),
    ("run-ends", D, "it ended as FAILED", lambda: story(first_run=failed("BatchGuard.TaskFailed"))),
    ("run-ends", D, "the next start: FAILED with BatchGuard.AlreadyRunning", lambda: story(following=BACK)),
    ("run-ends", D, "the next start: run-000007", lambda: story(following=succeeded({"run": "run-000007"}))),
    ("orphan", H, "its task lives on", story),
    ("orphan", D, "the start got run-000003, the task of run-000002 was RUNNING", lambda: story(after_abort=succeeded({"run": "run-000003"}))),
    ("orphan", D, "BatchGuard.CheckFailed", lambda: story(after_abort=failed("BatchGuard.CheckFailed"))),
    ("orphan", N, "no second run", lambda: story(following=BACK)),
    ("redriven-run", H, "Unclean.RedriveRefused; new tasks: 0", story),
    ("redriven-run", H, "refused as ExecutionNotRedrivable", lambda: story(redrive=error("ExecutionNotRedrivable"))),
    ("redriven-run", D, "new tasks: 1", lambda: story(more_tasks=[a_task("story:run-000002") | {"taskArn": "another"}])),
]  # fmt: skip


def probe_of(assumption: str) -> Probe:
    return next(p for p in (FIRST, *PROBES) if assumption in [a.name for a in p.assumptions])


def finding_of(assumption: str, aws: Trial) -> Finding:
    return next(line.finding for line in runner.lines(aws, probe_of(assumption)) if line.name == assumption)


@pytest.mark.parametrize(
    ("assumption", "verdict", "told", "answers"),
    TABLE,
    ids=[f"{name} {verdict}: {told}" for name, verdict, told, _ in TABLE],
)
def test_what_is_said_of_an_answer(assumption: str, verdict: str, told: str, answers: Callable[[], Trial]) -> None:
    finding = finding_of(assumption, answers())
    assert (finding.verdict, told in finding.seen) == (verdict, True), finding


@pytest.mark.parametrize("verdict", [H, D])
def test_every_assumption_is_borne_out_and_broken_in_the_table(verdict: Verdict) -> None:
    every = {assumption.name for probe in (FIRST, *PROBES) for assumption in probe.assumptions}
    assert {name for name, said, _, _ in TABLE if said == verdict} == every


def test_a_denied_call_is_no_difference() -> None:
    """It says nothing of AWS, but of who runs the trial."""
    finding = finding_of("task-lag", trial(stepfunctions({}), ecs(run_task=error("AccessDeniedException", "not you"))))
    assert finding == Finding(N, "AnOperation failed: AccessDeniedException: not you")


def test_an_answer_nobody_thought_of_costs_no_other_finding() -> None:
    assert (
        "the probe itself failed: KeyError" in finding_of("task-lag", trial(stepfunctions({}), ecs(run_task={}))).seen
    )


# The runner


def a_probe(name: str, look: Callable[[Trial], Any]) -> Probe:
    def then_holds(at: Trial) -> Iterator[Finding]:
        look(at)
        yield holds("seen")

    return Probe("tried", then_holds, (Assumption(name, "It is so.", "reported"),))


def test_an_interruption_ends_the_other_probes_at_their_next_wait() -> None:
    ended, sleeping = threading.Event(), threading.Event()
    asked: Any = Client()  # nothing is
    aws = Trial(NAMES, ARNS, asked, asked, asked, asked, "", "", "", 60, {}, Clock())

    def sleeps(at: Trial) -> None:
        sleeping.set()
        try:
            at.clock.sleep(60)
        except Cancelled:
            ended.set()
            raise

    probes = [a_probe("sleeps", sleeps), a_probe("quick", lambda _: sleeping.wait(60))]
    said: list[str] = []

    def one_then_interrupted(line: Line) -> None:
        said.append(line.name)
        if line.name == "quick":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.tried(aws, a_probe("first", lambda _: None), probes, one_then_interrupted)
    assert said == ["first", "quick"]
    assert ended.is_set()


# The report

SECRETS = (
    "User: arn:aws:sts::123456789012:assumed-role/Admin/jane.doe is not authorized (account 123456789012) to use "
    "subnet-0123456789abcdef0, sg-0123456789abcdef0 of arn:aws-cn:ecs:cn-north-1:123456789012:task/c/1, see "
    "https://sqs.eu-west-1.amazonaws.com/123456789012/q | and\nmore"
)


def a_report(*findings: Finding) -> report.Report:
    lines = [Line(f"a-{n}", "It is | so.", "reported", "tried", finding) for n, finding in enumerate(findings)]
    return report.Report("trial", "eu-west-1", "1.44.0", NOW, 600, lines)


@pytest.mark.parametrize("write", [report.as_markdown, report.as_json])
def test_a_report_names_no_account_no_arn_and_no_network(write: Callable[[report.Report], str]) -> None:
    text = write(a_report(Finding(D, SECRETS)))
    for secret in ("123456789012", "arn:", "jane.doe", "Admin", "0123456789abcdef0", "https://"):
        assert secret not in text
    assert "is not authorized" in text


def test_a_report_begins_with_what_differs_and_keeps_its_table() -> None:
    text = report.as_markdown(a_report(Finding(N, "why"), Finding(H, "seen"), Finding(D, SECRETS)))
    rows = [line for line in text.splitlines() if line.startswith("|")][2:]
    assert [row.split(" | ")[0] for row in rows] == ["| differs", "| holds", "| could not be tried"]
    assert all(row.replace("\\|", "").count("|") == 5 for row in rows)
    assert "1 holds, 1 differs, 1 could not be tried" in text


def test_the_json_has_the_same_lines() -> None:
    parsed = json.loads(report.as_json(a_report(Finding(H, "seen"), Finding(D, "other"))))
    assert [(line["verdict"], line["seen"]) for line in parsed["assumptions"]] == [(D, "other"), (H, "seen")]
    assert parsed["made_at"] == "2026-11-25T20:00:00+00:00"


def test_no_name_stands_for_two_assumptions() -> None:
    names = [a.name for p in (FIRST, *PROBES) for a in p.assumptions] + [line.name for line in BEYOND]
    assert len(names) == len(set(names))
    assert {line.finding.verdict for line in BEYOND} == {N}


# What is made


def test_the_jobs_file_of_a_trial_has_no_fault(tmp_path: Path) -> None:
    (tmp_path / "trial0000.toml").write_text(
        stack.jobs(NAMES, "subnet-0123456789abcdef0", "arn:aws:iam::123456789012:role/x")
    )
    assert [*load("trial0000", tmp_path).jobs] == ["story"]


def test_the_stack_can_be_sent_inline_and_all_its_names_have_the_prefix() -> None:
    template = stack.template(NAMES, "aws")
    assert len(json.dumps(template)) < 51_200
    named = {
        key: value
        for resource in template["Resources"].values()
        for key, value in resource["Properties"].items()
        if (key.endswith("Name") and key not in ("MetricName",)) or key == "Family"
    }
    assert named
    assert all(value.lstrip("/").startswith(NAMES.prefix) for value in named.values()), named


@pytest.mark.thorough
def test_cloudformation_would_take_the_stack(tmp_path: Path) -> None:
    """As far as cfn-lint knows, which reads the machines' definitions too."""
    file = tmp_path / "stack.json"
    file.write_text(json.dumps(stack.template(NAMES, "aws")), encoding="utf-8")
    lint(file)


@pytest.mark.thorough
def test_the_copy_of_the_project_knows_the_trial_only_and_is_gone_afterwards() -> None:
    with copied(NAMES.stage, "a jobs file", {TAG: "trial"}) as directory:
        config = json.loads((directory / ".chalice" / "config.json").read_text(encoding="utf-8"))
        assert (config["app_name"], config["tags"], [*config["stages"]]) == (
            "batch-guard",
            {TAG: "trial"},
            ["trial0000"],
        )
        assert [file.name for file in (directory / "chalicelib" / "jobs").glob("*.toml")] == ["trial0000.toml"]
    assert not directory.exists()


# What is removed


class Stacks(Client):
    """CloudFormation with these stacks; a deleted one is gone."""

    def __init__(self, *stacks: dict[str, Any]) -> None:
        super().__init__()
        self.stacks = list(stacks)
        self.deleted: list[str] = []
        self.answers = {"delete_stack": self._delete, "wait": {}}

    def get_paginator(self, _: str) -> Any:
        return Client(paginate=lambda: iter([{"Stacks": [*self.stacks]}]))

    def get_waiter(self, _: str) -> Any:
        return Client(wait={})

    def _delete(self, *, StackName: str) -> None:  # noqa: N803
        self.deleted.append(StackName)
        self.stacks = [stack for stack in self.stacks if stack["StackName"] != StackName]


def a_stack(name: str, of: str | None = None) -> dict[str, Any]:
    tags = [{"Key": TAG, "Value": of}] if of else []
    return {"StackName": name, "CreationTime": NOW, "StackStatus": "CREATE_COMPLETE", "Tags": tags}


def test_leftovers_are_found_by_their_tag_and_nothing_else_is() -> None:
    stacks = Stacks(
        a_stack(NAMES.stack, "trial"),
        a_stack("batch-guard-other1234-acceptance", "other"),
        a_stack("batch-guard-trial-acceptance"),
        a_stack("batch-guard-dev-machines"),
    )
    assert [found.names for found in leftovers(lambda _: stacks, "trial")] == [NAMES]


class Steps(Client):
    """Step Functions without a machine."""

    def get_paginator(self, _: str) -> Any:
        return Client(paginate=lambda: iter([{"stateMachines": []}]))


def a_removal(**answers: Any) -> tuple[Stacks, Callable[[], None]]:
    """The stacks that are there, and the removal of the stage, of which nothing else is."""
    stacks = Stacks(
        a_stack(NAMES.stack, "trial"),
        a_stack(f"{NAMES.prefix}machines"),
        a_stack("batch-guard-trial-machines"),
        a_stack("batch-guard-trial00001-machines"),
    )
    nothing: dict[str, Any] = {
        "list_rules": {"Rules": []},
        "delete_function": error("ResourceNotFoundException"),
        "list_role_policies": error("NoSuchEntity"),
        "describe_log_groups": {"logGroups": []},
        "list_tasks": error("ClusterNotFoundException"),
        "delete_cluster": error("ClusterNotFoundException"),
        "list_task_definitions": {"taskDefinitionArns": []},
    }
    others = Client(**(nothing | answers))
    clients: dict[str, Client] = {"cloudformation": stacks, "stepfunctions": Steps()}
    return stacks, lambda: remove(lambda service: clients.get(service, others), NAMES, lambda _: None)


def test_the_stack_that_carries_the_tag_goes_last_and_no_other_stage_is_touched() -> None:
    stacks, removal = a_removal()
    removal()
    assert stacks.deleted == [f"{NAMES.prefix}machines", NAMES.stack]


def test_what_can_not_be_removed_keeps_the_stack_with_the_tag_and_nothing_else() -> None:
    stacks, removal = a_removal(list_rules=error("AccessDeniedException", "not you"))
    with pytest.raises(Stop, match="guardctl acceptance --clean") as stop:
        removal()
    assert stacks.deleted == [f"{NAMES.prefix}machines"]
    assert str(stop.value).count("not you") == 1
    assert stop.value.code == AWS


# docs/acceptance.md

GUIDE = (ROOT / "docs" / "acceptance.md").read_text(encoding="utf-8")


def test_the_guide_says_of_every_assumption_what_rests_on_it() -> None:
    told = [
        name
        for line in GUIDE.partition("| if it differs |")[2].splitlines()[2:]
        for name in NAME.findall(line.split("|")[1] if "|" in line else "")
    ]
    every = [a.name for probe in (FIRST, *PROBES) for a in probe.assumptions] + [line.name for line in BEYOND]
    assert sorted(told) == sorted(every)


def test_the_guide_has_what_the_command_says_it_costs() -> None:
    rows = re.findall(r"\| [^|]+ \| ([\d.]+[^|]*) \| (0\.\d{4}) \|", GUIDE)
    assert len(rows) == 4
    for sum_, dollars in rows:
        assert eval(sum_.replace("×", "*").replace(" h", "")) == pytest.approx(float(dollars), abs=0.0001)
    assert sum(float(dollars) for _, dollars in rows) + 0.001 < float(COST.split()[0]) / 100


def test_probes_may_say_that_they_could_not_be_tried() -> None:
    def look(_: Trial) -> None:
        raise Untried("no reason")

    [line] = runner.lines(trial(stepfunctions({})), a_probe("x", look))
    assert line.finding == Finding(N, "no reason")
