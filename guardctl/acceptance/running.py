"""Probes of `ecs:runTask.sync`: how a task's end is told, timeouts and aborts, refusals, and ClientToken."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from guardctl.acceptance import definitions
from guardctl.acceptance.findings import Assumption, Finding, Probe, differs, holds, judged, untried
from guardctl.acceptance.stack import exiting, working
from guardctl.acceptance.trial import MARK, Ended, NotInTime, Task, Trial, code, shortened

LIMIT = 5
"""Seconds of the timeout that a probe gives its step: less than Fargate needs to start a container."""

ENDS_WITHIN = 60.0
"""Seconds for which a step past its timeout is waited for before it is said that it has none."""

LOOKED = 60.0
"""Seconds for which a task is watched after its execution was aborted or its step timed out."""

REFUSED = {
    "no-cluster": ("ECS.ClusterNotFoundException", "A cluster that does not exist"),
    "no-subnet": ("ECS.InvalidParameterException", "A subnet that does not exist"),
    "denied": ("ECS.AccessDeniedException", "A task definition that the role may not run"),
}
"""A RunTask that ECS refuses → the error's name in a state machine, as reported."""


@dataclass(frozen=True)
class Answers:
    """How `.sync` steps ended whose tasks exit with 0 and with 3, and who is said to have started a task."""

    well: Ended
    badly: Ended
    task: Task | None
    stopped: bool = False
    """They did not end by themselves in time, and were stopped."""


@dataclass(frozen=True)
class Timed:
    """A step past its TimeoutSeconds, which are an expression, and what became of its task.

    `made` is the error's name if the definition was refused.
    """

    made: str | None
    ended: Ended | None = None
    seconds: float = 0.0
    task: Task | None = None
    gone: float | None = None
    """Seconds after the step's end until its task was STOPPED; None: it was not, as long as anybody looked."""
    watched: float = LOOKED


@dataclass(frozen=True)
class Aborted:
    """The task of an aborted execution; `stopped` is after how many seconds it was seen STOPPED, if it was."""

    stopped: float | None
    reason: str
    watched: float = LOOKED


@dataclass(frozen=True)
class Refusals:
    """Name of `REFUSED` → how the step ended."""

    ended: Mapping[str, Ended]


@dataclass(frozen=True)
class Unknown:
    """A step with a field that the integration does not know: the error's name if its definition was refused."""

    made: str | None
    ended: Ended | None = None
    """None if it went on for as long as anybody waited, with so many tasks."""
    tasks: int = 0


@dataclass(frozen=True)
class Token:
    """Two steps with one ClientToken: how they ended (None: they went on), and the tasks that they started."""

    made: str | None
    ended: tuple[Ended | None, ...] = ()
    tasks: int = 0


def answers(trial: Trial) -> Answers:
    """Two tasks at once."""
    machine = trial.make("task", definitions.run_task(_partition(trial), trial.names, trial.subnet))
    well, badly = (trial.start(machine, {"command": exiting(code)}) for code in (0, 3))
    task = None
    try:
        task = trial.a_task_of(badly)
        return Answers(trial.ended(well), trial.ended(badly), task)
    except NotInTime:
        if task is None:
            raise
        # So that what the step says of a stopped task is seen all the same.
        for left in [*trial.tasks_of(well), *trial.tasks_of(badly)]:
            trial.stop_task(left.arn)
        return Answers(trial.ended(well), trial.ended(badly), task, stopped=True)


def timed(trial: Trial) -> Timed:
    """A task that works for five minutes in a step that may last for `LIMIT` seconds."""
    plain = definitions.run_task(_partition(trial), trial.names, trial.subnet)
    try:
        machine = trial.make("timeout", definitions.limited_by_expression(plain))
    except ClientError as error:
        return Timed(code(error))
    execution = trial.start(machine, {"command": working(300), "limit": LIMIT})
    began = trial.clock.now()
    ended = _in_time(trial, execution, ENDS_WITHIN)
    seconds = trial.clock.now() - began
    tasks = trial.tasks_of(execution)
    if not tasks:
        return Timed(None, ended, seconds)
    gone = _watched(trial, tasks[0])
    return Timed(None, ended, seconds, tasks[0], gone, trial.at_most(LOOKED))


