"""The pace: when each start of a crowd is sent. A plan, so that two instances of the trigger agree on every instant.

A start's instant is its scheduled time, plus its place in line on the curve of the Region's quotas: each decision takes
calls (`CALLS`), of which ListExecutions has the fewest to give, a burst and then so many a second. The others bound how
close two starts may follow each other. Nothing is remembered: the line is played anew from a moment at which it must
have been empty and the quota whole, whatever went before.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Literal, NamedTuple

from chalicelib.decide.facts import stamp
from chalicelib.decide.schedule import Due, Scheduled, between, is_renewal_day, renewal_time
from chalicelib.values import dataclass

Call = Literal["ListExecutions", "ListTasks", "RunTask", "StartExecution", "DescribeExecution"]

CALLS: Mapping[Call, int] = {
    "ListExecutions": 1,
    "ListTasks": 2,
    "RunTask": 1,
    "StartExecution": 2,
    "DescribeExecution": 0,  # for `deadlines`
}
"""What one start calls that finds its job free."""

LOOK_BACK = timedelta(minutes=10)
"""So far back the plan is told again: what a tick missed, a later one makes up for."""

_FURTHEST = timedelta(hours=5)
"""A line that was never empty for so long is played from a whole hour on, as if it had been empty then."""

_RESERVE = 5
"""One in so many tokens of the burst is left to second looks (`grace`), and to people."""


class Bucket(NamedTuple):
    """A token bucket, AWS's way of limiting calls."""

    burst: float
    refill: float
    """Tokens per second."""


_LARGE: Mapping[Call, Bucket] = {
    "ListExecutions": Bucket(200, 5),
    "StartExecution": Bucket(1_300, 300),
    "DescribeExecution": Bucket(300, 15),
}
_OTHER: Mapping[Call, Bucket] = {
    "ListExecutions": Bucket(100, 2),
    "StartExecution": Bucket(800, 150),
    "DescribeExecution": Bucket(250, 10),
}
_EVERYWHERE: Mapping[Call, Bucket] = {"ListTasks": Bucket(100, 20), "RunTask": Bucket(20, 20)}
_LARGE_REGIONS = frozenset({"us-east-1", "us-west-2", "eu-west-1"})


def quotas(region: str, own: Mapping[Call, Bucket] = MappingProxyType({})) -> dict[Call, Bucket]:
    """AWS's quotas of an account in a Region, with what the account has otherwise (`[stage] quotas`).

    Step Functions: its quotas page, "API action throttling". ECS: "Request throttling for the Amazon ECS API" (cluster
    resource reads), and "AWS Fargate throttling quotas" for RunTask.
    """
    return {**_EVERYWHERE, **(_LARGE if region in _LARGE_REGIONS else _OTHER), **own}


class Curve(NamedTuple):
    """How many starts may have been sent by when. Whole microseconds, so that sums are the same in any order."""

    token: int
    """Until ListExecutions has refilled by one."""
    burst: int
    """Until an empty one is full."""
    gap: int
    """Between two starts, for the sake of the other quotas."""


