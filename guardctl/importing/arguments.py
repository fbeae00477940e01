"""A target as RunTask's arguments, under RunTask's own names, whichever service calls RunTask today. Pure.

A state machine that does nothing but run a task is read as its one step (`machine`). The other three ways name the same
things differently: a rule and a schedule have `EcsParameters` in PascalCase and the overrides as JSON in `Input`; a
schedule that calls RunTask itself has everything in `Input`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from guardctl.importing import machine, transform
from guardctl.importing.old import Old
from guardctl.importing.said import Note, Reason
from guardctl.importing.transform import TIME

if TYPE_CHECKING:
    from botocore.model import Shape

_RENAMED = {"TaskDefinitionArn": "taskDefinition", "TaskCount": "count", "EnableECSManagedTags": "enableECSManagedTags"}


@dataclass
class Arguments:
    """RunTask's arguments, and why they may not be what the target means."""

    run_task: dict[str, Any] = field(default_factory=dict)
    reasons: list[Reason] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    limits: dict[str, Any] = field(default_factory=dict)
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
        from botocore.validate import ParamValidator  # noqa: PLC0415 (only this command needs it: see _shape)

        report = ParamValidator().validate(found.run_task, _shape())
        found.reasons += [_refused(line) for line in report.generate_report().splitlines()]
    return found


def _given(old: Old) -> Arguments:
    found = Arguments()
    if old.machine:
        step = machine.step_of(old.machine, found.reasons)
        found.limits = machine.limits(step)
        found.run_task = members(machine.run_task(step, found.reasons, found.notes))
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
        return {_RENAMED.get(key, _lower(key)): _member(key, inner) for key, inner in value.items()}
    return [members(inner) for inner in value] if isinstance(value, list) else value


def _member(key: str, value: Any) -> Any:
    return _tags(value) if key in {"Tags", "tags"} and isinstance(value, list) else members(value)


def _tags(tags: list[Any]) -> list[Any]:
    """Scheduler's tags are maps (its API reference): of one key and its value, or of "Key" and "Value"."""
    found: list[Any] = []
    for tag in tags:
        if isinstance(tag, Mapping) and {key.lower() for key in tag} != {"key", "value"}:
            found += [{"key": key, "value": value} for key, value in tag.items()]
        else:
            found.append(members(tag))
    return found


def _lower(key: str) -> str:
    return f"{key[:1].lower()}{key[1:]}"


@cache
def _shape() -> "Shape":
    """What RunTask takes, by botocore's model."""
    from botocore.loaders import Loader  # noqa: PLC0415 (a tenth of a second, which every command would wait for)
    from botocore.model import ServiceModel  # noqa: PLC0415

    model = ServiceModel(Loader().load_service_model("ecs", "service-2"))
    return cast("Shape", model.operation_model("RunTask").input_shape)


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


def _input(old: Old, found: Arguments) -> dict[str, Any]:
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
