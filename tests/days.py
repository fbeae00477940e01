"""Days that are over, as Step Functions has them: what `guardctl` reads of many jobs, with its calls counted."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.config.jobs import parse
from chalicelib.decide.facts import stamp
from chalicelib.names import execution_arn, scheduled_name
from chalicelib.read.record import recorded_as
from chalicelib.read.tasks import Ecs
from guardctl.stage import Stage

NOW = datetime(2026, 11, 24, 0, 0, 30, tzinfo=UTC)
DAY = timedelta(hours=24)
GUARD = "arn:aws:states:us-east-1:1:stateMachine:batch-guard-dev"
DEFAULTS = '[defaults.ecs]\ncluster = "batch"\ncontainer = "app"\nlaunch_type = "EC2"\n'


class Missing(Exception):
    """ExecutionDoesNotExist."""


class Ticking:
    """EventBridge and CloudWatch where the trigger ticks every minute."""

    calls: Counter[str]

    def list_rule_names_by_target(self, **_: Any) -> Any:
        self.calls["ListRuleNamesByTarget"] += 1
        return {"RuleNames": ["tick"]}

    def describe_rule(self, **_: Any) -> Any:
        self.calls["DescribeRule"] += 1
        return {"State": "ENABLED"}

    def get_metric_data(self, EndTime: datetime, **_: Any) -> Any:  # noqa: N803 (boto3's name)
        self.calls["GetMetricData"] += 1
        minutes = [EndTime - timedelta(minutes=n) for n in range(2, 5)]
        ticks = {"Id": "invocations", "Timestamps": minutes, "Values": [1.0] * 3}
        return {"MetricDataResults": [ticks, {"Id": "errors", "Timestamps": minutes, "Values": [0.0] * 3}]}


@dataclass
class Aws(Ticking):
    """Step Functions, Systems Manager and ECS as a finished day left them; the calls are counted."""

    stage: Any = None
    machines: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    described: dict[str, dict[str, Any]] = field(default_factory=dict)
    tasks: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By the status that is wanted of them."""
    refused: set[str] = field(default_factory=set)
    """Machines that may not be read."""
    recorded: datetime = NOW - timedelta(days=30)
    """Since when the jobs have had their schedules."""
    calls: Counter[str] = field(default_factory=Counter)
    exceptions: Any = field(default_factory=lambda: SimpleNamespace(ExecutionDoesNotExist=Missing))

    def add(self, machine: str, name: str, status: str, began: datetime, seconds: float, **said: Any) -> str:
        arn = execution_arn(machine, name)
        about = {"executionArn": arn, "name": name, "status": status, "startDate": began}
        about |= {} if status == "RUNNING" else {"stopDate": began + timedelta(seconds=seconds)}
        self.machines.setdefault(machine, []).append(about)
        self.described[arn] = {**about, **said}
        return arn

    def list_executions(self, **asked: Any) -> Any:
        self.calls["ListExecutions"] += 1
        only = asked.get("statusFilter")
        if asked["stateMachineArn"] in self.refused:
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "ListExecutions")
        every = [e for e in self.machines.get(asked["stateMachineArn"], []) if only in {None, e["status"]}]
        every = sorted(every, key=lambda e: e.get("stopDate", e["startDate"]), reverse=True)
        first, size = int(asked.get("nextToken", 0)), asked.get("maxResults", 100)
        more = {"nextToken": str(first + size)} if first + size < len(every) else {}
        return {"executions": every[first : first + size], **more}

    def describe_execution(self, executionArn: str) -> Any:  # noqa: N803 (boto3's name)
        self.calls["DescribeExecution"] += 1
        if executionArn not in self.described:
            raise Missing
        return self.described[executionArn]

    def describe_state_machine(self, **_: Any) -> Any:
        self.calls["DescribeStateMachine"] += 1
        return {"creationDate": NOW - timedelta(days=30), "definition": "{}"}

    def get_function(self, **_: Any) -> Any:
        self.calls["GetFunction"] += 1
        raise ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": ""}}, "GetFunction")

    def describe_stacks(self, StackName: str) -> Any:  # noqa: N803 (boto3's name)
        self.calls["DescribeStacks"] += 1
        said = f"Stack with id {StackName} does not exist"
        raise ClientError({"Error": {"Code": "ValidationError", "Message": said}}, "DescribeStacks")

    def get_parameters(self, Names: list[str]) -> Any:  # noqa: N803 (boto3's name)
        self.calls["GetParameters"] += 1
        jobs = {name: self.stage.file.jobs[name.split("/")[3]] for name in Names}
        about = {"LastModifiedDate": self.recorded}
        found = [{"Name": n, "Value": recorded_as(j), **about} for n, j in jobs.items() if j.schedules]
        return {"Parameters": found}

    def list_tasks(self, **asked: Any) -> Any:
        self.calls["ListTasks"] += 1
        shown = self.tasks.get(asked["desiredStatus"], [])
        of = asked.get("family")
        return {"taskArns": [t["taskArn"] for t in shown if of is None or f"/{of}:" in t["taskDefinitionArn"]]}

    def describe_tasks(self, **asked: Any) -> Any:
        self.calls["DescribeTasks"] += 1
        return {"tasks": [t for some in self.tasks.values() for t in some if t["taskArn"] in asked["tasks"]]}

    def describe_task_definition(self, **_: Any) -> Any:
        self.calls["DescribeTaskDefinition"] += 1
        return {"taskDefinition": {"containerDefinitions": [{"name": "app", "command": ["all"]}]}}


