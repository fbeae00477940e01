"""The clusters: DescribeClusters, a hundred a call."""

from collections.abc import Iterable, Mapping
from typing import Any

from guardctl.verifying.account import Account
from guardctl.verifying.findings import Finding, Unread, ng, ok, skip
from guardctl.verifying.task import Task

Clusters = Mapping[str, Mapping[str, Any]] | Unread
"""Name → the cluster as ECS describes it; a name that is missing is not there."""

_A_CALL = 100
"""DescribeClusters: clusters, up to 100."""


def read(account: Account, tasks: Iterable[Task]) -> Clusters:
    names = sorted({task.cluster for task in tasks})
    found: dict[str, Mapping[str, Any]] = {}
    for first in range(0, len(names), _A_CALL):
        answer = account.call("ecs", "describe_clusters", "clusters", clusters=names[first : first + _A_CALL])
        if isinstance(answer, Unread):
            return answer
        found |= {cluster["clusterName"]: cluster for cluster in answer or ()}
    return found


def judge(task: Task, clusters: Clusters) -> Finding:
    """Whether the cluster is there, and takes tasks."""
    what = f"cluster {task.cluster_name}"
    if isinstance(clusters, Unread):
        return skip(what, clusters.reason)
    found = clusters.get(task.cluster_name)
    if found is None:
        known = f"; the others that the stage names are there: {', '.join(sorted(clusters))}" if clusters else ""
        return ng(what, f"is not in this account and Region{known}")
    if found["status"] != "ACTIVE":
        return ng(what, f"is {found['status']}: no task can be started there")
    return ok(what, "ACTIVE")
