"""Where the task is to run: launch type, capacity provider, platform and network mode, held against the definition.

What ECS refuses is RunTask's to say (its API reference: launchType, capacityProviderStrategy, platformVersion,
networkConfiguration); here it is said before three at night.
"""

from collections.abc import Iterator

from guardctl.verifying.clusters import Clusters
from guardctl.verifying.definitions import Definition
from guardctl.verifying.findings import Finding, Unread, ng, ok, skip
from guardctl.verifying.task import Task

_NEEDS_NEWER = (1, 4, 0)
"""The Linux platform version from which Fargate mounts EFS and gives more storage (ECS guide, platform versions)."""


def judge(task: Task, definition: Definition, clusters: Clusters) -> Iterator[Finding]:
    """Whether the definition may run there. `definition` is one that was read."""
    cluster = None if isinstance(clusters, Unread) else clusters.get(task.cluster_name)
    launch_type, providers = task.launch_type, task.providers
    if not launch_type and not providers:
        if cluster is None:
            yield skip("launch type", "is the cluster's default, and the cluster was not read")
            return
        # Without a default strategy RunTask runs it on EC2 (RunTask, launchType).
        providers = tuple(each["capacityProvider"] for each in cluster.get("defaultCapacityProviderStrategy", ()))
        launch_type = None if providers else "EC2"
    for name in providers:
        yield _provider(task, name, None if cluster is None else cluster.get("capacityProviders", ()))
    if launch_type == "EC2" and cluster is not None and not cluster.get("registeredContainerInstancesCount"):
        yield skip(
            "container instances",
            "the cluster has none now; RunTask is tried again until a start's deadline, so it must scale by then",
        )
    runs_on = launch_type or ("FARGATE" if any(name.startswith("FARGATE") for name in providers) else "EC2")
    yield _compatible(runs_on, definition)
    yield from _network_mode(task, runs_on, definition)
    if runs_on == "FARGATE":
        yield from _platform(task, definition)


def _provider(task: Task, name: str, known: tuple[str, ...] | None) -> Finding:
    what = f"capacity provider {name}"
    if known is None:
        return skip(what, "the cluster was not read")
    if name in known:
        return ok(what, "associated with the cluster" if name in task.providers else "the cluster's default")
    has = f"it has {', '.join(known)}" if known else "it has none"
    return ng(what, f"is not associated with cluster {task.cluster_name}; {has}")


def _compatible(launch_type: str, definition: Definition) -> Finding:
    """`compatibilities` is what ECS found at its registration, `requiresCompatibilities` what was asked for then."""
    asked = definition.get("requiresCompatibilities") or definition.get("compatibilities") or []
    fits = definition.get("compatibilities") or asked
    what = f"launch type {launch_type}"
    if launch_type in fits or launch_type in asked:
        return ok(what, f"the task definition is compatible with {', '.join(fits)}")
    if not fits:
        return skip(what, "the task definition does not say what it is compatible with")
    return ng(what, f"the task definition is compatible with {', '.join(fits)} only")


def _network_mode(task: Task, launch_type: str, definition: Definition) -> Iterator[Finding]:
    mode = definition.get("networkMode") or "bridge"
    what = f"network mode {mode}"
    if mode == "awsvpc" and not task.network:
        yield ng(what, "needs a network: write subnets")
    elif mode != "awsvpc" and launch_type == "FARGATE":
        yield ng(what, "Fargate takes awsvpc only")
    elif mode != "awsvpc" and task.network:
        yield ng(what, "RunTask refuses subnets for it: leave them out (subnets = [] if [defaults.ecs] has some)")
    else:
        yield ok(what, "with subnets" if task.network else "without subnets")


def _platform(task: Task, definition: Definition) -> Iterator[Finding]:
    system = definition.get("runtimePlatform", {}).get("operatingSystemFamily", "LINUX")
    version = task.platform_version or "LATEST"
    what = f"platform version {version}"
    if version == "LATEST" or system != "LINUX":  # LATEST has everything; Windows has versions of its own
        return
    number = tuple(int(part) for part in version.split("."))
    volumes = [each["name"] for each in definition.get("volumes", ()) if "efsVolumeConfiguration" in each]
    needs = [f"the EFS volume {name}" for name in volumes]
    needs += ["its ephemeral storage"] if definition.get("ephemeralStorage") else []
    if needs and number < _NEEDS_NEWER:
        yield ng(what, f"{', '.join(needs)} needs 1.4.0 or newer")
    else:
        yield ok(what, "has what the task definition asks for")
