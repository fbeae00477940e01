"""What is certain about what an expression reads, and why. All else may be anything that JSON can say.

AWS's own guarantees hold in every state. Ours are facts of the definitions: which state made the value, or which Choice
let it pass. A row that no expression needs is a finding, so the table can't outlive what it speaks of.
"""

from fnmatch import fnmatchcase
from typing import Any

from chalicelib.values import dataclass
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


def _list_of(domain: "Domain") -> "Domain":
    def make(maker: Maker, path: Path, tree: Tree) -> Any:
        return [domain.make(maker, path, tree) for _ in range(maker.random.randrange(4))]

    return Domain(make, lambda value: isinstance(value, list) and all(map(domain.holds, value)))


def _known(maker: Maker, path: Path, tree: Tree) -> Any:
    known = maker.known(tree)
    return maker.random.choice(known) if known else maker.anything(path, tree)


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

positive = Domain(lambda *place: _number(*place) or 1, lambda value: _is_number(value) and value > 0)
"""A `number` that is not 0."""

texts = _list_of(text)
"""A list of strings, of up to three."""

records = _list_of(record)
"""A list of objects."""

compared = Domain(_known, lambda _: True)
"""What the expression compares it with, if anything."""


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


def often(domain: Domain) -> Domain:
    """Nothing is certain, but it is mostly as this says: for a Condition that many things together make true."""

    def make(maker: Maker, path: Path, tree: Tree) -> Any:
        return maker.anything(path, tree) if maker.random.randrange(10) == 0 else domain.make(maker, path, tree)

    return Domain(make, lambda _: True)


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
_TASK = "made by the Output of the run, or by the checker's task_of, which is typed (contract.TaskState)"
_ASSIGNED = '"Is it a run?" has seen its type, and has assigned it'
_TYPED = "what the checker answers is typed (contract.RunInput); a forged one throws into the Catch, and the run ends by name"
_RANGED = "the jobs file has seen its range; a forged one throws into the Catch, and the run ends by name"
_COUNTED = "assigned and counted"
_CLOCK = "assigned from $millis()"
_STOPPED = '"How does the task stand?" has seen that its last_status is STOPPED'
_MEMORY = "the guard's own memory; where an input brings one, the checker has refused it"
_SEEN = '"Already running?" has seen it'
_ASKED = '"Can asking again help?" has seen it'
_OBEYED = "what the checker answers is typed; without it the Arguments throw into the Catch, and the guard ends by name"
_TOLD = "who starts it writes it, typed (contract.Telling, ToldInput); a forged one throws: it tells nothing, and who asked ends as it would have"
_SHORT = 'what the checker answers is typed: whole seconds; that it is a number, "Already running?" has seen'
_LATER = "[!I]* | Interrupted | Is there *"
"""Every state of a run but the first."""
_RUN = "Run an ECS task *"
_MEANING = "What does ECS*"
_STOPS = "Stop the *"

