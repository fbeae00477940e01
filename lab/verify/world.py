"""The modelled world: executions, tasks and time, with the consistency that AWS documents and no better.

Time has no clock here. What happened has an *age*, counted in steps of six minutes (the longest that ECS is late to
show how a task stands, `facts.TASK_LAG`): `JUST_NOW`, then older. `RESTED` is 80 days, when names may be about to
expire, `FORGOTTEN` 90: the name of such a run is free again.
"""

from collections.abc import Iterator
from typing import NamedTuple

from chalicelib.names import run_name, waits_after
from chalicelib.values import dataclass

JUST_NOW, EARLIER, LONG_AGO, RESTED, FORGOTTEN = range(5)

OPEN = "RUNNING"
CHECKING = "CHECKING"  # a rival's own execution before it runs the task: Step Functions shows it as RUNNING
STEPPED_BACK = "STEPPED BACK"  # ... and after it decided not to: FAILED, without ever having had a task
SUCCEEDED = "SUCCEEDED"
FAILED = "FAILED"
UNCLEAR = "FAILED, unclear"  # with an error that is not BatchGuard.…: a task may be left behind
ABORTED = "ABORTED"
CLEAN = frozenset({SUCCEEDED, FAILED, STEPPED_BACK})

NO_TASK = "no task"
ALIVE = "alive"
STOPPING = "stopping"
STOPPED = "stopped"
STOPPED_SINCE = "stopped since"  # after its run had closed: so it was the run's last
LINGERING = "lingering"  # it has stopped, its run saw that and closed, and ECS may still show it alive
LIVING = frozenset({ALIVE, STOPPING})


MANY = 99
DELIVERED, RAN = "delivered", "ran"
PAUSED, RESUMED = "paused", "resumed"
HERE, THERE, NOWHERE = 0, 1, -1
"""Where a task runs: the jobs file's two targets; a run that was begun without a target has no task."""


_SLOT = 1000
NO_SLOT = -1
"""Of a rival's run: it only counts."""


def run_id(slot: int, number: int) -> int:
    """A run's number, made unique among the slots."""
    return slot * _SLOT + number


def id_name(run: int) -> str:
    """``run-000042``, or ``run-000042 of slot 2``, for a run's id."""
    slot, number = divmod(run, _SLOT)
    return f"{run_name(number)} of slot {slot + 1}" if slot > 0 else run_name(number)


class Run(NamedTuple):
    """An execution that runs the batch, and the newest ECS task it started. Ages: since it closed, since it began."""

    number: int
    status: str = OPEN
    age: int = JUST_NOW
    task: str = NO_TASK
    task_age: int = JUST_NOW
    renewal: bool = False
    place: int = HERE
    history: bool = False
    """It was there before the first start."""
    slot: int = 0
    """Whose machine's execution it is: the pool's first slot is 0."""
    job: int = 0
    """Whose run it is: the pool's first job is 0, its neighbour 1."""

    @property
    def closed(self) -> bool:
        """Its execution has ended; its task need not have."""
        return self.status not in {OPEN, CHECKING}

    @property
    def id(self) -> int:
        """2042 for run-000042 of the third slot; its task has the same."""
        return run_id(self.slot, self.number)

    @property
    def name(self) -> str:
        """``run-000042``; with a further slot, which."""
        return id_name(self.id)


class Waiter(NamedTuple):
    """A guard execution that waits in a queue: its name, and whether it has ended."""

    name: str
    closed: bool = False


