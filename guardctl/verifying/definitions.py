"""The task definitions: DescribeTaskDefinition, once for each that the jobs name."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from guardctl.verifying.account import Account
from guardctl.verifying.findings import Finding, Unread, ng, ok, skip
from guardctl.verifying.task import Task

Definition = Mapping[str, Any]
"""A task definition as ECS describes it."""

Definitions = Mapping[str, Definition | Unread | None]
"""As the jobs name it → what ECS says: of a family alone its newest ACTIVE revision (DescribeTaskDefinition)."""

_SIDE_BY_SIDE = 8


def read(account: Account, tasks: Iterable[Task]) -> Definitions:

    def one(name: str) -> Definition | Unread | None:
        found: Definition | Unread | None = account.call(
            "ecs", "describe_task_definition", "taskDefinition", missing=("ClientException",), taskDefinition=name
        )
        return found

    names = sorted({task.definition for task in tasks})
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        return dict(zip(names, pool.map(one, names), strict=True))


def judge(task: Task, definitions: Definitions) -> Iterator[Finding]:
    """Whether it is there and ACTIVE, has the containers, and names no role that may not be passed."""
    found = definitions[task.definition]
    name = task.definition.rpartition("/")[2]
    if isinstance(found, Unread):
        yield skip(f"task definition {name}", found.reason)
    elif found is None:
        pinned = "has no such revision" if ":" in name else "has no ACTIVE revision"
        yield ng(f"task definition {name}", f"{pinned} in this account and Region")
    else:
        yield _status(task, name, found)
        yield _containers(task, found)
        yield from _roles(task, found)


def _status(task: Task, name: str, found: Definition) -> Finding:
    what = f"task definition {found['family']}:{found['revision']}"
    if found.get("status", "ACTIVE") != "ACTIVE":
        right = "name another revision, or the family alone for its newest"
        return ng(what, f"is {found['status']}, and RunTask takes ACTIVE ones only; {right}")
    return ok(what, "ACTIVE, named by its revision" if ":" in name else "ACTIVE, the newest of its family")


def _containers(task: Task, found: Definition) -> Finding:
    names = [each["name"] for each in found.get("containerDefinitions", ())]
    missing = [name for name in dict.fromkeys((task.container, *task.overridden)) if name not in names]
    if missing:
        return ng(f"container {', '.join(missing)}", f"is not in the task definition, which has {', '.join(names)}")
    return ok(f"container {task.container}", "in the task definition")


def _roles(task: Task, found: Definition) -> Iterator[Finding]:
    """RunTask needs iam:PassRole for the roles of the task definition that the overrides don't replace (ECS guide)."""
    for key, instead, called in (
        ("taskRoleArn", task.task_role, "task role"),
        ("executionRoleArn", task.execution_role, "execution role"),
    ):
        named = instead or found.get(key)
        if not named:
            continue
        # A task definition may name a role without its ARN (RegisterTaskDefinition: "the short name or full ARN").
        passed = named in task.may_pass or any(role.rpartition("/")[2] == named for role in task.may_pass)
        what = f"{called} {named.rpartition('/')[2]}"
        if passed:
            yield ok(what, "may be passed")
        else:
            yield ng(what, f"the task definition names it, and it may not be passed: add {named} to pass_roles")
