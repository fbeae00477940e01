"""What a decision costs in AWS calls: a table that documentation can quote.

Of a start on its second look: it runs in the last slot, the others being held by runs of an hour; or all are held, and it
steps back or lets an execution wait. Every job of a pool has a target (a cluster and a family) of its own, and no page
has a second one.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from chalicelib.check import Checker
from chalicelib.config import jobs
from chalicelib.decide.facts import Details, Target, stamp
from chalicelib.names import batch_machine, execution_arn, machine_arn, waiting_machine
from chalicelib.read.tasks import Ecs
from tests.world import NOW, FakeExecutions, ago, execution

FUNCTION = "arn:aws:lambda:ap-northeast-1:123456789012:function:batch-guard-dev-check"
GUARD = "arn:aws:states:ap-northeast-1:123456789012:execution:batch-guard-dev:by-hand"


@dataclass
class Counted(FakeExecutions):
    """Step Functions in memory, which counts what it is asked."""

    calls: Counter[str] = field(default_factory=Counter)

    def page(self, machine: str, token: str | None = None, *, only_running: bool = False) -> Any:
        self.calls["ListExecutions"] += 1
        return super().page(machine, token, only_running=only_running)

    def details(self, arn: str) -> Any:
        self.calls["DescribeExecution"] += 1
        return super().details(arn)


@dataclass
class CountedEcs:
    """ECS with a task of each held slot in it, which counts what it is asked."""

    tasks: list[dict[str, Any]]
    calls: Counter[str]

    def list_tasks(self, *, family: str, desiredStatus: str, **_: Any) -> dict[str, Any]:  # noqa: N803 (as boto3 has it)
        self.calls["ListTasks"] += 1
        running = [t["taskArn"] for t in self.tasks if t["taskDefinitionArn"] == family]
        return {"taskArns": running if desiredStatus == "RUNNING" else []}

    def describe_tasks(self, *, tasks: list[str], **_: Any) -> dict[str, Any]:
        self.calls["DescribeTasks"] += 1
        return {"tasks": [task for task in self.tasks if task["taskArn"] in tasks]}


def pool(targets: int, slots: int, overlap: str, name: str) -> str:
    """A jobs file with one pool of so many jobs, and so many slots."""
    named = [f'[jobs.j{n}]\npool = "{name}"\necs = {{ task_definition = "f{n}" }}' for n in range(targets)]
    ecs = '[defaults.ecs]\ncluster = "batch"\ncontainer = "app"\nlaunch_type = "EC2"'
    return "\n".join((ecs, f"[pools.{name}]\nslots = {slots}\n[defaults]\noverlap = '{overlap}'", *named))


def calls(targets: int, slots: int, *, held: int, overlap: str = "skip", name: str) -> tuple[str, Counter[str]]:
    """The outcome of a start of the first job, and how often each action is called; the last job has the runs."""
    file = jobs.parse(pool(targets, slots, overlap, name), stage="dev", place="dev.toml")
    known = Counted()
    known.machines[machine_arn(FUNCTION, waiting_machine("dev"))] = ago(1440)
    family, tasks = f"f{targets - 1}", []
    for slot in range(1, slots + 1):
        machine = machine_arn(FUNCTION, batch_machine("dev", name, slot))
        of = execution("run-000041", "RUNNING" if slot <= held else "SUCCEEDED", began=61, of=machine)
        known.add(machine, Details(of, target=Target("batch", family, "app"), job=f"j{targets - 1}"))
        if slot <= held:
            tasks.append(a_task(f"t{slot}", family, execution_arn(machine, of.name)))
    checker = Checker(lambda: file, FUNCTION, known, lambda: Ecs(CountedEcs(tasks, known.calls)), lambda: NOW)  # type: ignore[arg-type]  # a fake with the methods used
    shared = {"pool": name, "slots": slots} if file.shared(name) else {}
    guard = {"version": 1, "execution": GUARD, "started": stamp(ago(1)), "waited": True, **shared}
    outcome = checker.answer({"job": "j0", "guard": guard})["outcome"]
    return outcome, known.calls


def a_task(identity: str, family: str, run: str) -> dict[str, Any]:
    """A task as DescribeTasks shows it."""
    environment = [{"name": "BATCH_EXECUTION", "value": run}]
    return {
        "taskArn": f"arn:aws:ecs:ap-northeast-1:123456789012:task/batch/{identity}",
        "taskDefinitionArn": family,
        "lastStatus": "RUNNING",
        "createdAt": ago(60),
        "overrides": {"containerOverrides": [{"name": "app", "environment": environment}]},
    }


ALONE = 0
"""In place of a number of targets: one job, whose pool has its own name."""
CALLS = ("ListExecutions", "DescribeExecution", "ListTasks", "DescribeTasks")
TABLE = [
    # targets, slots   a start        a skip         a queueing start that lets one wait
    #                  LE DE  LT DT   LE DE LT DT    LE DE LT DT
    (ALONE, 1, (1, 0, 2, 0), (1, 1, 2, 1), (1, 1, 0, 0)),
    (ALONE, 2, (3, 0, 2, 1), (3, 2, 2, 1), (3, 2, 0, 0)),
    (1, 1, (2, 0, 2, 0), (2, 1, 2, 1), (2, 1, 0, 0)),
    (1, 2, (3, 0, 2, 1), (3, 2, 2, 1), (3, 2, 0, 0)),
    (1, 3, (4, 0, 2, 1), (4, 3, 2, 1), (4, 3, 0, 0)),
    (5, 1, (2, 0, 10, 0), (2, 1, 2, 1), (2, 1, 0, 0)),
    (5, 2, (3, 0, 10, 1), (3, 2, 2, 1), (3, 2, 0, 0)),
    (5, 3, (4, 0, 10, 1), (4, 3, 2, 1), (4, 3, 0, 0)),
    (20, 1, (2, 0, 40, 0), (2, 1, 2, 1), (2, 1, 0, 0)),
    (20, 2, (3, 0, 40, 1), (3, 2, 2, 1), (3, 2, 0, 0)),
    (20, 3, (4, 0, 40, 1), (4, 3, 2, 1), (4, 3, 0, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("targets", "slots", "start", "skip", "queue"), TABLE)
def test_calls_of_a_decision(
    targets: int, slots: int, start: tuple[int, ...], skip: tuple[int, ...], queue: tuple[int, ...]
) -> None:
    """Slots cost a page each, those who wait for a shared pool one, and targets two lists each, only for who may run."""
    targets, name = (1, "j0") if targets == ALONE else (targets, "p")
    found = {
        "start": calls(targets, slots, held=slots - 1, name=name),
        "skip": calls(targets, slots, held=slots, name=name),
        "queue": calls(targets, slots, held=slots, overlap="queue", name=name),
    }
    assert {outcome: said for outcome, (said, _) in found.items()} == {outcome: outcome for outcome in found}
    assert {outcome: tuple(counted[call] for call in CALLS) for outcome, (_, counted) in found.items()} == {
        "start": start,
        "skip": skip,
        "queue": queue,
    }
