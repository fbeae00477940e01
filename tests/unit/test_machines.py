"""The state machines' own expressions, in a JSONata engine: what the emulator can't play, such as a redrive."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

import botocore.session
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.config import jobs
from guardctl.template import definition
from lab import language
from lab.expressions import program
from lab.play import with_pools
from tests.properties import examples

BATCH, GUARD, TELLS = (definition(machine)["States"] for machine in ("batch", "guard", "telling"))
IS_IT_TOLD = "Is it told?"
TELLING = {"machine": "arn:…:stateMachine:batch-guard-dev--telling", "kinds": ["failed"]}
RUN_TASK = "Run an ECS task and wait for it to complete"
STARTED = datetime.fromisoformat("2026-11-23T18:00:01.250Z")
CONTAINER = {"Name": "app", "Environment": [{"Name": "LEVEL", "Value": "info"}], "Command": ["bin/report"]}
SIDECAR = {"Name": "sidecar", "Environment": []}
TASK = {
    "Cluster": "batch",
    "TaskDefinition": "report:7",
    "Overrides": {"ContainerOverrides": [CONTAINER], "Cpu": "512"},
}
TARGET = {"cluster": "batch", "family": "report", "container": "app"}
DEADLINE = "2026-11-23T20:00:00Z"
"""Two hours after the run began."""


def evaluate(template: Any, states: dict[str, Any], *, now: datetime = STARTED, **variables: Any) -> Any:
    """What Step Functions makes of an expression, or of an object with expressions in it."""
    return language.evaluate(template, {"states": states, **variables}, now)


def a_run(**execution: Any) -> dict[str, Any]:
    """``$states`` of a run."""
    own = {"Id": "arn:…:run-000042", "Name": "run-000042"}
    return {"context": {"Execution": {**own, **execution}}, "input": {}}


def run_task_arguments(*containers: dict[str, Any], **execution: Any) -> Any:
    """What a run hands to RunTask, its task being of these containers."""
    task = {**TASK, "Overrides": {**TASK["Overrides"], "ContainerOverrides": list(containers)}}  # type: ignore[dict-item]
    return evaluate(BATCH[RUN_TASK]["Arguments"], a_run(**execution), task=task)


@pytest.mark.parametrize("redrives", [{}, {"RedriveCount": 0}])
@pytest.mark.parametrize("others", [[], [SIDECAR], [SIDECAR, {"Name": "another"}]])
def test_a_run_tells_its_task_which_run_it_is_and_changes_nothing_else(
    redrives: dict[str, int], others: list[dict[str, Any]]
) -> None:
    own = {"Name": "BATCH_EXECUTION", "Value": "arn:…:run-000042"}
    first = {**CONTAINER, "Environment": [{"Name": "LEVEL", "Value": "info"}, own]}
    overrides = {"ContainerOverrides": [first, *others], "Cpu": "512"}
    assert run_task_arguments(CONTAINER, *others, **redrives) == {**TASK, "Overrides": overrides}


@pytest.mark.parametrize("redrives", [1, 2, 100])
def test_a_redriven_run_starts_no_task(redrives: int) -> None:
    with pytest.raises(language.StatesError, match="a redriven run starts no task: start the job again with guardctl"):
        run_task_arguments(CONTAINER, RedriveCount=redrives)


@pytest.mark.parametrize("commands", [["bin/x"], ["bin/x", "--day", "1"], ["{% $boom() %}"]])
def test_commands_stay_a_list_and_are_no_expressions(commands: list[str]) -> None:
    arguments = run_task_arguments({**CONTAINER, "Command": commands})
    assert arguments["Overrides"]["ContainerOverrides"][0]["Command"] == commands


WHOLE = {
    "job": "report",
    "run": "run-000042",
    "scheduled_at": "2026-11-23T18:00:00Z",
    "deadline": DEADLINE,
    "renewal": False,
    "target": TARGET,
    "timeout": 600,
    "retries": 1,
    "task": TASK,
    "guard_execution": "arn:…",
}


def without(*keys: str) -> dict[str, Any]:
    """A run's input that lacks these keys."""
    return {key: value for key, value in WHOLE.items() if key not in keys}


@pytest.mark.parametrize(
    ("name", "event", "leads_to"),
    [
        pytest.param("run-000042", WHOLE, RUN_TASK, id="a run"),
        pytest.param("run-1000042", {**WHOLE, "run": "run-1000042"}, RUN_TASK, id="a run past a million"),
        pytest.param("run-000042", {**WHOLE, "renewal": True}, "Renewed", id="a renewal"),
        pytest.param("run-000042", {"run": "run-000042", "renewal": True}, "Renewed", id="a renewal needs no task"),
        pytest.param("paused-000001", {"paused": True}, "Paused", id="a pause"),
        pytest.param("run-000042", {}, "Not a run", id="started by hand under a run's name"),
        pytest.param("5f0c", {**WHOLE, "run": "5f0c"}, "Not a run", id="started by hand under no run's name"),
        pytest.param("run-42", {**WHOLE, "run": "run-42"}, "Not a run", id="another spelling of a run's name"),
        pytest.param("run-000042", {**WHOLE, "run": "run-000041"}, "Not a run", id="the input of another run"),
        pytest.param("run-000042", {"paused": True}, "Not a run", id="a pause under a run's name"),
        pytest.param("run-000042", {"run": "run-000042"}, "Not a run", id="the input of a release that had the job in the definition"),
        *[pytest.param("run-000042", without(key), "Not a run", id=f"a run without its {key}") for key in ("task", "target", "timeout", "retries", "deadline")],
        pytest.param("run-000042", {**WHOLE, "timeout": "10m"}, "Not a run", id="a timeout that is no number"),
        pytest.param("run-000042", {**WHOLE, "task": {}}, "Not a run", id="a task without a container"),
        pytest.param("run-000042", {**WHOLE, "task": [TASK]}, "Not a run", id="a list of tasks"),
        pytest.param("run-000042", {**WHOLE, "renewal": "true"}, RUN_TASK, id="only true makes a renewal"),
        pytest.param("run-000042", [], "Not a run", id="an input that is no object"),
        pytest.param("run-000042", "run-000042", "Not a run", id="an input that is a text"),
        pytest.param("run-000042", None, "Not a run", id="no input"),
    ],
)  # fmt: skip
def test_what_an_execution_of_the_batch_machine_is(name: str, event: Any, leads_to: str) -> None:
    assert chosen(BATCH["Is it a run?"], {**a_run(Name=name), "input": event}) == leads_to


