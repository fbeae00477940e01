"""The tick: everything that is due is started, once, side by side, whatever else fails."""

import json
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from chalicelib.config import jobs
from chalicelib.decide.pace import Planned
from chalicelib.read.record import Record, recorded_as
from chalicelib.trigger import SIDE_BY_SIDE, SomeStartsFailed, Trigger

FUNCTION = "arn:aws:lambda:ap-northeast-1:123456789012:function:batch-guard-dev-trigger"
JUST_AFTER = datetime(2026, 11, 23, 18, 0, 20, tzinfo=UTC)
HOURS_LATE = datetime(2026, 11, 23, 19, 59, tzinfo=UTC)

FILE = """
[defaults.ecs]
cluster = "batch"
container = "app"
launch_type = "EC2"
[jobs.nightly-report]
schedule = "cron(0 3 * * ? *)"
timezone = "Asia/Tokyo"
ecs = { task_definition = "report" }
[jobs.hourly-import]
schedule = "rate(1 hour)"
ecs = { task_definition = "import" }
[jobs.by-hand]
ecs = { task_definition = "hand" }
"""


class AlreadyExists(Exception):
    """Stands for botocore's modelled exception."""


@dataclass
class FakeStepFunctions:
    """StartExecution in memory: names are taken once; `broken` names fail."""

    taken: dict[str, dict[str, Any]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    meet: threading.Barrier | None = None

    class exceptions:  # noqa: N801 (botocore's name)
        ExecutionAlreadyExists = AlreadyExists

    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> dict[str, str]:  # noqa: N803
        self.calls.append(name)
        if self.meet:
            self.meet.wait(timeout=10)
        if name in self.broken:
            raise ConnectionError("no route")
        if name in self.taken:
            raise AlreadyExists
        self.taken[name] = {"machine": stateMachineArn, **json.loads(input)}
        return {}


@dataclass
class Clock:
    """A clock that only sleeping moves."""

    at: datetime = JUST_AFTER

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@cache
def parsed_once(file: str) -> jobs.JobsFile:
    return jobs.parse(file, stage="dev", place="dev.toml")


def trigger(
    client: FakeStepFunctions,
    *,
    file: str = FILE,
    changed: datetime = JUST_AFTER - timedelta(days=9),
    recorded: str | None = None,
) -> Trigger:
    """All schedules have been as they are since `changed`, or the deployment has recorded another one.

    It was warm an hour ago.
    """
    parsed = parsed_once(file)

    def record(job: jobs.Job) -> Record:
        return Record(recorded_as(job) if recorded is None else recorded, changed)

    clock, before = Clock(), {f"{job}-20261123T1700Z" for job in parsed.jobs}
    return Trigger(parsed, FUNCTION, client, record, before, clock.now, clock.sleep)  # type: ignore[arg-type]  # a fake with the one method used


def tick(started: Trigger, now: datetime) -> dict[str, str]:
    reported: dict[str, str] = {}
    clock: Clock = started.now.__self__  # type: ignore[attr-defined]  # a bound method of it
    clock.at = now
    started.tick(lambda each, result, _late: reported.__setitem__(each.start.name, result))
    return reported


def test_what_is_due_is_started_under_its_scheduled_time() -> None:
    client = FakeStepFunctions()
    assert tick(trigger(client), JUST_AFTER) == {
        "nightly-report-20261123T1800Z": "started",
        "hourly-import-20261123T1800Z": "started",
    }
    assert client.taken["nightly-report-20261123T1800Z"] == {
        "machine": "arn:aws:states:ap-northeast-1:123456789012:stateMachine:batch-guard-dev",
        "job": "nightly-report",
        "scheduled_at": "2026-11-23T18:00:00Z",
        "deadline": "2026-11-23T20:00:00Z",
    }


def test_a_time_of_a_job_in_shadow_is_sent_as_such_and_its_names_are_renewed() -> None:
    client = FakeStepFunctions()
    shadowed = FILE.replace('schedule = "rate(1 hour)"', 'schedule = "rate(1 hour)"\nenabled = "shadow"')
    tick(trigger(client, file=shadowed), JUST_AFTER)
    assert {name: given.get("shadow") for name, given in client.taken.items()} == {
        "nightly-report-20261123T1800Z": None,
        "hourly-import-20261123T1800Z": True,
    }
    made_up = FakeStepFunctions()
    tick(replace(trigger(made_up, file=shadowed), handled=set()), JUST_AFTER + timedelta(minutes=40))
    assert made_up.taken["hourly-import-20261123T1800Z"]["shadow"] is True, "also what an earlier tick missed"
    tick(trigger(client, file=shadowed), datetime(2026, 12, 13, 0, 7, 1, tzinfo=UTC))
    assert "shadow" not in client.taken["hourly-import-renewal-20261213"]


def test_a_tick_that_comes_again_finds_the_names_taken() -> None:
    client = FakeStepFunctions()
    tick(trigger(client), JUST_AFTER)
    assert set(tick(trigger(client), JUST_AFTER + timedelta(minutes=1)).values()) == {"handled"}
    assert len(client.taken) == 2


def test_a_warm_trigger_does_not_ask_again_for_what_it_knows_to_be_handled() -> None:
    client = FakeStepFunctions()
    warm = trigger(client)
    tick(warm, JUST_AFTER)
    tick(warm, JUST_AFTER + timedelta(minutes=1))
    assert len(client.calls) == 2


def test_a_late_start_is_made_up_for_until_its_deadline() -> None:
    client = FakeStepFunctions()
    assert "nightly-report-20261123T1800Z" in tick(trigger(client), HOURS_LATE)
    assert tick(trigger(FakeStepFunctions()), HOURS_LATE + timedelta(minutes=2)) == {
        "hourly-import-20261123T2000Z": "started",
        "hourly-import-20261123T1900Z": "held back",
        "nightly-report-20261123T1800Z": "held back",
    }


def test_a_time_that_nobody_started_is_told_under_its_name() -> None:
    client = FakeStepFunctions()
    tick(trigger(client), HOURS_LATE + timedelta(minutes=2))
    told = client.taken["nightly-report-20261123T1800Z"]["verdict"]
    assert told["error"] == "HeldBack"
    assert "nobody started it before the next scheduled time, or by 2026-11-23T20:00:00Z" in told["reason"]
    assert "verdict" not in client.taken["hourly-import-20261123T2000Z"]


def test_a_time_from_before_the_schedule_is_told_nothing() -> None:
    client = FakeStepFunctions()
    tick(trigger(client, changed=HOURS_LATE), HOURS_LATE + timedelta(minutes=2))
    assert list(client.taken) == ["hourly-import-20261123T2000Z"]


def test_a_schedule_that_changed_after_its_scheduled_time_does_not_start_for_it() -> None:
    client = FakeStepFunctions()
    changed = datetime(2026, 11, 23, 18, 2, tzinfo=UTC)
    results = tick(trigger(client, changed=changed), datetime(2026, 11, 23, 18, 4, tzinfo=UTC))
    assert set(results.values()) == {"schedule changed since"}
    assert client.calls == []


def test_the_tick_after_a_deployment_starts_nothing_for_the_minute_before_it() -> None:
    """The tick of 18:00 was the old functions': they may have started it, by the name that the job had then."""
    client = FakeStepFunctions()
    changed = datetime(2026, 11, 23, 18, 0, 40, tzinfo=UTC)
    results = tick(trigger(client, changed=changed), datetime(2026, 11, 23, 18, 1, 0, 500_000, tzinfo=UTC))
    assert set(results.values()) == {"schedule changed since"}
    assert client.calls == []


def test_while_another_schedule_is_recorded_nothing_starts_late() -> None:
    client = FakeStepFunctions()
    results = tick(trigger(client, recorded='{"schedule": ["cron(0 4 * * ? *)"]}'), HOURS_LATE)
    assert set(results.values()) == {"schedule changed since"}
    assert client.calls == []


def test_a_start_in_time_does_not_ask_for_the_record() -> None:
    started = trigger(FakeStepFunctions())

    def nobody(job: jobs.Job) -> Record:
        raise AssertionError(f"asked for {job.name}")

    assert len(tick(replace(started, recorded=nobody), JUST_AFTER)) == 2


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param('"rate(1 hour)"', '"rate(2 hours)"', id="another schedule"),
        pytest.param('"Asia/Tokyo"', '"Asia/Seoul"', id="another zone"),
        pytest.param('timezone = "Asia/Tokyo"', 'timezone = "Asia/Tokyo"\nenabled = false', id="enabled or not"),
        pytest.param('timezone = "Asia/Tokyo"', 'timezone = "Asia/Tokyo"\nstart = 2026-01-01T00:00:00', id="a start"),
        pytest.param('timezone = "Asia/Tokyo"', 'timezone = "Asia/Tokyo"\nend = 2199-01-01T00:00:00', id="an end"),
    ],
)
def test_what_decides_when_a_job_is_due_is_recorded(before: str, after: str) -> None:
    def records(file: str) -> set[str]:
        return {recorded_as(job) for job in jobs.parse(file, stage="dev", place="dev.toml").jobs.values()}

    assert records(FILE) != records(FILE.replace(before, after))
    assert records(FILE) == records(FILE.replace('"batch"', '"another-cluster"')), "the rest is not"


