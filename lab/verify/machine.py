"""One guard execution, and how it moves from state to state: by the text of guard.asl.json, and by nothing else."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, NamedTuple

from chalicelib.decide import availability as protocol
from chalicelib.decide.facts import stamp
from lab.verify.asl import Asl
from lab.verify.checker import (
    BEGAN,
    GUARD_MACHINE,
    JOB,
    NEIGHBOUR,
    ON_TIME,
    TOO_LATE,
    WAITING_MACHINE,
    YIELDED,
    Read,
    SeenTask,
)
from lab.verify.protocol import NOT_YET, Step
from lab.verify.world import ACTED, ENDLESS, HERE, JUST_NOW, MANY, WRONG, Features, World

CHECK, WAIT, AGAIN = "Check running executions", "Wait for the holder", "Ask again later"
TELL = "Tell"
ENDED = "ended"
SCHEDULE, RENEWAL, UNLUCKY = "the schedule", "a renewal", "the schedule, on a bad day"
RENEWAL_OF_2, OTHER = "a renewal of slot 2", "the schedule of the other job"
SHADOW = "the schedule, in shadow"
TOLD = "the schedule, of a job whose people are told"
ME = "me"
_TELLING = {
    "machine": GUARD_MACHINE + "--telling",
    "kinds": ["skipped", "not_started"],
    "at": "2026-11-23 18:00 UTC",
    "zone": "UTC",
    "offset_minutes": 0,
    "command": "guardctl why",
    "more": "",
}
"""What the trigger writes of whom to tell."""


class Guard(NamedTuple):
    """One guard execution: its state's name, that state's input, and what the checker has read so far."""

    at: str = NOT_YET
    kind: str = SCHEDULE
    name: str = ME
    given: str = "{}"
    """Its execution's input, without the job."""
    input: str = "{}"
    losses: int = 0
    """`losses` of the execution this one begins with: 0, but for a scenario near the limit."""
    reads: tuple[Read, ...] | None = None
    """None until the checker has looked at its clock."""
    now_age: int = JUST_NOW
    place: int = HERE
    """Where its checker's jobs file says that the job runs."""
    memory: tuple[SeenTask, ...] = ()
    """The tasks that its checker has seen STOPPED before."""
    late: bool = False
    """Its deadline and queue_timeout have passed."""
    yielded: bool = False
    """It has yielded as long as a start does."""
    age: int = 0
    """Of a waiter for a pool: its place among those that have waited; the first is 1."""
    after: int = 0
    """How many waiters for the pool had begun before it."""
    row: int = 1
    """How many slots its definition says."""
    slots: int = 1
    """How many slots its checker's jobs file says."""
    began: int = MANY
    """How many runs there were when it began; kept only if it matters."""
    owns: tuple[int, ...] = ()
    """Which runs of the world it has created."""
    asked: tuple[str, ...] = ()
    """Which waiters it has started."""
    outsider_seen: bool = False
    """A task started by hand was plainly visible when the checker looked at its clock."""
    beside: tuple[int, ...] = ()
    """Likewise: the runs of further slots that were in use then."""
    older_seen: bool = False
    """It was shown one that has waited longer."""
    pause_seen: bool = False
    """The page showed that the job is paused."""
    ran: bool = False
    """Kept when it has ended."""
    excused: bool = False
    """It was told something stale about the history, or a service failed: its stepping back is no fault."""

    @property
    def waits(self) -> bool:
        """It waits in a queue."""
        return not self.name.startswith(ME)

    @property
    def yields(self) -> bool:
        """It lets an older one go first."""
        return '"yields_since": "' in self.input  # else null

    @property
    def renews(self) -> bool:
        """It is a renewal."""
        return self.kind in {RENEWAL, RENEWAL_OF_2}

    @property
    def job(self) -> int:
        """Whose start it is."""
        return 1 if self.kind == OTHER else 0

    @property
    def clock(self) -> int:
        """How late it is, for the checker."""
        return TOO_LATE if self.late else YIELDED if self.yielded else ON_TIME


Itself = tuple[str, str, str, str, int, int, int]
"""All that the state machine knows of a guard execution in a state."""


def itself(guard: Guard) -> Itself:
    """What is worked out for one holds for all guards of which the state machine knows the same."""
    return guard.kind, guard.name, guard.given, guard.input, guard.age, guard.after, guard.row


