"""`guardctl backfill`: every time once, oldest first, one at a time, wherever it was interrupted. Played; nobody sleeps."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.decide.facts import stamp
from chalicelib.names import parse_guard_name, scheduled_name
from guardctl import pauses
from guardctl.backfill import Backfill, Item, Made, Standing, standing
from guardctl.commands.backfill import ask, go, head, span_of, times_of
from guardctl.errors import INTERRUPTED, NOT_RUN, Stop
from guardctl.ledger import Entry, Outcome
from guardctl.stage import Stage
from lab.play import BEGIN, Play, Played, Program
from tests.properties import examples
from tests.unit.test_guardctl_pools import staged

MINUTE = 60.0
HOUR = timedelta(hours=1)
JOBS = """
[defaults]
timeout = "3h"
[defaults.ecs]
cluster = "batch"
container = "app"
launch_type = "EC2"
[jobs.report]
schedule = "0 * * * *"
ecs = { task_definition = "report" }
"""
TIMES = [BEGIN - n * HOUR for n in (3, 2, 1)]
NAMES = [f"report-20261123T{hour}00Z" for hour in (15, 16, 17)]


def backfill(play: Play, stage: Stage, **asked: Any) -> Backfill:
    """One of the job report, whose sleep is the play's."""
    about: dict[str, Any] = {"now": lambda: play.now, "sleep": play.run_until, "begun": play.now}
    return Backfill(stage, stage.job("report"), **{**about, **asked})


def done(plan: Backfill) -> list[Made]:
    """What became of the three times."""
    plan.run(plan.look(TIMES))
    return plan.made


def by_hand(play: Play) -> list[str]:
    """The names of the starts by hand, in their order."""
    named = [e.name for e in play.executions.values() if e.machine == play.guard]
    return [name for name in named if (said := parse_guard_name(name)) and said.kind == "repetition"]


def of_the_schedule(play: Play, at: datetime) -> Played:
    """The start of a scheduled time, as the trigger made it."""
    return play.start("report", scheduled_name("report", at), scheduled_at=stamp(at), deadline=stamp(play.now + HOUR))


class Interrupts:
    """Sleeps in the play, until Ctrl-C comes after so many sleeps."""

    def __init__(self, play: Play, after: int) -> None:
        self.play, self.left = play, after

    def __call__(self, seconds: float) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        self.play.run_until(seconds)


# --- what is started --------------------------------------------------------------------------------------


def test_every_time_is_started_oldest_first_one_at_a_time() -> None:
    play, _, stage = staged(JOBS)
    made = done(backfill(play, stage))
    assert [(each.at, each.outcome) for each in made] == [(at, "succeeded") for at in TIMES]
    assert by_hand(play) == [f"{name}-by-hand-1" for name in NAMES]
    assert [run.name for run in play.runs("report")] == ["run-000001", "run-000002", "run-000003"]
    assert [task.environment["BATCH_SCHEDULED_AT"] for task in play.tasks] == [stamp(at) for at in TIMES]
    assert play.most_at_once == 1


def test_what_succeeded_is_left_out_by_schedule_or_by_hand() -> None:
    play, _, stage = staged(JOBS)
    of_the_schedule(play, TIMES[1])
    play.run_until(5 * MINUTE)
    play.start("report", f"{NAMES[2]}-by-hand-1", scheduled_at=stamp(TIMES[2]))
    play.run_until(5 * MINUTE)
    plan = backfill(play, stage)
    assert [item.standing for item in plan.look(TIMES)] == ["to do", "done", "done"]
    assert [each.at for each in done(plan)] == [TIMES[0]]
    assert len(play.tasks) == 3


def test_all_does_them_again_and_goes_on_by_when_it_began() -> None:
    play, _, stage = staged(JOBS)
    done(backfill(play, stage))
    began = play.now = play.now + timedelta(minutes=5)
    first = backfill(play, stage, again=True, sleep=Interrupts(play, 100))
    with pytest.raises(KeyboardInterrupt):
        done(first)
    play.run_until(30 * MINUTE)
    done(backfill(play, stage, again=True, begun=began))
    assert len(play.tasks) == 6
    assert play.most_at_once == 1


