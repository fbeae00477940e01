"""Chalice wiring: the checker, the trigger, and nothing else."""

import os
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from chalice.app import Chalice, CloudWatchEvent

from chalicelib import metrics
from chalicelib.check import Checker
from chalicelib.config import blocks, jobs
from chalicelib.names import execution_name, schedule_parameter, stage_of_function
from chalicelib.read import record
from chalicelib.read.aws import client
from chalicelib.read.executions import StepFunctions
from chalicelib.read.tasks import Ecs
from chalicelib.trigger import Trigger

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient

    from chalicelib.decide.schedule import Due

# Chalice would give the logger of its app's name a handler of its own: every line would come twice.
app = Chalice(app_name="batch-guard", configure_logs=False)
logger = Logger(service="batch-guard")

_handled: set[str] = set()

if "AWS_CHALICE_CLI_MODE" in os.environ:
    # A fault ends the command, before anything is deployed; in Lambda nothing raises here.
    jobs.load_all()
    blocks.require(os.environ.get(blocks.VARIABLE))


@app.lambda_function(name="check")
def check(event: Any, context: Any) -> dict[str, Any]:
    """Decide whether a start may run. Read only."""
    checker = Checker(_jobs, context.invoked_function_arn, StepFunctions(_stepfunctions()), _ecs, _now)
    asked = event.get("job") if isinstance(event, dict) else None
    try:
        answer = checker.answer(event)
    except Exception as error:
        failed: Any = {"outcome": "error", "error": type(error).__name__, "reason": str(error)}
        logger.error("can't tell", job=asked, guard_execution=_guard_execution(event), **failed)
        if isinstance(event, dict) and ("guard" in event or "task_of" in event):
            _measure(metrics.ERROR, 1, str(asked)[:80] or "none")
        raise
    if "outcome" in answer:
        told = ("outcome", "reason", "holder", "next_run", "error", "skips_in_a_row")
        shown: Any = {key: answer.get(key) for key in told}
        logger.info("decision", job=asked, guard_execution=_guard_execution(event), **shown)
        _count_decision(event, answer)
    return answer


def _guard_execution(event: Any) -> str | None:
    """The name of the guard execution that asks: `guardctl logs` finds its decision by it."""
    asking = event.get("guard") if isinstance(event, dict) else None
    execution = asking.get("execution") if isinstance(asking, dict) else None
    return execution_name(execution) if isinstance(execution, str) else None


@app.schedule("cron(* * * * ? *)", name="trigger")  # a rate would begin at any second of the minute
def trigger(event: CloudWatchEvent) -> None:
    """Start the guard of every job that is due."""
    context: Any = event.context
    Trigger(_jobs(), context.invoked_function_arn, _stepfunctions(), _recorded, _handled).tick(_now(), _report)


def _report(start: "Due", result: str) -> None:
    late = round(start.late.total_seconds())
    logger.info("tick", job=start.job, guard_execution=start.name, result=result, late_seconds=late)
    if result == "started":
        _measure(metrics.TRIGGERED, 1, start.job)


def _count_decision(event: Any, answer: dict[str, Any]) -> None:
    """Count what a guard was told. A person may ask at any time, and a renewal is no start of the batch."""
    if not isinstance(event, dict) or "guard" not in event:
        return
    if answer["outcome"] == "refuse":
        _measure(metrics.REFUSE, 1)
    elif not event.get("renewal", False):
        paused = answer["outcome"] == "skip" and answer["error"] == "Paused"
        _measure(metrics.PAUSED if paused else metrics.OUTCOMES[answer["outcome"]], 1, event["job"])
        if answer.get("stuck"):
            _measure(metrics.STUCK, 1)
        if "skips_in_a_row" in answer:
            _measure(metrics.SKIPS_IN_A_ROW, answer["skips_in_a_row"], event["job"])


def _measure(metric: metrics.Metric, value: int, job: str | None = None) -> None:
    unit = MetricUnit(metric.unit)
    with single_metric(name=metric.name, unit=unit, value=value, namespace=metrics.NAMESPACE) as point:
        for dimension, of in metric.of(_stage(), job).items():
            point.add_dimension(dimension, of)


@cache
def _stage() -> str:
    """In Lambda the function's name gives the stage, elsewhere the environment does. Raises `JobsFileInvalid`."""
    told = os.environ.get("BATCH_GUARD_STAGE")
    named = stage_of_function(os.environ.get("AWS_LAMBDA_FUNCTION_NAME", ""))
    if named and told and named != told:
        raise jobs.invalid(
            named,
            f'the function is of stage "{named}", and its BATCH_GUARD_STAGE says "{told}"',
            f'in .chalice/config.json, the block "{named}" must say {{"BATCH_GUARD_STAGE": "{named}"}}; deploy again',
        )
    if not (named or told):
        raise jobs.invalid("?", "no stage is known", "set BATCH_GUARD_STAGE in .chalice/config.json, as dev has it")
    return named or told or ""


@cache
def _jobs() -> jobs.JobsFile:
    return jobs.load(_stage())


@cache
def _stepfunctions() -> "SFNClient":
    made: SFNClient = client("stepfunctions")
    return made


@cache
def _ecs() -> Ecs:
    return Ecs(client("ecs"))


@cache
def _ssm() -> "SSMClient":
    made: SSMClient = client("ssm")
    return made


def _recorded(job: jobs.Job) -> record.Record:
    return record.read(_ssm(), schedule_parameter(_stage(), job.name))


def _now() -> datetime:
    return datetime.now(UTC)
