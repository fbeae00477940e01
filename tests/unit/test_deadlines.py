"""By when a job should have succeeded: every scheduled time has its one moment, whichever tick looks."""

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.decide import deadlines
from chalicelib.decide.deadlines import Moment, moments, plan
from chalicelib.decide.pace import Bucket
from chalicelib.decide.policy import Enabled, Overlap
from chalicelib.decide.schedule import Schedule, between, parse_schedule
from chalicelib.values import dataclass
from tests.properties import examples

deterministic = settings(derandomize=True, deadline=None, database=None, max_examples=examples(40))

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SMALL = Bucket(50, 2)


def success_by(scheduled_at: datetime, time_of_day: str, timezone: str) -> datetime:
    """The first moment after `scheduled_at` at which the zone's clock shows that time of day, read day by day (UTC)."""
    by, zone = time.fromisoformat(time_of_day), ZoneInfo(timezone)
    day = scheduled_at.astimezone(zone).date() - DAY
    while (at := datetime.combine(day, by, zone).astimezone(UTC)) <= scheduled_at:
        day += DAY
    return at


@dataclass(frozen=True)
class Watched:
    """What of a job decides when it is looked up."""

    name: str = "report"
    schedules: tuple[Schedule, ...] = (parse_schedule("cron(0 3 * * ? *)"),)
    timezone: str = "UTC"
    enabled: Enabled = True
    start_deadline: int = 7200
    expect_success_by: str | None = None
    warn_after: int | None = None
    overlap: Overlap = "skip"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("scheduled_at", "by", "timezone", "expected"),
    [
        pytest.param("2026-11-23T18:00", "06:00", "Asia/Tokyo", "2026-11-23T21:00", id="at 3, by 6 of the same morning"),
        pytest.param("2026-11-23T12:00", "06:00", "Asia/Tokyo", "2026-11-23T21:00", id="at 21, by 6 of the next morning"),
        pytest.param("2026-11-23T21:00", "06:00", "Asia/Tokyo", "2026-11-24T21:00", id="at 6 itself there is a day for it"),
        pytest.param("2026-11-23T20:59", "06:00", "Asia/Tokyo", "2026-11-23T21:00", id="a minute before"),
        pytest.param("2026-03-28T23:00", "06:00", "Europe/Berlin", "2026-03-29T04:00", id="the night that is an hour shorter"),
        pytest.param("2026-10-24T22:00", "06:00", "Europe/Berlin", "2026-10-25T05:00", id="the night that is an hour longer"),
        pytest.param("2026-03-28T23:00", "02:30", "Europe/Berlin", "2026-03-29T01:30", id="what the clock skips is read with the offset before"),
        pytest.param("2026-10-24T22:00", "02:30", "Europe/Berlin", "2026-10-25T00:30", id="what it shows twice is the first"),
        pytest.param("2026-10-25T00:45", "02:30", "Europe/Berlin", "2026-10-26T01:30", id="and after that the next day's"),
        pytest.param("2011-12-29T16:00", "06:00", "Pacific/Apia", "2011-12-30T16:00", id="a day that the zone leaves out"),
    ],
)  # fmt: skip
def test_the_first_such_moment_after_the_scheduled_time(
    scheduled_at: str, by: str, timezone: str, expected: str
) -> None:
    at, end = utc(scheduled_at), utc(expected) + DAY
    once = parse_schedule(f"at({at.astimezone(ZoneInfo(timezone)):%Y-%m-%dT%H:%M:%S})")
    job = Watched(schedules=(once,), timezone=timezone, expect_success_by=by)
    assert [(each.scheduled_at, each.at) for each in moments([job], at - DAY, end)] == [(at, utc(expected))]
    assert success_by(at, by, timezone) == utc(expected)


SCHEDULES = [
    "cron(0 3 * * ? *)",
    "cron(30 1,2,23 * * ? *)",
    "cron(15 2 ? * SUN *)",
    "cron(0 0 1 * ? *)",
    "rate(1 hour)",
    "rate(7 minutes)",
    "at(2026-10-25T02:30:00)",
]
ZONES = ["UTC", "Asia/Tokyo", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]
AROUND = st.sampled_from(
    [utc("2026-03-29T00:00"), utc("2026-10-25T00:00"), utc("2026-11-01T06:00"), utc("2011-12-30T09:00")]
)
SOON = st.integers(-48 * 60, 48 * 60).map(lambda minutes: timedelta(minutes=minutes))


@st.composite
def watched(draw: st.DrawFn) -> Watched:
    """A job with one or both of the keys."""
    by = draw(st.none() | st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 1, 30, 59])))
    least = 1 if by is None else 0
    after = draw(st.integers(least, 3 * 24 * 60)) * 60 or None
    found = draw(st.lists(st.sampled_from(SCHEDULES), min_size=1, max_size=2, unique=True))
    return Watched(
        schedules=tuple(map(parse_schedule, found)),
        timezone=draw(st.sampled_from(ZONES)),
        expect_success_by=by,
        warn_after=after,
    )


@pytest.mark.thorough
@deterministic
@given(watched(), AROUND, SOON, st.lists(SOON, max_size=6))
def test_every_scheduled_time_has_one_moment_for_each_key_however_the_ticks_fall(
    job: Watched, around: datetime, shift: timedelta, cuts: list[timedelta]
) -> None:
    start = around + shift
    end = start + 2 * DAY
    times = between(job.schedules, job.timezone, start - 6 * DAY, end)
    expected = []
    for each in times:
        if job.expect_success_by:
            expected.append((success_by(each, job.expect_success_by, job.timezone), each, "expect_success_by"))
        if job.warn_after:
            expected.append((each + timedelta(seconds=job.warn_after), each, "warn_after"))
    ticks = sorted({start, end, *(start + abs(cut) for cut in cuts if abs(cut) < 2 * DAY)})
    found = [each for since, until in pairwise(ticks) for each in moments([job], since, until)]
    assert sorted((each.at, each.scheduled_at, each.key) for each in found) == sorted(
        one for one in expected if start < one[0] <= end
    )


