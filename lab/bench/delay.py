"""From the tick to RunTask, on the emulator, beside the article's flow.

What is compared is the way through the state machines. The emulator's times are not AWS's: it begins every
execution with a pause of 0.15 s, and a guarded run is two executions.
"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any

from chalicelib.names import function_name
from lab.bench.alternatives import ARTICLE
from lab.bench.costs import RUN_TASK
from lab.emulator import emulator
from lab.stage import LocalStage, local_stage, until

AT_ONCE = 10
ONE_BY_ONE = 10
STAGE = "bench"
TICKED = [f"ticked-{number}" for number in range(AT_ONCE)]
BY_HAND = "by-hand"

JOBS = f"""
[defaults]
timeout = "10m"

[defaults.ecs]
cluster = "bench"
container = "app"
launch_type = "EC2"

[jobs.{BY_HAND}]
ecs = {{ task_definition = "{BY_HAND}" }}
""" + "".join(f'[jobs.{job}]\nschedule = "rate(1 minute)"\necs = {{ task_definition = "{job}" }}\n' for job in TICKED)


@dataclass(frozen=True)
class Delay:
    """Seconds until RunTask was called."""

    what: str
    design: str
    starts: int
    middle: float
    last: float


def measure() -> list[Delay]:
    """Deploy for real, and measure both designs. Takes about two minutes: it waits for a minute to turn."""
    with emulator() as aws, local_stage(aws, name=STAGE, jobs=JOBS) as stage:
        stage.deploy()
        _stop_the_schedule(stage)
        article = _deploy_article(stage)
        _tick(stage)  # this one warms everything up
        _finish(stage)
        alone = _one_by_one(stage, lambda: stage.start(BY_HAND), lambda _: stage.run_arn(BY_HAND, _newest(stage)))
        alone_article = _one_by_one(stage, lambda: _start(stage, article[BY_HAND]), lambda arn: arn)
        ticked_article = _start_all(stage, [article[job] for job in TICKED])
        _finish(stage)
        _next_minute()  # the one wait for the clock: the first tick has used its own minute up
        ticked = _tick(stage)
    rows = {
        ("a start by hand", "batch-guard"): alone,
        ("a start by hand", "the article's flow"): alone_article,
        (f"a tick with {AT_ONCE} jobs due", "batch-guard"): ticked,
        (f"a tick with {AT_ONCE} jobs due", "the article's flow"): ticked_article,
    }
    return [Delay(*names, len(times), median(times), max(times)) for names, times in rows.items()]


def _stop_the_schedule(stage: LocalStage) -> None:
    """No tick but ours: EventBridge's would come in between."""
    events = stage.emulator.client("events")
    for rule in events.list_rules()["Rules"]:
        events.disable_rule(Name=rule["Name"])


def _deploy_article(stage: LocalStage) -> dict[str, str]:
    """The article's machine once per job; each asks our checker, which also answers the article's question."""
    function = stage.functions.get_function(FunctionName=function_name(stage.name, "check"))
    check = function["Configuration"]["FunctionArn"]
    return {
        job: stage.stepfunctions.create_state_machine(
            name=f"article-{job}",
            definition=json.dumps(ARTICLE).replace("CHECK", check).replace("CLUSTER", "bench").replace("FAMILY", job),
            roleArn=f"arn:aws:iam::{stage.emulator.account}:role/article",
        )["stateMachineArn"]
        for job in (BY_HAND, *TICKED)
    }


def _tick(stage: LocalStage) -> list[float]:
    tick = datetime.now(UTC)
    event = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}, "resources": [], "version": "0"}
    event |= {"time": f"{tick:%Y-%m-%dT%H:%M:%SZ}", "id": "1", "region": "us-east-1", "account": "0"}
    failed = stage.invoke("trigger", event)
    if failed:
        raise RuntimeError(f"the trigger failed: {failed}")
    return [_called(stage, stage.run_arn(job, _newest(stage, job)), tick) for job in TICKED]


def _start_all(stage: LocalStage, machines: list[str]) -> list[float]:
    tick = datetime.now(UTC)
    with ThreadPoolExecutor(len(machines)) as pool:
        arns = [*pool.map(lambda machine: _start(stage, machine), machines)]
    return [_called(stage, arn, tick) for arn in arns]


def _one_by_one(stage: LocalStage, start: Callable[[], str], runs: Callable[[str], str]) -> list[float]:
    times = []
    for _ in range(ONE_BY_ONE):
        began = datetime.now(UTC)
        arn = start()
        stage.a_task(BY_HAND)
        times.append(_called(stage, runs(arn), began))
        stage.finish(BY_HAND)
        until(lambda: not stage.live_tasks(BY_HAND), within=60, what="the end of the task")
        stage.ended(arn)
    return times


def _start(stage: LocalStage, machine: str) -> str:
    return stage.stepfunctions.start_execution(stateMachineArn=machine)["executionArn"]


def _newest(stage: LocalStage, job: str = BY_HAND) -> str:
    """The job's newest run, once there is an open one."""
    run: Any = until(
        lambda: next((r for r in reversed(stage.runs(job)) if r["status"] == "RUNNING"), None),
        within=120,
        what=f"a run of {job}",
    )
    return str(run["name"])


def _called(stage: LocalStage, arn: str, since: datetime) -> float:
    """Seconds from `since` until the run called RunTask, as its history has it."""

    def scheduled() -> datetime | None:
        events = stage.stepfunctions.get_execution_history(executionArn=arn)["events"]
        calls = [(event["timestamp"], event.get("taskScheduledEventDetails")) for event in events]
        return next((at for at, call in calls if call and call["resource"].endswith(RUN_TASK)), None)

    at: datetime = until(scheduled, within=60, what=f"RunTask by {arn}")
    return (at - since).total_seconds()


def _finish(stage: LocalStage) -> None:
    """End every task, and wait for the runs."""
    for job in (BY_HAND, *TICKED):
        for task in stage.live_tasks(job):
            stage.stop_task(job, task)
    for job in (BY_HAND, *TICKED):
        stage.finish(job)


def _next_minute() -> None:
    minute = datetime.now(UTC).minute
    until(lambda: datetime.now(UTC).minute != minute, within=70, what="the next minute")
