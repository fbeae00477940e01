"""The top of the hour: many jobs due in the same minute, under the quotas of a Region. Simulated.

Every job is free, so every start must run: one that does not is *lost*. Simulated are the trigger, both state
machines and the checker, each with the retry settings that are deployed (`bench.settings`), against token buckets
as large as AWS's. Not simulated: anybody else who uses the same quotas, and failures other than throttling.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from statistics import median
from typing import Literal

from lab.bench.settings import Retrier, Settings, first_match
from lab.bench.simulation import Bucket, Process, RetryQuota, World, botocore_call

Work = Callable[[], Process[bool]]
Handler = Callable[[RetryQuota], Process[bool]]

Protocol = Literal["list", "names", "names, kept"]
"""How the checker learns the newest run. "list": ListExecutions, as deployed. The others are proposals: when that
is throttled, by names: the job's previous guard execution (its output names the run that it started), that run,
and the next pause. "names" reads all anew at each try; "names, kept" remembers the first two, which can't change."""


@dataclass(frozen=True)
class Quotas:
    """Token buckets, (capacity, refill per second), of one account in one Region."""

    region: str
    list_executions: tuple[float, float]
    start_execution: tuple[float, float]
    describe_execution: tuple[float, float]
    transitions: tuple[float, float]
    ecs_reads: tuple[float, float] = (100, 20)
    """ListTasks and DescribeTasks together (AWS, "Request throttling for the Amazon ECS API")."""
    run_task: tuple[float, float] = (20, 20)
    """Calls of RunTask with Fargate (AWS, "AWS Fargate throttling quotas")."""


TOKYO = Quotas("ap-northeast-1", (100, 2), (800, 150), (250, 10), (800, 800))
VIRGINIA = Quotas("us-east-1", (200, 5), (1300, 300), (300, 15), (5000, 5000))

JOBS_PER_STAGE = 249
"""CloudFormation takes 500 resources a stack: two per job and two more (`guardctl.template`)."""

LATENCY = 0.03
"""Assumed: one AWS call, there and back."""
COLD = 1.0
"""Assumed: a function's cold start."""
CPU = 0.01
"""Assumed: what a call costs the trigger's share of a CPU (512 MB are about 0.29 of one)."""
NAMES_READ = 3
"""DescribeExecution calls of the proposals."""
CONCURRENCY = 1000
"""Lambda's executions at once in an account, AWS's default."""


@dataclass
class Outcome:
    """What came of one rush."""

    jobs: int
    region: str
    protocol: Protocol
    deadline: float
    """The jobs' start_deadline, in seconds."""
    launched: list[float] = field(default_factory=list)
    """When each job's task was started, in seconds after the scheduled time."""
    lost: Counter[str] = field(default_factory=Counter)
    refused: dict[str, int] = field(default_factory=dict)
    transitions: int = 0
    checks: int = 0

    @property
    def lost_in_all(self) -> int:
        """Jobs without a task, for whatever reason."""
        return self.jobs - len(self.launched)

    @property
    def last(self) -> float:
        """When the last task was started."""
        return max(self.launched, default=0.0)

    @property
    def middle(self) -> float:
        """When half of those that were started had been."""
        return median(self.launched) if self.launched else 0.0


def simulate(jobs: int, quotas: Quotas, settings: Settings, *, protocol: Protocol = "list", seed: int = 1) -> Outcome:
    """Let that many jobs be due at once."""
    rush = _Rush(jobs, quotas, settings, protocol, seed)
    rush.run()
    return rush.outcome


@dataclass
class _Start:
    """What a guard execution carries from one state to the next."""

    claimed: bool = False
    """It has asked for a run and got no answer."""
    known: int = 0
    """Names read so far."""


