"""What two lists tell of many executions, and which few have to be described. Pure.

ListExecutions gives name, times and status, a thousand for one call; DescribeExecution gives reasons, one for one call.
So a guard execution is paired with the run that began while it was open; what is left stands in rows of alike entries,
of which the first, the last and every sixteenth are described, and the middle where two of those differ, and so on.
What lies between two descriptions that say the same is not described, and is not said to be anything.
"""

from bisect import bisect_right
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from chalicelib.decide.facts import Execution
from chalicelib.names import machine_of
from guardctl.ledger import NOT_LOOKED_UP, Record

MOST_SLOTS = 9

FAR = 16
"""No more than so many neighbours are passed over, whatever the two beside them say."""

_AT_ONCE = timedelta(seconds=10)
_SOON = timedelta(minutes=2)

Known = Mapping[str, Record | None]
"""What was described, by ARN; None for what Step Functions does not show."""


class Row(NamedTuple):
    """Alike executions, or names that no list shows, oldest first, by ARN. The lower `rank` is described first."""

    rank: int
    arns: tuple[str, ...]


def pairs(guards: Sequence[Execution], runs: Sequence[Execution]) -> dict[str, str]:
    """ARN of a guard execution → ARN of the run that it started, where the lists leave one possibility.

    A guard execution that started a run has SUCCEEDED, and the run began while it was open.
    """
    able = sorted((g for g in guards if g.status == "SUCCEEDED" and g.stopped_at), key=lambda g: g.started_at)
    begun = sorted(runs, key=lambda run: run.started_at)
    of_guard: dict[str, list[str]] = {}
    of_run: dict[str, list[str]] = {}
    first = 0
    for guard in able:
        while first < len(begun) and begun[first].started_at < guard.started_at:
            first += 1
        for run in begun[first:]:
            if guard.stopped_at is None or run.started_at > guard.stopped_at:
                break
            of_guard.setdefault(guard.arn, []).append(run.arn)
            of_run.setdefault(run.arn, []).append(guard.arn)
    return {guard: its[0] for guard, its in of_guard.items() if len(its) == 1 and len(of_run[its[0]]) == 1}


def rows(
    executions: Iterable[Execution], runs: Sequence[Execution], rank: int, fine: Container[str] = ()
) -> Iterator[Row]:
    """Executions in the order in which they began, cut wherever two neighbours are not alike.

    Alike have one status, took about as long, and had the same run beside them: the one in the way, if they stepped
    back. What is `fine` (by ARN) has nothing more to tell: it ends a row, and is in none.
    """
    row: list[str] = []
    before: Any = None
    began = sorted(runs, key=lambda run: run.started_at)
    for execution in sorted(executions, key=lambda e: (e.started_at, e.name)):
        told = execution.arn in fine
        kind = None if told else (execution.status, _length(execution), _beside(execution, began))
        if row and kind != before:
            yield Row(rank, tuple(row))
            row = []
        before = kind
        if not told:
            row.append(execution.arn)
    if row:
        yield Row(rank, tuple(row))


def questions(row: Row, known: Known) -> list[str]:
    """Which of a row to describe next; none when it is known as well as it will be."""
    ends = [arn for arn in dict.fromkeys((row.arns[-1], row.arns[0])) if arn not in known]
    if ends:
        return ends
    told = [place for place, arn in enumerate(row.arns) if arn in known]
    return [
        row.arns[(one + other) // 2]
        for one, other in pairwise(told)
        if other - one > 1
        if other - one > FAR or _may_differ(known[row.arns[one]], known[row.arns[other]])
    ]


def between(execution: Execution) -> Record:
    """An execution that was not described."""
    return replace(plain(execution), status=NOT_LOOKED_UP if execution.closed else execution.status)


def started(guard: Execution, run: str) -> Record:
    """A guard execution that started this run (its ARN), as far as lists tell."""
    output = {"outcome": "started", "run": run.rpartition(":")[2], "state_machine_arn": machine_of(run)}
    return plain(guard, output=output)


def run_of(run: Execution, guard: str | None) -> Record:
    """A run that this guard execution (its ARN) started, if that is known, as far as lists tell."""
    failed = "why was not looked up" if run.closed and run.status != "SUCCEEDED" else None
    return plain(run, input={"guard_execution": guard} if guard else {}, cause=failed)


def plain(execution: Execution, **said: Any) -> Record:
    """What a list tells of an execution, and what else is known of it."""
    return Record(
        arn=execution.arn,
        status=execution.status,
        started_at=execution.started_at,
        stopped_at=execution.stopped_at,
        **said,
    )


def _may_differ(one: Record | None, other: Record | None) -> bool:
    """Whether those between two of a row may be otherwise: in shadow no list tells one verdict from another."""
    return _said(one) != _said(other) or (one is not None and one.output.get("outcome") == "shadow")


def _said(record: Record | None) -> Any:
    """What makes two descriptions the same."""
    if record is None:
        return None
    return record.status, record.error, record.output.get("outcome"), record.output.get("error")


def _length(execution: Execution) -> int:
    """0, 1 or 2: at once, soon, or later. A start that waits its `grace` is not one that asked for two hours."""
    if execution.stopped_at is None:
        return -1
    took = execution.stopped_at - execution.started_at
    return 0 if took < _AT_ONCE else 1 if took < _SOON else 2


def _beside(execution: Execution, runs: Sequence[Execution]) -> str | None:
    """The newest run that began before it and had not ended then."""
    begun = bisect_right(runs, execution.started_at, key=lambda run: run.started_at)
    newest = reversed(runs[max(0, begun - MOST_SLOTS) : begun])  # a slot's runs come one after the other
    return next((r.arn for r in newest if r.stopped_at is None or r.stopped_at >= execution.started_at), None)
