"""What is explored: every interleaving of 2, 3 and 4 starts.

All that may happen at once is too much for four starts; so what may happen is split over scenarios, and within each
of them nothing is left out. ``docs/proof.md`` shows which may happen in which.
"""

from dataclasses import fields, replace
from typing import Any

from lab.verify.explore import Scenario
from lab.verify.machine import OTHER, RENEWAL, RENEWAL_OF_2, SCHEDULE, SHADOW, UNLUCKY
from lab.verify.protocol import SAME_EVENT
from lab.verify.world import (
    ABORTED,
    ALIVE,
    FORGOTTEN,
    LINGERING,
    LONG_AGO,
    MANY,
    NOWHERE,
    SUCCEEDED,
    Features,
    Run,
    World,
)

EMPTY = World()
ENDED = World(runs=(Run(1, SUCCEEDED, LONG_AGO, history=True),))
OLD = World(
    runs=(Run(1, SUCCEEDED, FORGOTTEN, history=True), Run(2, SUCCEEDED, LONG_AGO, history=True)),
    machine_is_old=True,
)
LEFT_BEHIND = World(runs=(Run(1, ABORTED, task=ALIVE, history=True),))
LATE = World(runs=(Run(1, SUCCEEDED, task=LINGERING, history=True),))
FORGED = World(runs=(Run(1, ABORTED, place=NOWHERE, history=True),))
HISTORIES = {
    "nothing": EMPTY,
    "a run that ended": ENDED,
    "a forgotten run and one that ended": OLD,
    "a run just aborted, whose task lives": LEFT_BEHIND,
    "a run just ended, whose task is still shown": LATE,
    "a run just aborted, begun without a target": FORGED,
}

_OFF: dict[str, Any] = {f.name: False for f in fields(Features) if isinstance(f.default, bool)}
NOTHING = replace(Features(aborts=0), **_OFF)
MEET = replace(NOTHING, stale=True)
SLOW = replace(MEET, slow_checks=True)
LOST = replace(MEET, crashes=True, lost_replies=True)
LEFT = replace(SLOW, failures=True, unclear=True, slow_stops=True, task_retries=True, old_tasks=True)
HAND = replace(SLOW, outsider=True, slow_stops=True)
QUEUE = replace(MEET, overlap="queue")
REPLACE = replace(MEET, overlap="replace")
ORPHANS = replace(MEET, orphans="stop")
EVERYTHING = Features(slow_stops=False, task_retries=False)


POOL = replace(MEET, neighbour="skip")
"""Two jobs in one slot."""
TWO = replace(MEET, slots=2)
"""One job in two slots."""
CALM_TWO = replace(NOTHING, slots=2)


def of_pool(world: World, features: Features) -> World:
    """A world with the pool's slots, whose number changes if it may."""
    n = features.slots
    resizes = ((1, n), (1, 1), (n, 1), (n, n)) if features.resizes else ()
    return world._replace(slots=n, slots_of=(n, n), resizes=resizes)


def _family(
    name: str,
    features: Features,
    sizes: dict[str, str],
    *,
    aborts: int = 0,
    mishaps: int = MANY,
    rests: int = 0,
    kinds: tuple[str, ...] = (),
) -> list[Scenario]:
    """For each history, with each of these numbers of starts."""
    found = []
    for key, numbers in sizes.items():
        for number in map(int, numbers):
            starts = (*kinds, *(SCHEDULE,) * (number - len(kinds)))
            world = HISTORIES[key]._replace(
                aborts_left=aborts, mishaps=mishaps, restless=rests, moves_left=features.moves
            )
            may = replace(features, renewals=RENEWAL in kinds or RENEWAL_OF_2 in kinds)
            world = of_pool(world, features)
            found.append(Scenario(name, starts, key, world, may))
    return found


NOBODY, RUN, OLDER, ORPHAN, JUST_ENDED, NO_TARGET = HISTORIES