class _Rush:
    def __init__(self, jobs: int, quotas: Quotas, settings: Settings, protocol: Protocol, seed: int) -> None:
        self.world = World(Random(seed))
        self.settings = settings
        self.protocol = protocol
        self.outcome = Outcome(jobs, quotas.region, protocol, settings.deadline)
        self.list_executions = Bucket(*quotas.list_executions)
        self.start_execution = Bucket(*quotas.start_execution)
        self.describe_execution = Bucket(*quotas.describe_execution)
        self.transitions = Bucket(*quotas.transitions)
        self.ecs_reads = Bucket(*quotas.ecs_reads)
        self.run_task = Bucket(*quotas.run_task)
        self.running = 0
        self.idle: list[RetryQuota] = []
        self.undecided = jobs

    def run(self) -> None:
        left = self.outcome.jobs
        while left > 0:
            stage = _Stage(self, min(left, JOBS_PER_STAGE))
            self.world.start(stage.ticks())
            left -= stage.jobs
        self.world.run(until=self.settings.deadline + 7200)
        out = self.outcome
        if self.undecided:
            out.lost["its guard was never started"] += self.undecided
        out.refused = {
            "ListExecutions": self.list_executions.refused,
            "StartExecution": self.start_execution.refused,
            "DescribeExecution": self.describe_execution.refused,
            "ListTasks": self.ecs_reads.refused,
            "RunTask": self.run_task.refused,
        }
        out.transitions = self.transitions.granted

    # --- the guard machine --------------------------------------------------------------------------------

    def guard(self) -> Process[None]:
        began = self.world.now
        self.undecided -= 1
        start = _Start()
        while True:
            yield from self.enter()  # Check running executions
            if (yield from self.task(self.check(start), self.settings.check, "CantTell")):
                yield from self.enter()  # Already running?
                yield from self.enter()  # Start the run
                if (yield from self.task(self.create_run(), self.settings.start, "StepFunctions.ThrottlingException")):
                    yield from self.enter()  # Started
                    return
                start.claimed = True
            yield from self.enter()  # Can asking again help?
            if self.world.now >= self.settings.deadline:
                yield from self.enter()  # Check failed
                self.outcome.lost["could not tell until its deadline"] += 1
                return
            yield from self.enter()  # Ask again later
            yield self.settings.again.seconds(self.world.now - began)

    def task(self, attempt: Work, retriers: tuple[Retrier, ...], error: str) -> Process[bool]:
        """A Task state: the attempt, and its retries."""
        retrier = first_match(retriers, error)
        tries = 0
        while not (yield from attempt()):
            tries += 1
            if retrier is None or tries > retrier.attempts:
                return False
            yield retrier.delay(tries, self.world.random)
            yield from self.enter()  # a retry is a transition as well (AWS, Step Functions pricing)
        return True

    def enter(self) -> Process[None]:
        """A state is entered. Step Functions delays transitions over the quota; it does not refuse them."""
        wait = self.transitions.queue(self.world.now)
        if wait:
            yield wait

    # --- the checker --------------------------------------------------------------------------------------

    def check(self, start: _Start) -> Work:
        def attempt() -> Process[bool]:
            return (yield from self.invoke(lambda quota: self.decide(quota, start)))

        return attempt

    def decide(self, quota: RetryQuota, start: _Start) -> Process[bool]:
        if start.claimed and not (yield from self.call(self.describe_execution, quota)):
            return False
        listed = yield from self.call(self.list_executions, quota)
        return (listed or (yield from self.by_names(quota, start))) and (yield from self.evidence(quota))

    def by_names(self, quota: RetryQuota, start: _Start) -> Process[bool]:
        if self.protocol == "list":
            return False
        known = start.known if self.protocol == "names, kept" else 0
        for read in range(known, NAMES_READ):
            if not (yield from self.call(self.describe_execution, quota)):
                return False
            start.known = min(read + 1, NAMES_READ - 1)  # whether the job is paused is asked each time
        return True

    def evidence(self, quota: RetryQuota) -> Process[bool]:
        """Stopped tasks, then running ones; there are none, so none is described."""
        return (yield from self.call(self.ecs_reads, quota)) and (yield from self.call(self.ecs_reads, quota))

    def invoke(self, work: Handler) -> Process[bool]:
        """One invocation of the checker, in an idle environment or in a new one."""
        self.outcome.checks += 1
        if self.running >= CONCURRENCY:
            return False
        self.running += 1
        if self.idle:
            quota = self.idle.pop()
        else:
            quota = RetryQuota()
            yield COLD
        done = yield from work(quota)
        self.idle.append(quota)
        self.running -= 1
        return done

    def call(self, bucket: Bucket, quota: RetryQuota) -> Process[bool]:
        return botocore_call(self.world, bucket, quota, attempts=self.settings.attempts, latency=LATENCY)

    # --- the batch machine --------------------------------------------------------------------------------

    def create_run(self) -> Work:
        def attempt() -> Process[bool]:
            yield LATENCY
            if not self.start_execution.take(self.world.now):
                return False
            self.world.start(self.batch())
            return True

        return attempt

    def batch(self) -> Process[None]:
        began = self.world.now
        yield from self.enter()  # Is it a run?
        while True:
            yield from self.enter()  # Run an ECS task and wait for it to complete
            if (yield from self.task(self.launch, self.settings.run_task, "ECS.ThrottlingException")):
                self.outcome.launched.append(self.world.now)
                yield from self.enter()  # How does the task stand?
                yield from self.enter()  # Succeeded
                return
            yield from self.enter()  # What does ECS's answer mean?
            yield from self.enter()  # Is there time to try again?
            if self.world.now >= self.settings.deadline:
                yield from self.enter()  # Not placed
                self.outcome.lost["ECS had no room until its deadline"] += 1
                return
            yield from self.enter()  # Wait for room
            yield self.settings.room.seconds(self.world.now - began)

    def launch(self) -> Process[bool]:
        yield LATENCY
        return self.run_task.take(self.world.now)


