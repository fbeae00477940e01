"""`guardctl diff`: two jobs files in words. Whatever field a job has is compared, named here or not."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.config.jobs import Ecs, Job, parse
from chalicelib.config.tables import seconds_of
from chalicelib.decide.schedule import parse_schedule
from guardctl.deployed import Diff, words
from guardctl.differences import Differences, Written, as_duration, compare
from guardctl.stage import Stage

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
JOBS = """
[defaults]
timeout = "2h"
[defaults.ecs]
cluster = "batch"
container = "app"
subnets = ["subnet-a"]
environment = { LEVEL = "info", PLACE = "here" }

[jobs.nightly-report]
schedule = "cron(0 3 * * ? *)"
timezone = "Asia/Tokyo"
ecs = { task_definition = "report", command = ["bin/report", "--all"] }

[jobs.by-hand]
ecs = { task_definition = "by-hand" }
"""
TOPIC = "arn:aws:sns:us-east-1:123456789012:alerts"


def written(text: str) -> Written:
    return Written(parse(text, stage="dev", place="dev.toml"), text)


def said(before: str, after: str) -> list[str]:
    """The differences in words."""
    found = compare(written(before), written(after), NOW)
    return [*words(Stage("dev"), Diff(True, (), found, (), ()))]


REPORT = "[jobs.nightly-report]\n"
CHANGES = [
    # what changes, its old and new text, what is said
    ("nothing", "", "", []),
    ("a comment and the same in other words", 'timeout = "2h"', 'timeout = "120m"  # as ever', []),
    ("a duration", 'timeout = "2h"', 'timeout = "3h30m"', ["nightly-report: timeout 2h → 3h30m", "by-hand: timeout 2h → 3h30m"]),
    ("a default that is overridden", REPORT, f'{REPORT}timeout = "90s"\n', ["nightly-report: timeout 2h → 1m30s"]),
    ("a default of the guard's", REPORT, f'{REPORT}start_deadline = "4h"\n', ["nightly-report: start_deadline 2h → 4h"]),
    ("a word", REPORT, f'{REPORT}overlap = "queue"\n', ["nightly-report: overlap skip → queue"]),
    ("a number", REPORT, f"{REPORT}retries = 2\n", ["nightly-report: retries 0 → 2"]),
    ("a list", '"--all"]', '"--all", "--now"]', ['nightly-report: ecs.command ["bin/report", "--all"] → ["bin/report", "--all", "--now"]']),
    ("a list that is gone", ', command = ["bin/report", "--all"]', "", ['nightly-report: ecs.command ["bin/report", "--all"] → none']),
    ("a variable", 'LEVEL = "info"', 'LEVEL = "very loud"', ['nightly-report: ecs.environment.LEVEL info → "very loud"', 'by-hand: ecs.environment.LEVEL info → "very loud"']),
    ("a variable that is gone", ', PLACE = "here"', "", ["nightly-report: ecs.environment.PLACE here → none", "by-hand: ecs.environment.PLACE here → none"]),
    ("another choice of two keys", 'container = "app"', 'container = "app"\ncapacity_provider = "FARGATE_SPOT"', ["nightly-report: ecs.launch_type FARGATE → none", "nightly-report: ecs.capacity_provider none → FARGATE_SPOT", "by-hand: ecs.launch_type FARGATE → none", "by-hand: ecs.capacity_provider none → FARGATE_SPOT"]),
    ("a pool and its slots", REPORT, f'[pools.seats]\nslots = 2\n{REPORT}pool = "seats"\n', ["nightly-report: pool nightly-report → seats", "stage dev: pools.seats.slots 1 → 2"]),
    ("an end that changes nothing soon", REPORT, f'{REPORT}end = "2030-01-01T00:00"\n', ["nightly-report: end none → 2029-12-31T15:00:00Z"]),
    ("RunTask's own members", ', command = ["bin/report", "--all"]', ', command = ["bin/report", "--all"], run_task = { enableExecuteCommand = true }', ["nightly-report: ecs.run_task.enableExecuteCommand none → true"]),
    ("a shadow", REPORT, f'{REPORT}enabled = "shadow"\n', ["nightly-report: enabled true → shadow"]),
    ("a job more", "[jobs.by-hand]", '[jobs.more]\necs = { task_definition = "more" }\n[jobs.by-hand]', ["more: new"]),
    ("a job less", '[jobs.by-hand]\necs = { task_definition = "by-hand" }\n', "", ["by-hand: removed"]),
    ("alerts", REPORT, f'[alerts]\ntopic = "{TOPIC}"\n{REPORT}', [f"stage dev: alerts.topic none → {TOPIC}", "stage dev: alerts.skips_in_a_row none → 3", "stage dev: alerts.format none → text"]),
    ("the zone of what people are shown", "[defaults]", '[defaults]\ntimezone = "Europe/Paris"', ["by-hand: timezone UTC → Europe/Paris", "stage dev: defaults.timezone UTC → Europe/Paris"]),
    ("the stage", REPORT, f"[stage]\nhistory_days = 30\nquotas = {{ ListExecutions = [500, 10] }}\n{REPORT}", ["stage dev: stage.history_days 90 → 30", "stage dev: stage.quotas.ListExecutions none → [500, 10]"]),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "lines"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_a_change_is_said_as_the_jobs_file_has_it(old: str, new: str, lines: list[str]) -> None:
    assert said(JOBS, JOBS.replace(old, new, 1)) == lines


BEFORE = "nightly-report: next times before: 2026-11-24 03:00 JST, 2026-11-25 03:00 JST, 2026-11-26 03:00 JST, 2026-11-27 03:00 JST, 2026-11-28 03:00 JST"


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("cron(0 3 ", "cron(30 4 ", ["nightly-report: schedule cron(0 3 * * ? *) → cron(30 4 * * ? *)", BEFORE, BEFORE.replace("before", "after").replace("03:00", "04:30")]),
        ("Asia/Tokyo", "UTC", ["nightly-report: timezone Asia/Tokyo → UTC", BEFORE, BEFORE.replace("before", "after").replace("JST", "UTC")]),
        (REPORT, f"{REPORT}enabled = false\n", ["nightly-report: enabled true → false", BEFORE, "nightly-report: next times after: none"]),
        ('"cron(0 3 * * ? *)"', '["cron(0 3 * * ? *)", "0 3 * * *"]', ['nightly-report: schedule cron(0 3 * * ? *) → ["cron(0 3 * * ? *)", "0 3 * * *"]']),
    ],
    ids=["another time", "another zone", "at rest", "the same times written twice"],
)  # fmt: skip
def test_of_another_schedule_the_next_times_are_shown_before_and_after(old: str, new: str, lines: list[str]) -> None:
    assert said(JOBS, JOBS.replace(old, new, 1)) == lines


def test_a_new_job_shows_its_next_times() -> None:
    new = '[jobs.weekly]\nschedule = "0 9 * * MON"\necs = { task_definition = "weekly" }\n'
    first, second = said(JOBS, JOBS + new)
    assert first == "weekly: new"
    assert second.startswith("weekly: next times: 2026-11-30 09:00 UTC, 2026-12-07 09:00 UTC, ")


def changed(job: Job) -> tuple[str, ...]:
    """The keys that differ when the first job is this one."""
    before = written(JOBS)
    after = Written(replace(before.file, jobs={**before.file.jobs, job.name: job}), JOBS)
    (one,) = compare(before, after, NOW).jobs
    return tuple(setting.key for setting in one.settings)


FIRST = written(JOBS).file.jobs["nightly-report"]
VALID: dict[str, Any] = {"schedules": (parse_schedule("0 4 * * *"),), "timezone": "Europe/Paris"}
"""What the next times are reckoned from; any other field takes any value here."""


@pytest.mark.parametrize("field", [each.name for each in fields(Job) if each.name not in ("name", "ecs")])
def test_no_field_of_a_job_is_passed_over(field: str) -> None:
    assert changed(replace(FIRST, **{field: VALID.get(field, "another")})) == (field.replace("schedules", "schedule"),)


@pytest.mark.parametrize("field", [each.name for each in fields(Ecs)])
def test_no_field_of_a_task_is_passed_over(field: str) -> None:
    other: Any = {field: "another"}
    assert changed(replace(FIRST, ecs=replace(FIRST.ecs, **other))) == (f"ecs.{field}",)


@given(st.integers(1, 10_000_000))
def test_a_duration_is_written_so_that_it_is_read_back(seconds: int) -> None:
    assert seconds_of(as_duration(seconds)) == seconds


def test_what_is_not_deployed_is_new_as_a_whole() -> None:
    assert [*words(Stage("dev"), Diff(False, ("a", "b"), None, (), ()))] == [
        "stage dev is not deployed yet: its 2 jobs are new"
    ]


def test_nothing_is_no_difference_and_text_alone_is_one() -> None:
    nothing = Differences((), ())
    assert not Diff(True, ("a",), nothing, (), ())
    only_text = Diff(True, ("a",), nothing, (), ("+# a comment",))
    assert only_text
    assert [*words(Stage("dev"), only_text)] == ["the jobs file's text differs, and no setting does"]