class DayStage(Stage):
    """The stage dev on a day that is over."""

    def client(self, service: Any, region: str | None = None) -> Any:
        """Whatever is asked for, the day answers."""
        return vars(self)["stepfunctions"]


def staged(jobs: str) -> tuple[Aws, Stage]:
    """The stage dev with these jobs."""
    aws, stage = Aws(), DayStage("dev")
    client: Any = aws
    aws.stage = stage
    identity = {"Arn": "arn:aws:iam::1:user/ada", "Account": "1"}
    vars(stage).update(
        file=parse(DEFAULTS + jobs, stage="dev", place="dev.toml"), stepfunctions=aws, ecs=aws, ssm=aws,
        cloudformation=aws, tasks=Ecs(client), _identity=identity, session=SimpleNamespace(region_name="us-east-1"),
    )  # fmt: skip
    return aws, stage


class Times:
    """What became of one job's scheduled times, written down as Step Functions would have it."""

    def __init__(self, aws: Aws, stage: Stage, job: str, runs: int = 0) -> None:
        self.aws, self.machine, self.job, self.runs = aws, stage.machine(job), job, runs

    def ran(self, at: datetime, minutes: float = 0.5, status: str = "SUCCEEDED", **said: Any) -> None:
        self.runs += 1
        name, run = scheduled_name(self.job, at), f"run-{self.runs:06d}"
        output = {"outcome": "started", "run": run, "state_machine_arn": self.machine}
        guard = self.aws.add(GUARD, name, "SUCCEEDED", at, 2, output=json.dumps(output))
        given = {"job": self.job, "guard_execution": guard, "scheduled_at": stamp(at)}
        began = at + timedelta(seconds=1)
        self.aws.add(self.machine, run, status, began, 60 * minutes, input=json.dumps(given), **said)

    def skipped(self, at: datetime) -> None:
        self._failed(at, 17, "BatchGuard.AlreadyRunning", "run-000001 has been running")

    def skipped_green(self, at: datetime, error: str = "BatchGuard.AlreadyRunning") -> None:
        output = {"outcome": "skip", "error": error, "reason": "…"}
        self.aws.add(GUARD, scheduled_name(self.job, at), "SUCCEEDED", at, 17, output=json.dumps(output))

    def in_shadow(self, at: datetime, would_have: str, seconds: float = 2) -> None:
        output = {"outcome": "shadow", "would_have": would_have, "reason": "…"}
        self.aws.add(GUARD, scheduled_name(self.job, at), "SUCCEEDED", at, seconds, output=json.dumps(output))

    def not_checked(self, at: datetime, seconds: float = 17) -> None:
        self._failed(at, seconds, "BatchGuard.CheckFailed", "throttled")

    def _failed(self, at: datetime, seconds: float, error: str, cause: str) -> None:
        self.aws.add(GUARD, scheduled_name(self.job, at), "FAILED", at, seconds, error=error, cause=cause)
