"""The plan of a crowd: never before its time, in order, below the quota, and the same from wherever one looks."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.config import jobs
from chalicelib.decide import pace
from chalicelib.decide.expressions import parse_schedule
from chalicelib.decide.pace import Bucket, Curve, Planned
from chalicelib.decide.schedule import Schedule, bounded
from chalicelib.values import dataclass
from tests.properties import examples

SIX = datetime(2026, 11, 23, 18, tzinfo=UTC)
TOKYO, VIRGINIA = (pace.curve(pace.quotas(region)) for region in ("ap-northeast-1", "us-east-1"))

SMALL = pace.curve(pace.quotas("ap-northeast-1", {"ListExecutions": Bucket(10, 0.2)}))


@dataclass(frozen=True)
class AJob:
    """What of a job decides when it is due."""

    name: str
    schedules: tuple[Schedule, ...]
    timezone: str = "UTC"
    enabled: bool = True
    start_deadline: int = 7_200


def crowd(number: int, schedule: str, **more: int) -> list[AJob]:
    parsed = (parse_schedule(schedule),)
    return [AJob(f"j{n}", parsed, **more) for n in range(number)]  # type: ignore[arg-type]  # start_deadline alone


def planned(jobs: list[AJob], curve: Curve, since: datetime, **span: float) -> tuple[Planned, ...]:
    return pace.plan(jobs, curve, since, since + timedelta(**span), 90, {job.name: 1 for job in jobs}).sends


def seconds(sent: tuple[Planned, ...], at: datetime = SIX) -> list[float]:
    """When the starts of this time that are not held back are sent, after it."""
    return [(each.at - at).total_seconds() for each in sent if each.start.scheduled_at == at and not each.held_back]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("curve", "number", "last"),
    [
        pytest.param(TOKYO, 1, 0.0, id="who is alone is sent at once"),
        pytest.param(TOKYO, 100, 10.0, id="a hundred in Tokyo: ten a second"),
        pytest.param(TOKYO, 250, 85.0, id="250 in Tokyo: then two a second"),
        pytest.param(TOKYO, 1_000, 460.0, id="a thousand in Tokyo"),
        pytest.param(VIRGINIA, 250, 24.9, id="250 in Virginia"),
        pytest.param(VIRGINIA, 1_000, 168.0, id="a thousand in Virginia: five a second"),
    ],
)
def test_the_top_of_the_hour(curve: Curve, number: int, last: float) -> None:
    sent = seconds(planned(crowd(number, "cron(0 18 * * ? *)"), curve, SIX, hours=1))
    assert (len(sent), sent[-1]) == (number, last)


def test_what_is_below_the_refill_is_never_held_back() -> None:
    """As many as come in, for three hours."""
    sent = planned(crowd(60, "rate(5 minutes)"), SMALL, SIX, hours=3)
    assert [each for each in sent if each.held_back] == []
    assert max(each.at - each.start.scheduled_at for each in sent) < timedelta(minutes=5)


def test_a_larger_quota_of_the_account_is_used() -> None:
    own = pace.curve(pace.quotas("ap-northeast-1", {"ListExecutions": Bucket(1_000, 20)}))
    assert seconds(planned(crowd(250, "cron(0 18 * * ? *)"), own, SIX, hours=1))[-1] == 24.9


@pytest.mark.thorough
def test_who_would_be_first_in_the_file_does_not_pass_the_others_over_again_and_again() -> None:
    """More starts than the quota lets through: everybody gets through now and then, and every time has its end."""
    begin = SIX - timedelta(hours=1)
    sent = planned(crowd(25, "rate(1 minute)"), SMALL, begin, hours=2)
    started: dict[str, int] = {}
    for each in sent:
        started[each.start.job] = started.get(each.start.job, 0) + (each.held_back is None)
    assert len(started) == 25
    assert min(started.values()) >= max(started.values()) / 2
    names = {each.start.name for each in sent}
    assert len(names) == len(sent), "each name once"
    early = begin + timedelta(hours=1)
    assert sum(f"T{early:%H%M}Z" in name for name in names) == 25
    held = next(each for each in sent if each.held_back)
    assert held.held_back is not None
    assert held.held_back.startswith(
        f"held back until the next scheduled time came, {held.at:%Y-%m-%dT%H:%M:00Z}: more"
    )
    assert held.at == held.start.scheduled_at + timedelta(minutes=1)


def test_who_waits_beyond_the_start_deadline_is_told_so_and_uses_up_nothing() -> None:
    sent = planned(crowd(250, "cron(0 18 * * ? *)", start_deadline=60), TOKYO, SIX, hours=1)
    held = [each for each in sent if each.held_back]
    assert (len(sent), len(held)) == (250, 50)
    assert all("until its start_deadline had passed" in str(each.held_back) for each in held)


def test_renewals_come_after_the_starts_of_their_minute() -> None:
    day = datetime(2026, 12, 13, 0, 7, tzinfo=UTC)  # a renewal day of 90 days' history
    sent = planned(crowd(3, "cron(7 0 * * ? *)"), TOKYO, day, minutes=1)
    assert [(each.start.renewal, each.start.name) for each in sent] == [
        *((False, f"j{n}-20261213T0007Z") for n in range(3)),
        *((True, f"j{n}-renewal-20261213") for n in range(3)),
    ]


@pytest.mark.parametrize("region", ["ap-northeast-1", "us-east-1", "us-west-2", "eu-west-1", "cn-north-1"])
def test_every_quota_keeps_up_with_a_steady_crowd(region: str) -> None:
    quotas = pace.quotas(region)
    curve = pace.curve(quotas)
    for call, bucket in quotas.items():
        gap = curve.token if call == "ListExecutions" else curve.gap
        assert pace.CALLS[call] / bucket.refill <= gap / 1_000_000


# --- whatever the jobs file says ------------------------------------------------------------------------------

PLAIN = {"rate(1 minute)": 1, "rate(7 minutes)": 1 / 7, "cron(0 * * * ? *)": 1 / 60, "cron(0/15 * * * ? *)": 1 / 15, "cron(59 17 * * ? *)": 1 / 1_440, "cron(1 18 * * ? *)": 1 / 1_440, "cron(50-5/5 16-2 * * ? *)": 4 / 60, "at(2026-11-23T18:00:00)": 1 / 1_440}  # fmt: skip
BOUND = bounded([parse_schedule("rate(1 minute)")], SIX - timedelta(minutes=10), SIX + timedelta(minutes=20))
RATE: dict[Schedule, float] = {parse_schedule(written): rate for written, rate in PLAIN.items()} | {BOUND[0]: 1}
"""Starts a minute, at the most."""
CURVES = st.builds(
    lambda burst, refill: pace.curve(pace.quotas("ap-northeast-1", {"ListExecutions": Bucket(burst, refill)})),
    st.integers(1, 60),
    st.sampled_from([0.25, 0.5, 1, 2, 5, 30]),
)
FILES = st.lists(
    st.tuples(st.sampled_from(list(RATE)), st.sampled_from([60, 600, 7_200]), st.booleans()), min_size=1, max_size=25
).map(lambda rows: [AJob(f"j{n}", (s,), start_deadline=d, enabled=e) for n, (s, d, e) in enumerate(rows)])  # fmt: skip
MINUTES = st.integers(-40, 80).map(lambda minutes: SIX + timedelta(minutes=minutes))


@settings(max_examples=examples(40), deadline=None)
@given(FILES, CURVES, MINUTES, st.integers(1, 12))
def test_never_before_its_time_and_never_over_the_quota(
    jobs: list[AJob], curve: Curve, since: datetime, minutes: int
) -> None:
    sent = planned(jobs, curve, since, minutes=minutes)
    assert all(since <= each.at < since + timedelta(minutes=minutes) for each in sent)
    assert all(each.at >= each.start.scheduled_at for each in sent)
    assert len({each.start.name for each in sent}) == len(sent)
    at = [pace.microseconds(each.at) for each in sent if not each.held_back]
    assert all(two - one >= curve.gap for one, two in pairwise(at))
    whole = at[0] if at else 0  # a bucket of its own, which holds what AWS's holds
    for each in at:
        whole = max(whole, each) + curve.token
        assert whole - each <= curve.burst


@settings(max_examples=examples(40), deadline=None)
@given(FILES, CURVES, MINUTES, st.integers(1, 9), st.data())
def test_the_same_from_any_tick(jobs: list[AJob], curve: Curve, since: datetime, minutes: int, data: st.DataObject) -> None:  # fmt: skip
    """Two ticks that look at the same minute see the same, wherever each begins to look."""
    later = since + timedelta(minutes=data.draw(st.integers(0, minutes)))
    if sum(RATE[job.schedules[0]] for job in jobs if job.enabled) > 30_000_000 / max(curve.token, curve.gap):
        # More than half the refill, so the line may never have been empty: they agree within an hour of the clock.
        later = min(later, since.replace(minute=59))
    end = since + timedelta(minutes=minutes + 1)
    renewed = {job.name: 1 for job in jobs}
    one = pace.plan(jobs, curve, since, end, 90, renewed)
    two = pace.plan(jobs, curve, later, end, 90, renewed)
    assert [each for each in one.sends if each.at >= later] == list(two.sends)
    assert one.waiting == two.waiting


@settings(max_examples=examples(40), deadline=None)
@given(FILES, CURVES, MINUTES)
def test_in_order(jobs: list[AJob], curve: Curve, since: datetime) -> None:
    """Of what was never held back, nobody is passed by who came later, or stands further down in the file."""
    sent = planned(jobs, curve, since, minutes=30)
    held = {each.start.job for each in sent if each.held_back}
    place = {job.name: number for number, job in enumerate(jobs)}
    came = [
        (each.start.scheduled_at, each.start.renewal, place[each.start.job])
        for each in sent
        if each.start.job not in held and not each.held_back
    ]
    assert came == sorted(came)


# --- the jobs file --------------------------------------------------------------------------------------------

JOB = '[jobs.a]\necs = { cluster = "c", container = "a", task_definition = "t", launch_type = "EC2" }\n'


def test_the_quotas_of_the_jobs_file() -> None:
    file = jobs.parse(f"[stage]\nquotas = {{ ListExecutions = [500, 0.5] }}\n{JOB}", stage="dev", place="x")
    assert file.quotas == {"ListExecutions": Bucket(500, 0.5)}


@pytest.mark.parametrize(
    ("written", "says"),
    [
        pytest.param("{ ListExecution = [1, 1] }", 'stage.quotas.ListExecution: is not a known key; did you mean "ListExecutions"?', id="another call"),
        pytest.param("{ RunTask = 20 }", "stage.quotas.RunTask: is an integer, not an array; write what it holds and what comes in each second, [500, 10]", id="one number"),
        pytest.param('{ RunTask = [20, "2/s"] }', "stage.quotas.RunTask: is not two numbers", id="text"),
        pytest.param("{ RunTask = [20, 0] }", "stage.quotas.RunTask: [20, 0] is out of range", id="nothing comes in"),
        pytest.param("2", "stage.quotas: is an integer, not a table", id="no table"),
    ],
)  # fmt: skip
def test_a_fault_in_the_quotas(written: str, says: str) -> None:
    with pytest.raises(jobs.JobsFileInvalid) as refused:
        jobs.parse(f"[stage]\nquotas = {written}\n{JOB}", stage="dev", place="x")
    assert says in str(refused.value)
