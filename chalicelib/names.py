"""The names the lock is made of, and nothing else that is named by chance.

A Standard execution's name is unique per state machine until 90 days after the execution closed
(AWS, API reference of StartExecution). So whoever gets to create ``run-000042`` is the only one who ever does.
"""

import re

_RUN = re.compile(r"run-(\d{6,})")


def run_name(number: int) -> str:
    """``run-000042`` for 42; wider from a million on."""
    return f"run-{number:06d}"


def run_number(name: str) -> int | None:
    """42 for ``run-000042``; None for every other spelling (``run-42``, ``run-0000042``)."""
    match = _RUN.fullmatch(name)
    if match is None or not name.isascii():
        return None
    number = int(match[1])
    return number if number > 0 and run_name(number) == name else None


def guard_machine(stage: str) -> str:
    """The name of the stage's guard machine."""
    return f"batch-guard-{stage}"


def batch_machine(stage: str, job: str) -> str:
    """The name of the job's batch machine."""
    return f"batch-guard-{stage}-{job}"


def machine_arn(function_arn: str, machine: str) -> str:
    """The ARN of a state machine beside a Lambda function: same partition, Region and account."""
    _, partition, _, region, account, *_ = function_arn.split(":")
    return f"arn:{partition}:states:{region}:{account}:stateMachine:{machine}"


def execution_arn(machine: str, name: str) -> str:
    """The ARN of the execution ``name`` of the machine with the ARN ``machine``."""
    return f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
