"""Other ways to keep a batch from running twice, played in the same world and judged by the same rules.

Each rival is a few named moments, and between any two of them the world and the other starts may move.
"""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from chalicelib.decide import availability as guard
from chalicelib.decide.facts import Execution
from lab.verify.protocol import NOT_YET, SAME_EVENT, Step
from lab.verify.world import (
    ALIVE,
    CHECKING,
    DELIVERED,
    JOINED,
    JUST_NOW,
    NO_SLOT,
    OPEN,
    RAN,
    STARTS,
    STEPPED_BACK,
    TWICE,
    Features,
    Run,
    World,
)

CHECK, LOCK, NEWEST, GO, BACK, ENDED = "check", "lock", "newest", "go", "back", "ended"


class Start(NamedTuple):
    """One start."""

    at: str = NOT_YET
    kind: str = ""
    run: int = -1
    """Its own execution's place in the world."""
    next_number: int = 0
    waited: bool = False
    outsider_seen: bool = False
    """A task started by hand was plainly visible when it last looked."""
    ran: bool = False
    excused: bool = False


class Rival:
    """What they have in common: one state machine, in which the start's own execution runs the task."""

    name = ""
    first = CHECK

    def __init__(self, features: Features) -> None:
        self.features = features

    def start(self, kind: str, _place: int) -> Start:
        """A start that has not happened yet."""
        return Start(kind=kind)

    def idle(self, start: Start) -> bool:
        """Not begun, or ended."""
        return start.at in {NOT_YET, ENDED}

    def ended(self, start: Start) -> bool:
        """It will not do anything any more; what it started may go on."""
        return start.at == ENDED

    def six_minutes_later(self, start: Start) -> Start | None:
        """None of them lasts that long between two steps."""
        return start if self.idle(start) else None

    def ran(self, start: Start) -> bool:
        """It has started a run."""
        return start.ran

    def stepped_back(self, start: Start) -> bool:
        """It ended by itself without having run."""
        return self.ended(start) and not start.ran and not start.excused

    def steps(self, start: Start, world: World) -> Iterator[Step[Start]]:
        """Everything it may do next."""
        if start.at == NOT_YET:
            if start.kind == SAME_EVENT:
                world = world._replace(delivered=world.delivered or DELIVERED)
            yield self._begin(start, world)
            return
        seen = world.outsider == ALIVE and world.outsider_age > JUST_NOW
        match start.at:
            case "check":
                yield from self._check(start._replace(outsider_seen=seen), world)
            case "lock":
                yield self._lock(start._replace(outsider_seen=seen), world)
            case "newest":
                yield from self._newest(start, world)
            case "go":
                yield self._go(start, world)
            case "back":
                yield Step(_ended(start), world.with_run(start.run, status=STEPPED_BACK), "steps back")
        if self.features.crashes:
            gone = world.with_run(start.run, status=STEPPED_BACK) if start.run >= 0 else world
            yield Step(_ended(start, excused=True), gone, "crashes")

    def _begin(self, start: Start, world: World) -> Step[Start]:
        begun = start._replace(at=self.first, run=len(world.runs))
        run = Run(len(world.runs) + 1, CHECKING, slot=NO_SLOT if self.features.slots > 1 else 0)
        return Step(begun, world._replace(runs=(*world.runs, run)), "starts an execution")

    def _check(self, start: Start, world: World) -> Iterator[Step[Start]]:
        for shown in _lists(start, world, self.features):
            holder = self._in_the_way(start, shown)
            names = ", ".join(f"execution {number}" for number in shown) or "none but its own"
            said = f"asks which executions are RUNNING: {names}"
            after = start._replace(at=GO if holder is None else BACK)
            yield Step(after, world, f"{said} → {'free' if holder is None else 'busy'}")

    def _in_the_way(self, start: Start, running: tuple[int, ...]) -> int | None:
        raise NotImplementedError

    def _lock(self, start: Start, world: World) -> Step[Start]:
        raise NotImplementedError

    def _newest(self, start: Start, world: World) -> Iterator[Step[Start]]:
        raise NotImplementedError

    def _go(self, start: Start, world: World) -> Step[Start]:
        return self._running(start, world.with_run(start.run, status=OPEN), "runs the batch")

    def _running(self, start: Start, world: World, said: str) -> Step[Start]:
        fault = JOINED if start.outsider_seen and world.outsider == ALIVE else None
        if start.kind == SAME_EVENT:
            fault = TWICE if world.delivered == RAN else fault
            world = world._replace(delivered=RAN)
        return Step(_ended(start, ran=True), world, said, fault, good=STARTS)


