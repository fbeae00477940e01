"""The checker's answers, as the state machines get them: event → facts → decision, without AWS."""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.check import Checker
from chalicelib.config import jobs
from chalicelib.contract import LONGEST_OVERRIDES
from chalicelib.decide.facts import CantTell, Details, Execution, Refused, stamp
from chalicelib.names import batch_machine, execution_arn, machine_arn, pool_waiter_name, waiting_machine
from chalicelib.parsing import InvalidInput, details_of
from chalicelib.read.aws import reading
from chalicelib.read.tasks import Ecs
from tests.documents import read
from tests.mocks import container_failure
from tests.properties import examples
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


def test_the_readme_shows_a_whole_answer() -> None:
    (shown,) = (text for section in read("README.md") for language, text in section.blocks if language == "json")
    assert list(json.loads(shown)) == list(answer({"job": "plain"}, RUNS))


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
        pytest.param({"job": "plain", "paused": "yes"}, "paused must be true or false", id="yes for paused"),
        pytest.param({"job": "plain", "paused": True, "until": "soon"}, "until must be a UTC time", id="a pause until soon"),
        pytest.param({"job": "plain", "slot": 1}, "slot must be from 1 to 9, and of a renewal, not 1", id="a slot of a start: it takes the first that is free"),
        pytest.param({"job": "plain", "renewal": True, "slot": 0}, "slot must be from 1 to 9", id="slot 0"),
        pytest.param({"job": "plain", "renewal": True, "slot": 10}, "slot must be from 1 to 9", id="slot 10"),
        pytest.param({"job": "plain", "renewal": True, "slot": True}, "slot must be from 1 to 9", id="true for slot 1"),
        pytest.param({"job": "plain", "renewal": True, "slot": "2"}, "slot must be from 1 to 9", id="a slot as a text"),
        pytest.param({"job": "plain", "since": 1}, "unknown key 'since'", id="a key of another event"),
        pytest.param({"job": "plain", "scheduled_at": "2200-01-01T00:00:00Z"}, "scheduled_at must be", id="a time that no schedule has"),
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
        "pool": "full",
        "slot": 1,
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
            "PropagateTags": "TASK_DEFINITION",
            "Overrides": {
                "ContainerOverrides": [
                    {
                        "Name": "app",
                        "Environment": [
                            {"Name": "LEVEL", "Value": "info"},
                            {"Name": "BATCH_JOB", "Value": "full"},
                            {"Name": "BATCH_RUN_NUMBER", "Value": "42"},
                            {"Name": "BATCH_SCHEDULED_AT", "Value": "2026-11-23T18:00:00Z"},
                            {"Name": "BATCH_LOCAL_DATE", "Value": "2026-11-23"},
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


DAILY = FILE.replace('command = ["bin/report"]', 'command = ["bin/report", "--at={scheduled_at}"]')


@pytest.mark.parametrize(
    ("event", "at"),
    [
        pytest.param(asks("full", scheduled_at="2026-11-23T18:00:00Z"), "2026-11-23T18:00:00Z", id="of the schedule"),
        pytest.param(
            asks("full", began=2), stamp(ago(2)), id="by hand: the time it began, as BATCH_SCHEDULED_AT has it"
        ),
    ],
)
def test_a_template_in_a_command_is_filled_in(event: Any, at: str) -> None:
    run = answer(event, ENDED, file=DAILY)["run"]
    assert run["scheduled_at"] == at
    assert run["task"]["Overrides"]["ContainerOverrides"][0]["Command"] == ["bin/report", f"--at={at}"]


MOVED = FILE.replace(
    "[jobs.full]\n",
    '[calendars.work]\n[jobs.full]\nschedule = "cron(0 3 L * ? *)"\ncalendar = "work"\non_holiday = "next"\n',
)
"""31 January 2026 is a Saturday; what was due then starts on 2 February."""


@pytest.mark.parametrize(
    ("said", "business_date"),
    [
        pytest.param({"nominal_at": "2026-01-31T03:00:00Z"}, "2026-01-30", id="from the trigger"),
        pytest.param({}, "2026-01-30", id="by hand, which need not say what the time was"),
        pytest.param({"nominal_at": "2026-02-01T03:00:00Z"}, "2026-01-30", id="a Sunday's is Friday's, too"),
        pytest.param({"nominal_at": "2026-02-02T03:00:00Z"}, "2026-02-02", id="by the calendar of then"),
    ],
)
def test_a_moved_time_keeps_its_business_date(said: dict[str, Any], business_date: str) -> None:
    run = answer(asks("full", scheduled_at="2026-02-02T03:00:00Z", **said), ENDED, file=MOVED)["run"]
    given = {each["Name"]: each["Value"] for each in run["task"]["Overrides"]["ContainerOverrides"][0]["Environment"]}
    assert (given["BATCH_LOCAL_DATE"], given["BATCH_BUSINESS_DATE"]) == ("2026-02-02", business_date)


@pytest.mark.parametrize(
    ("command", "outcome"),
    [
        pytest.param(["bin/report", "--at=yesterday"], "skip", id="any time is this job's"),
        pytest.param(["bin/report", "--to=yesterday"], "start", id="another option is not"),
    ],
)
def test_a_task_by_hand_of_a_command_with_a_template(command: list[str], outcome: str) -> None:
    by_hand = {**a_task("RUNNING"), "overrides": {"containerOverrides": [{"name": "app", "command": command}]}}
    assert answer(asks("full"), ENDED, file=DAILY, ecs=lambda: FakeEcs([by_hand]))["outcome"] == outcome


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


# --- pools and slots --------------------------------------------------------------------------------------

POOLS = """
[alerts]
topic = "arn:aws:sns:ap-northeast-1:123456789012:alerts"
[pools.warehouse]
slots = 2
[jobs.close]
pool = "warehouse"
overlap = "queue"
schedule = "rate(15 minutes)"
ecs = { task_definition = "close" }
[jobs.load]
pool = "warehouse"
schedule = "0 * * * *"
ecs = { task_definition = "load", environment = { LEVEL = "info" } }
[jobs.one]
pool = "pair"
overlap = "replace"
ecs = { task_definition = "one" }
[jobs.other]
pool = "pair"
ecs = { task_definition = "other" }
"""
WAITING = machine_arn(FUNCTION, waiting_machine("dev"))
WAITS_EXECUTION = execution_arn(WAITING, "load-paused-0123456789ab")
WAREHOUSE = {"pool": "warehouse", "slots": 2}
"""What the guard's definition says of the jobs of this pool."""


def slot_of(pool: str, number: int = 1) -> str:
    return machine_arn(FUNCTION, batch_machine("dev", pool, number))


def pools(**held: Details) -> FakeExecutions:
    """Step Functions with the machines of the pools, and these executions: `warehouse_2` for the second slot."""
    known = FakeExecutions()
    for machine in (slot_of("warehouse"), slot_of("warehouse", 2), slot_of("warehouse", 3), slot_of("pair"), WAITING):
        known.machines[machine] = ago(1440)
    for where, details in held.items():
        pool, _, number = where.partition("_")
        machine = WAITING if pool == "waiting" else slot_of(pool, int(number or 1))
        of = details.execution
        arn = execution_arn(machine, of.name)
        known.add(machine, replace(details, execution=replace(of, arn=arn)))
    return known


def asked(event: Any, known: FakeExecutions, *, file: str = FILE + POOLS) -> dict[str, Any]:
    """The answer to an event about one of the pools."""
    return answer(event, file=file, known=known)


def of_job(job: str, status: str = "RUNNING", number: int = 41) -> Details:
    """A run of a job, an hour old."""
    return Details(execution(f"run-{number:06d}", status, began=61), job=job)


def test_a_run_says_of_which_pool_and_slot_it_is() -> None:
    run = asked(asks("load", guard=WAREHOUSE), pools(warehouse=of_job("close")))
    assert (run["outcome"], run["next_run"], run["state_machine_arn"]) == (
        "start",
        "run-000001",
        slot_of("warehouse", 2),
    )
    assert (run["run"]["pool"], run["run"]["slot"], run["run"]["target"]["family"]) == ("warehouse", 2, "load")


@pytest.mark.parametrize(
    ("event", "slot"),
    [
        pytest.param(asks("load", guard=WAREHOUSE), "1", id="several slots"),
        pytest.param(asks("load", renewal=True, slot=2, guard=WAREHOUSE), "2", id="a renewal of the second of them"),
        pytest.param(asks("load", guard={"pool": "warehouse", "slots": 1}), "1", id="several by the jobs file, and one by what is deployed"),
        pytest.param(asks("other", guard={"pool": "pair", "slots": 1}), None, id="one slot"),
    ],
)  # fmt: skip
def test_the_task_is_told_its_slot_only_with_several(event: dict[str, Any], slot: str | None) -> None:
    run = asked(event, pools())["run"]
    environment = run["task"]["Overrides"]["ContainerOverrides"][0]["Environment"]
    assert {each["Name"]: each["Value"] for each in environment}.get("BATCH_SLOT") == slot


DEPLOY = "nobody can tell who is in its way; run: guardctl deploy --stage dev"


@pytest.mark.parametrize(
    ("event", "says"),
    [
        pytest.param(asks("load"), "load is in pool warehouse by the jobs file, and in load by what is deployed", id="moved into a pool"),
        pytest.param(asks("plain", guard=WAREHOUSE), "plain is in pool plain by the jobs file, and in warehouse by what is", id="moved out of one"),
        pytest.param(asks("load", guard={"pool": "pair", "slots": 1}), "in pool warehouse by the jobs file, and in pair by", id="moved from one to another"),
        pytest.param(asks("load", renewal=True), "in pool warehouse by the jobs file, and in load by", id="also for a renewal"),
    ],
)  # fmt: skip
def test_machines_and_functions_that_disagree_on_a_pool_cant_tell(event: dict[str, Any], says: str) -> None:
    with pytest.raises(CantTell, match=says) as refused:
        asked(event, pools())
    assert str(refused.value).endswith(DEPLOY)


@pytest.mark.parametrize(
    ("deployed", "written", "looked_at"),
    [
        pytest.param(2, 2, 2, id="both say two"),
        pytest.param(1, 2, 1, id="the jobs file says more"),
        pytest.param(3, 2, 2, id="the machines are more"),
        pytest.param(None, 2, 1, id="the definition says no number"),
        pytest.param(0, 2, 1, id="the definition says none at all"),
    ],
)
def test_of_two_numbers_of_slots_the_smaller_counts(deployed: int | None, written: int, looked_at: int) -> None:
    file = FILE + POOLS.replace("slots = 2", f"slots = {written}")
    guard = {"pool": "warehouse"} | ({} if deployed is None else {"slots": deployed})
    known = pools(warehouse=of_job("close"), warehouse_2=of_job("load"), warehouse_3=of_job("x", "SUCCEEDED"))
    said = asked(asks("load", guard=guard), known, file=file)
    assert said["outcome"] == "skip"
    assert said["reason"].startswith("all 2 slots" if looked_at == 2 else "close: run-000041")


def test_a_person_who_asks_is_told_by_the_jobs_file() -> None:
    said = asked({"job": "load"}, pools(warehouse=of_job("close")))
    assert (said["outcome"], said["state_machine_arn"]) == ("start", slot_of("warehouse", 2))


def test_a_renewal_is_of_the_slot_that_it_says() -> None:
    known = pools(warehouse=of_job("close"), warehouse_2=of_job("load", "SUCCEEDED", 7))
    said = asked(asks("load", renewal=True, slot=2, guard=WAREHOUSE), known)
    assert (said["next_run"], said["state_machine_arn"]) == ("run-000008", slot_of("warehouse", 2))
    assert said["run"]["slot"] == 2
    first = asked(asks("load", renewal=True, slot=1, guard=WAREHOUSE), known)
    assert (first["outcome"], first["on_skip"]) == ("skip", "succeed"), "its slot is in use, which renews it as well"


def test_a_renewal_of_a_slot_that_is_no_more_is_refused() -> None:
    said = asked(asks("load", renewal=True, slot=3, guard=WAREHOUSE), pools())
    assert (said["outcome"], said["error"]) == ("refuse", "InvalidInput")
    assert "pool warehouse has 2 slots, and the renewal is of slot 3" in said["reason"]


def test_who_waits_for_a_pool_is_an_execution_of_a_machine_of_their_own() -> None:
    event = asks("close", scheduled_at="2026-11-23T18:00:00Z", guard=WAREHOUSE)
    said = asked(event, pools(warehouse=of_job("load"), warehouse_2=of_job("close")))
    assert (said["outcome"], said["waiter_machine"]) == ("queue", WAITING)
    assert said["waiter"] == pool_waiter_name("close", GUARD)
    assert said["waiter_input"]["guard_execution"] == GUARD
    again = asked(
        asks("close", guard={**WAREHOUSE, "place_taken": said["waiter"]}),
        pools(warehouse=of_job("load"), warehouse_2=of_job("close")),
    )
    assert (again["outcome"], again["waiter_machine"]) == ("queued", WAITING), "its answer was lost"


def test_a_waiter_of_a_pool_of_one_job_is_one_of_the_guard() -> None:
    assert answer(asks("queued"), RUNS)["waiter_machine"] == machine_arn(FUNCTION, "batch-guard-dev")


def test_who_yields_says_so_and_for_whom() -> None:
    waiter = Details(execution("close-waits-0123456789ab", "RUNNING", began=9))
    said = asked(asks("load", guard=WAREHOUSE), pools(waiting=waiter))
    assert (said["outcome"], said["wait_seconds"], said["yields"]) == ("wait", 15, True)
    assert (said["holder"]["kind"], said["holder"]["name"]) == ("waiter", "close-waits-0123456789ab")
    since = stamp(ago(2))
    assert asked(asks("load", guard={**WAREHOUSE, "yields_since": since}), pools(waiting=waiter))["outcome"] == "start"


def test_a_wait_that_is_no_yield_says_so_too() -> None:
    assert answer(asks("plain", waited=False), RUNS)["yields"] is False
    assert answer(asks("replaced"), RUNS)["yields"] is False


def test_a_job_of_a_pool_stops_only_its_own_runs() -> None:
    of_pair = asks("one", guard={"pool": "pair", "slots": 1})
    assert asked(of_pair, pools(pair=of_job("one")))["outcome"] == "stop_run"
    said = asked(of_pair, pools(pair=of_job("other")))
    assert (said["outcome"], said["reason"][:18]) == ("skip", "other: run-000041 ")


# --- a pause of a shared pool -----------------------------------------------------------------------------


def pause(*, began: float = 1, execution: str = WAITS_EXECUTION, **more: Any) -> dict[str, Any]:
    """The question of an execution that pauses a job."""
    event = asks("load", paused=True, reason="the database moves", began=began, **more)
    return {**event, "guard": {**event["guard"], "execution": execution}}


@pytest.mark.parametrize(
    ("event", "seconds"),
    [
        pytest.param(pause(until=stamp(ago(-90))), 90 * 60, id="until its time"),
        pytest.param(pause(), 364 * 86_400 - 60, id="for a year if it does not say"),
        pytest.param(pause(until="2030-01-01T00:00:00Z"), 364 * 86_400, id="no longer than a Wait may last"),
    ],
)
def test_a_pause_holds_until_its_time(event: dict[str, Any], seconds: int) -> None:
    said = asked(event, pools())
    assert (said["outcome"], said["wait_seconds"], said["yields"]) == ("wait", seconds, False)
    assert said["running_flg"] is True
    assert said["holder"]["kind"] == "pause"
    assert "load is paused until" in said["reason"]


@pytest.mark.parametrize("until", [NOW, ago(5)])
def test_a_pause_ends_by_itself_and_green(until: Any) -> None:
    said = asked(pause(until=stamp(until), began=60), pools())
    assert (said["outcome"], said["on_skip"], said["error"]) == ("skip", "succeed", "PauseEnded")
    assert said["reason"] == f"the pause ended on {stamp(until)}"


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(pause(execution=GUARD), id="a guard execution"),
        pytest.param(pause(execution=execution_arn(slot_of("warehouse"), "run-000042")), id="a run"),
        pytest.param(pause(execution=WAITS_EXECUTION.replace("-dev-", "-prod-")), id="another stage's"),
        pytest.param({"job": "load", "paused": True}, id="a person"),
        pytest.param(
            pause(execution=WAITS_EXECUTION.replace("load-paused", "load-waits")), id="a name that pauses nothing"
        ),
        pytest.param(pause(execution=WAITS_EXECUTION.replace("load-", "close-")), id="another job's name"),
    ],
)
def test_a_pause_is_refused_elsewhere(event: dict[str, Any]) -> None:
    said = asked(event, pools())
    assert (said["outcome"], said["error"]) == ("refuse", "InvalidInput")
    assert "use guardctl pause" in said["reason"]


def test_a_pause_of_a_job_that_is_no_more_is_refused() -> None:
    assert asked({**pause(), "job": "gone"}, pools())["error"] == "UnknownJob"


def test_a_paused_job_steps_back_and_its_neighbour_runs() -> None:
    known = pools(
        waiting=Details(execution("load-paused-0123456789ab", "RUNNING", began=60), reason="the database moves")
    )
    said = asked(asks("load", guard=WAREHOUSE), known)
    assert (said["error"], said["reason"]) == ("Paused", "paused since 2026-11-23T18:01:00Z: the database moves")
    assert "skips_in_a_row" not in said
    assert asked(asks("close", guard=WAREHOUSE), known)["outcome"] == "start"


# --- skips in a row of a shared pool ----------------------------------------------------------------------

PAIR = {"pool": "pair", "slots": 1}
PAIR_FILE = FILE + POOLS.replace("[jobs.one]", '[jobs.one]\nschedule = "0 * * * *"')
SKIPPED, FAILED = "BatchGuard.AlreadyRunning", "BatchGuard.CheckFailed"


def hours(*ends: str | None, most: int = 3) -> int:
    """The row that a skip of 19:00 tells of; `ends` are the errors of 18:00, 17:00 …; None: it started a run. With
    ``ok`` the start ended well, since its job says so, with ``waiter`` another one waited for it, and ended so.
    """
    known = pools(pair=of_job("other"))

    def add(name: str, error: str | None, output: dict[str, str] | None = None) -> None:
        arn = execution_arn(machine_arn(FUNCTION, "batch-guard-dev"), name)
        ended = replace(execution(name, "FAILED" if error else "SUCCEEDED"), arn=arn)
        known.add("guard", details_of(ended, None, error=error, output=json.dumps(output)))

    for back, how in enumerate(ends, 1):
        name = f"one-20261123T{19 - back:02}00Z"
        kind, _, error = (how or "").rpartition(" ")
        guard = machine_arn(FUNCTION, "batch-guard-dev")
        if kind == "ok":
            add(name, None, {"outcome": "skip", "error": error})
        elif kind == "waiter":
            add(name, None, {"outcome": "queued", "waiter": f"w-{back}", "state_machine_arn": guard})
            add(f"w-{back}", error)
        else:
            add(name, error or None)
    file = PAIR_FILE.replace("[alerts]", f"[alerts]\nskips_in_a_row = {most}")
    event = asks("one", scheduled_at="2026-11-23T19:00:00Z", guard=PAIR)
    said = asked(event, known, file=file)
    assert said["outcome"] == "skip"
    return int(said["skips_in_a_row"])


@pytest.mark.parametrize(
    ("ends", "most", "row"),
    [
        pytest.param((None,), 3, 1, id="an hour ago it ran"),
        pytest.param((SKIPPED, None), 3, 2, id="an hour ago it stepped back, too"),
        pytest.param((SKIPPED, SKIPPED, None), 3, 3, id="three times"),
        pytest.param((SKIPPED,) * 9, 3, 3, id="it is looked no further back than the alarm does"),
        pytest.param((SKIPPED,) * 9, 5, 5, id="which the file says"),
        pytest.param((SKIPPED,) * 9, 1, 1, id="or not at all"),
        pytest.param(
            ("BatchGuard.WaitedTooLong", "BatchGuard.AlreadyQueued", None), 5, 3, id="however it stepped back"
        ),
        pytest.param((f"ok {SKIPPED}", f"ok {SKIPPED}", None), 3, 3, id="also when stepping back ends well"),
        pytest.param(
            ("waiter BatchGuard.WaitedTooLong", SKIPPED, None), 3, 3, id="also when another one waited for it"
        ),
        pytest.param((FAILED, SKIPPED), 3, 2, id="a start that could not tell neither counts nor ends the row"),
        pytest.param(("BatchGuard.Paused", SKIPPED), 3, 1, id="a pause ends the row"),
        pytest.param((), 3, 1, id="a time that had no start ends the row"),
    ],
)
def test_the_skips_in_a_row_of_a_shared_pool_are_the_jobs_own(
    ends: tuple[str | None, ...], most: int, row: int
) -> None:
    assert hours(*ends, most=most) == row


def test_without_alerts_a_skip_of_a_pool_is_the_first_and_by_hand_it_has_no_place_in_a_row() -> None:
    without = PAIR_FILE[: PAIR_FILE.index("[alerts]")] + PAIR_FILE[PAIR_FILE.index("[pools") :]
    known = pools(pair=of_job("other"))
    scheduled = asks("one", scheduled_at="2026-11-23T19:00:00Z", guard=PAIR)
    assert asked(scheduled, known, file=without)["skips_in_a_row"] == 1
    assert "skips_in_a_row" not in asked(asks("one", guard=PAIR), known, file=PAIR_FILE)


# --- whatever is thrown at it -----------------------------------------------------------------------------

CLAIM = {"run": "run-000042", "taken": True, "machine": machine_of("replaced")}
VALID: list[dict[str, Any]] = [
    asks("plain", scheduled_at="2026-11-23T18:00:00Z", deadline="2026-11-23T20:00:00Z", by="me", reason="why"),
    asks("queued", commands=["bin/x"], queued_since="2026-11-23T18:00:00Z", guard_execution=GUARD),
    asks("queued", guard={"execution": f"{GUARD[:-7]}queued-after-run-000041-1", "place_taken": "queued-after-run-000041-1"}),
    asks("replaced", guard={"claim": CLAIM, "losses": 1, "stopped_at": stamp(ago(1))}),
    asks("replaced", guard={"stopping": {"task": "arn:aws:ecs:x", "cluster": "batch"}, "claim": {**CLAIM, "taken": False}}),
    asks("full", renewal=True, first=True, anyway=True, waited=False),
    asks("close", guard={"pool": "warehouse", "slots": 2, "yields_since": stamp(ago(1)), "claim": {**CLAIM, "machine": machine_of("warehouse--2")}}),
    asks("load", renewal=True, slot=2, guard={"pool": "warehouse", "slots": 2}),
    asks("load", paused=True, until="2026-11-23T20:00:00Z", guard={"execution": WAITS_EXECUTION, "pool": "warehouse", "slots": 2}),
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
            "0001-01-01T00:00:00Z", "9998-12-31T23:59:59Z", "2026-11-23T19:00:00Z", "2026-02-30T00:00:00Z", RUN, GUARD,
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
@settings(max_examples=examples(150), deadline=None, derandomize=True, database=None)
@given(events(), st.sampled_from(HISTORIES), st.booleans())
def test_whatever_is_thrown_at_it_ends_as_an_answer_or_as_a_named_exception(
    event: Any, history: tuple[Execution, ...], orphan: bool
) -> None:
    known = FakeExecutions()
    for job in ("plain", "queued", "replaced", "green", "full", "warehouse", "warehouse--2", "-waiting"):
        known.machines[machine_of(job)] = ago(1440)
        for each in history:
            known.add(machine_of(job), Details(execution_of(job, each)))
    try:
        said = answer(event, file=FILE + POOLS, known=known, ecs=lambda: FakeEcs([ORPHAN] if orphan else []))
    except (CantTell, Refused) as error:
        assert str(error)  # noqa: PT017 either is right
        return
    assert "task" in said or isinstance(said["running_flg"], bool)
    if said.get("running_flg") is False and "outcome" in said:
        assert said["outcome"] == "start"
    without_long_input = {key: value for key, value in said.items() if key not in {"waiter_input", "task"}}
    assert len(json.dumps(without_long_input)) < 30_000
