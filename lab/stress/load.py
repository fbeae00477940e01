"""Does to a deployed stage what the plan says, and keeps what only the doer knows: exact times.

The emulator tells ECS's times in whole seconds.
"""

import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.names import function_name
from chalicelib.read.tasks import execution_of
from lab.stage import LocalStage
from lab.stress.plan import HELD, WARMED, Plan

START_WITHIN = timedelta(seconds=90)
"""A start that can't tell asks again until then."""

STEP = 20
"""Checkers that are begun at once."""

WARM = 6
"""Seconds after which a checker's process has surely begun."""


@dataclass
class Log:
    """What was done, and when."""

    done: Counter[str] = field(default_factory=Counter)
    seen: dict[str, datetime] = field(default_factory=dict)
    """When a task was first seen alive."""
    stopped: dict[str, tuple[datetime, datetime]] = field(default_factory=dict)
    """Between which moments a task was told to stop, by ARN."""


Tell = Callable[[str], None]


def send_checker_to(stage: LocalStage, url: str) -> None:
    """Let the deployed check call `url` instead of the emulator; and no tick comes in between."""
    name = function_name(stage.name, "check")
    environment = stage.functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    stage.functions.update_function_configuration(
        FunctionName=name, Environment={"Variables": {**environment, "AWS_ENDPOINT_URL": url}}
    )
    events = stage.emulator.client("events")
    for rule in events.list_rules()["Rules"]:
        events.disable_rule(Name=rule["Name"])


def limit_checkers(stage: LocalStage, at_once: int) -> None:
    """From now on, Lambda throttles more checkers at once than so many."""
    stage.functions.put_function_concurrency(
        FunctionName=function_name(stage.name, "check"), ReservedConcurrentExecutions=at_once
    )


def warm_up(stage: LocalStage, log: Log, checkers: int, tell: Tell) -> None:
    """Let the emulator begin so many checkers, a few more each time: all at once, they would take too long."""
    for size in range(STEP, checkers, STEP):
        tell(f"warming up: {size} of {checkers} checkers")
        _hold(stage, log, WARMED, size)


def hold(stage: LocalStage, log: Log, starts: int, rounds: int, tell: Tell) -> None:
    """Rounds of so many starts at once; each round's task is held open until all its starts have ended."""
    for round_ in range(1, rounds + 1):
        tell(f"{starts} starts at once, the task held open: round {round_} of {rounds}")
        _hold(stage, log, HELD, starts)


def _hold(stage: LocalStage, log: Log, job: str, starts: int) -> None:
    stage.verdicts(stage.start_together(job, starts), within=300)
    for task in stage.live_tasks(job):
        log.seen[task] = _now()
        log.stopped[task] = _stop(stage, job, task)
    stage.finish(job)


def load(
    stage: LocalStage, log: Log, plan: Plan, tell: Tell, *, callers: Callable[[], set[int]], within: float
) -> None:
    """Do what the plan says, and wait until all of it has ended, or for `within` seconds."""
    with ThreadPoolExecutor(64) as pool:
        _Load(stage, log, plan, tell, pool, callers).run(within)


