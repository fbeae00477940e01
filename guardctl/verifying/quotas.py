"""The account's quotas against what the jobs take. What can't be read is compared with AWS's default, as a SKIP.

Read from Lambda (GetAccountSettings has what is left) and from Service Quotas. A stage has at most some 300 jobs, so
the number of state machines, roles, parameters and alarms is far below what any account has: they are not asked for.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib.config.jobs import Job, JobsFile
from chalicelib.decide import pace, schedule
from chalicelib.values import dataclass
from guardctl.verifying.account import Account
from guardctl.verifying.definitions import Definitions
from guardctl.verifying.findings import Finding, Unread, ng, ok, skip
from guardctl.verifying.task import Task
from guardctl.wording import listed

CONCURRENCY = 1_000
"""Lambda quotas: concurrent executions of an account; a new one may have 10 (Lambda guide, "Lambda quotas")."""

VCPU: Mapping[str, tuple[str, int]] = {
    "FARGATE": ("Fargate On-Demand vCPU resource count", 6),
    "FARGATE_SPOT": ("Fargate Spot vCPU resource count", 6),
}
"""Capacity → the quota's name in Service Quotas and its default (AWS General Reference, "AWS Fargate quotas")."""

Calendar = tuple[tuple[schedule.Schedule, ...], str]
"""Schedules and their zone."""

_WEEK = timedelta(days=7)
_TICKS = 2
"""Invocations of the trigger at once: a tick may still be sending when the next one comes."""