def test_a_run_begins_with_what_its_input_says() -> None:
    (assign,) = [c["Assign"] for c in BATCH["Is it a run?"]["Choices"] if "Assign" in c]
    began = int(STARTED.timestamp() * 1000)
    told = {key: WHOLE[key] for key in ("task", "target", "timeout", "retries", "deadline")}
    counted = {"attempt": 1, "tries": 1, "looks": 0, "misses": 0, "seen": "", "began": began, "since": began}
    begun = {**told, **counted, "stopped": [], "told": "", "ending": ""}
    assert evaluate(assign, {**a_run(), "input": WHOLE}) == {**begun, "tell": {}}
    assert evaluate(assign, {**a_run(), "input": {**WHOLE, "tell": TELLING}}) == {**begun, "tell": TELLING}
    assert evaluate(assign, {**a_run(), "input": {**WHOLE, "tell": "no object"}}) == {**begun, "tell": {}}


def chosen(state: dict[str, Any], states: dict[str, Any], **variables: Any) -> str:
    """The state that a Choice leads to, where nobody is told."""
    for choice in state["Choices"]:
        if evaluate(choice["Condition"], states, **variables) is True:
            name, assigned = str(choice["Next"]), choice.get("Assign", {})
            break
    else:
        name, assigned = str(state["Default"]), {}
    if name != IS_IT_TOLD:
        return name
    return chosen(BATCH[name], states, tell={}, ending=assigned.get("ending", ""))


# --- what ECS's answer means ------------------------------------------------------------------------------

NEVER, PASSES, UNCLEAR, ENDED = "Not started", "Wait for room", "Look again soon", "Look for the task"
NOT_AUTHORIZED = "User: arn:…:assumed-role/x is not authorized to perform: {} on resource: arn:… (Service: AmazonECS; Status Code: 400; Error Code: AccessDeniedException)"
EC2_SAYS = "Error retrieving security group information for [sg-1]: {} (Service: AmazonECS; Status Code: 400; Error Code: InvalidParameterException)"


def leads_to(error: str, cause: str = "", *, minutes: float = 1, deadline: str = DEADLINE) -> str:
    """Where a run goes from an error of RunTask, so long after it began, past the Choices on the way."""
    now = STARTED + timedelta(minutes=minutes)
    (caught,) = BATCH[RUN_TASK]["Catch"]
    given = {**a_run(), "errorOutput": {"Error": error, "Cause": cause}}
    states = {**a_run(), "input": evaluate(caught["Output"], given, now=now)}
    name = str(caught["Next"])
    variables = {"began": int(STARTED.timestamp() * 1000), "deadline": deadline}
    while BATCH[name]["Type"] == "Choice":
        name = chosen(BATCH[name], states, now=now, **variables)
    return name


