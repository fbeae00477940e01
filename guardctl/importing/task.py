"""RunTask's arguments of an old target as the ecs table of a job. Pure.

What has a key of its own gets it; everything else stands in `run_task` under RunTask's own name.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from chalicelib.values import dataclass
from guardctl.importing.old import Definition, Note, Reason
from guardctl.importing.transform import TIME

Json = dict[str, Any]

_GUARDS = {
    "startedBy": Note("startedBy", 'was startedBy "{}"; Step Functions writes its own: BATCH_JOB tells whose it is'),
    "clientToken": Note("clientToken", "had a client token; the run's name is what keeps it from starting twice here"),
}
"""Members that a run can't have, and what becomes of them."""
_OF_THE_TASK = {
    "cpu": "cpu",
    "memory": "memory",
    "taskRoleArn": "task_role",
    "executionRoleArn": "execution_role",
}
"""Overrides of the whole task, and their keys."""


@dataclass
class Task:
    """The ecs table of a job, and what is to be said of it."""

    table: Json = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)
    program: tuple[str, ...] = ()
    """The effective command: the override's, else the task definition's."""


def carried(run_task: Mapping[str, Any], definition: Definition, place: tuple[str, str]) -> Task:
    """The table. `place` are the Region and the account of the rule: what is there is named by its name alone."""
    rest, task = dict(run_task), Task()
    cluster = rest.pop("cluster", None) or "default"  # RunTask's own default
    task.table["cluster"] = _named(cluster, ":cluster/", place)
    task.table["task_definition"] = _named(rest.pop("taskDefinition"), ":task-definition/", place)
    _check_count(rest.pop("count", None), task)
    for member in _GUARDS.keys() & rest.keys():
        note = _GUARDS[member]
        task.notes.append(Note(note.kind, note.text.format(rest.pop(member))))
    _placement(rest, task.table)
    _network(rest, task.table)
    _tags(rest, task.table)
    overrides = dict(rest.pop("overrides", None) or {})
    _containers(overrides, definition, task)
    for member, key in _OF_THE_TASK.items():
        if value := overrides.pop(member, None):
            task.table[key] = str(value) if key in {"cpu", "memory"} else value
    named = {"task_role": "taskRoleArn", "execution_role": "executionRoleArn"}
    roles = {definition.get(member) for key, member in named.items() if key not in task.table} - {None}
    if roles:
        task.table["pass_roles"] = sorted(roles)
    if overrides:
        rest["overrides"] = overrides
    if rest := {member: value for member, value in rest.items() if value not in (None, [], {}, "")}:
        task.table["run_task"] = rest
    _check_time(rest, "its target's", task.reasons)
    if definition.get("status") == "INACTIVE":
        task.notes.append(Note("inactive", "its task definition is INACTIVE: ECS starts no new task from it"))
    return task


def _named(arn: str, kind: str, place: tuple[str, str]) -> str:
    """The name, if the ARN is of the rule's own Region and account; the ARN itself elsewhere."""
    parts = arn.split(":")
    here = len(parts) > 5 and kind in arn and tuple(parts[3:5]) == place
    return arn.partition(kind)[2] if here else arn


def _check_count(count: Any, task: Task) -> None:
    if count not in (None, 1):
        wrong = f"it starts {count} tasks at a time, and a run is one task"
        instead = (
            f'write {count} jobs, each with a command of its own and pool = "POOL", and slots = {count} in [pools.POOL]'
        )
        task.reasons.append(Reason(wrong, instead))


def _placement(rest: Json, table: Json) -> None:
    """On what it runs. Without a word of it the cluster's default strategy decides (RunTask, `launchType`)."""
    strategy, launch_type = rest.pop("capacityProviderStrategy", None), rest.pop("launchType", None)
    if strategy and len(strategy) == 1 and strategy[0].get("weight", 1) > 0:
        table["capacity_provider"] = strategy[0].get("capacityProvider")  # of one task it gets all, whatever its weight
    elif strategy:
        rest["capacityProviderStrategy"] = strategy
    else:
        table["launch_type"] = launch_type or "CLUSTER"
    if (version := rest.pop("platformVersion", None)) and version != "LATEST":
        table["platform_version"] = version


def _network(rest: Json, table: Json) -> None:
    network = dict((rest.pop("networkConfiguration", None) or {}).get("awsvpcConfiguration") or {})
    for member, key in {"subnets": "subnets", "securityGroups": "security_groups"}.items():
        if value := network.pop(member, None):
            table[key] = value
    if network.pop("assignPublicIp", None) == "ENABLED":
        table["assign_public_ip"] = True
    if network:  # what AWS has added since
        rest["networkConfiguration"] = {"awsvpcConfiguration": network}


def _tags(rest: Json, table: Json) -> None:
    """Propagated by default here, and without ECS's managed tags: written where the target says otherwise."""
    if rest.pop("propagateTags", None) == "NONE":
        table["propagate_tags"] = False
    if rest.pop("enableECSManagedTags", None):
        table["managed_tags"] = True


def _containers(overrides: Json, definition: Definition, task: Task) -> None:
    """The container whose exit code counts, its command and its environment; the rest of the overrides stays."""
    given = [dict(each) for each in overrides.pop("containerOverrides", None) or ()]
    containers = definition.get("containerDefinitions", ())
    known = [container["name"] for container in containers]
    if unknown := sorted({str(each.get("name")) for each in given} - set(known)):
        wrong = f"it overrides {', '.join(unknown)}, and its task definition has {', '.join(known)}: RunTask refuses it"
        task.reasons.append(Reason(wrong, "mend the container's name in the target's input"))
        return
    main = _main(given, containers, task.notes)
    name = main["name"]
    override: Json = next((each for each in given if each["name"] == name), {"name": name})
    task.table["container"] = name
    if command := override.pop("command", None):
        task.table["command"] = [_word(word, task.reasons) for word in command]
    if environment := override.pop("environment", None):
        task.table["environment"] = {each["name"]: each.get("value", "") for each in environment}
        _check_time(task.table["environment"], "a variable of its", task.reasons)
    task.program = (name, *(command or main.get("command", ())))
    others = [each for each in given if len(each) > 1]
    if others:
        overrides["containerOverrides"] = others


def _main(given: list[Json], containers: Iterable[Json], notes: list[Note]) -> Json:
    """The one that is handed a command, else the first essential one."""
    essential = [each for each in containers if each.get("essential", True)] or [*containers]
    commanded = [each["name"] for each in given if each.get("command")]
    if len(commanded) == 1:
        return next(each for each in containers if each["name"] == commanded[0])
    if len(essential) > 1:
        first, *_ = names = [each["name"] for each in essential]
        text = f"of its essential containers ({', '.join(names)}), {first} is taken for the one whose exit code counts"
        notes.append(Note("container", text))
    return essential[0]


def _word(word: Any, reasons: list[Reason]) -> Any:
    """A word of the command as the jobs file has it: a brace that is meant is doubled, the time is a template's."""
    if not isinstance(word, str):
        return word
    return word.replace("{", "{{").replace("}", "}}").replace(TIME, "{scheduled_at}")


def _check_time(value: Any, what: str, reasons: list[Reason]) -> None:
    """The scheduled time can stand in the command; anywhere else it is a reason why not."""
    if TIME in json.dumps(value, ensure_ascii=False):
        wrong = f"{what} input takes the scheduled time, which only a word of the command can"
        reasons.append(Reason(wrong, "let the program read BATCH_SCHEDULED_AT, which every task gets"))
