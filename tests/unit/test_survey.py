"""Many jobs in one picture: few calls, and nothing told that is not so. What was not looked up is shown as that."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.decide.facts import Execution
from chalicelib.decide.pace import Bucket
from guardctl import listed
from guardctl.chart import Row
from guardctl.commands.why import entries_of
from guardctl.ledger import Entry, Record
from guardctl.records import Reader
from guardctl.stage import Stage
from guardctl.survey import EVERYTHING, Survey
from guardctl.throttle import Throttle, people
from tests.days import DAY, GUARD, NOW, Times, staged
from tests.properties import examples


def surveyed(stage: Stage, limit: int = 100, back: timedelta = DAY) -> dict[str, Row]:
    """The rows of the last day."""
    jobs = [*stage.file.jobs.values()]
    return {row.job: row for row in Survey(Reader(stage), jobs, NOW - back, NOW).rows(limit)}


def the_truth(stage: Stage, job: str, back: timedelta) -> list[Entry]:
    """Every scheduled time looked up by its name."""
    entries, left_out = Reader(stage).entries(stage.file.jobs[job], NOW - back, NOW, limit=10_000)
    assert left_out == 0
    return entries


def minutes(count: int = 1440) -> list[datetime]:
    """The last minutes, oldest first."""
    last = NOW.replace(second=0)
    return [last - timedelta(minutes=n) for n in reversed(range(count))]


def compare(stage: Stage, row: Row, back: timedelta = DAY) -> int:
    """How many entries were not looked up; all others must be as they truly were."""
    told, true = list(row.entries), the_truth(stage, row.job, back)
    assert [(e.scheduled, e.run) for e in told if e.run] == [(e.scheduled, e.run) for e in true if e.run]
    by_time = {e.scheduled: e for e in true}
    unknown = 0
    for entry in told:
        if entry.outcome == "not looked up":
            unknown += 1
        else:
            assert entry.outcome == by_time[entry.scheduled].outcome
    assert len(told) == len(true)
    assert unknown == row.left_out
    return unknown


@pytest.mark.thorough
def test_an_ordinary_day_of_forty_jobs_takes_two_hundred_calls_at_most_and_leaves_little_open() -> None:
    frequent = "".join(
        f'[jobs.m{n}]\nschedule = "* * * * *"\necs = {{ task_definition = "m{n}" }}\n' for n in range(10)
    )
    daily = "".join(f'[jobs.d{n}]\nschedule = "{n} 3 * * *"\necs = {{ task_definition = "d{n}" }}\n' for n in range(30))
    aws, stage = staged(frequent + daily)
    for n in range(10):
        times = Times(aws, stage, f"m{n}")
        held = {*range(100 * n, 100 * n + 40)} if n < 3 else set()  # one run of forty minutes
        for i, at in enumerate(minutes()):
            if i in held and i != min(held):
                times.skipped(at)
            elif i in held:
                times.ran(at, minutes=39.5)
            elif n == 5 and i % 200 == 0:
                times.ran(at, status="FAILED", error="BatchGuard.TaskFailed", cause="exit code 1")
            else:
                times.ran(at)
    for n in range(30):
        Times(aws, stage, f"d{n}").ran(NOW.replace(hour=3, minute=n, second=0) - DAY, minutes=50)
    aws.calls.clear()
    rows = surveyed(stage)
    assert aws.calls.total() <= 200, aws.calls
    assert sum(row.left_out for row in rows.values()) <= sum(len(row.entries) for row in rows.values()) / 20
    for job in ("m0", "m5", "d0"):
        compare(stage, rows[job])
    assert [e.reason for e in rows["m5"].entries if e.outcome == "failed"] == ["exit code 1"] * 8


@pytest.mark.thorough
def test_a_day_of_mixed_skips_and_failed_checks_is_not_told_wrongly() -> None:
    aws, stage = staged('[jobs.m]\nschedule = "* * * * *"\necs = { task_definition = "m" }\n[jobs.n]\nschedule = "* * * * *"\necs = { task_definition = "n" }\n')  # fmt: skip
    random = Random(7)
    times = Times(aws, stage, "m")
    for at in minutes():
        random.choice([times.skipped, times.not_checked])(at)
    rows = surveyed(stage)
    assert 1300 < compare(stage, rows["m"]) < 1440, "mixed at random, most can't be known for a hundred calls"
    assert compare(stage, surveyed(stage, limit=5000)["m"]) < 1200, "between two that say the same nobody looked"
    assert [e.outcome for e in rows["n"].entries] == ["missed"] * 1437 + ["due"] * 3, "a tick may be three minutes late"


@pytest.mark.thorough
@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.sampled_from(["ran", "failed", "skipped", "not checked", "slowly not checked", "missed"]), min_size=30, max_size=120), st.integers(1, 80))  # fmt: skip
def test_whatever_a_day_brings_what_is_told_is_true(kinds: list[str], limit: int) -> None:
    aws, stage = staged('[jobs.m]\nschedule = "* * * * *"\necs = { task_definition = "m" }\n')
    times = Times(aws, stage, "m")
    for kind, at in zip(kinds, minutes(len(kinds)), strict=True):
        match kind:
            case "ran":
                times.ran(at)
            case "failed":
                times.ran(at, status="FAILED", error="BatchGuard.TaskFailed", cause="exit code 1")
            case "skipped":
                times.skipped(at)
            case "not checked":
                times.not_checked(at)
            case "slowly not checked":
                times.not_checked(at, seconds=7200)
    back = timedelta(minutes=len(kinds))
    (row,) = surveyed(stage, limit, back).values()
    assert aws.calls["DescribeExecution"] <= limit
    compare(stage, row, back)


@pytest.mark.parametrize("by_name", [True, False], ids=["few times, by name", "many, by lists"])
def test_what_is_bad_comes_first_and_a_row_that_can_not_be_read_says_why(by_name: bool) -> None:
    minutely = "" if by_name else '[jobs.m]\nschedule = "* * * * *"\necs = { task_definition = "m" }\n'
    jobs = "".join(f'[jobs.{job}]\nschedule = "0 3 * * *"\necs = {{ task_definition = "{job}" }}\n' for job in "abc")
    aws, stage = staged(minutely + jobs)
    at = NOW.replace(hour=3, minute=0, second=0) - DAY
    for job, status in zip("abc", ["SUCCEEDED", "FAILED", "SUCCEEDED"], strict=True):
        Times(aws, stage, job).ran(at, status=status)
    aws.refused.add(stage.machine("c"))
    asked = [stage.file.jobs[job] for job in "abc"]
    rows = [*Survey(Reader(stage), asked[:2] if by_name else asked, NOW - DAY, NOW).rows()]
    assert [row.job for row in rows] == (["b", "a"] if by_name else ["b", "c", "a"])
    assert by_name or "states:ListExecutions" in rows[1].unread
    alone = [*Survey(Reader(stage), asked[2:], NOW - DAY, NOW).rows()]
    assert "states:ListExecutions" in alone[0].unread


@pytest.mark.thorough
def test_a_job_that_fails_all_day_does_not_leave_the_others_without_their_reason() -> None:
    jobs = "".join(f'[jobs.{job}]\nschedule = "{when}"\necs = {{ task_definition = "{job}" }}\n' for job, when in [("m", "* * * * *"), ("n", "0 3 * * *"), ("s", "0 4 * * *")])  # fmt: skip
    aws, stage = staged(jobs)
    often, random = Times(aws, stage, "m"), Random(7)
    for at in minutes():
        random.choice([often.skipped, often.not_checked, often.ran])(at)
    night = NOW.replace(hour=3, minute=0, second=0) - DAY
    Times(aws, stage, "n").ran(night, status="FAILED", error="BatchGuard.TaskFailed", cause="exit code 1")
    Times(aws, stage, "s").skipped(night + timedelta(hours=1))
    rows = surveyed(stage)
    assert [entry.reason for job in "ns" for entry in rows[job].entries] == [
        "exit code 1",
        "run-000001 has been running",
    ]


@pytest.mark.thorough
def test_the_last_bad_one_of_a_job_is_found_however_often_it_has_run_since() -> None:
    jobs = "".join(f'[jobs.{job}]\nschedule = "{when}"\necs = {{ task_definition = "{job}" }}\n' for job, when in [("m", "* * * * *"), ("n", "0 3 * * *")])  # fmt: skip
    aws, stage = staged(jobs)
    often, nightly = Times(aws, stage, "m"), Times(aws, stage, "n")
    for number, at in enumerate(minutes()):
        often.ran(at, status="FAILED" if number == 700 else "SUCCEEDED", cause="exit code 7")
    night = NOW.replace(hour=3, minute=0, second=0) - DAY
    for back in range(7):
        nightly.ran(night - back * DAY, status="FAILED" if back == 4 else "SUCCEEDED", cause="exit code 3")
    for job, at, reason in [("m", minutes()[700], "exit code 7"), ("n", night - 4 * DAY, "exit code 3")]:
        aws.calls.clear()
        (bad,) = entries_of(Reader(stage), stage.file.jobs[job], None, NOW)
        assert (bad.scheduled, bad.reason) == (at, reason)
        assert aws.calls.total() <= 30, aws.calls


def test_what_is_exported_has_what_became_of_every_time_however_alike() -> None:
    jobs = "".join(f'[jobs.{job}]\nschedule = "* * * * *"\necs = {{ task_definition = "{job}" }}\n' for job in "mn")
    aws, stage = staged(jobs)
    for job in "mn":
        often = Times(aws, stage, job)
        for at in minutes(60)[:-1]:
            often.skipped(at)
    rows = surveyed(stage, limit=EVERYTHING, back=timedelta(minutes=60))
    assert [[e.outcome for e in rows[job].entries] for job in "mn"] == [["skipped"] * 59 + ["due"]] * 2
    assert aws.calls["DescribeExecution"] <= 2 * 60


def test_what_an_older_schedule_started_is_told_after_the_schedule_has_changed() -> None:
    minutely = '[jobs.m]\nschedule = "* * * * *"\necs = { task_definition = "m" }\n'
    aws, stage = staged(minutely + '[jobs.n]\nschedule = "0 * * * *"\necs = { task_definition = "n" }\n')
    at = NOW.replace(hour=20, minute=0, second=0) - DAY
    Times(aws, stage, "n").skipped(at)
    Times(aws, stage, "n").skipped(at + timedelta(minutes=7))
    aws.recorded = NOW - timedelta(minutes=10)
    (row,) = Survey(Reader(stage), [stage.file.jobs["n"]], NOW - DAY, NOW).rows()
    skipped = [(e.scheduled, e.outcome) for e in row.entries if e.outcome != "due"]
    assert skipped == [(at, "skipped"), (at + timedelta(minutes=7), "skipped")]


def test_every_night_of_a_week_in_shadow_is_told_and_a_run_by_hand_beside_one_is_not_taken_for_its() -> None:
    nightly = '[jobs.{0}]\nschedule = "0 3 * * *"\nenabled = {1}\necs = {{ task_definition = "{0}" }}\n'
    aws, stage = staged(nightly.format("a", '"shadow"') + nightly.format("b", '"shadow"') + nightly.format("c", "true"))
    said = ["started", "started", "stepped back", "started", "waited", "started", "been refused"]
    nights = [NOW.replace(hour=3, minute=0, second=0) - timedelta(days=7 - n) for n in range(7)]
    for job in ("a", "b"):
        for at, would_have in zip(nights, said, strict=True):
            Times(aws, stage, job).in_shadow(at, would_have)
    by_hand = aws.add(GUARD, "a-by-hand-0123456789ab", "SUCCEEDED", nights[3], 2, output=json.dumps({"outcome": "started", "run": "run-000001", "state_machine_arn": stage.machine("a")}))  # fmt: skip
    aws.add(stage.machine("a"), "run-000001", "SUCCEEDED", nights[3] + timedelta(seconds=1), 600, input=json.dumps({"job": "a", "guard_execution": by_hand}))  # fmt: skip
    rows = surveyed(stage, back=timedelta(days=8))
    told = [[e.outcome for e in rows[job].entries if not e.by_hand and e.scheduled in nights] for job in ("a", "b")]
    assert told == [[f"would have {would_have}" for would_have in said]] * 2
    compare(stage, rows["a"], timedelta(days=8))


# --- which few are described ------------------------------------------------------------------------------


def execution(number: int, status: str, seconds: float = 1, began: float = 0) -> Execution:
    at = NOW + timedelta(seconds=began)
    return Execution(f"{GUARD}:{number}", str(number), status, at, at + timedelta(seconds=seconds))


def test_a_guard_execution_and_the_run_that_began_in_it_are_a_pair_unless_there_are_two() -> None:
    guards = [
        execution(1, "SUCCEEDED", began=0),
        execution(2, "SUCCEEDED", began=60),
        execution(3, "SUCCEEDED", began=60.2),
    ]
    runs = [execution(11, "SUCCEEDED", began=0.5), execution(12, "SUCCEEDED", began=60.5)]
    assert listed.pairs(guards, runs) == {guards[0].arn: runs[0].arn}


def test_ends_are_asked_first_and_the_middle_only_where_they_differ() -> None:
    row = listed.Row(0, tuple("abcdefgh"))
    skipped, failed = (Record(arn="x", status="FAILED", started_at=NOW, error=error) for error in ("A", "B"))
    assert sorted(listed.questions(row, {})) == ["a", "h"]
    assert listed.questions(row, {"a": skipped, "h": skipped}) == []
    assert listed.questions(row, {"a": skipped, "h": failed}) == ["d"]
    assert listed.questions(row, {"a": skipped, "d": failed, "h": failed}) == ["b"]


def test_a_start_that_waited_for_hours_is_not_in_a_row_with_one_that_stepped_back_at_once() -> None:
    row = [execution(n, "FAILED", seconds=7200 if n == 2 else 17, began=60 * n) for n in range(4)]
    assert [len(each.arns) for each in listed.rows(row, (), 0)] == [2, 1, 1]


# --- the pace ---------------------------------------------------------------------------------------------


def test_a_person_takes_half_of_a_quota_at_most_and_the_guard_has_the_rest() -> None:
    at = [0.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        at[0] += seconds

    throttle = Throttle({"ListExecutions": people("ap-northeast-1", {})["ListExecutions"]}, lambda: at[0], sleep)
    for _ in range(250):
        throttle.take("ListExecutions")
        throttle.take("ListTags")
    assert at[0] == pytest.approx(200, abs=1), "Tokyo: a burst of 100 and 2 a second; of both half"
    assert people("ap-northeast-1", {"ListExecutions": Bucket(400, 40)})["ListExecutions"] == Bucket(200, 20)


@pytest.mark.thorough
def test_two_hundred_and_fifty_jobs_in_tokyo_are_read_within_four_minutes_at_half_the_quota() -> None:
    every = "".join(f'[jobs.d{n}]\nschedule = "{n % 60} {1 + n // 60} * * *"\necs = {{ task_definition = "d{n}" }}\n' for n in range(250))  # fmt: skip
    aws, stage = staged(every)
    for n in range(250):
        Times(aws, stage, f"d{n}").ran(NOW.replace(hour=1 + n // 60, minute=n % 60, second=0) - DAY, minutes=50)
    waits: list[float] = []  # until when each call has to wait: the clock stands still
    throttle = Throttle(people("ap-northeast-1", {}), lambda: 0.0, waits.append)
    shown = aws.list_executions

    def paced(**asked: Any) -> Any:
        throttle.take("ListExecutions")
        return shown(**asked)

    vars(aws)["list_executions"] = paced
    rows = surveyed(stage)
    assert [entry.outcome for row in rows.values() for entry in row.entries] == ["ran"] * 250
    assert 150 < max(waits) <= 240
