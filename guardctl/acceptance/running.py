"""Probes of `ecs:runTask.sync`: how a task's end is told, timeouts and aborts, refusals, and ClientToken."""

import json
from collections.abc import Iterator
from contextlib import suppress

from guardctl.acceptance import definitions
from guardctl.acceptance.definitions import run_task
from guardctl.acceptance.findings import Assumption, Finding, Untried, differs, holds, judged, not_seen, probe, untried
from guardctl.acceptance.stack import exiting, working
from guardctl.acceptance.trial import MARK, Ended, NotInTime, Task, Trial, shortened

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

_STOPPED = "its task did not end by itself in time, and was stopped"


@probe(
    "two tasks, one that exits with 0 and one with 3",
    Assumption(
        "task-succeeds",
        "ecs:runTask.sync answers one task, its keys in PascalCase, with its containers' exit codes.",
        "documented",
    ),
    Assumption(
        "task-fails", "An exit code other than 0 is States.TaskFailed; the cause is the task as JSON.", "reported"
    ),
    Assumption("started-by", 'A task of a state machine has startedBy "AWS Step Functions".', "reported"),
)
def answers(trial: Trial) -> Iterator[Finding]:
    machine = trial.make("task", run_task(trial))
    well, badly = (trial.start(machine, {"command": exiting(code)}) for code in (0, 3))
    task, stopped = trial.a_task_of(badly), False
    try:
        ends = trial.ended(well), trial.ended(badly)
    except NotInTime:
        # So that what the step says of a stopped task is seen all the same.
        for left in [*trial.tasks_of(well), *trial.tasks_of(badly)]:
            trial.stop_task(left.arn)
        ends, stopped = (trial.ended(well), trial.ended(badly)), True
    yield _well(ends[0], stopped=stopped)
    yield _badly(ends[1], stopped=stopped)
    yield judged(task.started_by == "AWS Step Functions", f'startedBy is "{task.started_by}"')


@probe(
    f"a task of five minutes in a step whose TimeoutSeconds are an expression, {LIMIT}",
    Assumption(
        "timeout-expression",
        "TimeoutSeconds may be a JSONata expression, and States.Timeout can be caught.",
        "reported",
    ),
    Assumption("timeout-cause", "The cause of a caught States.Timeout is there, and empty.", "reported"),
    Assumption("timeout-task", "The task of a step that timed out lives on.", "not documented"),
)
def timed(trial: Trial) -> Iterator[Finding]:
    """A task that works for five minutes in a step that may last for `LIMIT` seconds."""
    definition = run_task(trial)
    definition["States"]["Try"]["TimeoutSeconds"] = "{% $states.input.limit %}"
    machine, refusal = trial.make_or_not("timeout", definition)
    if refusal:
        yield differs(f"the definition was refused as {refusal}")
        raise Untried("the step did not time out")
    execution = trial.start(machine, {"command": working(300), "limit": LIMIT})
    began = trial.clock.now()
    ended = trial.ended_or_none(execution, within=ENDS_WITHIN)
    seconds = trial.clock.now() - began
    error, cause = ended.caught if ended else (None, "")
    if ended is None:
        yield not_seen(f"the step was not ended after {seconds:.0f} s", seconds, ENDS_WITHIN)
    else:
        told = f"after {seconds:.0f} s: {f'{error} was caught' if error else ended.told()}"
        yield judged(error == "States.Timeout" and seconds >= LIMIT, told)
    task = next(iter(trial.tasks_of(execution)), None)
    gone = _watched(trial, task) if task else None
    if error != "States.Timeout":
        raise Untried("the step did not time out")
    yield judged(cause == "", f"its cause is {json.dumps(shortened(cause))}")
    watched = trial.at_most(LOOKED)
    if task is None:
        yield differs("ECS shows no task of the step")
    elif gone is not None:
        yield differs(f"its task was STOPPED {gone:.0f} s after the timeout")
    else:
        told = f"its task was {task.status} at the timeout, and not STOPPED {watched:.0f} s later"
        yield holds(told) if watched >= LOOKED else untried(f"{told}; nobody watched longer")


@probe(
    "StopExecution while a step waits for its task",
    Assumption(
        "abort-task",
        "An aborted execution's task is stopped within a minute (a best effort, says AWS).",
        "documented",
    ),
)
def aborted(trial: Trial) -> Iterator[Finding]:
    """StopExecution while the step waits for a task that is RUNNING, or about to be."""
    execution = trial.start(trial.make("aborted", run_task(trial)), {"command": working(300)})
    task = trial.a_task_of(execution)
    with suppress(NotInTime):
        trial.until(lambda: trial.now(task).status == "RUNNING", "a RUNNING task", every=2)
    trial.stepfunctions.stop_execution(executionArn=execution)
    stopped = _watched(trial, task)
    watched = trial.at_most(LOOKED)
    if stopped is None:
        orphan = ": it is an orphan" if watched >= LOOKED else ""
        yield not_seen(f"its task was not STOPPED {watched:.0f} s later{orphan}", watched, LOOKED)
    else:
        why = trial.now(task).stopped_reason
        yield holds(f"its task was STOPPED after {stopped:.0f} s" + (f' ("{shortened(why)}")' if why else ""))


