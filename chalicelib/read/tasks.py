"""ECS reads, turned into the values that `chalicelib.decide.availability` decides on. Nothing here writes."""

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from chalicelib.decide.availability import CLOCKS
from chalicelib.decide.facts import CantTell, Evidence, Task
from chalicelib.read.aws import reading

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient

    from chalicelib.config.jobs import Ecs

_BATCH = 100
"""Tasks per DescribeTasks call (AWS's limit)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one task of a run stands, for the batch machine that lost sight of it."""

    arn: str
    last_status: str
    exit_code: int | None
    stop_code: str
    stopped_reason: str


def evidence(client: "ECSClient", ecs: "Ecs", stopping: str | None = None) -> Evidence:
    """The tasks of the job's family on its cluster: running ones, and those stopping or stopped in the last hour.

    `stopping` is the ARN of a task that was told to stop. It is described though no list shows it: for a while it may
    be neither RUNNING any more nor STOPPED yet, since lists are eventually consistent.
    """
    described = [*_described(client, ecs, {stopping} if stopping else set())]
    definitions = _Definitions(client, ecs.container)
    tasks = tuple(_task(item, ecs, definitions) for item in described)
    outsider = any(task.alive and task.execution is None and not task.service for task in tasks)
    command = ecs.command
    if command is None and outsider:
        command = definitions.command(ecs.task_definition)
    return Evidence(tasks, command)


def newest_task(client: "ECSClient", ecs: "Ecs", execution: str, since: datetime | None = None) -> Outcome | None:
    """The newest task whose BATCH_EXECUTION is `execution`; None while ECS shows none (it may lag five minutes).

    A task that was made before `since` (UTC) belongs to an attempt that has been judged already.
    """
    mine = [item for item in _described(client, ecs) if execution_of(item) == execution]
    if since is not None:
        mine = [item for item in mine if item["createdAt"] >= since - CLOCKS]
    if not mine:
        return None
    item = max(mine, key=lambda task: (task["lastStatus"] != "STOPPED", task["createdAt"]))
    containers = {c["name"]: c for c in item.get("containers", [])}
    return Outcome(
        arn=item["taskArn"],
        last_status=item["lastStatus"],
        exit_code=containers.get(ecs.container, {}).get("exitCode"),
        stop_code=item.get("stopCode") or "",
        stopped_reason=item.get("stoppedReason") or "",
    )


def _described(client: "ECSClient", ecs: "Ecs", known: Set[str] = frozenset()) -> Iterator[Mapping[str, Any]]:
    # In this order: a task that is told to stop in between is on both lists; the other way round, on neither.
    running = set(_listed(client, ecs, "RUNNING"))
    stopped = set(_listed(client, ecs, "STOPPED"))
    everything = sorted(running | stopped | known)
    for start in range(0, len(everything), _BATCH):
        batch = everything[start : start + _BATCH]
        with reading("ecs:DescribeTasks", f"cluster {ecs.cluster}"):
            answer = client.describe_tasks(cluster=ecs.cluster, tasks=batch)
            described = answer["tasks"]
        # ECS forgets a stopped task after about an hour; a running one that it can't describe is a riddle.
        unseen = running.intersection(batch) - {task["taskArn"] for task in described}
        if unseen:
            raise CantTell(f"ecs:DescribeTasks does not show {', '.join(sorted(unseen))}, which ecs:ListTasks lists")
        yield from described


def _listed(client: "ECSClient", ecs: "Ecs", desired: Any) -> Iterator[str]:
    token: str | None = None
    while True:
        arguments: dict[str, Any] = {"cluster": ecs.cluster, "family": ecs.family, "desiredStatus": desired}
        if token:
            arguments["nextToken"] = token
        with reading("ecs:ListTasks", f"family {ecs.family} on {ecs.cluster}"):
            answer = client.list_tasks(**arguments)
            arns = answer["taskArns"]
        yield from arns
        token = answer.get("nextToken")
        if not token:
            return


class _Definitions:
    """Task definitions, each described at most once, and only for tasks that don't say what they run."""

    def __init__(self, client: "ECSClient", container: str) -> None:
        self._client = client
        self._container = container
        self._commands: dict[str, tuple[str, ...] | None] = {}

    def command(self, definition: str) -> tuple[str, ...] | None:
        if definition not in self._commands:
            with reading("ecs:DescribeTaskDefinition", definition):
                answer = self._client.describe_task_definition(taskDefinition=definition)
                containers = answer["taskDefinition"]["containerDefinitions"]
            self._commands[definition] = _command(containers, self._container)
        return self._commands[definition]


def _task(item: Mapping[str, Any], ecs: "Ecs", definitions: _Definitions) -> Task:
    execution = execution_of(item)
    service = (item.get("group") or "").startswith("service:")
    alive = item["lastStatus"] != "STOPPED"
    command = _command(_overrides(item), ecs.container)
    if command is None and alive and execution is None and not service:
        command = definitions.command(item["taskDefinitionArn"])
    return Task(
        arn=item["taskArn"],
        last_status=item["lastStatus"],
        execution=execution,
        command=command,
        service=service,
        created_at=_utc(item.get("createdAt")),
        stopped_at=_utc(item.get("stoppedAt")),
    )


def execution_of(item: Mapping[str, Any]) -> str | None:
    """The BATCH_EXECUTION of a described task: the ARN of its run; None if no run started it."""
    for override in _overrides(item):
        for variable in override.get("environment") or ():
            if variable.get("name") == "BATCH_EXECUTION":
                return str(variable.get("value"))
    return None


def _overrides(item: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    return (item.get("overrides") or {}).get("containerOverrides") or ()


def _command(containers: Iterable[Mapping[str, Any]], name: str) -> tuple[str, ...] | None:
    for container in containers:
        if container.get("name") == name and container.get("command"):
            return tuple(container["command"])
    return None


def _utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment else None
