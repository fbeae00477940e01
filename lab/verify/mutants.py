"""Our own guard with one line made wrong. A model that does not catch these proves nothing.

A mutant is the text of a line, found exactly once in its function (or state of guard.asl.json), and the text in its
place.
"""

import inspect
import json
import textwrap
import types
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from chalicelib.decide import availability as guard
from chalicelib.decide import overlap
from lab.verify.asl import GUARD_FILE, Asl
from lab.verify.checker import Decide, RealChecker
from lab.verify.explore import Scenario
from lab.verify.machine import SCHEDULE, UNLUCKY
from lab.verify.ours import Ours
from lab.verify.scenarios import HISTORIES, NOBODY, NOTHING, RUN


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
    """`overlap.decide` with one function changed: the functions of both modules, bound to each other anew."""
    spaces = {module.__name__: dict(vars(module)) for module in (guard, overlap)}
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


def _two(history: str = NOBODY, *, starts: int = 2, aborts: int = 0, rests: int = 0, **may: Any) -> Scenario:
    features = replace(NOTHING, stale=True, **may)
    world = HISTORIES[history]._replace(aborts_left=aborts, restless=rests)
    return Scenario("", (SCHEDULE,) * starts, history, world, features)


MUTANTS = (
    Mutant(
        "a run that is open is not in the way",
        guard.judge,
        "_open_execution(facts) or _lost_claim(facts, request)",
        "_lost_claim(facts, request)",
        _two(),
    ),
    Mutant(
        "a status that AWS adds later counts as closed",
        guard._open_execution,
        "if not execution.closed and",
        'if execution.status == "RUNNING" and',
        _two(odd_status=True),
    ),
    Mutant(
        "forgotten names are not minded",
        guard.judge,
        "_names_are_remembered(numbers, facts)",
        "pass",
        _two(RUN, starts=3, rests=2),
    ),
    Mutant(
        "after an abort it is not waited for a task that ECS may still hide",
        guard._unseen_end,
        ">= TASK_LAG",
        ">= 0 * TASK_LAG",
        _two(aborts=1),
    ),
    Mutant(
        "a task that stopped before its run was aborted counts as the last",
        guard._outlived,
        "and task.stopped_at >= execution.stopped_at - CLOCKS",
        "",
        _two(aborts=1, old_tasks=True, task_retries=True),
    ),
    Mutant(
        "of a run that was described, but is not on the page, the task is not minded",
        guard._unseen_end,
        "(described | listed).values()",
        "listed.values()",
        _two(aborts=1),
    ),
    Mutant(
        "every run that failed counts as having failed cleanly",
        guard._closed_cleanly,
        'details.execution.status == "FAILED" and clean_error',
        'details.execution.status == "FAILED"',
        _two(aborts=1, unclear=True, failures=True),
    ),
    Mutant(
        "a task started by hand is not minded",
        guard._is_this_job,
        "return task.command == evidence.command",
        "return False and task.command == evidence.command",
        _two(outsider=True),
    ),
    Mutant(
        "its own run is taken for somebody else's",
        guard.judge,
        "if mine is not None and",
        "if False and mine is not None and",
        _two(lost_replies=True),
    ),
    Mutant(
        "it says that it did not run when it can't know",
        guard._busy,
        "unclear = claim_is_unclear(request, facts)",
        "unclear = False",
        _two(lost_replies=True),
    ),
    Mutant(
        "it goes on for ever when others are faster",
        guard._lost_claim,
        "if request.losses >= MAX_LOSSES:",
        "if False:",
        replace(_two(), starts=(UNLUCKY, SCHEDULE, SCHEDULE)),
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
        "{'waited': true}",
        "{'waited': false}",
        _two(),
    ),
    Mutant(
        "a replacement stops whatever runs",
        overlap._stop,
        "and began < start.may_replace_before",
        "",
        _two(overlap="replace"),
    ),
    Mutant(
        "a task whose run is not visible counts as left behind",
        guard._task_of_a_run,
        "if any(execution.closed for execution in seen) or latest > (run_number(name) or 0):",
        "if True:",
        _two(overlap="queue", orphans="stop"),
    ),
    Mutant(
        "somebody who waits is not minded",
        overlap._queue,
        "if waiter is None or not waiter.execution.closed:",
        "if False:",
        _two(overlap="queue", starts=3),
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
        "if execution.closed or pause_number(execution.name) is None:",
        "if True:",
        _two(pauses=True),
    ),
)
