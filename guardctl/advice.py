"""What `guardctl validate` warns of: a jobs file that AWS takes, and that may not do what its author expects. Pure."""

import math
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from chalicelib.config.jobs import Fault, Job, JobsFile
from chalicelib.decide.schedule import between
from guardctl.wording import listed

A_CALL = 100
"""Tasks that a call of ListTasks or DescribeTasks answers with (AWS, ECS API reference)."""

_WEEK = timedelta(days=7)
_SOON = 90
"""Days before the end of a calendar's data from which it is warned of."""

Target = tuple[str, str]


def warnings(jobs: JobsFile, file: str, others: Iterable[JobsFile], now: datetime) -> list[Fault]:
    """Everything there is to warn of; `file` is what the warnings call it, `others` are the project's other stages."""
    return [
        *_beside_a_family(jobs, file),
        *_same_in_another_stage(jobs, file, others),
        *_crowded_families(jobs, file, now),
        *_ending_calendars(jobs, file, now),
    ]


def _beside_a_family(jobs: JobsFile, file: str) -> Iterable[Fault]:
    """Somebody may take "family" to keep two jobs apart. It counts tasks that nobody's guard started."""
    by_target: dict[Target, list[Job]] = {}
    for job in jobs.jobs.values():
        by_target.setdefault(_target(job), []).append(job)
    for job in jobs.jobs.values():
        beside = [other.name for other in by_target[_target(job)] if other.pool != job.pool]
        if job.outsiders == "family" and beside:
            wrong = f'"family" does not count the runs of {listed(beside)}, of the same family: they may run at once'
            right = "fine if they may; else write them as one job, with more than one schedule"
            yield Fault(file, f"jobs.{job.name}.outsiders", wrong, right)


def _same_in_another_stage(jobs: JobsFile, file: str, others: Iterable[JobsFile]) -> Iterable[Fault]:
    for other in others:
        theirs: dict[object, list[Job]] = {}
        for job in other.jobs.values():
            theirs.setdefault((_target(job), job.ecs.program), []).append(job)
        same = [
            job.name
            for job in jobs.jobs.values()
            if any(_one_place(job, their) for their in theirs.get((_target(job), job.ecs.program), ()))
        ]
        if same:
            which = f"{listed(same)} {'has' if len(same) == 1 else 'have'} the cluster, family and command"
            wrong = f"{which} of a job of stage {other.stage}, and nothing would keep the two apart"
            right = "fine if that stage is in another account or Region; clusters written as ARNs say so"
            yield Fault(file, "jobs", wrong, right)


def _target(job: Job) -> Target:
    """The cluster's name and the family."""
    return job.ecs.cluster_name, job.ecs.family


def _one_place(job: Job, other: Job) -> bool:
    """Whether two clusters of one name may be one: two ARNs say more than that."""
    clusters = job.ecs.cluster, other.ecs.cluster
    return clusters[0] == clusters[1] or not all(cluster.startswith("arn:") for cluster in clusters)


def _crowded_families(jobs: JobsFile, file: str, now: datetime) -> Iterable[Fault]:
    """ECS shows a stopped task for about an hour, and each decision lists those of its family."""
    by_target: dict[Target, list[Job]] = {}
    for job in jobs.jobs.values():
        if job.enabled and job.schedules:
            by_target.setdefault(_target(job), []).append(job)
    known: dict[object, Counter[datetime]] = {}
    for (cluster, family), members in by_target.items():
        if len(members) == 1:  # one job has sixty minutes an hour
            continue
        starts: Counter[datetime] = Counter()
        for job in members:
            calendar = (job.schedules, job.timezone)
            if calendar not in known:
                known[calendar] = _starts_by_hour(job, now)
            starts.update(known[calendar])
        tasks = max(starts.values(), default=0)
        if tasks > A_CALL:
            calls = math.ceil(tasks / A_CALL)
            wrong = (
                f"the {len(members)} jobs of family {family} on cluster {cluster} have up to {tasks:,} scheduled times "
                "an hour, and each decision lists and describes the tasks that stopped within the hour: "
                f"{calls} calls of ListTasks and {calls} of DescribeTasks, up to {2 * calls * tasks:,} an hour"
            )
            yield Fault(file, "jobs", wrong, "give those that start often a family of their own")


def _ending_calendars(jobs: JobsFile, file: str, now: datetime) -> Iterable[Fault]:
    """After a calendar's data a holiday is a day like any other, and what should rest then runs."""
    for calendar in dict.fromkeys(job.calendar for job in jobs.jobs.values() if job.calendar):
        left = (calendar.span[1] - now.date()).days if calendar.span else _SOON
        if calendar.span and left < _SOON:
            ends = f"in {left} days" if left >= 0 else f"{-left} days ago"
            wrong = f'the holidays of "{calendar.place}" end on {calendar.span[1]}, {ends}: then they are not known'
            right = f"run: guardctl calendar --through {now.year + 3}; commit it and deploy"
            yield Fault(file, f"calendars.{calendar.name}.holidays", wrong, right)


def _starts_by_hour(job: Job, now: datetime) -> Counter[datetime]:
    """The scheduled times of a week, counted by the hour they fall into."""
    start = now.replace(minute=0, second=0, microsecond=0)
    # The times after `start`, strictly: a time on the hour is that hour's.
    times = between(job.schedules, job.timezone, start - timedelta(minutes=1), start + _WEEK - timedelta(minutes=1))
    return Counter(time.replace(minute=0) for time in times)
