"""The state machines' own expressions, in a JSONata engine: what the emulator can't play, such as a redrive."""

import json
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

import jsonata
import pytest

from guardctl.template import definition

BATCH, GUARD = definition("batch")["States"], definition("guard")["States"]
RUN_TASK = "Run an ECS task and wait for it to complete"
STARTED = datetime.fromisoformat("2026-11-23T18:00:01.250Z")
CONTAINER = {"Name": "app", "Environment": [{"Name": "LEVEL", "Value": "info"}], "Command": ["bin/report"]}


def evaluate(template: Any, states: dict[str, Any], *, now: datetime = STARTED, **variables: Any) -> Any:
    """What Step Functions makes of an expression, or of an object with expressions in it."""
    if isinstance(template, dict):
        return {key: evaluate(value, states, now=now, **variables) for key, value in template.items()}
    if not (isinstance(template, str) and template.startswith("{%")):
        return template
    program = jsonata.Jsonata(template.removeprefix("{%").removesuffix("%}"))
    for name, value in {"states": states, **variables}.items():
        program.assign(name, value)
    program.register_lambda("millis", lambda: int(now.timestamp() * 1000))
    program.register_lambda("parse", json.loads)  # Step Functions' own
    return program.evaluate(None)


def a_run(**execution: Any) -> dict[str, Any]:
    """``$states`` of a run."""
    own = {"Id": "arn:…:run-000042", "Name": "run-000042", "Input": {"scheduled_at": "2026-11-23T18:00:00Z"}}
    return {"context": {"Execution": {**own, **execution}}, "input": {}}


def overrides(**execution: Any) -> dict[str, Any]:
    """The container overrides that a run hands to RunTask."""
    template = BATCH[RUN_TASK]["Arguments"]["Overrides"]["ContainerOverrides"]
    (override,) = evaluate(template, a_run(**execution), container=CONTAINER)
    return dict(override)


@pytest.mark.parametrize("redrives", [{}, {"RedriveCount": 0}])
def test_a_run_tells_its_task_which_run_it_is(redrives: dict[str, int]) -> None:
    override = overrides(**redrives)
    assert {v["Name"]: v["Value"] for v in override["Environment"]} == {
        "LEVEL": "info",
        "BATCH_EXECUTION": "arn:…:run-000042",
        "BATCH_RUN_NUMBER": "42",
        "BATCH_SCHEDULED_AT": "2026-11-23T18:00:00Z",
    }
    assert override["Command"] == ["bin/report"]


@pytest.mark.parametrize("redrives", [1, 2, 100])
def test_a_redriven_run_starts_no_task(redrives: int) -> None:
    with pytest.raises(jsonata.JException, match="a redriven run starts no task: start the job again with guardctl"):
        overrides(RedriveCount=redrives)


@pytest.mark.parametrize("commands", [["bin/x"], ["bin/x", "--day", "1"], ["{% $boom() %}"]])
def test_commands_replace_the_containers_command_and_stay_a_list(commands: list[str]) -> None:
    assert overrides(Input={"scheduled_at": "…", "commands": commands})["Command"] == commands


@pytest.mark.parametrize(
    ("name", "event", "leads_to"),
    [
        pytest.param("run-000042", {"run": "run-000042"}, RUN_TASK, id="a run"),
        pytest.param("run-000042", {"run": "run-000042", "renewal": True}, "Renewed", id="a renewal"),
        pytest.param("paused-000001", {"paused": True}, "Paused", id="a pause"),
        pytest.param("run-000042", {}, "Not a run", id="started by hand under a run's name"),
        pytest.param("5f0c", {"run": "5f0c"}, "Not a run", id="started by hand under no run's name"),
        pytest.param("run-000042", {"run": "run-000041"}, "Not a run", id="the input of another run"),
        pytest.param("run-000042", {"paused": True}, "Not a run", id="a pause under a run's name"),
        pytest.param("run-000042", [], "Not a run", id="an input that is no object"),
    ],
)
def test_what_an_execution_of_the_batch_machine_is(name: str, event: Any, leads_to: str) -> None:
    assert chosen(BATCH["Is it a run?"], {**a_run(Name=name), "input": event}) == leads_to


def chosen(state: dict[str, Any], states: dict[str, Any], **variables: Any) -> str:
    """The state that a Choice leads to."""
    for choice in state["Choices"]:
        if evaluate(choice["Condition"], states, **variables) is True:
            return str(choice["Next"])
    return str(state["Default"])


