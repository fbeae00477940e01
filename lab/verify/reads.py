"""What one read may show: Step Functions, any state that an execution has had, or not the execution at all; ECS, the
truth, but for tasks that began or stopped within the last six minutes, which it may hide, or show as alive still.
"""

import itertools
from collections.abc import Iterator
from typing import Any, Protocol

from chalicelib.names import pause_name
from lab.verify.checker import CLUSTERS, ODD, OUTSIDER, PAUSE, SeenTask, Shown, Wanted
from lab.verify.world import (
    ABORTED,
    ALIVE,
    JUST_NOW,
    LINGERING,
    LIVING,
    NO_TASK,
    OPEN,
    PAUSED,
    RESTED,
    STOPPED,
    STOPPED_SINCE,
    SUCCEEDED,
    Features,
    Run,
    World,
    id_name,
)


class Reader(Protocol):
    """The guard whose checker reads."""

    @property
    def now_age(self) -> int:
        """How many steps of six minutes ago the checker looked at its clock."""

    @property
    def owns(self) -> tuple[int, ...]:
        """Which runs of the world the guard has created."""

    @property
    def began(self) -> int:
        """How many runs there were when the guard began, if that matters."""

    @property
    def asked(self) -> tuple[str, ...]:
        """Which waiters it has asked for."""


def views(wanted: Wanted, reader: Reader, world: World, features: Features) -> Iterator[tuple[Any, bool, str]]:
    """An answer, whether it is stale about the history, and the answer in words."""
    match wanted.what:
        case "page":
            mine = [i for i, run in enumerate(world.runs) if run.slot == wanted.of]
            executions = [shown(i, world, reader, features) for i in mine]
            of = f" of slot {wanted.of + 1}" if features.slots > 1 else ""
            for seen in itertools.product(*executions, _pause(world, features)):
                page = [_without_input(v[0]) for v in seen if v[0] is not None]
                page.sort(key=lambda s: (s.status not in {OPEN, ODD}, -s.number))
                page = page[:1] if features.short_pages else page
                page = [s._replace(status="FAILED" if s.status.startswith("FAILED") else s.status) for s in page]
                says = ", ".join(f"{_name(s.number)} {s.status}" for s in page) or "nothing"
                yield tuple(page), any(v[1] for v in seen), f"reads the page{of}: {says}"
        case "details":
            yield from _details(wanted.of, reader, world, features)
        case "waiter":
            yield from _waiter(wanted.of, reader, world, features)
        case "waiting":
            for names in _waiting(world, features):
                yield names, False, f"asks who waits: {', '.join(name for name, _ in names) or 'nobody'}"
        case "created_at":
            old = "80 days old or more" if world.machine_is_old else "young"
            yield world.machine_is_old, False, f"the batch machine is {old}"
        case "tasks":
            desired, place = wanted.of
            for listed in _listed(desired, place, world):
                says = ", ".join(task_name(n, world) for n in listed) or "none"
                yield listed, False, f"lists {desired} tasks{_at(place, features)}: {says}"
        case "describe":
            numbers, place = wanted.of
            for tasks in itertools.product(*(_described(number, reader, world) for number in numbers)):
                says = ", ".join(f"{task_name(t.number, world)} is {_stands(t)}" for t in tasks)
                yield tasks, False, f"describes the tasks{_at(place, features)}: {says}"
        case _:
            raise AssertionError(wanted)


def shown(index: int, world: World, reader: Reader, features: Features) -> Iterator[tuple[Shown | None, bool]]:
    """One execution: as it is, as it has been, or not at all; and whether that is stale about the history."""
    run = world.runs[index]
    now = Shown(
        run.number,
        OPEN,
        mine=index in reader.owns,
        older=index < reader.began,
        renewal=run.renewal,
        place=run.place,
        slot=run.slot,
        job=run.job,
    )
    yield now._replace(status=run.status, age=_age(run, reader), tasks=_tasks(run, world)) if run.closed else now, False
    if features.odd_status and not run.closed:
        yield now._replace(status=ODD), False
    if features.stale:
        yield None, run.history
        if run.closed:
            yield now, run.history


def _pause(world: World, features: Features) -> list[tuple[Shown | None, bool]]:
    """The execution that pauses the job. While it is shown as open, nobody has to run."""
    paused, resumed = Shown(PAUSE, OPEN), Shown(PAUSE, ABORTED)
    if not world.pause:
        return [(None, False)]
    views: list[tuple[Shown | None, bool]] = [(paused, True) if world.pause == PAUSED else (resumed, False)]
    if features.stale:
        views += [(None, False)] if world.pause == PAUSED else [(None, False), (paused, True)]
    return views


def _details(number: int, reader: Reader, world: World, features: Features) -> Iterator[tuple[Shown | None, bool, str]]:
    seen: set[tuple[Shown | None, bool]] = set(_pause(world, features)) if number == PAUSE else set()
    for index, run in enumerate(world.runs):
        if run.id == number:
            seen.update(shown(index, world, reader, features))
    if not seen:
        seen.add((None, False))
    for view, excused in sorted(seen, key=repr):
        by = ", asked for by itself" if view and view.mine else ""
        says = f"{view.status}{by}" if view else "not visible"
        yield view, excused, f"describes {_name(number)}: {says}"


