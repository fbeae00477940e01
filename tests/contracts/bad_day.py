"""A bad day of pools, in play: lists that lag, lost answers, aborted runs, a checker that fails; judged by what ran."""

import functools
from datetime import timedelta
from random import Random

from lab.play import Play, Program, StatesError

MINUTE = 60.0


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
    play = Play(file)
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
