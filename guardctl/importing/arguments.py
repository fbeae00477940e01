"""A target as RunTask's arguments, under RunTask's own names, whichever service calls RunTask today. Pure.

A state machine that does nothing but run a task is read as its one step. The other three ways name the same
things differently: a rule and a schedule have `EcsParameters` in PascalCase and the overrides as JSON in `Input`; a
schedule that calls RunTask itself has everything in `Input`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import field
from functools import cache
from typing import Any, cast

from botocore.loaders import Loader
from botocore.model import ServiceModel, Shape
from botocore.validate import ParamValidator

from chalicelib.values import dataclass
from guardctl.importing import transform
from guardctl.importing.old import Note, Old, Reason
from guardctl.importing.transform import TIME

Json = dict[str, Any]

_RENAMED = {"TaskDefinitionArn": "taskDefinition", "TaskCount": "count", "EnableECSManagedTags": "enableECSManagedTags"}


_RUNS = re.compile(r"arn:aws[a-z-]*:states:::ecs:runTask(\.sync|\.waitForTaskToken)?")
_INSTEAD = "keep it, or write the job by hand, from what that step runs"


@dataclass
class Arguments:
    run_task: Json = field(default_factory=dict)
    reasons: list[Reason] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    limits: Json = field(default_factory=dict)
    """What else of a job a state machine says: its timeout and its retries."""


def task_definition_of(old: Old) -> str | None:
    """The task definition that a target names, as it names it; None also where nobody will need it."""
    found = of(old)
    named = found.run_task.get("taskDefinition")
    return named if isinstance(named, str) and named and not found.reasons else None


def of(old: Old) -> Arguments:
    """The arguments of an old target; AWS looks at a target's input only when it starts a task."""
    found = _given(old)
    found.run_task = _without_null(found.run_task)
    if not found.reasons:
        report = ParamValidator().validate(found.run_task, _shape())
        found.reasons += [_refused(line) for line in report.generate_report().splitlines()]
    return found


def _given(old: Old) -> Arguments:
    found = Arguments()
    if old.machine:
        step = step_of(old.machine, found.reasons)
        found.limits = limits_of(step)
        found.run_task = members(step_arguments(step, found.reasons, found.notes))
        return found
    given = _input(old, found)
    if old.universal:
        found.run_task = members(given)
        return found
    parameters = old.target.get("EcsParameters") or {}
    found.run_task = {"cluster": old.target.get("Arn", ""), **members(parameters)}
    if given:
        found.run_task["overrides"] = given
    return found


def members(value: Any) -> Any:
    """With the names of its members as RunTask has them: `AwsvpcConfiguration` is `awsvpcConfiguration`."""
    if isinstance(value, Mapping):
        return {
            _RENAMED.get(key, f"{key[:1].lower()}{key[1:]}"): (_tags if key in {"Tags", "tags"} else members)(inner)
            for key, inner in value.items()
        }
    return [members(inner) for inner in value] if isinstance(value, list) else value


def _tags(tags: Any) -> Any:
    """Scheduler's tags are maps (its API reference): of one key and its value, or of "Key" and "Value"."""
    found: list[Any] = []
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, Mapping) and {key.lower() for key in tag} != {"key", "value"}:
            found += [{"key": key, "value": value} for key, value in tag.items()]
        else:
            found.append(members(tag))
    return found if isinstance(tags, list) else members(tags)


@cache
def _shape() -> Shape:
    """What RunTask takes, by botocore's model."""
    model = ServiceModel(Loader().load_service_model("ecs", "service-2"))
    return cast(Shape, model.operation_model("RunTask").input_shape)


def _without_null(value: Any) -> Any:
    """JSON's null is a member that is not there."""
    if isinstance(value, Mapping):
        return {key: _without_null(inner) for key, inner in value.items() if inner is not None}
    return [_without_null(inner) for inner in value] if isinstance(value, list) else value


def _refused(line: str) -> Reason:
    """What botocore says of a parameter, said of a target."""
    said = re.sub(r", value: .*, type: <class '(\w+)'>, valid types: <class '(\w+)'>.*", r" is \1, not \2", line)
    said = said.replace("Invalid type for parameter ", "").replace(TIME, "<the time>")
    return Reason(f"RunTask would refuse it: {said}", "mend the target, and import again")


def _input(old: Old, found: Arguments) -> Json:
    """The target's input, with what EventBridge would have put into it."""
    transformer, text = old.target.get("InputTransformer"), old.target.get("Input")
    if transformer:
        text = transform.rendered(transformer, old, found.reasons)
    elif text and old.kind == "schedule":
        text = transform.scheduled(text, old, found.reasons)
    if not text:
        return {}  # a rule hands on the event itself, in which no override is
    try:
        given = json.loads(text)
    except ValueError as error:
        found.reasons.append(Reason(f"its input is not JSON ({error})", "mend the target's input"))
        return {}
    if not isinstance(given, dict):
        found.reasons.append(Reason("its input is no JSON object", "mend the target's input"))
        return {}
    return given


# --- a state machine that does nothing but run a task, as Copilot makes one for each of its jobs -------------


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


def step_arguments(step: Mapping[str, Any], reasons: list[Reason], notes: list[Note]) -> Json:
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


def limits_of(step: Mapping[str, Any]) -> Json:
    """Its timeout and its retries, as a job has them."""
    retries = sum(int(retry.get("MaxAttempts", 3)) for retry in step.get("Retry", ()))  # 3 by Step Functions' default
    return {
        **({"timeout": f"{seconds}s"} if (seconds := step.get("TimeoutSeconds")) else {}),
        **({"retries": min(retries, 10)} if retries else {}),
    }
