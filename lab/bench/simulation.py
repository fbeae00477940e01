"""A discrete-event simulation: processes are generators that yield the seconds until they go on."""

import heapq
from collections.abc import Generator
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")
Process = Generator[float, None, T]
"""Yields how long to sleep (simulated seconds); returns a T."""


@dataclass
class World:
    """The clock, the dice and everything that is going on."""

    random: Random
    now: float = 0.0
    _agenda: list[tuple[float, int, Process[Any]]] = field(default_factory=list)
    _born: int = 0

    def start(self, process: Process[Any], after: float = 0.0) -> None:
        """Let the process begin so many seconds from now."""
        self._born += 1
        heapq.heappush(self._agenda, (self.now + after, self._born, process))

    def run(self, until: float) -> None:
        """Go on until nothing is left to do, or until that time."""
        agenda = self._agenda
        while agenda and agenda[0][0] <= until:
            self.now, number, process = heapq.heappop(agenda)
            sleep = next(process, None)
            if sleep is not None:
                heapq.heappush(agenda, (self.now + sleep, number, process))


@dataclass
class Bucket:
    """A token bucket, full at the start: AWS's way of limiting calls. A refused call costs no token."""

    capacity: float
    refill: float
    """Tokens per second."""
    granted: int = 0
    refused: int = 0
    _tokens: float = field(init=False)
    _at: float = 0.0

    def __post_init__(self) -> None:
        self._tokens = self.capacity

    def take(self, now: float) -> bool:
        """Take a token if there is one."""
        self._fill(now)
        if self._tokens < 1:
            self.refused += 1
            return False
        self._tokens -= 1
        self.granted += 1
        return True

    def queue(self, now: float) -> float:
        """Take the next free token, now or later; returns how long to wait for it."""
        self._fill(now)
        self._tokens -= 1
        self.granted += 1
        return max(0.0, -self._tokens / self.refill)

    def _fill(self, now: float) -> None:
        self._tokens = min(self.capacity, self._tokens + (now - self._at) * self.refill)
        self._at = now


@dataclass
class RetryQuota:
    """What a botocore client has for retries in standard mode: 500, of which each retry takes 5 (botocore.retries)."""

    left: int = 500

    COST = 5

    def acquire(self) -> bool:
        """Pay for a retry, if there is enough."""
        if self.left < self.COST:
            return False
        self.left -= self.COST
        return True

    def release(self, retried: bool) -> None:
        """A success gives back its last retry's cost, or 1 if it was not retried."""
        self.left = min(500, self.left + (self.COST if retried else 1))


def botocore_call(world: World, bucket: Bucket, quota: RetryQuota, *, attempts: int, latency: float) -> Process[bool]:
    """One call as botocore makes it in standard mode: True, or False when it gives up on being throttled."""
    for attempt in range(attempts):
        yield latency
        if bucket.take(world.now):
            quota.release(retried=attempt > 0)
            return True
        if attempt + 1 == attempts or not quota.acquire():
            return False
        yield world.random.random() * min(2**attempt, 20)
    return False