ANSWERS = [
    # one of each error that RunTask's model lists
    ("ECS.AccessDeniedException", NOT_AUTHORIZED.format("ecs:RunTask"), PASSES, "a permission is missing: in the first minutes it may be new"),
    ("ECS.BlockedException", "Your account was blocked.", NEVER, "a blocked account"),
    ("ECS.ClientException", "TaskDefinition is inactive", NEVER, "a task definition that was deregistered"),
    ("ECS.ClusterNotFoundException", "Cluster not found.", NEVER, "no such cluster"),
    ("ECS.ConflictException", "", NEVER, "a conflict: no client token is sent, so it can't be ours"),
    ("ECS.InvalidParameterException", "The subnet ID 'subnet-1' does not exist (ErrorCode: InvalidSubnetID.NotFound)", NEVER, "a wrong subnet"),
    ("ECS.PlatformTaskDefinitionIncompatibilityException", "", NEVER, "a platform that lacks what the task definition needs"),
    ("ECS.PlatformUnknownException", "The specified platform does not exist.", NEVER, "no such platform version"),
    ("ECS.ServerException", "Service Unavailable. Please try again later.", UNCLEAR, "a fault of ECS: it may have started one"),
    ("ECS.UnsupportedFeatureException", "", NEVER, "not in this Region"),
    # of Step Functions
    ("States.TaskFailed", "{}", ENDED, "a task was started and has stopped"),
    ("States.Timeout", "", ENDED, "a task was started and has not stopped"),
    ("States.QueryEvaluationError", "a redriven run starts no task: …", "Redrive refused", "redriven"),
    ("States.QueryEvaluationError", "… TimeoutSeconds …", NEVER, "arguments that can't be evaluated"),
    ("States.Runtime", "", NEVER, "arguments that Step Functions refuses"),
    ("States.ParameterPathFailure", "", NEVER, "arguments that lack something"),
    ("States.IntrinsicFailure", "", NEVER, "arguments with a function that fails"),
    ("States.Permissions", "", PASSES, "the role may not do it"),
    ("States.HeartbeatTimeout", "", UNCLEAR, "no heartbeat"),
    ("States.DataLimitExceeded", "", UNCLEAR, "an answer that is too long: a task may run"),
    ("States.SomethingNew", "", UNCLEAR, "an error nobody thought of"),
    # as people reported them
    ("ECS.InvalidParameterException", EC2_SAYS.format("Request limit exceeded. (ErrorCode: RequestLimitExceeded)"), PASSES, "EC2 throttles ECS"),
    ("ECS.InvalidParameterException", EC2_SAYS.format("Rate exceeded (ErrorCode: Throttling)"), PASSES, "EC2 throttles ECS in other words"),
    ("ECS.InvalidParameterException", EC2_SAYS.format("The service is unavailable."), PASSES, "EC2 is not there"),
    ("ECS.InvalidParameterException", EC2_SAYS.format("An internal error has occurred."), PASSES, "EC2 has a fault"),
    ("ECS.ClientException", "Tasks provisioning capacity limit exceeded.", PASSES, "too many tasks are being provisioned"),
    ("ECS.InvalidParameterException", "No Container Instances were found in your cluster.", PASSES, "a cluster that scales from zero"),
    ("AmazonECS.Unknown", '{"failures":[{"reason":"RESOURCE:MEMORY"}]}', PASSES, "no room for the memory"),
    ("AmazonECS.Unknown", '{"failures":[{"reason":"RESOURCE:CPU"}]}', PASSES, "no room for the CPU"),
    ("AmazonECS.Unknown", '{"failures":[{"reason":"AGENT"}]}', PASSES, "an agent that is not connected"),
    ("AmazonECS.Unknown", "Capacity is unavailable at this time. Please try again later or in a different availability zone", PASSES, "no Fargate capacity"),
    ("ECS.ClientException", "Capacity is unavailable at this time. Please try again later", PASSES, "no capacity, as a client's error"),
    ("ECS.ClientException", "You've reached the limit on the number of vCPUs you can run concurrently", PASSES, "the account's vCPUs are all in use"),
    ("ECS.ClientException", "You've reached the limit on the number of tasks you can run concurrently", PASSES, "the account's tasks are all running"),
    ("ECS.InvalidParameterException", "The specified subnet does not have enough free addresses to satisfy the request.", PASSES, "no address is free in the subnet"),
    ("ECS.AmazonECSException", "Rate exceeded (Service: AmazonECS; Status Code: 400; Error Code: ThrottlingException; Request ID: x)", PASSES, "a throttle"),
    ("ECS.AmazonECSException", "Rate exceeded (Service: AmazonECS; Status Code: 429; Request ID: x)", PASSES, "a throttle by status"),
    ("ECS.ThrottlingException", "Rate exceeded", PASSES, "a throttle by name"),
    ("ECS.LimitExceededException", "", PASSES, "a limit by name"),
    ("ECS.AmazonECSException", "Rate exceeded", UNCLEAR, "a throttle without a status: whose, nobody knows"),
    ("ECS.AmazonECSException", "Unable to execute HTTP request: Read timed out", UNCLEAR, "no answer came"),
    ("ECS.AmazonECSException", "Request timed out (Service: AmazonECS; Status Code: 408; Request ID: x)", UNCLEAR, "a time-out by status"),
    ("ECS.AmazonECSException", "Internal error (Service: AmazonECS; Status Code: 500; Request ID: x)", UNCLEAR, "a fault of ECS by status"),
    ("ECS.AmazonECSException", "Invalid x (Service: AmazonECS; Status Code: 400; Error Code: ValidationException)", NEVER, "a request that is malformed"),
    ("ECS.ClientException", "ECS was unable to assume the role 'arn:…' that was provided for this task.", PASSES, "a role that IAM does not show everywhere yet"),
    ("ECS.AccessDeniedException", NOT_AUTHORIZED.format("ecs:TagResource"), PASSES, "tags need a permission"),
    ("ECS.AccessDeniedException", NOT_AUTHORIZED.format("iam:PassRole"), PASSES, "a role that may not be passed"),
    ("ECS.AmazonECSException", NOT_AUTHORIZED.format("ecs:RunTask"), PASSES, "a missing permission by another name"),
    ("ECS.AccessDeniedException", NOT_AUTHORIZED.format("ecs:DescribeTasks"), UNCLEAR, "it may not look at the task that it started"),
    ("ECS.AccessDeniedException", NOT_AUTHORIZED.format("events:PutRule"), UNCLEAR, "it may not make the rule that tells it of the end"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "cause", "expected"), [pytest.param(*row[:3], id=row[3]) for row in ANSWERS])
def test_what_an_answer_of_run_task_means(error: str, cause: str, expected: str) -> None:
    assert leads_to(error, cause) == expected


def test_no_error_of_run_task_lacks_a_row() -> None:
    model = botocore.session.get_session().get_service_model("ecs").operation_model("RunTask")
    named = {error for error, *_ in ANSWERS}
    assert {f"ECS.{shape.name}" for shape in model.error_shapes} <= named


MAY_PASS = [row for row in ANSWERS if row[2] == PASSES]


