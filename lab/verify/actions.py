"""What a guard execution does to the world: it starts a run, waits in the queue, stops what it replaces."""

import json
from collections.abc import Iterator
from typing import Any

from chalicelib.names import run_number
from lab.verify.checker import CLUSTERS, JOBS, OUTSIDER, WAITING_MACHINE, slot_of
from lab.verify.machine import CHECK, TELL, Guard, Machine
from lab.verify.protocol import Step
from lab.verify.reads import task_name
from lab.verify.world import (
    ABORTED,
    ALIVE,
    BESIDE,
    CHASED,
    CLEARED,
    JOINED,
    JUST_NOW,
    LIVING,
    NEIGHBOURS,
    OPEN,
    OVERTAKEN,
    RENEWED,
    REPLACED,
    STARTS,
    STOPPED_SINCE,
    STOPPED_WRONGLY,
    STOPPING,
    TWICE,
    UNPAUSED,
    WAITED,
    Run,
    World,
    id_name,
    run_id,
)

START, QUEUE, STOP_RUN, STOP_TASK = "Start the run", "Wait in the queue", "Stop the run", "Stop the task"
TAKEN = "StepFunctions.ExecutionAlreadyExistsException"
DENIED = "StepFunctions.AccessDeniedException"
NO_ANSWER = "States.Timeout"
UNREADABLE = "States.QueryEvaluationError"