def test_a_failure_ends_it_and_it_is_tried_again_when_it_goes_on() -> None:
    play, _, stage = staged(JOBS)
    play.run_task_answers = [Program(), Program(exit_code=3)]
    made = done(backfill(play, stage))
    assert [each.outcome for each in made] == ["succeeded", "failed"]
    assert "BatchGuard.TaskFailed" in made[1].reason
    made = done(backfill(play, stage))
    assert [(each.at, each.outcome) for each in made] == [(TIMES[1], "succeeded"), (TIMES[2], "succeeded")]
    assert by_hand(play)[1:3] == [f"{NAMES[1]}-by-hand-1", f"{NAMES[1]}-by-hand-2"]


def test_max_failures_lets_some_pass() -> None:
    play, _, stage = staged(JOBS)
    play.run_task_answers = [Program(exit_code=3), Program(), Program(exit_code=3)]
    plan = backfill(play, stage, max_failures=2)
    assert [each.outcome for each in done(plan)] == ["failed", "succeeded", "failed"]
    assert plan.left == []


# --- what is in the way -----------------------------------------------------------------------------------

OVERLAPS = ("skip", "queue", "replace")


@pytest.mark.thorough
@pytest.mark.parametrize("overlap", OVERLAPS)
def test_a_run_in_the_way_is_waited_for_and_no_name_is_spent(overlap: str) -> None:
    play, _, stage = staged(_with(overlap))
    play.run_task_answers = [Program(seconds=40 * MINUTE)]
    play.start("report")
    play.run_until(MINUTE)
    lines: list[str] = []
    assert [each.outcome for each in done(backfill(play, stage, tell=lines.append))] == ["succeeded"] * 3
    assert by_hand(play) == [f"{name}-by-hand-1" for name in NAMES]
    assert [run.status for run in play.runs("report")] == ["SUCCEEDED"] * 4
    assert [line for line in lines if "waits: run-000001" in line] == lines[:1]


def _with(overlap: str) -> str:
    return JOBS.replace("[jobs.report]", f'[jobs.report]\noverlap = "{overlap}"')


@pytest.mark.thorough
@pytest.mark.parametrize("overlap", OVERLAPS[:2])
def test_a_start_that_loses_the_race_is_tried_again(overlap: str) -> None:
    play, aws, stage = staged(_with(overlap))
    play.program = Program(seconds=5 * MINUTE)
    honest = aws.start_execution

    def late(**asked: Any) -> Any:
        vars(aws)["start_execution"] = honest
        play.start("report")
        play.run_until(2)
        return honest(**asked)

    vars(aws)["start_execution"] = late
    assert [each.outcome for each in done(backfill(play, stage))] == ["succeeded"] * 3
    assert len(play.tasks) == 4
    assert play.most_at_once == 1


@pytest.mark.parametrize("on_skip", ["fail", "succeed"])
def test_a_skip_is_not_a_failure_however_it_ends(on_skip: str) -> None:
    play, aws, stage = staged(JOBS.replace("[jobs.report]", f'[jobs.report]\non_skip = "{on_skip}"'))
    play.program = Program(seconds=5 * MINUTE)
    honest = aws.start_execution

    def late(**asked: Any) -> Any:
        vars(aws)["start_execution"] = honest
        play.start("report")
        play.run_until(2)
        return honest(**asked)

    vars(aws)["start_execution"] = late
    assert [each.outcome for each in done(backfill(play, stage))] == ["succeeded"] * 3
    assert by_hand(play)[:2] == [f"{NAMES[0]}-by-hand-1", f"{NAMES[0]}-by-hand-2"]


