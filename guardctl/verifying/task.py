"""A job's task as RunTask will be asked for it: what everything else is held against. Pure."""

from datetime import UTC, datetime
from typing import Any

from chalicelib.config.jobs import Job, JobsFile
from chalicelib.config.run_task import run_task
from chalicelib.values import dataclass

_SOME_TIME = datetime(2026, 11, 23, 18, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What of RunTask's arguments the account must have. Taken from the arguments, whatever key made them."""

    job: str
    cluster: str
    """Name or ARN."""
    definition: str
    """Family, family:revision or ARN."""
    container: str
    overridden: tuple[str, ...]
    """The containers that the overrides name."""
    launch_type: str | None
    providers: tuple[str, ...]
    """The capacity providers of its strategy."""
    platform_version: str | None
    network: bool
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    task_role: str | None
    execution_role: str | None
    cpu: str | None
    """In CPU units."""
    may_pass: frozenset[str]
    """The ARNs of the roles that the machine of the job's pool may pass."""

    @property
    def cluster_name(self) -> str:
        """The cluster's name, also when it is given as an ARN."""
        return self.cluster.rpartition("/")[2]

    @property
    def fargate(self) -> bool:
        """Whether it runs on Fargate, as far as its own arguments say."""
        return self.launch_type == "FARGATE" or any(name.startswith("FARGATE") for name in self.providers)


def task_of(file: JobsFile, job: Job) -> Task:
    asked: dict[str, Any] = run_task(job, number=1, scheduled_at=_SOME_TIME)
    overrides = asked.get("Overrides", {})
    network = asked.get("NetworkConfiguration", {}).get("AwsvpcConfiguration")
    # The machine is the pool's, and its role passes what any of the pool's jobs names.
    names = [(*each.ecs.pass_roles, each.ecs.task_role, each.ecs.execution_role) for each in file.members(job.pool)]
    return Task(
        job=job.name,
        cluster=asked["Cluster"],
        definition=asked["TaskDefinition"],
        container=job.ecs.container,
        overridden=tuple(each["Name"] for each in overrides.get("ContainerOverrides", ())),
        launch_type=asked.get("LaunchType"),
        providers=tuple(each["CapacityProvider"] for each in asked.get("CapacityProviderStrategy", ())),
        platform_version=asked.get("PlatformVersion"),
        network=network is not None,
        subnets=tuple((network or {}).get("Subnets", ())),
        security_groups=tuple((network or {}).get("SecurityGroups", ())),
        task_role=overrides.get("TaskRoleArn"),
        execution_role=overrides.get("ExecutionRoleArn"),
        cpu=overrides.get("Cpu"),
        may_pass=frozenset(role for roles in names for role in roles if role),
    )
