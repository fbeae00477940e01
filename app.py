"""Chalice wiring: the checker, the trigger, and nothing else."""

import os
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from chalice.app import Chalice, CloudWatchEvent

from chalicelib import jobs, record
from chalicelib.aws import client
from chalicelib.check import Checker
from chalicelib.executions import StepFunctions
from chalicelib.names import schedule_parameter
from chalicelib.trigger import Trigger

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient

    from chalicelib.schedule import Due

# Chalice would give the logger of its app's name a handler of its own: every line would come twice.
app = Chalice(app_name="batch-guard", configure_logs=False)
logger = Logger(service="batch-guard")

_handled: set[str] = set()


@app.lambda_function(name="check")
def check(event: Any, context: Any) -> dict[str, Any]:
    """Decide whether a start may run. Read only."""
    checker = Checker(_jobs, context.invoked_function_arn, StepFunctions(_stepfunctions()), _ecs, _now)
    asked = event.get("job") if isinstance(event, dict) else None
    try:
        answer = checker.answer(event)
    except Exception as error:
        told: Any = {"outcome": "error", "error": type(error).__name__, "reason": str(error)}
        logger.error("can't tell", job=asked, guard_execution=_guard_execution(event), **told)
        _count("Error", asked)
        raise
    if "outcome" in answer:
        shown: Any = {key: answer.get(key) for key in ("outcome", "reason", "holder", "next_run", "error")}
        logger.info("decision", job=asked, guard_execution=_guard_execution(event), **shown)
        _count(answer["outcome"].title().replace("_", ""), asked)
    return answer


def _guard_execution(event: Any) -> str | None:
    """The name of the guard execution that asks: `guardctl logs` finds its decision by it."""
    asking = event.get("guard") if isinstance(event, dict) else None
    execution = asking.get("execution") if isinstance(asking, dict) else None
    return execution.rpartition(":")[2] if isinstance(execution, str) else None


@app.schedule("rate(1 minute)", name="trigger")
def trigger(event: CloudWatchEvent) -> None:
    """Start the guard of every job that is due."""
    context: Any = event.context
    Trigger(_jobs(), context.invoked_function_arn, _stepfunctions(), _recorded, _handled).tick(_now(), _report)


def _report(start: "Due", result: str) -> None:
    logger.info("tick", job=start.job, name=start.name, result=result, late_seconds=round(start.late.total_seconds()))
    if result == "started":
        _count("Triggered", start.job)


def _count(metric: str, job: Any) -> None:
    with single_metric(name=metric, unit=MetricUnit.Count, value=1, namespace="BatchGuard") as point:
        point.add_dimension("stage", os.environ["BATCH_GUARD_STAGE"])
        point.add_dimension("job", str(job)[:80] or "none")  # a typo of a job's name is seen as such


@cache
def _jobs() -> jobs.JobsFile:
    return jobs.load(os.environ["BATCH_GUARD_STAGE"])


@cache
def _stepfunctions() -> "SFNClient":
    made: SFNClient = client("stepfunctions")
    return made


@cache
def _ecs() -> "ECSClient":
    made: ECSClient = client("ecs")
    return made


@cache
def _ssm() -> "SSMClient":
    made: SSMClient = client("ssm")
    return made


def _recorded(job: jobs.Job) -> record.Record:
    return record.read(_ssm(), schedule_parameter(os.environ["BATCH_GUARD_STAGE"], job.name))


def _now() -> datetime:
    return datetime.now(UTC)
