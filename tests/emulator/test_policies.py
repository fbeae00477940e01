"""Least privilege: the emulator enforces no IAM, so every call that was made is matched against what was deployed.

The functions' calls come from the emulator's CloudTrail, where each function's user agent names it.
The state machines' calls come from their executions' histories and their definitions. Both are then asked two
questions: was every call allowed, and was everything that is allowed needed?

To extend: a new kind of call gets a line in `API` or `INTEGRATIONS`; a call that no start makes so far gets a
step in `calls`; what the emulator never asks for gets a line in `NEVER_ASKED`, with the reason.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import pytest

from chalicelib.decide.deadlines import moments
from chalicelib.decide.facts import stamp
from chalicelib.values import dataclass
from lab.emulator import SECRET, Emulator
from lab.language import evaluate
from lab.stage import LocalStage
from tests.emulator.test_end_to_end import schedule_event
from tests.support import deployed_stage, eventually

ACCOUNT = "us-east-1:000000000000"
FUNCTIONS = ("check", "trigger")


@dataclass(frozen=True)
class Call:
    """One call as IAM sees it. `context` holds the condition keys that AWS would fill in."""

    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()


Parameters = Mapping[str, Any]


def cluster(parameters: Parameters) -> tuple[tuple[str, str], ...]:
    """The condition key of ECS calls on a cluster."""
    return (("ecs:cluster", f"arn:aws:ecs:{ACCOUNT}:cluster/{parameters['cluster']}"),)


API: dict[str, Callable[[Parameters], list[Call]]] = {
    "states:ListExecutions": lambda p: [Call("states:ListExecutions", p["stateMachineArn"])],
    "states:DescribeStateMachine": lambda p: [Call("states:DescribeStateMachine", p["stateMachineArn"])],
    "states:DescribeExecution": lambda p: [Call("states:DescribeExecution", p["executionArn"])],
    "states:StartExecution": lambda p: [Call("states:StartExecution", p["stateMachineArn"])],
    "ecs:ListTasks": lambda p: [Call("ecs:ListTasks", "*", cluster(p))],
    "ecs:DescribeTasks": lambda p: [Call("ecs:DescribeTasks", task) for task in p["tasks"]],
    "ecs:DescribeTaskDefinition": lambda _: [Call("ecs:DescribeTaskDefinition", "*")],
    "ssm:GetParameter": lambda p: [Call("ssm:GetParameter", f"arn:aws:ssm:{ACCOUNT}:parameter{p['Name']}")],
}
"""What a function may call → what IAM is asked (AWS, Service Authorization Reference)."""

INTEGRATIONS: dict[str, Callable[[Parameters], Call]] = {
    "arn:aws:states:::lambda:invoke": lambda p: Call("lambda:InvokeFunction", p["FunctionName"]),
    "arn:aws:states:::states:startExecution": lambda p: Call("states:StartExecution", p["StateMachineArn"]),
    "arn:aws:states:::aws-sdk:sfn:stopExecution": lambda p: Call("states:StopExecution", p["ExecutionArn"]),
    "arn:aws:states:::aws-sdk:ecs:stopTask": lambda p: Call("ecs:StopTask", p["Task"]),
    "arn:aws:states:::ecs:runTask.sync": lambda p: Call(
        "ecs:RunTask",
        f"arn:aws:ecs:{ACCOUNT}:task-definition/{p['TaskDefinition']}:1",
        cluster({"cluster": p["Cluster"]}),
    ),
}
"""What a state may do → what IAM is asked. RunTask is authorized for the revision, whether or not it is named."""

TAGGING = {"PropagateTags", "EnableECSManagedTags", "Tags"}
"""With one of these RunTask tags the task that it makes, and IAM is asked for that, too (aws-cdk#28854)."""

NAMED = ("FunctionName", "StateMachineArn", "ExecutionArn", "Task")
"""The arguments that say what a call is about."""

NEVER_ASKED = {
    "logs:CreateLogGroup": "the emulator keeps what a function prints without asking; Lambda asks in its name",
    "logs:CreateLogStream": "as logs:CreateLogGroup",
    "logs:PutLogEvents": "as logs:CreateLogGroup",
    "events:PutRule": "how AWS's runTask.sync learns of a task's end (AWS, IAM policies for calling ECS)",
    "events:PutTargets": "as events:PutRule",
    "events:DescribeRule": "as events:PutRule",
    "ecs:DescribeTasks": "AWS's runTask.sync describes the task in the role's name; the functions' own is asked",
    "iam:PassRole": "part of RunTask on AWS; no job here names a role",
}
"""Action → why it is granted although no call here needs it."""


@dataclass
class Recorded:
    """Whose → the calls made; and whose → the statements of what was deployed."""

    calls: dict[str, set[Call]] = field(default_factory=dict)
    statements: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, whose: str, *calls: Call) -> None:
        """Note calls."""
        self.calls.setdefault(whose, set()).update(calls)


