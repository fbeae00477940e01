"""The task of one job, `[defaults.ecs]` and its own table together. Each check notes what only shows then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from chalicelib.config import limits, members
from chalicelib.config.run_task import length_of_overrides, overrides
from chalicelib.config.tables import BAD, Spot
from chalicelib.config.task import CLUSTER, Ecs
from chalicelib.decide import words

_FARGATE = frozenset({"FARGATE", "FARGATE_SPOT"})


def whole_task(defaults: dict[str, Any], own: dict[str, Any], spot: Spot) -> Any:
    """The task of one job, if the file has no fault so far; a `BAD` value is passed over, it has been noted."""
    if _chosen(own, spot):
        # One choice in three keys: a job that makes it replaces the default's.
        defaults = {key: value for key, value in defaults.items() if key not in ("launch_type", "capacity_provider")}
        if members.STRATEGY in _members(defaults):
            rest = {key: value for key, value in defaults["run_task"].items() if key != members.STRATEGY}
            defaults["run_task"] = MappingProxyType(rest)
    task: dict[str, Any] = defaults | own
    if BAD not in (defaults.get("run_task"), own.get("run_task")):  # a member that a job writes replaces the default's
        task["run_task"] = MappingProxyType({**_members(defaults), **_members(own)})
    for key in ("cluster", "task_definition", "container"):
        if key not in task:
            spot.key(key).fault("is missing", "write it here or in [defaults.ecs]")
    if BAD not in [task.get(key) for key in ("launch_type", "capacity_provider", "run_task")]:
        _check_placement(task, _chosen(task, spot), spot)
    where = spot if "overrides" in _members(own) else Spot(spot.file, "defaults.ecs", spot.faults)
    members.check_own_container(task.get("run_task"), task.get("container", ""), where)
    environments = [each.get("environment", {}) for each in (defaults, own)]
    environment = {name: value for each in environments if each is not BAD for name, value in each.items()}
    _check_overrides(task, environment, spot)
    if spot.faults:
        return BAD
    return Ecs(**task | {"environment": MappingProxyType(environment)})


def _members(task: Mapping[str, Any]) -> Mapping[str, Any]:
    """Its table of RunTask's own members; an empty one for a table with a fault."""
    given = task.get("run_task", {})
    return {} if given is BAD else given


def _chosen(task: Mapping[str, Any], spot: Spot) -> dict[str, Spot]:
    """The keys of a table that say on what a task runs, and their places."""
    found = {key: spot.key(key) for key in ("launch_type", "capacity_provider") if key in task}
    if members.STRATEGY in _members(task):
        found[members.STRATEGY] = spot.key("run_task").key(members.STRATEGY)
    return found


def _check_placement(task: dict[str, Any], chosen: Mapping[str, Spot], spot: Spot) -> None:
    """Settle the launch type, and check what depends on it. `chosen` has where it is written, at most once."""
    if len(chosen) > 1:
        first, second = list(chosen)[:2]
        chosen[second].fault(f"is given together with {first}", "keep one of the two")
        return
    provider = task.get("capacity_provider")
    launch_type = task.setdefault("launch_type", None if chosen else "FARGATE")
    if launch_type == CLUSTER:
        launch_type = task["launch_type"] = None
    fargate = not _FARGATE.isdisjoint([launch_type or provider, *members.providers(task.get("run_task", {}))])
    if not task.get("subnets"):
        if fargate:
            spot.key("subnets").fault("is missing", 'Fargate needs at least one, ["subnet-0123abcd"]')
        elif task.get("security_groups") not in {None, (), BAD}:
            right = "write subnets, or leave it out (security_groups = [] if [defaults.ecs] has some)"
            spot.key("security_groups").fault("is given without subnets, and would be left out", right)
    for key in ("assign_public_ip", "platform_version"):
        if launch_type in {"EC2", "EXTERNAL"} and task.get(key) not in {None, False, BAD}:
            spot.key(key).fault(f"is not for launch type {launch_type}", "leave it out, or run on Fargate")
    if provider and not fargate and task.get("platform_version") not in {None, BAD}:
        wrong = f'is not for capacity provider "{provider}"'
        spot.key("platform_version").fault(wrong, "leave it out, or run on Fargate")
    _check_size(task, fargate, spot)
    if fargate:
        _check_version(task, provider, spot)


