"""`run_task` in a job's ecs table: RunTask's own members, under RunTask's own names.

One rule for all of them: what has a key of its own, and what is the guard's, is refused with the reason; everything
else is handed on. Whether RunTask has such a member is asked of botocore's model of ECS, by whoever deploys (`shape`
is that model's): in Lambda the file has been checked, and reading the model would make every cold start slower.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from chalicelib.config.limits import OF_MEMBERS
from chalicelib.config.tables import BAD, Reader, Spot, near, plain

if TYPE_CHECKING:
    from botocore.model import ListShape, Shape, StructureShape

KEYS: Mapping[str, str] = {
    "cluster": "cluster",
    "taskDefinition": "task_definition",
    "launchType": "launch_type",
    "platformVersion": "platform_version",
    "propagateTags": "propagate_tags",
    "enableECSManagedTags": "managed_tags",
    "networkConfiguration.awsvpcConfiguration.subnets": "subnets",
    "networkConfiguration.awsvpcConfiguration.securityGroups": "security_groups",
    "networkConfiguration.awsvpcConfiguration.assignPublicIp": "assign_public_ip",
    "overrides.cpu": "cpu",
    "overrides.memory": "memory",
    "overrides.taskRoleArn": "task_role",
    "overrides.executionRoleArn": "execution_role",
}
"""Member → the key of the ecs table that it has."""

STRATEGY = "capacityProviderStrategy"

GUARDS: Mapping[str, tuple[str, str]] = {
    "count": (
        "is the guard's: a run is one task, and its name is the lock",
        "leave it out; slots = 2 in [pools.NAME] lets two runs go side by side",
    ),
    "startedBy": ("is Step Functions' own, which takes no other", "leave it out; BATCH_JOB tells whose a task is"),
    "clientToken": (
        "is the guard's: a token that stays the same would start no task but the first",
        "leave it out; the run's name keeps a task from being started twice",
    ),
}
"""Member → why nobody may write it, and what to do."""

OWN_OF_CONTAINER: Mapping[str, str] = {"command": "command", "environment": "environment"}
"""Member of the override of the job's own container → its key."""

_RIGHT = "write RunTask's members, { enableExecuteCommand = true }"


@cache
def shape() -> StructureShape:
    """What RunTask takes, by botocore's model. It takes a tenth of a second to read."""
    from botocore.loaders import Loader  # noqa: PLC0415 (only for a file with such a table, and never in Lambda)
    from botocore.model import ServiceModel  # noqa: PLC0415 (likewise)

    model = ServiceModel(Loader().load_service_model("ecs", "service-2"))
    return cast("StructureShape", model.operation_model("RunTask").input_shape)


def reader(*, by_model: bool) -> Reader:
    """The reader of the table; without `by_model` it believes that RunTask has the members."""

    def read(value: Any, spot: Spot) -> Any:
        if spot.lacks(dict, value, _RIGHT):
            return BAD
        before = len(spot.faults)
        _check(value, shape() if by_model and value else None, "", spot)
        if len(spot.faults) == before:
            _check_group(value, spot)
            _check_containers(value, spot)
        return frozen(value) if len(spot.faults) == before else BAD

    return read


def check_own_container(given: Any, container: str, spot: Spot) -> None:
    """Refuse what a job says of its own container in two places; `spot` is that of the ecs table with the overrides.

    Of `[defaults.ecs]` each job finds the same fault; it is noted once.
    """
    overrides = given.get("overrides", {}) if isinstance(given, Mapping) else {}
    for n, override in enumerate(overrides.get("containerOverrides", ())):
        at = spot.key("run_task").key("overrides").key("containerOverrides").item(n)
        for member in OWN_OF_CONTAINER.keys() & override.keys() if override["name"] == container else ():
            if at.key(member).place not in [fault.place for fault in spot.faults]:
                at.key(member).fault("has a key of its own", f"write {OWN_OF_CONTAINER[member]} in the ecs table")


def providers(given: Mapping[str, Any]) -> list[Any]:
    """The capacity providers of its strategy."""
    strategy = given.get(STRATEGY)
    items = strategy if isinstance(strategy, (list, tuple)) else ()
    return [item.get("capacityProvider") for item in items if isinstance(item, Mapping)]


def passed_roles(given: Any) -> Iterator[str]:
    """The roles that RunTask is handed, whatever member has them: a volume's, for one."""
    if isinstance(given, Mapping):
        for key, inner in given.items():
            if isinstance(inner, str) and key.lower().endswith("rolearn"):
                yield inner
            else:
                yield from passed_roles(inner)
    elif isinstance(given, (list, tuple)):
        for inner in given:
            yield from passed_roles(inner)


