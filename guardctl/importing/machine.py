"""A state machine that does nothing but run an ECS task, as Copilot makes one for each of its jobs. Pure.

A rule or a schedule that starts one runs a task as well as one with the task as its target.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from guardctl.importing.said import Note, Reason

Json = dict[str, Any]

_RUNS = re.compile(r"arn:aws[a-z-]*:states:::ecs:runTask(\.sync|\.waitForTaskToken)?")
_INSTEAD = "keep it, or write the job by hand, from what that step runs"


def runs_tasks(definition: str) -> bool:
    """Whether a definition has a step that runs an ECS task."""
    return _RUNS.search(definition) is not None


def step_of(definition: str, reasons: list[Reason]) -> Json:
    """The machine's one step, with the shorter of both timeouts.

    An empty one, with the reason why, for a machine that does anything else.
    """
    machine = json.loads(definition)
    states = machine.get("States", {})
    steps = [state for state in states.values() if state.get("Type") not in {"Succeed", "Fail"}]
    if len(steps) != 1 or steps[0].get("Type") != "Task" or steps[0]["Resource"].endswith("Token"):
        reasons.append(Reason("its state machine does more than run one ECS task", _INSTEAD))
        return {}
    limits = [each for each in (steps[0].get("TimeoutSeconds"), machine.get("TimeoutSeconds")) if isinstance(each, int)]
    return dict(steps[0]) | {"TimeoutSeconds": min(limits, default=None)}


def run_task(step: Mapping[str, Any], reasons: list[Reason], notes: list[Note]) -> Json:
    """The arguments of RunTask, in PascalCase; what is worked out at each start is a reason, but for the group."""
    given: Json = dict(step.get("Parameters") or step.get("Arguments") or {})
    if given.pop("Group.$", None) is not None:
        notes.append(
            Note("group of tasks", "its tasks had the name of their execution as group; BATCH_EXECUTION has it")
        )
    dynamic = re.findall(r'"([A-Za-z]+\.\$)":|("\{%)', json.dumps(given))
    if dynamic:
        named = ", ".join(sorted({key or "JSONata" for key, _ in dynamic}))
        reasons.append(Reason(f"its state machine works its arguments out at each start ({named})", _INSTEAD))
    return given


def limits(step: Mapping[str, Any]) -> Json:
    """Its timeout and its retries, as a job has them."""
    retries = sum(int(retry.get("MaxAttempts", 3)) for retry in step.get("Retry", ()))  # 3 by Step Functions' default
    return {
        **({"timeout": f"{seconds}s"} if (seconds := step.get("TimeoutSeconds")) else {}),
        **({"retries": min(retries, 10)} if retries else {}),
    }