@dataclass(frozen=True, slots=True)
class Quotas:
    unreserved: int | Unread
    """Concurrent executions that no function has reserved."""
    fargate: Mapping[str, float] | Unread
    """Name of a quota → its value."""
    states: Mapping[str, float] | Unread
    """The same of Step Functions."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """The jobs that are due in one minute, and what they take together."""

    at: datetime | None
    jobs: tuple[str, ...]
    total: float


def read(account: Account, tasks: Iterable[Task]) -> Quotas:
    """Ask Lambda, and Service Quotas if a task runs on Fargate."""

    def listed(service: str) -> Mapping[str, float] | Unread:
        found = account.pages("service-quotas", "list_service_quotas", "Quotas", ServiceCode=service)
        return found if isinstance(found, Unread) else {quota["QuotaName"]: quota["Value"] for quota in found}

    left: Any = account.call("lambda", "get_account_settings", "AccountLimit")
    unreserved: int | Unread = left if isinstance(left, Unread) else left["UnreservedConcurrentExecutions"]
    fargate = listed("fargate") if any(task.fargate for task in tasks) else {}
    return Quotas(unreserved, fargate, listed("states"))


def judge(
    file: JobsFile, region: str, tasks: Mapping[str, Task], definitions: Definitions, quotas: Quotas, now: datetime
) -> Iterator[Finding]:
    """Whether the account lets in what the stage will ask for at its fullest minute of the coming week."""
    times = coming(file.jobs.values(), now)
    crowd = fullest(file, times, dict.fromkeys(file.jobs, 1.0))
    yield _functions(file, region, len(crowd.jobs), quotas.unreserved)
    yield _pace(pace.quotas(region, file.quotas)["ListExecutions"], quotas.states)
    for capacity, (name, default) in VCPU.items():
        on_it = {job: task for job, task in tasks.items() if capacity in (task.launch_type, *task.providers)}
        known = {job: vcpu(task, definitions) for job, task in on_it.items()}
        sizes = {job: size for job, size in known.items() if size}
        if sizes:
            at_once = fullest(file, times, sizes)
            yield _vcpu(name, default, sizes, at_once, quotas.fargate, ZoneInfo(file.timezone))


def coming(jobs: Iterable[Job], now: datetime) -> dict[Calendar, frozenset[datetime]]:
    """The scheduled times of the coming week, of each calendar once: many jobs share one."""
    calendars = {(job.schedules, job.timezone) for job in jobs if job.enabled and job.schedules}
    return {each: frozenset(schedule.between(*each, now, now + _WEEK)) for each in calendars}


def fullest(file: JobsFile, times: Mapping[Calendar, frozenset[datetime]], weight: Mapping[str, float]) -> Crowd:
    """The minute in which the jobs that are due weigh most, the first of several; only those that have a weight."""
    weighed = [file.jobs[name] for name in weight if file.jobs[name].enabled]
    scheduled = [job for job in weighed if (job.schedules, job.timezone) in times]
    weights: dict[Calendar, float] = defaultdict(float)
    for job in scheduled:
        weights[job.schedules, job.timezone] += weight[job.name]
    due: dict[datetime, float] = defaultdict(float)
    for calendar, together in weights.items():
        for time in times[calendar]:
            due[time] += together
    if not due:
        return Crowd(None, (), 0)
    at = max(due, key=lambda time: (due[time], -time.timestamp()))
    return Crowd(at, tuple(job.name for job in scheduled if at in times[job.schedules, job.timezone]), due[at])


def vcpu(task: Task, definitions: Definitions) -> float | None:
    """The vCPUs that a task takes; None if nobody says."""
    definition = definitions[task.definition]
    written = task.cpu or (definition.get("cpu") if definition and not isinstance(definition, Unread) else None)
    return int(written) / 1024 if written and str(written).isdigit() else None


def _functions(file: JobsFile, region: str, at_once: int, left: int | Unread) -> Finding:
    """The trigger sends so many starts a second, each asks the checker, which answers within a second."""
    curve = pace.curve(pace.quotas(region, file.quotas))
    needed = min(max(at_once, 1), math.ceil(1_000_000 / max(curve.gap, 1))) + _TICKS
    what = "Lambda concurrency"
    if isinstance(left, Unread):
        return skip(what, f"up to {needed} are needed at once, AWS's default is {CONCURRENCY:,}; {left.reason}")
    if left < needed:
        return ng(what, f"{left:,} are not reserved, and up to {needed} are needed at once: ask AWS for more")
    return ok(what, f"{left:,} are not reserved; up to {needed} are needed at once")


def _pace(planned: pace.Bucket, states: Mapping[str, float] | Unread) -> Finding:
    """The starts of a crowd are spaced by this bucket (`decide/pace.py`), so it must not be smaller than planned.

    Service Quotas' names are looked for by their words: its list says how they are written.
    """
    what = "ListExecutions, by which starts are spaced"
    plan = f"planned with {planned.burst:g} and {planned.refill:g} a second"
    if isinstance(states, Unread):
        return skip(what, f"{plan}; {states.reason}")
    of_call = {name.lower(): value for name, value in states.items() if "listexecutions" in name.lower()}
    burst = next((value for name, value in of_call.items() if "bucket" in name), None)
    refill = next((value for name, value in of_call.items() if "refill" in name), None)
    if burst is None or refill is None:
        return skip(what, f"{plan}; Service Quotas does not name it")
    if burst < planned.burst or refill < planned.refill:
        right = f"write [stage] quotas = {{ ListExecutions = [{burst:g}, {refill:g}] }}"
        return ng(what, f"{plan}, and the account has {burst:g} and {refill:g}: {right}")
    return ok(what, f"{plan}; the account has {burst:g} and {refill:g}")


def _vcpu(
    name: str,
    default: int,
    sizes: Mapping[str, float],
    crowd: Crowd,
    found: Mapping[str, float] | Unread,
    zone: ZoneInfo,
) -> Finding:
    largest = max(sizes, key=lambda job: sizes[job])
    needed = max(crowd.total, sizes[largest])
    takes = f"{needed:g} vCPU are needed at once"
    if crowd.at is not None and crowd.total >= sizes[largest]:
        takes += f" ({crowd.at.astimezone(zone):%a %H:%M %Z}: {listed(crowd.jobs)})"
    what = name.removesuffix(" resource count")
    if isinstance(found, Unread) or name not in found:
        why = found.reason if isinstance(found, Unread) else "Service Quotas does not name it"
        return skip(what, f"{takes}, a new account has {default}; {why}")
    has = found[name]
    if sizes[largest] > has:
        return ng(what, f"{largest} takes {sizes[largest]:g} vCPU and the account has {has:g}: it can never be started")
    if needed > has:
        return ng(what, f"{takes}, and the account has {has:g}")
    return ok(what, f"{takes}; the account has {has:g}")
