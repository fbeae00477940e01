"""This project's guard in the modelled world: guard.asl.json moved by its own text, and the real checker.

Every step below is one thing that happens at one moment: a read, a StartExecution, an error, the end of a wait.
"""

import functools
import json
from collections.abc import Iterator
from dataclasses import field, replace
from typing import Any

from chalicelib.decide import availability as protocol
from chalicelib.names import waits_after
from chalicelib.values import dataclass
from lab.verify.actions import Actions
from lab.verify.asl import Asl
from lab.verify.checker import PAUSE, Decided, Failed, Read, RealChecker, Wanted, rows
from lab.verify.machine import CHECK, ENDED, ME, UNLUCKY, Guard, Itself, itself
from lab.verify.protocol import NOT_YET, SAME_EVENT, Step
from lab.verify.reads import remembered, views, with_memory
from lab.verify.world import ALIVE, DELIVERED, JUST_NOW, OPEN, Features, World


@dataclass(frozen=True)
class Look:
    """One look of a guard's checker, in one world: what is the same for everything that it may be shown."""

    event: str
    shown: dict[Wanted, list[tuple[Any, bool, str]]] = field(default_factory=dict)
    """By what it wants to read: all that this may show."""
    ended: set[Any] = field(default_factory=set)
    """What came of it: by which reads the checker got there makes no difference any more."""


