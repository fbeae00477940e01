"""What a guard must offer to be explored: ours and its rivals are played in the same world."""

from collections.abc import Hashable, Iterator
from typing import Generic, Protocol, TypeVar

from chalicelib.values import dataclass
from lab.verify.world import World

NOT_YET = "not yet"
SAME_EVENT = "an event that comes twice"

G = TypeVar("G", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Step(Generic[G]):
    """One thing a guard does at one moment: itself and the world after it, in words, and what is wrong with it."""

    guard: G
    world: World
    said: str
    fault: str | None = None
    good: str | None = None
    """What it has brought about, if that is what it is for."""
    more: tuple[G, ...] = ()
    """What it has started besides: another guard, which waits in its stead."""


class Guarded(Protocol[G]):
    """A way to keep a batch from running twice."""

    name: str

    def start(self, kind: str, place: int) -> G:
        """A start that has not happened yet, the `place`th of its scenario."""

    def steps(self, guard: G, world: World) -> Iterator[Step[G]]:
        """Everything it may do next."""

    def idle(self, guard: G) -> bool:
        """It is not in the middle of anything."""

    def ended(self, guard: G) -> bool:
        """It will not do anything any more."""

    def six_minutes_later(self, guard: G) -> G | None:
        """The guard when six minutes have passed; None if they can't pass now."""

    def ran(self, guard: G) -> bool:
        """It has started a run."""

    def stepped_back(self, guard: G) -> bool:
        """It ended without having run, and nothing excuses it."""
