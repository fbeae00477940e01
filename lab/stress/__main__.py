"""``make stress``: starts by the hundred on a bad day, on an emulator of AWS, judged by the emulator's own truth."""

import argparse
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from chalicelib.decide.facts import TASK_LAG
from lab.emulator import EmulatorFailed, emulator
from lab.stage import CommandFailed, LocalStage, local_stage
from lab.stress import truth
from lab.stress.judge import judge, story
from lab.stress.load import START_WITHIN, Log, heal, hold, limit_checkers, load, send_checker_to, warm_up
from lab.stress.plan import GRACE, HELD, LAGS, STAGE, WAIT_SCALE, Plan, jobs_file, lags, plan
from lab.stress.proxy import NO_FAULTS, bad_day, proxy
from lab.stress.report import Outcome, done, healed, table

CHECKERS_AT_ONCE = 24
"""On the bad day: beyond it Lambda throttles, as in a small account. A checker takes 45 MB and a share of the CPU."""

FAILED, INTERRUPTED = 1, 130
STORIES = 5
PATIENCE = 90
"""Seconds for the last runs to end, and for a machine that is busy with other things."""


def main() -> int:
    """Stress it. The exit code is 0 only if there was no overlap, nothing was lost and every start ended."""
    parser = argparse.ArgumentParser(prog="make stress", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="repeat the load of an earlier time")
    parser.add_argument("--starts", type=int, default=300, help="on the bad day (300)")
    parser.add_argument("--seconds", type=float, default=80, help="over which they are spread (80)")
    parser.add_argument(
        "--held", type=int, default=100, help="starts at once in each of ten rounds before it, tasks held open (100)"
    )
    asked = parser.parse_args()
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=not sys.stdout.isatty())
    planned = plan(secrets.randbelow(1_000_000) if asked.seed is None else asked.seed, asked.starts, asked.seconds)
    console.print(f"SEED={planned.seed}  (the same load again: make stress SEED={planned.seed})")
    try:
        with (
            _progress(console) as tell,
            emulator(wait_scale=WAIT_SCALE) as aws,
            local_stage(aws, name=STAGE, jobs=jobs_file()) as stage,
        ):
            outcome = stress(stage, planned, tell, held=asked.held)
    except KeyboardInterrupt:
        print("Interrupted: the emulator is stopped, and nothing is left behind.", file=sys.stderr)
        return INTERRUPTED
    except (EmulatorFailed, CommandFailed, TimeoutError, ClientError, BotoCoreError) as failure:
        print(f"It could not be finished: {failure}", file=sys.stderr)
        return FAILED
    console.print(table({"tasks held open": [HELD], "a bad day": [*LAGS]}, outcome))
    console.print(done(outcome))
    console.print(healed(outcome, planned.seed))
    for finding in outcome.findings[:STORIES]:
        console.print(f"\n{finding.kind.upper()} of {finding.job}: {finding.what}", style="bold red")
        console.print("\n".join(story(outcome.history, finding)))
    return FAILED if outcome.findings or None in outcome.healed.values() else 0


def stress(
    stage: LocalStage,
    planned: Plan,
    tell: Callable[[str], None],
    *,
    held: int,
    rounds: int = 10,
    checkers: int = CHECKERS_AT_ONCE,
) -> Outcome:
    """Deploy, hold, load, read the truth, judge. `stage` has the jobs of `jobs_file`, and waits at `WAIT_SCALE`."""
    with proxy(stage.emulator.endpoint, planned.seed) as between:
        tell("deploying for real, on an emulator of AWS")
        stage.deploy()
        send_checker_to(stage, between.url)
        log = Log()
        if held:
            warm_up(stage, log, held, tell)
            hold(stage, log, held, rounds, tell)
        limit_checkers(stage, checkers)
        between.inject(bad_day(lags(), pace=1 / WAIT_SCALE))
        within = planned.seconds + START_WITHIN.total_seconds() + PATIENCE
        load(stage, log, planned, tell, callers=between.waiting, within=within)
        tell("reading what the emulator says of it")
        history = truth.read(stage, log)
        between.inject(NO_FAULTS)
        limit_checkers(stage, 1000)
        ran = heal(stage, log, [*LAGS], tell, within=TASK_LAG.total_seconds() + PATIENCE)
        stale = {job: max(timedelta(), lag - GRACE) for job, lag in LAGS.items()}
        return Outcome(history, judge(history, stale), truth.failures(stage, history), log.done + between.done, ran)


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[str], None]]:
    """A line that is kept up to date on a terminal, and one every ten seconds elsewhere."""
    began = last = time.monotonic()
    if console.is_terminal:
        with console.status("") as status:
            yield status.update
    else:

        def tell(words: str) -> None:
            nonlocal last
            if time.monotonic() - last >= 10 or last == began:
                last = time.monotonic()
                console.print(f"{last - began:4.0f} s  {words}")

        yield tell


if __name__ == "__main__":
    sys.exit(main())
