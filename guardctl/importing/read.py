"""Reads an account's schedules: every page of every bus and of every group. Nothing here writes.

ListSchedules without a group lists the schedules of all groups (Scheduler, API reference). A rule of another bus than
the default one can't have a schedule (EventBridge guide), but may have ECS targets, which is told.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.values import dataclass
from guardctl.importing.arguments import runs_tasks, task_definition_of
from guardctl.importing.old import (
    UNIVERSAL,
    Account,
    Definition,
    Old,
)

Progress = Callable[[str], None]


@dataclass
class Reader:
    """Asks EventBridge, Scheduler, ECS and Step Functions; raises what boto3 raises, and then nothing has been read."""

    events: Any
    scheduler: Any
    ecs: Any
    stepfunctions: Any = None
    progress: Progress = lambda _line: None
    calls: int = field(default=0, init=False)
    _machines: dict[str, str] = field(default_factory=dict, init=False)
    others: Counter[str] = field(default_factory=Counter, init=False)

    def account(self) -> Account:
        """Everything that starts ECS tasks, in the order of the origins."""
        olds = sorted([*self.rules(), *self.schedules()], key=lambda old: old.origin)
        definitions = dict.fromkeys(named for old in olds if (named := task_definition_of(old)))
        found: dict[str, Definition | None] = {}
        for n, name in enumerate(definitions, start=1):
            self.progress(f"reading task definitions: {n} of {len(definitions)}")
            found[name] = self.definition(name)
        return Account(olds=tuple(olds), definitions=found, others=dict(self.others), calls=self.calls)

    def rules(self) -> Iterator[Old]:
        """Of every rule of every bus, the targets that are ECS tasks."""
        for bus in self._pages(self.events.list_event_buses, "EventBuses"):
            rules = [*self._pages(self.events.list_rules, "Rules", EventBusName=bus["Name"])]
            for n, rule in enumerate(rules, start=1):
                self.progress(f"reading rules of bus {bus['Name']}: {n} of {len(rules)}")
                yield from self._targets(bus["Name"], rule)

    def schedules(self) -> Iterator[Old]:
        """The schedules of every group that run an ECS task."""
        listed = [*self._pages(self.scheduler.list_schedules, "Schedules")]
        for n, item in enumerate(listed, start=1):
            self.progress(f"reading schedules: {n} of {len(listed)}")
            arn = item.get("Target", {}).get("Arn", "")
            machine = self._machine(arn)
            if machine or _is_cluster(arn) or arn.endswith(UNIVERSAL):
                self.calls += 1
                told = self.scheduler.get_schedule(Name=item["Name"], GroupName=item["GroupName"])
                origin = f"schedule/{told['GroupName']}/{told['Name']}"
                yield Old(origin=origin, told=told, target=told["Target"], machine=machine)
            else:
                self.others[_service(arn)] += 1

    def definition(self, name: str) -> Definition | None:
        """A task definition; None for one that ECS does not have."""
        self.calls += 1
        try:
            found: Definition = self.ecs.describe_task_definition(taskDefinition=name)["taskDefinition"]
        except ClientError as error:
            # ECS has no error of its own for it: ClientException, "Unable to describe task definition."
            if error.response.get("Error", {}).get("Code") == "ClientException":
                return None
            raise
        return found

    def _targets(self, bus: str, rule: Mapping[str, Any]) -> Iterator[Old]:
        targets = [*self._pages(self.events.list_targets_by_rule, "Targets", Rule=rule["Name"], EventBusName=bus)]
        for target in targets:
            machine = self._machine(target.get("Arn", ""))
            if not machine and "EcsParameters" not in target and not _is_cluster(target.get("Arn", "")):
                self.others[_service(target.get("Arn", ""))] += 1
                continue
            several = target["Id"] if len(targets) > 1 else None
            origin = f"rule/{bus}/{rule['Name']}" + (f"#{several}" if several else "")
            yield Old(origin=origin, told=rule, target=target, machine=machine)

    def _machine(self, arn: str) -> str:
        """The definition of a state machine that runs ECS tasks; empty for every other target, and for our own."""
        if ":stateMachine:" not in arn or ":stateMachine:batch-guard-" in arn:
            return ""
        if arn not in self._machines:
            self.calls += 1
            try:
                self._machines[arn] = self.stepfunctions.describe_state_machine(stateMachineArn=arn)["definition"]
            except self.stepfunctions.exceptions.StateMachineDoesNotExist:
                self._machines[arn] = ""
        definition = self._machines[arn]
        return definition if runs_tasks(definition) else ""

    def _pages(self, call: Callable[..., Mapping[str, Any]], items: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        """Every item of every page. ListEventBuses has no paginator in boto3; all of these page by NextToken."""
        token: str | None = None
        while True:
            self.calls += 1
            page = call(**arguments, **({"NextToken": token} if token else {}))
            yield from page.get(items, ())
            token = page.get("NextToken")
            if not token:
                return


def _service(arn: str) -> str:
    """``states`` for the ARN of a state machine, ``lambda`` for Scheduler's own target that invokes a function."""
    parts = arn.split(":")
    return parts[6 - (len(parts) < 7)] if "aws-sdk" in parts else parts[2] if len(parts) > 2 else "unknown"


def _is_cluster(arn: str) -> bool:
    return ":ecs:" in arn and ":cluster/" in arn
