"""What ``make verify`` explores, as a list of jobs that may run side by side."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from chalicelib.values import dataclass
from lab.verify.explore import Explorer, Found, Scenario
from lab.verify.machine import SCHEDULE
from lab.verify.mutants import MUTANTS
from lab.verify.ours import Ours
from lab.verify.protocol import SAME_EVENT, Guarded
from lab.verify.rivals import RIVALS, RIVALS_OF_POOLS
from lab.verify.scenarios import EMPTY, LARGE, NOBODY, NOTHING, SCENARIOS, of_pool
from lab.verify.world import Features, World

CALM = NOTHING
DOCUMENTED = replace(NOTHING, stale=True, crashes=True, outsider=True, aborts=1)
SIDE_BY_SIDE: dict[str, Features] = {
    "Lists are never stale, nobody crashes, nothing is aborted": CALM,
    "As AWS documents: lists may be stale, starts crash, one run is aborted, a task is started by hand": DOCUMENTED,
}
POOLS_SIDE_BY_SIDE: dict[str, Features] = {
    "Two slots; lists are never stale, nothing is aborted": replace(CALM, slots=2),
    "Two slots, as AWS documents: lists may be stale, one run is aborted": replace(CALM, slots=2, stale=True, aborts=1),
}
MEETINGS_OF_THREE = ((SCHEDULE, SCHEDULE, SCHEDULE), (SAME_EVENT, SAME_EVENT))
MEETINGS = ((SCHEDULE, SCHEDULE), (SAME_EVENT, SAME_EVENT))
PROTOCOLS: dict[str, Callable[[Features], Guarded[Any]]] = {Ours.name: Ours, **{rival.name: rival for rival in RIVALS}}

PROTOCOLS_OF_POOLS: dict[str, Callable[[Features], Guarded[Any]]] = {
    Ours.name: Ours,
    **{rival.name: rival for rival in RIVALS_OF_POOLS},
}


@dataclass(frozen=True)
class Exploration:
    """One protocol from one scenario."""

    part: Literal["ours", "side by side", "mutant"]
    protocol: str
    scenario: Scenario

    def run(self, progress: Callable[[int], None] = lambda _: None) -> Found:
        """All its states; of a mutant, until it is caught."""
        if self.part == "mutant":
            mutant = next(m for m in MUTANTS if m.name == self.protocol)
            return Explorer(mutant.protocol(), self.scenario).explore(progress, until_fault=True)
        if self.part == "ours":
            ours = Ours(self.scenario.features, track=self.scenario.free)
            return Explorer(ours, self.scenario).explore(progress)
        return Explorer(
            {**PROTOCOLS, **PROTOCOLS_OF_POOLS}[self.protocol](self.scenario.features), self.scenario
        ).explore(progress)


def explorations(*, large: bool = False) -> list[Exploration]:
    """All of them, in the order in which they are reported; the large ones too, if asked for."""
    ours = [Exploration("ours", Ours.name, scenario) for scenario in (*SCENARIOS, *(LARGE if large else ()))]
    beside = [
        Exploration("side by side", name, Scenario(world, starts, NOBODY, _aborts(features), features))
        for world, features in SIDE_BY_SIDE.items()
        for name in PROTOCOLS
        for starts in MEETINGS
    ]
    beside += [
        Exploration(
            "side by side", name, Scenario(world, starts, NOBODY, of_pool(_aborts(features), features), features)
        )
        for world, features in POOLS_SIDE_BY_SIDE.items()
        for name in PROTOCOLS_OF_POOLS
        for starts in MEETINGS_OF_THREE
    ]
    return [*ours, *beside, *(Exploration("mutant", mutant.name, mutant.scenario) for mutant in MUTANTS)]


def _aborts(features: Features) -> World:
    return EMPTY._replace(aborts_left=features.aborts)
