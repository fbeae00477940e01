"""Our own guard with one line made wrong. A model that does not catch these proves nothing.

A mutant is the text of a line, found exactly once in its function (or state of guard.asl.json), and the text in its
place.
"""

import inspect
import json
import textwrap
import types
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from chalicelib.decide import alive, availability, facts, overlap
from chalicelib.values import dataclass
from lab.verify.asl import GUARD_FILE, Asl
from lab.verify.checker import Decide, RealChecker
from lab.verify.explore import Scenario
from lab.verify.machine import OTHER, RENEWAL, SCHEDULE, SHADOW, UNLUCKY
from lab.verify.ours import Ours
from lab.verify.scenarios import HISTORIES, JUST_ENDED, NOBODY, NOTHING, ORPHAN, RUN, of_pool
from lab.verify.world import MANY


@dataclass(frozen=True)
class Mutant:
    """One fault of ours, and the smallest scenario that is known to catch it."""

    name: str
    where: Callable[..., Any] | str
    """The function with the line, or the state."""
    line: str
    wrong: str
    scenario: Scenario

    def protocol(self) -> Ours:
        """This project's guard with the fault in it."""
        features = self.scenario.features
        if isinstance(self.where, str):
            machine = json.loads(GUARD_FILE.read_text())
            states = machine["States"]
            states[self.where] = json.loads(_changed(json.dumps(states[self.where]), self.line, self.wrong))
            return Ours(features, asl=Asl(machine))
        return Ours(features, RealChecker(features, _decide_with(self.where, self.line, self.wrong)))


def _changed(text: str, line: str, wrong: str) -> str:
    assert text.count(line) == 1, f"a mutant's line must be there once, not {text.count(line)} times: {line}"
    return text.replace(line, wrong)


def _decide_with(where: Callable[..., Any], line: str, wrong: str) -> Decide:
    """`overlap.decide` with one function changed: the functions of its modules, bound to each other anew."""
    spaces = {module.__name__: dict(vars(module)) for module in (facts, alive, availability, overlap)}
    bound: dict[Any, Any] = {}
    for name, space in spaces.items():
        for function in [v for v in space.values() if isinstance(v, types.FunctionType) and v.__module__ == name]:
            bound[function] = types.FunctionType(
                function.__code__, space, function.__name__, function.__defaults__, function.__closure__
            )
    home = spaces[where.__module__]
    exec(_changed(textwrap.dedent(inspect.getsource(where)), line, wrong), home)
    bound[where] = home[where.__name__]
    for space in spaces.values():
        space.update({n: bound[v] for n, v in space.items() if isinstance(v, types.FunctionType) and v in bound})
    decide: Decide = spaces[overlap.__name__]["decide"]
    return decide


def _two(
    history: str = NOBODY,
    *,
    starts: int = 2,
    aborts: int = 0,
    rests: int = 0,
    mishaps: int = MANY,
    first: str = SCHEDULE,
    stale: bool = True,
    **may: Any,
) -> Scenario:
    features = replace(NOTHING, stale=stale, renewals=first == RENEWAL, **may)
    world = HISTORIES[history]._replace(aborts_left=aborts, mishaps=mishaps, restless=rests, moves_left=features.moves)
    return Scenario("", (first, *(SCHEDULE,) * (starts - 1)), history, of_pool(world, features), features)