@pytest.mark.parametrize(("error", "cause"), [pytest.param(*row[:2], id=row[3]) for row in MAY_PASS])
def test_what_may_pass_is_tried_until_the_deadline(error: str, cause: str) -> None:
    denied = "not authorized" in cause or error == "States.Permissions"
    assert leads_to(error, cause, minutes=4.9) == PASSES
    assert leads_to(error, cause, minutes=119.9) == (NEVER if denied else PASSES)
    assert leads_to(error, cause, minutes=120) == (NEVER if denied else "Not placed")
    assert leads_to(error, cause, deadline="2026-11-23T18:00:30Z") == "Not placed"


def test_a_missing_permission_is_believed_after_five_minutes() -> None:
    for cause in (NOT_AUTHORIZED.format("ecs:RunTask"), NOT_AUTHORIZED.format("ecs:TagResource")):
        assert leads_to("ECS.AccessDeniedException", cause, minutes=5) == PASSES
        assert leads_to("ECS.AccessDeniedException", cause, minutes=5.1) == NEVER


@settings(max_examples=examples(60), deadline=None, derandomize=True, database=None)
@given(
    st.sampled_from([error for error, *_ in ANSWERS]) | st.text(max_size=20), st.text(max_size=60), st.text(max_size=20)
)
def test_whatever_ecs_says_has_a_meaning(error: str, cause: str, deadline: str) -> None:
    ends = {NEVER, PASSES, UNCLEAR, ENDED, "Not placed", "Redrive refused"}
    assert leads_to(error, cause, deadline=deadline) in ends


def test_waiting_for_room_stays_far_from_the_end_of_a_history() -> None:
    spent, tries = 0.0, 0
    while spent < 86_400:
        now = STARTED + timedelta(seconds=spent)
        wait = evaluate(BATCH[PASSES]["Seconds"], a_run(), now=now, began=int(STARTED.timestamp() * 1000))
        assert 15 <= wait <= 300
        spent, tries = spent + float(wait), tries + 1
    events_of_a_try = 12
    assert tries * events_of_a_try < 25_000 / 4


# --- how the task stands ----------------------------------------------------------------------------------

STOPPED = {"arn": "arn:…:task/1", "last_status": "STOPPED", "exit_code": 0, "stop_code": "", "stopped_reason": ""}
LIVES = {**STOPPED, "last_status": "RUNNING", "exit_code": None}
BY_ITSELF = ("", "EssentialContainerExited")
BY_OTHERS = (
    "SpotInterruption",
    "UserInitiated",
    "TerminationNotice",
    "ServiceSchedulerInitiated",
    "InfrastructureHealth",
)


def stop_codes() -> list[str]:
    """Every stop code that ECS may give a task (its model), and none."""
    model = botocore.session.get_session().get_service_model("ecs")
    return ["", *model.shape_for("TaskStopCode").metadata["enum"]]


def stands(found: dict[str, Any], *, minutes: float = 1, since: float = 0, **variables: Any) -> str:
    """Where a run goes that sees its task so, minutes after it began; and since when it tries."""

    def at(begun: float) -> int:
        return int((STARTED + timedelta(minutes=begun)).timestamp() * 1000)

    state = {"task": None, "timed_out": False, "error": "States.TaskFailed", "cause": "", **found}
    numbers = {
        "looks": 0,
        "misses": 0,
        "seen": "",
        "tries": 1,
        "attempt": 1,
        "retries": 0,
        "timeout": 600,
        "told": "",
        "stopped": [],
        **variables,
    }
    now = STARTED + timedelta(minutes=minutes)
    return chosen(BATCH["How does the task stand?"], {"input": state}, now=now, since=at(since), **numbers)


@pytest.mark.parametrize("stop_code", stop_codes())
@pytest.mark.parametrize("exit_code", [0, 1, 137, None])
@pytest.mark.parametrize("told", [False, True], ids=["", "told to stop"])
@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize("timed_out", [False, True], ids=["", "timed out"])
def test_how_a_stopped_task_is_judged(
    stop_code: str, exit_code: int | None, told: bool, retries: int, timed_out: bool
) -> None:
    """One rule for each line, the first that fits."""
    task = {**STOPPED, "stop_code": stop_code, "exit_code": exit_code}
    if stop_code in BY_ITSELF and exit_code == 0:
        expected = "Succeeded"  # whatever the clock says
    elif stop_code not in BY_ITSELF and told:
        expected = "Timed out"
    elif retries:
        expected = "Wait before the next attempt"
    elif stop_code in BY_OTHERS:
        expected = "Interrupted"  # also with exit code 0: it has not finished
    else:
        expected = "Task failed"
    told_which: dict[str, Any] = {"told": task["arn"] if told else "arn:…:task/0"}
    assert stands({"task": task, "timed_out": timed_out}, retries=retries, minutes=15, **told_which) == expected


def test_no_stop_code_of_ecs_lacks_a_judgement() -> None:
    assert set(stop_codes()) == {*BY_ITSELF, *BY_OTHERS, "TaskFailedToStart"}


