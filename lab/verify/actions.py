"""What a guard execution does to the world: it starts a run, waits in the queue, stops what it replaces."""

import json
from collections.abc import Iterator
from typing import Any

from chalicelib.names import run_number
from lab.verify.checker import CLUSTERS, OUTSIDER
from lab.verify.machine import CHECK, RENEWAL, Guard, Machine
from lab.verify.protocol import Step
from lab.verify.reads import task_name
from lab.verify.world import (
    ABORTED,
    ALIVE,
    CHASED,
    CLEARED,
    JOINED,
    JUST_NOW,
    LIVING,
    OPEN,
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
        match guard.at:
            case "Start the run":
                name = arguments["Name"]
                yield from self._start_the_run(guard, world, name, CLUSTERS[arguments["Input"]["target"]["cluster"]])
            case "Wait in the queue":
                name = arguments["Name"]
                yield from self._wait_in_the_queue(guard, world, name, arguments["Input"])
            case "Stop the run":
                name = arguments["ExecutionArn"].rpartition(":")[2]
                yield self._stop_the_run(guard, world, name)
            case "Stop the task":
                name = "the task of run-" + arguments["Task"].rpartition("/")[2]
                number, place = int(arguments["Task"].rpartition("/")[2]), CLUSTERS[arguments["Cluster"]]
                yield self._stop_the_task(guard, world, number, place)
            case _:
                raise AssertionError(f"the model does not know the state {guard.at!r}")
        said = f"{'stops' if guard.at in {STOP_RUN, STOP_TASK} else 'starts'} {name}"
        if self.features.lost_replies and world.mishaps:
            yield from self.give_up(guard, world.mishap(), NO_ANSWER, f"{said}: no answer, too often")
        if self.features.misfits:
            yield from self.give_up(guard, world, DENIED, f"{said}: not allowed to")
            yield from self.give_up(guard, world, UNREADABLE, f"{said}: an expression of the definition fails")

    def _done(self, guard: Guard, world: World, said: str, fault: str | None = None, **more: Any) -> Step[Guard]:
        return self.move(guard, world, self.asl.succeed(guard.at, self.states(guard)), said, fault, **more)

    def _taken(self, guard: Guard, world: World, name: str) -> Step[Guard]:
        assert not self.asl.retries(guard.at, TAKEN)
        caught = self.asl.fail(guard.at, TAKEN, self.error(guard, TAKEN))
        return self.move(guard, world, caught, f"starts {name}: the name is taken")

    def _start_the_run(self, guard: Guard, world: World, name: str, place: int) -> Iterator[Step[Guard]]:
        number = run_number(name)
        assert number is not None
        holder = world.holder_of(number)
        if holder is None:
            run = Run(number, renewal=guard.kind == RENEWAL, place=place)
            created = world._replace(runs=(*world.runs, run))
            owner = guard._replace(owns=(*guard.owns, len(world.runs)))
            fault = TWICE if guard.owns else None
            if guard.outsider_seen and world.outsider == ALIVE:
                fault = JOINED
            if guard.pause_seen and guard.kind != RENEWAL:
                fault = UNPAUSED
            for good in self._good(guard, world):
                yield self._done(owner, created, f"starts {name}: created", fault, good=good)
            if self.features.lost_replies and world.mishaps:
                said = f"starts {name}: created, but the answer is lost; tries again"
                yield Step(owner, created.mishap(), said, fault)
        elif holder.status == OPEN and any(world.runs[i] is holder for i in guard.owns):
            yield self._done(guard, world, f"starts {name}: it has, and it is running")
        else:
            yield self._taken(guard, world, name)

    def _good(self, guard: Guard, world: World) -> Iterator[str | None]:
        """What this start has brought about, now that it runs."""
        if guard.kind == RENEWAL:
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

    def _wait_in_the_queue(self, guard: Guard, world: World, name: str, given: Any) -> Iterator[Step[Guard]]:
        waiter = world.waits(name)
        if waiter is None:
            created = world.with_waiter(name)
            owner = guard._replace(asked=(*guard.asked, name))
            more = (Guard(CHECK, guard.kind, name, json.dumps(given, sort_keys=True)),)
            yield self._done(owner, created, f"starts {name}: created", more=more)
            if self.features.lost_replies and world.mishaps:
                said = f"starts {name}: created, but the answer is lost; tries again"
                yield Step(owner, created.mishap(), said, more=more)
        elif name in guard.asked and not waiter.closed:
            yield self._done(guard, world, f"starts {name}: it has, and it waits")
        else:
            yield self._taken(guard, world, name)

    def _stop_the_run(self, guard: Guard, world: World, name: str) -> Step[Guard]:
        index = next(i for i, run in reversed([*enumerate(world.runs)]) if run.name == name)
        if world.runs[index].status != OPEN:
            return self._done(guard, world, f"stops {name}, which has ended already")
        living = "; its task lives on" if world.runs[index].task in LIVING else ""
        stopped = world.with_run(index, status=ABORTED, age=JUST_NOW)
        return self._done(guard, stopped, f"stops {name}{living}", CHASED if index >= guard.began else None)

    def _stop_the_task(self, guard: Guard, world: World, number: int, place: int) -> Step[Guard]:
        if number == OUTSIDER:
            return self._done(guard, world, f"stops {task_name(number, world)}", STOPPED_WRONGLY)
        index = next(i for i, run in reversed([*enumerate(world.runs)]) if run.number == number)
        run = world.runs[index]
        assert run.place == place, "a task is to be stopped where it does not run"
        if run.task not in LIVING:
            return self._done(guard, world, f"stops the task of {run.name}, which has stopped already")
        if self.features.slow_stops:
            stopped = world.with_run(index, task=STOPPING)
        else:
            stopped = world.with_run(index, task=STOPPED_SINCE, task_age=JUST_NOW)
        return self._done(guard, stopped, f"stops the task of {run.name}", None if run.closed else STOPPED_WRONGLY)
