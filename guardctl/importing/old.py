"""What starts an ECS task on a schedule today, as frozen values. Pure.

An origin is how a jobs file names one: `rule/<bus>/<rule>`, with `#<target id>` if the rule has several targets, or
`schedule/<group>/<schedule>`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

UNIVERSAL = ":scheduler:::aws-sdk:ecs:runTask"
"""How the ARN of a schedule's target ends when Scheduler calls RunTask itself (its guide, "Universal targets")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Old:
    """One target of an EventBridge rule, or one schedule of EventBridge Scheduler."""

    origin: str
    arn: str
    """The rule's or the schedule's."""
    kind: Literal["rule", "schedule"]
    name: str
    """The rule's or the schedule's, with the target's ID if the rule has several targets."""
    expression: str = ""
    """As AWS has it; empty for a rule that is started by events."""
    events: bool = False
    """Of a rule: events start it, too, or alone."""
    timezone: str = "UTC"
    enabled: bool = True
    description: str = ""
    start: datetime | None = None
    end: datetime | None = None
    created: datetime | None = None
    """Scheduler says so, EventBridge does not."""
    window: int | None = None
    """The minutes within which Scheduler may start it, of a flexible time window."""
    removes_itself: bool = False
    managed_by: str = ""
    target: Mapping[str, Any] = field(default_factory=dict)
    """As AWS tells it."""

    machine: str = ""
    """The definition of the state machine that the target is, if it runs ECS tasks."""

    @property
    def universal(self) -> bool:
        """Whether the target is RunTask itself, and its input RunTask's."""
        return str(self.target.get("Arn", "")).endswith(UNIVERSAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One of a task definition."""

    name: str
    essential: bool = True
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """What of a task definition a job needs."""

    containers: tuple[Container, ...]
    task_role: str | None = None
    execution_role: str | None = None
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What was read, all of it."""

    olds: tuple[Old, ...]
    definitions: Mapping[str, Definition | None]
    """By task definition as the targets name it; None for one that does not exist."""
    others: Mapping[str, int] = field(default_factory=dict)
    """By service, the targets that are no ECS tasks: ``{"lambda": 3}``."""
    calls: int = 0


def rule_origin(bus: str, rule: str, target: str | None = None) -> str:
    """``rule/default/nightly``, and of a rule with several targets ``rule/default/nightly#first``."""
    return f"rule/{bus}/{rule}" + (f"#{target}" if target else "")


def schedule_origin(group: str, name: str) -> str:
    """``schedule/default/nightly``."""
    return f"schedule/{group}/{name}"


def rule_of(origin: str) -> str:
    """The origin of the whole rule: what is switched on and off, with all its targets."""
    return origin.partition("#")[0]


def path_of(origin: str) -> tuple[str, str, str]:
    """``rule`` or ``schedule``, the bus or the group, and the name. A partner's bus has slashes, no rule's name has."""
    kind, _, rest = rule_of(origin).partition("/")
    parent, _, name = rest.rpartition("/")
    return kind, parent, name