def test_a_paused_job_ends_it_with_the_reason() -> None:
    play, _, stage = staged(JOBS)
    pauses.pause(stage, "report", "the database moves", None, play.now)
    play.run_until(MINUTE)
    with pytest.raises(Stop, match=r"report: .*the database moves") as stopped:
        done(backfill(play, stage))
    assert stopped.value.code == NOT_RUN
    assert by_hand(play) == []
    assert [each.outcome for each in done(backfill(play, stage, anyway=True))] == ["succeeded"] * 3


@pytest.mark.thorough
def test_a_time_that_its_schedule_has_under_way_is_waited_for() -> None:
    play, _, stage = staged(JOBS)
    play.program = Program(seconds=20 * MINUTE)
    of_the_schedule(play, TIMES[0])
    play.run_until(5)
    made = done(backfill(play, stage))
    assert [each.outcome for each in made] == ["succeeded"] * 3
    assert by_hand(play) == [f"{name}-by-hand-1" for name in NAMES[1:]]


@pytest.mark.thorough
def test_a_time_that_was_waited_for_and_failed_is_a_failure() -> None:
    play, _, stage = staged(JOBS)
    play.run_task_answers = [Program(seconds=20 * MINUTE, exit_code=3)]
    of_the_schedule(play, TIMES[0])
    play.run_until(5)
    assert [(each.at, each.outcome) for each in done(backfill(play, stage))] == [(TIMES[0], "failed")]
    assert by_hand(play) == []


# --- interrupted ------------------------------------------------------------------------------------------


def interrupted_after(*sleeps: int) -> None:
    """Every time has run once, though the backfill was interrupted after so many sleeps, and begun again."""
    play, _, stage = staged(JOBS)
    for after in (*sleeps, 10_000):
        plan = backfill(play, stage, sleep=Interrupts(play, after))
        try:
            done(plan)
        except KeyboardInterrupt:
            plan.interrupted()
    assert [task.environment["BATCH_SCHEDULED_AT"] for task in play.tasks] == [stamp(at) for at in TIMES]
    assert play.most_at_once == 1


@pytest.mark.parametrize("sleeps", [(1, 1), (2, 60), (70, 3), (30, 100)])
def test_interrupted_twice_it_goes_on_and_runs_no_time_twice(sleeps: tuple[int, int]) -> None:
    interrupted_after(*sleeps)


@pytest.mark.thorough
@settings(max_examples=examples(40), deadline=None)
@given(first=st.integers(1, 200), second=st.integers(1, 200))
def test_interrupted_anywhere_it_goes_on_and_runs_no_time_twice(first: int, second: int) -> None:
    interrupted_after(first, second)


def test_ctrl_c_says_where_it_stands_and_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    play, _, stage = staged(JOBS)
    plan = backfill(play, stage, sleep=Interrupts(play, 85))
    with pytest.raises(Stop) as stopped:
        go(plan, plan.look(TIMES), "go on with: …", as_json=False)
    assert stopped.value.code == INTERRUPTED
    assert str(stopped.value) == (
        "interrupted: report: 1 succeeded, 2 left, from 2026-11-23 16:00 UTC on; run-000002 was started and goes on: "
        "guardctl status report --stage dev; stop it with: guardctl stop report --stage dev; go on with: …"
    )
    plan = backfill(play, stage, sleep=Interrupts(play, 2))
    with pytest.raises(Stop, match=r"2 left, from .*; run-000002 goes on; go on with: …"):
        go(plan, plan.look(TIMES), "go on with: …", as_json=False)
    capsys.readouterr()
    plan = backfill(play, stage)
    go(plan, plan.look(TIMES), "", as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "1 of 2: 2026-11-23 16:00 UTC succeeded: run-000002 succeeded",
        "2 of 2: 2026-11-23 17:00 UTC succeeded: run-000003 succeeded after 60 s",
        "report: 2 succeeded",
    ]


