"""What one read may show: Step Functions, any state that an execution has had, or not the execution at all; ECS, the
truth, but for tasks that began or stopped within the last five minutes, which it may hide.
"""

import itertools
from collections.abc import Iterator
from typing import Any, Protocol

from verify.checker import ODD, OUTSIDER, Shown, Wanted
from verify.world import ALIVE, JUST_NOW, LIVING, NO_TASK, OPEN, RESTED, STOPPED, STOPPED_SINCE, Features, Run, World


class Reader(Protocol):
    """The guard whose checker reads."""

    @property
    def now_age(self) -> int:
        """How many steps of five minutes ago the checker looked at its clock."""

    @property
    def owns(self) -> tuple[int, ...]:
        """Which runs of the world the guard has created."""


def views(wanted: Wanted, reader: Reader, world: World, features: Features) -> Iterator[tuple[Any, bool, str]]:
    """An answer, whether it is stale about the history, and the answer in words."""
    match wanted.what:
        case "page":
            for seen in itertools.product(
                *(shown(r, reader, features, mine=i in reader.owns) for i, r in enumerate(world.runs))
            ):
                page = [v[0] for v in seen if v[0] is not None]
                page.sort(key=lambda s: (s.status not in {OPEN, ODD}, -s.number))
                page = [s._replace(status="FAILED" if s.status.startswith("FAILED") else s.status) for s in page]
                says = ", ".join(f"run-{s.number:06d} {s.status}" for s in page) or "nothing"
                yield tuple(page), any(v[1] for v in seen), f"reads the page: {says}"
        case "details":
            yield from _details(wanted.of, reader, world, features)
        case "created_at":
            old = "80 days old or more" if world.machine_is_old else "young"
            yield world.machine_is_old, False, f"the batch machine is {old}"
        case "tasks":
            for listed in _listed(wanted.of, world):
                says = ", ".join(map(_task_name, listed)) or "none"
                yield listed, False, f"lists {wanted.of} tasks: {says}"
        case "describe":
            tasks = tuple(_described(number, reader, world) for number in wanted.of)
            says = ", ".join(f"{_task_name(n)} is {'stopped' if s.startswith('stopped') else s}" for n, s, _ in tasks)
            yield tasks, False, f"describes the tasks: {says}"
        case _:
            raise AssertionError(wanted)


def shown(run: Run, reader: Reader, features: Features, *, mine: bool = False) -> Iterator[tuple[Shown | None, bool]]:
    """One execution: as it is, as it has been, or not at all; and whether that is stale about the history."""
    now = OPEN if not run.closed else run.status
    yield Shown(run.number, now, _age(run, reader), mine), False
    if features.odd_status and not run.closed:
        yield Shown(run.number, ODD, mine=mine), False
    if features.stale:
        yield None, run.history
        if run.closed:
            yield Shown(run.number, OPEN, mine=mine), run.history


def _details(number: int, reader: Reader, world: World, features: Features) -> Iterator[tuple[Shown | None, bool, str]]:
    seen: set[tuple[Shown | None, bool]] = set()
    for index, run in enumerate(world.runs):
        if run.number == number:
            seen.update(shown(run, reader, features, mine=index in reader.owns))
    if not seen:
        seen.add((None, False))
    for view, excused in sorted(seen, key=repr):
        by = ", asked for by itself" if view and view.mine else ""
        says = f"{view.status}{by}" if view else "not visible"
        yield view, excused, f"describes run-{number:06d}: {says}"


def _listed(desired: str, world: World) -> Iterator[tuple[int, ...]]:
    tasks = [(r.number, r.task, r.task_age) for r in world.runs if r.task != NO_TASK]
    if world.outsider != NO_TASK:
        tasks.append((OUTSIDER, world.outsider, world.outsider_age))
    choices: list[list[tuple[int, ...]]] = []
    for number, status, age in tasks:
        if (desired == "RUNNING") != (status == ALIVE):
            continue
        hideable = age == JUST_NOW or status in {STOPPED, STOPPED_SINCE}
        choices.append([(number,), ()] if hideable else [(number,)])
    for chosen in itertools.product(*choices):
        yield tuple(sorted(n for part in chosen for n in part))


def _age(run: Run, reader: Reader) -> int:
    """How old the run's end was when the checker looked at its clock."""
    if not run.closed or run.age >= RESTED:
        return run.age if run.closed else JUST_NOW
    return max(JUST_NOW, min(run.age - reader.now_age, 1))


def _task_name(number: int) -> str:
    return f"the one of run-{number:06d}" if number else "the one started by hand"


def _described(number: int, reader: Reader, world: World) -> tuple[int, str, int]:
    if number == OUTSIDER:
        return number, "alive" if world.outsider in LIVING else STOPPED, JUST_NOW
    run = next(r for r in reversed(world.runs) if r.number == number)
    if run.task in LIVING:
        return number, "alive", JUST_NOW
    return number, run.task, _age(run, reader)
