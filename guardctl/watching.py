"""`status --watch`: the board redrawn in place. A look is one call; jobs of which it shows something new are read."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

from rich.console import Group
from rich.live import Live
from rich.text import Text

from chalicelib.config.jobs import Job
from chalicelib.decide import deadlines
from chalicelib.decide.facts import CantTell, Refused
from chalicelib.names import parse_guard_name
from chalicelib.read.executions import StepFunctions
from guardctl import job_status
from guardctl.console import asking, out
from guardctl.errors import Stop, explained
from guardctl.stage import Stage
from guardctl.standing import StageStatus

EVERY = 10.0
"""Seconds from one look to the next."""
_WHOLE = 30
"""After so many looks everything is read again: pauses, drift, the trigger, tasks by hand."""

Board = Callable[[Stage, StageStatus, int | None], Iterator[Text]]


def watch(
    stage: Stage,
    jobs: Sequence[Job],
    board: Board,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Show the jobs until Ctrl-C, which is how it ends. Raises `Stop` if AWS refuses the first look.

    A later look that fails is told above the picture, which stands as it was, and is tried again.
    """
    with asking("asking AWS…") as progress:
        found = job_status.read(stage, jobs, now(), progress)
    seen = _guards(stage)
    try:
        with Live(Group(), console=out, screen=out.is_terminal, auto_refresh=False) as live:
            failed: list[Text] = []
            for look in count(1):
                live.update(Group(*failed, *board(stage, found, out.width)), refresh=True)
                sleep(EVERY)
                try:
                    with explained():
                        shown, at = _guards(stage), now()
                        of = {job.name for job in jobs} if look % _WHOLE == 0 else _touched(found, seen ^ shown)
                        of |= {moment.job for moment in deadlines.moments(jobs, found.read_at, at)}
                        found, seen = _again(stage, [job for job in jobs if job.name in of], found, at), shown
                        failed = []
                except (Stop, CantTell, Refused) as error:
                    failed = [Text(f"could not look again: {error}", style="bold red")]
    except KeyboardInterrupt:
        return


def _guards(stage: Stage) -> frozenset[tuple[str, str]]:
    """Name and status of the newest guard executions: one call."""
    page = StepFunctions(stage.stepfunctions).page(stage.guard)
    return frozenset((e.name, e.status) for e in page.executions)


def _touched(found: StageStatus, changed: Iterable[tuple[str, str]]) -> set[str]:
    """The jobs of which a guard execution came or ended, those that run, and those that share a pool with one."""
    named = {said.job for name, _ in changed if (said := parse_guard_name(name))}
    named |= {line.job for line in found.jobs if line.run}
    pools = {line.pool.name for line in found.jobs if line.pool and line.job in named}
    return named | {line.job for line in found.jobs if line.pool and line.pool.name in pools}


def _again(stage: Stage, jobs: Sequence[Job], before: StageStatus, now: datetime) -> StageStatus:
    """The same picture with these jobs read anew."""
    if not jobs:
        return replace(before, read_at=now)
    fresh = job_status.read(stage, jobs, now, lambda _: None)
    by_name = {line.job: line for line in fresh.jobs}
    return replace(fresh, jobs=tuple(by_name.get(line.job, line) for line in before.jobs))
