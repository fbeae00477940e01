"""Probes of starting an execution: taken names and their errors, the same start twice, a redrive, delays of IAM."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from guardctl.acceptance.findings import Assumption, Finding, Probe, differs, holds, judged, untried
from guardctl.acceptance.trial import Ended, NotInTime, Trial, refused

IAM_LAG = 300.0
"""Seconds within which a new permission should work. A run tries again for so long after an AccessDenied."""

SHOWN_WITHIN = 60.0
"""Seconds until DescribeExecution should tell the end of a redriven execution, and not of the first try."""

ERRORS = {
    "taken": "StepFunctions.ExecutionAlreadyExistsException",
    "taken, aws-sdk": "Sfn.ExecutionAlreadyExistsException",
    "no machine": "StepFunctions.StateMachineDoesNotExistException",
    "expression": "States.QueryEvaluationError",
}
"""What a state machine's step is told, as reported by people or recorded on AWS by LocalStack."""


@dataclass(frozen=True)
class Permitted:
    """How long a new role was denied what its policy allows; None: for as long as anybody waited."""

    seconds: float | None
    denied: int
    waited: float


@dataclass(frozen=True)
class Steps:
    """How the steps of a state machine ended that can't start anything."""

    taken: Ended
    taken_sdk: Ended
    no_machine: Ended
    expression: Ended


@dataclass(frozen=True)
class SameStart:
    """What StartExecution answered to a name that was used before: an error's name, or None and whose ARN."""

    running: str | None
    same_arn: bool
    other_input: str | None
    closed: str | None


@dataclass(frozen=True)
class Counted:
    """The context object's RedriveCount at the start; None if it was not there."""

    first: Any
    ended: Ended


@dataclass(frozen=True)
class Redriven:
    """An execution that ended in a Fail state, and was redriven: `refused` is the error's name if it was."""

    before: Ended
    refused: str | None
    after: Ended | None


@dataclass(frozen=True)
class Limited:
    """How an execution ended that its machine's TimeoutSeconds ended."""

    ended: Ended | None
    """None if it was not, as long as anybody waited."""
    waited: float


def permitted(trial: Trial) -> Permitted:
    """A step of the new role, again and again until IAM lets it pass."""
    denied = 0

    def look() -> bool:
        nonlocal denied
        ended = trial.outcome("start", {"machine": trial.machine("count"), "name": f"permitted-{denied}"})
        if "AccessDenied" in (_error(ended) or ""):
            denied += 1
            return False
        return True

    seconds = trial.timed(look, "a step of the new role", within=IAM_LAG, every=2)
    return Permitted(seconds, denied, trial.at_most(IAM_LAG))


def steps(trial: Trial) -> Steps:
    """Each step is tried where it must fail."""
    taken = {"machine": trial.machine("wait"), "name": "taken-in-a-step"}
    first = trial.start(trial.machine("wait"), {"seconds": 60}, taken["name"])
    missing = {"machine": trial.machine("never-made"), "name": "any"}
    started = [
        trial.start(trial.machine(name), event)
        for name, event in (("start", taken), ("start-sdk", taken), ("start", missing), ("error", taken))
    ]
    found = Steps(*(trial.ended(execution) for execution in started))
    trial.stepfunctions.stop_execution(executionArn=first)
    return found


def same_start(trial: Trial) -> SameStart:
    """The same name while its execution runs, with the same and another input, and after it was closed."""
    machine, name = trial.machine("wait"), "the-same"
    first = trial.start(machine, {"seconds": 60}, name)
    again: list[str] = []
    running = refused(lambda: again.append(trial.start(machine, {"seconds": 60}, name)))
    other = refused(lambda: trial.start(machine, {"seconds": 61}, name))
    trial.stepfunctions.stop_execution(executionArn=first)
    trial.ended(first)
    return SameStart(running, again == [first], other, refused(lambda: trial.start(machine, {"seconds": 60}, name)))


def counted(trial: Trial) -> Counted:
    """The first value of RedriveCount."""
    ended = trial.outcome("count", {})
    return Counted((ended.output or {}).get("count"), ended)


def redriven(trial: Trial) -> Redriven:
    """A Fail state tells the count, and is entered again."""
    execution = trial.start(trial.machine("fail"), {})
    before = trial.ended(execution)
    why = refused(lambda: trial.stepfunctions.redrive_execution(executionArn=execution))
    if why:
        return Redriven(before, why, None)

    def failed_again() -> Ended | None:
        """The old end may be shown for a moment yet."""
        ended = trial.ended(execution)
        return ended if ended.cause != before.cause else None

    try:
        return Redriven(before, None, trial.until(failed_again, "another end", within=SHOWN_WITHIN))
    except NotInTime:
        return Redriven(before, None, trial.ended(execution))


def limited(trial: Trial) -> Limited:
    """A machine that waits for longer than it may."""
    execution = trial.start(trial.machine("limited"), {})
    began = trial.clock.now()
    ended = None
    with suppress(NotInTime):
        ended = trial.ended(execution)
    return Limited(ended, trial.clock.now() - began)