@pytest.mark.parametrize(
    ("seen", "variables", "leads_to"),
    [
        pytest.param({"task": {**STOPPED, "exit_code": 1}}, {"retries": 1, "attempt": 2}, "Task failed", id="it failed once too often"),
        pytest.param({"task": LIVES, "timed_out": True}, {}, "Stop the task", id="it lives on after its timeout"),
        pytest.param({"task": LIVES}, {}, "Wait for the task", id="it was found alive after an unclear answer"),
        pytest.param({"task": LIVES}, {"minutes": 11}, "Stop the task", id="it was found alive and is past its timeout"),
        pytest.param({"task": LIVES}, {"minutes": 60, "since": 51}, "Wait for the task", id="the timeout counts from the try that placed it"),
        pytest.param({"task": LIVES}, {"looks": 2000}, "Lost sight of the task", id="it can't be stopped"),
        pytest.param({"task": {**LIVES, "last_status": "DEPROVISIONING"}}, {}, "Wait for the task", id="on its way down it still runs"),
        pytest.param({"error": "ECS.ServerException"}, {"misses": 36}, "Look again soon", id="it looks for the six minutes that ECS may hide a task"),
        pytest.param({"error": "ECS.ServerException"}, {"misses": 37, "seen": "arn:…:task/1"}, "Lost sight of the task", id="a task that was seen alive and is not shown any more may live: it is not run again"),
        pytest.param({"error": "ECS.ServerException"}, {"misses": 37}, RUN_TASK, id="no task after six minutes: again"),
        pytest.param({"error": "ECS.ServerException"}, {"misses": 37, "tries": 10}, "Lost sight of the task", id="ten tries"),
        pytest.param({"error": "States.Timeout", "timed_out": True}, {"misses": 37}, "Lost sight of the task", id="timed out, no task in sight: nobody knows, and it is not run again"),
        pytest.param({"error": "States.TaskFailed"}, {"misses": 37}, "Lost sight of the task", id="nor after a task that failed"),
        pytest.param({"error": "States.TaskFailed"}, {"misses": 36}, "Look again soon", id="a task that failed may be shown late"),
    ],
)  # fmt: skip
def test_how_a_run_goes_on_after_its_task(seen: dict[str, Any], variables: dict[str, Any], leads_to: str) -> None:
    assert stands(seen, **variables) == leads_to


def test_a_success_tells_the_tasks_that_were_seen_to_stop() -> None:
    success = BATCH["How does the task stand?"]["Choices"][0]["Output"]
    for stopped, tasks in (([], ["arn:…:task/1"]), (["arn:…:task/0"], ["arn:…:task/0", "arn:…:task/1"])):
        told = evaluate(success, {**a_run(), "input": {"task": STOPPED}}, stopped=stopped)
        assert told == {"run": "run-000042", "tasks": tasks}


RESULT = {
    "TaskArn": "arn:…:task/1",
    "LastStatus": "STOPPED",
    "StopCode": "EssentialContainerExited",
    "StoppedReason": "Essential container in task exited",
    "Containers": [{"Name": "sidecar", "ExitCode": 137}, {"Name": "app", "ExitCode": 0}],
}


@pytest.mark.parametrize(
    ("result", "leads_to"),
    [
        pytest.param(RESULT, "Succeeded", id="it exited with 0"),
        pytest.param({**RESULT, "StopCode": "SpotInterruption"}, "Interrupted", id="it was interrupted, and exited with 0"),
        pytest.param({**RESULT, "Containers": [{"Name": "app", "ExitCode": 1}]}, "Task failed", id="it exited with 1"),
        pytest.param({**RESULT, "Containers": [{"Name": "app"}], "StopCode": "UserInitiated"}, "Interrupted", id="a person stopped it before it ran"),
    ],
)  # fmt: skip
def test_what_run_task_sync_returns_is_judged_like_what_is_looked_for(result: dict[str, Any], leads_to: str) -> None:
    seen = evaluate(BATCH[RUN_TASK]["Output"], {**a_run(), "result": result}, target=TARGET)
    assert seen["task"]["arn"] == "arn:…:task/1"
    assert stands(seen) == leads_to


@pytest.mark.parametrize(
    ("state", "stopped", "says"),
    [
        pytest.param("Task failed", ["arn:1"], "container app exited with 3 (EssentialContainerExited: it ended), task arn:1", id="failed"),
        pytest.param("Task failed", ["arn:1", "arn:2"], "container app exited with 3 (EssentialContainerExited: it ended), tasks arn:1, arn:2", id="failed twice"),
        pytest.param("Interrupted", ["arn:1"], "the task was stopped before it had finished (EssentialContainerExited: it ended), task arn:1", id="interrupted"),
        pytest.param("Timed out", ["arn:1"], "stopped after its timeout of 600 s, task arn:1", id="timed out"),
        pytest.param("Not placed", [], "ECS had no room for the task until the deadline, 2026-11-23T20:00:00Z: E: C", id="not placed"),
        pytest.param("Not placed", ["arn:1"], "ECS had no room for the task until the deadline, 2026-11-23T20:00:00Z, after task arn:1: E: C", id="not placed after one that failed"),
        pytest.param("Not started", [], "ECS refused to start the task: E: C", id="not started"),
        pytest.param("Lost sight of the task", [], "nobody knows whether a task of this run is alive: E: C", id="lost sight"),
    ],
)  # fmt: skip
def test_a_cause_says_what_happened_and_to_which_tasks(state: str, stopped: list[str], says: str) -> None:
    task = {**STOPPED, "exit_code": 3, "stop_code": "EssentialContainerExited", "stopped_reason": "it ended"}
    states = {**a_run(), "input": {"task": task, "error": "E", "cause": "C"}}
    variables: dict[str, Any] = {"target": TARGET, "stopped": stopped, "timeout": 600, "deadline": DEADLINE}
    assert evaluate(BATCH[state]["Cause"], states, **variables) == says