class World(NamedTuple):
    """All that is not inside a guard execution."""

    runs: tuple[Run, ...] = ()
    outsider: str = NO_TASK
    outsider_age: int = JUST_NOW
    outsider_place: int = HERE
    copy: int = 0
    """The task started by hand has the name of this run: somebody copied it with all its environment."""
    mistaken: bool = False
    """Besides, that run took it for stopped, and says so."""
    place: int = HERE
    """Where the jobs file of the functions says that the job runs."""
    moves_left: int = 0
    remembered: tuple[int, ...] = ()
    """The tasks that a warm function has seen STOPPED."""
    machine_is_old: bool = False
    """The state machine was made 80 days ago or more."""
    aborts_left: int = 0
    restless: int = 0
    """How many long rests may still happen."""
    waiters: tuple[Waiter, ...] = ()
    pause: str = ""
    """PAUSED, then RESUMED."""
    mishaps: int = MANY
    """How many crashes and lost replies may still happen; at MANY it is not counted."""
    delivered: str = ""
    """What became of the schedule event that is delivered twice: DELIVERED, then RAN."""
    slots: int = 1
    """How many runs there may be at once."""
    slots_of: tuple[int, int] = (1, 1)
    """How many slots the functions' jobs file says, and the guard's definition."""
    resizes: tuple[tuple[int, int], ...] = ()
    """What these will be, one after the other, at any moment."""
    semaphore: tuple[int, ...] = ()
    """A rival's semaphore: the indices of the runs that hold it."""
    lock: tuple[int, bool] | None = None
    """A rival's lock row: the index of its run, and whether its time to live has passed."""

    @property
    def in_use(self) -> tuple[int, ...]:
        """The runs that are open, or whose task lives: their places."""
        return tuple(i for i, run in enumerate(self.runs) if run.status == OPEN or run.task in LIVING)

    def holder_of(self, run: int) -> Run | None:
        """The run because of which this name is taken."""
        taken = (r for r in self.runs if r.id == run and not (r.closed and r.age >= FORGOTTEN))
        return next(taken, None)

    def mishap(self) -> "World":
        """The same world after a crash or a lost reply."""
        return self if self.mishaps == MANY else self._replace(mishaps=self.mishaps - 1)

    def waits(self, name: str) -> Waiter | None:
        """The guard execution of this name, if it has been started."""
        return next((waiter for waiter in self.waiters if waiter.name == name), None)

    def with_waiter(self, name: str, *, closed: bool = False) -> "World":
        """The same world, in which it waits, or has ended."""
        if waits_after(name):
            others = [waiter for waiter in self.waiters if waiter.name != name]
            return self._replace(waiters=tuple(sorted([*others, Waiter(name, closed)])))
        known = {waiter.name: waiter for waiter in self.waiters}  # in the order of their beginning
        return self._replace(waiters=tuple({**known, name: Waiter(name, closed)}.values()))

    def with_run(self, index: int, **changes: object) -> "World":
        """The same world, one run changed."""
        changed = self.runs[index]._replace(**changes)  # type: ignore[arg-type]  # the fields are Run's own
        return self._replace(runs=(*self.runs[:index], changed, *self.runs[index + 1 :]))


@dataclass(frozen=True)
class Features:
    """What may happen besides starts, reads and runs that end."""

    stale: bool = True
    """Step Functions shows any state that an execution has had, or not the execution at all."""
    unclear: bool = True
    """A run may also end as FAILED with an error that promises nothing."""
    aborts: int = 1
    """So many runs may end uncleanly and leave their task behind."""
    outsider: bool = True
    """Somebody starts a task by hand, at any moment."""
    lost_replies: bool = True
    """StartExecution may fail, with or without having created the run; the service retries, or gives up."""
    crashes: bool = True
    """The checker dies between any two reads and is asked again; a guard execution is aborted."""
    task_retries: bool = True
    """A run starts another task after the first has stopped."""
    slow_stops: bool = True
    """A stopping task lives for a while; the two lists of tasks and their description are three reads."""
    failures: bool = True
    """A run may end as FAILED as well as SUCCEEDED: its error has to be read."""
    old_tasks: bool = True
    """Tasks that stopped before their run closed are on ECS's list."""
    slow_checks: bool = True
    """The checker's clock is a read of its own, and six minutes may pass before the next."""
    misfits: bool = False
    """A deployment went wrong: StartExecution is denied, or the checker answers what nobody knows."""
    overlap: str = "skip"
    """The job's policy when a run is in the way: skip, queue or replace."""
    orphans: str = "wait"
    """The job's policy when a task was left behind: wait or stop."""
    pauses: bool = False
    """Somebody pauses the job, and resumes it."""
    renewals: bool = False
    """A renewal is among the starts."""
    moves: int = 0
    """So often a deployment moves the job to another cluster and family, and back."""
    copies: bool = False
    """Somebody starts a copy of a run's task, with all its environment."""
    mistaken: bool = False
    """A run takes its task for stopped and closes, and the task lives on."""
    late_ecs: bool = False
    """A task that its run saw stop may be shown alive for six minutes more."""
    warm: bool = False
    """Functions are warm: they remember the tasks that they have seen STOPPED."""
    fine: bool = False
    """Every read is a step of its own; else reads are joined where the others can't tell the difference."""
    slots: int = 1
    """The pool's slots."""
    neighbour: str = ""
    """The pool has a second job, with this `overlap`."""
    resizes: bool = False
    """A deployment changes the number of slots, and back."""
    odd_status: bool = False
    """An open run may be shown with a status that AWS has not documented yet."""
    short_pages: bool = False
    """A page shows the first execution of the list, and says that there is more; the rest falls off it."""