def _waiter(name: str, reader: Reader, world: World, features: Features) -> Iterator[tuple[Shown | None, bool, str]]:
    waiter = world.waits(name)
    mine = name in reader.asked
    if waiter is None or features.stale:
        yield None, False, f"describes {name}: not visible"
    if waiter is not None:
        if features.stale or not waiter.closed:
            yield Shown(0, OPEN, mine=mine), False, f"describes {name}: RUNNING"
        if waiter.closed:
            yield Shown(0, SUCCEEDED, mine=mine), False, f"describes {name}: ended"


def _waiting(world: World, features: Features) -> Iterator[tuple[tuple[str, int], ...]]:
    """Those who wait for the pool, each with its place by age: open, or of a list that may be stale, anything."""
    choices: list[list[tuple[tuple[str, int], ...]]] = []
    for place, waiter in enumerate(world.waiters):
        there, gone = ((waiter.name, place),), ()
        choices.append([there, gone] if features.stale else [gone] if waiter.closed else [there])
    for chosen in itertools.product(*choices):
        yield tuple(itertools.chain.from_iterable(chosen))


def _listed(desired: str, place: int, world: World) -> Iterator[tuple[int, ...]]:
    tasks = [(r.id, r.task, r.task_age) for r in world.runs if r.task != NO_TASK and r.place == place]
    if world.outsider != NO_TASK and world.outsider_place == place:
        tasks.append((OUTSIDER, world.outsider, world.outsider_age))
    choices: list[list[tuple[int, ...]]] = []
    for number, status, age in tasks:
        if status != LINGERING and (desired == "RUNNING") != (status == ALIVE):
            continue
        hideable = age == JUST_NOW or status in {STOPPED, STOPPED_SINCE, LINGERING}
        choices.append([(number,), ()] if hideable else [(number,)])
    for chosen in itertools.product(*choices):
        yield tuple(sorted(n for part in chosen for n in part))


def remembered(reader: Reader, world: World) -> tuple[SeenTask, ...]:
    """What a warm function knows of the tasks that it has seen STOPPED."""
    tasks = (task for number in world.remembered for task in _described(number, reader, world))
    return tuple(task for task in tasks if task.status in {STOPPED, STOPPED_SINCE})


def with_memory(world: World, tasks: tuple[SeenTask, ...]) -> World:
    """The same world, in which functions remember which of these tasks have stopped."""
    stopped = {task.number for task in tasks if task.status in {STOPPED, STOPPED_SINCE}}
    return world._replace(remembered=tuple(sorted({*world.remembered, *stopped})))


def task_name(number: int, world: World) -> str:
    """A task in words."""
    if number:
        return f"the one of {id_name(number)}"
    if world.mistaken:
        return f"the one that {id_name(world.copy)} took for stopped"
    return f"the copy of the one of {id_name(world.copy)}" if world.copy else "the one started by hand"


def _at(place: int, features: Features) -> str:
    cluster = next(name for name, where in CLUSTERS.items() if where == place)
    return f" in {cluster}" if features.moves else ""


def _stands(task: SeenTask) -> str:
    return "stopped" if task.status in {STOPPED, STOPPED_SINCE} else task.status


def _without_input(item: Shown) -> Shown:
    return Shown(item.number, item.status, item.age, older=item.older, slot=item.slot)


def _tasks(run: Run, world: World) -> tuple[int, ...]:
    """The tasks that a run says it saw stop. Said only of those that ECS may still show alive."""
    if run.task == LINGERING:
        return (run.id,)
    return (OUTSIDER,) if world.mistaken and world.copy == run.id and world.outsider == ALIVE else ()


def _age(run: Run, reader: Reader) -> int:
    """How old the run's end was when the checker looked at its clock."""
    if not run.closed or run.age >= RESTED:
        return run.age if run.closed else JUST_NOW
    return max(JUST_NOW, min(run.age - reader.now_age, 1))


def _name(number: int) -> str:
    return pause_name(1) if number == PAUSE else id_name(number)


def _described(number: int, reader: Reader, world: World) -> Iterator[SeenTask]:
    """A task as it stands; one that lingers, also as it stood."""
    if number == OUTSIDER:
        yield SeenTask(number, "alive" if world.outsider in LIVING else STOPPED, of=world.copy)
        return
    index, run = next((i, r) for i, r in reversed([*enumerate(world.runs)]) if r.id == number)
    task = SeenTask(number, "alive", JUST_NOW, index < reader.began, number, run.job)
    if run.task in LIVING or run.task == LINGERING:
        yield task
    if run.task == LINGERING:
        yield task._replace(status=STOPPED, age=_age(run, reader))
    elif run.task not in LIVING:
        yield task._replace(status=run.task, age=_age(run, reader))