@pytest.mark.thorough
@deterministic
@given(watched(), AROUND, SOON)
def test_a_moment_is_what_the_clock_shows_within_a_day(job: Watched, around: datetime, shift: timedelta) -> None:
    by, zone, scheduled = job.expect_success_by or "06:00", ZoneInfo(job.timezone), around + shift
    moment = success_by(scheduled, by, job.timezone)
    skipped = (moment + _before(moment, zone)).replace(tzinfo=None)
    assert by in {f"{moment.astimezone(zone):%H:%M}", f"{skipped:%H:%M}"}
    assert scheduled < moment <= scheduled + DAY + HOUR


@pytest.mark.thorough
@deterministic
@given(watched(), AROUND, SOON)
def test_what_is_asked_of_one_time_and_of_the_last_agrees_with_the_ticks(
    job: Watched, around: datetime, shift: timedelta
) -> None:
    now = around + shift
    times = between(job.schedules, job.timezone, now - 8 * DAY, now)
    first: dict[datetime, datetime] = {}
    for each in moments([job], now - 8 * DAY, now + 8 * DAY):
        first.setdefault(each.scheduled_at, each.at)
    assert all(deadlines.promised(job, at) == first[at] for at in times)
    passed = [at for at in times if first[at] <= now]
    assert deadlines.last_promised(job, now, 8 * DAY) == max(passed, default=None)


def _before(moment: datetime, zone: ZoneInfo) -> timedelta:
    """The zone's offset from UTC three hours before."""
    return (moment - 3 * HOUR).astimezone(zone).utcoffset() or timedelta(0)


@pytest.mark.parametrize(
    ("job", "watched"),
    [
        pytest.param(Watched(), False, id="nothing is expected"),
        pytest.param(Watched(warn_after=60), True, id="something is"),
        pytest.param(Watched(warn_after=60, enabled=False), False, id="its schedule rests"),
        pytest.param(Watched(warn_after=60, enabled="shadow"), False, id="in shadow"),
        pytest.param(Watched(warn_after=60, schedules=()), False, id="by hand only"),
    ],
)
def test_of_whom_something_is_expected(job: Watched, watched: bool) -> None:
    assert deadlines.is_watched(job) is watched
    assert bool(moments([job], utc("2026-11-23T00:00"), utc("2026-11-24T12:00"))) is watched
    assert bool(deadlines.promised(job, utc("2026-11-24T03:00"))) is watched
    assert bool(deadlines.last_promised(job, utc("2026-11-24T12:00"), DAY)) is watched


# --- the plan -------------------------------------------------------------------------------------------------

SIX = utc("2026-11-23T06:00")
CROWD = [
    *(Watched(name=f"nightly-{n}", expect_success_by="06:00") for n in range(60)),
    *(Watched(name=f"queued-{n}", warn_after=3 * 3600, overlap="queue") for n in range(8)),
    Watched(name="minutely", schedules=(parse_schedule("rate(5 minutes)"),), warn_after=600),
]


def ticked(first: datetime, last: datetime) -> list[deadlines.Look]:
    """What the ticks of these minutes look up in time."""
    found: list[deadlines.Look] = []
    while first < last:
        found += plan(CROWD, SMALL, first, first + MINUTE)
        first += MINUTE
    return found


@pytest.mark.thorough
def test_a_crowd_is_looked_up_by_one_tick_after_the_other_and_nobody_is_lost() -> None:
    looks = ticked(SIX - 5 * MINUTE, SIX + 20 * MINUTE)
    names = [look.moment.name for look in looks]
    assert len(set(names)) == len(names)
    assert set(names) >= {moment.name for moment in moments(CROWD, SIX - 5 * MINUTE, SIX + 10 * MINUTE)}, (
        "ten minutes later all of them were"
    )
    assert max(look.at for look in looks if look.moment.at == SIX) - SIX > 5 * MINUTE, "the last of them late"


@pytest.mark.thorough
def test_no_more_than_a_fifth_of_what_comes_in_is_called() -> None:
    looks = ticked(SIX - 5 * MINUTE, SIX + 20 * MINUTE)
    for look, behind in pairwise(looks):
        assert (behind.at - look.at).total_seconds() >= look.moment.calls / (SMALL.refill / 5)
    assert {look.moment.calls for look in looks} == {2, 3}, "with a queue a start that waited may lie between"


@pytest.mark.thorough
def test_a_later_tick_agrees_on_what_the_ones_before_it_looked_up() -> None:
    for minute in (1, 6, 12):
        now = SIX + minute * MINUTE
        again = plan(CROWD, SMALL, now - deadlines.LOOK_BACK, now)
        assert list(again) == ticked(now - deadlines.LOOK_BACK, now)


def test_of_one_moment_the_first_in_the_jobs_file_goes_first() -> None:
    jobs = [Watched(name=name, expect_success_by="06:00") for name in ("b", "a")]
    first, second = plan(jobs, SMALL, SIX, SIX + MINUTE)
    assert first.moment == Moment("b", utc("2026-11-23T03:00"), "expect_success_by", SIX)
    assert (first.at, second.at) == (SIX, SIX + timedelta(seconds=5))