def pascal(value: Any) -> Any:
    """With the names of its members as Step Functions wants them: in PascalCase at every level."""
    if isinstance(value, Mapping):
        return {f"{key[:1].upper()}{key[1:]}": pascal(inner) for key, inner in value.items()}
    return [pascal(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def frozen(value: Any) -> Any:
    """The value, so that nobody can change it."""
    if isinstance(value, dict):
        return MappingProxyType({key: frozen(inner) for key, inner in value.items()})
    return tuple(frozen(inner) for inner in value) if isinstance(value, list) else value


# --- one value, and the part of the model that it has to be -----------------------------------------------


def _check(value: Any, of: Shape | None, path: str, spot: Spot) -> None:
    """Note what is wrong with a value. `path` is that of its member in RunTask, without the places in lists."""
    if isinstance(value, dict) and (of is None or of.type_name == "structure"):
        _check_members(value, cast("StructureShape | None", of), path, spot)
    elif isinstance(value, list) and (of is None or of.type_name == "list"):
        if (limit := OF_MEMBERS.get(path)) and (said := limit.exceeded(len(value))):
            spot.fault(f"has {said}", f"leave out {len(value) - limit.most}")
        _check_size(len(value), "items", of, spot)
        for n, inner in enumerate(value):
            _check(inner, cast("ListShape", of).member if of else None, path, spot.item(n))
    elif isinstance(value, str) and plain(value, spot) is BAD:
        return
    elif of is not None:
        _check_scalar(value, of, spot)


def _check_members(value: Mapping[str, Any], of: StructureShape | None, path: str, spot: Spot) -> None:
    for key, inner in value.items():
        at, member = spot.key(key), f"{path}.{key}" if path else key
        if member in GUARDS:
            at.fault(*GUARDS[member])
        elif member in KEYS:
            at.fault("has a key of its own", f"write {KEYS[member]} in the ecs table")
        elif of is not None and key not in of.members:
            known = [name for name in of.members if (f"{path}.{name}" if path else name) not in _REFUSED]
            right = near(key, set(of.members), f"known here: {', '.join(known)}")
            at.fault("is not a member that RunTask has here", right)
        else:
            _check(inner, of.members[key] if of is not None else None, member, at)
    for key in of.required_members if of is not None else ():
        member = f"{path}.{key}" if path else key
        if key not in value and member not in KEYS:
            spot.key(key).fault("is missing", "RunTask wants it here")


def _check_scalar(value: Any, of: Shape, spot: Spot) -> None:
    kinds: Mapping[str, tuple[type, str]] = {
        "structure": (dict, "write a table, { ... }"),
        "list": (list, "write an array, [...]"),
        "string": (str, "write a string, in quotes"),
        "boolean": (bool, "write true or false"),
        "integer": (int, "write a whole number"),
        "long": (int, "write a whole number"),
        "float": (float, "write a number with a point, 0.5"),
        "double": (float, "write a number with a point, 0.5"),
    }
    if of.type_name not in kinds:  # a map's names are no members, and would be written in PascalCase
        right = f"leave it out: batch-guard can't hand on a {of.type_name} yet"
        spot.fault(f"is a {of.type_name} in RunTask", right)
        return
    kind, right = kinds[of.type_name]
    if spot.lacks(kind, value, right):
        return
    if isinstance(value, str):
        words: Sequence[str] = getattr(of, "enum", ())
        if words and value not in words:
            near_by = {word.lower(): word for word in words}.get(value.lower())
            known = f'did you mean "{near_by}"?' if near_by else f"RunTask takes {', '.join(words)}"
            spot.fault(f'"{value}" is not valid', known)
        _check_size(len(value), "characters", of, spot)
    elif isinstance(value, int) and not isinstance(value, bool):
        _check_size(value, "", of, spot)


def _check_size(size: int, unit: str, of: Shape | None, spot: Spot) -> None:
    metadata = of.metadata if of is not None else {}
    least, most = metadata.get("min"), metadata.get("max")
    if (least is not None and size < least) or (most is not None and size > most):
        bounds = f"from {least:,} to {most:,}" if least is not None and most is not None else f"{least or most:,}"
        has = f"has {size:,} {unit}" if unit else f"{size:,} is out of range"
        spot.fault(has, f"RunTask takes {bounds}{' ' + unit if unit else ''}")


_REFUSED = KEYS.keys() | GUARDS.keys()


# --- what a run relies on ---------------------------------------------------------------------------------


def _check_group(value: Mapping[str, Any], spot: Spot) -> None:
    """A task of a group like a service's would be taken for a service's, and no task of a service is a batch."""
    if str(value.get("group", "")).startswith("service:"):
        spot.key("group").fault('starts with "service:"', "take another name; ECS groups the tasks of its services so")


def _check_containers(value: Mapping[str, Any], spot: Spot) -> None:
    """Each override says whose it is, and none says what only the guard may say."""
    overrides, at = value.get("overrides", {}), spot.key("overrides")
    if at.lacks(dict, overrides, "write a table, { ... }"):
        return
    containers, at = overrides.get("containerOverrides", []), at.key("containerOverrides")
    if at.lacks(list, containers, 'write an array, [{ name = "sidecar" }]'):
        return
    names: list[str] = []
    for n, override in enumerate(containers):
        if at.item(n).lacks(dict, override, 'write a table, { name = "sidecar" }'):
            continue
        name = override.get("name")
        if not isinstance(name, str) or not name:
            at.item(n).key("name").fault("is missing", "write the container's name in the task definition")
        elif name in names:
            at.item(n).key("name").fault(f'"{name}" is there twice', "write one override for a container")
        else:
            names.append(name)
        for m, variable in enumerate(_tables(override.get("environment"))):
            if str(variable.get("name")).startswith("BATCH_"):
                place = at.item(n).key("environment").item(m).key("name")
                place.fault("is reserved", "take a name that does not start with BATCH_")


def _tables(value: Any) -> Sequence[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