class Machine:
    """guard.asl.json in motion. With `track` unset it is not kept who ran, which makes fewer states."""

    def __init__(self, features: Features, asl: Asl | None = None, *, track: bool = True) -> None:
        self.features = features
        self.asl = asl or Asl()
        self.track = track
        self._caught: dict[tuple[str, Itself, str], list[tuple[str, Any]]] = {}
        self.ends = {name for name, state in self.asl.states.items() if state["Type"] in {"Succeed", "Fail"}}

    def move(
        self,
        guard: Guard,
        world: World,
        moved: tuple[str, Any],
        said: str,
        fault: str | None = None,
        good: str | None = None,
        more: tuple[Guard, ...] = (),
    ) -> Step[Guard]:
        """Into the next state, with its input. A wait is over at once: the others may do as much after it."""
        target, data = moved
        if target in self.ends:
            said = f"{said}. It ends: {target}"
            return self.end(guard, world, said, fault or self._verdict(guard, target), good, more)
        if guard.kind == SHADOW and target not in {CHECK, AGAIN}:
            fault = fault or ACTED
        carried = data.get("guard", {})
        waited = target == WAIT and carried.get("waited") and (guard.late or not self.may_wait_again)
        if target == WAIT and data["decision"].get("yields"):
            waited = (guard.late or guard.yielded) and guard.yields
        if waited or carried.get("losses", 0) > protocol.MAX_LOSSES:
            fault = fault or ENDLESS
        after = self.asking(guard)._replace(at=target, input=_text(data if target == TELL else _bare(data)))
        if target in {WAIT, AGAIN}:
            on = self.asl.succeed(target, self.states(after))
            return self.move(after, world, on, f"{said}; waits, and asks again", fault, good, more)
        return Step(after, world, said, fault, good, more)

    def asking(self, guard: Guard) -> Guard:
        """It has read nothing yet."""
        return guard._replace(reads=None, now_age=JUST_NOW, place=HERE, slots=1, memory=())

    def follow(self, guard: Guard, target: str, data: Any) -> Iterator[tuple[str, Any]]:
        """Through any Choice, to where something is done."""
        if self.asl.states[target]["Type"] != "Choice":
            yield target, data
            return
        for chosen, output in self.asl.choose(target, self.states(guard._replace(input=_text(data)))):
            yield from self.follow(guard, chosen, output)

    def give_up(
        self, guard: Guard, world: World, error: str, said: str, more: tuple[Guard, ...] = ()
    ) -> Iterator[Step[Guard]]:
        """An error that Step Functions does not retry (any more): before or after the deadline."""
        key = (guard.at, itself(guard), error)
        if key not in self._caught:
            self._caught[key] = [*self.follow(guard, *self.asl.fail(guard.at, error, self.error(guard, error)))]
        for moved in self._caught[key]:
            yield self.move(self.excused(guard), world, moved, said, more=more)

    def end(
        self,
        guard: Guard,
        world: World,
        said: str,
        fault: str | None = None,
        good: str | None = None,
        more: tuple[Guard, ...] = (),
    ) -> Step[Guard]:
        """What is left of a guard execution: whether it ran the job, or need not have. A renewal does neither,
        nor does a start in shadow."""
        renewal = guard.renews
        ran, excused = bool(guard.owns) and not renewal, guard.excused or renewal or guard.kind == SHADOW
        left = Guard(ENDED, ran=self.track and ran, excused=self.track and excused)
        after = world.with_waiter(guard.name, closed=True) if guard.waits else world
        return Step(left, after, said, fault, good, more)

    def excused(self, guard: Guard) -> Guard:
        """It need not have run."""
        return guard._replace(excused=self.track)

    @property
    def may_wait_again(self) -> bool:
        """Until the deadline: for what is being stopped, for what is ahead in the queue, for a renewal."""
        policies = {self.features.overlap, self.features.neighbour or "skip"}
        return policies != {"skip"} or self.features.orphans != "wait" or self.features.renewals

    def states(self, guard: Guard, **more: Any) -> dict[str, Any]:
        """`$states`."""
        own: dict[str, Any] = {"renewal": True} if guard.renews else {}
        own |= {"slot": 2} if guard.kind == RENEWAL_OF_2 else {}
        own |= {"shadow": True} if guard.kind == SHADOW else {}
        own |= {"tell": _TELLING} if guard.kind == TOLD else {}
        began = stamp(BEGAN + timedelta(seconds=2 * guard.age - 1 if guard.age else 2 * guard.after))
        machine = WAITING_MACHINE if guard.age else GUARD_MACHINE
        execution = {
            "Id": machine.replace(":stateMachine:", ":execution:") + f":{guard.name}",
            "Name": guard.name,
            "Input": {"job": NEIGHBOUR if guard.job else JOB, **own, **json.loads(guard.given)},
            "StartTime": began,
        }
        state = {"EnteredTime": began}
        context = {"Execution": execution, "State": state, "StateMachine": {"Id": machine}}
        return {"input": json.loads(guard.input), "context": context, **more}

    def error(self, guard: Guard, error: str) -> dict[str, Any]:
        """`$states` of a caught error."""
        return self.states(guard, errorOutput={"Error": error, "Cause": ""})

    def _verdict(self, guard: Guard, end: str) -> str | None:
        if end == "Started":
            return None if guard.owns else WRONG
        if end == "Queued":
            return WRONG if guard.owns or not guard.asked else None
        return WRONG if guard.owns and end in {"Already running", "Skipped"} else None


def _text(data: Any) -> str:
    return json.dumps(data, sort_keys=True)


def _bare(data: Any) -> Any:
    """What the next state uses: an error that has been asked about is for people."""
    if not isinstance(data, dict):
        return data
    return {key: value for key, value in data.items() if key not in {"error", "cause"}}
