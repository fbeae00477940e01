"""What only shows when the keys of a task, or the jobs of a file, are seen together. Each check notes its faults."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from chalicelib.config import limits
from chalicelib.config.members import passed_roles, providers
from chalicelib.config.run_task import length_of_overrides, overrides
from chalicelib.config.tables import BAD, Spot
from chalicelib.config.task import CLUSTER, Ecs
from chalicelib.decide import words
from chalicelib.names import LONGEST_NAME, MOST_SLOTS, batch_machine

if TYPE_CHECKING:
    from chalicelib.config.jobs import Job

_FARGATE = frozenset({"FARGATE", "FARGATE_SPOT"})


# --- one task ---------------------------------------------------------------------------------------------


def check_placement(task: dict[str, Any], chosen: Mapping[str, Spot], spot: Spot) -> None:
    """Settle the launch type, and check what depends on it. `chosen` has where it is written, at most once."""
    if len(chosen) > 1:
        first, second = list(chosen)[:2]
        chosen[second].fault(f"is given together with {first}", "keep one of the two")
        return
    provider = task.get("capacity_provider")
    launch_type = task.setdefault("launch_type", None if chosen else "FARGATE")
    if launch_type == CLUSTER:
        launch_type = task["launch_type"] = None
    fargate = not _FARGATE.isdisjoint([launch_type or provider, *providers(task.get("run_task", {}))])
    if not task.get("subnets"):
        if fargate:
            spot.key("subnets").fault("is missing", 'Fargate needs at least one, ["subnet-0123abcd"]')
        elif task.get("security_groups") not in {None, (), BAD}:
            right = "write subnets, or leave it out (security_groups = [] if [defaults.ecs] has some)"
            spot.key("security_groups").fault("is given without subnets, and would be left out", right)
    for key in ("assign_public_ip", "platform_version"):
        if launch_type in {"EC2", "EXTERNAL"} and task.get(key) not in {None, False, BAD}:
            spot.key(key).fault(f"is not for launch type {launch_type}", "leave it out, or run on Fargate")
    if provider and not fargate and task.get("platform_version") not in {None, BAD}:
        wrong = f'is not for capacity provider "{provider}"'
        spot.key("platform_version").fault(wrong, "leave it out, or run on Fargate")
    _check_size(task, fargate, spot)
    if fargate:
        _check_version(task, provider, spot)


def _check_size(task: Mapping[str, Any], fargate: bool, spot: Spot) -> None:
    """CPU and memory together, where both are known; the other may be the task definition's."""
    cpu, memory = (int(value) if value not in {None, BAD} else None for value in (task.get("cpu"), task.get("memory")))
    sizes = limits.FARGATE_MEMORY
    if not fargate:
        least, most = limits.CPU_UNITS[0], limits.CPU_UNITS[-1]
        if cpu and cpu not in limits.CPU_UNITS:
            spot.key("cpu").fault(f"{cpu:,} CPU units are out of range", f'write from "{least}" to "{most}"')
        return
    if cpu and cpu not in sizes:
        known = ", ".join(f'"{units}"' for units in sizes)
        spot.key("cpu").fault(f"{cpu:,} CPU units are not a size that Fargate has", f"write one of {known}")
    if memory and cpu and cpu in sizes and memory not in sizes[cpu]:
        wrong = f"{memory:,} MiB do not go with {cpu:,} CPU units on Fargate"
        spot.key("memory").fault(wrong, f"write {_memory(sizes[cpu])}")
    elif memory and not any(memory in each for each in sizes.values()):
        right = f"write {'; '.join(f'{_memory(each)} for {units:,} CPU units' for units, each in sizes.items())}"
        spot.key("memory").fault(f"{memory:,} MiB are not a size that Fargate has", right)


def _memory(sizes: Sequence[int]) -> str:
    if not isinstance(sizes, range):
        return ", ".join(f'"{each}"' for each in sizes)
    return f'"{sizes[0] // 1024} GB" to "{sizes[-1] // 1024} GB" in steps of {sizes.step // 1024}'


