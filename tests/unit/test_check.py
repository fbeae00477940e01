"""The checker's answers, as the state machines get them: event → facts → decision, without AWS."""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.check import Checker
from chalicelib.config import jobs
from chalicelib.contract import LONGEST_OVERRIDES, InvalidInput
from chalicelib.decide.facts import CantTell, Details, Execution, Refused, stamp
from chalicelib.names import batch_machine, execution_arn, machine_arn
from chalicelib.read.aws import reading
from chalicelib.read.tasks import Ecs
from tests.mocks import container_failure
from tests.world import NOW, FakeExecutions, ago, execution

FUNCTION = "arn:aws:lambda:ap-northeast-1:123456789012:function:batch-guard-dev-check"
GUARD = "arn:aws:states:ap-northeast-1:123456789012:execution:batch-guard-dev:by-hand"
FILE = """
[defaults.ecs]
cluster = "batch"
container = "app"
launch_type = "EC2"
[jobs.plain]
ecs.task_definition = "plain"
[jobs.queued]
ecs.task_definition = "queued"
overlap = "queue"
queue_timeout = "2h"
[jobs.replaced]
ecs.task_definition = "replaced"
overlap = "replace"
[jobs.green]
ecs.task_definition = "green"
on_skip = "succeed"
[jobs.full]
timeout = "2h"
retries = 2
[jobs.full.ecs]
task_definition = "x:7"
command = ["bin/report"]
environment = { LEVEL = "info" }
"""


@dataclass
class FakeEcs:
    """ECS with these tasks in it, by DescribeTasks' own keys; `refusal` is an error that it answers instead."""

    tasks: list[dict[str, Any]] = field(default_factory=list)
    refusal: str | None = None

    def list_tasks(self, *, desiredStatus: str, **_: Any) -> dict[str, Any]:  # noqa: N803 (as boto3 has it)
        if self.refusal:
            raise ClientError({"Error": {"Code": self.refusal, "Message": "no"}}, "ListTasks")
        shown = [t["taskArn"] for t in self.tasks if (t["lastStatus"] == "STOPPED") is (desiredStatus == "STOPPED")]
        return {"taskArns": shown}

    def describe_tasks(self, *, tasks: list[str], **_: Any) -> dict[str, Any]:
        return {"tasks": [task for task in self.tasks if task["taskArn"] in tasks]}

    def describe_task_definition(self, **_: Any) -> dict[str, Any]:
        return {"taskDefinition": {"containerDefinitions": [{"name": "app", "command": ["bin/report"]}]}}


class Denied(FakeExecutions):
    """Step Functions, which refuses the page."""

    def page(self, machine: str, token: str | None = None, *, only_running: bool = False) -> Any:
        with reading("states:ListExecutions", machine):
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "ListExecutions")


def machine_of(job: str) -> str:
    return machine_arn(FUNCTION, batch_machine("dev", job))


def answer(
    event: Any,
    *history: Execution,
    file: str = FILE,
    ecs: Callable[[], Any] = FakeEcs,
    known: FakeExecutions | None = None,
) -> dict[str, Any]:
    """The checker's answer at `NOW`; every job's batch machine has had these executions."""
    parsed = jobs.parse(file, stage="dev", place="dev.toml")
    if known is None:
        known = FakeExecutions()
        for job in parsed.jobs:
            known.machines[machine_of(job)] = ago(1440)
            for each in history:
                known.add(machine_of(job), Details(each))
    return Checker(lambda: parsed, FUNCTION, known, lambda: Ecs(ecs()), lambda: NOW).answer(event)


RUNS = execution("run-000041", "RUNNING", began=61)
ABORTED = execution("run-000041", "ABORTED", began=61, ended=1)


def asks(job: str, *, waited: bool = True, began: float = 1, **more: Any) -> dict[str, Any]:
    """The event of a guard execution that began so many minutes ago, on its second look unless told otherwise."""
    guard = {"version": 1, "execution": GUARD, "started": stamp(ago(began)), "waited": waited}
    return {"job": job, "guard": {**guard, **more.pop("guard", {})}, **more}


