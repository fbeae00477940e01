"""What became of a scheduled time: a table of small histories of one daily job, told in words."""

from __future__ import annotations

import re
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.config.jobs import Ecs, Job
from chalicelib.decide.facts import span
from chalicelib.decide.schedule import parse_schedule
from chalicelib.names import repetition_name, scheduled_name
from chalicelib.values import dataclass
from guardctl.commands.history import lines
from guardctl.console import past_moment
from guardctl.ledger import KEPT, Entry, Facts, Outcome, Record, ledger
from guardctl.trouble import Problem
from guardctl.wording import clock, sentence

SIX = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
"""The scheduled time that the table is about: six in the evening."""
JOB = Job(
    name="report",
    pool="report",
    ecs=Ecs(cluster="batch", task_definition="report", container="app"),
    schedules=(parse_schedule("0 18 * * *"),),
    start_deadline=3_600,
)
GUARD = "arn:aws:states:us-east-1:123456789012:execution:batch-guard-dev:"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:batch-guard-dev-report"
RUNS = "arn:aws:states:us-east-1:123456789012:execution:batch-guard-dev-report:"
NAME = "report-20261123T1800Z"
AGAIN = repetition_name("report", SIX, 1)


def at(minutes: float) -> datetime:
    """So many minutes after six."""
    return SIX + timedelta(minutes=minutes)


def guard(status: str = "SUCCEEDED", name: str = NAME, *, began: float = 0, ended: float = 0.1, **said: Any) -> Record:
    """A guard execution that ended a few seconds after it began."""
    stopped = None if status == "RUNNING" else at(max(began, ended))
    return Record(arn=GUARD + name, status=status, started_at=at(began), stopped_at=stopped, **said)


def started(run: str = "run-000042", **more: Any) -> Record:
    """A guard execution that started a run."""
    return guard(output={"outcome": "started", "run": run, "state_machine_arn": MACHINE}, **more)


def shadow(would_have: str, reason: str) -> Record:
    """A guard execution of a job in shadow."""
    return guard(output={"outcome": "shadow", "would_have": would_have, "reason": reason})


def refused(error: str, cause: str, **more: Any) -> Record:
    """A guard execution that failed with a named error."""
    return guard("FAILED", error=f"BatchGuard.{error}", cause=cause, **more)


def run(status: str = "SUCCEEDED", number: int = 42, *, began: float = 0.1, ended: float = 12.1, by: str = NAME, for_: datetime | None = SIX, **more: Any) -> Record:  # fmt: skip
    """A run that a guard execution started; RUNNING has not ended."""
    about = {"guard_execution": GUARD + by, "scheduled_at": for_.isoformat() if for_ else None}
    stopped = None if status == "RUNNING" else at(ended)
    about |= more.pop("input", {})
    return Record(
        arn=f"{RUNS}run-{number:06d}", status=status, started_at=at(began), stopped_at=stopped, input=about, **more
    )


@dataclass(frozen=True)
class Case:
    """A small history and what the ledger says of six o'clock."""

    says: str
    outcome: Outcome
    guards: tuple[Record, ...] = ()
    runs: tuple[Record, ...] = ()
    now: datetime = field(default_factory=lambda: at(600))
    since: datetime = SIX - timedelta(days=30)
    job: Job = JOB
    kept: timedelta = KEPT


QUEUED = guard(output={"outcome": "queued", "waiter": "report-after-run-000041-1", "reason": "…"})
BUSY = "run-000041 has been running for 61 min, since 2026-11-23T17:00:00Z"

