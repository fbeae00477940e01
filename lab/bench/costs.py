"""What one guarded run costs beyond the task itself: transitions, calls, dollars.

Counted is a start that finds the job free and meets nobody. Step Functions counts a transition each time a step
is executed, retries included (AWS, Step Functions pricing); so the states on the way are counted.
"""

import json
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chalicelib.values import dataclass
from guardctl.template import definition
from lab.bench.alternatives import ARTICLE, SEMAPHORE_STATES

RUN_TASK = ":states:::ecs:runTask.sync"
START_EXECUTION = ":states:::states:startExecution"
"""What the ARNs of the integrations end with: the partition before it is the deployment's."""

TRANSITION = 25.0
"""Dollars per million (AWS, us-east-1 and Tokyo)."""
INVOCATION = 0.20
"""Dollars per million invocations of Lambda (AWS)."""
GB_SECOND = 16.6667
"""Dollars per million GB-seconds of Lambda (AWS, x86)."""
WRITE = 0.625
"""Dollars per million writes of up to 1 KB (AWS, DynamoDB on demand, us-east-1)."""

PROJECT = Path(__file__).resolve().parent.parent.parent
MEMORY: int = json.loads((PROJECT / ".chalice" / "config.json").read_text(encoding="utf-8"))["lambda_memory_size"]
"""MB of the checker, as it ships."""
DECISION_SECONDS = 0.1
"""Assumed: three calls of 30 ms each, and 10 ms of work."""
ARTICLE_MEMORY, ARTICLE_SECONDS = 0.125, 0.04
"""Assumed: a function in Go, one call."""


@dataclass(frozen=True)
class Cost:
    """One design. Dollars are per million runs, without the task, its logs and what a month costs at rest."""

    design: str
    transitions: int
    calls: Mapping[str, int]
    dollars: float


def costs(decision: Mapping[str, int]) -> list[Cost]:
    """The three designs; `decision` is what the checker calls for a start that finds the job free."""
    ours = len(shortest_path(definition("guard"), START_EXECUTION)) + len(shortest_path(definition("batch"), RUN_TASK))
    article = len(shortest_path(ARTICLE, RUN_TASK))
    return [
        Cost(
            "batch-guard",
            ours,
            {"StartExecution": 2, "Invoke": 1, **decision, "RunTask": 1},
            TRANSITION * ours + INVOCATION + GB_SECOND * MEMORY / 1024 * DECISION_SECONDS,
        ),
        Cost(
            "the article's flow",
            article,
            {"StartExecution": 1, "Invoke": 1, "ListExecutions": 1, "RunTask": 1},
            TRANSITION * article + INVOCATION + GB_SECOND * ARTICLE_MEMORY * ARTICLE_SECONDS,
        ),
        Cost(
            "AWS's semaphore in DynamoDB",
            len(SEMAPHORE_STATES),
            {"StartExecution": 1, "UpdateItem": 2, "RunTask": 1},
            TRANSITION * len(SEMAPHORE_STATES) + 2 * WRITE,
        ),
    ]


def to_the_task() -> int:
    """The transitions of a start that finds its job free, up to RunTask."""
    states, way = definition("batch")["States"], shortest_path(definition("batch"), RUN_TASK)
    runs = next(number for number, name in enumerate(way, 1) if _resource(states[name]).endswith(RUN_TASK))
    return len(shortest_path(definition("guard"), START_EXECUTION)) + runs


def shortest_path(definition: Mapping[str, Any], past: str) -> tuple[str, ...]:
    """The states from the start to a good end, without an error, past one whose resource ends with `past`."""
    states = definition["States"]
    ways: deque[tuple[str, ...]] = deque([(definition["StartAt"],)])
    while ways:
        way = ways.popleft()
        last = states[way[-1]]
        if _ends_well(last) and any(_resource(states[name]).endswith(past) for name in way):
            return way
        ways.extend((*way, following) for following in _following(last) if following not in way)
    raise ValueError(f"no way to a good end past {past}")


def _resource(state: Mapping[str, Any]) -> str:
    return str(state.get("Resource", ""))


def _ends_well(state: Mapping[str, Any]) -> bool:
    return state["Type"] == "Succeed" or bool(state.get("End"))


def _following(state: Mapping[str, Any]) -> Iterator[str]:
    for choice in state.get("Choices", ()):
        yield choice["Next"]
    for key in ("Next", "Default"):
        if key in state:
            yield state[key]