def test_a_skip_says_how_it_is_to_end() -> None:
    assert answer(asks("plain"), RUNS)["on_skip"] == "fail"
    assert answer(asks("green"), RUNS)["on_skip"] == "succeed"
    assert answer(asks("plain", renewal=True), RUNS)["on_skip"] == "succeed", "the job is in use"


@pytest.mark.parametrize("job", ["queued", "replaced"])
def test_a_renewal_neither_waits_for_a_run_nor_stops_it(job: str) -> None:
    assert answer(asks(job, renewal=True), RUNS)["outcome"] == "skip"


def test_the_one_that_waits_gets_all_that_the_start_was_asked_for() -> None:
    event = asks("queued", scheduled_at="2026-11-23T18:00:00Z", commands=["bin/x"], began=1)
    decision = answer(event, RUNS)
    assert decision["outcome"] == "queue"
    assert decision["waiter_input"] == {
        "job": "queued",
        "scheduled_at": "2026-11-23T18:00:00Z",
        "commands": ["bin/x"],
        "queued_since": stamp(ago(1)),
        "deadline": stamp(ago(1) + timedelta(hours=2)),
        "guard_execution": GUARD,
    }


def test_one_that_moves_in_the_queue_has_waited_since_it_came() -> None:
    event = asks("queued", queued_since=stamp(ago(100)), began=1)
    assert answer(event, RUNS)["waiter_input"]["queued_since"] == stamp(ago(100))


def test_a_start_gives_up_at_its_deadline_but_not_on_what_it_has_begun_to_stop() -> None:
    event = asks("replaced", deadline=stamp(NOW))
    assert answer(event, RUNS)["outcome"] == "skip"
    begun = {**event, "guard": {**event["guard"], "stopped_at": stamp(ago(2))}}
    assert answer(begun, ABORTED)["outcome"] == "wait", "else the old run would be gone, and no new one there"
    long_ago = {**event, "guard": {**event["guard"], "stopped_at": stamp(ago(10))}}
    assert answer(long_ago, ABORTED)["outcome"] == "skip"