SCENARIOS: tuple[Scenario, ...] = (
    *_family("starts meet", SLOW, {NOBODY: "234", RUN: "23", OLDER: "23"}),
    *_family("every read alone", replace(MEET, failures=True, fine=True, odd_status=True), {NOBODY: "23", RUN: "23"}),
    *_family("crashes and lost replies", LOST, {NOBODY: "2", RUN: "2", OLDER: "2"}),
    *_family("one crash or lost reply", LOST, {NOBODY: "3", RUN: "3", OLDER: "2"}, mishaps=1),
    *_family("a run is aborted", LEFT, {NOBODY: "2", RUN: "2"}, aborts=1),
    *_family("a run is aborted, simpler", MEET, {NOBODY: "3", RUN: "3", ORPHAN: "2"}, aborts=1),
    *_family("a task by hand", HAND, {NOBODY: "2", RUN: "2"}),
    *_family("a task by hand, simpler", replace(MEET, outsider=True), {NOBODY: "4", RUN: "3"}),
    *_family("long rests, a renewal", MEET, {NOBODY: "23", RUN: "2"}, rests=2, kinds=(RENEWAL,)),
    *_family("a renewal", MEET, {NOBODY: "23", RUN: "23"}, kinds=(RENEWAL,)),
    *_family("a renewal, every read alone", replace(MEET, fine=True), {NOBODY: "23"}, kinds=(RENEWAL,)),
    *_family("the job moves", replace(MEET, moves=1), {NOBODY: "23", RUN: "2", ORPHAN: "2"}, aborts=1),
    *_family("the job moves and comes back", replace(MEET, moves=2), {NOBODY: "2", ORPHAN: "2"}, aborts=1),
    *_family("the job moves, a task by hand", replace(MEET, moves=1, outsider=True), {NOBODY: "2", RUN: "2"}),
    *_family("the job moves, overlap = replace", replace(REPLACE, moves=1, orphans="stop"), {NOBODY: "2"}),
    *_family("a run without a target", SLOW, {NO_TARGET: "23"}),
    *_family("a task is copied", replace(SLOW, copies=True), {NOBODY: "2", RUN: "2"}),
    *_family("a task is copied, orphans = stop", replace(ORPHANS, copies=True), {NOBODY: "2", RUN: "2"}),
    *_family("a run takes its task for stopped", replace(SLOW, mistaken=True), {NOBODY: "23"}),
    *_family("ECS is late", replace(SLOW, late_ecs=True), {NOBODY: "2", JUST_ENDED: "2"}),
    *_family("a warm function", replace(ORPHANS, warm=True), {NOBODY: "2", ORPHAN: "2"}, aborts=1),
    *_family("an event comes twice", MEET, {NOBODY: "34", RUN: "3"}, kinds=(SAME_EVENT, SAME_EVENT)),
    *_family("names are lost in a row", MEET, {NOBODY: "34"}, kinds=(UNLUCKY,)),
    *_family("a deployment gone wrong", replace(MEET, misfits=True), {NOBODY: "23"}),
    *_family("overlap = queue", QUEUE, {NOBODY: "23", RUN: "2"}),
    *_family("overlap = queue, fresh lists", replace(NOTHING, overlap="queue"), {NOBODY: "4", ORPHAN: "3"}),
    *_family("overlap = queue, a crash or lost reply", replace(LOST, overlap="queue"), {NOBODY: "2"}, mishaps=1),
    *_family("overlap = replace", REPLACE, {NOBODY: "23", RUN: "2"}),
    *_family("overlap = replace, fresh lists", replace(NOTHING, overlap="replace"), {NOBODY: "4", ORPHAN: "3"}),
    *_family("overlap = replace, a crash or lost reply", replace(LOST, overlap="replace"), {NOBODY: "2"}, mishaps=1),
    *_family("overlap = replace, slowly", replace(LEFT, overlap="replace"), {NOBODY: "2", RUN: "2"}),
    *_family("orphans = stop", ORPHANS, {NOBODY: "3", ORPHAN: "2"}, aborts=1),
    *_family("orphans = stop, fresh lists", replace(NOTHING, orphans="stop"), {ORPHAN: "4"}),
    *_family("a policy, and a task by hand", replace(REPLACE, orphans="stop", outsider=True), {NOBODY: "2"}),
    *_family("a pause", replace(MEET, pauses=True), {NOBODY: "23", RUN: "2"}),
    *_family("one in shadow", MEET, {NOBODY: "3", RUN: "2"}, kinds=(SHADOW,)),
    *_family(
        "one in shadow, overlap = replace, fresh lists",
        replace(NOTHING, overlap="replace", orphans="stop"),
        {NOBODY: "3"},
        kinds=(SHADOW,),
    ),
    *_family(
        "one in shadow, overlap = queue, fresh lists", replace(NOTHING, overlap="queue"), {NOBODY: "3"}, kinds=(SHADOW,)
    ),
    *_family("everything at once", EVERYTHING, {NOBODY: "2"}, aborts=1, mishaps=1),
    *_family("two jobs", POOL, {NOBODY: "23", RUN: "2"}, kinds=(OTHER,)),
    *_family("two jobs, queue and skip", replace(POOL, overlap="queue"), {NOBODY: "2"}, kinds=(OTHER,)),
    *_family("two jobs, both queue", replace(POOL, overlap="queue", neighbour="queue"), {NOBODY: "2"}, kinds=(OTHER,)),
    *_family(
        "two jobs, both queue, fresh lists",
        replace(NOTHING, overlap="queue", neighbour="queue"),
        {NOBODY: "3"},
        kinds=(OTHER,),
    ),
    *_family("two jobs, replace and skip", replace(POOL, overlap="replace"), {NOBODY: "23"}, kinds=(OTHER,)),
    *_family(
        "two jobs, replace and queue",
        replace(POOL, overlap="replace", neighbour="queue"),
        {NOBODY: "2"},
        kinds=(OTHER,),
    ),
    *_family("two jobs, a run is aborted", POOL, {NOBODY: "2", ORPHAN: "2"}, aborts=1, kinds=(OTHER,)),
    *_family("two slots", TWO, {NOBODY: "3"}),
    *_family("two slots, fresh lists", CALM_TWO, {NOBODY: "4"}),
    *_family("two slots, a run is aborted", TWO, {NOBODY: "2"}, aborts=1),
    *_family("two slots, a run is aborted, fresh lists", CALM_TWO, {NOBODY: "3", ORPHAN: "2"}, aborts=1),
    *_family("two slots, a task by hand, fresh lists", replace(CALM_TWO, outsider=True), {NOBODY: "3"}),
    *_family("two slots, a crash or lost reply", replace(LOST, slots=2), {NOBODY: "2"}, mishaps=1),
    *_family("two slots, a renewal of the second", TWO, {NOBODY: "2"}, kinds=(RENEWAL_OF_2,)),
    *_family("two slots, one, two again", replace(TWO, resizes=True), {NOBODY: "2"}),
    *_family("two slots, overlap = queue, fresh lists", replace(CALM_TWO, overlap="queue"), {NOBODY: "3"}),
    *_family("two jobs in two slots", replace(TWO, neighbour="skip"), {NOBODY: "2"}, kinds=(OTHER,)),
    *_family(
        "two jobs in two slots, queue and skip, fresh lists",
        replace(CALM_TWO, overlap="queue", neighbour="skip"),
        {NOBODY: "3"},
        kinds=(OTHER,),
    ),
    *_family("two slots, names are lost in a row", TWO, {NOBODY: "2"}, kinds=(UNLUCKY,)),
    *_family("short pages", replace(SLOW, short_pages=True), {NOBODY: "3", RUN: "3", OLDER: "3"}),
    *_family("short pages, a run is aborted", replace(MEET, short_pages=True), {NOBODY: "3", ORPHAN: "2"}, aborts=1),
    *_family("short pages, a renewal", replace(MEET, short_pages=True), {RUN: "3"}, kinds=(RENEWAL,)),
    *_family("short pages, two jobs", replace(POOL, short_pages=True), {NOBODY: "3"}, kinds=(OTHER,)),
    *_family("short pages, two slots", replace(TWO, short_pages=True), {NOBODY: "3"}),
)
LARGE: tuple[Scenario, ...] = (
    *_family("two jobs, queue and skip", replace(POOL, overlap="queue"), {NOBODY: "3"}, kinds=(OTHER,)),
    *_family("two slots", TWO, {NOBODY: "4", RUN: "3"}),
    *_family("two slots, a run is aborted", TWO, {NOBODY: "3", ORPHAN: "2"}, aborts=1),
    *_family("two slots, a crash or lost reply", replace(LOST, slots=2), {NOBODY: "3"}, mishaps=1),
    *_family("two slots, one, two again", replace(TWO, resizes=True), {NOBODY: "3"}),
    *_family("two slots, names are lost in a row", TWO, {NOBODY: "3"}, kinds=(UNLUCKY,)),
    *_family("two slots, a run is aborted, fresh lists", CALM_TWO, {ORPHAN: "3"}, aborts=1),
    *_family("starts meet", SLOW, {RUN: "4", OLDER: "4"}),
    *_family("every read alone", replace(MEET, failures=True, fine=True, odd_status=True), {NOBODY: "4"}),
    *_family("crashes and lost replies", LOST, {NOBODY: "3"}),
    *_family("one crash or lost reply", LOST, {NOBODY: "4", OLDER: "3"}, mishaps=1),
    *_family("a run is aborted", LEFT, {NOBODY: "3", ORPHAN: "2"}, aborts=1),
    *_family("a run is aborted, simpler", MEET, {NOBODY: "4", ORPHAN: "3"}, aborts=1),
    *_family("a task by hand", HAND, {NOBODY: "3"}),
    *_family("long rests, a renewal", MEET, {NOBODY: "4", RUN: "3"}, rests=2, kinds=(RENEWAL,)),
    *_family("a renewal", MEET, {NOBODY: "4"}, kinds=(RENEWAL,)),
    *_family("a task is copied", replace(SLOW, copies=True), {NOBODY: "3"}),
    *_family("the job moves", replace(MEET, moves=1), {ORPHAN: "3"}, aborts=1),
    *_family("the job moves and comes back", replace(SLOW, moves=2, slow_stops=True), {ORPHAN: "2"}, aborts=1),
    *_family("the job moves, overlap = replace", replace(REPLACE, moves=1, orphans="stop"), {ORPHAN: "2"}),
    *_family("ECS is late", replace(SLOW, late_ecs=True), {JUST_ENDED: "3"}),
    *_family("orphans = stop", ORPHANS, {ORPHAN: "3"}, aborts=1),
    *_family("a pause", replace(MEET, pauses=True), {NOBODY: "4", RUN: "3"}),
    *_family("everything at once", EVERYTHING, {NOBODY: "2"}, aborts=1, mishaps=2),
)
"""What takes longer than somebody waits for: ``python -m lab.verify --large``."""