STOPPED = {"arn": "arn:…:task/1", "last_status": "STOPPED", "exit_code": 0, "stop_code": "", "stopped_reason": ""}
FAILED = {**STOPPED, "exit_code": 1}
NO_CODE = {**STOPPED, "exit_code": None}
LIVES = {**STOPPED, "last_status": "RUNNING", "exit_code": None}


@pytest.mark.parametrize(
    ("seen", "leads_to"),
    [
        pytest.param({"task": STOPPED}, "Succeeded", id="it ended with 0"),
        pytest.param({"task": FAILED}, "Task failed", id="it ended with 1"),
        pytest.param({"task": NO_CODE}, "Task failed", id="it ended without an exit code"),
        pytest.param({"task": FAILED, "retries": 1}, "Wait before the next attempt", id="it failed, and may be tried again"),
        pytest.param({"task": FAILED, "retries": 1, "attempt": 2}, "Task failed", id="it failed once too often"),
        pytest.param({"task": STOPPED, "timed_out": True}, "Timed out", id="it was stopped after its timeout"),
        pytest.param({"task": LIVES, "timed_out": True}, "Stop the task", id="it lives on after its timeout"),
        pytest.param({"task": LIVES}, "Wait for the task", id="it was found alive after an unclear answer"),
        pytest.param({"task": LIVES, "minutes": 11}, "Stop the task", id="it was found alive and is past its timeout"),
        pytest.param({"task": LIVES, "looks": 2000}, "Lost sight of the task", id="it can't be stopped"),
        pytest.param({"error": "AmazonECS.Unknown"}, "Not placed", id="nothing was placed"),
        pytest.param({"error": "AmazonECS.Unknown", "tries": 2}, "Look again soon", id="nothing was placed, but an earlier try may have been"),
        pytest.param({"error": "ECS.AccessDeniedException", "cause": "… is not authorized to perform: ecs:RunTask on …"}, "Not started", id="ECS refused"),
        pytest.param({"error": "ECS.AccessDeniedException", "cause": "… is not authorized to perform: iam:PassRole on …"}, "Not started", id="IAM refused the role"),
        pytest.param({"error": "ECS.AccessDeniedException", "cause": "… is not authorized to perform: ecs:DescribeTasks on …"}, "Look again soon", id="ECS refused to show the task: it may be alive"),
        pytest.param({"error": "ECS.AccessDeniedException", "cause": "… perform: ecs:RunTask on …", "tries": 2}, "Look again soon", id="ECS refused, but an earlier try may have been placed"),
        pytest.param({"error": "ECS.ClusterNotFoundException"}, "Not started", id="there is no such cluster"),
        pytest.param({"error": "ECS.InvalidParameterException", "cause": "The subnet ID 'subnet-1' does not exist"}, "Not started", id="a wrong subnet"),
        pytest.param({"error": "ECS.InvalidParameterException", "cause": "Rate exceeded"}, "Look again soon", id="a throttle that calls itself a wrong parameter"),
        pytest.param({"error": "States.QueryEvaluationError"}, "Redrive refused", id="it was redriven"),
        pytest.param({"error": "ECS.AmazonECSException"}, "Look again soon", id="an unclear answer"),
        pytest.param({"error": "ECS.AmazonECSException", "cause": "Rate exceeded", "looks": 5}, "Look again soon", id="throttled: it looks for a minute"),
        pytest.param({"error": "ECS.AmazonECSException", "cause": "Rate exceeded", "looks": 6}, RUN_TASK, id="throttled and no task after a minute: again"),
        pytest.param({"error": "ECS.ServerException", "looks": 29}, "Look again soon", id="any other answer: it looks for the five minutes that ECS may hide a task"),
        pytest.param({"error": "ECS.ServerException", "looks": 30}, RUN_TASK, id="no task after five minutes: again"),
        pytest.param({"error": "ECS.ServerException", "looks": 30, "tries": 10}, "Lost sight of the task", id="ten tries"),
        pytest.param({"error": "States.Timeout", "timed_out": True, "looks": 30}, "Lost sight of the task", id="timed out, no task in sight: nobody knows, and it is not run again"),
        pytest.param({"error": "States.Runtime"}, "Look again soon", id="an error nobody thought of"),
    ],
)  # fmt: skip
def test_how_a_run_goes_on_after_its_task(seen: dict[str, Any], leads_to: str) -> None:
    state = {"task": None, "timed_out": False, "error": "States.TaskFailed", "cause": "", **seen}
    numbers = {"looks": 0, "tries": 1, "attempt": 1, "retries": 0, "timeout": 600} | {
        key: state.pop(key) for key in ("looks", "tries", "attempt", "retries") if key in state
    }
    now = STARTED + timedelta(minutes=state.pop("minutes", 1))
    since = int(STARTED.timestamp() * 1000)
    assert chosen(BATCH["How does the task stand?"], {"input": state}, now=now, since=since, **numbers) == leads_to