def aborted(trial: Trial) -> Aborted:
    """StopExecution while the step waits for a task that is RUNNING, or about to be."""
    machine = trial.make("aborted", definitions.run_task(_partition(trial), trial.names, trial.subnet))
    execution = trial.start(machine, {"command": working(300)})
    task = trial.a_task_of(execution)
    with suppress(NotInTime):
        trial.until(lambda: _status(trial, task) == "RUNNING", "a RUNNING task", every=2)
    trial.stepfunctions.stop_execution(executionArn=execution)
    stopped = _watched(trial, task)
    described = trial.describe([task.arn])
    return Aborted(stopped, described[0].stopped_reason if described else "", trial.at_most(LOOKED))


def refusals(trial: Trial) -> Refusals:
    """Three RunTasks that start nothing."""
    refused = definitions.refusals(_partition(trial), trial.names, trial.subnet)
    started = {name: trial.start(trial.make(name, asl), {"command": exiting(0)}) for name, asl in refused.items()}
    return Refusals({name: trial.ended(execution) for name, execution in started.items()})


def unknown(trial: Trial) -> Unknown:
    """A field that ``ecs:runTask`` is known to refuse, StartedBy."""
    definition = definitions.run_task(_partition(trial), trial.names, trial.subnet, StartedBy="a-probe")
    try:
        machine = trial.make("unknown-field", definition)
    except ClientError as error:
        return Unknown(code(error))
    execution = trial.start(machine, {"command": exiting(0)})
    ended = _in_time(trial, execution)
    return Unknown(None, ended, len(trial.tasks_of(execution)))


def token(trial: Trial) -> Token:
    """Two executions, one token: with the same token and parameters RunTask starts one task (AWS, ECS_Idempotency)."""
    plain = definitions.run_task(_partition(trial), trial.names, trial.subnet, ClientToken="{% $states.input.token %}")
    # The executions have different ARNs, and parameters that differ are a ConflictException.
    mark = f"{trial.names.stage}-one-token"
    [override] = plain["States"]["Try"]["Arguments"]["Overrides"]["ContainerOverrides"]
    override["Environment"] = [{"Name": MARK, "Value": mark}]
    try:
        machine = trial.make("token", plain)
    except ClientError as error:
        return Token(code(error))
    event = {"command": working(5), "token": mark}
    first = trial.start(machine, event)
    with suppress(NotInTime):  # one after the other: two at the same moment are another question
        trial.a_task_of(mark)
    second = trial.start(machine, event)
    ended = _in_time(trial, first)
    # If the first one's task never ends, the second one's needs no wait of its own.
    also = _in_time(trial, second, within=None if ended else 0)
    return Token(None, (ended, also), len(trial.tasks_of(mark)))


def _in_time(trial: Trial, execution: str, within: float | None = None) -> Ended | None:
    try:
        return trial.ended(execution, within=within)
    except NotInTime:
        return None


def _watched(trial: Trial, task: Task) -> float | None:
    """Seconds until the task is STOPPED; if it is not, stop it, for nobody needs it any longer."""
    gone = trial.timed(lambda: _status(trial, task) == "STOPPED", "a STOPPED task", within=LOOKED, every=2)
    if gone is None:
        trial.stop_task(task.arn)
    return gone


def _status(trial: Trial, task: Task) -> str | None:
    described = trial.describe([task.arn])
    return described[0].status if described else None


def _partition(trial: Trial) -> str:
    return trial.arns.split(":")[1]


def _caught(ended: Ended) -> tuple[str | None, str]:
    """The error and the cause that a step's Catch has seen; (None, "") if there was none."""
    output = ended.output or {}
    return output.get("error"), output.get("cause") or ""


