"""A job in shadow: at every scheduled time the guard says what it would have done, and starts nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from chalicelib.decide.decisions import Would, WouldHave
from chalicelib.decide.facts import Details, Execution, Member, Shadow, Target, Task, stamp
from chalicelib.decide.overlap import Start
from chalicelib.decide.policy import Policy
from chalicelib.decide.shadow import started_by
from chalicelib.names import scheduled_name
from guardctl import job_status
from guardctl.commands.history import lines
from guardctl.commands.status import _card
from guardctl.ledger import GOOD, Entry
from guardctl.records import Reader
from guardctl.triage import triage
from guardctl.wording import sentence
from lab.play import BEGIN, Play, Program
from tests.contracts.played import DEFAULTS, played
from tests.unit.test_check import answer, asks
from tests.unit.test_guardctl_pools import staged
from tests.world import (
    ASKS,
    COMMAND,
    GUARD_MACHINE,
    NOW,
    WAITING_MACHINE,
    History,
    ago,
    execution,
    run,
    task,
)

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
ORIGIN = "rule/default/nightly-report-of-the-warehouse"
RULE = "events-rule/nightly-report-of-the-warehouse"
SINCE = ago(1)
"""The scheduled time: the guard looks a minute after it."""
SHADOW = Shadow(started_by(ORIGIN), SINCE, SINCE + timedelta(hours=1))


def start(overlap: Any = "skip", **more: Any) -> Start:
    """A start in shadow, of a minute ago."""
    return Start(
        replace(ASKS, shadow=SHADOW),
        Policy("nightly-report", overlap, grace=15),
        began_at=SINCE,
        deadline=NOW + timedelta(hours=1),
        scheduled_at=SINCE,
        guard_machine=GUARD_MACHINE,
        waiting_machine=WAITING_MACHINE,
        **more,
    )


def asking(begun: Start, **more: Any) -> Start:
    """The same start, whose request is otherwise."""
    return replace(begun, request=replace(begun.request, **more))


def of_the_rule(identity: str = "t1", *, began: float = 0.5, **more: Any) -> Task:
    """A task that the old rule has started so many minutes ago."""
    return task(identity, **{"created_at": ago(began), "command": COMMAND, "started_by": RULE, **more})


def seen(*tasks: Task, page: tuple[Execution, ...] = (run(41),), **more: Any) -> History:
    """A job that is free but for these tasks."""
    return History(page, tasks=tasks, **more)


PAUSE = execution("paused-000003", "RUNNING", began=60)
PAUSED = seen(page=(PAUSE, run(41)), details={"paused-000003": Details(PAUSE, reason="the database moves")})
RUNS = seen(page=(run(41, "RUNNING", began=61),))
ORPHAN = seen(task(of="run-000041", created_at=ago(60), cluster="batch"), page=(run(41, "ABORTED", ended=9),))
WAITER = execution("hourly-import-waits-0123456789ab", "RUNNING", began=9, of=WAITING_MACHINE)
FAMILY = asking(start(), members=(replace(ASKS.members[0], outsiders="family"),))
ORPHANS = replace(start(), policy=Policy("nightly-report", orphans="stop"))
POOLED = asking(start(), members=(*ASKS.members, Member("hourly-import", Target("batch", "import", "app"))))
WAITED: Would = "waited"
REPLACED: Would = "replaced"
BACK: Would = "stepped back"

TABLE = [
    pytest.param(start(), seen(), "started", "run-000041 has ended, no task is alive", id="the job is free"),
    pytest.param(start(), seen(of_the_rule()), "started", f"in its place {RULE} has started ", id="the old rule's task of this very time stands for its run"),
    pytest.param(start(), seen(of_the_rule(started_by=RULE[:36])), "started", "in its place events-rule/nightly-report-of-the-wa has started ", id="also when startedBy was cut after 36 characters"),
    pytest.param(start(), seen(of_the_rule(began=1)), "started", "in its place", id="a rule may fire in the first moment of its time"),
    pytest.param(start(), seen(of_the_rule(began=1.01)), BACK, "a task that this guard did not start is alive", id="what it started before this time is in the way"),
    pytest.param(asking(start(), shadow=replace(SHADOW, until=ago(0.5))), seen(of_the_rule()), BACK, "a task that this guard", id="what it started for the next time is not this one's"),
    pytest.param(asking(start(), shadow=replace(SHADOW, until=None)), seen(of_the_rule()), "started", "in its place", id="there may be no next time"),
    pytest.param(start(), seen(of_the_rule("t1"), of_the_rule("t2")), "started", "2 tasks for one time, of which the guard starts one", id="a rule that fires twice, or an event that comes a day late: the guard starts one"),
    pytest.param(start(), seen(of_the_rule("t1"), of_the_rule("t2", began=90)), BACK, "a task that this guard did not start is alive: arn:aws:ecs:ap-northeast-1:123456789012:task/batch/t2", id="its task of this time does not hide that of an earlier one"),
    pytest.param(start(), seen(of_the_rule(started_by="events-rule/other")), BACK, "a task that this guard", id="another rule's task is in the way"),
    pytest.param(start(), seen(of_the_rule(started_by=None)), BACK, "a task that this guard", id="a person's task is in the way"),
    pytest.param(start(), seen(of_the_rule(created_at=None)), BACK, "a task that this guard", id="a task whose age is not known is in the way"),
    pytest.param(asking(start(), shadow=replace(SHADOW, started_by=frozenset())), seen(of_the_rule()), BACK, "a task that this guard", id="without imported_from nobody knows whose task it is"),
    pytest.param(FAMILY, seen(of_the_rule(command=("bin/other",))), BACK, "a task that this guard", id="the rule's task of another command is not this job's run"),
    pytest.param(FAMILY, seen(of_the_rule()), "started", "in its place", id="outsiders = family: its own task is not in the way"),
    pytest.param(start(), RUNS, BACK, "run-000041 has been running for 61 min", id="a run that was started by hand is in the way, at the first look"),
    pytest.param(start("queue"), RUNS, WAITED, "run-000041 has been running for 61 min", id="queue: it would have waited"),
    pytest.param(start("queue"), seen(of_the_rule(began=90)), WAITED, "a task that this guard did not start is alive", id="queue: also for what the rule started before"),
    pytest.param(start("replace"), RUNS, REPLACED, "run-000041 has been running for 61 min", id="replace: it would have stopped the run"),
    pytest.param(start("replace"), seen(of_the_rule(began=90)), REPLACED, "a task that this guard did not start is alive", id="replace: what the rule started before would have been a run of the guard's"),
    pytest.param(start("replace"), seen(of_the_rule(began=90, started_by=None)), BACK, "a task that this guard did not start is alive", id="replace: a person's task would not have been stopped"),
    pytest.param(ORPHANS, ORPHAN, REPLACED, "run-000041 was closed, but its task lives on", id="orphans = stop: it would have stopped the orphan"),
    pytest.param(start(), PAUSED, BACK, "paused since", id="a pause is told as it is"),
    pytest.param(POOLED, seen(waiting=(WAITER,)), WAITED, "free, but hourly-import-waits-0123456789ab has waited", id="it would have let go first who has waited longer"),
]  # fmt: skip


@pytest.mark.parametrize(("begun", "history", "would", "reason"), TABLE)
def test_it_says_what_it_would_have_done(begun: Start, history: History, would: Would, reason: str) -> None:
    decision = history.decide(begun)
    assert isinstance(decision, WouldHave)
    assert (decision.would_have, reason in decision.reason) == (would, True), decision.reason


@pytest.mark.parametrize(
    ("origin", "known"),
    [
        (None, set()),
        ("rule/default/nightly", {"events-rule/nightly"}),
        ("rule/aws.partner/example.com/a/nightly", {"events-rule/nightly"}),
        ("rule/default/nightly#main", {"events-rule/nightly"}),
        ("schedule/default/import", {"chronos-schedule/import"}),
        (
            "schedule/batch/gold-coast-data-lake-refresh",
            {"chronos-schedule/gold-coast-data-lake-refresh", "chronos-schedule/gold-coast-data-lak"},
        ),
    ],
)
def test_whose_tasks_are_the_old_rules(origin: str | None, known: set[str]) -> None:
    assert started_by(origin) == known


# --- the checker ------------------------------------------------------------------------------------------

FILE = """
[defaults.ecs]
cluster = "batch"
container = "app"
launch_type = "EC2"
[jobs.plain]
schedule = "rate(1 hour)"
enabled = "shadow"
imported_from = "rule/default/plain"
ecs.task_definition = "plain"
[jobs.live]
schedule = "rate(1 hour)"
ecs.task_definition = "live"
"""
BEFORE = execution("run-000041", ended=60)
GUARDS = "arn:aws:states:ap-northeast-1:123456789012:execution:batch-guard-dev:"


def scheduled(job: str = "plain", **more: Any) -> dict[str, Any]:
    """The event of the guard execution of a scheduled time, a minute ago."""
    at = ago(1)
    guard = {"execution": GUARDS + scheduled_name(job, at), **more.pop("guard", {})}
    return asks(job, scheduled_at=stamp(at), waited=False, guard=guard, **more)


def test_a_scheduled_start_of_a_job_in_shadow_gets_no_run() -> None:
    for event in (scheduled(shadow=True), scheduled()):  # the second was sent before the job was in shadow
        said = answer(event, BEFORE, file=FILE)
        assert (said["outcome"], said["would_have"], said["running_flg"]) == ("shadow", "started", True)
        assert said.keys().isdisjoint({"run", "waiter", "wait_seconds", "skips_in_a_row", "stuck"})


def test_what_was_sent_in_shadow_stays_so_after_the_handover() -> None:
    assert answer(scheduled("live", shadow=True), BEFORE, file=FILE)["outcome"] == "shadow"
    assert answer(scheduled("live"), BEFORE, file=FILE)["outcome"] == "start"


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(asks("plain"), id="by hand"),
        pytest.param(asks("plain", guard={"execution": GUARDS + "plain-20261123T1900Z-by-hand-1"}), id="for a time"),
        pytest.param(asks("plain", renewal=True, guard={"execution": GUARDS + "plain-renewal-20261201"}), id="renewal"),
        pytest.param(asks("plain", guard={"execution": GUARDS + "plain-after-run-000041-1"}), id="who waited before"),
        pytest.param(scheduled(guard={"stopped_at": stamp(ago(1))}), id="who has stopped a run before"),
    ],
)
def test_what_is_no_start_of_the_schedule_starts(event: dict[str, Any]) -> None:
    assert answer(event, BEFORE, file=FILE)["outcome"] == "start"


def test_it_answers_at_the_first_look_and_a_row_of_verdicts_is_no_row_of_skips() -> None:
    runs = execution("run-000041", "RUNNING", began=300)
    said = answer(scheduled(shadow=True), runs, file=FILE)
    assert (said["outcome"], said["would_have"]) == ("shadow", "stepped back")
    assert "skips_in_a_row" not in said


def test_a_refusal_is_told_as_a_verdict() -> None:
    said = answer(scheduled(shadow=True), execution("run-000041", began=200_000, ended=130_000), file=FILE)
    assert (said["outcome"], said["would_have"]) == ("shadow", "been refused")
    assert said["reason"].startswith("RestedTooLong: run-000041 ended on ")


def test_somebody_may_ask_what_a_start_in_shadow_would_do() -> None:
    said = answer({"job": "plain", "shadow": True, "scheduled_at": stamp(ago(1))}, BEFORE, file=FILE)
    assert said["would_have"] == "started"
    assert answer({"job": "plain", "shadow": "yes"}, file=FILE)["error"] == "InvalidInput"


# --- seven nights -----------------------------------------------------------------------------------------

NIGHTLY = """
[jobs.nightly]
schedule = "cron(0 18 * * ? *)"
queue_timeout = "6h"
overlap = "{overlap}"
enabled = {enabled}
imported_from = "rule/default/nightly"
ecs = {{ task_definition = "nightly" }}
"""
TAKES = (1.0, 26.0, 1.0, 1.0, 25.0, 2.0, 1.0)
"""Hours: the second night and the fifth run into the next one."""
FIRES = (0, 59, 10, 0, 30, 0, 59)
"""Seconds after six at which the rule fires; the tick comes after twenty."""
TICK = 20.0


def seven_nights(play: Play, *, rule: bool) -> None:
    """The tick at six every evening, and either the old rule's task or the guard's own, of the same length."""

    def evening(program: Program) -> None:
        play.program = program
        play.tick()

    for night, (hours, fires) in enumerate(zip(TAKES, FIRES, strict=True)):
        program = Program(seconds=hours * HOUR)
        play.at(night * DAY + TICK, partial(evening, program))
        if rule:
            play.at(night * DAY + fires, partial(play.task_by_hand, "batch", "nightly", program, "events-rule/nightly"))
    play.run_until(7 * DAY - HOUR)


def nights(overlap: str, *, shadow: bool) -> tuple[Play, list[Entry]]:
    """What `guardctl history` knows of seven nights, in shadow beside the old rule, or guarded."""
    jobs = DEFAULTS.replace("3h", "30h") + NIGHTLY.format(overlap=overlap, enabled='"shadow"' if shadow else "true")
    play, _, stage = staged(jobs)
    seven_nights(play, rule=shadow)
    entries, _ = Reader(stage).entries(stage.job("nightly"), BEGIN - timedelta(hours=1), play.now, limit=100)
    return play, entries


NIGHTS = {
    "skip": ("ran", "ran", "skipped", "ran", "ran", "skipped", "ran"),
    "queue": ("ran", "ran", "ran", "ran", "ran", "ran", "ran"),
    "replace": ("ran", "replaced", "ran", "ran", "replaced", "ran", "ran"),
}
WOULD = {
    "skip": {2: "would have stepped back", 5: "would have stepped back"},
    "queue": {2: "would have waited", 5: "would have waited"},
    "replace": {2: "would have replaced", 5: "would have replaced"},
}


@pytest.mark.thorough
@pytest.mark.parametrize("overlap", NIGHTS)
def test_seven_nights_in_shadow_are_told_as_the_guard_would_have_had_them(overlap: str) -> None:
    guarded, as_guarded = nights(overlap, shadow=False)
    assert tuple(entry.outcome for entry in as_guarded) == NIGHTS[overlap]
    assert guarded.most_at_once == 1

    play, entries = nights(overlap, shadow=True)
    expected = ["would have started"] * 7
    for night, outcome in WOULD[overlap].items():
        expected[night] = outcome
    assert [entry.outcome for entry in entries] == expected
    # The guard did nothing: it asked once each night, and all that ran is the rule's.
    assert play.calls == ["lambda:invoke"] * 7
    assert (play.runs("nightly"), play.waiters(), len(play.tasks)) == ([], [], 7)
    assert [task.stop_code for task in play.tasks] == ["EssentialContainerExited"] * 7
    assert play.most_at_once == 2, "the old rule keeps nothing apart"


def test_history_shows_the_nights_in_shadow() -> None:
    _, entries = nights("skip", shadow=True)
    told = [*lines(entries, ZoneInfo("UTC"), None)][1:]
    assert told[0].startswith("2026-11-23 18:00  □ would have started ")
    assert "in its place events-rule/nightly has started arn:" in told[0], "it fired before the tick"
    assert told[1].endswith("the job has never run, no task is alive"), "it fired after the tick"
    assert told[2].startswith("2026-11-25 18:00  o would have stepped back ")
    assert sentence(entries[2], ZoneInfo("UTC")).startswith(
        "nightly for 2026-11-25 18:00 UTC would have stepped back: a task that this guard did not start is alive: arn:"
    )
    assert [entry.outcome in GOOD for entry in entries] == [True, True, False, True, True, False, True]


def test_status_says_that_a_job_is_in_shadow_and_what_the_last_night_would_have_been() -> None:
    jobs = DEFAULTS + NIGHTLY.format(overlap="skip", enabled='"shadow"')
    play, _, stage = staged(jobs)
    play.tick()
    play.at(30, partial(play.task_by_hand, "batch", "nightly", Program(seconds=2 * HOUR), "events-rule/nightly"))
    play.run_until(HOUR)
    (line,) = job_status.read(stage, [stage.job("nightly")], play.now, lambda _: None).jobs
    assert (line.state, line.not_started, line.last) == ("shadow", None, None)
    said = (
        "its schedule starts nothing; 2026-11-23T18:00:00Z would have started: the job has never run, no task is alive"
    )
    (judged,) = triage([line], play.now)
    assert dict(_card(judged, play.now, ZoneInfo("UTC")))["in shadow"] == said
    assert (judged.level, judged.reason) == ("ok", f"in shadow: {said}"), "the rule's task in the way is no trouble"
    assert line.next_time == BEGIN + timedelta(days=1)
    (why,) = Reader(stage).entry(stage.job("nightly"), BEGIN, play.now)
    assert why == line.would_have


def test_a_start_by_hand_of_a_job_in_shadow_runs_and_the_next_night_sees_its_task() -> None:
    play = played(DEFAULTS + NIGHTLY.format(overlap="skip", enabled='"shadow"'))
    play.program = Program(seconds=3 * HOUR)
    by_hand = play.start("nightly")
    play.run_until(HOUR)
    assert by_hand.output["outcome"] == "started"
    at = play.now.replace(second=0, microsecond=0)
    night = play.start("nightly", scheduled_name("nightly", at), scheduled_at=stamp(at), shadow=True)
    play.run_until(2 * HOUR)
    assert night.output["would_have"] == "stepped back"
    assert night.output["reason"].startswith("run-000001 has been running for ")
    assert len(play.tasks) == 1


def test_the_names_of_a_job_in_shadow_are_renewed() -> None:
    play = played(DEFAULTS + NIGHTLY.format(overlap="skip", enabled='"shadow"'))
    renewal = play.start("nightly", "nightly-renewal-20261201", renewal=True)
    play.run_until()
    assert renewal.output["run"] == "run-000001"
    assert not play.tasks