class Apart(Emulator):
    """The same emulator, asked with another access key, so that this test's own calls can be told apart."""

    def client(self, service: Any) -> Any:
        """As the other's."""
        return self.session().client(service, aws_access_key_id="this-test", aws_secret_access_key=SECRET)


pytestmark = pytest.mark.together("policies")


@pytest.fixture(scope="module")
def stage() -> Iterator[LocalStage]:
    """One of its own: what others start would push these calls out of what the trail shows."""
    with deployed_stage() as deployed:
        yield deployed


@pytest.fixture(scope="module")
def recorded(stage: LocalStage) -> Recorded:
    """Everything the stage's functions and machines called in a few starts that meet each policy."""
    mine = LocalStage(Apart(**vars(stage.emulator)), stage.directory, stage.name)
    found = Recorded()
    for function in FUNCTIONS:
        deployed = stage.functions.get_function_configuration(FunctionName=f"batch-guard-{stage.name}-{function}")
        found.statements[function] = statements(stage, deployed["Role"])
    executions = []
    for executed in calls(mine):
        executions += executed
        for whose, call in function_calls(mine):
            found.add(whose, call)
    for arn in executions:
        machine = machine_of(mine, arn)
        whose = "guard" if machine["stateMachineArn"] == stage.guard else machine["name"]
        found.statements[whose] = statements(stage, machine["roleArn"])
        found.add(whose, *machine_calls(mine, arn, json.loads(machine["definition"])["States"]))
    return found


def calls(stage: LocalStage) -> Iterator[list[str]]:
    """Make every kind of call; after each step, the ARNs of the executions that ended in it."""

    def first(job: str) -> list[str]:
        """A first run, its task alive."""
        guard = stage.start(job)
        run = json.loads(stage.ended(guard)["output"])["run"]
        stage.a_task(job)
        return [guard, stage.run_arn(job, run)]

    # A task by hand, with the task definition's own command: its definition has to be read.
    by_hand = stage.run_task_by_hand("policy-plain")
    skipped = stage.start("policy-plain")
    stage.ended(skipped)
    stage.stop_task("policy-plain", by_hand)
    executed = [skipped, *first("policy-plain")]
    stage.finish("policy-plain")
    yield executed

    executed = first("policy-queue")
    queued = stage.start("policy-queue")
    waiter = json.loads(stage.ended(queued)["output"])["waiter"]
    late = stage.start("policy-queue")  # finds the place taken, and looks whether somebody still waits
    stage.ended(late)
    stage.finish("policy-queue")
    waited = f"{stage.guard.replace(':stateMachine:', ':execution:')}:{waiter}"
    stage.ended(waited)
    stage.a_task("policy-queue")
    stage.finish("policy-queue")
    yield [*executed, queued, late, waited]

    executed = first("policy-replace")
    replacing = stage.start("policy-replace")
    stage.ended(replacing)
    stage.finish("policy-replace")
    yield [*executed, replacing]

    executed = first("policy-orphan")
    stage.stepfunctions.stop_execution(executionArn=executed[-1])
    cleaning = stage.start("policy-orphan")
    stage.ended(cleaning)
    stage.finish("policy-orphan")
    yield [*executed, cleaning]

    executed = first("policy-overrun")
    stage.ended(executed[-1])
    yield executed

    # What a guard asks when its name was taken, without the race that it takes.
    claim = {"run": "run-000001", "taken": True, "machine": stage.machine("policy-overrun")}
    another = f"{stage.guard.replace(':stateMachine:', ':execution:')}:another"
    lost = {"version": 1, "execution": another, "started": stamp(datetime.now(UTC)), "claim": claim, "losses": 1}
    assert stage.invoke("check", {"job": "policy-overrun", "guard": lost})["next_run"] == "run-000002"
    yield []

    yield from calls_of_the_trigger(stage)


