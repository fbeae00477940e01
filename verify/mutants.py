"""Our own guard with one line made wrong. A model that does not catch these proves nothing.

A mutant is the text of a line, found exactly once in its function (or in guard.asl.json), and the text in its place.
"""

import inspect
import textwrap
import types
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from chalicelib import guard
from verify.asl import GUARD_FILE, Asl
from verify.checker import Decide, RealChecker
from verify.explore import Scenario
from verify.ours import SCHEDULE, UNLUCKY, Ours
from verify.scenarios import HISTORIES, NOBODY, NOTHING, RUN


@dataclass(frozen=True)
class Mutant:
    """One fault of ours, and the smallest scenario that is known to catch it."""

    name: str
    where: Callable[..., Any] | None
    """The function with the line; None for guard.asl.json."""
    line: str
    wrong: str
    scenario: Scenario

    def protocol(self) -> Ours:
        """This project's guard with the fault in it."""
        features = self.scenario.features
        if self.where is None:
            return Ours(features, asl=Asl(_changed(GUARD_FILE.read_text(), self.line, self.wrong)))
        return Ours(features, RealChecker(_decide_with(self.where, self.line, self.wrong)))


def _changed(text: str, line: str, wrong: str) -> str:
    assert text.count(line) == 1, f"a mutant's line must be there once, not {text.count(line)} times: {line}"
    return text.replace(line, wrong)


def _decide_with(where: Callable[..., Any], line: str, wrong: str) -> Decide:
    """`guard.decide`, with one function of its module changed: the module's functions, bound to each other anew."""
    space = dict(vars(guard))
    for name, value in vars(guard).items():
        if isinstance(value, types.FunctionType) and value.__module__ == guard.__name__:
            space[name] = types.FunctionType(value.__code__, space, name, value.__defaults__, value.__closure__)
    exec(_changed(textwrap.dedent(inspect.getsource(where)), line, wrong), space)
    decide: Decide = space["decide"]
    return decide


def _two(history: str = NOBODY, *, starts: int = 2, aborts: int = 0, rests: int = 0, **may: Any) -> Scenario:
    features = replace(NOTHING, stale=True, **may)
    world = HISTORIES[history]._replace(aborts_left=aborts, restless=rests)
    return Scenario("", (SCHEDULE,) * starts, history, world, features)


MUTANTS = (
    Mutant(
        "a run that is open is not in the way",
        guard.decide,
        "_open_execution(facts) or _lost_claim(facts, request)",
        "_lost_claim(facts, request)",
        _two(),
    ),
    Mutant(
        "a status that AWS adds later counts as closed",
        guard._open_execution,
        "if not execution.closed:",
        'if execution.status == "RUNNING":',
        _two(odd_status=True),
    ),
    Mutant(
        "forgotten names are not minded",
        guard.decide,
        "_names_are_remembered(numbers, facts)",
        "pass",
        _two(RUN, starts=3, rests=2),
    ),
    Mutant(
        "after an abort it is not waited for a task that ECS may still hide",
        guard._task_in_the_way,
        ">= TASK_LAG",
        ">= 0 * TASK_LAG",
        _two(aborts=1),
    ),
    Mutant(
        "a task that stopped before its run was aborted counts as the last",
        guard._outlived,
        "and task.stopped_at >= execution.stopped_at",
        "",
        _two(aborts=1, old_tasks=True, task_retries=True),
    ),
    Mutant(
        "of a run that was described, but is not on the page, the task is not minded",
        guard._task_in_the_way,
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
        guard.decide,
        "if mine is not None and",
        "if False and mine is not None and",
        _two(lost_replies=True),
    ),
    Mutant(
        "it says that it did not run when it can't know",
        guard._step_back,
        "if request.claim and _claim_is_unclear(request, facts):",
        "if False:",
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
        None,
        '''"ExecutionAlreadyExists"
          ],
          "Next": "Check running executions"''',
        '''"ExecutionAlreadyExists"
          ],
          "Next": "Started"''',
        _two(),
    ),
    Mutant("it does not remember that it has waited", None, "{'waited': true}", "{'waited': false}", _two()),
)
