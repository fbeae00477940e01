"""The tasks of whole clusters, read once for many jobs: two lists, and a description for a hundred tasks.

It answers like the ECS client that `chalicelib.read.tasks` asks, so that the same code judges what is in the way.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from threading import Lock
from typing import Any

from chalicelib.config.jobs import Job
from chalicelib.read.aws import reading
from chalicelib.read.tasks import Ecs
from chalicelib.values import dataclass

_BATCH = 100
FAMILIES = 4
"""From so many families on a cluster, it is read whole: ListTasks of one family takes two calls."""


@dataclass
class Clusters:
    """ECS as one moment had it. Clusters that are not read whole are asked as ever."""

    ecs: Ecs
    whole: frozenset[str] = frozenset()
    _listed: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict, init=False)
    _tasks: dict[str, Mapping[str, Any]] = field(default_factory=dict, init=False)
    _definitions: dict[str, Any] = field(default_factory=dict, init=False)
    _lock: Lock = field(default_factory=Lock, init=False)

    @classmethod
    def of(cls, ecs: Ecs, jobs: Iterable[Job]) -> "Clusters":
        """For these jobs: a cluster that several of them use is read whole."""
        families: dict[str, set[str]] = {}
        for job in jobs:
            families.setdefault(job.ecs.target.cluster, set()).add(job.ecs.target.family)
        return cls(ecs, frozenset(cluster for cluster, those in families.items() if len(those) >= FAMILIES))

    @property
    def view(self) -> Ecs:
        """What `chalicelib.read.tasks` asks in place of ECS."""
        client: Any = self
        return Ecs(client, self.ecs.stopped)

    def list_tasks(self, **asked: Any) -> Mapping[str, Any]:
        """As ECS has it; of a cluster that is read whole, from what was read."""
        cluster, desired, family = asked["cluster"], asked["desiredStatus"], asked.get("family")
        if cluster not in self.whole:
            answer: Mapping[str, Any] = self.ecs.client.list_tasks(**asked)
            return answer
        with self._lock:
            if (cluster, desired) not in self._listed:
                self._read(cluster, desired)
        arns = self._listed[cluster, desired]
        return {"taskArns": [arn for arn in arns if family in {None, _family(self._tasks[arn])}]}

    def describe_tasks(self, *, cluster: str, tasks: list[str]) -> Mapping[str, Any]:
        if all(arn in self._tasks for arn in tasks):
            return {"tasks": [self._tasks[arn] for arn in tasks]}
        answer: Mapping[str, Any] = self.ecs.client.describe_tasks(cluster=cluster, tasks=tasks)
        return answer

    def describe_task_definition(self, *, taskDefinition: str) -> Any:  # noqa: N803 (boto3's name)
        with self._lock:
            if taskDefinition not in self._definitions:
                found = self.ecs.client.describe_task_definition(taskDefinition=taskDefinition)
                self._definitions[taskDefinition] = found
            return self._definitions[taskDefinition]

    def _read(self, cluster: str, desired: str) -> None:
        arns = sorted({*self._list(cluster, desired)})
        new = [arn for arn in arns if arn not in self._tasks]
        for first in range(0, len(new), _BATCH):
            with reading("ecs:DescribeTasks", f"cluster {cluster}"):
                answer = self.ecs.client.describe_tasks(cluster=cluster, tasks=new[first : first + _BATCH])
                self._tasks |= {task["taskArn"]: dict(task) for task in answer["tasks"]}
        self._listed[cluster, desired] = tuple(arn for arn in arns if arn in self._tasks)

    def _list(self, cluster: str, desired: Any) -> Iterator[str]:
        token: dict[str, Any] = {}
        while True:
            with reading("ecs:ListTasks", f"cluster {cluster}"):
                answer = self.ecs.client.list_tasks(cluster=cluster, desiredStatus=desired, **token)
                yield from answer["taskArns"]
            if not answer.get("nextToken"):
                return
            token = {"nextToken": answer["nextToken"]}


def _family(task: Mapping[str, Any]) -> str:
    """``report`` of ``arn:aws:ecs:…:task-definition/report:7``."""
    family: str = task["taskDefinitionArn"].rpartition("/")[2].rpartition(":")[0]
    return family