def _check_version(task: Mapping[str, Any], provider: str | None, spot: Spot) -> None:
    written = task.get("platform_version")
    if written in {None, BAD, "LATEST"}:
        return
    version = tuple(map(int, written.split(".")))
    cpu = task.get("cpu")
    needs = []
    if provider == "FARGATE_SPOT":
        needs.append((limits.SPOT_FARGATE, "FARGATE_SPOT"))
    if cpu not in {None, BAD} and int(cpu) >= 8_192:
        needs.append((limits.NEWER_FARGATE, f"a task of {int(cpu):,} CPU units"))
    for least, what in needs:
        if version < least:
            right = f'write "{".".join(map(str, least))}", or leave it out'
            spot.key("platform_version").fault(f'"{written}" is too old for {what}', right)


_LONG_TIME = datetime(2026, 9, 30, 23, 59, tzinfo=UTC)
"""A Wednesday in September: no name of a day or month is longer."""


def check_overrides(task: Mapping[str, Any], environment: Mapping[str, Any], spot: Spot) -> None:
    """Together the overrides of a run are what RunTask takes. What has a fault of its own is not counted."""
    read = {key: value for key, value in task.items() if value is not BAD}
    names = {key: read.get(key, "") for key in ("cluster", "task_definition", "container")}
    ecs = Ecs(**{**read, **names})
    written = [word for word in ecs.command or () if word is not BAD]
    command = words.for_time(written, _LONG_TIME, "UTC", _LONG_TIME)
    own = {name: value for name, value in environment.items() if value is not BAD}
    variables = {**own, **limits.LONGEST_VARIABLES}
    count = length_of_overrides({"Overrides": overrides(ecs, variables, command)}, limits.LONGEST_EXECUTION)
    if said := limits.OVERRIDES.exceeded(count):
        over = count - limits.OVERRIDES.most
        what = "command, environment and overrides" if read.get("run_task") else "command and environment"
        right = f"make {what} at least {over:,} shorter, or leave them to the task definition"
        spot.fault(f"the task's overrides would have up to {said}, BATCH_... variables included", right)


def check_words(task: Any, calendar: Any, spot: Spot) -> None:
    """A business date is a calendar's: without the name of one there is none to fill in. Both may have faults."""
    if calendar is not None or not isinstance(task, Ecs):
        return
    for n, word in enumerate(words.command(task.command or ())):
        if isinstance(word, words.Word) and words.BUSINESS_DATE in word.names:
            wrong = f'"{{{words.BUSINESS_DATE}}}" is of a job with a calendar'
            spot.key("command").item(n).fault(wrong, 'write calendar = "jp" and [calendars.jp]')


# --- the whole file ---------------------------------------------------------------------------------------

_ARN = r"arn:(aws[a-z-]*):(ecs|iam|sns):([a-z0-9-]*):([0-9]{12}):.+"


def check_places(document: Mapping[str, Any], spot: Spot) -> None:
    """The ARNs of a file are of one place: a stage's machines run tasks in their own account and Region only.

    RunTask looks in the caller's Region, iam:PassRole does not cross accounts, and an alarm tells a topic of its own
    Region, which may be another account's (Step Functions guide, "ECS"; IAM guide; CloudWatch guide, "Alarm actions").
    """
    first: dict[str, tuple[str, str]] = {}
    for at, arn in _arns(document, spot):
        match = re.fullmatch(_ARN, arn, re.DOTALL)
        if match is None:
            continue
        partition, service, region, account = match.groups()
        found = {"partition": partition, "Region": region, "account": "" if service == "sns" else account}
        for what, value in found.items():
            if not value:
                continue
            expected, where = first.setdefault(what, (value, at.place))
            if value != expected:
                right = f"a stage is in one {what}: write {expected}, or give what is in {value} a stage of its own"
                at.fault(f"is in {what} {value}, and {where} in {expected}", right)
                break


def _arns(document: Mapping[str, Any], spot: Spot) -> Iterator[tuple[Spot, str]]:
    jobs = _table(document, "jobs")
    tables = [(spot.key("defaults").key("ecs"), _table(_table(document, "defaults"), "ecs"))]
    tables += [(spot.key("jobs").key(name).key("ecs"), _table(_table(jobs, name), "ecs")) for name in jobs]
    tables += [(spot.key(key), _table(document, key)) for key in ("stage", "alerts")]
    for at, table in tables:
        for key in (
            "cluster",
            "task_definition",
            "task_role",
            "execution_role",
            "pass_roles",
            "permissions_boundary",
            "topic",
        ):
            value = table.get(key)
            if isinstance(value, str):
                yield at.key(key), value
            elif isinstance(value, list):
                yield from ((at.key(key).item(n), each) for n, each in enumerate(value) if isinstance(each, str))
        yield from ((at.key("run_task"), role) for role in passed_roles(table.get("run_task")))


