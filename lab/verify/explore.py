"""Breadth first through every interleaving, so the first story that leads to a fault is a shortest one.

Three things keep it small, and none leaves anything out:
- a guard's step depends on the guard and the world alone, not on the other guards; so each pair is worked out once;
- guards and worlds are numbered, and a state is a tuple of numbers: the world's, then the guards';
- starts of one kind are interchangeable: a state's guards are sorted.
"""

from collections.abc import Callable, Hashable
from dataclasses import field
from functools import cache
from typing import Any, Generic, TypeVar

from chalicelib.values import dataclass
from lab.verify.machine import OTHER, RENEWAL, RENEWAL_OF_2, UNLUCKY
from lab.verify.protocol import Guarded
from lab.verify.world import (
    ABORTED,
    BESIDE,
    CLEARED,
    ENDLESS,
    LOST,
    NO_TASK,
    RENEWED,
    REPLACED,
    STARTS,
    WAITED,
    Features,
    World,
    fault,
    happenings,
    rests,
)

State = tuple[int, ...]
Outcome = tuple[tuple[int, ...], int, str | None]
"""Of one step: the guard after it (and what it started), the world, and what is wrong."""
T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True)
class Scenario:
    """Where a story begins, and what may happen in it."""

    name: str
    starts: tuple[str, ...]
    """The kind of each start."""
    history: str
    world: World
    features: Features

    @property
    def free(self) -> bool:
        """The job is free when the starts meet: a run that ended cleanly is no reason to step back."""
        quiet = all(run.closed and run.status == "SUCCEEDED" for run in self.world.runs)
        return quiet and not self.world.restless

    @property
    def good(self) -> tuple[str, ...]:
        """What has to be possible in it: a guard that never starts anything does nothing wrong either."""
        replaces = self.features.overlap == "replace" and self.starts.count(OTHER) < len(self.starts) - 1
        orphans = replaces or self.world.aborts_left or any(run.status == ABORTED for run in self.world.runs)
        expected = {
            WAITED: "queue" in {self.features.overlap, self.features.neighbour},
            REPLACED: replaces,
            CLEARED: self.features.orphans == "stop" and orphans,
            RENEWED: RENEWAL in self.starts or RENEWAL_OF_2 in self.starts,
            BESIDE: self.features.slots > 1 and self.features.outsider,
        }
        return (STARTS, *(good for good, possible in expected.items() if possible))


@dataclass
class Found:
    """What one exploration found."""

    scenario: Scenario
    states: int = 0
    transitions: int = 0
    stories: dict[str, list[str]] = field(default_factory=dict)
    """By fault: a shortest story that leads to it."""
    complete: bool = True
    """False when the search ended at the first fault."""


UNREACHABLE = "unreachable"


class Numbered(Generic[T]):
    """Values with small numbers."""

    def __init__(self) -> None:
        self.numbers: dict[T, int] = {}
        self.values: list[T] = []

    def __call__(self, value: T) -> int:
        number = self.numbers.get(value)
        if number is None:
            number = self.numbers[value] = len(self.values)
            self.values.append(value)
        return number