class Ours(Actions):
    """The protocol; `checker` and `asl` can be replaced by a mutant's."""

    name = "this project"

    def __init__(
        self, features: Features, checker: RealChecker | None = None, asl: Asl | None = None, *, track: bool = True
    ) -> None:
        super().__init__(features, asl, track=track)
        self.pool = features.slots > 1 or bool(features.neighbour)
        if self.pool:
            self.asl.deploy(rows(features))
        self.checker = checker or RealChecker(features)
        self._events: dict[Itself, str] = {}
        self._obeyed: dict[tuple[Itself, str], list[tuple[str, Any]]] = {}

    def start(self, kind: str, place: int) -> Guard:
        """A start that has not happened yet. Those that may wait for a pool have names, for by these they wait."""
        queues = self.pool and "queue" in {self.features.overlap, self.features.neighbour}
        return Guard(
            kind=kind, name=f"{ME}{place}" if queues else ME, losses=protocol.MAX_LOSSES - 1 if kind == UNLUCKY else 0
        )

    def idle(self, guard: Guard) -> bool:
        """Not begun, or ended."""
        return guard.at in {NOT_YET, ENDED}

    def ended(self, guard: Guard) -> bool:
        """It will not do anything any more."""
        return guard.at == ENDED

    def six_minutes_later(self, guard: Guard) -> Guard | None:
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
        else:
            yield from self.act(guard, world)
        if self.features.crashes and world.mishaps:
            yield self.end(self.excused(guard), world.mishap(), "is aborted")

    def _begin(self, guard: Guard, world: World) -> Iterator[Step[Guard]]:
        if guard.kind == SAME_EVENT:
            if world.delivered:
                yield self.end(
                    self.excused(guard), world, "is the same event again: its guard execution's name is taken"
                )
                return
            world = world._replace(delivered=DELIVERED)
        begin = {"guard": {"losses": guard.losses}} if guard.losses else {}
        begun = guard._replace(at=self.asl.start_at, input=json.dumps(begin), losses=0, row=world.slots_of[1])
        if self.pool:
            begun = begun._replace(after=len(world.waiters))
        if "replace" in {self.features.overlap, self.features.neighbour}:
            begun = begun._replace(began=len(world.runs))
        for step in self._check(begun, world):
            yield replace(step, said=f"is started by {guard.kind}; {step.said}")

    # the checker

    def _check(self, guard: Guard, world: World) -> Iterator[Step[Guard]]:
        if guard.reads is None:
            visible = world.outsider_age > JUST_NOW and world.outsider_place == world.place
            seen = world.outsider == ALIVE and visible
            beside = world.in_use if seen and world.slots > 1 else ()
            guard = guard._replace(outsider_seen=seen, beside=beside, older_seen=False)
            guard = guard._replace(reads=(), place=world.place, slots=world.slots_of[0])
            guard = guard._replace(memory=remembered(guard, world))
            if guard.yields and not (guard.yielded or guard.late):
                yield Step(guard._replace(yielded=True), world, "asks the checker: it has yielded for long enough")
            if self.may_wait_again and not guard.late:
                # A renewal is waited for until the deadline: who meets one even then need not have run.
                late = guard._replace(late=True, excused=guard.excused or (self.track and self.features.renewals))
                yield Step(late, world, "asks the checker, which looks at its clock: too late")
            if self.features.slow_checks:
                yield Step(guard, world, "asks the checker, which looks at its clock")
                return
        yield from self._read_on(guard, world, Look(self._event(guard)), "", ecs=False)
        if self.features.crashes and guard.reads and world.mishaps:
            world = world.mishap()
            lost = self.asking(self.excused(guard))
            assert self.asl.retries(CHECK, "Lambda.Unknown")
            yield Step(lost, world, "'s checker dies; it is asked again")
            yield from self.give_up(lost, world, "Lambda.Unknown", "'s checker dies once too often")

    def _read_on(self, guard: Guard, world: World, look: Look, said: str, *, ecs: bool) -> Iterator[Step[Guard]]:
        """Read until the others must get their turn: after each read, or (unless `fine`) where it may matter.

        What Step Functions may show only grows: every state that an execution has had. So whatever a read shows now,
        it can also show later, and a read may as well happen together with what its checker does next, unless that
        is a read of ECS just before (`ecs`), which has to stay where it is.
        """
        assert guard.reads is not None
        answer = self.checker.ask(look.event, guard.clock, guard.reads, guard.place, guard.slots, guard.memory)
        if not isinstance(answer, Wanted):
            end = (answer, guard.excused, guard.pause_seen, guard.older_seen, world.remembered)
            if end not in look.ended:
                look.ended.add(end)
                yield from self._answered(guard, world, answer, said)
            return
        of_ecs = answer.what in {"tasks", "describe"}
        together = not said or (not self.features.fine and not ecs) or (ecs and of_ecs and not self.features.slow_stops)
        if not together:
            yield Step(guard, world, said)
            return
        if answer not in look.shown:
            look.shown[answer] = list(views(answer, guard, world, self.features))
        for view, excused, words in look.shown[answer]:
            after = guard._replace(
                reads=(*guard.reads, Read(answer.what, answer.of, view)),
                excused=self.track and (guard.excused or excused),
            )
            if answer.what == "page":
                after = after._replace(pause_seen=any(s.number == PAUSE and s.status == OPEN for s in view))
            elif (answer.what, answer.of) == ("details", PAUSE) and view is not None and view.status != OPEN:
                after = after._replace(pause_seen=False)  # the page was old news
            elif answer.what == "waiting":
                after = after._replace(older_seen=any(place < guard.after for _, place in view))
            elif answer.what == "waiter" and view is not None and view.status == OPEN and not guard.waits:
                after = after._replace(older_seen=guard.older_seen or _is_next(answer.of, guard.reads))
            around = with_memory(world, view) if answer.what == "describe" and self.features.warm else world
            yield from self._read_on(after, around, look, f"{said}; {words}" if said else words, ecs=of_ecs)

    def _answered(self, guard: Guard, world: World, answer: Decided | Failed, said: str) -> Iterator[Step[Guard]]:
        """What the state machine does with the checker's answer."""
        if isinstance(answer, Failed):
            assert self.asl.retries(CHECK, answer.error)
            again = self.asking(guard)
            yield Step(again, world, f"{said}; can't tell, and will ask again")
            yield from self.give_up(again, world, answer.error, f"{said}; can't tell, once too often")
            return
        said += f" → {_words(answer.payload)}"
        for moved in self._obey(guard, answer.payload):
            yield self.move(guard, world, moved, said)
        if self.features.misfits:
            decision = json.loads(answer.payload)
            strange = {**decision, "outcome": "something new"}
            lacking = [{key: value for key, value in decision.items() if key != part} for part in ("run", "reason")]
            for misfit in (strange, *lacking):
                if misfit != decision:
                    for moved in self._obey(guard, json.dumps(misfit, sort_keys=True)):
                        yield self.move(self.excused(guard), world, moved, f"{said}; not understood")

    def _event(self, guard: Guard) -> str:
        """What the checker is asked. Worked out once for all guards of which the state machine knows the same."""
        known = itself(guard)
        if known not in self._events:
            payload = self.asl.arguments(CHECK, self.states(guard))["Payload"]
            if self.features.resizes:
                payload["guard"]["slots"] = guard.row
            self._events[known] = json.dumps(payload, sort_keys=True)
        return self._events[known]

    def _obey(self, guard: Guard, payload: str) -> list[tuple[str, Any]]:
        """Where the state machine goes with this decision; likewise."""
        key = (itself(guard), payload)
        if key not in self._obeyed:
            target, data = self.asl.succeed(CHECK, self.states(guard, result={"Payload": json.loads(payload)}))
            self._obeyed[key] = list(self.follow(guard, target, data))
        return self._obeyed[key]


def _is_next(waiter: str, reads: tuple[Read, ...]) -> bool:
    """Whether it waits behind the newest run that was seen; what waits for an earlier place has had its turn."""
    place, pages = waits_after(waiter), [read.answer for read in reads if read.what == "page"]
    return place is not None and place[0] >= max((shown.number for page in pages for shown in page), default=0)


@functools.cache
def _words(payload: str) -> str:
    decision = json.loads(payload)
    words = decision.get("next_run") or decision.get("waiter") or (decision.get("holder") or {}).get("name")
    return f"{decision['outcome']} {words or decision.get('error') or ''}".rstrip()