def test_a_failure_is_exit_code_1_and_scripts_are_told_of_every_time(capsys: pytest.CaptureFixture[str]) -> None:
    play, _, stage = staged(JOBS)
    play.run_task_answers = [Program(), Program(exit_code=3)]
    plan = backfill(play, stage)
    with pytest.raises(typer.Exit) as ended:
        go(plan, plan.look(TIMES), "go on with: …", as_json=True)
    assert ended.value.exit_code == NOT_RUN
    told = capsys.readouterr()
    data = json.loads(told.out)
    assert [(each["scheduled_at"], each["outcome"]) for each in data["times"]] == [
        (stamp(TIMES[0]), "succeeded"),
        (stamp(TIMES[1]), "failed"),
    ]
    assert (data["ok"], data["left"]) == (False, [stamp(TIMES[2])])
    assert told.err == "report: 1 succeeded, 1 failed, 1 left, from 2026-11-23 17:00 UTC on; go on with: …\n"


def test_what_ends_it_says_where_it_stands_first(capsys: pytest.CaptureFixture[str]) -> None:
    play, _, stage = staged(JOBS)
    pauses.pause(stage, "report", "the database moves", None, play.now)
    play.run_until(MINUTE)
    plan = backfill(play, stage)
    with pytest.raises(Stop, match="the database moves"):
        go(plan, plan.look(TIMES), "go on with: …", as_json=False)
    assert capsys.readouterr().err == ("report: none done, 3 left, from 2026-11-23 15:00 UTC on; go on with: …\n")


