"""What is certain about what an expression reads, and why. All else may be anything that JSON can say.

AWS's own guarantees hold in every state. Ours are facts of the definitions: which state made the value, or which Choice
let it pass. A row that no expression needs is a finding, so the table can't outlive what it speaks of.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from lab.judges.hostile import MISSING, SCALARS, Domain, Maker, Path
from lab.judges.reads import Tree


def _present(maker: Maker, path: Path, tree: Tree) -> Any:
    while (value := maker.anything(path, tree)) is MISSING:
        pass
    return value


def _number(maker: Maker, _path: Path, tree: Tree) -> Any:
    known = (n for n in (*tree.compared, *SCALARS) if _is_number(n))
    return maker.random.choice([n for n in known if n <= 99_999_999])


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


anything = Domain(Maker.anything, lambda _: True)
"""Nothing is certain; for a row that takes back a wider one."""

present = Domain(_present, lambda value: value is not MISSING)
"""Anything, but it is there."""

missing = Domain(lambda *_: MISSING, lambda value: value is MISSING)
"""Not there."""

text = Domain(Maker.text, lambda value: isinstance(value, str))
"""A string."""

record = Domain(Maker.members, lambda value: isinstance(value, dict))
"""An object; its members are as their own rows say."""

number = Domain(_number, _is_number)
"""A whole number from 0 to 99,999,999; often one that the expression names."""


def one_of(*values: Any) -> Domain:
    """One of these; or, where they are strings, one like these."""
    like = text if all(isinstance(value, str) for value in values) else None
    holds = like.holds if like else lambda value: value in values
    return Domain(lambda maker, _path, _tree: maker.random.choice(values), holds)


def either(*domains: Domain) -> Domain:
    """As one of these says."""
    return Domain(
        lambda maker, path, tree: maker.random.choice(domains).make(maker, path, tree),
        lambda value: any(domain.holds(value) for domain in domains),
    )


null = one_of(None)
flag = one_of(True, False)


@dataclass(frozen=True)
class Guarantee:
    """In these states, what stands at `path` is as `domain` says."""

    machine: str
    state: str
    """Patterns, as file names have them (``*``); ``|`` stands between alternatives."""
    path: str
    """``states.input.error``; a variable is its name; what is in a text that is parsed stands after ``()``."""
    domain: Domain
    why: str
    field: str = "*"
    """A pattern for the field of the state: ``Catch*``, ``*.Condition``; ``?`` for a bracket."""
    trusted: bool = False
    """Not to be held against what the states before hand on (`handed`): it is certain for another reason."""

    def holds_for(self, machine: str, state: str, field: str, path: Path) -> bool:
        """Whether it speaks of this place."""
        return (
            self.path == ".".join(path)
            and _matches(machine, self.machine)
            and _matches(state, self.state)
            and _matches(field, self.field)
        )


def _matches(name: str, patterns: str) -> bool:
    return any(fnmatchcase(name, pattern.strip()) for pattern in patterns.split("|"))


START = "2026-11-23T18:00:01.250Z"
_ARN = "arn:aws:states:ap-northeast-1:123456789012"
_NAMES = ("nightly-report-20261123T1800Z", "run-000042", "run-1000000", "paused-000001", "5f0c8d0e-1", "名前")
_ERRORS = (
    "States.TaskFailed", "States.Timeout", "States.QueryEvaluationError", "AmazonECS.Unknown", "ECS.AmazonECSException",
    "ECS.InvalidParameterException", "ECS.ClusterNotFoundException", "Lambda.ResourceNotFoundException", "CantTell",
    "StepFunctions.ExecutionAlreadyExistsException", "Sfn.AccessDeniedException",
)  # fmt: skip

AWS = (
    Guarantee("*", "*", "states", record, "Step Functions makes it"),
    Guarantee("*", "*", "states.context", record, "the context object"),
    Guarantee("*", "*", "states.context.Execution", record, "the context object"),
    Guarantee(
        "*", "*", "states.context.Execution.Id", one_of(f"{_ARN}:execution:batch-guard-dev:{_NAMES[0]}"), "an ARN"
    ),
    Guarantee("*", "*", "states.context.Execution.Name", one_of(*_NAMES), "1 to 80 characters"),
    Guarantee("*", "*", "states.context.Execution.StartTime", one_of(START, "2026-11-23T18:00:01Z"), "ISO 8601, UTC"),
    Guarantee("*", "*", "states.context.Execution.RedriveCount", one_of(0, 0, 1), "0 at the start (recorded)"),
    Guarantee("*", "*", "states.context.State", record, "the context object"),
    Guarantee("*", "*", "states.context.State.EnteredTime", one_of("2026-11-23T18:00:02.250Z"), "ISO 8601, UTC"),
    Guarantee("*", "*", "states.context.StateMachine", record, "the context object"),
    Guarantee("*", "*", "states.context.StateMachine.Id", one_of(f"{_ARN}:stateMachine:batch-guard-dev"), "an ARN"),
    Guarantee("*", "*", "states.errorOutput", record, "Step Functions makes it"),
    Guarantee("*", "*", "states.errorOutput.Error", either(one_of(*_ERRORS), text), "a string, whoever raised it"),
    Guarantee("*", "*", "states.errorOutput.Cause", text, 'a string, "" after a timeout (recorded); it may be cut'),
    Guarantee("*", "*", "states.result", record, "an integration answers an object"),
)
"""Of every state machine."""

_CAUGHT = "made by a Catch of ours, or handed on from there: errorOutput has both as strings"
_TASK = "null, or made by the Catch of the run or by the checker's task_of, which is typed"
_JOBS_FILE = "assigned when the run began, from the jobs file"
_COUNTED = "assigned and counted"
_BY_A_GUARD = '"Is it a run?" has seen that a guard has started it; a forged input is past the guard'
_SEEN = '"How does the task stand?" has seen it'
_MEMORY = "the guard's own memory; where an input brings one, the checker has refused it"
_OBEYED = '"Already running?" has seen the outcome, and what the checker answers is typed'
_AFTER_THE_LOOK = "Already running? | Already running | Refused | S* | W*"
_NO_CONDITION = "Choices*.Output* | Arguments* | Output* | Catch* | Seconds | Error | Cause"

OURS = (
    # batch: its variables
    Guarantee("batch", "*", "container", record, _JOBS_FILE),
    Guarantee("batch", "*", "container.Name", text, _JOBS_FILE),
    Guarantee("batch", "*", "container.Environment", one_of([], [{"Name": "A", "Value": ""}]), _JOBS_FILE),
    Guarantee("batch", "*", "timeout", number, _JOBS_FILE),
    Guarantee("batch", "*", "retries", number, _JOBS_FILE),
    Guarantee("batch", "*", "attempt", one_of(1, 2, 10), "assigned and counted up to retries + 1, of which there are few"),
    Guarantee("batch", "*", "since", one_of(1_795_000_000_000, 1_795_457_000_000), "assigned from $millis()"),
    Guarantee("batch", "*", "looks", number, _COUNTED),
    Guarantee("batch", "*", "tries", number, _COUNTED),
    # batch: what began it
    Guarantee("batch", "Run an ECS task *", "states.context.Execution.Name", one_of("run-000042", "run-1000000"), _BY_A_GUARD),
    Guarantee("batch", "Look for the task", "states.context.Execution.Input", record, _BY_A_GUARD),
    Guarantee("batch", "Look for the task", "states.context.Execution.Input.job", text, _BY_A_GUARD),
    Guarantee("batch", "Run an ECS task *", "states.context.Execution.Input", record, _BY_A_GUARD),
    Guarantee("batch", "Run an ECS task *", "states.context.Execution.Input.scheduled_at", text, _BY_A_GUARD),
    # batch: what the cause of a task that failed has in it
    *(
        Guarantee("batch", "Run an ECS task *", f"states.errorOutput.Cause.().{member}", domain, "the task, as ECS gives it")
        for member, domain in {
            "TaskArn": either(missing, text), "LastStatus": text, "StopCode": either(missing, text), "StoppedReason": either(missing, text),
            "Containers.ExitCode": either(missing, number),
        }.items()
    ),
    # batch: what one state hands to the next
    Guarantee("batch", "[!I]*", "states.input", record, "every state but the first gets what another one made"),
    Guarantee("batch", "[!I]*", "states.input.error", text, _CAUGHT),
    Guarantee("batch", "[!I]*", "states.input.cause", text, _CAUGHT),
    Guarantee("batch", "[!I]*", "states.input.timed_out", flag, _CAUGHT),
    Guarantee("batch", "How does *", "states.input.task", either(null, record), _TASK),
    Guarantee("batch", "Stop the task | Task failed | Timed out", "states.input.task", record, _SEEN, trusted=True),
    Guarantee("batch", "*", "states.input.task.arn", text, _TASK),
    Guarantee("batch", "*", "states.input.task.last_status", text, _TASK),
    Guarantee("batch", "*", "states.input.task.exit_code", either(null, number), _TASK),
    Guarantee("batch", "*", "states.input.task.stop_code", text, _TASK),
    Guarantee("batch", "*", "states.input.task.stopped_reason", text, _TASK),
    Guarantee("batch", "Look for the task", "states.result.Payload", record, _TASK),
    Guarantee("batch", "Look for the task", "states.result.Payload.task", either(null, record), _TASK),
    # guard: what one state hands to the next
    Guarantee("guard", "Can * | Check failed | " + _AFTER_THE_LOOK, "states.input", record, "made by a Catch or an Output of ours"),
    Guarantee("guard", "Can *", "states.input.error", text, _CAUGHT),
    Guarantee("guard", "Check failed", "states.input.error", either(missing, text), _CAUGHT),
    Guarantee("guard", "Can *", "states.input.cause", text, _CAUGHT),
    Guarantee("guard", "Check failed", "states.input.cause", either(missing, text), _CAUGHT),
    Guarantee("guard", "*", "states.input.guard", either(missing, record), _MEMORY, trusted=True),
    Guarantee("guard", "Check running executions", "states.input.guard", anything, "an input may bring one", "Output* | Catch*"),
    Guarantee("guard", "Ask again later", "states.input", record, "made by a Catch of ours"),
    Guarantee("guard", "Ask again later", "states.input.guard", present, "made by a Catch of ours"),
    Guarantee("guard", "*", "states.input.guard.losses", either(missing, number), _MEMORY, trusted=True),
    Guarantee("guard", "*", "states.input.guard.stopped_at", either(missing, one_of(START)), _MEMORY, trusted=True),
    # guard: what the checker has answered
    Guarantee("guard", "Check running executions", "states.result.Payload", present, "lambda:invoke always has one, whatever is in it"),
    Guarantee("guard", _AFTER_THE_LOOK, "states.input.decision", record, _OBEYED, _NO_CONDITION),
    Guarantee("guard", "*", "states.input.decision.job", text, _OBEYED, _NO_CONDITION),
    Guarantee("guard", "*", "states.input.decision.next_run", one_of("run-000043"), _OBEYED, _NO_CONDITION),
    Guarantee("guard", "*", "states.input.decision.state_machine_arn", text, _OBEYED, _NO_CONDITION),
    Guarantee("guard", "*", "states.input.decision.error", text, _OBEYED, _NO_CONDITION),
    Guarantee("guard", "*", "states.input.decision.reason", text, _OBEYED, _NO_CONDITION),
    Guarantee("guard", "*", "states.input.decision.waiter", text, _OBEYED, _NO_CONDITION),
    Guarantee("guard", "*", "states.input.decision.waiter_input", record, _OBEYED, _NO_CONDITION),
    Guarantee("guard", "*", "states.input.decision.wait_seconds", number, _OBEYED, _NO_CONDITION),
    Guarantee("guard", "*", "states.input.decision.cluster", text, _OBEYED, _NO_CONDITION),
    Guarantee("guard", "Already running?", "states.input.decision.holder", present, "null in a skip where nothing is in the way", _NO_CONDITION),
    Guarantee("guard", "Already running?", "states.input.decision.holder", record, "a start that was ours has a holder", "Choices?1?.Output.run"),
    Guarantee("guard", "Stop the *", "states.input.decision.holder", record, _OBEYED),
    Guarantee("guard", "*", "states.input.decision.holder.arn", text, _OBEYED),
    Guarantee("guard", "*", "states.input.decision.holder.name", text, _OBEYED),
)  # fmt: skip
"""Of our definitions."""


@dataclass(frozen=True)
class Refusal:
    """An expression that throws on purpose, with ``$error(…)``."""

    machine: str
    state: str
    message: str
    why: str


REFUSALS = (
    Refusal("batch", "Run an ECS task and wait for it to complete", "a redriven run starts no task", "nothing has checked it"),
)  # fmt: skip
"""The throws that are meant."""