def happenings(world: World, features: Features) -> Iterator[tuple[World, str, bool]]:
    """Everything that may happen by itself: the world after it, in words, and whether six minutes pass with it."""
    for index, run in enumerate(world.runs):
        if run.status in {CHECKING, STEPPED_BACK}:
            continue
        yield from ((_tidy(w, features), text, False) for w, text in _run_happens(world, index, run, features))
    if features.outsider and world.outsider == NO_TASK:
        by_hand = world._replace(outsider=ALIVE, outsider_age=JUST_NOW, outsider_place=world.place)
        yield by_hand, "somebody starts the batch by hand", False
    if features.copies and world.outsider == NO_TASK:
        yield from ((w, text, False) for w, text in _copies(world))
    if world.outsider == ALIVE:
        yield _tidy(_outsider_stops(world), features), f"{_outsider(world)} stops", False
    if world.moves_left:
        there = world._replace(place=1 - world.place, moves_left=world.moves_left - 1)
        yield there, "a deployment moves the job to another cluster", False
    if world.resizes:
        resized = world._replace(slots_of=world.resizes[0], resizes=world.resizes[1:])
        yield resized, f"slots: {resized.slots_of[0]} in the functions, {resized.slots_of[1]} in the guard", False
    if features.pauses and not world.pause:
        yield world._replace(pause=PAUSED), "somebody pauses the job", False
    if world.pause == PAUSED:
        yield world._replace(pause=RESUMED), "somebody resumes the job", False
    yield from _given_back(world)
    if world.lock is not None and not world.lock[1]:
        yield world._replace(lock=(world.lock[0], True)), "the lock's time to live passes", False
    later = _tidy(_later(world), features)
    if later != world:
        yield later, "six minutes pass", True


def _given_back(world: World) -> Iterator[tuple[World, str, bool]]:
    """The event of an execution's end arrives, by which its place in a rival's semaphore is given back."""
    for index in world.semaphore:
        run = world.runs[index]
        if run.closed:
            free = world._replace(semaphore=tuple(i for i in world.semaphore if i != index))
            yield free, f"the end of {run.name} is told, and its place is given back", False


def _tidy(world: World, features: Features) -> World:
    """Forget what no decision depends on, so that equal worlds are equal."""

    def tidied(run: Run) -> Run:
        if run.closed and run.status in CLEAN:
            lingers = run.task == LINGERING and run.age == JUST_NOW
            told = world.mistaken and world.copy == run.id and world.outsider == ALIVE
            if not lingers:
                run = run._replace(task=NO_TASK, task_age=JUST_NOW)
            if run.status == SUCCEEDED and not lingers and not told:
                run = run._replace(age=max(run.age, LONG_AGO))
        elif run.task == STOPPED and not features.old_tasks and features.task_retries:
            run = run._replace(task=NO_TASK, task_age=JUST_NOW)
        return run

    return world._replace(runs=tuple(map(tidied, world.runs)))


def _copies(world: World) -> Iterator[tuple[World, str]]:
    """A copy of the task of a run that is open, or that closed cleanly: of any other it is that run's own."""
    for run in world.runs:
        if not run.renewal and (run.status == OPEN or run.status in {SUCCEEDED, FAILED}):
            copied = world._replace(outsider=ALIVE, outsider_age=JUST_NOW, outsider_place=run.place, copy=run.id)
            yield copied, f"somebody starts a copy of the task of {run.name}"


def _outsider_stops(world: World) -> World:
    return world._replace(outsider=STOPPED, outsider_age=JUST_NOW)


def _outsider(world: World) -> str:
    if world.mistaken:
        return f"the task that {id_name(world.copy)} took for stopped"
    return "the copy" if world.copy else "the task started by hand"