CASES = [
    pytest.param(Case("ran as run-000042 and succeeded after 12 min", "ran", (started(),), (run(),)), id="it ran and succeeded"),
    pytest.param(Case("ran as run-000042 and succeeded after 12 min: nobody knows whether it is a holiday", "ran", (started(input={"reason": "nobody knows whether it is a holiday"}),), (run(),)), id="the trigger noted something"),
    pytest.param(Case("is running as run-000042", "running", (started(),), (run("RUNNING"),)), id="it is still running"),
    pytest.param(Case("ran as run-000042 and succeeded after 5 min, having started 14 min late", "ran", (started(began=14),), (run(began=14.2, ended=19.2),)), id="a tick that came late started it late"),
    pytest.param(Case("ran as run-000042 and failed after 12 min: container app exited with 1", "failed", (started(),), (run("FAILED", error="BatchGuard.TaskFailed", cause="container app exited with 1"),)), id="its program failed"),
    pytest.param(Case("ran as run-000042 and failed after 12 min: BatchGuard.NotPlaced: ECS placed no task", "failed", (started(),), (run("FAILED", error="BatchGuard.NotPlaced", cause="ECS placed no task"),)), id="ECS had no room: the error's name tells more than its cause"),
    pytest.param(Case("ran as run-000042 and failed after 12 min: no reason was given", "failed", (started(),), (run("FAILED"),)), id="its run failed and said nothing"),
    pytest.param(Case("ran as run-000042 and timed out after 12 min: stopped after its timeout of 720 s", "timed out", (started(),), (run("FAILED", error="BatchGuard.TimedOut", cause="stopped after its timeout of 720 s"),)), id="its task was stopped at its timeout"),
    pytest.param(Case("ran as run-000042 and timed out after 12 min: Step Functions ended the run; its task may live on", "timed out", (started(),), (run("TIMED_OUT"),)), id="Step Functions ended the run at the machine's own timeout"),
    pytest.param(Case("ran as run-000042 and was replaced after 12 min: replaced by report-20261123T1830Z", "replaced", (started(),), (run("ABORTED", error="BatchGuard.Replaced", cause="replaced by report-20261123T1830Z"),)), id="a later start replaced it"),
    pytest.param(Case("ran as run-000042 and was stopped after 12 min: stopped by hand (ana)", "stopped", (started(),), (run("ABORTED", cause="stopped by hand (ana)"),)), id="a person stopped it and said why"),
    pytest.param(Case("ran as run-000042 and was stopped after 12 min: by hand; no reason was given", "stopped", (started(),), (run("ABORTED"),)), id="a person aborted it in the console"),
    pytest.param(Case(f"was skipped: {BUSY}", "skipped", (refused("AlreadyRunning", BUSY),)), id="another run was in the way"),
    pytest.param(Case(f"was skipped: {BUSY}", "skipped", (guard(output={"outcome": "skip", "error": "BatchGuard.AlreadyRunning", "reason": BUSY}),)), id="another run was in the way, and skips end green"),
    pytest.param(Case(f"was skipped: {BUSY}", "skipped", (guard(output={"outcome": "skip", "reason": BUSY}),)), id="a green skip that does not name its error"),
    pytest.param(Case("was skipped: report-after-run-000041-1 already waits", "skipped", (refused("AlreadyQueued", "report-after-run-000041-1 already waits"),)), id="somebody else waited already"),
    pytest.param(Case("did not run, because the job was paused: paused since 2026-11-22T10:00:00Z: migration (ana)", "paused", (refused("Paused", "paused since 2026-11-22T10:00:00Z: migration (ana)"),)), id="the job was paused"),
    pytest.param(Case("did not run, because the job was paused: migration", "paused", (guard(output={"outcome": "skip", "error": "BatchGuard.Paused", "reason": "migration"}),)), id="the job was paused, and skips end green"),
    pytest.param(Case("waits for its turn: report-after-run-000041-1 has been open since 2026-11-23T18:00:06Z", "waiting", (QUEUED, guard("RUNNING", "report-after-run-000041-1", began=0.1))), id="it waits in the queue"),
    pytest.param(Case("waits for its turn: report-after-run-000041-1 waits for it", "waiting", (QUEUED,)), id="it queued, and its waiter is not visible yet"),
    pytest.param(Case("ran as run-000042 and succeeded after 12 min, having started 30 min late", "ran", (QUEUED, started(name="report-after-run-000041-1", began=0.1, ended=30)), (run(began=30, ended=42, by="report-after-run-000041-1"),)), id="it waited in the queue and then ran"),
    pytest.param(Case(f"did not run, because it waited too long: waited for 60 min, and {BUSY}", "gave up", (QUEUED, refused("WaitedTooLong", f"waited for 60 min, and {BUSY}", name="report-after-run-000041-1"))), id="it waited in the queue for too long"),
    pytest.param(Case("was not started: BatchGuard.CheckFailed: not started, because nobody could tell", "not started", (refused("CheckFailed", "not started, because nobody could tell"),)), id="nobody could tell whether it was running"),
    pytest.param(Case("was not started: BatchGuard.UnknownJob: no job 'report' in stage dev", "not started", (refused("UnknownJob", "no job 'report' in stage dev"),)), id="the functions did not know the job"),
    pytest.param(Case("was not started: its guard execution was stopped: by mistake", "not started", (guard("ABORTED", cause="by mistake"),)), id="somebody stopped the decision"),
    pytest.param(Case("was not started: its guard execution ended as TIMED_OUT, without a reason", "not started", (guard("TIMED_OUT"),)), id="the decision took too long"),
    pytest.param(Case("would have started: the job has never run", "would have started", (shadow("started", "the job has never run"),)), id="in shadow: it would have started"),
    pytest.param(Case(f"would have waited for its turn: {BUSY}", "would have waited", (shadow("waited", BUSY),)), id="in shadow: it would have waited"),
    pytest.param(Case(f"would have stopped what is in the way, and then started: {BUSY}", "would have replaced", (shadow("replaced", BUSY),)), id="in shadow: it would have replaced the run"),
    pytest.param(Case(f"would have stepped back: {BUSY}", "would have stepped back", (shadow("stepped back", BUSY),)), id="in shadow: something was in the way"),
    pytest.param(Case("would have been refused: RestedTooLong: run-000041", "would have been refused", (shadow("been refused", "RestedTooLong: run-000041"),)), id="in shadow: it would have been refused"),
    pytest.param(Case("was missed: no tick started it: neither it nor a run for it was ever recorded", "missed", job=replace(JOB, enabled="shadow")), id="in shadow: no tick came"),
    pytest.param(Case("is being decided: report-20261123T1800Z has been open since 2026-11-23T18:00:00Z", "deciding", (guard("RUNNING"),)), id="the decision is being made"),
    pytest.param(Case("is running as run-000042: Step Functions does not show it (yet, or any more)", "running", (started(),)), id="it started a moment ago, and its run is not visible yet"),
    pytest.param(Case("ran as run-000042 and succeeded after 12 min", "ran", (), (run(),)), id="its guard execution is forgotten, its run is not"),
    pytest.param(Case("was missed: no tick started it: neither it nor a run for it was ever recorded", "missed"), id="no tick came"),
    pytest.param(Case("is due: no tick has started it yet; it may start until 2026-11-23T19:00:00Z", "due", now=at(1)), id="the tick is about to come"),
    pytest.param(Case("is due: no tick has started it yet; it may start until 2026-11-23T19:00:00Z", "due", now=at(60)), id="its deadline is now"),
    pytest.param(Case("was missed: no tick started it: neither it nor a run for it was ever recorded", "missed", now=at(61)), id="its deadline has passed"),
    pytest.param(Case("was missed: no tick started it: neither it nor a run for it was ever recorded", "missed", now=at(31), job=replace(JOB, schedules=(parse_schedule("*/30 * * * *"),))), id="a later time has come: only the newest missed one is made up for"),
    pytest.param(Case("was not started, because the job is disabled: the schedule is off: enabled = false in the jobs file", "disabled", job=replace(JOB, enabled=False)), id="the job is disabled"),
    pytest.param(Case("was not started, because the job did not have this schedule then: it has had it since 2026-11-23T18:05:00Z", "no schedule", since=at(5)), id="the job was deployed, or its schedule changed, later"),
    pytest.param(Case("is forgotten: older than the 90 days that Step Functions keeps", "forgotten", now=SIX + KEPT + timedelta(minutes=1)), id="it is older than the records"),
    pytest.param(Case("is forgotten: older than the 30 days that Step Functions keeps", "forgotten", now=SIX + timedelta(days=31), kept=timedelta(days=30)), id="the account keeps them for 30 days"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_scheduled_time_is_told_in_one_sentence(case: Case) -> None:
    guards = {g.name: g for g in case.guards}
    facts = Facts(now=case.now, since=case.since, guards=guards, runs=case.runs, kept=case.kept)
    (entry,) = ledger(case.job, [SIX], facts)
    says = re.sub(r"(\d\d-\d\d)T(\d\d:\d\d):\d\dZ", r"\1 \2", case.says)  # in the zone that is named once
    assert sentence(entry, ZoneInfo("UTC")) == f"report for 2026-11-23 18:00 UTC {says}"
    assert entry.outcome == case.outcome


def entries(times: list[datetime], guards: list[Record], runs: list[Record], job: Job = JOB) -> list[Entry]:
    """The ledger of a day long after."""
    facts = Facts(now=at(600), since=at(-6000), guards={g.name: g for g in guards}, runs=tuple(runs))
    return ledger(job, times, facts)


def test_a_repetition_by_hand_stands_behind_the_time_it_repeats() -> None:
    again = repetition_name("report", SIX, 1)
    failed = run("FAILED", error="BatchGuard.TaskFailed", cause="exit 1")
    told = entries(
        [SIX],
        [started(), started("run-000043", name=again, began=60)],
        [failed, run(number=43, began=60, ended=70, by=again)],
    )
    assert [(e.outcome, e.run, e.by_hand) for e in told] == [
        ("failed", "run-000042", False),
        ("ran", "run-000043", True),
    ]
    assert (
        sentence(told[1], ZoneInfo("Asia/Tokyo"))
        == "report for 2026-11-24 03:00 JST ran by hand as run-000043 and succeeded after 10 min"
    )


def test_a_repetition_that_was_refused_is_told_too() -> None:
    again = repetition_name("report", SIX, 1)
    told = entries([SIX], [started(), refused("AlreadyRunning", BUSY, name=again)], [run("RUNNING")])
    assert [(e.outcome, e.by_hand) for e in told] == [("running", False), ("skipped", True)]


PROMISED = replace(JOB, expect_success_by="19:00", warn_after=3 * 3600)
BY = "it should have succeeded by 2026-11-23T19:00:00Z"
IN_VAIN = [
    # what became of it, until when it is looked at, whether it is late then, and the reason
    pytest.param([started()], [run("RUNNING")], 59, None, id="it runs, and its moment has not come"),
    pytest.param([started()], [run("RUNNING")], 60, BY, id="it still runs at its moment"),
    pytest.param([started()], [run("FAILED", error="BatchGuard.TaskFailed", cause="exit 1")], 90, f"exit 1; {BY}", id="it failed"),
    pytest.param([refused("AlreadyRunning", BUSY)], [], 90, f"{BUSY}; {BY}", id="it stepped back"),
    pytest.param([refused("Paused", "paused since")], [], 90, f"paused since; {BY}", id="it is paused, and nobody ends that"),
    pytest.param([refused("Holiday", "a holiday")], [], 90, None, id="a holiday leaves it out"),
    pytest.param([started()], [run(ended=80)], 90, None, id="it was done too late: nobody need do anything"),
    pytest.param([started(), started("run-000043", name=AGAIN, began=61)], [run("FAILED", cause="exit 1"), run(number=43, began=61, ended=70, by=AGAIN)], 90, None, id="a start by hand for its time made up for it"),
]  # fmt: skip


@pytest.mark.parametrize(("guards", "runs", "minutes", "reason"), IN_VAIN)
def test_a_time_whose_moment_passed_in_vain_says_so(
    guards: list[Record], runs: list[Record], minutes: float, reason: str | None
) -> None:
    facts = Facts(now=at(minutes), since=at(-6000), guards={g.name: g for g in guards}, runs=tuple(runs))
    entry, *_ = ledger(PROMISED, [SIX], facts)
    assert entry.late_since == (at(60) if reason else None)
    if reason:
        assert entry.reason == reason
        assert entry.needs_a_person
    (unwatched, *_) = ledger(replace(PROMISED, enabled=False), [SIX], facts)
    assert unwatched.late_since is None, "of a schedule that rests nothing is expected"


def test_a_run_of_a_time_before_the_window_is_late_too_and_one_by_hand_without_a_time_never_is() -> None:
    facts = Facts(now=at(90), since=at(-6000), runs=(run("RUNNING"), run("RUNNING", number=43, began=2, by="by-hand", for_=None)))  # fmt: skip
    assert [(e.run, e.late_since) for e in ledger(PROMISED, [], facts)] == [
        ("run-000042", at(60)),
        ("run-000043", None),
    ]


def test_where_stepping_back_is_as_good_as_running_a_skip_is_not_late() -> None:
    guards = [refused("AlreadyRunning", BUSY), refused("Paused", "paused since")]
    for guard, late in zip(guards, [False, True], strict=True):
        facts = Facts(now=at(90), since=at(-6000), guards={guard.name: guard})
        (entry,) = ledger(replace(PROMISED, on_skip="succeed"), [SIX], facts)
        assert (entry.late_since is not None) is late


BY_WHOM = [
    pytest.param("report-by-hand-0a1b2c3d4e5f", None, True, id="a person started it now"),
    pytest.param("0f8fad5b-d9cb-469f-a165-70867728950e", None, True, id="a person started it in the console"),
    pytest.param("report-20261123T0900Z", at(-540), False, id="a time that is no longer in the schedule"),
    pytest.param("other-20261123T0900Z", at(-540), True, id="another job's name"),
    pytest.param("report-after-run-000041-1", at(-540), False, id="it waited, for a scheduled time before the window"),
    pytest.param("report-after-run-000041-1", at(-540.7), True, id="it waited, and a person started it"),
]  # fmt: skip


@pytest.mark.parametrize(("by", "for_", "by_hand"), BY_WHOM)
def test_a_run_that_no_time_in_the_window_asked_for_has_a_line_of_its_own(
    by: str, for_: datetime | None, by_hand: bool
) -> None:
    told = entries([SIX], [started()], [run(), run(number=41, began=-540, ended=-530, by=by, for_=for_)])
    assert [(e.run, e.by_hand) for e in told] == [("run-000041", by_hand), ("run-000042", False)]
    assert told[0].late is None


@pytest.mark.parametrize(("minutes", "late"), [(1.4, False), (1.6, True)])
def test_a_run_that_began_with_the_last_tick_of_its_minute_is_not_late(minutes: float, late: bool) -> None:
    (entry,) = entries([SIX], [started(began=0.98)], [run(began=minutes)])
    assert (entry.late is not None) is late


def test_a_renewal_is_no_line_of_the_ledger() -> None:
    kept = run(number=41, by="report-renewal-202611", for_=at(-900), input={"renewal": True})
    assert [e.run for e in entries([SIX], [started()], [kept, run()])] == ["run-000042"]


def test_times_come_in_order_and_once() -> None:
    missed = entries([at(60), SIX, at(60)], [], [])
    assert [e.scheduled for e in missed] == [SIX, at(60)]


KINDS = st.sampled_from(["ran", "skipped", "queued", "repeated", "nothing"])


@given(st.lists(KINDS, max_size=12), st.integers(min_value=0, max_value=3))
def test_every_time_has_one_line_and_every_run_too(kinds: list[str], by_hand: int) -> None:
    """Whatever happened: no time is told twice, no run is lost, and none is told twice."""
    times, guards, runs = [at(60 * hour) for hour in range(len(kinds))], [], []
    for number, (kind, time) in enumerate(zip(kinds, times, strict=True), start=1):
        name = scheduled_name("report", time)
        if kind in {"ran", "repeated"}:
            who = name if kind == "ran" else repetition_name("report", time, 1)
            guards.append(started(f"run-{number:06d}", name=who))
            runs.append(run(number=number, by=who, for_=time))
        elif kind == "skipped":
            guards.append(refused("AlreadyRunning", BUSY, name=name))
        elif kind == "queued":
            waiter = f"report-after-run-{number - 1:06d}-1"
            guards.append(guard(name=name, output={"outcome": "queued", "waiter": waiter}))
            guards.append(started(f"run-{number:06d}", name=waiter))
            runs.append(run(number=number, by=waiter, for_=time))
    runs += [run(number=100 + n, by="report-by-hand-0a1b2c3d4e5f", for_=at(1.5)) for n in range(by_hand)]
    told = entries(times, guards, runs)
    assert [entry.scheduled for entry in told if not entry.by_hand] == times
    assert sorted(entry.run for entry in told if entry.run) == sorted(each.name for each in runs)
    assert sum(entry.by_hand for entry in told) == by_hand + kinds.count("repeated")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h 0 min"), (172_799, "47 h 59 min"), (172_800, "2 d 0 h"), (-1, "0 s")],
)  # fmt: skip
def test_a_length_is_said_in_two_units_at_most(seconds: int, said: str) -> None:
    assert span(timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(
    ("width", "said"),
    [
        pytest.param(70, ["2026-11-23 18:00  ○ skipped", "    by hand (ada: late file); run-000041 has been running"], id="a narrow terminal"),
        pytest.param(None, ["2026-11-23 18:00  ○ skipped                      by hand (ada: late file); run-000041 has been running"], id="a pipe"),
    ],
)  # fmt: skip
def test_history_gives_a_reason_a_line_of_its_own_where_it_does_not_fit(width: int | None, said: list[str]) -> None:
    entry = Entry(
        job="report",
        scheduled=SIX,
        outcome="skipped",
        reason="run-000041 has been running",
        by_hand=True,
        by="ada: late file",
    )
    head, *rest = lines([entry], ZoneInfo("UTC"), width)
    assert head.split() == ["scheduled", "UTC", "outcome", "started", "run", "took", "reason"]
    assert rest == said


def test_every_instant_of_a_reason_is_told_in_one_zone_whose_name_stands_once() -> None:
    entry = Entry(job="report", scheduled=SIX, outcome="skipped", reason=f"{BUSY}; asked until 2026-11-23T18:30:00Z")
    assert sentence(entry, ZoneInfo("Asia/Tokyo")) == (
        "report for 2026-11-24 03:00 JST was skipped: run-000041 has been running for 61 min, since 2026-11-24 02:00; "
        "asked until 2026-11-24 03:30"
    )


@pytest.mark.parametrize(
    ("text", "at"),
    [
        pytest.param("03:00", "2026-11-24 03:00", id="the last three o'clock"),
        pytest.param("4:30", "2026-11-23 04:30", id="a time of day that has not come today"),
        pytest.param("yesterday 03:00", "2026-11-23 03:00", id="yesterday's"),
        pytest.param("Today 03:00", "2026-11-24 03:00", id="today's"),
        pytest.param("2026-11-20T03:00", "2026-11-20 03:00", id="a date and a time"),
    ],
)
def test_a_time_of_the_past_is_taken_as_a_person_says_it(text: str, at: str) -> None:
    tokyo, now = ZoneInfo("Asia/Tokyo"), datetime(2026, 11, 23, 19, 20, tzinfo=UTC)  # 04:20 there
    assert clock(past_moment(text, tokyo, now, "TIME"), tokyo) == at


@pytest.mark.parametrize(
    ("guard", "run", "words"),
    [
        pytest.param("report-by-hand-0123456789ab", "run-000042", ("why", "report", "run-000042"), id="by hand"),
        pytest.param("report-by-hand-0123456789ab", None, ("history", "report"), id="by hand, and nothing ran"),
        pytest.param(
            "report-20261123T1800Z-by-hand-1", None, ("why", "report", "2026-11-23T18:00Z"), id="a repetition"
        ),
        pytest.param("report-20261123T1800Z", None, ("why", "report", "2026-11-23T18:00Z"), id="by the schedule"),
    ],
)
def test_the_next_command_leads_to_what_it_is_about(guard: str, run: str | None, words: tuple[str, ...]) -> None:
    entry = Entry(job="report", scheduled=SIX, outcome="stopped", guard_execution=guard, run=run)
    assert Problem(entry, times=1, first=SIX).words(ZoneInfo("UTC")) == words