def curve(quotas: Mapping[Call, Bucket]) -> Curve:
    """The curve that keeps below every quota."""
    scarce = quotas["ListExecutions"]
    token = math.ceil(1_000_000 / scarce.refill)
    burst = max(1, int(scarce.burst - scarce.burst // _RESERVE))
    others = [CALLS[call] / bucket.refill for call, bucket in quotas.items() if call != "ListExecutions"]
    return Curve(token, burst * token, math.ceil(1_000_000 * max(others)))


class Meter:
    """How far the quota is used up. Times are microseconds since 1970."""

    def __init__(self, curve: Curve, whole_at: int = 0) -> None:
        self.curve = curve
        self.whole_at = whole_at
        """When ListExecutions' bucket is full again."""
        self._next = 0

    def earliest(self, since: int) -> int:
        """The first moment from `since` on at which a start may be sent."""
        return max(since, self._next, self.whole_at + self.curve.token - self.curve.burst)

    def take(self, at: int) -> None:
        """A start is sent then."""
        self._next = at + self.curve.gap
        self.whole_at = max(self.whole_at, at) + self.curve.token


@dataclass(frozen=True, slots=True)
class Planned:
    """A scheduled time's place in the plan."""

    start: Due
    at: datetime
    """The instant at which it is sent (UTC)."""
    held_back: str | None = None
    """Why it does not start: it is only told so."""
    holiday: str = ""
    """Likewise, of a time that its calendar leaves out."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sent in a span of time."""

    sends: tuple[Planned, ...]
    """In the order of their instants."""
    waiting: frozenset[str]
    """The names of those in line behind them."""
    meter: Meter
    """What the plan leaves over at the end."""


class _Arrival(NamedTuple):
    at: int
    place: int
    """In the jobs file; renewals come after every start."""
    job: Scheduled
    renewal: int
    """The slot whose names are renewed; 0 for a start."""


def plan(
    jobs: Iterable[Scheduled],
    curve: Curve,
    since: datetime,
    until: datetime,
    history_days: int,
    renewed: Mapping[str, int],
) -> Plan:
    """Every start and verdict with since <= instant < until; `renewed`: job → how many slots are renewed in its name.

    Of one minute's starts the first in the jobs file goes first. A time that still waits when its job's next one comes
    is held back, and the next one takes its place in line, so that nobody is passed over twice for being last.
    """
    every = tuple(jobs)
    begin = _quiet(every, curve, since, history_days, renewed)
    arrivals = _arrivals(every, begin, until, history_days, renewed)
    first, end = microseconds(since), microseconds(until)
    line: dict[tuple[int, int], _Arrival] = {}
    meter = Meter(curve)
    sends: list[Planned] = []

    def serve(before: int) -> None:
        while line:
            key, head = next(iter(line.items()))
            at = meter.earliest(head.at)
            if at >= before:
                return
            del line[key]
            late = at > head.at + _patience(head)
            if not late:
                meter.take(at)
            if at >= first:
                sends.append(Planned(_due(head), moment(at), _too_late(curve) if late else None))

    for arrival in arrivals:
        serve(arrival.at)
        key = (arrival.place, arrival.renewal)
        if key in line and arrival.at >= first:
            sends.append(Planned(_due(line[key]), moment(arrival.at), _overtaken(moment(arrival.at), curve)))
        line[key] = arrival
    serve(end)
    sends.sort(key=lambda planned: planned.at)
    return Plan(tuple(sends), frozenset(_due(each).name for each in line.values()), meter)


def _quiet(
    jobs: Sequence[Scheduled], curve: Curve, before: datetime, history_days: int, renewed: Mapping[str, int]
) -> datetime:
    """The last moment by `before` at which nobody can have waited and the quota must have been whole.

    Looked for further and further back. The worst is assumed of what went before: every job in line, no token left.
    From then on everybody takes their turn at the refill's pace, without the burst, which is never sooner.
    """
    step = max(curve.token, curve.gap)
    worst = curve.burst + step * (len(jobs) + sum(renewed.values()))  # a start of each, and a renewal of each slot
    back = LOOK_BACK
    while back <= _FURTHEST:
        begin, back = before - back, 2 * back
        busy_until = microseconds(begin) + worst
        quiet = None
        for arrival in _arrivals(jobs, begin, before, history_days, renewed):
            if busy_until <= arrival.at:
                quiet = arrival.at
            busy_until = max(busy_until, arrival.at) + step
        if busy_until <= microseconds(before):
            return before
        if quiet is not None:
            return moment(quiet)
    return before.replace(minute=0, second=0, microsecond=0) - _FURTHEST


def _arrivals(
    jobs: Sequence[Scheduled], begin: datetime, end: datetime, history_days: int, renewed: Mapping[str, int]
) -> Iterator[_Arrival]:
    """Every scheduled time and renewal with begin <= time < end, in order."""
    tick = timedelta(microseconds=1)
    found = [
        _Arrival(microseconds(time), place, job, 0)
        for place, job in enumerate(jobs)
        if job.enabled
        for time in between(job.schedules, job.timezone, begin - tick, end - tick)
    ]
    day = begin.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    while day < end:
        at = renewal_time(day)
        if begin <= at < end and is_renewal_day(day, history_days):
            found += [
                _Arrival(microseconds(at), place, job, slot)
                for place, job in enumerate(jobs)
                for slot in range(1, renewed.get(job.name, 0) + 1)
            ]
        day += timedelta(days=1)
    found.sort(key=lambda each: (each.at, each.renewal, each.place))
    return iter(found)


def _due(arrival: _Arrival) -> Due:
    at, job, slot = moment(arrival.at), arrival.job, arrival.renewal
    deadline = at + timedelta(microseconds=_patience(arrival))
    shadow = job.enabled == "shadow" and not slot
    return Due(job.name, at, deadline, renewal=slot > 0, slot=max(1, slot), shadow=shadow)


def _patience(arrival: _Arrival) -> int:
    return 1_000_000 * (86_400 if arrival.renewal else arrival.job.start_deadline)


def _overtaken(by: datetime, curve: Curve) -> str:
    return f"held back until the next scheduled time came, {stamp(by)}: {_because(curve)}"


def _too_late(curve: Curve) -> str:
    return f"held back until its start_deadline had passed: {_because(curve)}"


def _because(curve: Curve) -> str:
    return (
        f"more starts are due than the quota of ListExecutions lets through, {1_000_000 / curve.token:g} a second. "
        "Spread the schedules, or have the quota raised and say so in [stage] quotas"
    )


def microseconds(moment: datetime) -> int:
    """Since 1970, as a `Meter` counts."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def moment(microseconds: int) -> datetime:
    """The other way round, in UTC."""
    return _EPOCH + timedelta(microseconds=microseconds)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