MUTANTS = (
    Mutant(
        "a run that is open is not in the way",
        availability._judge_slot,
        "_open_execution(machine, facts) or _lost_claim(machine, facts, request)",
        "_lost_claim(machine, facts, request)",
        _two(),
    ),
    Mutant(
        "a status that AWS adds later counts as closed",
        facts.open_run,
        "if not e.closed and",
        'if e.status == "RUNNING" and',
        _two(odd_status=True),
    ),
    Mutant(
        "forgotten names are not minded",
        availability._judge_slot,
        "if rested := _rested_too_long(machine, numbers, request, facts):",
        "if rested := None:",
        _two(RUN, rests=2),
    ),
    Mutant(
        "after an abort it is not waited for a task that ECS may still hide",
        alive.unseen_end,
        ">= TASK_LAG",
        ">= 0 * TASK_LAG",
        _two(aborts=1, stale=False),
    ),
    Mutant(
        "a task that stopped before its run was aborted counts as the last",
        alive._outlived,
        "and task.stopped_at >= execution.stopped_at - CLOCKS",
        "",
        _two(aborts=1, old_tasks=True, task_retries=True, stale=False),
    ),
    Mutant(
        "of a run that was described, but is not on the page, the task is not minded",
        availability._look_at_tasks,
        "last = numbers[max(numbers)] if numbers else None",
        "seen = [e for e in facts.of(machine).executions or () if run_number(e.name)]\n"
        "    last = max(seen, key=lambda e: e.name, default=None)",
        _two(aborts=1),
    ),
    Mutant(
        "every run that failed counts as having failed cleanly",
        alive.is_clean,
        'return failed and (details.error or "").startswith(CLEAN)',
        "return failed",
        _two(aborts=1, unclear=True, failures=True, stale=False),
    ),
    Mutant(
        "a task started by hand is not minded",
        alive._counts,
        "return same(task.command, wanted) or (asked is not None and task.command == asked)",
        "return False",
        _two(outsider=True),
    ),
    Mutant(
        "its own run is taken for somebody else's",
        availability.judge,
        "if mine is not None and",
        "if False and mine is not None and",
        _two(lost_replies=True),
    ),
    Mutant(
        "it says that it did not run when it can't know",
        availability._busy,
        "unclear = claim_is_unclear(request, facts)",
        "unclear = False",
        _two(lost_replies=True),
    ),
    Mutant(
        "it goes on for ever when others are faster",
        availability._lost_claim,
        "if request.losses >= MAX_LOSSES:",
        "if False:",
        replace(_two(stale=False), starts=(UNLUCKY, SCHEDULE, SCHEDULE)),
    ),
    Mutant(
        "a name that is taken counts as started",
        "Start the run",
        '"Next": "Check running executions"',
        '"Next": "Started"',
        _two(),
    ),
    Mutant(
        "it does not remember that it has waited",
        "Wait for the holder",
        "'waited': true",
        "'waited': false",
        _two(),
    ),
    Mutant(
        "a replacement stops whatever runs",
        overlap._replace,
        "if held.began_at is None or held.began_at >= start.may_replace_before:",
        "if held.began_at is None:",
        _two(overlap="replace"),
    ),
    Mutant(
        "a task whose run is not visible counts as left behind",
        alive._task_of_a_run,
        'holder = run_holder(details.execution) if details else Holder("run", name, arn)',
        'return _on_task("orphan", task, "")',
        _two(overlap="queue", orphans="stop"),
    ),
    Mutant(
        "somebody who waits is not minded",
        overlap._queue,
        "if waiter and not waiter.execution.closed:",
        "if False:",
        _two(overlap="queue", starts=3, stale=False),
    ),
    Mutant(
        "it forgets that it has asked for a waiter, when no answer came",
        "Wait in the queue",
        "'place_asked': $states.input.decision.waiter",
        "'place_asked': null",
        _two(overlap="queue", lost_replies=True, stale=False, mishaps=1),
    ),
    Mutant(
        "a waiter that is not visible yet is not its own",
        overlap._has_queued,
        "    if not known:",
        "    if False:",
        _two(overlap="queue", lost_replies=True, mishaps=1),
    ),
    Mutant(
        "it waits in the queue for ever",
        overlap._queue,
        "if waited >= timedelta(seconds=start.policy.queue_timeout):",
        "if False:",
        _two(overlap="queue"),
    ),
    Mutant(
        "a pause is not minded",
        overlap._pause,
        "open_ones = [e for e in page if not e.closed and pause_number(e.name) is not None]",
        "open_ones = []",
        _two(pauses=True),
    ),
    Mutant(
        "the newest run's own target is not looked in",
        availability._look_at_tasks,
        "targets.setdefault(details.target.place, details.target)",
        "pass",
        _two(aborts=1, moves=1, stale=False),
    ),
    Mutant(
        "a copied task is ignored",
        alive._task_of_a_run,
        "if task.arn in details.tasks and facts.now - at < TASK_LAG:",
        "if True:",
        _two(copies=True, stale=False),
    ),
    Mutant(
        "a copied task is stopped like one that was left behind",
        alive._task_of_a_run,
        'return _on_task("copy", task, reason)',
        'return _on_task("orphan", task, reason)',
        _two(copies=True, orphans="stop", stale=False),
    ),
    Mutant(
        "a task that its run saw stop is let pass for ever",
        alive._task_of_a_run,
        "if task.arn in details.tasks and facts.now - at < TASK_LAG:",
        "if task.arn in details.tasks:",
        _two(mistaken=True, stale=False),
    ),
    Mutant(
        "a task that its run saw stop is in the way as long as ECS shows it alive",
        alive._task_of_a_run,
        "if task.arn in details.tasks and facts.now - at < TASK_LAG:",
        "if False:",
        _two(JUST_ENDED, late_ecs=True),
    ),
    Mutant(
        "a renewal costs a start",
        overlap._in_the_way,
        "if renewed := _is_a_renewal(start, facts, busy):",
        "if renewed := None:",
        _two(first=RENEWAL),
    ),
    Mutant(
        "a run that can't be described is no renewal",
        overlap._skip,
        "if unseen and facts.details.get(held.holder.arn) is None:",
        "if False:",
        _two(first=RENEWAL),
    ),
    Mutant(
        "it can't tell, whatever it is shown",
        overlap._decide,
        "return _yield(start, facts, latest) or Run(reason, latest + 1, machine)",
        "raise CantTell(reason)",
        _two(),
    ),
    Mutant(
        "a replacement waits for what it should stop",
        overlap._replace,
        'if held.why == "run" and run_number(held.holder.name):',
        "if False:",
        _two(overlap="replace", stale=False),
    ),
    Mutant(
        "a task left behind is waited for though it should be stopped",
        overlap._in_the_way,
        'if in_time and held.why == "orphan" and stops:',
        "if False:",
        _two(ORPHAN, orphans="stop", stale=False),
    ),
    Mutant(
        "only the first slot is looked at",
        availability.judge,
        "for machine in slots:",
        "for machine in slots[:1]:",
        _two(slots=2),
    ),
    Mutant(
        "a start with an unclear claim goes on to another slot",
        availability.judge,
        "if mine is None or request.losses >= MAX_LOSSES:",
        "if request.losses >= MAX_LOSSES:",
        _two(slots=2, lost_replies=True),
    ),
    Mutant(
        "names may be lost in each slot in turn, without end",
        availability.judge,
        "if mine is None or request.losses >= MAX_LOSSES:",
        "if mine is None:",
        replace(_two(slots=2, stale=False), starts=(UNLUCKY, SCHEDULE, SCHEDULE)),
    ),
    Mutant(
        "a task by hand fills no slot",
        alive.live_task,
        "islice(foreign, floating, None)",
        "islice(foreign, floating + 1, None)",
        _two(slots=2, outsider=True, stale=False),
    ),
    Mutant(
        "a task by hand fills all slots",
        availability.judge,
        'floating += verdict.why == "outsider"',
        "pass",
        _two(slots=2, outsider=True, stale=False),
    ),
    Mutant(
        "a replacement stops a neighbour's run",
        overlap._is_of,
        "if not request.shared:",
        "if True:",
        _two(first=OTHER, overlap="replace", neighbour="skip"),
    ),
    Mutant(
        "who has waited longer is not let go first",
        overlap._yield,
        "older = _older_waiter(start, facts) if start.request.shared else _waiter_behind(start, facts, latest)",
        "older = None",
        _two(first=OTHER, starts=3, stale=False, overlap="queue", neighbour="skip"),
    ),
    Mutant(
        "it yields for ever",
        overlap._yield,
        "if start.renewal or (since is not None and facts.now - since >= YIELDS_FOR):",
        "if start.renewal:",
        _two(first=OTHER, starts=3, stale=False, overlap="queue", neighbour="skip"),
    ),
    Mutant(
        "a start in shadow starts",
        overlap.decide,
        "if start.request.shadow is not None:",
        "if start.request.shadow is not None and not isinstance(answer, Run):",
        _two(first=SHADOW),
    ),
)
