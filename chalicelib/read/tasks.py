"""ECS reads, turned into the values that `availability` decides on. Nothing here writes."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from chalicelib.contract import TaskState
from chalicelib.decide import words
from chalicelib.decide.facts import CLOCKS, CantTell, Evidence, Stopping, Target, Task
from chalicelib.read.aws import NotDeployed, reading
from chalicelib.values import dataclass

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient

    from chalicelib.config.jobs import Job

_BATCH = 100
"""Tasks per DescribeTasks call (AWS's limit)."""

_REMEMBERED = 10_000
"""So many stopped tasks are remembered; ECS itself forgets one after about an hour."""


@dataclass(frozen=True, slots=True)
class Ecs:
    """ECS, and what a warm function has seen described as STOPPED, by ARN: that it stays, so it is not asked again."""

    client: "ECSClient"
    stopped: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def remember(self, task: Mapping[str, Any]) -> None:
        """Keep a stopped task's description. Nothing depends on it but the number of calls."""
        if len(self.stopped) >= _REMEMBERED:
            self.stopped.clear()
        self.stopped[task["taskArn"]] = task


def evidence(
    ecs: Ecs,
    jobs: Sequence["Job"],
    targets: Iterable[Target] = (),
    stopping: Stopping | None = None,
    stage_runs: str = "arn:",
) -> Evidence:
    """The tasks of these targets (the jobs' own, if there are none): running, stopping, or stopped in the last hour.

    The job's own target comes first, and its cluster must exist; a cluster of an earlier run that is gone has no task.
    `stopping` is a task that was told to stop. It is described though no list shows it: for a while it may be neither
    RUNNING any more nor STOPPED yet, since lists are eventually consistent. `stage_runs` is what the ARN of a run of
    this stage begins with: which command its task runs is not asked.
    """
    own, *others = [*targets] or [job.ecs.target for job in jobs]
    known: dict[str, Set[str]] = {stopping.cluster: {stopping.task}} if stopping else {}
    described = [(own, item) for item in _described(ecs, own, known.pop(own.cluster, frozenset()))]
    for target in others:
        try:
            also = known.pop(target.cluster, frozenset())
            described += [(target, item) for item in _described(ecs, target, also)]
        except NotDeployed:  # ClusterNotFoundException: ECS deletes no cluster that has tasks
            continue
    for cluster, arns in known.items():
        described += [(Target(cluster, "", own.container), item) for item in _asked(ecs, cluster, arns)]
    definitions = _Definitions(ecs.client)
    tasks = tuple(_task(item, target, definitions, stage_runs) for target, item in described)
    foreign = {
        t.target.place for t in tasks if _is_foreign(t.execution, stage_runs) and t.alive and not t.service and t.target
    }
    commands = {
        job.name: words.command(job.ecs.command)
        if job.ecs.command
        else definitions.command(job.ecs.task_definition, job.ecs.container)
        for job in jobs
        if job.ecs.command or job.ecs.target.place in foreign
    }
    return Evidence(tasks, frozenset(target.place for target in (own, *others)), commands)


def tasks_of(ecs: Ecs, target: Target, execution: str) -> tuple[Task, ...]:
    """The tasks that ECS shows of one run, by its ARN. Errors are those of `chalicelib.read.aws.reading`."""
    items = [item for item in _described(ecs, target) if execution_of(item) == execution]
    return tuple(_task(item, target, _Definitions(ecs.client), execution) for item in items)


def newest_task(ecs: Ecs, target: Target, execution: str, since: datetime | None = None) -> TaskState | None:
    """The newest task whose BATCH_EXECUTION is `execution`; None while ECS shows none (it may lag five minutes).

    A task that was made before `since` (UTC) belongs to an attempt that has been judged already.
    """
    mine = [item for item in _described(ecs, target) if execution_of(item) == execution]
    if since is not None:
        mine = [item for item in mine if item["createdAt"] >= since - CLOCKS]
    if not mine:
        return None
    item = max(mine, key=lambda task: (task["lastStatus"] != "STOPPED", task["createdAt"]))
    containers = {c["name"]: c for c in item.get("containers", [])}
    return TaskState(
        arn=item["taskArn"],
        last_status=item["lastStatus"],
        exit_code=containers.get(target.container, {}).get("exitCode"),
        stop_code=item.get("stopCode") or "",
        stopped_reason=item.get("stoppedReason") or "",
    )


def execution_of(item: Mapping[str, Any]) -> str | None:
    """The BATCH_EXECUTION of a task as DescribeTasks shows it: the ARN of the run that started it."""
    return _environment(item).get("BATCH_EXECUTION")


def _described(ecs: Ecs, target: Target, known: Set[str] = frozenset()) -> Iterator[Mapping[str, Any]]:
    # In this order: a task that is told to stop in between is on both lists; the other way round, on neither.
    running = set(_listed(ecs.client, target, "RUNNING"))
    stopped = set(_listed(ecs.client, target, "STOPPED"))
    everything = running | stopped | known
    yield from (ecs.stopped[arn] for arn in sorted(everything & ecs.stopped.keys()))
    described = {item["taskArn"]: item for item in _asked(ecs, target.cluster, everything - ecs.stopped.keys())}
    # ECS forgets a stopped task after about an hour; a running one that it lists has to be there.
    unseen = running - described.keys() - ecs.stopped.keys()
    if unseen:
        raise CantTell(f"ecs:DescribeTasks does not show {', '.join(sorted(unseen))}, which ecs:ListTasks lists")
    yield from described.values()


def _asked(ecs: Ecs, cluster: str, arns: Set[str]) -> Iterator[Mapping[str, Any]]:
    everything = sorted(arns)
    for start in range(0, len(everything), _BATCH):
        with reading("ecs:DescribeTasks", f"cluster {cluster}"):
            answer = ecs.client.describe_tasks(cluster=cluster, tasks=everything[start : start + _BATCH])
            for task in answer["tasks"]:
                if task["lastStatus"] == "STOPPED":
                    ecs.remember(task)
                yield task


def _listed(client: "ECSClient", target: Target, desired: Any) -> Iterator[str]:
    token: str | None = None
    while True:
        arguments: dict[str, Any] = {"cluster": target.cluster, "family": target.family, "desiredStatus": desired}
        if token:
            arguments["nextToken"] = token
        with reading("ecs:ListTasks", f"family {target.family} on {target.cluster}"):
            answer = client.list_tasks(**arguments)
            arns = answer["taskArns"]
        yield from arns
        token = answer.get("nextToken")
        if not token:
            return


class _Definitions:
    """Task definitions, each described at most once, and only for tasks that don't say what they run."""

    def __init__(self, client: "ECSClient") -> None:
        self._client = client
        self._commands: dict[tuple[str, str], tuple[str, ...] | None] = {}

    def command(self, definition: str, container: str) -> tuple[str, ...] | None:
        key = (definition, container)
        if key not in self._commands:
            with reading("ecs:DescribeTaskDefinition", definition):
                answer = self._client.describe_task_definition(taskDefinition=definition)
                containers = answer["taskDefinition"]["containerDefinitions"]
            self._commands[key] = _command(containers, container)
        return self._commands[key]


def _task(item: Mapping[str, Any], target: Target, definitions: _Definitions, stage_runs: str) -> Task:
    environment = _environment(item)
    service = (item.get("group") or "").startswith("service:")
    alive = item["lastStatus"] != "STOPPED"
    command = _command(_overrides(item), target.container)
    if command is None and alive and not service and _is_foreign(environment.get("BATCH_EXECUTION"), stage_runs):
        command = definitions.command(item["taskDefinitionArn"], target.container)
    return Task(
        arn=item["taskArn"],
        last_status=item["lastStatus"],
        execution=environment.get("BATCH_EXECUTION"),
        command=command,
        service=service,
        created_at=_utc(item.get("createdAt")),
        stopped_at=_utc(item.get("stoppedAt")),
        job=environment.get("BATCH_JOB"),
        target=target if target.family else None,
        cluster=target.cluster,
        started_by=item.get("startedBy"),
    )


def _is_foreign(execution: str | None, stage_runs: str) -> bool:
    return execution is None or not execution.startswith(stage_runs)


def _environment(item: Mapping[str, Any]) -> dict[str, str]:
    """The environment of the overrides of the first container that says whose it is."""
    for override in _overrides(item):
        environment = {str(v.get("name")): str(v.get("value")) for v in override.get("environment") or ()}
        if "BATCH_EXECUTION" in environment:
            return environment
    return {}


def _overrides(item: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    return (item.get("overrides") or {}).get("containerOverrides") or ()


def _command(containers: Iterable[Mapping[str, Any]], name: str) -> tuple[str, ...] | None:
    for container in containers:
        if container.get("name") == name and container.get("command"):
            return tuple(container["command"])
    return None


def _utc(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment else None
