"""What will be done to the guard, all from one seed: the same seed plans the same load.

How the threads of the emulator meet is not planned: that differs from time to time, and is the point.
"""

from datetime import timedelta
from random import Random

from chalicelib.names import batch_machine
from chalicelib.values import dataclass

STAGE = "stress"
WAIT_SCALE = 0.2
"""The emulator's waits run at a fifth, so the quotas are refilled five times as fast."""

GRACE = timedelta(seconds=3)
"""The jobs' grace as the emulator keeps it."""

NEAR = timedelta(seconds=2)
"""The past that most jobs are shown: within the grace, so no start may be lost to it."""

FAR = timedelta(seconds=60)
"""The past that one job is shown: by so much, a start may step back for a run that has long ended."""

WARMED, HELD = "warm-up", "held"
LAGS = {"skip": NEAR, "far-past": FAR, "queue": NEAR, "replace": NEAR, "orphans": NEAR, "overrun": NEAR}
"""The jobs under load, and how old what they are shown may be."""

_POLICIES = {
    "queue": 'overlap = "queue"\nqueue_timeout = "20s"',
    "replace": 'overlap = "replace"',
    "orphans": 'orphans = "stop"',
    "overrun": 'timeout = "3s"',
}


def lags() -> dict[str, float]:
    """By batch machine and by cluster, which has the job's name: how old, in seconds, what is shown of it may be."""
    return {name: lag.total_seconds() for job, lag in LAGS.items() for name in (job, batch_machine(STAGE, job))}


def jobs_file() -> str:
    """The jobs, each on a cluster and of a family of its own name: so every call of ECS tells its job."""
    jobs = [
        f'[jobs.{job}]\n{_POLICIES.get(job, "")}\necs = {{ cluster = "{job}", task_definition = "{job}" }}\n'
        for job in (WARMED, HELD, *LAGS)
    ]
    grace = round(GRACE.total_seconds() / WAIT_SCALE)
    defaults = f'[defaults]\ngrace = "{grace}s"\ntimeout = "10m"\n'
    return "\n".join([defaults, '[defaults.ecs]\ncontainer = "app"\nlaunch_type = "EC2"\n', *jobs])


@dataclass(frozen=True, slots=True)
class Burst:
    """So many starts of a job at once, `at` seconds after the beginning."""

    at: float
    job: str
    starts: int


@dataclass(frozen=True, slots=True)
class ByHand:
    """A task that somebody starts past the guard, for `life` seconds."""

    at: float
    job: str
    life: float


@dataclass(frozen=True, slots=True)
class Fate:
    """How a task of a run ends: after `life` seconds; its run may be aborted before that, and the task lives on."""

    life: float
    abort_after: float | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The load."""

    seed: int
    bursts: tuple[Burst, ...]
    by_hand: tuple[ByHand, ...]
    kills: tuple[float, ...]
    """When to kill checkers, in seconds."""

    @property
    def starts(self) -> int:
        """How many there will be, those that wait in a queue for others not counted."""
        return sum(burst.starts for burst in self.bursts)

    @property
    def seconds(self) -> float:
        """When the last of it is begun."""
        return max([*(burst.at for burst in self.bursts), *(hand.at for hand in self.by_hand)])

    def fate(self, job: str, nth: int) -> Fate:
        """Of the job's nth task."""
        random = Random(f"{self.seed} {job} {nth}")
        life = random.uniform(0.3, 6)
        return Fate(life, random.uniform(0, life) if random.random() < 0.2 else None)


def plan(seed: int, starts: int, seconds: float) -> Plan:
    """Spread so many starts over so many seconds: one large burst, the others small and large, many jobs."""
    random = Random(seed)
    left = starts
    bursts = [Burst(0.0, "skip", min(left, max(1, starts // 3)))]
    left -= bursts[0].starts
    while left > 0:
        size = min(left, random.choice((1, 1, 2, 3, 5, 8, 13, 20, 30)))
        bursts.append(Burst(random.uniform(0, seconds), random.choice([*LAGS]), size))
        left -= size
    hands = [
        ByHand(random.uniform(0, seconds), random.choice([*LAGS]), random.uniform(1, 5)) for _ in range(starts // 25)
    ]
    kills = sorted(random.uniform(0, seconds) for _ in range(max(3, round(seconds / 2))))
    return Plan(seed, tuple(sorted(bursts, key=lambda burst: burst.at)), tuple(hands), tuple(kills))