def _run_happens(world: World, index: int, run: Run, features: Features) -> Iterator[tuple[World, str]]:
    name = run.name
    fresh_task = run.task == NO_TASK or (features.task_retries and run.task == STOPPED)
    # RunTask may be on its way while its run is aborted: the task starts although the run has just been closed.
    in_flight = run.closed and run.status not in CLEAN and run.age == JUST_NOW
    runs_nothing = run.renewal or run.history or run.place == NOWHERE
    if fresh_task and not runs_nothing and (run.status == OPEN or in_flight):
        again = "another task of" if run.task == STOPPED else "the task of"
        closed = ", which has just been closed," if run.closed else ""
        yield world.with_run(index, task=ALIVE, task_age=JUST_NOW), f"{again} {name}{closed} starts"
    if run.task == ALIVE and features.slow_stops:
        yield world.with_run(index, task=STOPPING), f"the task of {name} is told to stop"
    if run.task in LIVING:
        yield (
            world.with_run(index, task=STOPPED_SINCE if run.closed else STOPPED, task_age=JUST_NOW),
            f"the task of {name} stops",
        )
    if run.status != OPEN:
        return
    lock = None if world.lock is None or world.lock[0] == index else world.lock
    if run.task not in LIVING:
        for status in (SUCCEEDED, FAILED) if features.failures and not run.renewal else (SUCCEEDED,):
            verb = "succeeds" if status == SUCCEEDED else "fails cleanly"
            held = tuple(i for i in world.semaphore if i != index)
            ended = world._replace(lock=lock, semaphore=held).with_run(index, status=status, age=JUST_NOW)
            yield ended, f"{name} {verb}"
            if features.late_ecs and run.task == STOPPED:
                yield ended.with_run(index, task=LINGERING), f"{name} {verb}, and ECS is late to show its task stopped"
    if features.mistaken and run.task == ALIVE and world.outsider == NO_TASK:
        ended = world.with_run(index, status=SUCCEEDED, age=JUST_NOW, task=NO_TASK, task_age=JUST_NOW)
        outlives = ended._replace(outsider=ALIVE, outsider_age=JUST_NOW, outsider_place=run.place)
        yield outlives._replace(copy=run.id, mistaken=True), f"{name} succeeds, and its task lives on"
    if world.aborts_left:
        less = world._replace(aborts_left=world.aborts_left - 1)
        living = "; its task lives on" if run.task in LIVING else ""
        yield less.with_run(index, status=ABORTED, age=JUST_NOW), f"{name} is aborted{living}"
        if features.unclear and features.failures:
            yield less.with_run(index, status=UNCLEAR, age=JUST_NOW), f"{name} fails with another error{living}"


def _later(world: World) -> World:
    def older(run: Run) -> Run:
        age = min(run.age + 1, LONG_AGO) if run.closed and run.age < LONG_AGO else run.age
        return run._replace(age=age, task_age=EARLIER if run.task in LIVING else run.task_age)

    outsider_age = EARLIER if world.outsider == ALIVE else world.outsider_age
    return world._replace(runs=tuple(map(older, world.runs)), outsider_age=outsider_age)


def rests(world: World) -> Iterator[tuple[World, str]]:
    """Long rests, possible when nobody is in the middle of anything and no run is open."""
    if not world.restless or any(not run.closed for run in world.runs):
        return
    less = world._replace(restless=world.restless - 1)

    def rested(long: bool) -> tuple[Run, ...]:
        ages = {True: RESTED, False: LONG_AGO}
        return tuple(r._replace(age=FORGOTTEN if r.age >= RESTED else ages[long], task_age=EARLIER) for r in world.runs)

    yield less._replace(runs=rested(True), machine_is_old=True, outsider_age=EARLIER), "eighty days pass"
    yield less._replace(runs=rested(False), outsider_age=EARLIER), "ten days pass"


def _too_many(slots: list[int], world: World) -> bool:
    """More than there are slots, or two in one slot."""
    numbered = [slot for slot in slots if slot != NO_SLOT]
    return len(slots) > world.slots or len(set(numbered)) < len(numbered)


def fault(world: World) -> str | None:
    """What must never be."""
    if _too_many([run.slot for run in world.runs if run.status == OPEN], world):
        return OVERLAP
    if _too_many([run.slot for run in world.runs if run.task in LIVING], world):
        return TWO_TASKS
    places = [after[0] for w in world.waiters if not w.closed and (after := waits_after(w.name))]
    if len(set(places)) < len(places):
        return TWO_WAIT
    return None


STARTS = "a start runs"
WAITED = "a start that waited in the queue runs"
REPLACED = "a replacement stops a run, and then runs"
CLEARED = "a task left behind is stopped, and then a start runs"
RENEWED = "a start runs after a renewal's run"

BESIDE = "a start takes the slot that a task by hand leaves"

OVERLAP = "two runs are open at once"
TWO_TASKS = "two tasks of ours are alive at once"
JOINED = "a task started by hand, visible before the decision, is joined"
TWICE = "one scheduled time runs twice"
WRONG = "the verdict is wrong"
LOST = "the job was free, and nobody ran"
ENDLESS = "a start does not end"
TWO_WAIT = "two starts wait behind the same run"
CHASED = "a replacement stops what began after it"
STOPPED_WRONGLY = "a task is stopped that is not the job's, or whose run is open"
UNPAUSED = "a job seen paused is started"
NEIGHBOURS = "a replacement stops a neighbour's run or task"
OVERTAKEN = "a start goes ahead of one that it saw waiting longer"
ACTED = "a start in shadow does something"
FAULTS = (OVERLAP, TWO_TASKS, JOINED, TWICE, WRONG, LOST, ENDLESS)
"""What any guard can do wrong."""
FAULTS_OF_POLICIES = (TWO_WAIT, CHASED, STOPPED_WRONGLY, UNPAUSED, NEIGHBOURS, OVERTAKEN, ACTED)
"""What only one can that queues, replaces, stops, pauses or is in shadow."""