class _Stage:
    """The trigger of one stage: it has the jobs of one stack, and here one environment: ticks don't overlap."""

    def __init__(self, rush: _Rush, jobs: int) -> None:
        self.rush = rush
        self.jobs = jobs
        self.named: set[int] = set()
        """Guard executions that exist."""
        self.handled: set[int] = set()
        """What the function remembers of them."""
        self.busy = False
        self.quota: RetryQuota | None = None
        self.cpu_free_at = 0.0

    def ticks(self) -> Process[None]:
        """EventBridge, every minute, as long as a job is due that has no guard execution."""
        while self.rush.world.now <= self.rush.settings.deadline and len(self.named) < self.jobs:
            self.rush.world.start(self.event())
            yield 60.0

    def event(self) -> Process[None]:
        """An asynchronous event: after a failure it comes twice more, and while the function is busy it waits."""
        for pause in (60.0, 120.0, None):
            wait = 1.0
            while self.busy:
                yield wait
                wait = min(2 * wait, 300.0)
            self.busy = True
            done = yield from self.invocation()
            self.busy = False
            if done or pause is None:
                return
            yield pause

    def invocation(self) -> Process[bool]:
        world, settings = self.rush.world, self.rush.settings
        ends = world.now + settings.trigger_timeout
        if self.quota is None:
            self.quota = RetryQuota()
            yield COLD
        todo = [job for job in range(self.jobs) if job not in self.handled] if world.now <= settings.deadline else []
        done: set[int] = set()
        threads = [[True] for _ in range(min(settings.side_by_side, len(todo)))]
        queue = list(reversed(todo))
        for alive in threads:
            world.start(self.thread(queue, done, ends, alive, self.quota))
        while any(alive[0] for alive in threads):
            yield 0.1
        if world.now >= ends:  # killed: what it remembered is gone
            self.quota = None
            self.handled.clear()
            return False
        self.handled |= done
        return len(done) == len(todo)

    def thread(
        self, queue: list[int], done: set[int], ends: float, alive: list[bool], quota: RetryQuota
    ) -> Process[None]:
        world = self.rush.world
        while queue and world.now < ends:
            job = queue.pop()
            self.cpu_free_at = max(self.cpu_free_at, world.now) + CPU
            yield self.cpu_free_at - world.now
            if (yield from self.rush.call(self.rush.start_execution, quota)):
                if job not in self.named:
                    self.named.add(job)
                    world.start(self.rush.guard())
                done.add(job)
        alive[0] = False