class Explorer:
    """Explores one protocol from one scenario."""

    def __init__(self, protocol: Guarded[Any], scenario: Scenario) -> None:
        self.protocol = protocol
        self.scenario = scenario
        self.guards: Numbered[Any] = Numbered()
        self.worlds: Numbered[World] = Numbered()
        self._steps: dict[tuple[int, int], list[Outcome]] = {}
        self._happen = cache(self._work_out_what_happens)
        self._rests = cache(lambda world: [self.worlds(after) for after, _ in rests(self.worlds.values[world])])
        self._later = cache(self._six_minutes_later)
        self._idle = cache(lambda guard: protocol.idle(self.guards.values[guard]))
        self._ended = cache(lambda guard: protocol.ended(self.guards.values[guard]))
        self._good: set[str] = set()

    def explore(self, progress: Callable[[int], None] = lambda _: None, *, until_fault: bool = False) -> Found:
        """All states; with `until_fault`, only until the first fault has its story."""
        scenario = self.scenario
        starts = [self.protocol.start(kind, place) for place, kind in enumerate(scenario.starts)]
        first = self._state(self.worlds(scenario.world), [*map(self.guards, starts)])
        parents: dict[State, State | None] = {first: None}
        found = Found(scenario)
        layer = [first]
        while layer and found.complete:
            layer = self._next_layer(layer, parents, found, until_fault=until_fault)
            progress(len(parents))
        found.states = len(parents)
        if found.complete:
            for good in scenario.good:
                if good not in self._good:
                    found.stories[f"{UNREACHABLE}: {good}"] = [f"none of {found.states:,} states is on the way there"]
        return found

    def _next_layer(
        self, layer: list[State], parents: dict[State, State | None], found: Found, *, until_fault: bool
    ) -> list[State]:
        """What is new one step on. A state with a fault is the end of its story."""
        following = []
        for state in layer:
            for after, wrong in self._after(state):
                found.transitions += 1
                if after not in parents:
                    parents[after] = state
                    if wrong is None:
                        following.append(after)
                if wrong and wrong not in found.stories:
                    found.stories[wrong] = self._story(state, after, wrong, parents)
                    if until_fault:
                        found.complete = False
                        return following
        return following

    def _after(self, state: State) -> list[tuple[State, str | None]]:
        """The states one step on, each with the fault that the step is."""
        world, *guards = state
        result: list[tuple[State, str | None]] = []
        for index, guard in enumerate(guards):
            if index and guard == guards[index - 1]:
                continue  # interchangeable with the one before it
            steps = self._steps.get((guard, world))
            if steps is None:
                steps = self._work_out(guard, world)
            rest = guards[:index] + guards[index + 1 :]
            for stepped, next_world, wrong in steps:
                after = self._state(next_world, [*rest, *stepped])
                over = wrong is None and all(map(self._ended, stepped)) and all(map(self._ended, rest))
                result.append((after, self._lost(after) if over else wrong))
        for next_world, six_minutes, wrong in self._happen(world):
            if not six_minutes:
                result.append((self._state(next_world, guards), wrong))
                continue
            later = [self._later(guard) for guard in guards]
            if None not in later:
                result.append((self._state(next_world, later), wrong))  # type: ignore[arg-type]  # no None in it
        if self.scenario.world.restless and all(map(self._idle, guards)):
            result.extend((self._state(after, guards), None) for after in self._rests(world))
        return result

    def _state(self, world: int, guards: list[int]) -> State:
        guards = sorted(guards)
        return (world, *guards)

    def _work_out(self, guard: int, world: int) -> list[Outcome]:
        value, around = self.guards.values[guard], self.worlds.values[world]
        steps: dict[Outcome, None] = {}
        if not self.protocol.ended(value):
            for step in self.protocol.steps(value, around):
                after = tuple(map(self.guards, (step.guard, *step.more)))
                outcome = (after, self.worlds(step.world), step.fault or fault(step.world))
                if step.good and outcome[2] is None:
                    self._good.add(step.good)
                if outcome != ((guard,), world, None):
                    steps[outcome] = None
            if not steps:
                steps[(guard,), world, ENDLESS] = None
        self._steps[guard, world] = list(steps)
        return self._steps[guard, world]

    def _work_out_what_happens(self, world: int) -> list[tuple[int, bool, str | None]]:
        around = happenings(self.worlds.values[world], self.scenario.features)
        return [(self.worlds(after), six, fault(after)) for after, _, six in around]

    def _six_minutes_later(self, guard: int) -> int | None:
        later = self.protocol.six_minutes_later(self.guards.values[guard])
        return None if later is None else self.guards(later)

    def _lost(self, state: State) -> str | None:
        world, *guards = state
        if not self.scenario.free or self.worlds.values[world].outsider != NO_TASK:
            return None
        values = [self.guards.values[guard] for guard in guards]
        slots = min(self.worlds.values[world].slots_of)
        few = self.scenario.features.resizes or UNLUCKY in self.scenario.starts
        too_few = sum(map(self.protocol.ran, values)) < (1 if few else slots)
        return LOST if too_few and any(map(self.protocol.stepped_back, values)) else None

    # telling

    def _story(self, last: State, end: State, wrong: str, parents: dict[State, State | None]) -> list[str]:
        path = [end, last]
        while (before := parents[path[-1]]) is not None:
            path.append(before)
        path.reverse()
        names = [*"ABCDEFG"[: len(self.scenario.starts)]]
        lines = []
        for position, state in enumerate(path[:-1]):
            final = position == len(path) - 2
            line, names = self._told(state, path[position + 1], names, wrong if final else None)
            lines.append(line)
        return lines

    def _told(self, state: State, target: State, names: list[str], wrong: str | None) -> tuple[str, list[str]]:
        """The step from one state to the next in words, and the names of the guards after it."""
        world, *guards = state
        around = self.worlds.values[world]
        for index, guard in enumerate(guards):
            value = self.guards.values[guard]
            if self.protocol.ended(value):
                continue
            for step in self.protocol.steps(value, around):
                after = [*guards]
                after[index] = self.guards(step.guard)
                after.extend(map(self.guards, step.more))
                if self._state(self.worlds(step.world), after) != target:
                    continue
                if wrong and wrong not in {step.fault, fault(step.world), LOST}:
                    continue
                glue = "" if step.said.startswith("'s") else " "
                waiters = [f"the waiter of {names[index].removeprefix('the waiter of ')}"] * len(step.more)
                return f"{names[index]}{glue}{step.said}", _sorted_names(after, [*names, *waiters])
        for after_world, said, six in happenings(around, self.scenario.features):
            after = [self._later(g) if six else g for g in guards]  # type: ignore[misc]  # checked below
            if None not in after and self._state(self.worlds(after_world), after) == target:
                return said, _sorted_names(after, names)
        for after_world, said in rests(around):
            if self._state(self.worlds(after_world), guards) == target:
                return said, names
        if wrong == ENDLESS:
            return f"{wrong}", names
        raise AssertionError("a story has a gap")


def _sorted_names(guards: list[int], names: list[str]) -> list[str]:
    return [name for _, name in sorted(zip(guards, names, strict=True), key=lambda pair: pair[0])]
