"""The decision, warm: `app.check` beside the bare calls that it can't do without, taken turn about."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from statistics import quantiles
from types import SimpleNamespace
from typing import Any

from chalicelib.values import dataclass
from lab.bench.endpoint import account, environment
from lab.story import SCHEDULED

ROUNDS = 120


@dataclass(frozen=True)
class Warm:
    """One line of the table; times are lower quartiles, in milliseconds. `calls`: what one decision asks AWS."""

    history: int
    page: int
    outcome: str
    bare: float
    check: float
    calls: dict[str, int]

    @property
    def ratio(self) -> float:
        """How many times the bare calls the decision takes."""
        return self.check / self.bare


CASES = [(history, running) for running in (True, False) for history in (1, 100, 1_000, 10_000)]


def measure(url: str, rounds: int = ROUNDS) -> list[Warm]:
    """Measure every case in a process of its own."""
    command = [sys.executable, "-m", "lab.bench.warm", str(rounds)]
    done = subprocess.run(command, env=environment(url), check=True, stdout=subprocess.PIPE)
    return [Warm(**line) for line in json.loads(done.stdout)]


def _measure(rounds: int) -> list[Warm]:
    import boto3  # noqa: PLC0415 (this part runs in the child)

    import app  # noqa: PLC0415 (it reads the environment that the child was given)

    sfn, ecs = boto3.client("stepfunctions"), boto3.client("ecs")
    lines = []
    for history, running in CASES:
        owner = account(history, running=running)
        context = SimpleNamespace(invoked_function_arn=f"arn:aws:lambda:us-east-1:{owner}:function:f")
        machine = f"arn:aws:states:us-east-1:{owner}:stateMachine:batch-guard-local-{SCHEDULED}"

        def bare(machine: str = machine, running: bool = running) -> int:
            page = sfn.list_executions(stateMachineArn=machine, maxResults=100)
            if not running:
                ecs.list_tasks(cluster="batch", family="report", desiredStatus="RUNNING")
                ecs.list_tasks(cluster="batch", family="report", desiredStatus="STOPPED")
            return len(page["executions"])

        guard = f"arn:aws:states:us-east-1:{owner}:execution:batch-guard-local:{SCHEDULED}-20261123T1800Z"
        event = {
            "job": SCHEDULED,
            "guard": {"version": 1, "execution": guard, "started": "2026-11-23T18:00:00Z", "waited": True},
        }

        def check(context: SimpleNamespace = context, event: dict[str, Any] = event) -> str:
            return str(app.check(event, context)["outcome"])

        page, outcome = bare(), check()
        calls = _calls(check, app._stepfunctions(), app._ecs().client)
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            times[0].append(_timed(bare))
            times[1].append(_timed(check))
        lines.append(Warm(history, page, outcome, _quick(times[0]), _quick(times[1]), calls))
    return lines


def _calls(work: Callable[[], object], *clients: Any) -> dict[str, int]:
    """What `work` calls through these clients, by operation."""
    calls: Counter[str] = Counter()

    def count(model: Any, **_: Any) -> None:
        calls[model.name] += 1

    for client in clients:
        client.meta.events.register("before-call", count)
    work()
    for client in clients:
        client.meta.events.unregister("before-call", count)
    return dict(calls)


def _quick(seconds: list[float]) -> float:
    """The lower quartile, in milliseconds: what else the machine does makes calls slower and never faster."""
    return 1000 * quantiles(seconds)[0]


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    result = os.dup(1)
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (the function's log lines and metrics, as long as it lives)
    with os.fdopen(result, "w") as file:
        json.dump([asdict(line) for line in _measure(int(sys.argv[1]))], file)
