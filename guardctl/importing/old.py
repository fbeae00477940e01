"""What starts an ECS task on a schedule today, as frozen values, and what is said of it. Pure.

An origin is how a jobs file names one: `rule/<bus>/<rule>`, with `#<target id>` if the rule has several targets, or
`schedule/<group>/<schedule>`.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from chalicelib.values import dataclass

UNIVERSAL = ":scheduler:::aws-sdk:ecs:runTask"
"""How the ARN of a schedule's target ends when Scheduler calls RunTask itself (its guide, "Universal targets")."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A rule or a schedule as AWS tells it."""

    origin: str
    told: Mapping[str, Any]

    @property
    def on(self) -> bool:
        """Whether it starts what it starts; a rule has a second state in which it does."""
        return bool(self.told.get("State") != "DISABLED")

    @property
    def expression(self) -> str:
        """Empty for a rule that is started by events."""
        return str(self.told.get("ScheduleExpression", ""))

    @property
    def timezone(self) -> str:
        """Of the expression; rules are in UTC."""
        return str(self.told.get("ScheduleExpressionTimezone") or "UTC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Old(Told):
    """One target of an EventBridge rule, or one schedule of EventBridge Scheduler."""

    target: Mapping[str, Any]
    """As AWS tells it."""
    machine: str
    """The definition of the state machine that the target is, if it runs ECS tasks."""

    @property
    def kind(self) -> str:
        """``rule`` or ``schedule``."""
        return path_of(self.origin)[0]

    @property
    def name(self) -> str:
        """The rule's or the schedule's, with the target's ID if the rule has several targets."""
        return "-".join(filter(None, (path_of(self.origin)[2], self.origin.partition("#")[2])))

    @property
    def arn(self) -> str:
        """The rule's or the schedule's."""
        return str(self.told.get("Arn", ""))

    @property
    def place(self) -> tuple[str, str]:
        """Its Region and account; empty where its ARN does not say."""
        parts = [*self.arn.split(":"), *[""] * 5]
        return parts[3], parts[4]

    @property
    def universal(self) -> bool:
        """Whether the target is RunTask itself, and its input RunTask's."""
        return str(self.target.get("Arn", "")).endswith(UNIVERSAL)


Definition = Mapping[str, Any]
"""A task definition as ECS describes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What was read, all of it."""

    olds: tuple[Old, ...]
    definitions: Mapping[str, Definition | None]
    """By task definition as the targets name it; None for one that does not exist."""
    others: Mapping[str, int] = field(default_factory=dict)
    """By service, the targets that are no ECS tasks: ``{"lambda": 3}``."""
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Note:
    """Something that is not as it was, or that a person should know."""

    kind: str
    """A word or two, the same for all of a kind: "rate"."""
    text: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a schedule can't be carried, and what to write instead, or to do."""

    wrong: str
    instead: str

    def __str__(self) -> str:
        return f"{self.wrong}; {self.instead}"


def rule_of(origin: str) -> str:
    """The origin of the whole rule: what is switched on and off, with all its targets."""
    return origin.partition("#")[0]


def path_of(origin: str) -> tuple[str, str, str]:
    """``rule`` or ``schedule``, the bus or the group, and the name. A partner's bus has slashes, no rule's name has."""
    kind, _, rest = rule_of(origin).partition("/")
    parent, _, name = rest.rpartition("/")
    return kind, parent, name
