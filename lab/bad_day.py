"""A bad day of pools, in play: lists that lag, lost answers, aborted runs, a checker that fails; judged by what ran."""

import argparse
import functools
import json
import sys
import time
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from chalicelib.names import parse_guard_name
from lab.play import Play, Program, StatesError

MINUTE = 60.0
BOUND = timedelta(minutes=62)
"""`queue_timeout`, an hour, after which a waiter looks once more: within a minute, and a minute for an answer."""
MACHINES = Path(__file__).parent.parent / "chalicelib" / "machines"


def definitions() -> dict[str, Any]:
    """The state machines as they are in this checkout."""
    return {name: json.loads((MACHINES / f"{name}.asl.json").read_text()) for name in ("guard", "batch")}


def bad_day(seed: int, *, jobs: int = 20, pools: int = 5, minutes: int = 120) -> tuple[Play, dict[str, int]]:
    """What became of a day on which much goes wrong, four hours after all is well again; and each pool's slots."""
    random = Random(seed)
    slots = {f"p{n}": random.randint(1, 3) for n in range(pools)}
    file = '[defaults]\ntimeout = "1h"\ngrace = "5s"\n'
    file += '[defaults.ecs]\ncluster = "batch"\ncontainer = "app"\nlaunch_type = "EC2"\n'
    file += "".join(f"[pools.{pool}]\nslots = {n}\n" for pool, n in slots.items())
    for n in range(jobs):
        pool = f"p{n % pools}"
        overlap = random.choice(["skip", "queue"] + (["replace"] if slots[pool] == 1 else []))
        file += f'[jobs.j{n}]\npool = "{pool}"\noverlap = "{overlap}"\nretries = {random.randint(0, 1)}\n'
        file += f'ecs = {{ task_definition = "j{n}" }}\n'
    play = Play(file, definitions())
    well_again = play.now + timedelta(minutes=minutes)
    ends = [Program(seconds=random.choice([5, 90, 700]), exit_code=random.choice([0, 0, 1])) for _ in range(50)]

    def faults() -> None:
        play.list_lag = timedelta(seconds=random.choice([0, 0, 2, 20]))
        play.ecs_hides = timedelta(seconds=random.choice([0, 5, 120]))
        play.program = random.choice(ends)
        play.lost_replies = {f"run-{random.randint(1, 40):06d}"}
        if random.random() < 0.3:
            play.run_task_answers = [StatesError("ECS.ServerException", "no answer")]
            play.starts_despite_error = random.choice([set(), {"ECS.ServerException"}])
        runs = [e for e in play.executions.values() if e.status == "RUNNING" and e.name.startswith("run-")]
        if runs and random.random() < 0.2:
            play.abort(random.choice(runs))

    def checker(_event: object) -> StatesError | None:
        return StatesError("Lambda.Unknown") if play.now < well_again and random.random() < 0.1 else None

    play.checker_error = checker
    for minute in range(minutes):
        play.at(minute * MINUTE, faults)
        for _ in range(random.randint(0, 2 * pools // 2 + 1)):
            job = f"j{random.randint(0, jobs - 1)}"
            start = functools.partial(play.start, job, deadline="2026-11-24T06:00:00Z")
            play.at(minute * MINUTE + random.random() * 60, start)
    play.run_until((minutes + 1) * MINUTE)
    play.list_lag = play.ecs_hides = timedelta(0)
    play.program, play.lost_replies, play.run_task_answers = Program(seconds=30), set(), []
    play.run_until(4 * 60 * MINUTE)
    return play, slots


def most_in(play: Play, pool: int, pools: int) -> int:
    """How many tasks of a pool of a bad day were alive at once, at most."""
    return play.most_of(lambda task: int(task.family[1:]) % pools == pool)


def longest_wait(play: Play) -> timedelta:
    """How long any start waited for its turn at most; a job waits for an hour (`queue_timeout`), and a look more."""
    waits = [
        (each.stopped_at or play.now) - each.started_at
        for each in play.executions.values()
        if (said := parse_guard_name(each.name)) and said.kind == "waiter"
    ]
    return max(waits, default=timedelta(0))


def main() -> int:
    """Print each seed's pools: their slots, and how many ran at once; 1 if there were ever more, or one waited on."""
    parser = argparse.ArgumentParser(prog="python -m lab.bad_day", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    wrong = 0
    for seed in range(asked.first, asked.first + asked.seeds):
        began = time.monotonic()
        play, slots = bad_day(seed)
        hanging = sum(e.status == "RUNNING" for e in play.executions.values())
        most = [most_in(play, n, len(slots)) for n in range(len(slots))]
        waited = longest_wait(play)
        wrong += hanging > 0 or any(m > s for m, s in zip(most, slots.values(), strict=True)) or waited > BOUND
        print(
            f"SEED={seed}: {len(play.tasks)} tasks; at once / slots: "
            f"{', '.join(f'{m}/{s}' for m, s in zip(most, slots.values(), strict=True))}; "
            f"still open: {hanging}; longest wait {waited.total_seconds() / 60:.0f} of {BOUND.seconds // 60} min; "
            f"{time.monotonic() - began:.0f} s"
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
