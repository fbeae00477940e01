"""Probes of a state machine that is removed, and made again under its name."""

from collections.abc import Iterator

from botocore.exceptions import ClientError

from guardctl.acceptance.definitions import waiting
from guardctl.acceptance.findings import Assumption, Finding, Untried, differs, judged, probe
from guardctl.acceptance.trial import Trial, code, refused

WATCHED = 20.0
"""Seconds for which a machine is watched that should stay in DELETING."""


@probe(
    "a machine removed and made again, and an old execution name started",
    Assumption(
        "old-names",
        "A machine that is removed and made again finds the names of its old executions taken.",
        "not documented",
    ),
)
def made_again(trial: Trial) -> Iterator[Finding]:
    """One execution, closed; the machine removed and made again; the same start once more."""
    machine = trial.make("again", waiting(1))
    execution = trial.start(machine, {}, "old-name")
    trial.ended(execution)
    trial.stepfunctions.delete_state_machine(stateMachineArn=machine)
    seconds = _free_again(trial, "again")
    if seconds is None:
        raise Untried(f"the machine was still being deleted after {trial.patience:.0f} s")
    gone = refused(lambda: trial.stepfunctions.describe_execution(executionArn=execution))
    told = f"made again after {seconds:.0f} s; the old execution is {'no longer' if gone else 'still'} described"
    refusal = refused(lambda: trial.start(machine, {}, "old-name"))
    yield judged(
        refusal == "ExecutionAlreadyExists", f"the old name{f': {refusal}' if refusal else ' was free'}; {told}"
    )


@probe(
    "a machine removed while its execution waits",
    Assumption(
        "deleting",
        "A machine that is removed while an execution waits stays in DELETING, and can't be made again.",
        "reported",
    ),
)
def deleting(trial: Trial) -> Iterator[Finding]:
    machine = trial.make("deleting", waiting(3600))
    execution = trial.start(machine, {})
    trial.stepfunctions.delete_state_machine(stateMachineArn=machine)
    watched = trial.at_most(WATCHED)
    trial.timed(lambda: _status(trial, machine) is None, "the machine is gone", within=watched, every=2)
    status = _status(trial, machine)
    # Another definition: the same one would be answered with the machine that is there (AWS, CreateStateMachine).
    again = refused(lambda: trial.make("deleting", waiting(3601)))
    if status is None:
        yield differs("the machine was gone although its execution waited")
    elif again is None:
        yield differs(f"{status}, and yet it could be made again")
    else:
        trial.stepfunctions.stop_execution(executionArn=execution)
        seconds = _free_again(trial, "deleting")
        after = "not in time" if seconds is None else f"{seconds:.0f} s after the execution was stopped"
        told = f"{status} for {watched:.0f} s, made again meanwhile: {again}; it could be made again {after}"
        yield judged(status == "DELETING" and again == "StateMachineDeleting", told)


PROBES = (made_again, deleting)


def _free_again(trial: Trial, name: str) -> float | None:
    """Seconds until a machine of that name could be made; None if it could not in time."""

    def made() -> bool:
        refusal = refused(lambda: trial.make(name, waiting(1)), "StateMachineDeleting", "StateMachineAlreadyExists")
        return refusal is None

    return trial.timed(made, "the machine's name is free", within=trial.patience, every=2)


def _status(trial: Trial, machine: str) -> str | None:
    try:
        return trial.stepfunctions.describe_state_machine(stateMachineArn=machine).get("status", "ACTIVE")
    except ClientError as error:
        if code(error) == "StateMachineDoesNotExist":
            return None
        raise
