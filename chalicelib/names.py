"""Every name of ours, and its one grammar: what is written here is read here, and nowhere else.

The lock is made of names: a Standard execution's name is unique per state machine until 90 days after the execution
closed (AWS, API reference of StartExecution). So whoever gets to create ``run-000042`` is the only one who ever does.
"""

import hashlib
import re
from datetime import UTC, datetime
from typing import Literal

from chalicelib.values import dataclass

JOB = "[a-z][a-z0-9]*(?:-[a-z0-9]+)*"
"""A job's name: lower case letters, digits and single hyphens."""

STAGE = "[a-z][a-z0-9]*"
"""A stage's name has no hyphen, so that the names (and IAM prefixes) of two stages never meet."""

LONGEST_NAME = 80
"""Characters of a state machine's and an execution's name (AWS, CreateStateMachine, StartExecution)."""

LAST_WAITER = 99
"""So many starts may give up waiting at one place; jobs' names are short enough for two digits."""

LAST_REPETITION = 99
"""So many starts by hand may name one scheduled time."""

MOST_SLOTS = 9
"""Runs of a pool at once, at most."""

Function = Literal["check", "trigger"]
FUNCTIONS: tuple[Function, ...] = ("check", "trigger")

# --- executions of a batch machine ------------------------------------------------------------------------

_NUMBERED = re.compile(r"(run|paused)-([0-9]{6,73})")  # of at most LONGEST_NAME characters


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


def _number(name: str, kind: str) -> int | None:
    match = _NUMBERED.fullmatch(name)
    if match is None or match[1] != kind:
        return None
    number = int(match[2])
    return number if number > 0 and f"{kind}-{number:06d}" == name else None


# --- guard executions -------------------------------------------------------------------------------------

Kind = Literal["scheduled", "repetition", "by hand", "waiter", "pause", "renewal"]
_TIME = "[0-9]{8}T[0-9]{4}Z"
_GUARD = re.compile(
    rf"(?P<job>{JOB})-(?:(?P<time>{_TIME})(?:-by-hand-(?P<number>[1-9][0-9]?))?"
    rf"|by-hand-(?P<token>[0-9a-f]{{12}})|after-(?P<run>run-[0-9]{{6,}})-(?P<turn>[1-9][0-9]?)"
    rf"|renewal-(?P<day>[0-9]{{8}})(?:-(?P<slot>[2-9]))?|waits-(?P<waits>[0-9a-f]{{12}})|paused-(?P<paused>[0-9a-f]{{12}}))"
)


@dataclass(frozen=True, slots=True)
class GuardName:
    """The name of a guard execution, read. Times are UTC."""

    job: str
    kind: Kind
    scheduled_at: datetime | None = None
    """Of a scheduled start and of its repetitions by hand."""
    after: int | None = None
    """Of a waiter for a pool of one job: 41 if it waits to be run 42."""
    turn: int | None = None
    """Of such a waiter: 2 if the first gave up."""


def scheduled_name(job: str, scheduled_at: datetime) -> str:
    """`<job>-20261123T1800Z`. Raises ValueError for a time that is not a whole minute with a zone."""
    at = scheduled_at.astimezone(UTC)
    if scheduled_at.tzinfo is None or at.second or at.microsecond:
        raise ValueError(f"a scheduled time is a whole minute with a zone, not {scheduled_at.isoformat()}")
    return f"{job}-{at.year:04}{at:%m%dT%H%MZ}"


def repetition_name(job: str, scheduled_at: datetime, number: int) -> str:
    """``<job>-20261123T1800Z-by-hand-1``: a start by hand for a time that a person gave, to be found by its name."""
    return f"{scheduled_name(job, scheduled_at)}-by-hand-{number}"


def by_hand_name(job: str, token: str) -> str:
    """``<job>-by-hand-0123456789ab``: a start by hand for no scheduled time; `token` has twelve hexadecimal digits."""
    return f"{job}-by-hand-{token}"


def waiter_name(job: str, latest: int, turn: int) -> str:
    """``<job>-after-run-000041-1``: the guard execution that waits to be run 42; ``-2`` if the first gave up."""
    return f"{job}-after-{run_name(latest)}-{turn}"


def renewal_name(job: str, day: datetime, slot: int = 1) -> str:
    """``<job>-renewal-20261201``: a start without a task, so that the newest run's name is not forgotten.

    ``…-2`` renews the names of the pool's second slot.
    """
    return f"{job}-renewal-{day:%Y%m%d}" + (f"-{slot}" if slot > 1 else "")


def pool_waiter_name(job: str, guard_execution: str) -> str:
    """``<job>-waits-0123456789ab``: waits for a pool of several jobs or slots; the guard execution (its ARN) asked."""
    return f"{job}-waits-{hashlib.sha256(guard_execution.encode()).hexdigest()[:12]}"


def pool_pause_name(job: str, token: str) -> str:
    """``<job>-paused-0123456789ab``: pauses a job of such a pool while it is open; `token` has twelve hex digits."""
    return f"{job}-paused-{token}"


def parse_guard_name(name: str) -> GuardName | None:
    """What a guard execution's name says; None for a name that is not ours."""
    match = _GUARD.fullmatch(name)
    if match is None:
        return None
    job = match["job"]
    if match["time"]:
        try:
            time = match["time"]
            year, month, day, hour, minute = (int(time[i:j]) for i, j in ((0, 4), (4, 6), (6, 8), (9, 11), (11, 13)))
            at = datetime(year, month, day, hour, minute, tzinfo=UTC)  # strptime is ten times as slow
        except ValueError:  # the digits of no date
            return None
        return GuardName(job, "repetition" if match["number"] else "scheduled", at)
    if match["run"]:
        after = 0 if match["run"] == run_name(0) else run_number(match["run"])
        return None if after is None else GuardName(job, "waiter", after=after, turn=int(match["turn"]))
    kinds: dict[str, Kind] = {"waits": "waiter", "paused": "pause", "day": "renewal", "token": "by hand"}
    return next(GuardName(job, kind) for group, kind in kinds.items() if match[group])


