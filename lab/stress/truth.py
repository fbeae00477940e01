"""The history as the emulator itself tells it, past the proxy, with the harness's own exact times where it has them."""

import json
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.read.tasks import execution_of
from lab.stage import LocalStage
from lab.stress.judge import FOREVER, History, Life, Run, Start, Task
from lab.stress.load import Log

_SECOND = timedelta(seconds=1)

KINDS = {
    "ExecutionAlreadyExists": "the name was taken",
    "TooManyRequestsException": "Lambda throttled the checker",
    "ThrottlingException": "AWS throttled a read",
    "InternalServerException| failed: ": "AWS failed a read",
    "got no answer": "a read got no answer",
    "can't be read": "a read's answer could not be read",
    "does not show": "something was not shown that exists",
    r"States.Timeout|Timedout": "the checker took too long",
    # How the emulator puts it, depending on what it was doing with the process.
    "Worker|Broken pipe|'stdin'|No such file": "the checker was killed",
}
"""Failures on the way of a start, by what they say; others are shown by how they begin."""


def read(stage: LocalStage, log: Log) -> History:
    """Every execution and every task of the stage."""
    now = datetime.now(UTC)
    with ThreadPoolExecutor(16) as pool:
        guards = stage.stepfunctions.get_paginator("list_executions").paginate(stateMachineArn=stage.guard)
        asked = [item["executionArn"] for page in guards for item in page["executions"]]
        starts = tuple(pool.map(lambda arn: _start(stage, arn, now), asked))
        runs: list[Run] = []
        tasks: list[Task] = []
        for job in stage.jobs.jobs:
            arns = [run["executionArn"] for run in stage.runs(job)]
            runs += pool.map(lambda arn, job=job: _run(stage, job, arn), arns)
            tasks += _tasks(stage, log, job)
    return History(tuple(sorted(runs, key=lambda run: run.life.since)), tuple(tasks), starts)


def failures(stage: LocalStage, history: History) -> dict[str, Counter[str]]:
    """The failures that each start met on its way, by kind: of the checker, and names that were taken."""
    arns = [start.arn for start in history.starts]
    with ThreadPoolExecutor(16) as pool:
        return dict(zip(arns, pool.map(lambda arn: _failures(stage, arn), arns), strict=True))


def _failures(stage: LocalStage, arn: str) -> Counter[str]:
    met: Counter[str] = Counter()
    for event in _events(stage, arn):
        details = event.get("taskFailedEventDetails") or event.get("lambdaFunctionFailedEventDetails")
        if details:
            met[_kind(details.get("error", "?"), details.get("cause", ""))] += 1
    return met


def _events(stage: LocalStage, arn: str) -> list[Any]:
    pages = stage.stepfunctions.get_paginator("get_execution_history").paginate(executionArn=arn)
    return [event for page in pages for event in page["events"]]


def _kind(error: str, cause: str) -> str:
    return next(
        (kind for words, kind in KINDS.items() if re.search(words, f"{error} {cause}")), f"{error}: {cause:.20}"
    )


def _start(stage: LocalStage, arn: str, now: datetime) -> Start:
    answer: Any = stage.stepfunctions.describe_execution(executionArn=arn)
    output = json.loads(answer.get("output") or "{}")
    asked = json.loads(answer["input"])
    verdict = output.get("outcome") or answer.get("error") or answer["status"]
    return Start(
        job=asked.get("job", "none") if isinstance(asked, dict) else "none",
        arn=arn,
        began=answer["startDate"].astimezone(UTC),
        ended=answer["stopDate"].astimezone(UTC) if answer.get("stopDate") else now,
        verdict=verdict,
        reason=answer.get("cause") or output.get("reason") or "",
        run=output.get("run"),
        waiter=output.get("waiter"),
    )


def _run(stage: LocalStage, job: str, arn: str) -> Run:
    answer: Any = stage.stepfunctions.describe_execution(executionArn=arn)
    stop = answer["stopDate"].astimezone(UTC) if answer.get("stopDate") else FOREVER
    # The emulator goes on with an aborted run, and may write another close over the abort (docs/emulator.md).
    aborts = [event["timestamp"] for event in _events(stage, arn) if event["type"] == "ExecutionAborted"]
    until = min([stop, *(abort.astimezone(UTC) for abort in aborts)])
    return Run(
        job=job,
        name=answer["name"],
        life=Life(answer["startDate"].astimezone(UTC), until, stop),
        status=answer["status"],
        error=answer.get("error"),
        guard_execution=json.loads(answer["input"]).get("guard_execution"),
    )


def _tasks(stage: LocalStage, log: Log, job: str) -> list[Task]:
    cluster = stage.jobs.jobs[job].ecs.cluster_name
    arns: list[str] = []
    for desired in ("RUNNING", "STOPPED"):
        pages = stage.ecs.get_paginator("list_tasks").paginate(cluster=cluster, desiredStatus=desired)
        arns += [arn for page in pages for arn in page["taskArns"]]
    described = [
        task
        for start in range(0, len(arns), 100)
        for task in stage.ecs.describe_tasks(cluster=cluster, tasks=arns[start : start + 100])["tasks"]
    ]
    return [_task(log, job, item) for item in described]


def _task(log: Log, job: str, item: Any) -> Task:
    arn = item["taskArn"]
    created = item["createdAt"].astimezone(UTC)  # its second has begun
    stopped = item["stoppedAt"].astimezone(UTC) if item.get("stoppedAt") else None
    until, gone = log.stopped.get(arn) or ((stopped, stopped + _SECOND) if stopped else (FOREVER, FOREVER))
    if stopped and stopped + _SECOND < until:  # somebody else had stopped it before the harness did
        until, gone = stopped, stopped + _SECOND
    run = execution_of(item)
    since = log.seen.get(arn, created + _SECOND)
    return Task(
        job, arn.rpartition("/")[2][:8], Life(min(since, until), until, gone), run.rpartition(":")[2] if run else None
    )
