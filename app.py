"""Chalice wiring: the checker, the trigger, and nothing else."""

import gc
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chalice.app import Chalice, CloudWatchEvent

from chalicelib import lines, metrics, telling
from chalicelib.check import Checker
from chalicelib.config import blocks, jobs
from chalicelib.decide import schedule
from chalicelib.decide.facts import stamp
from chalicelib.names import execution_name, schedule_parameter, stage_of_function
from chalicelib.read import record
from chalicelib.read.aws import client
from chalicelib.read.executions import StepFunctions
from chalicelib.read.tasks import Ecs
from chalicelib.trigger import Trigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient

    from chalicelib.decide.deadlines import Look
    from chalicelib.decide.facts import Execution
    from chalicelib.decide.pace import Planned
    from chalicelib.decide.schedule import Due
    from chalicelib.late import Became

# Chalice would give the logger of its app's name a handler of its own: every line would come twice.
app = Chalice(app_name="batch-guard", configure_logs=False)

_handled: set[str] = set()
_moments_known: set[tuple[str, str]] = set()
_looked_up: set[str] = set()
_RESERVE = 20_000
"""Milliseconds of the trigger's time that the watch leaves: a call takes 15 s at most, with its retries."""
_who_waits: dict[str, "tuple[datetime, tuple[Execution, ...]]"] = {}


@app.lambda_function(name="check")
def check(event: Any, context: Any) -> dict[str, Any]:
    """Decide whether a start may run. Read only."""
    arn, executions = context.invoked_function_arn, StepFunctions(_stepfunctions())
    checker = Checker(_jobs, arn, executions, _ecs, _now, who_waits=_who_waits)
    asked = event.get("job") if isinstance(event, dict) else None
    try:
        answer = checker.answer(event)
    except Exception as error:
        failed: Any = {"outcome": "error", "error": type(error).__name__, "reason": str(error)}
        lines.log("ERROR", "check", "can't tell", job=asked, guard_execution=_guard_execution(event), **failed)
        if isinstance(event, dict) and ("guard" in event or "task_of" in event):
            lines.measure(_stage(), [(metrics.ERROR, 1)], str(asked)[:80] or "none")
        raise
    if "outcome" in answer:
        told = ("outcome", "reason", "holder", "next_run", "error", "skips_in_a_row")
        shown: Any = {key: answer.get(key) for key in told}
        if "would_have" in answer:
            shown["would_have"] = answer["would_have"]
        lines.log("INFO", "check", "decision", job=asked, guard_execution=_guard_execution(event), **shown)
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
    client = _stepfunctions()
    ticks = Trigger(_jobs(), context.invoked_function_arn, client, _recorded, _handled, _now, time.sleep)
    try:
        _tick(ticks)
    finally:
        if ticks.jobs.tells_something:
            _watch(ticks, lambda: context.get_remaining_time_in_millis() > _RESERVE)


def _watch(ticks: Trigger, in_time: "Callable[[], bool]") -> None:
    """Tell what no state passes. Failing to is a line in the log: it changes nothing else, and the next tick looks."""
    from chalicelib import watch  # noqa: PLC0415 (a stage that tells nobody must not load it at a cold start)

    tells = telling.Teller(ticks.jobs, ticks.function_arn, ticks.client, _now)
    try:
        watch.Watch(tells, StepFunctions(ticks.client), _looked_up, in_time).look()
    except Exception as error:
        _could_not_tell(error)


def _tell_late(ticks: Trigger, look: "Look", became: "Became") -> None:
    """Tell people of a job that is late, if they want to be told; once an hour of its moments."""
    moment, job = look.moment, ticks.jobs.jobs[look.moment.job]
    words = f"expected by {stamp(moment.at)} ({moment.key}): {became.reason}"
    command = telling.why(ticks.jobs, job, moment.scheduled_at)
    try:
        tells = telling.Teller(ticks.jobs, ticks.function_arn, ticks.client, _now)
        tells.tell("late", job, moment.at, words, scheduled_at=moment.scheduled_at, command=command)
    except Exception as error:
        _could_not_tell(error)


def _could_not_tell(error: Exception) -> None:
    failed: Any = {"error": type(error).__name__, "reason": str(error)}
    lines.log("ERROR", "trigger", "could not tell", **failed)


def _tick(ticks: Trigger) -> None:
    """Start what is due, and beside that look up whose moment it is: a crowd of starts may take the whole minute."""
    if not _promised():
        ticks.tick(_report)
        return
    from chalicelib.late import Late  # noqa: PLC0415 (a stage without promises must not load it at a cold start)

    executions = StepFunctions(ticks.client)
    late = Late(ticks.jobs, ticks.function_arn, executions, _recorded, _moments_known, _now, time.sleep)

    def looked(look: "Look", became: "Became", after: timedelta) -> None:
        _report_look(look, became, after)
        if became.late:
            _tell_late(ticks, look, became)

    with ThreadPoolExecutor(1) as beside:
        looks = beside.submit(late.tick, looked)
        try:
            ticks.tick(_report)
        finally:
            looks.result()


