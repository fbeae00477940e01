"""Judge, by botocore's models: what the machines send is what AWS takes, and every error of RunTask is classified.

Step Functions writes the names of an API's members in PascalCase at every level.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, ServiceModel, Shape, StructureShape

from lab.judges import Finding
from lab.judges.engine import evaluate
from lab.judges.expressions import NOW

_INTEGRATIONS = {
    "ecs:runTask": ("ecs", "RunTask"),
    "states:startExecution": ("stepfunctions", "StartExecution"),
    "lambda:invoke": ("lambda", "Invoke"),
    "sns:publish": ("sns", "Publish"),
}
"""Optimized integrations → service and operation in botocore."""

_SDK_NAMES = {"sfn": "stepfunctions"}
"""Services that ``aws-sdk:`` calls by another name than botocore."""

_ANY_JSON = {("StartExecution", "Input"), ("Invoke", "Payload"), ("Publish", "Message")}
"""Members that Step Functions makes JSON text of, whatever stands there."""

_THE_REST = "{% true %}"
"""The Condition of a rule for whatever no other rule names."""

_KINDS: dict[str, type | tuple[type, ...]] = {
    "string": str, "integer": int, "long": int, "boolean": bool, "float": (int, float), "double": (int, float),
}  # fmt: skip


@cache
def service(name: str) -> ServiceModel:
    """The model of a service, by botocore's name."""
    return botocore.session.get_session().get_service_model(name)


def judge(machine: str, definition: Mapping[str, Any]) -> list[Finding]:
    """What is wrong with the Arguments of a definition's Tasks."""
    return [
        Finding(f"{machine} / {state} / Arguments", fault)
        for state, body in definition["States"].items()
        if body["Type"] == "Task"
        for fault in _task_faults(body)
    ]


def faults(service_name: str, operation: str, arguments: Any) -> list[str]:
    """What the API would not take of arguments in PascalCase. An expression (``{% … %}``) is any value."""
    model = service(service_name).operation_model(operation)
    return list(_faults(model.name, model.input_shape, arguments, "", first=True))


def unclassified(model: ServiceModel, batch: Mapping[str, Any], *, operation: str = "RunTask") -> list[Finding]:
    """The operation's errors that no rule of the batch definition names, so that they fall to the one for the rest."""
    ((run, caught),) = (
        (name, state["Catch"][0])
        for name, state in batch["States"].items()
        if "Resource" in state and operation_of(state["Resource"])[1] == operation
    )
    rules = [rule["Condition"] for rule in batch["States"][caught["Next"]]["Choices"] if rule["Condition"] != _THE_REST]
    names = sorted(shape.name for shape in model.operation_model(operation).error_shapes)
    unnamed = [name for name in names if not _is_named(f"ECS.{name}", caught["Output"], rules)]
    what = 'nobody says what it means: "{}" has no rule for it'.format(caught["Next"])
    return [Finding(f"batch / {run} / Catch", f"{operation} may answer {name}: {what}") for name in unnamed]


def _is_named(error: str, output: Mapping[str, Any], rules: Sequence[str]) -> bool:
    for cause in ("", "ecs:RunTask"):  # a denial must say of what
        caught = {"errorOutput": {"Error": error, "Cause": cause}}
        made = {key: _evaluate(value, {"states": caught}) for key, value in output.items()}
        if any(_evaluate(rule, {"states": {"input": made}, "began": NOW}) is True for rule in rules):
            return True
    return False


def _evaluate(expression: str, variables: Mapping[str, Any]) -> Any:
    (answer,) = evaluate(expression[2:-2], NOW, [variables])
    return answer.get("value")


def operation_of(resource: str) -> tuple[str, str]:
    """botocore's service and operation for a Task's Resource; KeyError for an integration that we do not know."""
    integration = resource.partition(":states:::")[2].split(".")[0]
    if integration.startswith("aws-sdk:"):
        _, name, action = integration.split(":")
        return _SDK_NAMES.get(name, name), action[0].upper() + action[1:]
    return _INTEGRATIONS[integration]


def _task_faults(task: Mapping[str, Any]) -> list[str]:
    try:
        service_name, operation = operation_of(task["Resource"])
    except KeyError as unknown:
        return [f"nobody has said which API {unknown} is: add it to lab/judges/models.py"]
    return faults(service_name, operation, task["Arguments"])


def _faults(operation: str, shape: Shape | None, value: Any, path: str, *, first: bool = False) -> Iterator[str]:
    if isinstance(value, str) and value.startswith("{%"):
        return
    match shape:
        case StructureShape():
            yield from _structure_faults(operation, shape, value, path, first=first)
        case ListShape() if isinstance(value, list):
            for index, inner in enumerate(value):
                yield from _faults(operation, shape.member, inner, f"{path}[{index}]")
        case Shape() if shape.type_name in _KINDS:
            wrong_bool = isinstance(value, bool) and shape.type_name != "boolean"
            if wrong_bool or not isinstance(value, _KINDS[shape.type_name]):
                yield f"{path} is {value!r}, which is no {shape.type_name} that {operation} takes"
            elif (allowed := getattr(shape, "enum", None)) and value not in allowed:
                yield f"{path} is {value!r}, and {operation} takes one of {', '.join(allowed)}"
        case ListShape():
            yield f"{path} is {value!r}, which is no list that {operation} takes"


def _structure_faults(operation: str, shape: StructureShape, value: Any, path: str, *, first: bool) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{path} is {value!r}, which is no object that {operation} takes"
        return
    members = {_pascal(name): (name, inner) for name, inner in shape.members.items()}
    for key, inner in value.items():
        where = f"{path}.{key}" if path else key
        if key not in members:
            yield f"{operation} has no {where}; it has {', '.join(sorted(members))}"
        elif not (first and (operation, key) in _ANY_JSON):
            yield from _faults(operation, members[key][1], inner, where)
    for name in shape.required_members:
        if _pascal(name) not in value:
            yield f"{operation} needs {path + '.' if path else ''}{_pascal(name)}"


def _pascal(name: str) -> str:
    return name[0].upper() + name[1:]