@pytest.mark.parametrize(
    ("event", "says"),
    [
        pytest.param({"job": "plain", "deadline": "2026-11-23T18:00Z"}, "deadline must be a UTC time", id="a deadline that the state machine can't read"),
        pytest.param({"job": "plain", "scheduled_at": "2026-13-23T18:00:00Z"}, "scheduled_at must be", id="a month that is none"),
        pytest.param({"job": "plain", "anyway": "yes"}, "anyway must be true or false", id="yes for true"),
        pytest.param({"job": "plain", "since": 1}, "unknown key 'since'", id="a key of another event"),
        pytest.param({"job": "plain", "scheduled_at": "9999-12-31T23:59:59Z"}, "scheduled_at must be", id="a time at the end of all times"),
        pytest.param({"job": "plain", "scheduled_at": "0001-01-01T00:00:00Z"}, "scheduled_at must be", id="a time before there were computers"),
        pytest.param({"job": "plain", "commands": []}, "commands must be a list of strings", id="no command"),
        pytest.param({"job": "plain", "commands": "bin/report"}, "commands must be a list of strings", id="a command in one string"),
        pytest.param({"job": "plain", "guard": {}}, "guard is the guard machine's own", id="a guard that says nothing"),
        pytest.param({"job": "plain", "guard": {"version": 1, "execution": GUARD, "started": stamp(NOW), "forged": True}}, "guard is the guard machine's own", id="an input that had a guard of its own"),
        pytest.param({"job": "plain", "first_after": 41}, 'first_after must be a run number, with "first": true', id="after without first"),
        pytest.param({"job": "plain", "first": True, "first_after": "41"}, "first_after must be a run number", id="a text for a number"),
        pytest.param({"job": "plain", "first": True, "first_after": 0}, "first_after must be a run number", id="no run has the number 0"),
        pytest.param({"job": "plain", "anyway": 1, "commands": {}}, "commands must be", id="two faults are told at once"),
        pytest.param({"job": "plain", "anyway": 1, "commands": {}}, "anyway must be", id="and the other of them"),
        pytest.param({}, "must name a job", id="no job"),
        pytest.param([], "must be an object", id="no object"),
        pytest.param({"StateMachineId": "x", "ExecutionName": "y"}, "StateMachineId must be", id="the article's event without an ARN"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_with_what_would_be_right(event: Any, says: str) -> None:
    decision = answer(event)
    assert (decision["outcome"], decision["error"]) == ("refuse", "InvalidInput")
    assert says in decision["reason"]


def test_a_guard_of_a_later_release_is_asked_to_wait_for_the_checker() -> None:
    with pytest.raises(CantTell, match="version 2, which this checker"):
        answer(asks("plain", guard={"version": 2}))
    with pytest.raises(CantTell, match=r"'slot'.* in it, which this checker"):
        answer(asks("plain", guard={"slot": 2}))


# --- a start ----------------------------------------------------------------------------------------------

ENDED = execution("run-000041", ended=30)


def test_a_guard_is_told_the_whole_run() -> None:
    event = asks("full", scheduled_at="2026-11-23T18:00:00Z", deadline="2026-11-23T20:00:00Z", commands=["bin/x", "1"])
    decision = answer(event, ENDED)
    assert (decision["outcome"], decision["running_flg"], decision["next_run"]) == ("start", False, "run-000042")
    assert decision["run"] == {
        "job": "full",
        "run": "run-000042",
        "scheduled_at": "2026-11-23T18:00:00Z",
        "deadline": "2026-11-23T20:00:00Z",
        "renewal": False,
        "target": {"cluster": "batch", "family": "x", "container": "app"},
        "timeout": 7200,
        "retries": 2,
        "task": {
            "Cluster": "batch",
            "TaskDefinition": "x:7",
            "LaunchType": "EC2",
            "Overrides": {
                "ContainerOverrides": [
                    {
                        "Name": "app",
                        "Environment": [
                            {"Name": "LEVEL", "Value": "info"},
                            {"Name": "BATCH_JOB", "Value": "full"},
                            {"Name": "BATCH_RUN_NUMBER", "Value": "42"},
                            {"Name": "BATCH_SCHEDULED_AT", "Value": "2026-11-23T18:00:00Z"},
                        ],
                        "Command": ["bin/x", "1"],
                    }
                ]
            },
        },
    }


def test_a_person_who_asks_gets_no_run() -> None:
    decision = answer({"job": "full"}, ENDED)
    assert (decision["outcome"], decision["next_run"]) == ("start", "run-000042")
    assert "run" not in decision


def test_a_start_that_says_nothing_more_runs_for_the_time_it_began_and_has_five_minutes() -> None:
    run = answer(asks("full", began=2), ENDED)["run"]
    assert (run["scheduled_at"], run["deadline"]) == (stamp(ago(2)), stamp(ago(-3)))
    assert run["task"]["Overrides"]["ContainerOverrides"][0]["Command"] == ["bin/report"]


def test_a_renewals_run_says_that_it_is_one() -> None:
    assert answer(asks("full", renewal=True), ENDED)["run"]["renewal"] is True


def test_overrides_are_as_long_as_ecs_takes_them_and_no_longer() -> None:
    def overrides(length: int) -> dict[str, Any]:
        return answer(asks("full", commands=["x" * length]), ENDED)

    run = overrides(1)["run"]
    own = {"Name": "BATCH_EXECUTION", "Value": execution_arn(machine_of("full"), "run-000042")}
    run["task"]["Overrides"]["ContainerOverrides"][0]["Environment"].append(own)
    room = LONGEST_OVERRIDES - len(json.dumps(run["task"]["Overrides"], separators=(",", ":")))
    assert overrides(room + 1)["outcome"] == "start"
    refused = overrides(room + 2)
    assert (refused["outcome"], refused["error"]) == ("refuse", "InvalidInput")
    assert "would have 8,193 characters, and ECS takes 8,192" in refused["reason"]
    assert "shorter by 1" in refused["reason"]


# --- what a deployment may not have made visible yet ------------------------------------------------------

EMPTY = FakeExecutions()
"""Step Functions without any machine."""


@pytest.mark.parametrize(
    ("known", "error"), [pytest.param(EMPTY, "NotDeployed", id="missing"), pytest.param(Denied(), "PermissionDenied", id="denied")]
)  # fmt: skip
def test_for_five_minutes_a_refusal_of_aws_may_pass(known: FakeExecutions, error: str) -> None:
    with pytest.raises(CantTell, match=error):
        answer(asks("plain", began=4.9), known=known)
    for event in (asks("plain", began=5), {"job": "plain"}):
        decision = answer(event, known=known)
        assert (decision["outcome"], decision["error"]) == ("refuse", error)


def test_so_may_one_of_ecs() -> None:
    def refuses() -> FakeEcs:
        return FakeEcs(refusal="ClusterNotFoundException")

    with pytest.raises(CantTell, match="NotDeployed: family plain on batch does not exist"):
        answer(asks("plain", began=4.9), ENDED, ecs=refuses)
    assert answer(asks("plain", began=5), ENDED, ecs=refuses)["error"] == "NotDeployed"


PLAIN = jobs.parse(FILE, stage="dev", place="dev.toml").jobs["plain"].ecs.target


@pytest.mark.parametrize("refusal", ["ClusterNotFoundException", "AccessDeniedException", "ServerException"])
def test_a_skip_needs_no_answer_of_ecs(refusal: str) -> None:
    known = FakeExecutions()
    known.add(machine_of("plain"), Details(execution_of("plain", RUNS), target=PLAIN))
    decision = answer(asks("plain", began=9), known=known, ecs=lambda: FakeEcs(refusal=refusal))
    assert (decision["outcome"], decision["error"]) == ("skip", "AlreadyRunning")
    assert decision["reason"].startswith("run-000041 has been running for 61 min")


def test_a_skip_says_that_the_run_in_the_way_has_no_task_any_more() -> None:
    known = FakeExecutions()
    known.add(machine_of("plain"), Details(execution_of("plain", RUNS), target=PLAIN))
    over = a_task("STOPPED", of=execution_of("plain", RUNS).arn, stoppedAt=ago(20))
    decision = answer(asks("plain"), known=known, ecs=lambda: FakeEcs([over]))
    assert decision["reason"].endswith("its task has been STOPPED for 20 min: end the run with: guardctl stop JOB")


# --- a batch machine's question ---------------------------------------------------------------------------

RUN = execution_arn(machine_of("gone"), "run-000041")
"""Of a job that the jobs file does not have any more."""
TARGET = {"cluster": "old-cluster", "family": "old-report", "container": "app"}
EXITED = container_failure(3, "EssentialContainerExited", "Essential container in task exited")
FROM_THE_CAUSE = {
    "arn": "arn:aws:ecs:us-east-1:1:task/batch/t1",
    "last_status": "STOPPED",
    "exit_code": 3,
    "stop_code": "EssentialContainerExited",
    "stopped_reason": "Essential container in task exited",
}


def a_task(status: str, *, of: str = RUN, **more: Any) -> dict[str, Any]:
    """A task as DescribeTasks shows it."""
    environment = [{"name": "BATCH_EXECUTION", "value": of}]
    return {
        "taskArn": "arn:aws:ecs:ap-northeast-1:123456789012:task/old-cluster/t2",
        "lastStatus": status,
        "createdAt": ago(60),
        "overrides": {"containerOverrides": [{"name": "app", "environment": environment}]},
        **more,
    }


def execution_of(job: str, of: Execution) -> Execution:
    """The same execution, of another job."""
    return Execution(execution_arn(machine_of(job), of.name), of.name, of.status, of.started_at, of.stopped_at)


FROM_ECS = {
    "arn": a_task("")["taskArn"],
    "last_status": "RUNNING",
    "exit_code": None,
    "stop_code": "",
    "stopped_reason": "",
}
NOT_STOPPED = EXITED.replace('"LastStatus": "STOPPED", "Cont', '"LastStatus": "DEPROVISIONING", "Cont')


@pytest.mark.parametrize(
    ("error", "cause", "expected"),
    [
        pytest.param("States.TaskFailed", EXITED, FROM_THE_CAUSE, id="a whole task in the cause is believed"),
        pytest.param("States.TaskFailed", EXITED[:-5], FROM_ECS, id="a cut cause is not: ECS is asked"),
        pytest.param("States.TaskFailed", "", FROM_ECS, id="no cause"),
        pytest.param("States.TaskFailed", "[1]", FROM_ECS, id="a cause that is no object"),
        pytest.param("States.TaskFailed", "[" * 100_000, FROM_ECS, id="a cause nested too deep to read"),
        pytest.param("States.TaskFailed", NOT_STOPPED, FROM_ECS, id="a task in the cause that has not stopped is looked at"),
        pytest.param("ECS.ServerException", EXITED, FROM_ECS, id="the cause of another error is not a task"),
        pytest.param("", "", FROM_ECS, id="neither error nor cause"),
    ],
)  # fmt: skip
def test_how_the_task_of_a_run_stands(error: str, cause: str, expected: dict[str, Any]) -> None:
    event = {
        "task_of": RUN,
        "target": TARGET,
        "since": NOW.timestamp() * 1000 - 3_600_000,
        "error": error,
        "cause": cause,
    }
    assert answer(event, ecs=lambda: FakeEcs([a_task("RUNNING")])) == {"task": expected}


def test_what_the_cause_says_costs_no_call() -> None:
    event = {"task_of": RUN, "target": TARGET, "error": "States.TaskFailed", "cause": EXITED}
    assert answer(event, ecs=lambda: pytest.fail("ECS was asked")) == {"task": FROM_THE_CAUSE}


def test_the_exit_code_in_a_cause_is_that_of_the_targets_container() -> None:
    for container, code in (("app", 3), ("sidecar", None)):
        event = {"task_of": RUN, "target": {**TARGET, "container": container}, "error": "States.TaskFailed"}
        assert answer({**event, "cause": EXITED})["task"]["exit_code"] == code


def test_a_run_whose_task_ecs_does_not_show_is_told_so() -> None:
    of_another = a_task("RUNNING", of=RUN.replace("000041", "000040"))
    event = {"task_of": RUN, "target": TARGET, "since": None, "error": "States.Timeout", "cause": None}
    assert answer(event, ecs=lambda: FakeEcs([of_another])) == {"task": None}


MALFORMED = [
    pytest.param({"task_of": None}, "task_of must be the ARN of a run", id="no run"),
    pytest.param({"task_of": ["x"]}, "task_of must be the ARN of a run", id="a list"),
    pytest.param({"task_of": "run-000041"}, "task_of must be the ARN of a run", id="a name"),
    pytest.param({"task_of": GUARD}, "the ARN of a run of this stage", id="a guard execution"),
    pytest.param({"task_of": RUN.replace("-dev-", "-prod-")}, "the ARN of a run of this stage", id="another stage's"),
    pytest.param({"task_of": RUN.replace("ap-northeast-1", "us-east-1")}, "the ARN of a run of this stage", id="another Region's"),
    pytest.param({"target": None}, "target must have cluster, family and container", id="no target"),
    pytest.param({"target": {**TARGET, "family": ""}}, "target must have", id="an empty family"),
    pytest.param({"target": {**TARGET, "family": 7}}, "target must have", id="a number for a family"),
    pytest.param({"target": "batch"}, "target must have", id="a target that is a text"),
    pytest.param({"since": "now"}, "since must be milliseconds since 1970", id="since now"),
    pytest.param({"since": True}, "since must be milliseconds since 1970", id="since true"),
    pytest.param({"since": 10**400}, "since must be milliseconds since 1970", id="since the end of all times"),
    pytest.param({"since": float("nan")}, "since must be milliseconds since 1970", id="since no number"),
]  # fmt: skip


@pytest.mark.parametrize(("faulty", "says"), MALFORMED)
def test_a_malformed_question_of_a_batch_machine_has_no_answer(faulty: dict[str, Any], says: str) -> None:
    """It raises: an answer without a task would be read as "ECS shows none"."""
    event = {"task_of": RUN, "target": TARGET, "since": 1_700_000_000_000}
    assert answer(event) == {"task": None}
    with pytest.raises(InvalidInput, match=says):
        answer({**event, **faulty})


# --- whatever is thrown at it -----------------------------------------------------------------------------

CLAIM = {"run": "run-000042", "taken": True}
VALID: list[dict[str, Any]] = [
    asks("plain", scheduled_at="2026-11-23T18:00:00Z", deadline="2026-11-23T20:00:00Z", by="me", reason="why"),
    asks("queued", commands=["bin/x"], queued_since="2026-11-23T18:00:00Z", guard_execution=GUARD),
    asks("queued", guard={"execution": f"{GUARD[:-7]}queued-after-run-000041-1", "place_taken": "queued-after-run-000041-1"}),
    asks("replaced", guard={"claim": CLAIM, "losses": 1, "stopped_at": stamp(ago(1))}),
    asks("replaced", guard={"stopping": {"task": "arn:aws:ecs:x", "cluster": "batch"}, "claim": {**CLAIM, "taken": False}}),
    asks("full", renewal=True, first=True, anyway=True, waited=False),
    {"job": "full"},
    {"task_of": RUN, "target": TARGET, "since": 1.5, "error": "States.TaskFailed", "cause": EXITED},
    {"StateMachineId": machine_of("plain"), "ExecutionName": "run-000041"},
]  # fmt: skip


def nested(depth: int) -> Any:
    value: Any = "x"
    for n in range(depth):
        value = [value] if n % 2 else {"guard": value}
    return value


DEEP, LONG = nested(400), "x" * 100_000
JUNK = st.one_of(
    st.sampled_from(
        [
            None, True, False, 0, -1, 10**300, float("nan"), float("inf"), "", "x", LONG, DEEP, [], {}, [None], [LONG],
            "\ud800", "\x00", "run-000042", "run-" + "9" * 5000, f"queued-after-run-{'9' * 5000}-1",
            "queued-after-run-000041-1", f"arn:aws:states:x:1:execution:m:queued-after-run-{'9' * 5000}-1",
            "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-11-23T19:00:00Z", "2026-02-30T00:00:00Z", RUN, GUARD,
            machine_of("plain"), "queued", "replaced", "States.TaskFailed",
        ]
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    ),
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value; () is the whole."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


@st.composite
def events(draw: st.DrawFn) -> Any:
    """A valid event with up to three places in it replaced, removed or added to."""
    event: Any = copy.deepcopy(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(0, 3))):
        junk = copy.deepcopy(draw(JUNK))
        *path, last = draw(st.sampled_from([p for p in places(event) if p] or [(None,)]))
        if last is None:
            return junk
        parent = event
        for key in path:
            parent = parent[key]
        match draw(st.sampled_from(["replace", "replace", "replace", "remove", "add", "move", "all"])):
            case "replace":
                parent[last] = junk
            case "all":
                event = junk
            case "remove":
                del parent[last]
            case "add" if isinstance(parent, dict):
                parent[draw(st.sampled_from(KEYS) | st.text(max_size=8))] = junk
            case _:
                parent[last] = copy.deepcopy(draw(st.sampled_from(VALID)))
    return event


KEYS = sorted({key for event in VALID for path in places(event) for key in path if isinstance(key, str)})
ORPHAN = a_task("RUNNING", of=execution_arn(machine_of("replaced"), "run-000041"))
HISTORIES = [
    (),
    (RUNS,),
    (ABORTED,),
    (ENDED,),
    (execution("run-000041", "ABORTED", began=61, ended=50),),
    (execution("paused-000001", "RUNNING", began=3), ENDED),
    (execution("run-000042", "RUNNING", began=1), ENDED),
]


@pytest.mark.thorough
@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(events(), st.sampled_from(HISTORIES), st.booleans())
def test_whatever_is_thrown_at_it_ends_as_an_answer_or_as_a_named_exception(
    event: Any, history: tuple[Execution, ...], orphan: bool
) -> None:
    known = FakeExecutions()
    for job in ("plain", "queued", "replaced", "green", "full"):
        known.machines[machine_of(job)] = ago(1440)
        for each in history:
            known.add(machine_of(job), Details(execution_of(job, each)))
    try:
        said = answer(event, known=known, ecs=lambda: FakeEcs([ORPHAN] if orphan else []))
    except (CantTell, Refused) as error:
        assert str(error)  # noqa: PT017 either is right
        return
    assert "task" in said or isinstance(said["running_flg"], bool)
    if said.get("running_flg") is False and "outcome" in said:
        assert said["outcome"] == "start"
    without_long_input = {key: value for key, value in said.items() if key not in {"waiter_input", "task"}}
    assert len(json.dumps(without_long_input)) < 30_000
