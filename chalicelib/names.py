"""The names the lock is made of, and nothing else that is named by chance.

A Standard execution's name is unique per state machine until 90 days after the execution closed
(AWS, API reference of StartExecution). So whoever gets to create ``run-000042`` is the only one who ever does.
"""

import re

_NUMBERED = re.compile(r"(run|paused)-([0-9]{6,})")
_WAITER = re.compile(r"(.+)-after-(run-[0-9]{6,})-([1-9][0-9]?)")

LAST_WAITER = 99
"""So many starts may give up waiting at one place; jobs' names are short enough for two digits."""


def run_name(number: int) -> str:
    """``run-000042`` for 42; wider from a million on."""
    return f"run-{number:06d}"


def run_number(name: str) -> int | None:
    """42 for ``run-000042``; None for every other spelling (``run-42``, ``run-0000042``)."""
    return _number(name, "run")


def pause_name(number: int) -> str:
    """``paused-000001``: an execution of the batch machine that runs nothing, and while it is open pauses the job."""
    return f"paused-{number:06d}"


def pause_number(name: str) -> int | None:
    """1 for ``paused-000001``; None for every other spelling."""
    return _number(name, "paused")


def waiter_name(job: str, latest: int, turn: int) -> str:
    """``<job>-after-run-000041-1``: the guard execution that waits to be run 42; ``-2`` if the first gave up."""
    return f"{job}-after-{run_name(latest)}-{turn}"


def waits_after(name: str) -> tuple[int, int] | None:
    """(41, 1) for ``<job>-after-run-000041-1``; None for the name of a guard execution that does not wait."""
    match = _WAITER.fullmatch(name)
    if match is None:
        return None
    number = 0 if match[2] == run_name(0) else run_number(match[2])
    return None if number is None else (number, int(match[3]))


def guard_machine(stage: str) -> str:
    """The name of the stage's guard machine."""
    return f"batch-guard-{stage}"


def batch_machine(stage: str, job: str) -> str:
    """The name of the job's batch machine."""
    return f"batch-guard-{stage}-{job}"


def schedule_parameter(stage: str, job: str) -> str:
    """The name of the SSM parameter that records the job's schedule."""
    return f"/batch-guard/{stage}/{job}/schedule"


def machine_arn(function_arn: str, machine: str) -> str:
    """The ARN of a state machine beside a Lambda function: same partition, Region and account."""
    _, partition, _, region, account, *_ = function_arn.split(":")
    return f"arn:{partition}:states:{region}:{account}:stateMachine:{machine}"


def execution_arn(machine: str, name: str) -> str:
    """The ARN of the execution ``name`` of the machine with the ARN ``machine``."""
    return f"{machine.replace(':stateMachine:', ':execution:')}:{name}"


def _number(name: str, kind: str) -> int | None:
    match = _NUMBERED.fullmatch(name)
    if match is None or match[1] != kind:
        return None
    number = int(match[2])
    return number if number > 0 and f"{kind}-{number:06d}" == name else None
