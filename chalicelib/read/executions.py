"""Step Functions reads, turned into the values that `decide.availability` decides on. Nothing here writes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from chalicelib.decide.facts import Details, Execution
from chalicelib.parsing import details_of
from chalicelib.read.aws import reading
from chalicelib.values import dataclass

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

PAGE_SIZE = 100
"""Executions per page: ListExecutions' own default, and enough for one call to show what matters."""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of ListExecutions, newest first: running ones by start, others by stop (AWS, ListExecutions)."""

    executions: tuple[Execution, ...]
    token: str | None = None


class Executions(Protocol):
    """What a guard may ask about a state machine's executions."""

    def page(self, machine: str, token: str | None = None, *, only_running: bool = False) -> Page:
        """One page, in one call. Eventually consistent: it may show any past state (AWS, ListExecutions)."""

    def details(self, arn: str) -> Details | None:
        """One execution by its ARN; None if Step Functions does not show it (yet, or any more)."""

    def created_at(self, machine: str) -> datetime:
        """When the state machine was made (UTC)."""


def all_running(executions: Executions, machine: str) -> tuple[Execution, ...]:
    """The open executions of a state machine, all pages."""
    found: list[Execution] = []
    token: str | None = None
    while True:
        page = executions.page(machine, token, only_running=True)
        found += page.executions
        token = page.token
        if token is None:
            return tuple(found)


class StepFunctions:
    """`Executions` on AWS. Errors are those of `chalicelib.read.aws.reading`."""

    def __init__(self, client: "SFNClient") -> None:
        self._client = client

    def page(self, machine: str, token: str | None = None, *, only_running: bool = False) -> Page:
        arguments: dict[str, Any] = {"stateMachineArn": machine, "maxResults": PAGE_SIZE}
        if token:
            arguments["nextToken"] = token
        if only_running:
            arguments["statusFilter"] = "RUNNING"
        with reading("states:ListExecutions", machine):
            answer = self._client.list_executions(**arguments)
            return Page(tuple(map(execution_of, answer["executions"])), answer.get("nextToken"))

    def details(self, arn: str) -> Details | None:
        with reading("states:DescribeExecution", arn):
            try:
                answer = self._client.describe_execution(executionArn=arn)
            except self._client.exceptions.ExecutionDoesNotExist:
                return None
            said, error = answer.get("input"), answer.get("error")
            return details_of(
                execution_of(answer), said, error=error, output=answer.get("output"), cause=answer.get("cause")
            )

    def created_at(self, machine: str) -> datetime:
        with reading("states:DescribeStateMachine", machine):
            return _utc(self._client.describe_state_machine(stateMachineArn=machine)["creationDate"])


def execution_of(item: Mapping[str, Any]) -> Execution:
    """An item of ListExecutions, or an answer of DescribeExecution."""
    stopped = item.get("stopDate")
    return Execution(
        arn=item["executionArn"],
        name=item["name"],
        status=item["status"],
        started_at=_utc(item.get("redriveDate") or item["startDate"]),
        stopped_at=_utc(stopped) if stopped else None,
    )


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
