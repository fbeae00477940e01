"""What is explained where it is written: what is right, and may be read otherwise."""

from datetime import UTC, datetime

import pytest

from chalicelib.config.jobs import JobsFile, parse
from guardctl.notes import notes

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
HEAD = '[defaults.ecs]\ncluster = "c"\ncontainer = "app"\nlaunch_type = "EC2"\n'


def stage(**jobs: str) -> JobsFile:
    """A jobs file with these jobs, each told in TOML."""
    tables = (f'[jobs.{name}]\n{about}\necs.task_definition = "{name}"\n' for name, about in jobs.items())
    return parse(HEAD + "".join(tables), stage="dev", place="x")


def told(file: JobsFile) -> list[str]:
    return [str(note) for note in notes(file, "x", NOW)]


RATE = (
    'x:jobs.a.schedule: "rate(1 day)" counts from 1970-01-01T00:00Z, not from its deployment: next at '
    "2026-11-26T00:00Z{}; fine if any time of day will do; else write start, from which it counts then, or cron(...)"
)
SHELL = (
    'x:jobs.a.ecs.command[1]: "{}" is given to the program as it stands: ECS runs no shell; fine if the image\'s entry '
    'point is a shell; else write ["sh", "-c", "…"], or the value itself'
)


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        pytest.param('schedule = "rate(1 day)"', [RATE.format("")], id="a rate of a day"),
        pytest.param('schedule = "rate(1 day)"\ntimezone = "Asia/Tokyo"', [RATE.format(", which is 09:00 in Asia/Tokyo")], id="and what its zone's clock shows"),
        pytest.param('schedule = "rate(1 day)"\nstart = 2026-11-01T03:00:00', [], id="a rate that counts from its start"),
        pytest.param('schedule = "rate(15 minutes)"', [], id="a rate of minutes"),
        pytest.param('schedule = "rate(1 day)"\nenabled = false', [], id="a rate that rests"),
        pytest.param('schedule = "at(2026-11-25T11:00:00)"', ["x:jobs.a.schedule: is over: no time of it is to come; fine if it is kept for starts by hand; else take the job out"], id="a single time that is over"),
        pytest.param('schedule = "at(2026-11-25T12:01:00)"', [], id="a single time to come"),
        pytest.param('schedule = "0 3 * * *"\nend = 2026-11-25T03:00:00', ["x:jobs.a.schedule: is over: no time of it is to come; fine if it is kept for starts by hand; else take the job out"], id="an end that is over"),
        pytest.param('schedule = "0 3 * * *"\ntimezone = "Etc/GMT+9"', ['x:jobs.a.timezone: "Etc/GMT+9" means UTC-9: its sign is the other way round; fine if that is meant'], id="a zone whose sign is turned round"),
        pytest.param('schedule = "0 3 * * *"\ntimezone = "EST"', ['x:jobs.a.timezone: "EST" is UTC-5 all year, without daylight saving; fine if that is meant; else write a place, such as America/New_York'], id="a zone that is called like half a year"),
        pytest.param('schedule = "0 3 * * *"\ntimezone = "America/New_York"', [], id="a zone with a place"),
        pytest.param('ecs.command = ["bin/x", "$HOME/in"]', [SHELL.format("$HOME")], id="a variable, and no shell"),
        pytest.param('ecs.command = ["bin/x", "$(date)"]', [SHELL.format("$(...)")], id="a command in a command"),
        pytest.param('ecs.command = ["/bin/sh", "-c", "echo $HOME"]', [], id="a script for a shell"),
        pytest.param('ecs.command = ["env", "bash", "-euo", "pipefail", "-xc", "echo $HOME"]', [], id="a shell with more options"),
        pytest.param('ecs.command = ["bash", "run.sh", "$HOME"]', ['x:jobs.a.ecs.command[2]: "$HOME" is given'], id="an argument of a file for a shell"),
        pytest.param('ecs.command = ["bin/x", "5$", "a$5"]', [], id="money"),
        pytest.param('ecs.command = ["bin/x", "<aws.scheduler.scheduled-time>"]', ['x:jobs.a.ecs.command[1]: "<aws.scheduler.scheduled-time>" is filled in by EventBridge Scheduler alone; write {scheduled_at}'], id="Scheduler's own words"),
    ],
)  # fmt: skip
def test_what_is_explained(about: str, expected: list[str]) -> None:
    found = told(stage(a=about))
    assert len(found) == len(expected)
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True))


def test_a_rate_of_many_jobs_is_explained_once() -> None:
    jobs = stage(**dict.fromkeys("abcdef", 'schedule = "rate(1 day)"'))
    assert told(jobs) == [RATE.format(" (also of b, c, d and 2 more)")]


def test_a_promise_that_nobody_hears_of() -> None:
    due = 'schedule = "0 3 * * *"\nwarn_after = "2h"'
    assert told(stage(a=due, b=due, c='schedule = "0 3 * * *"')) == [
        "x:jobs.a.warn_after: without [alerts] nobody is told (also of b); fine if the metric and the log line will do"
    ]
    alerts = '[alerts]\ntopic = "arn:aws:sns:us-east-1:123456789012:a"\n'
    job = '[jobs.a]\nschedule = "{}"\nexpect_success_by = "06:00"\necs.task_definition = "a"\n'
    hourly, half_hourly = (
        parse(alerts + HEAD + job.format(f"{minutes} * * * *"), stage="dev", place="x") for minutes in ("0", "0,30")
    )
    assert told(hourly) == []
    assert told(half_hourly) == [
        (
            "x:jobs.a.expect_success_by: more than 24 scheduled times a day are looked up at 06:00, each by itself; "
            "fine if that is meant; else write warn_after"
        )
    ]