@pytest.mark.parametrize(
    ("typed", "as_json", "says"),
    [("n\n", False, "nothing was started"), ("", False, "nothing was started"), ("y\n", True, "say --yes")],
)
def test_many_starts_are_asked_about(monkeypatch: pytest.MonkeyPatch, typed: str, as_json: bool, says: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    with pytest.raises(Stop, match=says):
        ask("report", 11, as_json=as_json)


def test_who_says_yes_has_them_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    ask("report", 11, as_json=False)


# --- how a time stands ------------------------------------------------------------------------------------

AT = TIMES[0]


def entry(outcome: Outcome, minutes: float | None = None, *, by_hand: bool = False) -> Entry:
    """An entry of the ledger; its run started so many minutes after BEGIN."""
    began = BEGIN + timedelta(minutes=minutes) if minutes is not None else None
    return Entry(job="report", scheduled=AT, outcome=outcome, started=began, ended=began, by_hand=by_hand)


REPEATED_BEFORE, REPEATED_SINCE = (entry("ran", minute, by_hand=True) for minute in (-5, 5))

STANDINGS: list[tuple[list[Entry], Standing, Standing]] = [
    # its entries                                                       as it is    with --all
    ([entry("ran", -60)],                                               "done",     "to do"),
    ([entry("failed", -60)],                                            "to do",    "to do"),
    ([entry("missed")],                                                 "to do",    "to do"),
    ([entry("forgotten")],                                              "to do",    "to do"),
    ([entry("no schedule")],                                            "to do",    "to do"),
    ([entry("paused")],                                                 "to do",    "to do"),
    ([entry("running", -1)],                                            "under way", "under way"),
    ([entry("deciding")],                                               "under way", "under way"),
    ([entry("waiting")],                                                "under way", "under way"),
    ([entry("ran", -60), entry("running", 1, by_hand=True)],            "under way", "under way"),
    ([entry("due")],                                                    "left to its schedule", "left to its schedule"),
    ([entry("would have started")],                                     "left to its schedule", "to do"),
    ([entry("would have stepped back"), REPEATED_BEFORE],               "done",     "to do"),
    ([entry("failed", -60), REPEATED_BEFORE],                           "done",     "to do"),
    ([entry("failed", -60), REPEATED_SINCE],                            "done",     "done"),
    ([entry("ran", -60), REPEATED_SINCE],                               "done",     "done"),
    ([entry("ran", -60), entry("failed", 5, by_hand=True)],             "done",     "to do"),
    ([entry("failed", -60), REPEATED_SINCE, entry("failed", 9, by_hand=True)], "done", "done"),
]  # fmt: skip


@pytest.mark.parametrize(("entries", "plain", "again"), STANDINGS)
def test_how_a_time_stands(entries: list[Entry], plain: Standing, again: Standing) -> None:
    assert standing(AT, entries, begun=BEGIN).standing == plain
    assert standing(AT, entries, again=True, begun=BEGIN).standing == again


def test_what_step_functions_has_forgotten_is_counted_before_it_is_started(capsys: pytest.CaptureFixture[str]) -> None:
    """Older than 90 days: nobody knows whether it ran, and it would be started."""
    _, _, stage = staged(JOBS)
    found = entry("forgotten"), entry("missed"), entry("ran")
    items = [standing(at, [each]) for at, each in zip(TIMES, found, strict=True)]
    head(stage.job("report"), items, TOKYO, listed=False)
    assert capsys.readouterr().out.endswith(
        ": 2 to start, 1 to leave out; of 1 nobody knows any more whether they ran\n"
    )


def test_the_last_run_is_the_one_that_is_told() -> None:
    last = entry("failed", 9, by_hand=True)
    assert standing(AT, [entry("failed", -60), entry("skipped", by_hand=True), last]) == Item(AT, "to do", last)


# --- the range --------------------------------------------------------------------------------------------

TOKYO = ZoneInfo("Asia/Tokyo")
NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 23, 18, 30, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("begin", "end", "zone", "expected"),
    [
        ("2026-11-20", "2026-11-21", TOKYO, ("2026-11-19T15:00:00Z", "2026-11-21T14:59:00Z")),
        ("2026-11-20T03:00", "2026-11-20T03:00", TOKYO, ("2026-11-19T18:00:00Z", "2026-11-19T18:00:00Z")),
        ("2026-11-20T03:00Z", None, TOKYO, ("2026-11-20T03:00:00Z", "2026-11-23T18:30:00Z")),
        ("2026-11-23", "2026-11-23", NEW_YORK, ("2026-11-23T05:00:00Z", "2026-11-23T18:30:00Z")),
        ("2026-11-20", "20261121", TOKYO, ("2026-11-19T15:00:00Z", "2026-11-21T14:59:00Z")),
        ("2026-11-01", "2026-11-01", NEW_YORK, ("2026-11-01T04:00:00Z", "2026-11-02T04:59:00Z")),
    ],
    ids=["whole days", "one time", "until now", "no further than now", "without hyphens", "a day of 25 hours"],
)
def test_a_range_as_people_write_it(begin: str, end: str | None, zone: ZoneInfo, expected: tuple[str, str]) -> None:
    first, last = span_of(begin, end, zone, NOW)
    assert (stamp(first), stamp(last)) == expected


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda job: span_of("2026-11-22", "2026-11-20", TOKYO, NOW), "--to 2026-11-20 is before --from 2026-11-22"),
        (lambda job: span_of("2026-12-01", None, TOKYO, NOW), "has not come yet, and its schedule will start it"),
        (lambda job: span_of("yesterday", None, TOKYO, NOW), "--from 'yesterday' is not a time"),
        (
            lambda job: times_of(job, NOW - timedelta(minutes=20), NOW, TOKYO),
            r"no scheduled time from 2026-11-24 03:10 JST to 2026-11-24 03:30 JST; the next one is 2026-11-24 04:00 JST",
        ),
        (lambda job: times_of(job, NOW - 60 * timedelta(days=1), NOW, TOKYO), "more than 1000 scheduled times until"),
    ],
)
def test_a_range_that_can_not_be_is_refused(call: Callable[[Any], Any], says: str) -> None:
    _, _, stage = staged(JOBS)
    with pytest.raises(Stop, match=says):
        call(stage.job("report"))


def test_both_ends_of_a_range_belong_to_it() -> None:
    _, _, stage = staged(JOBS)
    assert times_of(stage.job("report"), TIMES[0], TIMES[-1], TOKYO) == TIMES