def test_a_missing_permission_names_the_remedy() -> None:
    states = {**a_run(), "input": {"error": "ECS.AccessDeniedException", "cause": NOT_AUTHORIZED.format("ecs:RunTask")}}
    said = evaluate(BATCH["Not started"]["Cause"], states, stopped=[])
    assert said.endswith("If the jobs file has just changed its cluster, task definition or roles: guardctl deploy")


def every_end(states: dict[str, Any]) -> list[tuple[str, str]]:
    """Fail states and their errors."""
    return [(name, state["Error"]) for name, state in states.items() if state["Type"] == "Fail"]


def test_every_failure_has_a_name() -> None:
    assert all(error.startswith(("BatchGuard.", "Unclean.", "{% 'BatchGuard.'")) for _, error in every_end(BATCH))
    assert all(error.startswith(("BatchGuard.", "{% 'BatchGuard.'")) for _, error in every_end(GUARD))


def expressions(value: Any) -> Iterator[str]:
    """Every expression of a definition."""
    if isinstance(value, str) and value.startswith("{%"):
        yield value.removeprefix("{%").removesuffix("%}")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from expressions(inner)


@pytest.mark.parametrize(
    "expression", [*expressions(BATCH), *expressions(GUARD), *expressions(TELLS)], ids=lambda text: text[:50]
)
def test_every_expression_can_be_parsed(expression: str) -> None:
    assert program(expression)


@pytest.mark.parametrize("states", [BATCH, GUARD])
def test_every_task_is_caught_whatever_its_error_and_every_choice_has_a_default(states: dict[str, Any]) -> None:
    for name, state in states.items():
        if state["Type"] == "Task":
            assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name
            assert state["TimeoutSeconds"], name
        if state["Type"] == "Choice":
            default = states[state["Default"]]
            assert default["Type"] == "Fail" or default is states[IS_IT_TOLD], name


def decided(outcome: str, **parts: Any) -> dict[str, Any]:
    """A decision, as far as the guard machine looks at it before it obeys."""
    return {"outcome": outcome, "reason": "why", "state_machine_arn": "arn:…", **parts}


@pytest.mark.parametrize(
    ("decision", "leads_to"),
    [
        pytest.param({"outcome": "start", "running_flg": False, "run": WHOLE}, "Start the run", id="a start with its run"),
        pytest.param({"outcome": "start", "running_flg": False}, "Can asking again help?", id="a start without a run: the checker is older"),
        pytest.param({"outcome": "start", "running_flg": False, "run": "run-000042"}, "Can asking again help?", id="a run that is only a name"),
        pytest.param({"outcome": "start", "running_flg": True, "run": WHOLE}, "Can asking again help?", id="a start while it runs"),
        pytest.param(decided("started", holder={"name": "run-000042"}), "Started", id="started"),
        pytest.param(decided("wait", wait_seconds=15), "Wait for the holder", id="wait"),
        pytest.param(decided("stop_run", wait_seconds=15), "Stop the run", id="stop the run"),
        pytest.param(decided("stop_task", wait_seconds=15), "Stop the task", id="stop the task"),
        pytest.param(decided("queue"), "Wait in the queue", id="queue"),
        pytest.param(decided("queued", waiter="q", waiter_machine="arn:…"), "Queued", id="queued"),
        pytest.param(decided("refuse"), "Refused", id="refuse"),
        pytest.param(decided("skip", on_skip="succeed", holder=None), "Skipped", id="a skip that succeeds"),
        pytest.param(decided("skip", on_skip="fail"), "Already running", id="a skip that fails"),
        pytest.param(decided("started", holder=None), "Check failed", id="started, but not which run"),
        pytest.param(decided("started", holder={"name": "run-000042"}, state_machine_arn=None), "Check failed", id="started, but not where"),
        pytest.param(decided("wait", wait_seconds=None), "Check failed", id="wait, but not how long"),
        pytest.param(decided("stop_run"), "Check failed", id="stop the run, and no time to look again"),
        pytest.param(decided("stop_task", wait_seconds="15"), "Check failed", id="stop the task, and look again after a text"),
        pytest.param(decided("queued", waiter_machine="arn:…"), "Check failed", id="queued, but not by which name"),
        pytest.param(decided("queued", waiter="q"), "Check failed", id="queued, but not at which machine"),
        pytest.param(decided("refuse", reason=None), "Check failed", id="refused without a reason"),
        pytest.param(decided("skip", on_skip="succeed"), "Already running", id="skipped, and nobody in the way: a skip that fails"),
        pytest.param({"outcome": "Start"}, "Check failed", id="another spelling"),
        pytest.param({}, "Check failed", id="no outcome"),
        pytest.param(None, "Check failed", id="nothing"),
        pytest.param("start", "Check failed", id="a text"),
    ],
)  # fmt: skip
def test_what_the_guard_machine_does_not_know_it_does_not_run(decision: Any, leads_to: str) -> None:
    state = GUARD["Already running?"]
    assert chosen(state, {"input": {"decision": decision}, "context": {}}) == leads_to


def test_a_guard_hands_on_the_run_and_says_whose_it_is() -> None:
    run = {key: value for key, value in WHOLE.items() if key != "guard_execution"}
    states = {"input": {"decision": {"run": run}}, "context": {"Execution": {"Id": "arn:…:guard"}}}
    own = {"guard_execution": "arn:…:guard", "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": "arn:…:guard"}
    assert evaluate(GUARD["Start the run"]["Arguments"]["Input"], states) == {**run, **own}


