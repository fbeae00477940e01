"""The log lines of a run's ECS task, and of the decision that started it. Nothing here writes."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Literal

from chalicelib.config.jobs import Job
from chalicelib.names import execution_arn, log_group, machine_of, run_name, run_number
from chalicelib.parsing import parse_object
from chalicelib.read import tasks
from chalicelib.read.executions import StepFunctions
from chalicelib.values import dataclass
from guardctl.errors import Stop
from guardctl.ledger import Record
from guardctl.records import Reader
from guardctl.stage import Stage

_POLL_SECONDS = 2.0
_LAG = timedelta(minutes=1)
"""The checker's line may be written a little after its execution has ended."""
_QUIET_ROUNDS = 3
"""So many rounds without a line end `--follow` once the run has ended: the driver sends the last lines late."""


@dataclass(frozen=True)
class Line:
    """A log line. `at` is UTC."""

    at: datetime
    source: Literal["decision", "task"]
    message: str
    task: str | None = None


@dataclass(frozen=True)
class Launch:
    """An ECS task that a run started."""

    task: str
    definition: str | None = None
    """Its task definition; None where nothing tells any more."""
    container_id: str | None = None
    """Its container's Docker ID, while ECS shows it."""


@dataclass(frozen=True)
class Stream:
    """Where CloudWatch Logs keeps a container's lines."""

    group: str
    name: str
    region: str | None


def find_run(reader: Reader, job: Job, asked: str | None, slot: int | None, now: datetime) -> Record:
    """The job's run: ``run-000042`` for "42" or "run-42", the newest one for None. Raises `Stop`.

    Each slot of a pool counts its own runs: without a `slot` all of them are looked through.
    """
    stage = reader.stage
    machines = stage.machines(job.name)
    if slot is not None and not 1 <= slot <= len(machines):
        raise Stop(f"--slot {slot}: {job.name}'s pool has {len(machines)}, counted from 1")
    machines = machines if slot is None else (machines[slot - 1],)
    if asked is None:
        return _newest(reader, job, machines, now)
    number = re.fullmatch("(?:run-)?0*([1-9][0-9]*)", asked)
    if number is None:
        raise Stop(f"{asked!r} is not a run; write run-42, or 42")
    name = run_name(int(number[1]))
    found = [run for machine in machines if (run := reader.execution(execution_arn(machine, name)))]
    own = [run for run in found if not stage.shared(job.name) or run.input.get("job") == job.name]
    if len(own) > 1:
        raise Stop(f"{job.name} has had a {name} in {len(own)} slots; say which: --slot 1 … {len(machines)}")
    if not own and found:
        others = " and ".join(str(run.input.get("job")) for run in found)
        raise Stop(f"{name} of pool {job.pool} is a run of {others}, not of {job.name}")
    if not own:
        kept = f"it keeps a run for {stage.file.history_days} days"
        raise Stop(f"Step Functions shows no {name} of {job.name} ({kept})")
    return own[0]


def _newest(reader: Reader, job: Job, machines: Sequence[str], now: datetime) -> Record:
    stage = reader.stage
    steps = StepFunctions(stage.stepfunctions)
    pages = [steps.page(machine).executions for machine in machines]
    run: Record | None = None
    if stage.shared(job.name):
        mine = reader.newest_runs(reader.deployed(job)[0], now, pages)
        arn = next((run.arn for run in mine if machine_of(run.arn) in machines), None)
        run = reader.execution(arn) if arn else None
    elif newest := max((number for e in pages[0] if (number := run_number(e.name))), default=None):
        run = reader.execution(execution_arn(machines[0], run_name(newest)))
    if run is None:
        raise Stop(f"{job.name} has not run yet: no run is visible")
    return run


def decision(reader: Reader, run: Record) -> Iterator[Line]:
    """What the checker logged for the start that became this run. Raises `Stop` if its log group is not there."""
    guard = reader.guard(run.guard_execution) if run.guard_execution else None
    if guard is None:
        return
    client, group = reader.stage.logs, log_group(reader.stage.name, "check")
    pages = client.get_paginator("filter_log_events").paginate(
        logGroupName=group,
        filterPattern=f'"{guard.name}"',
        startTime=_milliseconds(guard.started_at),
        endTime=_milliseconds((guard.stopped_at or datetime.now(UTC)) + _LAG),
    )
    try:
        for page in pages:
            for event in page["events"]:
                if line := _decision(event["message"]):
                    yield Line(_moment(event["timestamp"]), "decision", line)
    except client.exceptions.ResourceNotFoundException as error:
        raise Stop(f"there is no log group {group}: has the checker run yet, and may it write logs?") from error


def launches(stage: Stage, job: Job, run: str) -> list[Launch]:
    """The tasks of a run (its ARN), in the order of their start: from its history, and from ECS while it shows them."""
    pages = stage.stepfunctions.get_paginator("get_execution_history").paginate(executionArn=run)
    found = {launch.task: launch for page in pages for launch in started_in(page["events"])}
    details = StepFunctions(stage.stepfunctions).details(run)
    target = (details and details.target) or job.ecs.target
    newest = tasks.newest_task(stage.tasks, target, run)
    if newest:
        found.setdefault(newest.arn, Launch(newest.arn))
    return [_seen(stage, job, launch) for launch in found.values()]


