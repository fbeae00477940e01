"""The log groups of the `awslogs` driver: DescribeLogGroups, fifty a call."""

from collections.abc import Iterable, Iterator, Mapping

from guardctl.verifying.account import Account
from guardctl.verifying.definitions import Definition
from guardctl.verifying.findings import Finding, Unread, ng, ok, skip

Key = tuple[str | None, str]
"""Region (None: the stage's own) and name."""

LogGroups = Mapping[Key, bool | Unread]
"""Whether it is there."""

_A_CALL = 50
"""DescribeLogGroups: logGroupIdentifiers, up to 50."""


def _groups(definition: Definition) -> Iterator[tuple[Key, bool]]:
    """The groups that a task definition's containers write to, and whether the driver would make it."""
    for container in definition.get("containerDefinitions", ()):
        configuration = container.get("logConfiguration", {})
        options = configuration.get("options", {})
        if configuration.get("logDriver") == "awslogs" and options.get("awslogs-group"):
            made = options.get("awslogs-create-group", "").lower() == "true"
            yield (options.get("awslogs-region"), options["awslogs-group"]), made


def read(account: Account, definitions: Iterable[Definition]) -> LogGroups:
    """The log groups that must be there when a task starts: the driver makes the others."""
    by_region: dict[str | None, set[str]] = {}
    for definition in definitions:
        for (region, name), made in _groups(definition):
            if not made:
                by_region.setdefault(region, set()).add(name)
    found: dict[Key, bool | Unread] = {}
    for region, names in by_region.items():
        found.update({(region, name): there for name, there in _of_region(account, region, sorted(names)).items()})
    return found


def _of_region(account: Account, region: str | None, names: list[str]) -> dict[str, bool | Unread]:
    found: dict[str, bool | Unread] = {}
    for first in range(0, len(names), _A_CALL):
        some = names[first : first + _A_CALL]
        answer = account.pages("logs", "describe_log_groups", "logGroups", region=region, logGroupIdentifiers=some)
        if isinstance(answer, Unread):
            found |= dict.fromkeys(some, answer)
        else:
            found |= {name: any(name == group["logGroupName"] for group in answer) for name in some}
    return found


def judge(definition: Definition, groups: LogGroups) -> Iterator[Finding]:
    """Whether each is there, or will be made."""
    for (region, name), made in dict.fromkeys(_groups(definition)):
        what = f"log group {name}"
        there = groups.get((region, name))
        if made:
            yield ok(what, "awslogs-create-group is set: made with the first task, if its execution role may")
        elif isinstance(there, Unread):
            yield skip(what, there.reason)
        elif there:
            yield ok(what, "there")
        else:
            yield ng(what, "does not exist, and a container whose driver has no log group does not start")