OURS = (
    # batch: what began it
    *(
        Guarantee("batch", "Is it a run?", f"states.input{path}", often(kind), "anything, but a Condition is to be true at times")
        for path, kind in {
            "": record, ".run": compared, ".task": record, ".task.Overrides": record, ".task.Overrides.ContainerOverrides": records,
            ".target": record, ".target.cluster": text, ".target.family": text, ".target.container": text,
            ".timeout": positive, ".retries": number, ".deadline": text,
        }.items()
    ),
    # batch: its variables
    Guarantee("batch", "*", "task", record, _ASSIGNED),
    Guarantee("batch", "*", "task.Overrides", record, _TYPED),
    Guarantee("batch", "*", "task.Overrides.ContainerOverrides", records, _TYPED),
    Guarantee("batch", "*", "target", record, _ASSIGNED),
    Guarantee("batch", "*", "target.cluster", text, _TYPED),
    Guarantee("batch", "*", "timeout", positive, _RANGED),
    Guarantee("batch", "*", "retries", number, _ASSIGNED),
    Guarantee("batch", "*", "deadline", text, _ASSIGNED),
    Guarantee("batch", "*", "attempt", one_of(1, 2, 11), "assigned and counted up to retries + 1; the jobs file takes 10 retries"),
    Guarantee("batch", "*", "tries", number, _COUNTED),
    Guarantee("batch", "*", "looks", number, _COUNTED),
    Guarantee("batch", "*", "misses", number, _COUNTED),
    Guarantee("batch", "*", "began", one_of(1_795_000_000_000, 1_795_457_000_000), _CLOCK),
    Guarantee("batch", "*", "since", one_of(1_795_000_000_000, 1_795_457_000_000), _CLOCK),
    Guarantee("batch", "*", "stopped", texts, "assigned: the ARNs of tasks, which are strings"),
    # batch: what the run of a task answers
    Guarantee("batch", _RUN, "states.result.TaskArn", text, "the task, as ECS gives it (recorded)"),
    Guarantee("batch", _RUN, "states.result.Containers", records, "the task, as ECS gives it (recorded)"),
    Guarantee("batch", _RUN, "states.result.Containers.ExitCode", either(missing, number), "ECS: an integer, once there is one"),
    Guarantee("batch", _RUN, "states.result.StopCode", either(missing, text), "ECS: a string, once there is one"),
    Guarantee("batch", _RUN, "states.result.StoppedReason", either(missing, text), "ECS: a string, once there is one"),
    # batch: what one state hands to the next
    Guarantee("batch", _LATER, "states.input", record, "every state but the first gets what another one made"),
    Guarantee("batch", _LATER, "states.input.error", text, _CAUGHT),
    Guarantee("batch", _LATER, "states.input.cause", text, _CAUGHT),
    Guarantee("batch", _LATER, "states.input.timed_out", flag, _CAUGHT),
    Guarantee("batch", _MEANING, "states.input.refused", flag, "made by the Catch of the run: it compares"),
    Guarantee("batch", _MEANING, "states.input.denied", flag, "made by the Catch of the run: it compares"),
    Guarantee("batch", "How does *", "states.input.task", either(null, record), _TASK),
    Guarantee("batch", "Stop the task | Task failed | Interrupted", "states.input.task", record, _STOPPED, trusted=True),
    Guarantee("batch", _LATER, "states.input.task.arn", text, _TASK),
    Guarantee("batch", _LATER, "states.input.task.last_status", text, _TASK),
    Guarantee("batch", _LATER, "states.input.task.exit_code", either(null, number), _TASK),
    Guarantee("batch", _LATER, "states.input.task.stop_code", text, _TASK),
    Guarantee("batch", _LATER, "states.input.task.stopped_reason", text, _TASK),
    Guarantee("batch", "Look for the task", "states.result.Payload", record, _TASK),
    Guarantee("batch", "Look for the task", "states.result.Payload.task", either(null, record), _TASK),
    # batch: whom to tell
    Guarantee("batch", "*", "tell", record, _ASSIGNED),
    Guarantee("batch", "Is it told?", "ending", either(compared, text), 'assigned on the way to "Is it told?"'),
    Guarantee("batch", "Tell", "tell.machine", text, _TOLD),
    Guarantee("batch", "Tell", "states.context.Execution.Input", record, _TOLD),
    Guarantee("batch", "Tell", "states.context.Execution.Input.job", text, _TOLD),
    # guard: what one state hands to the next
    Guarantee("guard", "[!C]*", "states.input", record, "every state but the first gets what another one made"),
    Guarantee("guard", "Can * | Check failed", "states.input", record, "every state but the first gets what another one made"),
    Guarantee("guard", "Can *", "states.input.error", text, _CAUGHT),
    Guarantee("guard", "Check failed | Tell", "states.input.error", either(missing, text), _CAUGHT),
    Guarantee("guard", "Can *", "states.input.cause", text, _CAUGHT),
    Guarantee("guard", "Check failed", "states.input.cause", either(missing, text), _CAUGHT),
    Guarantee("guard", "*", "states.input.guard", either(missing, record), _MEMORY, trusted=True),
    Guarantee("guard", "Check running executions", "states.input.guard", anything, "an input may bring one", "Output* | Catch*"),
    Guarantee("guard", "Ask again later", "states.input.guard", present, "made by a Catch or a Choice of ours"),
    Guarantee("guard", "*", "states.input.guard.losses", either(missing, number), _MEMORY, trusted=True),
    Guarantee("guard", "*", "states.input.guard.stopped_at", either(missing, one_of(START)), _MEMORY, trusted=True),
    # guard: what the checker has answered
    Guarantee("guard", "Check running executions", "states.result.Payload", present, "lambda:invoke always has one, whatever is in it"),
    *(
        Guarantee("guard", "Already running?", f"states.input.decision{path}", often(kind), "anything, but a Condition is to be true at times")
        for path, kind in {"": record, ".run": record, ".holder": record, ".holder.name": text, ".state_machine_arn": text, ".waiter": text, ".waiter_machine": text}.items()
    ),
    # guard: what a plan has said before
    *(
        Guarantee("guard", "Can *", f"states.context.Execution.Input{path}", often(kind), "anything, but a Condition is to be true at times", "Choices*.Condition")
        for path, kind in {"": record, ".verdict": record, ".verdict.error": text, ".verdict.reason": text}.items()
    ),
    Guarantee("guard", "Passed over", "states.context.Execution.Input", record, _ASKED, trusted=True),
    Guarantee("guard", "Passed over", "states.context.Execution.Input.verdict", record, _ASKED, trusted=True),
    Guarantee("guard", "Passed over", "states.context.Execution.Input.verdict.error", text, _ASKED, trusted=True),
    Guarantee("guard", "Passed over", "states.context.Execution.Input.verdict.reason", text, _ASKED, trusted=True),
    # guard: whom to tell
    Guarantee("guard", "Tell", "states.context.Execution.Input", record, _TOLD),
    Guarantee("guard", "Tell", "states.context.Execution.Input.job", text, _TOLD),
    Guarantee("guard", "Tell", "states.context.Execution.Input.tell", record, _TOLD),
    Guarantee("guard", "Tell", "states.context.Execution.Input.tell.machine", text, _TOLD),
    # telling
    Guarantee("telling", "*", "states.input", record, _TOLD),
    Guarantee("telling", "Is the *", "states.input.reason", often(text), "anything, but a Condition is to be true at times"),
    Guarantee("telling", "Is the *", "states.input.execution", often(text), "anything, but a Condition is to be true at times"),
    Guarantee("telling", "Is the *", "states.input.reason", text, "its rule has seen it", "Choices*.Output*"),
    Guarantee("telling", "*", "states.context.Execution.Input", record, _TOLD),
    Guarantee("telling", "How did *", "states.context.Execution.Input.execution", text, '"Is the reason known?" has seen it'),
    Guarantee("telling", "How did *", "states.result.Status", text, "DescribeExecution always has it (botocore's model)"),
    Guarantee("telling", "How did *", "states.result.Error", either(missing, text), "a string, where there is one"),
    Guarantee("telling", "How did *", "states.result.Cause", either(missing, text), "a string, where there is one"),
    Guarantee("telling", "Has it *", "states.input.open", flag, "made by the state before: it compares"),
    Guarantee("telling", "Tell", "states.input.reason", text, "made by the states before"),
    *(
        Guarantee("telling", "Tell", f"states.context.Execution.Input.{key}", kind, _TOLD)
        for key, kind in {
            "kind": one_of("failed", "skipped", "not_started", "late", "recovered"), "job": text, "of_stage": flag,
            "at": text, "zone": text, "offset_minutes": one_of(540, -210, 0), "command": text,
            "more": either(missing, text), "execution": either(missing, text),
        }.items()
    ),
    Guarantee("guard", "S* | W* | Already running | Refused", "states.input.decision", record, _SEEN, trusted=True),
    Guarantee("guard", "Already running | Refused | W*", "states.input.decision.reason", text, _SEEN),
    Guarantee("guard", "Already running?", "states.input.decision.reason", text, _SEEN, "Choices*.Output*"),
    Guarantee("guard", "Start the run", "states.input.decision.run", record, _SEEN),
    Guarantee("guard", "Start the run", "states.input.decision.next_run", one_of("run-000043"), _OBEYED),
    Guarantee("guard", "Start the run", "states.input.decision.state_machine_arn", text, _OBEYED),
    Guarantee("guard", "Wait in the queue", "states.input.decision.waiter", text, _OBEYED),
    Guarantee("guard", "Wait in the queue", "states.input.decision.waiter_machine", text, _OBEYED),
    Guarantee("guard", "Wait in the queue", "states.input.decision.waiter_input", record, _OBEYED),
    Guarantee("guard", "Wait for the holder", "states.input.decision.wait_seconds", number, _SHORT),
    Guarantee("guard", _STOPS, "states.input.decision.holder", record, _OBEYED),
    Guarantee("guard", _STOPS, "states.input.decision.holder.arn", text, _OBEYED),
    Guarantee("guard", _STOPS, "states.input.decision.cluster", text, _OBEYED),
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
    Refusal("guard", "Start the run", "a redriven start runs nothing on an old look: start the job again with guardctl run", "the look is old"),
)  # fmt: skip
"""The throws that are meant."""
