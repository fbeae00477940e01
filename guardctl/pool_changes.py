"""What a deployment changes of pools, and whether that is safe now. Nothing here writes.

Who moves a job to another pool, or takes slots from one, takes it from under the eyes of the starts that are under way:
a run that still waits for room in ECS has no task that anybody could see. So the job is paused first, seen free, and
none of its starts is open; the deployment says so before anything happens.
"""

import re
from collections.abc import Mapping
from typing import Any

from chalicelib.names import MOST_SLOTS, batch_machine, parse_guard_name, pause_number, run_number
from chalicelib.read.aws import NotDeployed
from chalicelib.read.executions import StepFunctions
from chalicelib.values import dataclass
from guardctl import closing
from guardctl.stage import Stage

_ROW = re.compile(r"'([a-z0-9-]+)': \{'pool': '([a-z0-9-]+)', 'slots': ([1-9])\}")


@dataclass(frozen=True)
class Change:
    """A job that is to have another pool, or a pool that is to have fewer slots."""

    jobs: tuple[str, ...]
    pool: str
    """The one that is deployed."""
    slots: int
    shared: bool
    """Whether it is deployed as shared: a pause of a shared pool's job waits in another machine."""
    what: str


def changes(stage: Stage) -> list[Change]:
    """What is deployed otherwise than the jobs file says, of what is not safe at any time."""
    rows = deployed(stage)
    file = stage.file
    found = []
    for job in file.jobs.values():
        pool, slots = rows.get(job.name, (job.name, 1))
        if pool != job.pool and _exists(stage, pool):
            what = f"{job.name} moves from pool {pool} to pool {job.pool}"
            found.append(Change((job.name,), pool, slots, shared=job.name in rows, what=what))
    for pool in file.pools:
        slots = max((n for p, n in rows.values() if p == pool), default=1)
        if file.slots_of(pool) < slots:
            jobs = tuple(job.name for job in file.members(pool))
            what = f"pool {pool} has {file.slots_of(pool)} instead of {slots} slots"
            found.append(Change(jobs, pool, slots, shared=True, what=what))
    return found


def in_the_way(stage: Stage, change: Change) -> list[str]:
    """Why the change is not safe now, each with the command that helps; nothing if it is."""
    steps = StepFunctions(stage.stepfunctions)
    guards, waiting = closing.running(stage, stage.guard), closing.running(stage, stage.waiting)
    machines = [stage.arn_of(batch_machine(stage.name, change.pool, slot)) for slot in range(1, change.slots + 1)]
    runs = [execution for machine in machines for execution in closing.running(stage, machine)]
    found = []
    for job in change.jobs:
        mine = [(e, named) for e in (*guards, *waiting) if (named := parse_guard_name(e.name)) and named.job == job]
        if change.shared:
            paused = any(named.kind == "pause" for _, named in mine)
        else:
            paused = any(pause_number(e.name) is not None for e in runs)
        if not paused:
            how = f"{stage.command('pause', job)} --reason …"
            found.append(f"{job} is not paused: with the jobs file that is deployed, {how}")
        found += [f"{e.name} of {job} is still deciding or waiting" for e, named in mine if named.kind != "pause"]
    for run in runs:
        if run_number(run.name) is not None:
            details = steps.details(run.arn)
            whose = details.job if details and details.job else "somebody"
            if whose in change.jobs or whose == "somebody":
                found.append(f"{run.name} of {whose} is running: wait for it, or {stage.command('stop', whose)}")
    return found


def jobs_of(stage: Stage, machine: str, rows: Mapping[str, tuple[str, int]]) -> list[str]:
    """The jobs whose runs a deployed batch machine (an ARN) may have; a pool without a row is a job's own."""
    pool = machine.removeprefix(stage.batches).partition("--")[0]
    return sorted(job for job, (named, _) in rows.items() if named == pool) or [pool]


def deployed(stage: Stage) -> dict[str, tuple[str, int]]:
    """Job → the pool and the slots of the deployed guard's row; a job without one has a pool of its own."""
    client: Any = stage.stepfunctions
    try:
        text = client.describe_state_machine(stateMachineArn=stage.guard)["definition"]
    except client.exceptions.StateMachineDoesNotExist:
        return {}
    return rows_in(text)


def rows_in(definition: str) -> dict[str, tuple[str, int]]:
    """The rows in the text of a guard's definition."""
    return {job: (pool, int(slots)) for job, pool, slots in _ROW.findall(definition) if int(slots) <= MOST_SLOTS}


def _exists(stage: Stage, pool: str) -> bool:
    try:
        StepFunctions(stage.stepfunctions).created_at(stage.arn_of(batch_machine(stage.name, pool)))
    except NotDeployed:
        return False
    return True
