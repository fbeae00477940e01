"""The top of the hour: many jobs due in the same minute, under a Region's quotas. Played, in a time of its own.

The trigger, both definitions and the checker are the real ones (`lab.play`), against token buckets as large as AWS's.
Every job is free, so every start must run. Not played: anybody else who uses these quotas, botocore's own tries, and
the pause of a cold start. A crowd larger than a stage can be is only planned.
"""

from datetime import timedelta
from statistics import median

from chalicelib.config.jobs import parse
from chalicelib.values import dataclass
from guardctl import crowds
from lab.bench.costs import to_the_task
from lab.play import BEGIN, Play
from lab.tokens import Tokens, of_region

TOKYO, VIRGINIA = "ap-northeast-1", "us-east-1"

HEAD = """
[defaults.ecs]
cluster = "crowd"
container = "app"
launch_type = "FARGATE"
subnets = ["subnet-1"]
"""


@dataclass(frozen=True)
class Crowd:
    """What came of one crowd. Times are seconds after the scheduled time."""

    how: str
    region: str
    jobs: int
    lost: int
    middle: float
    last: float
    checks: float
    """Per job, as are the transitions, up to the call of RunTask."""
    transitions: float
    refused: int


def measure() -> list[Crowd]:
    """About half a minute."""
    return [
        played(100, TOKYO, paced=False),
        *(played(jobs, TOKYO) for jobs in (100, 250, 1_000)),
        played(250, VIRGINIA),
        *(planned(jobs, TOKYO) for jobs in (7_200, 10_000)),
    ]


def jobs_file(jobs: int) -> str:
    """So many jobs of six o'clock."""
    job = '[jobs.j{0}]\nschedule = "cron(0 18 * * ? *)"\necs = {{ task_definition = "x{0}" }}\n'
    return HEAD + "".join(job.format(number) for number in range(jobs))


def played(jobs: int, region: str, *, paced: bool = True, minutes: int = 20) -> Crowd:
    """Let that many jobs be due at once. Not paced: every guard is started at once, as it was before."""
    play = Play(jobs_file(jobs), region=region)
    play.quotas = {call: Tokens(bucket) for call, bucket in of_region(region).items()}
    if paced:
        for minute in range(minutes):
            play.at(60 * minute, play.tick)
    else:
        for job in play.jobs.jobs:
            play.at(0, lambda job=job: play.start(job, f"{job}-20261123T1800Z", deadline="2026-11-23T20:00:00Z"))  # type: ignore[misc]  # mypy does not know the default
    play.program.seconds = 3_600
    for _ in range(minutes):
        play.run_until(60)
        if len(play.tasks) == jobs:
            break  # what follows is not counted
    launched = [(task.created_at - BEGIN).total_seconds() for task in play.tasks]
    return Crowd(
        "paced" if paced else "all at once",
        region,
        jobs,
        jobs - len(launched),
        median(launched),
        max(launched),
        len(play.invocations) / jobs,
        (sum(len(each.states) for each in play.executions.values()) + play.retried) / jobs,
        sum(each.refused for each in play.quotas.values()),
    )


def planned(jobs: int, region: str) -> Crowd:
    """When so many jobs, due at once, are sent. What follows each is one decision and one start, as played."""
    file = parse(jobs_file(jobs), stage="dev", place="bench")
    sends = crowds.planned(file, region, BEGIN, BEGIN + timedelta(hours=3))
    sent = [(each.at - BEGIN).total_seconds() for each in sends if not each.held_back]
    return Crowd("paced, plan alone", region, jobs, jobs - len(sent), median(sent), max(sent), 1, to_the_task(), 0)
