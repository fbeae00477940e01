"""The task of a job, `[jobs.NAME.ecs]`: what it is when it has been read, and what each of its keys takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Any, Literal, get_args

from chalicelib.config import members
from chalicelib.config.limits import ECS_NAME, ROLE_NAME, SECURITY_GROUPS, SUBNETS
from chalicelib.config.tables import BAD, Reader, Spot, array, boolean, each_in, one_of, size, text
from chalicelib.decide import words
from chalicelib.decide.facts import Target
from chalicelib.values import dataclass

LaunchType = Literal["FARGATE", "EC2", "EXTERNAL", "MANAGED_INSTANCES"]

CLUSTER = "CLUSTER"
"""As a launch type: none at all, so that the cluster's default capacity provider strategy decides (RunTask)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ecs:
    """The task to run and where; None leaves a thing to the task definition or to AWS."""

    cluster: str
    task_definition: str
    container: str
    command: tuple[str, ...] | None = None
    """As the file has it: `decide.words` reads the templates in it."""
    launch_type: LaunchType | None = "FARGATE"
    capacity_provider: str | None = None
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    assign_public_ip: bool = False
    platform_version: str | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    cpu: str | None = None
    """CPU units, 1024 to a vCPU."""
    memory: str | None = None
    """MiB."""
    task_role: str | None = None
    execution_role: str | None = None
    pass_roles: tuple[str, ...] = ()
    """Roles of the task definition itself, which Step Functions must be allowed to pass."""
    propagate_tags: bool = True
    """Whether a task gets the tags of its task definition."""
    managed_tags: bool = False
    """Whether ECS tags a task with its cluster, which bills can be split by: not a parameter that AWS lists for it."""
    run_task: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Further members of RunTask, under its own names."""

    @property
    def family(self) -> str:
        """The task definition's family, without revision."""
        return self.task_definition.rpartition("/")[2].partition(":")[0]

    @property
    def cluster_name(self) -> str:
        """The cluster's name, also when it is given as an ARN."""
        return self.cluster.rpartition("/")[2]

    @property
    def target(self) -> Target:
        """Where its task is to be found."""
        return Target(self.cluster, self.family, self.container)

    @property
    def tagged(self) -> bool:
        """Whether its tasks get tags when they are made."""
        return self.propagate_tags or self.managed_tags or bool(self.run_task.get("tags"))

    @property
    def program(self) -> tuple[str, words.Command] | None:
        """What the task runs, the family given: a command in a container, or None for the task definition as it is."""
        return (self.container, words.command(self.command)) if self.command else None


_ANY = text(r".*", "write a string, in quotes")
_VARIABLE = text(r"[^=\s]+", "write a name without = and spaces")


def _word(value: Any, spot: Spot) -> Any:
    """A word of the command; a template in it stays as it is written, until the scheduled time is known."""
    if isinstance(value, str) and "${" in value:
        right = 'ECS runs no shell: write the value itself, or $NAME in a script for a shell, ["sh", "-c", "…"]'
        return spot.fault('contains "${"', right)
    if _ANY(value, spot) is BAD:
        return BAD
    try:
        words.parse_word(value)
    except words.WordRefused as refused:
        return spot.fault(refused.wrong, refused.right)
    return value


def _variable(name: Any, spot: Spot) -> Any:
    if name.startswith("BATCH_"):
        spot.fault("is reserved", "take a name that does not start with BATCH_")
    return _VARIABLE(name, spot)


_NAME = "[A-Za-z0-9_-]+"
ARN = "arn:aws[a-z-]*"
_ECS_ARN = f"{ARN}:ecs:[a-z0-9-]+:[0-9]{{12}}"
_ROLE = text(
    rf"{ARN}:iam::[0-9]{{12}}:role/([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]+",
    'write "arn:aws:iam::123456789012:role/NAME"',
    most=ROLE_NAME,
)

READERS: dict[str, Reader] = {
    "cluster": text(
        f"{_NAME}|{_ECS_ARN}:cluster/{_NAME}",
        'write the name or "arn:aws:ecs:REGION:123456789012:cluster/NAME"',
        most=ECS_NAME,
    ),
    "task_definition": text(
        f"({_ECS_ARN}:task-definition/)?{_NAME}(:[0-9]+)?",
        'write "family", "family:revision" or "arn:aws:ecs:REGION:123456789012:task-definition/family:revision"',
        most=ECS_NAME,
    ),
    "container": text(_NAME, "write the container's name in the task definition", most=ECS_NAME),
    "command": array(
        _word, 'write its words, ["bin/report", "--all"], or leave it out to use the task definition\'s', least=1
    ),
    "launch_type": one_of(*get_args(LaunchType), CLUSTER),
    "capacity_provider": text(  # CreateCapacityProvider refuses these beginnings
        f"(?!aws|ecs|fargate){_NAME}",
        'write its name, such as "FARGATE_SPOT"; none begins with aws, ecs or fargate',
        most=ECS_NAME,
    ),
    "subnets": array(text("subnet-[0-9a-z]+", 'write "subnet-0123abcd"'), 'write ["subnet-0123abcd"]', most=SUBNETS),
    "security_groups": array(
        text("sg-[0-9a-z]+", 'write "sg-0123abcd"'), 'write ["sg-0123abcd"]', most=SECURITY_GROUPS
    ),
    "assign_public_ip": boolean,
    "platform_version": text(
        r"LATEST|[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}", 'write "LATEST" or a version such as "1.4.0"'
    ),
    "environment": each_in(_ANY, 'write a table, { LEVEL = "info" }', _variable),
    "cpu": size("vCPU", 'write "512" or "0.5 vCPU"'),
    "memory": size("GB", 'write "1024" or "1 GB"'),
    "task_role": _ROLE,
    "execution_role": _ROLE,
    "pass_roles": array(_ROLE, 'write ["arn:aws:iam::123456789012:role/NAME"]'),
    "propagate_tags": boolean,
    "managed_tags": boolean,
    "run_task": members.reader(by_model=False),
}