class Actions(Machine):
    """The Task states but the check."""

    def act(self, guard: Guard, world: World) -> Iterator[Step[Guard]]:
        """All that may come of it."""
        arguments = self.asl.arguments(guard.at, self.states(guard))
        if guard.at == TELL:
            yield from self._tell(guard, world)
            return
        match guard.at:
            case "Start the run":
                number, given = run_number(arguments["Name"]), arguments["Input"]
                assert number is not None
                slot = slot_of(arguments["StateMachineArn"])
                assert (given["slot"], given["run"]) == (slot + 1, arguments["Name"])
                run = Run(number, renewal=guard.renews, place=CLUSTERS[given["target"]["cluster"]], slot=slot)
                run = run._replace(job=JOBS.index(given["job"]))
                name = run.name
                yield from self._start_the_run(guard, world, run)
            case "Wait in the queue":
                name = arguments["Name"]
                pool = arguments["StateMachineArn"] == WAITING_MACHINE
                yield from self._wait_in_the_queue(guard, world, name, arguments["Input"], pool=pool)
            case "Stop the run":
                machine, _, run_ = arguments["ExecutionArn"].rpartition(":")
                slot = slot_of(machine.replace(":execution:", ":stateMachine:"))
                number = run_id(slot, run_number(run_) or 0)
                name = id_name(number)
                yield self._stop_the_run(guard, world, number)
            case "Stop the task":
                number, place = int(arguments["Task"].rpartition("/")[2]), CLUSTERS[arguments["Cluster"]]
                name = f"the task of {id_name(number)}"
                yield self._stop_the_task(guard, world, number, place)
            case _:
                raise AssertionError(f"the model does not know the state {guard.at!r}")
        said = f"{'stops' if guard.at in {STOP_RUN, STOP_TASK} else 'starts'} {name}"
        if self.features.lost_replies and world.mishaps:
            yield from self.give_up(guard, world.mishap(), NO_ANSWER, f"{said}: no answer, too often")
        if self.features.misfits:
            yield from self.give_up(guard, world, DENIED, f"{said}: not allowed to")
            yield from self.give_up(guard, world, UNREADABLE, f"{said}: an expression of the definition fails")

    def _tell(self, guard: Guard, world: World) -> Iterator[Step[Guard]]:
        """People are told, or can't be; the world is as before, and it ends as it would have."""
        told = self.asl.succeed(TELL, self.states(guard))
        for after in (told, self.asl.fail(TELL, TAKEN, self.error(guard, TAKEN))):
            for moved in self.follow(guard, *after):
                yield self.move(guard, world, moved, "tells people")

    def _done(self, guard: Guard, world: World, said: str, fault: str | None = None, **more: Any) -> Step[Guard]:
        return self.move(guard, world, self.asl.succeed(guard.at, self.states(guard)), said, fault, **more)

    def _taken(self, guard: Guard, world: World, name: str) -> Step[Guard]:
        assert not self.asl.retries(guard.at, TAKEN)
        caught = self.asl.fail(guard.at, TAKEN, self.error(guard, TAKEN))
        return self.move(guard, world, caught, f"starts {name}: the name is taken")

    def _start_the_run(self, guard: Guard, world: World, run: Run) -> Iterator[Step[Guard]]:
        holder, name = world.holder_of(run.id), run.name
        if holder is None:
            created = world._replace(runs=(*world.runs, run))
            owner = guard._replace(owns=(*guard.owns, len(world.runs)))
            fault = TWICE if guard.owns or guard.asked else None  # who waits for it runs in its place
            beside = len(set(guard.beside) & set(world.in_use))
            if guard.outsider_seen and world.outsider == ALIVE and beside + 2 > world.slots:
                fault = JOINED
            if guard.pause_seen and not guard.renews:
                fault = UNPAUSED
            if guard.older_seen and not (guard.yielded or guard.late or guard.renews or "claim" in guard.input):
                fault = OVERTAKEN
            for good in self._good(guard, world):
                yield self._done(owner, created, f"starts {name}: created", fault, good=good)
            if self.features.lost_replies and world.mishaps:
                said = f"starts {name}: created, but the answer is lost"
                yield Step(owner, created.mishap(), f"{said}; tries again", fault)
                yield from self.give_up(owner, created.mishap(), NO_ANSWER, f"{said}, and so is every further one")
        elif holder.status == OPEN and any(world.runs[i] is holder for i in guard.owns):
            yield self._done(guard, world, f"starts {name}: it has, and it is running")
        else:
            yield self._taken(guard, world, name)

    def _good(self, guard: Guard, world: World) -> Iterator[str | None]:
        """What this start has brought about, now that it runs."""
        if guard.renews:
            yield None
            return
        carried = json.loads(guard.input).get("guard", {})
        yield STARTS
        if guard.waits:
            yield WAITED
        if "stopping" in carried:
            yield CLEARED
        if "stopped_at" in carried:
            yield REPLACED
        if any(run.renewal for run in world.runs):
            yield RENEWED
        if guard.outsider_seen and world.outsider == ALIVE:
            yield BESIDE

    def _wait_in_the_queue(
        self, guard: Guard, world: World, name: str, given: Any, *, pool: bool
    ) -> Iterator[Step[Guard]]:
        waiter = world.waits(name)
        if waiter is None:
            created = world.with_waiter(name)
            owner = guard._replace(asked=(*guard.asked, name))
            age = len(created.waiters) if pool else 0
            waits = Guard(CHECK, guard.kind, name, json.dumps(given, sort_keys=True), age=age, row=guard.row)
            more = (waits._replace(after=max(0, age - 1)),)
            yield self._done(owner, created, f"starts {name}: created", more=more)
            if self.features.lost_replies and world.mishaps:
                said = f"starts {name}: created, but the answer is lost"
                yield Step(owner, created.mishap(), f"{said}; tries again", more=more)
                said += ", and so is every further one"
                yield from self.give_up(owner, created.mishap(), NO_ANSWER, said, more=more)
        elif name in guard.asked and not waiter.closed:
            yield self._done(guard, world, f"starts {name}: it has, and it waits")
        else:
            yield self._taken(guard, world, name)

    def _stop_the_run(self, guard: Guard, world: World, run: int) -> Step[Guard]:
        index, name = next((i, r.name) for i, r in reversed([*enumerate(world.runs)]) if r.id == run)
        if world.runs[index].status != OPEN:
            return self._done(guard, world, f"stops {name}, which has ended already")
        living = "; its task lives on" if world.runs[index].task in LIVING else ""
        stopped = world.with_run(index, status=ABORTED, age=JUST_NOW)
        return self._done(guard, stopped, f"stops {name}{living}", self._stops(guard, index, world))

    @staticmethod
    def _stops(guard: Guard, index: int, world: World) -> str | None:
        if world.runs[index].job != guard.job:
            return NEIGHBOURS
        return CHASED if index >= guard.began else None

    def _stop_the_task(self, guard: Guard, world: World, number: int, place: int) -> Step[Guard]:
        if number == OUTSIDER:
            return self._done(guard, world, f"stops {task_name(number, world)}", STOPPED_WRONGLY)
        index = next(i for i, run in reversed([*enumerate(world.runs)]) if run.id == number)
        run = world.runs[index]
        assert run.place == place, "a task is to be stopped where it does not run"
        if run.task not in LIVING:
            return self._done(guard, world, f"stops the task of {run.name}, which has stopped already")
        if self.features.slow_stops:
            stopped = world.with_run(index, task=STOPPING)
        else:
            stopped = world.with_run(index, task=STOPPED_SINCE, task_age=JUST_NOW)
        fault = None if run.closed else STOPPED_WRONGLY
        if run.job != guard.job:
            fault = NEIGHBOURS
        return self._done(guard, stopped, f"stops the task of {run.name}", fault)