class Article(Rival):
    """One list of RUNNING executions; any but its own is in the way."""

    name = "the article's guard"

    def _in_the_way(self, start: Start, running: tuple[int, ...]) -> int | None:
        return next(iter(running), None)


class OldestWins(Rival):
    """The same list; only an older execution is in the way. This is what `check` answers to the article's event."""

    name = 'the article\'s guard, "oldest wins"'

    def _in_the_way(self, start: Start, running: tuple[int, ...]) -> int | None:
        older = guard.older_is_running(_execution(start.run + 1), map(_execution, running))
        return int(older.name) if older else None


class TwoLists(Rival):
    """Numbered runs like ours, but what is RUNNING and what is newest are asked in two calls."""

    name = "a guard that lists twice"

    def _begin(self, start: Start, world: World) -> Step[Start]:
        return Step(start._replace(at=CHECK), world, "starts")

    def _check(self, start: Start, world: World) -> Iterator[Step[Start]]:
        for running in _lists(start, world, self.features):
            if running:
                said = f"asks which runs are RUNNING: {', '.join(map(str, running))} → steps back"
                yield Step(_ended(start), world, said)
            else:
                yield Step(start._replace(at=NEWEST), world, "asks which runs are RUNNING: none")

    def _newest(self, start: Start, world: World) -> Iterator[Step[Start]]:
        for visible in _some([run.number for run in world.runs], self.features):
            newest = max(visible, default=0)
            said = f"asks for the newest run: {newest or 'none'}"
            yield Step(start._replace(at=GO, next_number=newest + 1), world, said)

    def _go(self, start: Start, world: World) -> Step[Start]:
        run = Run(start.next_number)
        said = f"starts {run.name}"
        if world.holder_of(run.number):
            return Step(start._replace(at=CHECK, next_number=0), world, f"{said}: the name is taken; asks again")
        return self._running(start, world._replace(runs=(*world.runs, run)), said)


class LockWithTtl(Rival):
    """A row in a strongly consistent table, with a time to live in case its holder dies."""

    name = "a lock with a TTL"
    first = LOCK

    def _lock(self, start: Start, world: World) -> Step[Start]:
        if world.lock is not None and not world.lock[1]:
            back = world.with_run(start.run, status=STEPPED_BACK)
            return Step(_ended(start), back, "finds the lock taken, and steps back")
        return Step(start._replace(at=GO), world._replace(lock=(start.run, False)), "takes the lock")


class CountRunning(Rival):
    """One list of RUNNING executions; as many others as there are slots are in the way."""

    name = "count what runs"

    def _in_the_way(self, start: Start, running: tuple[int, ...]) -> int | None:
        return running[self.features.slots - 1] if len(running) >= self.features.slots else None


class Semaphore(Rival):
    """A counter in a strongly consistent table: one conditional update takes a place if one is left, and else waits.

    It is given back by the execution itself at its end, and of one that was aborted by whoever is told of that.
    """

    name = "a semaphore in a table"
    first = LOCK

    def _lock(self, start: Start, world: World) -> Step[Start]:
        if len(world.semaphore) >= self.features.slots:
            return Step(start._replace(waited=not start.waited), world, "finds no place left, and waits")
        taken = tuple(sorted((*world.semaphore, start.run)))
        return Step(start._replace(at=GO, waited=False), world._replace(semaphore=taken), "takes a place")


RIVALS: tuple[type[Rival], ...] = (Article, OldestWins, TwoLists, LockWithTtl)
RIVALS_OF_POOLS: tuple[type[Rival], ...] = (CountRunning, Semaphore)


def _ended(start: Start, *, ran: bool = False, excused: bool = False) -> Start:
    return Start(ENDED, ran=ran, excused=excused)


def _lists(start: Start, world: World, features: Features) -> Iterator[tuple[int, ...]]:
    """The other executions that one read may show as RUNNING, by number."""
    others = [run for i, run in enumerate(world.runs) if i != start.run]
    certain = [run.number for run in others if not run.closed]
    if not features.stale:
        yield tuple(certain)
        return
    yield from _some([run.number for run in others], features)


def _some(numbers: list[int], features: Features) -> Iterator[tuple[int, ...]]:
    """All of them; a list that may be stale can also leave any out."""
    if not features.stale:
        yield tuple(numbers)
        return
    for chosen in itertools.product((True, False), repeat=len(numbers)):
        yield tuple(number for number, kept in zip(numbers, chosen, strict=True) if kept)


def _execution(number: int) -> Execution:
    began = datetime(2026, 11, 23, 18, tzinfo=UTC) + timedelta(seconds=number)
    return Execution(f"arn:{number}", str(number), "RUNNING", began)