def calls_of_the_trigger(stage: LocalStage) -> Iterator[list[str]]:
    """Make every kind of call that a tick makes."""
    # The jobs "scheduled" and "just-deployed" are due: one is started, the other's record is read, once; and the job
    # "promised" is looked up, with its run. So a cold function, whose memory is empty.
    now = datetime.now(UTC)
    (moment,) = moments([stage.jobs.jobs["promised"]], now - timedelta(minutes=9), now)
    asked = json.dumps({"job": "promised", "scheduled_at": stamp(moment.scheduled_at)})
    kept = stage.stepfunctions.start_execution(stateMachineArn=stage.guard, name=moment.name, input=asked)
    stage.ended(kept["executionArn"])
    name = f"batch-guard-{stage.name}-trigger"
    environment = stage.functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    stage.functions.update_function_configuration(
        FunctionName=name, Environment={"Variables": {**environment, "COLD": "1"}}
    )
    assert stage.invoke("trigger", schedule_event()) is None
    lines = eventually(lambda: late_lines(stage), within=10, what="that the job promised is late")
    # A tick of the emulator's own may have come in between, and told of it as well.
    assert ("late", "still running") in {(line["message"], line["verdict"]) for line in lines if "message" in line}
    assert [line["Late"] for line in lines if "Late" in line] == [[1.0]]
    stage.a_task("promised")
    stage.finish("promised")
    yield []


def late_lines(stage: LocalStage) -> list[dict[str, Any]]:
    """What the trigger wrote of the job "promised": a line that says why it is late, and its metric."""
    logs = stage.emulator.client("logs")
    events = logs.filter_log_events(logGroupName=f"/aws/lambda/batch-guard-{stage.name}-trigger")["events"]
    lines = [json.loads(event["message"]) for event in events if event["message"].startswith("{")]
    found = [line for line in lines if line.get("job") == "promised" and ("Late" in line or "verdict" in line)]
    return found if len(found) > 1 else []


def function_calls(stage: LocalStage) -> Iterator[tuple[str, Call]]:
    """Whose, and the call, for the functions' newest calls: 50 of each kind, and 50 in all for kinds not known."""
    session: Any = stage.emulator.session()
    trail = session.client("cloudtrail")
    theirs = {"AttributeKey": "AccessKeyId", "AttributeValue": stage.emulator.account}
    named = ([{"AttributeKey": "EventName", "AttributeValue": action.partition(":")[2]}] for action in API)
    for kind in ([], *named):
        for event in trail.lookup_events(LookupAttributes=[theirs, *kind])["Events"]:
            told = json.loads(event["CloudTrailEvent"])
            whose = told["userAgent"].partition(" ")[0].removeprefix(f"batch-guard-{stage.name}-")
            if whose in FUNCTIONS:
                action = f"{told['eventSource'].partition('.')[0]}:{told['eventName']}"
                assert action in API, f"{whose} called {action}: give it a line in API"
                yield from ((whose, call) for call in API[action](told["requestParameters"]))


