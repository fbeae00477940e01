"""Which coming starts will probably meet a run. Pure: a pool's starts are played forward, with runs as long as usual.

Twice: with runs of the median's length, and with runs of the 95th percentile's. What meets in the first *probably*
meets, what meets in the second alone *may*. A job of which fewer than `ENOUGH` runs are known holds nothing, so nothing
is said of whoever would meet it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Literal, assert_never

from chalicelib.config.jobs import Job
from chalicelib.decide.facts import span
from chalicelib.decide.usual import ENOUGH, Usual
from chalicelib.values import dataclass

Then = Literal["steps back", "waits", "replaces it"]
"""What becomes of a start that meets a run: the job's `overlap`."""


@dataclass(frozen=True, slots=True, order=True)
class Start:
    """A coming start. Times are UTC."""

    at: datetime
    """When it is sent."""
    job: str
    scheduled: datetime


@dataclass(frozen=True, slots=True)
class Running:
    """A run in progress, since then (UTC)."""

    job: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Pool:
    """What shares `slots` runs at a time."""

    jobs: Mapping[str, Job]
    slots: int
    running: tuple[Running, ...] = ()


@dataclass(frozen=True, slots=True)
class Meeting:
    """A start that finds every slot held, by runs of these jobs: the first to end is first."""

    others: tuple[str, ...]
    then: Then
    probably: bool
    """It takes no more than runs of the usual length; else it takes long ones."""

    def told(self, job: str, usual: Mapping[str, Usual]) -> str:
        """``probably meets hourly-import (p95 52 min, from 30 runs) and steps back``."""
        named = [f"{'its own run' if other == job else other} ({how_long(usual[other])})" for other in self.others]
        verb, then = ("probably meets", self.then) if self.probably else ("may meet", _INFINITIVE[self.then])
        return f"{verb} {' and '.join(named)} and {then}"


_INFINITIVE: Mapping[Then, str] = {"steps back": "step back", "waits": "wait", "replaces it": "replace it"}


def how_long(usual: Usual) -> str:
    """``p95 52 min, from 30 runs``."""
    return f"p95 {span(usual.p95)}, from {usual.runs} runs"


def known(usual: Mapping[str, Usual | None]) -> dict[str, Usual]:
    """Those of which enough runs are known."""
    return {job: each for job, each in usual.items() if each and each.runs >= ENOUGH}


def meetings(pool: Pool, starts: Iterable[Start], usual: Mapping[str, Usual]) -> dict[Start, Meeting]:
    """The starts that meet a run. `usual` is what `known` leaves."""
    ordered = sorted(starts)
    by_median = dict(_Play(pool, {job: each.median for job, each in usual.items()}).meetings(ordered))
    by_p95 = dict(_Play(pool, {job: each.p95 for job, each in usual.items()}).meetings(ordered))
    return {
        start: Meeting(*(by_median.get(start) or by_p95[start]), probably=start in by_median)
        for start in ordered
        if start in by_median or start in by_p95
    }


@dataclass
class _Play:
    """A pool in motion. A job that is not in `lengths` holds nothing."""

    pool: Pool
    lengths: Mapping[str, timedelta]
    held: list[tuple[datetime, str]] = field(default_factory=list)
    """When a run ends, and whose it is."""
    line: list[tuple[datetime, str]] = field(default_factory=list)
    """Who waits, since when; first who goes first."""

    def meetings(self, starts: Sequence[Start]) -> Iterator[tuple[Start, tuple[tuple[str, ...], Then]]]:
        for run in self.pool.running:
            self._begin(run.job, run.since)
        for start in starts:
            job = self.pool.jobs[start.job]
            self._until(start.at)
            # Before it steps back it looks again, `grace` later.
            if job.overlap == "skip" and len(self.held) >= self.pool.slots and not self.line:
                self._until(min(start.at + timedelta(seconds=job.grace), min(self.held)[0]))
            if len(self.held) < self.pool.slots:
                self._begin(start.job, start.at)
                continue
            others = tuple(dict.fromkeys(whose for _, whose in sorted(self.held)))
            yield start, (others, self._meet(job, start.at))

    def _meet(self, job: Job, at: datetime) -> Then:
        match job.overlap:
            case "skip":
                return "steps back"
            case "queue":
                if any(whose == job.name for _, whose in self.line):
                    return "steps back"
                self.line.append((at, job.name))
                return "waits"
            case "replace":
                own = next((run for run in sorted(self.held) if run[1] == job.name), None)
                if own is None:
                    return "steps back"
                self.held.remove(own)
                self._begin(job.name, at)
                return "replaces it"
            case _:
                assert_never(job.overlap)

    def _until(self, moment: datetime) -> None:
        """Let runs end by this moment, and those who wait take their places, or give up."""
        while self.held and min(self.held)[0] <= moment:
            ended = min(self.held)
            self.held.remove(ended)
            while self.line and len(self.held) < self.pool.slots:
                since, whose = self.line.pop(0)
                if since + timedelta(seconds=self.pool.jobs[whose].queue_timeout) >= ended[0]:
                    self._begin(whose, ended[0])
        self.line = [
            (since, whose)
            for since, whose in self.line
            if since + timedelta(seconds=self.pool.jobs[whose].queue_timeout) >= moment
        ]

    def _begin(self, job: str, at: datetime) -> None:
        if job in self.lengths:
            self.held.append((at + self.lengths[job], job))