def _judge_permitted(seen: Permitted) -> Finding:
    if seen.seconds is None:
        told = f"still denied after {seen.waited:.0f} s and {seen.denied} tries"
        return differs(told) if seen.waited >= IAM_LAG else untried(f"{told}; nobody waited longer")
    return holds(f"worked after {seen.seconds:.0f} s, denied {seen.denied} times")


def _judge_error(ended: Ended, expected: str) -> Finding:
    error = _error(ended)
    if error is None:
        return judged(False, f"no error: {ended.told()}")
    if "AccessDenied" in error:
        return untried(f"the role may not do it: {error}")
    return judged(error == expected, f"the step was told {error}")


def _judge_running(seen: SameStart) -> Finding:
    if seen.running:
        return judged(False, f"refused as {seen.running}")
    return judged(seen.same_arn, "answered with the first one's ARN" if seen.same_arn else "another ARN was answered")


def _judge_used(seen: SameStart) -> Finding:
    told = f"another input: {seen.other_input or 'taken'}; after the end: {seen.closed or 'taken'}"
    return judged({seen.other_input, seen.closed} == {"ExecutionAlreadyExists"}, told)


def _judge_count(seen: Counted) -> Finding:
    told = f"it is {seen.first}" if seen.ended.status == "SUCCEEDED" else seen.ended.told()
    return judged(seen.first == 0 and seen.first is not False, told)


def _judge_redriven(seen: Redriven) -> Finding:
    if seen.after is None:
        return judged(False, f"RedriveExecution was refused as {seen.refused}")
    right = seen.after.status == "FAILED" and seen.after.cause == "redriven 1 times"
    return judged(right, f"first {seen.before.told()}; then {seen.after.told()}")


def _judge_limited(seen: Limited) -> Finding:
    ended = seen.ended
    if ended is None:
        return untried(f"it had not ended after {seen.waited:.0f} s, and nobody waited longer")
    return judged(ended.status == "TIMED_OUT" and not ended.error and not ended.cause, ended.told())


def _error(ended: Ended) -> str | None:
    """What a step of `definitions.step` caught, or what the execution failed with."""
    caught = (ended.output or {}).get("error")
    return str(caught) if caught else ended.error


PERMITTED = Probe(
    "permitted",
    "a step of a new role, again and again",
    permitted,
    (
        Assumption(
            "iam-lag",
            "A new permission works within five minutes; until then it is denied.",
            "reported",
            _judge_permitted,
        ),
    ),
)

PROBES = (
    Probe(
        "steps",
        "steps of a state machine that must fail",
        steps,
        (
            Assumption(
                "taken-name",
                f"A step states:startExecution is told of a taken name as {ERRORS['taken']}.",
                "reported",
                lambda seen: _judge_error(seen.taken, ERRORS["taken"]),
            ),
            Assumption(
                "taken-name-sdk",
                f"A step aws-sdk:sfn:startExecution is told of it as {ERRORS['taken, aws-sdk']}.",
                "reported",
                lambda seen: _judge_error(seen.taken_sdk, ERRORS["taken, aws-sdk"]),
            ),
            Assumption(
                "no-machine",
                f"A step is told of a machine that does not exist as {ERRORS['no machine']}.",
                "reported",
                lambda seen: _judge_error(seen.no_machine, ERRORS["no machine"]),
            ),
            Assumption(
                "expression",
                f"An expression that gives an error can be caught, as {ERRORS['expression']}.",
                "reported",
                lambda seen: _judge_error(seen.expression, ERRORS["expression"]),
            ),
        ),
    ),
    Probe(
        "same-start",
        "StartExecution with a name that was used before",
        same_start,
        (
            Assumption(
                "same-start",
                "The same name and input, while the execution runs, is answered with that execution.",
                "documented",
                _judge_running,
            ),
            Assumption(
                "used-name",
                "With another input, or when the execution is closed, the name is taken: ExecutionAlreadyExists.",
                "documented",
                _judge_used,
            ),
        ),
    ),
    Probe(
        "redrive-count",
        "a machine that tells its context object's RedriveCount",
        counted,
        (
            Assumption(
                "redrive-count",
                "The context object has Execution.RedriveCount, and it is 0 at first.",
                "reported",
                _judge_count,
            ),
        ),
    ),
    Probe(
        "redrive",
        "RedriveExecution of one that ended in a Fail state",
        redriven,
        (
            Assumption(
                "redriven-fail",
                "A redriven execution enters its Fail state again, evaluates it with RedriveCount 1, and fails.",
                "documented",
                _judge_redriven,
            ),
        ),
    ),
    Probe(
        "limited",
        "a machine with TimeoutSeconds 2 that waits for 60",
        limited,
        (
            Assumption(
                "machine-timeout",
                "A machine's own TimeoutSeconds ends an execution as TIMED_OUT, without an error or a cause.",
                "documented",
                _judge_limited,
            ),
        ),
    ),
)