@pytest.mark.parametrize(
    ("event", "carried", "expected"),
    [
        pytest.param({"job": "x"}, {"guard": {"waited": True}}, {"job": "x", "guard": {"waited": True}}, id="what it carries"),
        pytest.param({"job": "x"}, {"job": "x"}, {"job": "x", "guard": {}}, id="at first nothing"),
        pytest.param({"job": "x", "guard": {"claim": 1}}, {"guard": {"waited": True}}, {"job": "x", "guard": {"forged": True}}, id="an input with a guard of its own is no guard's word"),
        pytest.param(["x"], {}, {"input": ["x"], "guard": {}}, id="an input that is no object is refused by the checker"),
    ],
)  # fmt: skip
def test_what_a_guard_tells_the_checker_of_itself(event: Any, carried: Any, expected: dict[str, Any]) -> None:
    execution = {"Input": event, "Id": "arn:…:guard", "StartTime": "2026-11-23T18:00:01.250Z"}
    states = {"input": carried, "context": {"Execution": execution}}
    own = {"version": 1, "execution": "arn:…:guard", "started": "2026-11-23T18:00:01.250Z"}
    told = evaluate(GUARD["Check running executions"]["Arguments"]["Payload"], states)
    assert told == {**expected, "guard": {**own, **expected["guard"]}}


POOLS = """
[pools.warehouse]
slots = 2
[defaults.ecs]
cluster = "batch"
container = "app"
launch_type = "EC2"
[jobs.close]
pool = "warehouse"
ecs.task_definition = "close"
[jobs.alone]
ecs.task_definition = "alone"
[jobs.named]
pool = "other"
ecs.task_definition = "named"
"""


@pytest.mark.parametrize(
    ("job", "told"),
    [
        pytest.param("close", {"pool": "warehouse", "slots": 2}, id="of a pool with several slots"),
        pytest.param("named", {"pool": "other", "slots": 1}, id="of a pool with another name than the job's"),
        pytest.param("alone", {}, id="of a job that has a pool to itself: nothing"),
        pytest.param("gone", {}, id="of a job that was not deployed: nothing"),
        pytest.param(["close"], {}, id="of what is no name: nothing"),
        pytest.param(None, {}, id="of no job: nothing"),
    ],
)
def test_a_guard_tells_the_checker_of_the_pool_it_was_deployed_for(job: Any, told: dict[str, Any]) -> None:
    guard = with_pools(definition("guard"), jobs.parse(POOLS, stage="dev", place="dev.toml"))["States"]
    execution = {"Input": {"job": job}, "Id": "arn:…:guard", "StartTime": "2026-11-23T18:00:01.250Z"}
    states = {"input": {"guard": {"waited": True}}, "context": {"Execution": execution}}
    payload = evaluate(guard["Check running executions"]["Arguments"]["Payload"], states)
    own = {"version": 1, "execution": "arn:…:guard", "started": "2026-11-23T18:00:01.250Z", "waited": True}
    assert payload == {"job": job, "guard": own | told}


def waits(carried: dict[str, Any], *, yields: bool) -> Any:
    """What a guard carries on from a wait, which it entered a minute after it began."""
    states = {
        "input": {"guard": carried, "decision": {"wait_seconds": 15, "yields": yields}},
        "context": {"State": {"EnteredTime": "2026-11-23T18:01:01.250Z"}},
    }
    return evaluate(GUARD["Wait for the holder"]["Output"], states)["guard"]


def test_a_guard_that_yields_remembers_since_when_and_does_not_count_it_as_its_first_look() -> None:
    first = waits({}, yields=True)
    assert first == {"yields_since": "2026-11-23T18:01:01.250Z"}
    since = {"yields_since": "2026-11-23T18:00:46.000Z"}
    assert waits(since, yields=True) == since
    over = waits(since, yields=False)
    assert over == {"waited": True, "losses": 0, "yields_since": None}, "what it yielded to has run: it counts anew"
    assert waits(over, yields=True)["yields_since"] == "2026-11-23T18:01:01.250Z"


@pytest.mark.parametrize(
    ("minutes", "of_a_start", "of_a_waiter"),
    [
        pytest.param(0.5, 5, 5, id="at first every five seconds"),
        pytest.param(5, 30, 30, id="a tenth of the time so far"),
        pytest.param(20, 120, 110, id="a waiter within the two minutes that others yield to it"),
        pytest.param(1439, 900, 110, id="for its first day"),
        pytest.param(1440, 1800, 1800, id="and then as any"),
    ],
)
def test_after_an_error_a_waiter_asks_again_within_two_minutes(
    minutes: float, of_a_start: int, of_a_waiter: int
) -> None:
    for more, expected in (({}, of_a_start), ({"queued_since": "2026-11-23T18:00:00Z"}, of_a_waiter)):
        execution = {"Input": {"job": "x", **more}, "StartTime": "2026-11-23T18:00:01.250Z"}
        states = {"context": {"Execution": execution}}
        seconds = evaluate(GUARD["Ask again later"]["Seconds"], states, now=STARTED + timedelta(minutes=minutes))
        assert seconds == expected


def asked_again(error: str, *, seconds: float, cause: Any = "", **event: Any) -> str:
    """Where a guard execution goes after an error, so long after it began."""
    execution = {"Input": {"job": "x", **event}, "StartTime": "2026-11-23T18:00:01.250Z"}
    states = {"input": {"error": error, "cause": cause}, "context": {"Execution": execution}}
    return chosen(GUARD["Can asking again help?"], states, now=STARTED + timedelta(seconds=seconds))


