"""What was carried becomes a jobs file that its own reader takes, or is left with the reader's words. Pure.

First each job by itself, then all of them together: a fault of the file is a reason why its job stays where it is. And
what a job means in the whole file has to be what it means by itself, whatever the defaults say.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import field, replace
from itertools import count
from typing import Any

from chalicelib.config.jobs import Fault, Job, JobsFile, JobsFileInvalid, parse
from chalicelib.names import LONGEST_NAME, MOST_SLOTS, batch_machine
from chalicelib.values import dataclass
from guardctl.importing import write
from guardctl.importing.carry import Carried, Left
from guardctl.importing.old import Reason
from guardctl.importing.write import Named

_LONGEST = LONGEST_NAME - len("-20261123T1800Z-by-hand-99")
"""Of a job's name: a start by hand for a given time has the longest name of the guard's executions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    text: str
    new: tuple[Named, ...]
    kept: tuple[str, ...]
    """Origins that the file has already."""
    left: tuple[Left, ...]


@dataclass(frozen=True)
class Existing:
    """The jobs file that is there; all empty if there is none."""

    text: str = ""
    jobs: Mapping[str, Job] = field(default_factory=dict)

    @property
    def raw(self) -> dict[str, Any]:
        return tomllib.loads(self.text)

    @property
    def origins(self) -> frozenset[str]:
        return frozenset(job.imported_from for job in self.jobs.values() if job.imported_from)


def settled(found: Sequence[Carried | Left], existing: Existing, stage: str, source: str) -> Settled:
    """The file, with everything that can be in it."""
    kept = sorted(each.origin for each in found if each.origin in existing.origins)
    fresh = [each for each in found if each.origin not in existing.origins]
    left = [each for each in fresh if isinstance(each, Left)]
    jobs, alone = [], {}
    for job in _named([each for each in fresh if isinstance(each, Carried)], existing, stage):
        try:
            alone[job.name] = _parsed(write.alone(job), stage).jobs[job.name]
            jobs.append(job)
        except JobsFileInvalid as error:
            left.append(Left(origin=job.carried.origin, reasons=tuple(_reason(f, job.name) for f in error.faults)))
    while True:
        jobs = _pooled(jobs, alone, existing, stage)
        text = _text(jobs, existing, source)
        reasons: dict[str, tuple[Reason, ...]] = {}
        try:
            whole = _parsed(text, stage).jobs if jobs else {}
            reasons = {
                name: (_DEFAULTS,) for name in alone.keys() & whole.keys() if not _same(whole[name], alone[name])
            }
        except JobsFileInvalid as error:
            for job in jobs:
                its = [fault for fault in error.faults if f"{fault.place}.".startswith(f"jobs.{job.name}.")]
                if its:
                    reasons[job.name] = tuple(_reason(fault, job.name) for fault in its)
            if not reasons:
                raise
        if not reasons:
            break
        left += [Left(origin=job.carried.origin, reasons=reasons[job.name]) for job in jobs if job.name in reasons]
        jobs = [job for job in jobs if job.name not in reasons]
    left.sort(key=lambda each: each.origin)
    return Settled(text=text, new=tuple(jobs), kept=tuple(kept), left=tuple(left))


_DEFAULTS = Reason(
    "the [defaults] of the jobs file would give it what it does not have",
    "import it into a stage of its own, or write those defaults into the jobs that need them",
)


def _text(jobs: Sequence[Named], existing: Existing, source: str) -> str:
    if existing.text:
        return write.added(existing.text, jobs, existing.raw.get("defaults", {}))
    return write.new_file(jobs, source) if jobs else ""


def _parsed(text: str, stage: str) -> JobsFile:
    try:
        text.encode()
    except UnicodeEncodeError:  # JSON may have half a character of UTF-16, and no file can
        raise JobsFileInvalid((Fault("import", "", "its input has half a character", "mend it"),)) from None
    return parse(text, stage=stage, place="import")


def _named(carried: Iterable[Carried], existing: Existing, stage: str) -> list[Named]:
    taken = {*existing.jobs, *(job.pool for job in existing.jobs.values())}
    named = []
    for each in carried:
        name = fitted(each.old.name, stage, taken)
        taken.add(name)
        named.append(Named(name, None, each))
    return named


def _pooled(jobs: Sequence[Named], alone: Mapping[str, Job], existing: Existing, stage: str) -> list[Named]:
    """What is the same batch shares a pool: by its command as it is written, and by the one that it has in effect."""
    there = existing.jobs
    taken = {*there, *(job.pool for job in there.values()), *(job.name for job in jobs)}
    keys = {job.name: _keys(alone[job.name], job.carried.program) for job in jobs}
    group_of = _united(keys)
    pools: dict[str, str] = {}
    for job in there.values():
        if job.pool not in there:  # else it is the pool of that job alone, and the reader says what to write
            same = _keys(job, ())[0]
            pools |= {group_of[name]: job.pool for name, own in keys.items() if same in own}
    for group, size in Counter(group_of.values()).items():
        if size > 1 and group not in pools:
            pools[group] = fitted(f"{alone[group].ecs.family}-pool", stage, taken)
            taken.add(pools[group])
    return [replace(job, pool=pools.get(group_of[job.name])) for job in jobs]


def _keys(job: Job, program: tuple[str, ...]) -> tuple[object, object]:
    where = (job.ecs.cluster_name, job.ecs.family)
    return (*where, job.ecs.program), (*where, "in effect", program)


def _united(keys: Mapping[str, Sequence[object]]) -> dict[str, str]:
    """Name → the group that it is of, by a name of it; who shares a key is of one group."""
    parent = {name: name for name in keys}

    def root(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    owner: dict[object, str] = {}
    for name, own in keys.items():
        for key in own:
            parent[root(name)] = root(owner.setdefault(key, name))
    return {name: root(name) for name in keys}


def _reason(fault: Fault, job: str) -> Reason:
    """A fault of the jobs file, said of the schedule that would have brought it in."""
    key = fault.place.removeprefix(f"jobs.{job}").lstrip(".")
    return Reason(f"{key}: {fault.wrong}" if key else fault.wrong, fault.right)


def _same(one: Job, other: Job) -> bool:
    """Whether they mean the same but for the pool, which is the file's."""
    return replace(one, pool="") == replace(other, pool="")


def fitted(name: str, stage: str, taken: Collection[str]) -> str:
    """The nearest valid name that nobody has: ``NightlyReport_v2`` is ``nightly-report-v2``; the second one ``…-2``."""
    spaced = re.sub("([a-z0-9])([A-Z][a-z])", r"\1-\2", name)
    words = re.findall("[a-z0-9]+", spaced.lower()) or ["job"]
    whole = "-".join(words)
    whole = whole if whole[0].isalpha() else f"job-{whole}"
    room = min(_LONGEST, LONGEST_NAME - len(batch_machine(stage, "", MOST_SLOTS)))
    for number in count(1):
        ending = "" if number == 1 else f"-{number}"
        candidate = whole[: room - len(ending)].rstrip("-") + ending
        if candidate not in taken:
            return candidate
    raise AssertionError  # count never ends