def every_end(states: dict[str, Any]) -> list[tuple[str, str]]:
    """Fail states and their errors."""
    return [(name, state["Error"]) for name, state in states.items() if state["Type"] == "Fail"]


def test_every_failure_has_a_name() -> None:
    assert all(error.startswith(("BatchGuard.", "Unclean.", "{% 'BatchGuard.'")) for _, error in every_end(BATCH))
    assert all(error.startswith(("BatchGuard.", "{% 'BatchGuard.'")) for _, error in every_end(GUARD))


@pytest.mark.parametrize("states", [BATCH, GUARD])
def test_every_task_is_caught_whatever_its_error_and_every_choice_has_a_default(states: dict[str, Any]) -> None:
    for name, state in states.items():
        if state["Type"] == "Task":
            assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"], name
            assert state["TimeoutSeconds"], name
        if state["Type"] == "Choice":
            assert states[state["Default"]]["Type"] == "Fail", name


@pytest.mark.parametrize(
    "decision", [None, {}, {"outcome": "Start"}, {"outcome": "start", "running_flg": True}, "start"]
)
def test_what_the_guard_machine_does_not_know_it_does_not_run(decision: Any) -> None:
    state = GUARD["Already running?"]
    assert chosen(state, {"input": {"decision": decision}, "context": {}}) == "Check failed"


def asked_again(error: str, *, seconds: float, **event: Any) -> str:
    """Where a guard execution goes after an error, so long after it began."""
    execution = {"Input": {"job": "x", **event}, "StartTime": "2026-11-23T18:00:01.250Z"}
    states = {"input": {"error": error, "cause": ""}, "context": {"Execution": execution}}
    return chosen(GUARD["Can asking again help?"], states, now=STARTED + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("error", "seconds", "event", "leads_to"),
    [
        pytest.param("CantTell", 299, {}, "Ask again later", id="by hand, within five minutes"),
        pytest.param("CantTell", 301, {}, "Check failed", id="by hand, after five minutes"),
        pytest.param("CantTell", 3500, {"deadline": "2026-11-23T19:00:00Z"}, "Ask again later", id="before its deadline"),
        pytest.param("CantTell", 3600, {"deadline": "2026-11-23T19:00:00Z"}, "Check failed", id="after its deadline"),
        pytest.param("CantTell", 301, {"deadline": "soon"}, "Check failed", id="a deadline that is none counts as none"),
        pytest.param("Lambda.ResourceNotFoundException", 1, {}, "Check failed", id="the checker is not deployed"),
        pytest.param("StepFunctions.AccessDeniedException", 1, {}, "Check failed", id="a permission is missing"),
        pytest.param("Lambda.TooManyRequestsException", 1, {}, "Ask again later", id="a throttle"),
    ],
)  # fmt: skip
def test_when_a_guard_asks_again(error: str, seconds: float, event: dict[str, Any], leads_to: str) -> None:
    assert asked_again(error, seconds=seconds, **event) == leads_to


@pytest.mark.parametrize("days", [1, 7])
def test_asking_for_as_long_as_a_start_may_stays_far_from_the_end_of_a_history(days: int) -> None:
    wait = GUARD["Ask again later"]["Seconds"]
    states = {"context": {"Execution": {"StartTime": "2026-11-23T18:00:01.250Z"}}}
    spent, rounds = 0.0, 0
    while spent < days * 86_400:
        spent += float(evaluate(wait, states, now=STARTED + timedelta(seconds=spent)))
        rounds += 1
    tries = 1 + GUARD["Check running executions"]["Retry"][1]["MaxAttempts"]
    events_of_a_round = 4 * tries + 6
    assert rounds * events_of_a_round < 25_000 * 0.75


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
