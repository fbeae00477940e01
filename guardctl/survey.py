"""The rows of many jobs at once: one list of the guard's executions, one of each pool's runs, and few descriptions.

The list names job, scheduled time and status, a thousand for one call; which of its entries are described says
`guardctl.listed`. Nothing here writes.
"""

import bisect
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import field, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby
from typing import Any

from chalicelib.config.jobs import Job
from chalicelib.decide.facts import CantTell, Execution, Refused
from chalicelib.names import parse_guard_name, scheduled_name
from chalicelib.read.aws import NotDeployed
from chalicelib.values import dataclass
from guardctl import listed
from guardctl.chart import Row
from guardctl.clusters import Clusters
from guardctl.days_off import with_verdict
from guardctl.ledger import Entry, Facts, Record, asked_by_hand, ledger
from guardctl.listed import Known
from guardctl.records import Deployed, Reader

_SIDE_BY_SIDE = 8
_A_PAGE = 1000
_TOGETHER = 40
"""So many pools are asked about before their rows are told."""

DESCRIPTIONS = 100
"""So many executions are described for a picture, unless `--limit` says otherwise."""

EVERYTHING = 1_000_000
"""For what must be complete."""

_BAD = frozenset({"FAILED", "TIMED_OUT", "ABORTED"})


@dataclass(frozen=True)
class Survey:
    """What is asked of a stage: these jobs, from `start` to `now` (UTC)."""

    reader: Reader
    jobs: Sequence[Job]
    start: datetime
    now: datetime
    _known: dict[Any, list[datetime]] = field(default_factory=dict, init=False)
    """By schedules and zone, every time: many jobs have the same, and each is asked for more than once."""

    def rows(self, limit: int = DESCRIPTIONS) -> Iterator[Row]:
        """A row a job, those of a pool beside each other, as they come: first what is known to be bad.

        `limit`: how many executions are described at most. Raises what `chalicelib.read.aws.reading` raises.
        """
        every = limit >= EVERYTHING
        deployed = self.reader.all_deployed(self.jobs)
        if self._by_name_is_cheaper(deployed):
            clusters = Clusters.of(self.reader.stage.tasks, self.jobs)
            yield from _worst_first(
                [self.reader.row(job, self.start, self.now, limit=limit, clusters=clusters) for job in self.jobs]
            )
            return
        guards: dict[str, list[Execution]] = {job.name: [] for job in self.jobs}
        for execution in self.reader.listed(self.reader.stage.guard, self.start):
            said = parse_guard_name(execution.name)
            if said and said.job in guards:
                guards[said.job].append(execution)
        failed = Counter({name: sum(e.status in _BAD for e in its) for name, its in guards.items()})
        pools = [[job for job in self.jobs if job.pool == pool] for pool in dict.fromkeys(j.pool for j in self.jobs)]
        pools.sort(key=lambda members: (-sum(failed[job.name] for job in members), self.jobs.index(members[0])))
        clusters = Clusters.of(self.reader.stage.tasks, self.jobs)
        parts = [pools[first : first + _TOGETHER] for first in range(0, len(pools), _TOGETHER)]
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as threads:
            for number, part in enumerate(parts):
                found = [*threads.map(partial(self._listed, deployed=deployed, guards=guards), part)]
                found.sort(key=lambda pool: -pool.bad)
                known = self._described(found, limit // (len(parts) - number), every=every)
                limit -= len(known)
                for rows in threads.map(partial(self._told, known=known, clusters=clusters), found):
                    yield from rows

    def _by_name_is_cheaper(self, deployed: Mapping[str, Deployed | None]) -> bool:
        """Whether looking up every scheduled time by its name takes no more calls than the list of all.

        Only where the schedules have been the same throughout: the list also has the times of an older one.
        """
        stage = self.reader.stage
        if any(each[1] > self.start for each in deployed.values() if each):
            return False
        asked = sum(len(self._times(each)) for each in deployed.values() if each)
        everything = sum(len(self._every(job)) for job in stage.file.jobs.values() if job.enabled)
        return asked <= 1 + everything // _A_PAGE

    def _times(self, deployed: Deployed) -> list[datetime]:
        job, since = deployed
        times = self._every(job)
        return times[bisect.bisect_left(times, since) :]

    def _every(self, job: Job) -> list[datetime]:
        key = job.schedules, job.timezone
        if key not in self._known:
            self._known[key] = with_verdict(*key, self.start, self.now)
        return self._known[key]

    def _listed(
        self,
        members: Sequence[Job],
        deployed: Mapping[str, Deployed | None],
        guards: Mapping[str, Sequence[Execution]],
    ) -> "_Pool":
        reader = self.reader
        there = [found for job in members if (found := deployed[job.name])]
        pool = _Pool(members, there, {job.name: guards[job.name] for job, _ in there})
        try:
            machines = reader.stage.machines(members[0].name) if there else ()
            runs = [run for machine in machines for run in reader.newest(machine, self.start)]
        except NotDeployed:
            return replace(pool, there=())
        except (CantTell, Refused) as error:
            return replace(pool, unread=str(error))
        paired = listed.pairs([e for its in pool.guards.values() for e in its], runs)
        absent = [row for each in there for row in self._absent(each, guards[each[0].name])]
        return replace(pool, runs=runs, paired=paired, absent=absent)

    def _told(self, pool: "_Pool", known: Known, clusters: Clusters) -> list[Row]:
        """A row for each of the pool's jobs. One that can't be read says why."""
        by_name = {job.name: (job, since) for job, since in pool.there}
        rows = []
        for job in pool.members:
            about: dict[str, Any] = {"job": job.name, "pool": job.pool if self.reader.stage.shared(job.name) else None}
            if pool.unread or job.name not in by_name:
                rows.append(Row(**about, entries=(), deployed=bool(pool.unread), unread=pool.unread))
                continue
            try:
                entries = self._entries(by_name[job.name], pool, known)
                tasks = self.reader.tasks_by_hand(job, clusters)
            except (CantTell, Refused) as error:
                rows.append(Row(**about, entries=(), unread=str(error)))
                continue
            left_out = sum(entry.outcome == "not looked up" for entry in entries)
            rows.append(Row(**about, entries=entries, tasks=tasks, left_out=left_out))
        return rows

    def _absent(self, deployed: Deployed, guards: Iterable[Execution]) -> list[tuple[str, ...]]:
        """Scheduled times in a row that no list shows, as ARNs of what they would be."""
        if not deployed[0].enabled:
            return []
        there = {execution.name for execution in guards}
        names = [scheduled_name(deployed[0].name, time) for time in self._times(deployed)]
        in_rows = groupby(names, key=lambda name: name in there)
        return [tuple(map(self.reader.stage.guard_execution, row)) for shown, row in in_rows if not shown]

    def _described(self, pools: Sequence["_Pool"], limit: int, *, every: bool) -> dict[str, Record | None]:
        """The descriptions that the rows need, `limit` at most: the bad first, then the newest, of all jobs in turn.

        `every`: of all that the lists show and don't tell by themselves, alike or not.
        """
        places = ((row.rank, place, row) for pool in pools for its in _rows(pool) for place, row in enumerate(its))
        rows = [row for _, _, row in sorted(places, key=lambda each: each[:2])]
        known: dict[str, Record | None] = {}
        if every:
            absent = {arns for pool in pools for arns in pool.absent}  # known by that already
            arns = [arn for row in rows if row.arns not in absent for arn in row.arns]
            known |= zip(arns, self.reader.all(arns, "looking up reasons"), strict=True)
        while len(known) < limit:
            asked = [arn for row in rows for arn in listed.questions(row, known)][: limit - len(known)]
            if not asked:
                break
            known |= zip(asked, self.reader.all(asked, "looking up reasons"), strict=True)
        return known

    def _entries(self, deployed: Deployed, pool: "_Pool", known: Known) -> tuple[Entry, ...]:
        job, since = deployed
        records: dict[str, Record] = {}
        for execution in pool.guards[job.name]:
            run = pool.paired.get(execution.arn)
            plain = listed.started(execution, run) if run else listed.between(execution)
            told = known.get(execution.arn) or plain
            records[told.name] = told
        for said in known.values():
            named = parse_guard_name(said.name) if said else None
            if said and named and named.job == job.name:
                records.setdefault(said.name, said)
        records = self.reader.with_waiters(records, job.name)
        started = {record.started_run for record in records.values()}
        by = {run: guard for guard, run in pool.paired.items()}
        alone = not self.reader.stage.shared(job.name)
        own = []
        for begun in pool.runs:
            said = known.get(begun.arn)
            its_own = alone or (said is not None and said.input.get("job") == job.name)
            if begun.arn in started or its_own:
                own.append(said or listed.run_of(begun, by.get(begun.arn)))
        kept = timedelta(days=self.reader.stage.file.history_days)
        facts = Facts(now=self.now, since=since, guards=records, runs=tuple(own), kept=kept)
        # A guard execution tells of its time, also of one that only an older schedule had.
        seen = {time for guard in pool.guards[job.name] if (time := _scheduled(guard)) and time > self.start}
        entries = ledger(job, seen.union(self._times(deployed)), facts)
        return tuple(entry for entry in entries if entry.outcome != "no schedule")


@dataclass(frozen=True)
class _Pool:
    """What lists show of a pool's jobs."""

    members: Sequence[Job]
    there: Sequence[Deployed]
    """Those that are deployed."""
    guards: Mapping[str, Sequence[Execution]]
    runs: Sequence[Execution] = ()
    paired: Mapping[str, str] = field(default_factory=dict)
    absent: Sequence[tuple[str, ...]] = ()
    unread: str = ""
    """Why it could not be read."""

    @property
    def bad(self) -> int:
        """How much of it is bad, as far as lists tell."""
        guards = [execution for its in self.guards.values() for execution in its]
        return bool(self.unread) + sum(execution.status in _BAD for execution in (*guards, *self.runs))


def _worst_first(rows: Sequence[Row]) -> list[Row]:
    """The pools of which most needs a person first; their rows stay together."""
    bad: Counter[str] = Counter()
    for row in rows:
        bad[row.pool or row.job] += bool(row.unread) + sum(entry.needs_a_person for entry in row.entries)
    return sorted(rows, key=lambda row: -bad[row.pool or row.job])


def _rows(pool: _Pool) -> Iterator[list[listed.Row]]:
    """All that a description would tell more about: of each job, and of the runs, the newest first."""
    for its in pool.guards.values():
        quiet = {e.arn for e in its if e.closed and e.status == "SUCCEEDED" and not asked_by_hand(e.name)}
        yield [*listed.rows(its, pool.runs, 0, fine=quiet)][::-1]
        yield [*listed.rows(its, pool.runs, 2, fine=pool.paired.keys() | {e.arn for e in its} - quiet)][::-1]
    yield [listed.Row(1, arns) for arns in pool.absent][::-1]
    begun = frozenset(pool.paired.values())
    failed = {run.arn for run in pool.runs if run.closed and run.status != "SUCCEEDED"}
    yield [*listed.rows(pool.runs, (), 0, fine={run.arn for run in pool.runs} - failed)][::-1]
    yield [*listed.rows(pool.runs, (), 1, fine=begun | failed)][::-1]


def _scheduled(guard: Execution) -> datetime | None:
    said = parse_guard_name(guard.name)
    return said.scheduled_at if said and said.kind == "scheduled" else None