def _answer(ended: Ended) -> Mapping[str, Any]:
    answer = (ended.output or {}).get("answer")
    return answer if isinstance(answer, dict) else {}


_STOPPED = "its task did not end by itself in time, and was stopped"


def _judge_well(seen: Answers) -> Finding:
    answer = _answer(seen.well)
    if not answer:
        return differs(f"no answer: {seen.well.told()} {shortened(str(_caught(seen.well)))}")
    codes = [container.get("ExitCode") for container in answer.get("Containers", [])]
    if seen.stopped and answer.get("TaskArn"):
        return untried(_STOPPED)
    right = answer.get("LastStatus") == "STOPPED" and bool(answer.get("TaskArn")) and codes == [0]
    told = f"LastStatus {answer.get('LastStatus')}, StopCode {answer.get('StopCode')}, exit codes {codes}"
    return judged(right, f"{told}, keys {', '.join(sorted(answer))}")


def _judge_badly(seen: Answers) -> Finding:
    error, cause = _caught(seen.badly)
    if error is None:
        return untried(_STOPPED) if seen.stopped else differs(f"nothing was caught: {seen.badly.told()}")
    try:
        task = json.loads(cause)
        codes = [container.get("ExitCode") for container in task["Containers"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return differs(f"{error}, and its cause is no task: {shortened(cause)}")
    if seen.stopped:
        return untried(_STOPPED)
    right = error == "States.TaskFailed" and codes == [3] and task.get("StopCode") == "EssentialContainerExited"
    return judged(right, f"{error}, StopCode {task.get('StopCode')}, exit codes {codes}")


def _judge_started_by(seen: Answers) -> Finding:
    if seen.task is None:
        return untried("ECS showed no task")
    return judged(seen.task.started_by == "AWS Step Functions", f'startedBy is "{seen.task.started_by}"')


def _judge_timeout(seen: Timed) -> Finding:
    if seen.made:
        return differs(f"the definition was refused as {seen.made}")
    if seen.ended is None:
        told = f"the step was not ended after {seen.seconds:.0f} s"
        return differs(told) if seen.seconds >= ENDS_WITHIN else untried(f"{told}; nobody waited longer")
    error, _ = _caught(seen.ended)
    told = f"after {seen.seconds:.0f} s: {f'{error} was caught' if error else seen.ended.told()}"
    return judged(error == "States.Timeout" and seen.seconds >= LIMIT, told)


def _judge_cause(seen: Timed) -> Finding:
    error, cause = _caught(seen.ended) if seen.ended else (None, "")
    if error != "States.Timeout":
        return untried("the step did not time out")
    return judged(cause == "", f"its cause is {json.dumps(shortened(cause))}")


def _judge_left(seen: Timed) -> Finding:
    error = _caught(seen.ended)[0] if seen.ended else None
    if error != "States.Timeout":
        return untried("the step did not time out")
    if seen.task is None:
        return differs("ECS shows no task of the step")
    if seen.gone is None:
        told = f"its task was {seen.task.status} at the timeout, and not STOPPED {seen.watched:.0f} s later"
        return holds(told) if seen.watched >= LOOKED else untried(f"{told}; nobody watched longer")
    return differs(f"its task was STOPPED {seen.gone:.0f} s after the timeout")


def _judge_aborted(seen: Aborted) -> Finding:
    if seen.stopped is None:
        told = f"its task was not STOPPED {seen.watched:.0f} s later"
        return (
            differs(f"{told}: it is an orphan") if seen.watched >= LOOKED else untried(f"{told}; nobody watched longer")
        )
    reason = f' ("{shortened(seen.reason)}")' if seen.reason else ""
    return holds(f"its task was STOPPED after {seen.stopped:.0f} s{reason}")


def _judge_refused(name: str) -> Any:
    def judge(seen: Refusals) -> Finding:
        ended = seen.ended[name]
        error, cause = _caught(ended)
        told = f"{error}: {shortened(cause)}" if error else ended.told()
        return judged(error == REFUSED[name][0], told)

    return judge


def _judge_unknown(seen: Unknown) -> Finding:
    if seen.made:
        return differs(f"the definition itself was refused, as {seen.made}")
    if seen.tasks:
        return differs("it was not refused, and started a task: the field was taken, or ignored")
    if seen.ended is None:
        return untried("the step did not end")
    error, cause = _caught(seen.ended)
    if error:
        return holds(f"caught as {error}: {shortened(cause)}")
    return differs(f"nothing was caught: {seen.ended.told()}")


def _judge_token(seen: Token) -> Finding:
    if seen.made:
        return differs(f"the definition was refused as {seen.made}")
    for ended in filter(None, seen.ended):
        error, cause = _caught(ended)
        if error:
            return differs(f"the step was refused, and that was caught: {error}: {shortened(cause)}")
        if ended.status != "SUCCEEDED":
            return differs(f"the step was refused, and nothing was caught: {ended.told()}")
    return holds("no step was refused") if seen.tasks else untried("no step was refused, but ECS shows no task")


def _judge_one_task(seen: Token) -> Finding:
    if _judge_token(seen).verdict != "holds":
        return untried("the field was not taken")
    return judged(seen.tasks == 1, f"{seen.tasks} task{'' if seen.tasks == 1 else 's'} for two steps")


PROBES = (
    Probe(
        "answers",
        "two tasks, one that exits with 0 and one with 3",
        answers,
        (
            Assumption(
                "task-succeeds",
                "ecs:runTask.sync answers one task, its keys in PascalCase, with its containers' exit codes.",
                "documented",
                _judge_well,
            ),
            Assumption(
                "task-fails",
                "An exit code other than 0 is States.TaskFailed; the cause is the task as JSON.",
                "reported",
                _judge_badly,
            ),
            Assumption(
                "started-by",
                'A task of a state machine has startedBy "AWS Step Functions".',
                "reported",
                _judge_started_by,
            ),
        ),
    ),
    Probe(
        "timeout",
        f"a task of five minutes in a step whose TimeoutSeconds are an expression, {LIMIT}",
        timed,
        (
            Assumption(
                "timeout-expression",
                "TimeoutSeconds may be a JSONata expression, and States.Timeout can be caught.",
                "reported",
                _judge_timeout,
            ),
            Assumption(
                "timeout-cause",
                "The cause of a caught States.Timeout is there, and empty.",
                "reported",
                _judge_cause,
            ),
            Assumption(
                "timeout-task",
                "The task of a step that timed out lives on.",
                "not documented",
                _judge_left,
            ),
        ),
    ),
    Probe(
        "abort",
        "StopExecution while a step waits for its task",
        aborted,
        (
            Assumption(
                "abort-task",
                "An aborted execution's task is stopped within a minute (a best effort, says AWS).",
                "documented",
                _judge_aborted,
            ),
        ),
    ),
    Probe(
        "refusals",
        "RunTask with what ECS must refuse",
        refusals,
        tuple(
            Assumption(f"refused-{name}", f"{what} fails the step as {error}.", "reported", _judge_refused(name))
            for name, (error, what) in REFUSED.items()
        ),
    ),
    Probe(
        "unknown-field",
        "ecs:runTask.sync with StartedBy",
        unknown,
        (
            Assumption(
                "unknown-field",
                "A field that an integration does not know is refused when the step runs, and can be caught.",
                "reported",
                _judge_unknown,
            ),
        ),
    ),
    Probe(
        "client-token",
        "two executions of ecs:runTask.sync with one ClientToken",
        token,
        (
            Assumption("client-token", "ecs:runTask.sync takes ClientToken.", "not documented", _judge_token),
            Assumption(
                "client-token-once",
                "The same ClientToken with the same parameters starts one task only.",
                "documented",
                _judge_one_task,
            ),
        ),
    ),
)