def _check_size(task: Mapping[str, Any], fargate: bool, spot: Spot) -> None:
    """CPU and memory together, where both are known; the other may be the task definition's."""
    cpu, memory = (int(value) if value not in {None, BAD} else None for value in (task.get("cpu"), task.get("memory")))
    sizes = limits.FARGATE_MEMORY
    if not fargate:
        least, most = limits.CPU_UNITS[0], limits.CPU_UNITS[-1]
        if cpu and cpu not in limits.CPU_UNITS:
            spot.key("cpu").fault(f"{cpu:,} CPU units are out of range", f'write from "{least}" to "{most}"')
        return
    if cpu and cpu not in sizes:
        known = ", ".join(f'"{units}"' for units in sizes)
        spot.key("cpu").fault(f"{cpu:,} CPU units are not a size that Fargate has", f"write one of {known}")
    if memory and cpu and cpu in sizes and memory not in sizes[cpu]:
        wrong = f"{memory:,} MiB do not go with {cpu:,} CPU units on Fargate"
        spot.key("memory").fault(wrong, f"write {_memory(sizes[cpu])}")
    elif memory and not any(memory in each for each in sizes.values()):
        right = f"write {'; '.join(f'{_memory(each)} for {units:,} CPU units' for units, each in sizes.items())}"
        spot.key("memory").fault(f"{memory:,} MiB are not a size that Fargate has", right)


def _memory(sizes: Sequence[int]) -> str:
    if not isinstance(sizes, range):
        return ", ".join(f'"{each}"' for each in sizes)
    return f'"{sizes[0] // 1024} GB" to "{sizes[-1] // 1024} GB" in steps of {sizes.step // 1024}'


def _check_version(task: Mapping[str, Any], provider: str | None, spot: Spot) -> None:
    written = task.get("platform_version")
    if written in {None, BAD, "LATEST"}:
        return
    version = tuple(map(int, written.split(".")))
    cpu = task.get("cpu")
    needs = []
    if provider == "FARGATE_SPOT":
        needs.append((limits.SPOT_FARGATE, "FARGATE_SPOT"))
    if cpu not in {None, BAD} and int(cpu) >= 8_192:
        needs.append((limits.NEWER_FARGATE, f"a task of {int(cpu):,} CPU units"))
    for least, what in needs:
        if version < least:
            right = f'write "{".".join(map(str, least))}", or leave it out'
            spot.key("platform_version").fault(f'"{written}" is too old for {what}', right)


_LONG_TIME = datetime(2026, 9, 30, 23, 59, tzinfo=UTC)
"""A Wednesday in September: no name of a day or month is longer."""


def _check_overrides(task: Mapping[str, Any], environment: Mapping[str, Any], spot: Spot) -> None:
    """Together the overrides of a run are what RunTask takes. What has a fault of its own is not counted."""
    read = {key: value for key, value in task.items() if value is not BAD}
    names = {key: read.get(key, "") for key in ("cluster", "task_definition", "container")}
    ecs = Ecs(**{**read, **names})
    written = [word for word in ecs.command or () if word is not BAD]
    command = words.for_time(written, _LONG_TIME, "UTC", _LONG_TIME)
    own = {name: value for name, value in environment.items() if value is not BAD}
    variables = {**own, **limits.LONGEST_VARIABLES}
    count = length_of_overrides({"Overrides": overrides(ecs, variables, command)}, limits.LONGEST_EXECUTION)
    if said := limits.OVERRIDES.exceeded(count):
        over = count - limits.OVERRIDES.most
        what = "command, environment and overrides" if read.get("run_task") else "command and environment"
        right = f"make {what} at least {over:,} shorter, or leave them to the task definition"
        spot.fault(f"the task's overrides would have up to {said}, BATCH_... variables included", right)


def check_words(task: Any, calendar: Any, spot: Spot) -> None:
    """A business date is a calendar's: without the name of one there is none to fill in. Both may have faults."""
    if calendar is not None or not isinstance(task, Ecs):
        return
    for n, word in enumerate(words.command(task.command or ())):
        if isinstance(word, words.Word) and words.BUSINESS_DATE in word.names:
            wrong = f'"{{{words.BUSINESS_DATE}}}" is of a job with a calendar'
            spot.key("command").item(n).fault(wrong, 'write calendar = "jp" and [calendars.jp]')
