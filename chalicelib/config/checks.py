"""What only shows when the jobs of a file are seen together. Each check notes its faults."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from chalicelib.config.members import passed_roles
from chalicelib.config.tables import Spot
from chalicelib.names import LONGEST_NAME, MOST_SLOTS, batch_machine

if TYPE_CHECKING:
    from chalicelib.config.jobs import Job


_KEYS = ("cluster", "task_definition", "task_role", "execution_role", "pass_roles", "permissions_boundary", "topic")
"""Those that take an ARN."""
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
        for key in _KEYS:
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
        if job.pool == job.name:  # with a slot's number; without, the job's name has been checked
            at = spot.key("pools").key(job.pool)
        longest = batch_machine(stage, job.pool, slots.get(job.pool, 1))
        at.too_long("the state machine's name", longest, LONGEST_NAME, "the pool's name")


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