@probe(
    "RunTask with what ECS must refuse",
    *(
        Assumption(f"refused-{name}", f"{what} fails the step as {error}.", "reported")
        for name, (error, what) in REFUSED.items()
    ),
)
def refusals(trial: Trial) -> Iterator[Finding]:
    asked = definitions.refusals(trial)
    started = {name: trial.start(trial.make(name, asked[name]), {"command": exiting(0)}) for name in REFUSED}
    for name, execution in started.items():
        ended = trial.ended(execution)
        error, cause = ended.caught
        yield judged(error == REFUSED[name][0], f"{error}: {shortened(cause)}" if error else ended.told())


@probe(
    "ecs:runTask.sync with StartedBy",
    Assumption(
        "unknown-field",
        "A field that an integration does not know is refused when the step runs, and can be caught.",
        "reported",
    ),
)
def unknown(trial: Trial) -> Iterator[Finding]:
    """A field that ``ecs:runTask`` is known to refuse, StartedBy."""
    machine, refusal = trial.make_or_not("unknown-field", run_task(trial, StartedBy="a-probe"))
    if refusal:
        yield differs(f"the definition itself was refused, as {refusal}")
        return
    execution = trial.start(machine, {"command": exiting(0)})
    ended = trial.ended_or_none(execution)
    error, cause = ended.caught if ended else (None, "")
    if trial.tasks_of(execution):
        yield differs("it was not refused, and started a task: the field was taken, or ignored")
    elif ended is None:
        yield untried("the step did not end")
    elif error:
        yield holds(f"caught as {error}: {shortened(cause)}")
    else:
        yield differs(f"nothing was caught: {ended.told()}")


@probe(
    "two executions of ecs:runTask.sync with one ClientToken",
    Assumption("client-token", "ecs:runTask.sync takes ClientToken.", "not documented"),
    Assumption(
        "client-token-once", "The same ClientToken with the same parameters starts one task only.", "documented"
    ),
)
def token(trial: Trial) -> Iterator[Finding]:
    """Two executions, one token: with the same token and parameters RunTask starts one task (AWS, ECS_Idempotency)."""
    plain = run_task(trial, ClientToken="{% $states.input.token %}")
    # The executions have different ARNs, and parameters that differ are a ConflictException.
    mark = f"{trial.names.stage}-one-token"
    [override] = plain["States"]["Try"]["Arguments"]["Overrides"]["ContainerOverrides"]
    override["Environment"] = [{"Name": MARK, "Value": mark}]
    machine, refusal = trial.make_or_not("token", plain)
    if refusal:
        yield differs(f"the definition was refused as {refusal}")
        raise Untried("the field was not taken")
    event = {"command": working(5), "token": mark}
    first = trial.start(machine, event)
    with suppress(NotInTime):  # one after the other: two at the same moment are another question
        trial.a_task_of(mark)
    second = trial.start(machine, event)
    ended = trial.ended_or_none(first)
    # If the first one's task never ends, the second one's needs no wait of its own.
    also = trial.ended_or_none(second, within=None if ended else 0)
    tasks = len(trial.tasks_of(mark))
    taken = _taken((ended, also), tasks)
    yield taken
    if taken.verdict != "holds":
        raise Untried("the field was not taken")
    yield judged(tasks == 1, f"{tasks} task{'' if tasks == 1 else 's'} for two steps")


PROBES = (answers, timed, aborted, refusals, unknown, token)


def _watched(trial: Trial, task: Task) -> float | None:
    """Seconds until the task is STOPPED; if it is not, stop it, for nobody needs it any longer."""
    gone = trial.timed(lambda: not trial.now(task).alive, "a STOPPED task", within=LOOKED, every=2)
    if gone is None:
        trial.stop_task(task.arn)
    return gone


def _well(ended: Ended, *, stopped: bool) -> Finding:
    """Of a task that exits with 0; `stopped` if it did not end by itself in time."""
    answer = (ended.output or {}).get("answer")
    if not answer or not isinstance(answer, dict):
        return differs(f"no answer: {ended.told()} {shortened(str(ended.caught))}")
    codes = [container.get("ExitCode") for container in answer.get("Containers", [])]
    if stopped and answer.get("TaskArn"):
        return untried(_STOPPED)
    right = answer.get("LastStatus") == "STOPPED" and bool(answer.get("TaskArn")) and codes == [0]
    told = f"LastStatus {answer.get('LastStatus')}, StopCode {answer.get('StopCode')}, exit codes {codes}"
    return judged(right, f"{told}, keys {', '.join(sorted(answer))}")


def _badly(ended: Ended, *, stopped: bool) -> Finding:
    """Of a task that exits with 3; `stopped` if it did not end by itself in time."""
    error, cause = ended.caught
    if error is None:
        return untried(_STOPPED) if stopped else differs(f"nothing was caught: {ended.told()}")
    try:
        task = json.loads(cause)
        codes = [container.get("ExitCode") for container in task["Containers"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return differs(f"{error}, and its cause is no task: {shortened(cause)}")
    if stopped:
        return untried(_STOPPED)
    right = error == "States.TaskFailed" and codes == [3] and task.get("StopCode") == "EssentialContainerExited"
    return judged(right, f"{error}, StopCode {task.get('StopCode')}, exit codes {codes}")


def _taken(ends: tuple[Ended | None, ...], tasks: int) -> Finding:
    """Whether steps with a ClientToken were refused; None: they went on."""
    for ended in filter(None, ends):
        error, cause = ended.caught
        if error:
            return differs(f"the step was refused, and that was caught: {error}: {shortened(cause)}")
        if ended.status != "SUCCEEDED":
            return differs(f"the step was refused, and nothing was caught: {ended.told()}")
    return holds("no step was refused") if tasks else untried("no step was refused, but ECS shows no task")
