"""This project's guard in the modelled world: guard.asl.json moved by its own text, and the real checker.

One guard execution is a `Guard`: its state's name, that state's input, and what the checker has read so far. Every
step below is one thing that happens at one moment: a read, a StartExecution, an error, the end of a wait.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from chalicelib import guard as protocol
from chalicelib.names import run_number
from verify.asl import Asl
from verify.checker import ME, Decided, Failed, Read, RealChecker, Wanted
from verify.protocol import NOT_YET, SAME_EVENT, Step
from verify.reads import views
from verify.world import (
    ALIVE,
    DELIVERED,
    ENDLESS,
    JOINED,
    JUST_NOW,
    OPEN,
    TWICE,
    WRONG,
    Features,
    Run,
    World,
)

CHECK, START, WAIT = "Check running executions", "Start the run", "Wait for the holder"
AGAIN = "Ask again later"
TAKEN = "StepFunctions.ExecutionAlreadyExistsException"
DENIED = "StepFunctions.AccessDeniedException"
ENDED = "ended"
SCHEDULE, KEEPALIVE, UNLUCKY = "the schedule", "a keepalive", "the schedule, on a bad day"


class Guard(NamedTuple):
    """One guard execution."""

    at: str = NOT_YET
    kind: str = SCHEDULE
    input: str = "{}"
    losses: int = 0
    """`losses` of the execution this one begins with: 0, but for a scenario near the limit."""
    reads: tuple[Read, ...] | None = None
    """None until the checker has looked at its clock."""
    now_age: int = JUST_NOW
    owns: tuple[int, ...] = ()
    """Which runs of the world it has created."""
    outsider_seen: bool = False
    """A task started by hand was plainly visible when the checker looked at its clock."""
    ran: bool = False
    """Kept when it has ended."""
    excused: bool = False
    """It was told something stale about the history, or a service failed: its stepping back is no fault."""


class Ours:
    """The protocol; `checker` and `asl` can be replaced by a mutant's."""

    name = "this project"

    def __init__(
        self,
        features: Features,
        checker: RealChecker | None = None,
        asl: Asl | None = None,
        *,
        track: bool = True,
    ) -> None:
        self.features = features
        self.checker = checker or RealChecker()
        self.asl = asl or Asl()
        self.track = track
        self.ends = {name for name, state in self.asl.states.items() if state["Type"] in {"Succeed", "Fail"}}

    def start(self, kind: str) -> Guard:
        """A start that has not happened yet."""
        return Guard(kind=kind, losses=protocol.MAX_LOSSES - 1 if kind == UNLUCKY else 0)

    def idle(self, guard: Guard) -> bool:
        """Not begun, or ended."""
        return guard.at in {NOT_YET, ENDED}

    def ended(self, guard: Guard) -> bool:
        """It will not do anything any more."""
        return guard.at == ENDED

    def five_minutes_later(self, guard: Guard) -> Guard | None:
        """None if a checker is in the way: it lives for 60 s, so two steps can't fall into it.

        One can, between two reads; unless `slow_checks`, none does.
        """
        if guard.at != CHECK or guard.reads is None:
            return guard
        if guard.now_age or not self.features.slow_checks:
            return None
        return guard._replace(now_age=guard.now_age + 1)

    def ran(self, guard: Guard) -> bool:
        """It has started a run."""
        return guard.ran

    def stepped_back(self, guard: Guard) -> bool:
        """It ended without a run, and has no excuse: so there must be a run."""
        return guard.at == ENDED and not guard.ran and not guard.excused

    def steps(self, guard: Guard, world: World) -> Iterator[Step[Guard]]:
        """Everything this guard execution may do next."""
        if guard.at == NOT_YET:
            yield from self._begin(guard, world)
        elif guard.at == CHECK:
            yield from self._check(guard, world)
        elif guard.at == START:
            yield from self._start_the_run(guard, world)
        else:
            raise AssertionError(f"the model does not know the state {guard.at!r}")
        if self.features.crashes and world.mishaps:
            yield Step(self._ended(guard._replace(excused=True)), world.mishap(), "is aborted")

    def _begin(self, guard: Guard, world: World) -> Iterator[Step[Guard]]:
        if guard.kind == SAME_EVENT:
            if world.delivered:
                gone = self._ended(guard._replace(excused=True))
                yield Step(gone, world, "is the same event again: its guard execution's name is taken")
                return
            world = world._replace(delivered=DELIVERED)
        begin = {"guard": {"losses": guard.losses}} if guard.losses else {}
        begun = guard._replace(at=self.asl.start_at, input=json.dumps(begin), losses=0)
        for step in self._check(begun, world):
            yield replace(step, said=f"is started by {guard.kind}; {step.said}")

    # the checker

    def _check(self, guard: Guard, world: World) -> Iterator[Step[Guard]]:
        if guard.reads is None:
            seen = world.outsider == ALIVE and world.outsider_age > JUST_NOW
            guard = guard._replace(reads=(), outsider_seen=seen and self.features.outsider)
            if self.features.slow_checks:
                yield Step(guard, world, "asks the checker, which looks at its clock")
                return
        event = json.dumps(self.asl.arguments(CHECK, self._states(guard))["Payload"], sort_keys=True)
        yield from self._read_on(guard, world, event, "", ecs=False)
        if self.features.crashes and guard.reads and world.mishaps:
            world = world.mishap()
            lost = guard._replace(reads=None, now_age=JUST_NOW, excused=self.track)
            assert self.asl.retries(CHECK, "Lambda.Unknown")
            yield Step(lost, world, "'s checker dies; it is asked again")
            yield from self._give_up(lost, world, CHECK, "Lambda.Unknown", "'s checker dies once too often")

    def _read_on(self, guard: Guard, world: World, event: str, said: str, *, ecs: bool) -> Iterator[Step[Guard]]:
        """Read until the others must get their turn: after each read, or (unless `fine`) where it may matter.

        What Step Functions may show only grows: every state that an execution has had. So whatever a read shows now,
        it can also show later, and a read may as well happen together with what its checker does next, unless that
        is a read of ECS just before (`ecs`), which has to stay where it is.
        """
        assert guard.reads is not None
        answer = self.checker.ask(event, guard.reads)
        if not isinstance(answer, Wanted):
            yield self._answered(guard, world, answer, said)
            if self.features.misfits and isinstance(answer, Decided):
                strange = Decided(json.dumps({**json.loads(answer.payload), "outcome": "something new"}))
                yield self._answered(guard._replace(excused=self.track), world, strange, said)
            return
        of_ecs = answer.what in {"tasks", "describe"}
        together = not said or (not self.features.fine and not ecs) or (ecs and of_ecs and not self.features.slow_stops)
        if not together:
            yield Step(guard, world, said)
            return
        for view, excused, words in views(answer, guard, world, self.features):
            after = guard._replace(
                reads=(*guard.reads, Read(answer.what, answer.of, view)),
                excused=self.track and (guard.excused or excused),
            )
            yield from self._read_on(after, world, event, f"{said}; {words}" if said else words, ecs=of_ecs)

    def _answered(self, guard: Guard, world: World, answer: Decided | Failed, said: str) -> Step[Guard]:
        """What the state machine does with the checker's answer."""
        match answer:
            case Failed(error):
                if self.asl.retries(CHECK, error):
                    again = guard._replace(reads=None, now_age=JUST_NOW)
                    return Step(again, world, f"{said}; can't tell, and will ask again")
                states = self._states(guard, errorOutput={"Error": error, "Cause": ""})
                return self._move(guard, world, self.asl.fail(CHECK, error, states), f"{said}; refused: {error}")
            case Decided(payload):
                decision = json.loads(payload)
                states = self._states(guard, result={"Payload": decision})
                target, data = self.asl.succeed(CHECK, states)
                (moved,) = self.asl.choose(target, self._states(guard._replace(input=json.dumps(data, sort_keys=True))))
                words = decision.get("next_run") or (decision["holder"] or {}).get("name") or decision.get("error", "")
                return self._move(guard, world, moved, f"{said} → {decision['outcome']} {words}".rstrip())

    # StartExecution

    def _start_the_run(self, guard: Guard, world: World) -> Iterator[Step[Guard]]:
        states = self._states(guard)
        name = self.asl.arguments(START, states)["Name"]
        number = run_number(name)
        assert number is not None
        holder = world.holder_of(number)
        faults = [JOINED] if guard.outsider_seen and world.outsider == ALIVE and holder is None else []
        if holder is None:
            created = world._replace(runs=(*world.runs, Run(number, keepalive=guard.kind == KEEPALIVE)))
            owner = guard._replace(owns=(*guard.owns, len(world.runs)))
            if len(owner.owns) > 1:
                faults.append(TWICE)
            fault = faults[0] if faults else None
            success = self.asl.succeed(START, states)
            yield self._move(owner, created, success, f"starts {name}: created", fault)
            if self.features.lost_replies and world.mishaps:
                yield Step(
                    owner, created.mishap(), f"starts {name}: created, but the answer is lost; tries again", fault
                )
        elif holder.status == OPEN and any(world.runs[i] is holder for i in guard.owns):
            yield self._move(guard, world, self.asl.succeed(START, states), f"starts {name}: it has, and it is running")
        else:
            assert not self.asl.retries(START, TAKEN)
            caught = self.asl.fail(START, TAKEN, self._error(guard, TAKEN))
            yield self._move(guard, world, caught, f"starts {name}: the name is taken")
        if self.features.lost_replies and world.mishaps:
            excused = guard._replace(excused=self.track)
            yield from self._give_up(
                excused, world.mishap(), START, "States.Timeout", f"starts {name}: no answer, too often"
            )

        if self.features.misfits:
            excused = guard._replace(excused=self.track)
            yield from self._give_up(excused, world, START, DENIED, f"starts {name}: not allowed to")

    # moving

    def _give_up(self, guard: Guard, world: World, state: str, error: str, said: str) -> Iterator[Step[Guard]]:
        """A passing error that Step Functions does not retry any more: before or after the deadline."""
        target, data = self.asl.fail(state, error, self._error(guard, error))
        for moved in self.asl.choose(target, self._states(guard._replace(input=json.dumps(data, sort_keys=True)))):
            yield self._move(guard, world, moved, said)

    def _move(
        self, guard: Guard, world: World, moved: tuple[str, Any], said: str, fault: str | None = None
    ) -> Step[Guard]:
        target, data = moved
        if target in self.ends:
            after = self._ended(guard._replace(at=target))
            return Step(after, world, f"{said}. It ends: {target}", fault or self._verdict(guard, target))
        carried = data.get("guard", {})
        if (target == WAIT and carried.get("waited")) or carried.get("losses", 0) > protocol.MAX_LOSSES:
            fault = fault or ENDLESS
        after = guard._replace(at=target, input=json.dumps(_bare(data), sort_keys=True), reads=None, now_age=JUST_NOW)
        if target in {WAIT, AGAIN}:
            # The others may do as much before the checker looks at its clock as they may during the wait.
            on = self.asl.succeed(target, self._states(after))
            return self._move(after, world, on, f"{said}; waits, and asks again", fault)
        return Step(after, world, said, fault)

    def _ended(self, guard: Guard) -> Guard:
        """What is left of a guard execution: whether it ran the job, or need not have."""
        return Guard(ENDED, ran=self.track and bool(guard.owns), excused=self.track and guard.excused)

    def _verdict(self, guard: Guard, end: str) -> str | None:
        if end == "Started":
            return None if guard.owns else WRONG
        return WRONG if guard.owns and end in {"Already running", "Skipped"} else None

    def _states(self, guard: Guard, **more: Any) -> dict[str, Any]:
        own = {"keepalive": True} if guard.kind == KEEPALIVE else {}
        context = {"Execution": {"Id": ME, "Input": {"job": "nightly", **own}, "StartTime": "2026-11-23T19:00:00Z"}}
        return {"input": json.loads(guard.input), "context": context, **more}

    def _error(self, guard: Guard, error: str) -> dict[str, Any]:
        return self._states(guard, errorOutput={"Error": error, "Cause": ""})


def _bare(data: Any) -> Any:
    """What the next state uses: an error that has been asked about is for people."""
    return (
        {key: value for key, value in data.items() if key not in {"error", "cause"}} if isinstance(data, dict) else data
    )