def _table(table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = table.get(key)
    return value if isinstance(value, dict) else {}


def check_pools(jobs: Mapping[str, Job], slots: Mapping[str, int], stage: str, spot: Spot) -> None:
    """A pool has jobs and a name of its own, and its machines' names fit; replace knows one slot only."""
    pools = {job.pool for job in jobs.values()}
    for pool, number in slots.items():
        at = spot.key("pools").key(pool)
        if pool not in pools:
            right = f'write pool = "{pool}" in the jobs that must not run at the same time, or take it out'
            if pool in jobs:  # only that job may name it
                of_job = jobs[pool].pool
                right = f'the job of that name is in pool "{of_job}": write [pools.{of_job}], or take it out'
            at.fault("is a pool without jobs", right)
        for job in jobs.values():
            if job.pool == pool and job.overlap == "replace" and number > 1:
                right = 'write overlap = "queue" or "skip", or slots = 1: which of several runs would it stop?'
                spot.key("jobs").key(job.name).key("overlap").fault(f'"replace" is in a pool of {number} slots', right)
    for job in jobs.values():
        at = spot.key("jobs").key(job.name).key("pool")
        if job.pool in jobs and job.pool != job.name:
            wrong = f'"{job.pool}" is the name of a job, which has a pool of its own'
            at.fault(wrong, "take another name for the pool")
        longest = batch_machine(stage, job.pool, slots.get(job.pool, 1))
        if (over := len(longest) - LONGEST_NAME) > 0:
            wrong = f"the state machine's name would have {len(longest)} characters and AWS takes {LONGEST_NAME}"
            if job.pool == job.name:  # with a slot's number; without, the job's name has been checked
                at = spot.key("pools").key(job.pool)
            at.fault(wrong, f"make the pool's name at least {over} shorter")


def check_neighbours(jobs: Mapping[str, Job], stage: str, spot: Spot) -> None:
    """Two jobs that are the same batch are in one pool: a run of one is in another's way only there."""
    same: dict[object, Job] = {}
    families: dict[object, Job] = {}
    for job in jobs.values():
        at, ecs = spot.key(job.name), job.ecs
        where = f"family {ecs.family} on cluster {ecs.cluster_name}"
        other = same.setdefault((ecs.cluster_name, ecs.family, ecs.program), job)
        if other.pool != job.pool:
            does = "the same command" if ecs.command else "the task definition's own command"
            place = spot.key(other.name).place
            wrong = f"is the same batch as {place}: {does}, {where}; nothing would keep the two apart"
            pool = _pool_for(job, other, jobs, stage)
            right = f'write pool = "{pool}" in both, or write them as one job with two schedules'
            at.key("ecs").fault(wrong, right)
        elif job.outsiders == "family":
            other = families.setdefault((ecs.cluster_name, ecs.family), job)
            if other.pool != job.pool:
                wrong = f'"family" is what {spot.key(other.name).place} says of {where}, too; neither counts the other'
                pool = _pool_for(job, other, jobs, stage)
                at.key("outsiders").fault(wrong, f'write pool = "{pool}" in both, or outsiders = "command"')


def _pool_for(job: Job, other: Job, jobs: Mapping[str, Job], stage: str) -> str:
    """A name for the pool of both: one that either has, or one after their family that no job and no pool has."""
    for each in (job, other):
        if each.pool not in jobs:
            return each.pool
    taken = {*jobs, *(each.pool for each in jobs.values())}
    ending = "-pool"
    room = LONGEST_NAME - len(batch_machine(stage, ending, MOST_SLOTS))
    words = re.findall("[a-z0-9]+", job.ecs.family.lower())  # a family may have capitals and underscores
    family = "-".join(words).lstrip("0123456789-")[:room].strip("-") or "shared"
    endings = chain(("", ending), (f"{ending}-{n}" for n in count(2)))
    return next(name for name in (family + each for each in endings) if name not in taken)