def started_in(events: Any) -> Iterator[Launch]:
    """The tasks that events of a run's history name: what RunTask answered, or what the failed step told."""
    for event in events:
        for details in event.values():
            if isinstance(details, dict):
                for key in ("output", "cause"):
                    yield from _tasks_in(parse_object(details.get(key)))


def stream(definition: Mapping[str, Any], container: str, launch: Launch) -> Stream:
    """The stream of a container of a task definition. Raises `Stop` where its lines are not in CloudWatch Logs."""
    known = {each["name"]: each for each in definition.get("containerDefinitions", [])}
    if container not in known:
        raise Stop(f"the task definition has no container {container}; it has {', '.join(sorted(known))}")
    logging = known[container].get("logConfiguration") or {}
    driver, options = logging.get("logDriver"), logging.get("options") or {}
    if driver != "awslogs" or "awslogs-group" not in options:
        how = f"logs through {driver}" if driver else "has no log driver in its task definition"
        raise Stop(f"container {container} {how}; guardctl reads awslogs only")
    prefix = options.get("awslogs-stream-prefix")
    name = f"{prefix}/{container}/{launch.task.rpartition('/')[2]}" if prefix else launch.container_id
    if name is None:
        raise Stop(
            f"container {container} has no awslogs-stream-prefix, so its stream is named after its container, "
            f"which ECS shows only for about an hour; look in {options['awslogs-group']}"
        )
    return Stream(options["awslogs-group"], name, options.get("awslogs-region"))


@dataclass
class Tail:
    """Reads one stream from its beginning, and goes on where it stopped."""

    stage: Stage
    where: Stream
    task: str
    _token: str | None = None

    @cached_property
    def _client(self) -> Any:
        return self.stage.client("logs", self.where.region)

    def lines(self) -> Iterator[Line]:
        """What has been written since the last call; nothing while there is no such stream yet."""
        while True:
            more = {"nextToken": self._token} if self._token else {}
            try:
                answer = self._client.get_log_events(
                    logGroupName=self.where.group, logStreamName=self.where.name, startFromHead=True, **more
                )
            except self._client.exceptions.ResourceNotFoundException:
                return
            for event in answer["events"]:
                yield Line(_moment(event["timestamp"]), "task", event["message"], self.task)
            if answer["nextForwardToken"] == self._token:
                return
            self._token = answer["nextForwardToken"]


def of_tasks(reader: Reader, job: Job, run: str, *, follow: bool) -> Iterator[Line]:
    """The lines of the tasks of a run (its ARN), one task after the other. With `follow` until the run has ended."""
    tails: dict[str, Tail] = {}
    quiet = 0
    while True:
        record = reader.execution(run)
        for launch in launches(reader.stage, job, run):
            if launch.task not in tails:
                named = launch.definition or job.ecs.task_definition
                definition: Any = reader.stage.ecs.describe_task_definition(taskDefinition=named)["taskDefinition"]
                tails[launch.task] = Tail(reader.stage, stream(definition, job.ecs.container, launch), launch.task)
        count = 0
        for tail in tails.values():
            for line in tail.lines():
                count += 1
                yield line
        quiet = 0 if count or record is None or record.status == "RUNNING" else quiet + 1
        if not follow or quiet >= _QUIET_ROUNDS:
            return
        time.sleep(_POLL_SECONDS)


def _seen(stage: Stage, job: Job, launch: Launch) -> Launch:
    """The launch, with what ECS still shows of it."""
    answer = stage.ecs.describe_tasks(cluster=job.ecs.cluster, tasks=[launch.task])["tasks"]
    if not answer:
        return launch
    containers = {each.get("name"): each for each in answer[0].get("containers", [])}
    identity = containers.get(job.ecs.container, {}).get("runtimeId")
    return replace(launch, definition=answer[0]["taskDefinitionArn"], container_id=identity)


def _tasks_in(value: Any) -> Iterator[Launch]:
    """AWS writes TaskArn, the emulator taskArn."""
    if isinstance(value, dict):
        lower = {key[:1].lower() + key[1:]: inner for key, inner in value.items()}
        if isinstance(lower.get("taskArn"), str):
            yield Launch(lower["taskArn"], lower.get("taskDefinitionArn"))
            return
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _tasks_in(inner)


def _decision(message: str) -> str | None:
    """The checker's structured line, in words; None for Lambda's own lines and for metrics."""
    line = parse_object(message)
    if "outcome" not in line:
        return None
    if line.get("would_have"):
        return f"in shadow: would have {line['would_have']}: {line.get('reason')}"
    return ": ".join(str(line[key]) for key in ("outcome", "reason") if line.get(key))


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