def test_one_that_fails_keeps_no_other_from_starting_and_fails_the_whole() -> None:
    client = FakeStepFunctions(broken={"nightly-report-20261123T1800Z"})
    failing = trigger(client)
    with pytest.raises(SomeStartsFailed, match="1 of 2 starts failed: nightly-report-20261123T1800Z: no route"):
        tick(failing, JUST_AFTER)
    assert list(client.taken) == ["hourly-import-20261123T1800Z"]
    client.broken.clear()
    assert tick(failing, JUST_AFTER) == {"nightly-report-20261123T1800Z": "started"}, "the second try does the rest"


def test_many_jobs_due_in_the_same_minute_are_started_side_by_side() -> None:
    job = '[jobs.j{0}]\nschedule = "rate(1 hour)"\necs = {{ task_definition = "x{0}" }}\n'
    file = FILE.split("[jobs.", 1)[0] + "".join(job.format(n) for n in range(SIDE_BY_SIDE))
    client = FakeStepFunctions(meet=threading.Barrier(SIDE_BY_SIDE))  # each waits until all are under way
    assert len(tick(trigger(client, file=file), JUST_AFTER)) == SIDE_BY_SIDE


@pytest.mark.parametrize(
    ("days", "day"), [pytest.param(90, "20261213", id="90 days"), pytest.param(30, "20261127", id="30 days")]
)
def test_on_a_renewal_day_every_job_has_one_renewal(days: int, day: str) -> None:
    client = FakeStepFunctions()
    file = f"[stage]\nhistory_days = {days}\n{FILE}"
    noon = datetime.strptime(day, "%Y%m%d").replace(hour=12, tzinfo=UTC)
    names = {f"{job}-renewal-{day}" for job in ("nightly-report", "hourly-import", "by-hand")}
    assert {n for n in tick(trigger(client, file=file), noon) if "renewal" in n} == names
    of_by_hand = client.taken[f"by-hand-renewal-{day}"]
    del of_by_hand["machine"]
    assert of_by_hand == {
        "job": "by-hand",
        "renewal": True,
        "scheduled_at": f"{noon:%Y-%m-%dT00:07:00Z}",
        "deadline": f"{noon + timedelta(days=1):%Y-%m-%dT00:07:00Z}",
    }
    later = tick(trigger(client, file=file), noon + timedelta(hours=9))
    assert {n: result for n, result in later.items() if "renewal" in n} == dict.fromkeys(names, "handled")
    assert not any("renewal" in n for n in tick(trigger(client, file=file), noon + timedelta(days=1)))


