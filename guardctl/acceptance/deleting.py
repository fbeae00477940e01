"""Probes of a state machine that is removed, and made again under its name."""

from dataclasses import dataclass

from botocore.exceptions import ClientError

from guardctl.acceptance.definitions import waiting
from guardctl.acceptance.findings import Assumption, Finding, Probe, Untried, differs, judged
from guardctl.acceptance.trial import Trial, code, refused

WATCHED = 20.0
"""Seconds for which a machine is watched that should stay in DELETING."""


@dataclass(frozen=True)
class MadeAgain:
    """How long it took until the name of a removed machine was free, and what starting an old name said then."""

    seconds: float | None
    old_name: str | None
    still_described: bool


@dataclass(frozen=True)
class Deleting:
    """A machine that was deleted while its execution waited."""

    status: str | None
    """Its status while the execution waited; None if it was gone."""
    watched: float
    again: str | None
    """What making it again said meanwhile; None if that was done."""
    after: float | None
    """Seconds from the execution's end until it could be made again."""


def made_again(trial: Trial) -> MadeAgain:
    """One execution, closed; the machine removed and made again; the same start once more."""
    definition = waiting(1)
    machine = trial.make("again", definition)
    execution = trial.start(machine, {}, "old-name")
    trial.ended(execution)
    trial.stepfunctions.delete_state_machine(stateMachineArn=machine)
    seconds = trial.timed(lambda: _made(trial, "again"), "the machine's name is free", within=trial.patience, every=2)
    if seconds is None:
        raise Untried(f"the machine was still being deleted after {trial.patience:.0f} s")
    described = refused(lambda: trial.stepfunctions.describe_execution(executionArn=execution)) is None
    return MadeAgain(seconds, refused(lambda: trial.start(machine, {}, "old-name")), described)


def deleting(trial: Trial) -> Deleting:
    """Removed while its execution waits for an hour."""
    machine = trial.make("deleting", waiting(3600))
    execution = trial.start(machine, {})
    trial.stepfunctions.delete_state_machine(stateMachineArn=machine)
    watched = trial.at_most(WATCHED)
    trial.timed(lambda: _status(trial, machine) is None, "the machine is gone", within=watched, every=2)
    status = _status(trial, machine)
    # Another definition: the same one would be answered with the machine that is there (AWS, CreateStateMachine).
    again = refused(lambda: trial.make("deleting", waiting(3601)))
    if status is None or again is None:
        return Deleting(status, watched, again, None)
    trial.stepfunctions.stop_execution(executionArn=execution)
    after = trial.timed(lambda: _made(trial, "deleting"), "the machine's name is free", within=trial.patience, every=2)
    return Deleting(status, watched, again, after)


def _made(trial: Trial, name: str) -> bool:
    try:
        trial.make(name, waiting(1))
    except ClientError as error:
        if code(error) in ("StateMachineDeleting", "StateMachineAlreadyExists"):
            return False
        raise
    return True


def _status(trial: Trial, machine: str) -> str | None:
    try:
        return trial.stepfunctions.describe_state_machine(stateMachineArn=machine).get("status", "ACTIVE")
    except ClientError as error:
        if code(error) == "StateMachineDoesNotExist":
            return None
        raise


def _judge_old_name(seen: MadeAgain) -> Finding:
    described = "is still described" if seen.still_described else "is no longer described"
    told = f"made again after {seen.seconds:.0f} s; the old execution {described}"
    if seen.old_name is None:
        return differs(f"the old name was free; {told}")
    return judged(seen.old_name == "ExecutionAlreadyExists", f"the old name: {seen.old_name}; {told}")


def _judge_deleting(seen: Deleting) -> Finding:
    if seen.status is None:
        return differs("the machine was gone although its execution waited")
    if seen.again is None:
        return differs(f"{seen.status}, and yet it could be made again")
    after = "not in time" if seen.after is None else f"{seen.after:.0f} s after the execution was stopped"
    told = f"{seen.status} for {seen.watched:.0f} s, made again meanwhile: {seen.again}; it could be made again {after}"
    return judged(seen.status == "DELETING" and seen.again == "StateMachineDeleting", told)


PROBES = (
    Probe(
        "made-again",
        "a machine removed and made again, and an old execution name started",
        made_again,
        (
            Assumption(
                "old-names",
                "A machine that is removed and made again finds the names of its old executions taken.",
                "not documented",
                _judge_old_name,
            ),
        ),
    ),
    Probe(
        "deleting",
        "a machine removed while its execution waits",
        deleting,
        (
            Assumption(
                "deleting",
                "A machine that is removed while an execution waits stays in DELETING, and can't be made again.",
                "reported",
                _judge_deleting,
            ),
        ),
    ),
)