class _Load:
    def __init__(
        self,
        stage: LocalStage,
        log: Log,
        plan: Plan,
        tell: Tell,
        pool: ThreadPoolExecutor,
        callers: Callable[[], set[int]],
    ) -> None:
        self.stage, self.log, self.plan, self.tell, self.pool = stage, log, plan, tell, pool
        self.callers = callers
        self.jobs = sorted({burst.job for burst in plan.bursts} | {hand.job for hand in plan.by_hand})
        self.random = Random(plan.seed)
        self.agenda: list[tuple[float, int, Callable[[], Any]]] = []
        self.starting: list[Future[str]] = []
        self.tasks: Counter[str] = Counter()
        self.numbers = count()
        self.now = 0.0

    def run(self, within: float) -> None:
        began = time.monotonic()
        for burst in self.plan.bursts:
            self._at(burst.at, lambda burst=burst: self._start(burst.job, burst.starts))  # type: ignore[misc]
        for hand in self.plan.by_hand:
            self._at(hand.at, lambda hand=hand: self._by_hand(hand.job, hand.life))  # type: ignore[misc]
        for at in self.plan.kills:
            self._at(at, self._kill)
        while True:
            self.now = time.monotonic() - began
            due = sorted(entry for entry in self.agenda if entry[0] <= self.now)
            self.agenda = [entry for entry in self.agenda if entry[0] > self.now]
            for _, _, act in due:
                act()
            alive = sum(self._watch(job) for job in self.jobs)
            asking = self._asking()
            self.tell(
                f"{self.now:3.0f} s: {len(self.starting)} of {self.plan.starts} starts, {asking} asking; "
                f"{alive} tasks alive, {self.tasks.total()} so far"
            )
            if self.now > within or not (self.agenda or asking or alive or self._open_runs()):
                break
            time.sleep(0.3)
        for future in self.starting:
            future.result()

    def _at(self, at: float, act: Callable[[], Any]) -> None:
        self.agenda.append((at, next(self.numbers), act))

    def _start(self, job: str, starts: int) -> None:
        deadline = f"{_now() + START_WITHIN:%Y-%m-%dT%H:%M:%SZ}"
        self.starting += [self.pool.submit(self.stage.start, job, deadline=deadline) for _ in range(starts)]

    def _by_hand(self, job: str, life: float) -> None:
        task = self.stage.run_task_by_hand(job)
        self.log.seen[task] = _now()
        self.log.done["tasks by hand"] += 1
        self._at(self.now + life, lambda: self._stop(job, task))

    def _stop(self, job: str, task: str) -> None:
        self.log.stopped[task] = _stop(self.stage, job, task)

    def _abort(self, run: str) -> None:
        with suppress(ClientError):  # it has ended
            self.stage.stepfunctions.stop_execution(executionArn=run)
            self.log.done["runs aborted"] += 1

    def _kill(self) -> None:
        """Kill two checkers that wait for an answer; later, if there is none."""
        checkers = calling(warm_checkers(self.stage), self.callers())
        if not checkers and self._asking():
            self._at(self.now + 0.2, self._kill)
        for pid in self.random.sample(checkers, min(2, len(checkers))):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.log.done["checkers killed in a call"] += 1

    def _watch(self, job: str) -> int:
        """See the job's tasks, and give each new one of ours its fate."""
        alive = self.stage.live_tasks(job)
        for task in alive:
            if task in self.log.seen:
                continue
            self.log.seen[task] = _now()
            run = execution_of(self.stage.describe_task(job, task))
            fate = self.plan.fate(job, self.tasks[job])
            self.tasks[job] += 1
            self._at(self.now + fate.life, lambda task=task: self._stop(job, task))  # type: ignore[misc]
            if fate.abort_after is not None and run:
                self._at(self.now + fate.abort_after, lambda run=run: self._abort(run))  # type: ignore[misc]
        return len(alive)

    def _asking(self) -> int:
        """Starts that have not ended, those that are about to be made among them."""
        not_made = sum(not future.done() for future in self.starting)
        return not_made + len(self._running(self.stage.guard))

    def _open_runs(self) -> int:
        return sum(len(self._running(self.stage.machine(job))) for job in self.jobs)

    def _running(self, machine: str) -> list[Any]:
        answer: Any = self.stage.stepfunctions.list_executions(stateMachineArn=machine, statusFilter="RUNNING")
        found: list[Any] = answer["executions"]
        return found


def heal(stage: LocalStage, log: Log, jobs: Sequence[str], tell: Tell, *, within: float) -> dict[str, float | None]:
    """With all faults gone: seconds until each job runs, started again whenever its start has stepped back."""
    began = time.monotonic()
    ran: dict[str, float | None] = dict.fromkeys(jobs)
    asking: dict[str, str] = {}
    while None in ran.values() and time.monotonic() - began < within:
        waiting = [job for job, seconds in ran.items() if seconds is None]
        tell(f"all faults healed: {len(waiting)} of {len(jobs)} jobs are to run")
        for job in waiting:
            if job not in asking:
                asking[job] = stage.start(job)
            verdict = stage.verdicts([asking[job]], within=within)[0]
            if "error" not in verdict:
                ran[job] = time.monotonic() - began
                _end(stage, log, job)
            else:
                del asking[job]  # it stepped back: a run that was aborted may still hold the job for some minutes
        time.sleep(0.3)
    return ran


def _end(stage: LocalStage, log: Log, job: str) -> None:
    for task in stage.live_tasks(job):
        log.stopped[task] = _stop(stage, job, task)


def warm_checkers(stage: LocalStage) -> list[int]:
    """The processes of the emulator's Lambda functions: those that run a file in the emulator's own directory.

    Only those that have begun some time ago: one that dies while it begins confuses the emulator, not the guard.
    """
    directory = f"{stage.emulator.log.parent}{os.sep}"
    listed = subprocess.run(["ps", "-axww", "-o", "pid=,etime=,command="], capture_output=True, text=True, check=True)
    lines = (line.split(maxsplit=2) for line in listed.stdout.splitlines())
    return sorted(int(pid) for pid, age, command in lines if directory in command and _seconds(age) >= WARM)


def calling(pids: Sequence[int], ports: Collection[int]) -> list[int]:
    """Those of the processes that have a socket on one of these ports; where there is no /proc, all if there is any."""
    try:
        rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    except OSError:
        return [*pids] if ports else []
    sockets = {f"socket:[{row[9]}]" for row in rows if int(row[1].rpartition(":")[2], 16) in ports}
    return [pid for pid in pids if sockets & _open_files(pid)]


def _open_files(pid: int) -> set[str]:
    found = set()
    with suppress(OSError):  # it has ended
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found.add(str(file.readlink()))
    return found


def _seconds(elapsed: str) -> int:
    """Of ps's [[days-]hours:]minutes:seconds."""
    days, _, clock = elapsed.rpartition("-")
    parts = zip(reversed(clock.split(":")), (1, 60, 3600), strict=False)
    return int(days or 0) * 86400 + sum(int(part) * unit for part, unit in parts)


def _stop(stage: LocalStage, job: str, task: str) -> tuple[datetime, datetime]:
    before = _now()
    stage.stop_task(job, task)
    return before, _now()


def _now() -> datetime:
    return datetime.now(UTC)