POOLS = """
[pools.warehouse]
slots = 3
[defaults]
pool = "warehouse"
"""


def test_on_a_renewal_day_every_slot_of_a_pool_has_one_renewal_whoever_is_in_it() -> None:
    client = FakeStepFunctions()
    noon = datetime(2026, 12, 13, 12, tzinfo=UTC)
    file = f"{POOLS}{FILE}\n[jobs.alone]\npool = 'alone'\necs = {{ task_definition = 'alone' }}"
    found = {n for n in tick(trigger(client, file=file), noon) if "renewal" in n}
    first = "nightly-report-renewal-20261213"
    assert found == {first, f"{first}-2", f"{first}-3", "alone-renewal-20261213"}
    assert [client.taken[name].get("slot") for name in sorted(found)] == [None, None, 2, 3]
    assert all(client.taken[name]["renewal"] is True for name in found)


# --- a crowd --------------------------------------------------------------------------------------------------

CROWD = FILE.split("[jobs.", 1)[0] + "".join(
    f'[jobs.j{n}]\nschedule = "cron(0 18 * * ? *)"\necs = {{ task_definition = "x{n}" }}\n' for n in range(250)
)
SIX = JUST_AFTER.replace(second=1)


def cold(client: FakeStepFunctions) -> Trigger:
    """A trigger that has just been made, and remembers nothing."""
    return replace(trigger(client, file=CROWD), handled=set())


@pytest.mark.thorough
def test_a_tick_sends_what_falls_into_its_minute_and_ends_within_it() -> None:
    client = FakeStepFunctions()
    sent: dict[str, datetime] = {}
    counts = []
    for minute in range(3):
        fresh = cold(client)
        clock: Clock = fresh.now.__self__  # type: ignore[attr-defined]  # a bound method of it
        clock.at = SIX + timedelta(minutes=minute)

        def note(each: Planned, result: str, late: timedelta) -> None:
            if result == "started":
                sent[each.start.name] = each.at + late

        fresh.tick(note)
        counts.append(len(sent))
        assert clock.at < SIX.replace(second=0) + timedelta(minutes=minute + 1)
    assert counts == [199, 250, 250], "and the next does the rest, whoever it is"
    assert list(sent) == [f"j{n}-20261123T1800Z" for n in range(250)], "in the order of the file"
    assert max(sent.values()) == SIX.replace(second=0) + timedelta(seconds=85)


@pytest.mark.thorough
def test_what_a_tick_missed_is_made_up_for_as_the_quota_allows() -> None:
    client = FakeStepFunctions()
    tick(cold(client), SIX + timedelta(minutes=1))
    assert len(client.taken) > 100
    tick(cold(client), SIX + timedelta(minutes=2))
    tick(cold(client), SIX + timedelta(minutes=3))
    assert len(client.taken) == 250
    assert not any("verdict" in given for given in client.taken.values())


@pytest.mark.thorough
def test_a_start_that_is_sent_at_its_instant_is_not_late() -> None:
    fresh, late = cold(FakeStepFunctions()), []
    fresh.now.__self__.at = SIX.replace(second=0)  # type: ignore[attr-defined]
    fresh.tick(lambda _each, _result, by: late.append(by))
    assert set(late) == {timedelta(0)}