def _promised() -> bool:
    """Whether any job of the stage is looked up at a moment of its own."""
    return any(job.expect_success_by or job.warn_after for job in _jobs().jobs.values())


def _report(planned: "Planned", result: str, late: timedelta) -> None:
    start, seconds = planned.start, round(late.total_seconds())
    lines.log("INFO", "trigger", "tick", job=start.job, guard_execution=start.name, result=result, late_seconds=seconds)
    if result != "started":
        return
    lines.measure(_stage(), [(metrics.TRIGGERED, 1)], start.job)
    if not start.renewal:
        _report_beyond(_jobs().jobs[start.job], start)


def _report_beyond(job: jobs.Job, start: "Due") -> None:
    """Tell of a start of whose day nobody knows whether it is a holiday."""
    if why := schedule.unknown(job.calendar, job.schedules, job.timezone, start.scheduled_at):
        lines.log("WARNING", "trigger", "beyond the calendar", job=job.name, guard_execution=start.name, reason=why)
        lines.measure(_stage(), [(metrics.BEYOND_CALENDAR, 1)])


def _report_look(look: "Look", became: "Became", after: timedelta) -> None:
    moment = look.moment
    said: Any = {"scheduled_at": stamp(moment.scheduled_at), "expected_by": stamp(moment.at), "key": moment.key}
    told: Any = {"verdict": became.kind, "reason": became.reason, "run": became.run}
    message = "late" if became.late else "looked up"
    seconds = round(after.total_seconds())
    lines.log("INFO", "trigger", message, job=moment.job, **said, **told, looked_up_seconds_after=seconds)
    if became.kind != "not expected":
        lines.measure(_stage(), [(metrics.LATE, int(became.late))], moment.job)


def _count_decision(event: Any, answer: dict[str, Any]) -> None:
    """Count what a guard was told. A person may ask at any time; a renewal and a pause are no start of the batch."""
    if not isinstance(event, dict) or "guard" not in event:
        return
    if answer["outcome"] == "refuse":
        lines.measure(_stage(), [(metrics.REFUSE, 1)])
    elif not (event.get("renewal", False) or event.get("paused", False)):
        paused = answer["outcome"] == "skip" and answer["error"] == "Paused"
        counted = [(metrics.PAUSED if paused else metrics.OUTCOMES[answer["outcome"]], 1)]
        if answer.get("stuck"):
            counted.append((metrics.STUCK, 1))
        if "skips_in_a_row" in answer:
            counted.append((metrics.SKIPS_IN_A_ROW, answer["skips_in_a_row"]))
        lines.measure(_stage(), counted, event["job"])


@cache
def _stage() -> str:
    """In Lambda the function's name gives the stage, elsewhere the environment does. Raises `JobsFileInvalid`."""
    told = os.environ.get("BATCH_GUARD_STAGE")
    named = stage_of_function(os.environ.get("AWS_LAMBDA_FUNCTION_NAME", ""))
    if named and told and named != told:
        raise jobs.invalid(
            jobs.place_of(named),
            f'the function is of stage "{named}", and its BATCH_GUARD_STAGE says "{told}"',
            f'in .chalice/config.json, the block "{named}" must say {{"BATCH_GUARD_STAGE": "{named}"}}; deploy again',
        )
    if not (named or told):
        raise jobs.invalid(
            jobs.place_of("?"), "no stage is known", "set BATCH_GUARD_STAGE in .chalice/config.json, as dev has it"
        )
    return named or told or ""


@cache
def _jobs() -> jobs.JobsFile:
    return jobs.load(_stage(), by_model=False)  # whoever deployed it has asked botocore's model


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


if "AWS_CHALICE_CLI_MODE" in os.environ and {"deploy", "package"} & set(sys.argv):
    # A fault ends the command, before anything is deployed. It keeps nobody from asking, or from removing a stage.
    jobs.load_all()
    blocks.require(os.environ.get(blocks.VARIABLE))
    from chalicelib import bytecode
    from chalicelib.read import models

    project = Path(__file__).parent
    bytecode.refresh(project)
    models.write(project / "vendor" / models.DIRECTORY.name)
elif "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    # While Lambda initialises a function it has a whole CPU, and afterwards the share that its memory buys. What fails
    # here fails again where it is asked for, and is told there. What is made here stays: it is no garbage.
    gc.disable()
    with suppress(Exception):
        _stepfunctions()
        _jobs()
        if os.environ["AWS_LAMBDA_FUNCTION_NAME"].endswith("-trigger"):
            _ssm()
            if _promised():
                import chalicelib.late  # noqa: F401 (for _tick, while there is a whole CPU)
        else:
            _ecs()
    gc.freeze()
    gc.enable()
