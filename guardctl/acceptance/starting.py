"""Probes of starting an execution: taken names and their errors, the same start twice, a redrive, delays of IAM."""

from collections.abc import Iterator

from guardctl.acceptance.findings import Assumption, Finding, differs, holds, judged, not_seen, probe, untried
from guardctl.acceptance.trial import Ended, NotInTime, Trial, refused

IAM_LAG = 300.0
"""Seconds within which a new permission should work. A run tries again for so long after an AccessDenied."""

SHOWN_WITHIN = 60.0
"""Seconds until DescribeExecution should tell the end of a redriven execution, and not of the first try."""

TAKEN = "StepFunctions.ExecutionAlreadyExistsException"
TAKEN_SDK = "Sfn.ExecutionAlreadyExistsException"
NO_MACHINE = "StepFunctions.StateMachineDoesNotExistException"
EXPRESSION = "States.QueryEvaluationError"
"""What a state machine's step is told, as reported by people or recorded on AWS by LocalStack."""


@probe(
    "a step of a new role, again and again",
    Assumption("iam-lag", "A new permission works within five minutes; until then it is denied.", "reported"),
)
def permitted(trial: Trial) -> Iterator[Finding]:
    denied = 0

    def look() -> bool:
        nonlocal denied
        ended = trial.outcome("start", {"machine": trial.machine("count"), "name": f"permitted-{denied}"})
        if "AccessDenied" in (_error(ended) or ""):
            denied += 1
            return False
        return True

    seconds, waited = trial.timed(look, "a step of the new role", within=IAM_LAG, every=2), trial.at_most(IAM_LAG)
    if seconds is None:
        yield not_seen(f"still denied after {waited:.0f} s and {denied} tries", waited, IAM_LAG)
    else:
        yield holds(f"worked after {seconds:.0f} s, denied {denied} times")


@probe(
    "steps of a state machine that must fail",
    Assumption("taken-name", f"A step states:startExecution is told of a taken name as {TAKEN}.", "reported"),
    Assumption("taken-name-sdk", f"A step aws-sdk:sfn:startExecution is told of it as {TAKEN_SDK}.", "reported"),
    Assumption("no-machine", f"A step is told of a machine that does not exist as {NO_MACHINE}.", "reported"),
    Assumption("expression", f"An expression that gives an error can be caught, as {EXPRESSION}.", "reported"),
)
def steps(trial: Trial) -> Iterator[Finding]:
    taken = {"machine": trial.machine("wait"), "name": "taken-in-a-step"}
    first = trial.start(trial.machine("wait"), {"seconds": 60}, taken["name"])
    missing = {"machine": trial.machine("never-made"), "name": "any"}
    tried = [
        (trial.start(trial.machine(name), event), expected)
        for name, event, expected in (
            ("start", taken, TAKEN),
            ("start-sdk", taken, TAKEN_SDK),
            ("start", missing, NO_MACHINE),
            ("error", taken, EXPRESSION),
        )
    ]
    for execution, expected in tried:
        ended = trial.ended(execution)
        error = _error(ended)
        if error is None:
            yield differs(f"no error: {ended.told()}")
        elif "AccessDenied" in error:
            yield untried(f"the role may not do it: {error}")
        else:
            yield judged(error == expected, f"the step was told {error}")
    trial.stepfunctions.stop_execution(executionArn=first)


@probe(
    "StartExecution with a name that was used before",
    Assumption(
        "same-start",
        "The same name and input, while the execution runs, is answered with that execution.",
        "documented",
    ),
    Assumption(
        "used-name",
        "With another input, or when the execution is closed, the name is taken: ExecutionAlreadyExists.",
        "documented",
    ),
)
def same_start(trial: Trial) -> Iterator[Finding]:
    """The same name while its execution runs, with the same and another input, and after it was closed."""
    machine, name = trial.machine("wait"), "the-same"
    first = trial.start(machine, {"seconds": 60}, name)
    again: list[str] = []
    refusal = refused(lambda: again.append(trial.start(machine, {"seconds": 60}, name)))
    answered = "answered with the first one's ARN" if again == [first] else "another ARN was answered"
    yield judged(again == [first], f"refused as {refusal}" if refusal else answered)
    other = refused(lambda: trial.start(machine, {"seconds": 61}, name))
    trial.stepfunctions.stop_execution(executionArn=first)
    trial.ended(first)
    closed = refused(lambda: trial.start(machine, {"seconds": 60}, name))
    told = f"another input: {other or 'taken'}; after the end: {closed or 'taken'}"
    yield judged({other, closed} == {"ExecutionAlreadyExists"}, told)


@probe(
    "a machine that tells its context object's RedriveCount",
    Assumption("redrive-count", "The context object has Execution.RedriveCount, and it is 0 at first.", "reported"),
)
def redrive_count(trial: Trial) -> Iterator[Finding]:
    ended = trial.outcome("count", {})
    first = (ended.output or {}).get("count")
    told = f"it is {first}" if ended.status == "SUCCEEDED" else ended.told()
    yield judged(first == 0 and first is not False, told)


@probe(
    "RedriveExecution of one that ended in a Fail state",
    Assumption(
        "redriven-fail",
        "A redriven execution enters its Fail state again, evaluates it with RedriveCount 1, and fails.",
        "documented",
    ),
)
def redriven(trial: Trial) -> Iterator[Finding]:
    """A Fail state tells the count, and is entered again."""
    execution = trial.start(trial.machine("fail"), {})
    before = trial.ended(execution)
    if why := refused(lambda: trial.stepfunctions.redrive_execution(executionArn=execution)):
        yield differs(f"RedriveExecution was refused as {why}")
        return

    def failed_again() -> Ended | None:
        """The old end may be shown for a moment yet."""
        ended = trial.ended(execution)
        return ended if ended.cause != before.cause else None

    try:
        after = trial.until(failed_again, "another end", within=SHOWN_WITHIN)
    except NotInTime:
        after = trial.ended(execution)
    right = after.status == "FAILED" and after.cause == "redriven 1 times"
    yield judged(right, f"first {before.told()}; then {after.told()}")


@probe(
    "a machine with TimeoutSeconds 2 that waits for 60",
    Assumption(
        "machine-timeout",
        "A machine's own TimeoutSeconds ends an execution as TIMED_OUT, without an error or a cause.",
        "documented",
    ),
)
def limited(trial: Trial) -> Iterator[Finding]:
    execution = trial.start(trial.machine("limited"), {})
    began = trial.clock.now()
    ended = trial.ended_or_none(execution)
    if ended is None:
        yield untried(f"it had not ended after {trial.clock.now() - began:.0f} s, and nobody waited longer")
    else:
        yield judged(ended.status == "TIMED_OUT" and not ended.error and not ended.cause, ended.told())


PROBES = (steps, same_start, redrive_count, redriven, limited)


def _error(ended: Ended) -> str | None:
    """What a step of `definitions.step` caught, or what the execution failed with."""
    return ended.caught[0] or ended.error