AGAIN, FAILED = "Ask again later", "Check failed"
LATER = {"deadline": "2026-11-23T19:00:00Z"}


@pytest.mark.parametrize(
    ("error", "seconds", "event", "leads_to"),
    [
        pytest.param("CantTell", 299, {}, AGAIN, id="by hand, within five minutes"),
        pytest.param("CantTell", 301, {}, FAILED, id="by hand, after five minutes"),
        pytest.param("CantTell", 3500, LATER, AGAIN, id="before its deadline"),
        pytest.param("CantTell", 3600, LATER, FAILED, id="after its deadline"),
        pytest.param("CantTell", 3500, {**LATER, "cause": "AccessDeniedException: … is not authorized to perform: x"}, AGAIN, id="a permission that the checker lacks is its own affair"),
        pytest.param("States.QueryEvaluationError", 1, LATER, FAILED, id="an expression that fails will fail again"),
        pytest.param("Checker.NoRun", 3500, LATER, AGAIN, id="the checker is of an older release"),
        *[
            pytest.param(error, seconds, {**LATER, "cause": cause}, expected, id=f"{what}, {when} five minutes")
            for seconds, expected, when in ((299, AGAIN, "within"), (301, FAILED, "after"))
            for error, cause, what in (
                ("Lambda.ResourceNotFoundException", "", "no checker"),
                ("StepFunctions.StateMachineDoesNotExistException", "", "no batch machine"),
                ("StepFunctions.AccessDeniedException", "", "a permission is missing"),
                ("Lambda.AWSLambdaException", "… is not authorized to perform: lambda:InvokeFunction", "it may not ask"),
            )
        ],
        pytest.param("Lambda.TooManyRequestsException", 3500, LATER, AGAIN, id="a throttle"),
        pytest.param("CantTell", 8 * 86_400 + 1, {"deadline": "2027-11-23T19:00:00Z"}, FAILED, id="never longer than eight days"),
        pytest.param("CantTell", 7 * 86_400, {"deadline": "2027-11-23T19:00:00Z"}, AGAIN, id="a waiter's week is within that"),
    ],
)  # fmt: skip
def test_when_a_guard_asks_again(error: str, seconds: float, event: dict[str, Any], leads_to: str) -> None:
    assert asked_again(error, seconds=seconds, **event) == leads_to


HOSTILE: list[Any] = [
    None,
    1,
    True,
    [],
    {},
    ["2026-11-23T19:00:00Z"],
    "",
    "soon",
    "Z",
    "2026-11-23T19:00:00",
    "2026-11-23",
    "\n2026-11-23T19:00:00Z",
]


@pytest.mark.parametrize("deadline", [*HOSTILE, "２０２６-11-23T19:00:00Z", "x" * 1000])
def test_a_deadline_that_is_none_counts_as_none(deadline: Any) -> None:
    assert asked_again("CantTell", seconds=299, deadline=deadline) == AGAIN
    assert asked_again("CantTell", seconds=301, deadline=deadline) == FAILED


@pytest.mark.parametrize("deadline", ["2026-99-99T99:99:99Z", "9999-12-31T23:59:59Z", "0000-00-00T00:00:00Z"])
def test_a_deadline_of_no_calendar_throws_nothing(deadline: str) -> None:
    assert asked_again("CantTell", seconds=86_400, deadline=deadline) == (AGAIN if deadline > "2026-11-24" else FAILED)


@pytest.mark.thorough
@pytest.mark.parametrize("days", [1, 7])
@pytest.mark.parametrize("given", [{}, {"queued_since": "2026-11-23T18:00:00Z"}], ids=["a start", "a waiter"])
def test_asking_for_as_long_as_a_start_may_does_not_fill_a_history(days: int, given: dict[str, str]) -> None:
    """A week without a checker, and one that waits for a pool."""
    wait = GUARD["Ask again later"]["Seconds"]
    states = {"context": {"Execution": {"Input": given, "StartTime": "2026-11-23T18:00:01.250Z"}}}
    spent, rounds = 0.0, 0
    while spent < days * 86_400:
        spent += float(evaluate(wait, states, now=STARTED + timedelta(seconds=spent)))
        rounds += 1
    tries = 1 + GUARD["Check running executions"]["Retry"][1]["MaxAttempts"]
    events_of_a_round = 4 * tries + 6
    assert rounds * events_of_a_round < 25_000


def test_waiting_for_a_day_long_task_takes_few_of_the_2000_looks() -> None:
    wait = BATCH["Wait for the task"]["Seconds"]
    since = int(STARTED.timestamp() * 1000)
    looks = accumulate(
        range(400), lambda at, _: at + float(evaluate(wait, {}, now=STARTED + timedelta(seconds=at), since=since))
    )
    assert max(looks) > 86_400


def test_the_causes_of_a_check_that_failed_can_be_read() -> None:
    cause = GUARD["Check failed"]["Cause"]
    answer = json.dumps(
        {"errorMessage": "states:ListExecutions on x failed: ThrottlingException", "errorType": "CantTell"}
    )
    said = evaluate(cause, {"input": {"error": "CantTell", "cause": answer}})
    assert said.endswith("is running: CantTell: states:ListExecutions on x failed: ThrottlingException")
    assert "a plain sentence" in evaluate(cause, {"input": {"error": "Lambda.Unknown", "cause": "a plain sentence"}})
    assert '{"outcome":"?"}' in evaluate(cause, {"input": {"decision": {"outcome": "?"}}})
