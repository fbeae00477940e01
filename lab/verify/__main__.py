"""``make verify``: explores everything, shows it, writes docs/proof.md. Exits with 1 if this project does something
wrong, or if a mutant of it is not caught.

``python -m lab.verify --large`` explores larger spaces too, which takes longer, and writes build/proof.md instead.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from lab.verify import report
from lab.verify.explore import Found
from lab.verify.ours import Ours
from lab.verify.run import (
    POOLS_SIDE_BY_SIDE,
    PROTOCOLS,
    PROTOCOLS_OF_POOLS,
    SIDE_BY_SIDE,
    Exploration,
    explorations,
)

_states: Any = None


def main(everything: list[Exploration], file: Path) -> int:
    """Explore, show, write."""
    console = Console()
    results = _explored(everything, console)
    _show(console, results)
    file.parent.mkdir(exist_ok=True)
    file.write_text(report.page(results))
    console.print(f"Every scenario, story and limit: {file.parent.name}/{file.name}")
    wrong, missed = report.violations(results), report.uncaught(results)
    for exploration, found in wrong:
        console.print(f"[red]{escape(exploration.scenario.name)}: {', '.join(found.stories)}")
    for name in missed:
        console.print(f"[red]not caught: {escape(name)}")
    return 1 if wrong or missed else 0


def _explored(everything: list[Exploration], console: Console) -> dict[Exploration, Found]:
    """All explorations, on all processors; in the terminal, how many states so far."""
    total = multiprocessing.Value("q", 0)
    done: dict[int, Found] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        multiprocessing.Pool(os.cpu_count(), _prepare, (total,), maxtasksperchild=1) as pool,
        Progress(*columns, console=console, refresh_per_second=2, transient=True) as progress,
    ):
        task = progress.add_task("exploring", total=len(everything))
        pending = pool.imap_unordered(_explore, list(enumerate(everything)))
        while len(done) < len(everything):
            try:
                index, found = pending.next(timeout=1)
            except multiprocessing.TimeoutError:
                pass
            else:
                done[index] = found
            progress.update(task, completed=len(done), description=f"exploring: {total.value:,} states")
    return {exploration: done[index] for index, exploration in enumerate(everything)}


def _prepare(total: Any) -> None:
    global _states  # noqa: PLW0603  # a pool hands shared memory to its workers in no other way
    _states = total
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends them


def _explore(job: tuple[int, Exploration]) -> tuple[int, Found]:
    index, exploration = job
    return index, exploration.run(_counting())


def _counting() -> Callable[[int], None]:
    before = 0

    def count(states: int) -> None:
        nonlocal before
        with _states.get_lock():
            _states.value += states - before
        before = states

    return count


def _show(console: Console, results: report.Results) -> None:
    ours = [found for e, found in results.items() if e.part == "ours"]
    pools = dict.fromkeys(POOLS_SIDE_BY_SIDE, PROTOCOLS_OF_POOLS)
    broken = sum(len(found.stories) for found in ours)
    states, steps = sum(f.states for f in ours), sum(f.transitions for f in ours)
    console.print(f"{Ours.name}: {len(ours)} scenarios, {states:,} states, {steps:,} steps, {broken} violations")
    for world, protocols in {**dict.fromkeys(SIDE_BY_SIDE, PROTOCOLS), **pools}.items():
        table = Table(title=world, title_justify="left")
        table.add_column(min_width=28)
        for name in protocols:
            table.add_column(name)
        for row in report.rows(results, world, protocols):
            table.add_row(*row)
        console.print(table)
    caught = [found for e, found in results.items() if e.part == "mutant" and found.stories]
    console.print(f"One line made wrong: {len(caught)} of {sum(e.part == 'mutant' for e in results)} caught")


if __name__ == "__main__":
    try:
        large = sys.argv[1:] == ["--large"]
        if sys.argv[1:] and not large:
            sys.exit("usage: python -m lab.verify [--large]")
        file = report.FILE.parent.parent / "build" / report.FILE.name if large else report.FILE
        sys.exit(main(explorations(large=large), file))
    except KeyboardInterrupt:
        sys.exit(130)