def waits_after(name: str) -> tuple[int, int] | None:
    """(41, 1) for ``<job>-after-run-000041-1``; None for the name of a guard execution that does not wait."""
    parsed = parse_guard_name(name) if "-after-" in name else None  # every start is asked, and hardly any waits
    if parsed is None or parsed.after is None or parsed.turn is None:
        return None
    return parsed.after, parsed.turn


# --- executions that tell ---------------------------------------------------------------------------------

Told = Literal["failed", "skipped", "not_started", "late", "recovered"]
"""What people may be told of a job."""

TOLD: tuple[Told, ...] = ("failed", "skipped", "not_started", "late", "recovered")
_TOLD = re.compile(rf"told-(?P<job>{JOB})?-(?P<kind>{'|'.join(TOLD)})-(?P<hour>[0-9]{{8}}T[0-9]{{2}})")


def told_name(job: str | None, kind: Told, hour: datetime) -> str:
    """``told-<job>-failed-20261123T18``: the name makes it once an hour (of UTC), without a store.

    Of the whole stage, `job` None: ``told--not_started-20261123T18``; no job has an empty name.
    """
    at = hour.astimezone(UTC)
    return f"told-{job or ''}-{kind}-{at.year:04}{at:%m%dT%H}"


def parse_told_name(name: str) -> tuple[str | None, Told] | None:
    """The job (None: the stage) and what was told; None for a name that is not ours."""
    match = _TOLD.fullmatch(name)
    if match is None:
        return None
    return match["job"], next(kind for kind in TOLD if kind == match["kind"])


# --- what a stage is made of ------------------------------------------------------------------------------


def guard_machine(stage: str) -> str:
    """The name of the stage's guard machine."""
    return f"batch-guard-{stage}"


def batch_machine(stage: str, pool: str, slot: int = 1) -> str:
    """The name of the batch machine of a pool's slot; `*` for any pool of the stage.

    A pool's name has no double hyphen, so no slot is another pool.
    """
    return f"batch-guard-{stage}-{pool}" + (f"--{slot}" if slot > 1 else "")


def waiting_machine(stage: str) -> str:
    """The name of the machine of those who wait for, or pause, a job whose pool has several jobs or slots."""
    return f"batch-guard-{stage}--waiting"


def telling_machine(stage: str) -> str:
    """The name of the machine whose executions tell people."""
    return f"batch-guard-{stage}--telling"


def function_name(stage: str, function: Function) -> str:
    """The name of a function, as Chalice makes it."""
    return f"batch-guard-{stage}-{function}"


def function_role(stage: str, function: Function) -> str:
    """The role that `guardctl` makes for a function, in place of Chalice's, which has the function's name."""
    return f"{function_name(stage, function)}-role"


def stage_of_function(name: str) -> str | None:
    """The stage of a function by its name; None for a name that is not ours."""
    match = re.fullmatch(rf"batch-guard-({STAGE})-(?:{'|'.join(FUNCTIONS)})", name)
    return match[1] if match else None


def log_group(stage: str, function: Function) -> str:
    """The CloudWatch log group of a function."""
    return f"/aws/lambda/{function_name(stage, function)}"


def machines_log_group(stage: str) -> str:
    """The CloudWatch log group of a stage's machines, if they log.

    With another beginning of its name, a resource policy of the account grows with each machine until it is full (Step
    Functions guide, "CloudWatch Logs").
    """
    return f"/aws/vendedlogs/states/{guard_machine(stage)}"


def stack_name(stage: str, part: str) -> str:
    """The name of the CloudFormation stack with a part of the stage: its ``machines``, ``records``, ``alarms`` …"""
    return f"batch-guard-{stage}-{part}"


def machines_stack(stage: str) -> str:
    """The name of the CloudFormation stack with the state machines."""
    return stack_name(stage, "machines")


def package_stack(stage: str) -> str:
    """The name that the README gives the stack of a pipeline."""
    return f"batch-guard-{stage}"


def schedule_parameter(stage: str, job: str) -> str:
    """The name of the SSM parameter that records the job's schedule; `*` for any job of the stage."""
    return f"/batch-guard/{stage}/{job}/schedule"


# --- ARNs -------------------------------------------------------------------------------------------------


def machine_arn(function_arn: str, machine: str) -> str:
    """The ARN of a state machine beside a Lambda function: same partition, Region and account."""
    _, partition, _, region, account, *_ = function_arn.split(":")
    return f"arn:{partition}:states:{region}:{account}:stateMachine:{machine}"


def region_of(arn: str) -> str:
    """The Region in an ARN."""
    return arn.split(":")[3]


def execution_arn(machine: str, name: str) -> str:
    """The ARN of the execution ``name`` of the machine with the ARN ``machine``."""
    return f"{machine.replace(':stateMachine:', ':execution:')}:{name}"


def execution_name(arn: str) -> str:
    """The name in an execution's ARN."""
    return arn.rpartition(":")[2]


def machine_of(execution: str) -> str:
    """The ARN of the state machine of the execution with this ARN."""
    return execution.rpartition(":")[0].replace(":execution:", ":stateMachine:")


def slot_of(machine: str) -> int:
    """2 for the batch machine (a name or an ARN) of a pool's second slot; 1 for any other machine."""
    match = re.search(r"--([2-9])$", machine)
    return int(match[1]) if match else 1