def machine_of(stage: LocalStage, execution: str) -> Any:
    """The description of an execution's state machine."""
    machine = stage.stepfunctions.describe_execution(executionArn=execution)["stateMachineArn"]
    return stage.stepfunctions.describe_state_machine(stateMachineArn=machine)


def machine_calls(stage: LocalStage, execution: str, states: Mapping[str, Any]) -> Iterator[Call]:
    """What an execution's Task states called, their arguments worked out again from what they were given."""
    described = stage.stepfunctions.describe_execution(executionArn=execution)
    own = {"Id": execution, "Name": described["name"], "Input": json.loads(described["input"])}
    context = {"Execution": own, "StateMachine": {"Id": described["stateMachineArn"]}}
    variables: dict[str, Any] = {}
    entered: Any = None
    pages = stage.stepfunctions.get_paginator("get_execution_history").paginate(executionArn=execution)
    for event in (event for page in pages for event in page["events"]):
        if "stateEnteredEventDetails" in event:
            if entered:
                variables |= assigned(states[entered["name"]], variables, event["timestamp"])
            entered = event["stateEnteredEventDetails"]
            variables["states"] = {"input": json.loads(entered["input"]), "context": context}
        if "taskScheduledEventDetails" not in event:
            continue
        state = states[entered["name"]]
        resource = state["Resource"]
        assert resource in INTEGRATIONS, f"{entered['name']} calls {resource}: give it a line in INTEGRATIONS"
        arguments = worked_out(state["Arguments"], variables, event["timestamp"])
        yield INTEGRATIONS[resource](arguments)
        if TAGGING & arguments.keys():
            task = f"arn:aws:ecs:{ACCOUNT}:task/{arguments['Cluster']}/new"
            yield Call("ecs:TagResource", task, (("ecs:CreateAction", "RunTask"),))


def assigned(state: Mapping[str, Any], variables: Mapping[str, Any], now: datetime) -> Any:
    """The variables that a state set as it was left. No `Assign` here needs a result or an error."""
    rows = (row for row in state.get("Choices", ()) if evaluate(row["Condition"], variables, now))
    return evaluate(next(rows, state).get("Assign", {}), variables, now)


def worked_out(arguments: Any, variables: Mapping[str, Any], now: datetime) -> Parameters:
    """A state's arguments: all of them, if they are one expression; else the payload stays as it is written."""
    if isinstance(arguments, dict):
        arguments = {key: value for key, value in arguments.items() if key in NAMED}
    found: Parameters = evaluate(arguments, variables, now)
    return found


def statements(stage: LocalStage, role_arn: str) -> list[dict[str, Any]]:
    """The statements of a deployed role's inline policies."""
    iam, role = stage.emulator.client("iam"), role_arn.rpartition("/")[2]
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    documents: list[Any] = [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]
    assert documents, f"{role} has no policy"
    return [statement for document in documents for statement in document["Statement"]]


def allows(statement: Mapping[str, Any], call: Call) -> bool:
    """Whether an Allow statement allows a call, as IAM reads it. What this does not know, it does not guess."""
    assert statement["Effect"] == "Allow", statement
    return (
        call.action in statement["Action"]
        and any(fnmatchcase(call.resource, pattern) for pattern in statement["Resource"])
        and all(
            holds(operator, dict(call.context).get(key), values)
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    )


def holds(operator: str, value: str | None, wanted: Any) -> bool:
    """Whether a condition holds; a key that the call does not have fails it. `ArnEquals` is `ArnLike` (AWS, IAM)."""
    values = [wanted] if isinstance(wanted, str) else wanted
    assert operator in ("ArnEquals", "ArnLike", "StringEquals"), f"{operator} is not known here: add it"
    match = fnmatchcase if operator.startswith("Arn") else str.__eq__
    return value is not None and any(match(value, pattern) for pattern in values)


MINE = {"Effect": "Allow", "Action": ["states:StartExecution"], "Resource": [f"arn:aws:states:{ACCOUNT}:stateMachine:batch-guard-e2e-*"]}  # fmt: skip
LIST = {"Effect": "Allow", "Action": ["ecs:ListTasks"], "Resource": ["*"], "Condition": {"ArnLike": {"ecs:cluster": ["arn:aws:ecs:*:*:cluster/batch"]}}}  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "call", "allowed"),
    [
        pytest.param(MINE, Call("states:StartExecution", f"arn:aws:states:{ACCOUNT}:stateMachine:batch-guard-e2e-a"), True, id="named by a pattern"),
        pytest.param(MINE, Call("states:StartExecution", f"arn:aws:states:{ACCOUNT}:stateMachine:batch-guard-e2e"), False, id="the guard machine is no batch machine"),
        pytest.param(MINE, Call("states:StartExecution", f"arn:aws:states:{ACCOUNT}:stateMachine:batch-guard-e2f-a"), False, id="another stage"),
        pytest.param(MINE, Call("states:StopExecution", f"arn:aws:states:{ACCOUNT}:stateMachine:batch-guard-e2e-a"), False, id="another action"),
        pytest.param(LIST, Call("ecs:ListTasks", "*", cluster({"cluster": "batch"})), True, id="a condition that holds"),
        pytest.param(LIST, Call("ecs:ListTasks", "*", cluster({"cluster": "batch2"})), False, id="another cluster"),
        pytest.param(LIST, Call("ecs:ListTasks", "*"), False, id="a condition without its key"),
    ],
)  # fmt: skip
def test_a_statement_is_read_as_iam_reads_it(statement: dict[str, Any], call: Call, allowed: bool) -> None:
    assert allows(statement, call) is allowed


def test_every_call_is_allowed(recorded: Recorded) -> None:
    denied = [
        (whose, call)
        for whose, made in recorded.calls.items()
        for call in made
        if not any(allows(statement, call) for statement in recorded.statements[whose])
    ]
    assert denied == []


def needed(recorded: Recorded, whose: str) -> set[tuple[str, str]]:
    """Every pair of a granted action and a pattern that a call has needed."""
    return {
        (action, pattern)
        for statement in recorded.statements[whose]
        for action in statement["Action"]
        for pattern in statement["Resource"]
        if any(allows({**statement, "Action": [action], "Resource": [pattern]}, call) for call in recorded.calls[whose])
    }


@pytest.mark.parametrize("whose", ["check", "trigger", "guard"])
def test_everything_that_is_allowed_is_needed(recorded: Recorded, whose: str) -> None:
    used = needed(recorded, whose)
    for statement in recorded.statements[whose]:
        for action in set(statement["Action"]) - set(NEVER_ASKED):
            assert action in {a for a, _ in used}, f"{whose} never calls {action}"
        if not set(statement["Action"]) <= set(NEVER_ASKED):
            assert set(statement["Resource"]) <= {p for _, p in used}, (whose, statement)


def test_everything_that_batch_machines_are_allowed_is_needed(recorded: Recorded) -> None:
    """Their roles differ in the names only; one machine overran, so one stopped its task."""
    batches = [whose for whose in recorded.calls if whose not in ("check", "trigger", "guard")]
    granted = {action for whose in batches for s in recorded.statements[whose] for action in s["Action"]}
    used = {action for whose in batches for action, _ in needed(recorded, whose)}
    assert granted - used - set(NEVER_ASKED) == set()
    assert all("ecs:RunTask" in {action for action, _ in needed(recorded, whose)} for whose in batches)


def test_what_is_never_asked_is_neither_called_nor_forgotten(recorded: Recorded) -> None:
    """An exception that is needed no more has to go."""
    seen = {c.action for whose, made in recorded.calls.items() if whose != "check" for c in made}
    assert not seen & set(NEVER_ASKED)
    granted = {action for role in recorded.statements.values() for s in role for action in s["Action"]}
    assert set(NEVER_ASKED) - granted <= {"iam:PassRole"}
