"""Probes of how late AWS shows what was done: ListExecutions, DescribeExecution, and ECS's lists."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from botocore.exceptions import ClientError

from guardctl.acceptance.findings import Assumption, Finding, Probe, judged, untried
from guardctl.acceptance.stack import working
from guardctl.acceptance.trial import CONTAINER, Trial, code

EXECUTIONS = 5
TASKS = 3
"""How many are started to measure; a list's longest delay is what counts."""

GRACE = 15.0
"""Seconds that a start waits before it looks once more, unless the jobs file says otherwise."""

HIDDEN = 300.0
"""Seconds for which ECS may hide a task after RunTask (AWS advises to look for about five minutes)."""


@dataclass(frozen=True)
class Delays:
    """Seconds until something was shown, one for each that was started; None: not in time."""

    waited: float
    """Seconds for which each was looked for."""
    listed: tuple[float | None, ...]
    described: tuple[float | None, ...]
    listed_closed: tuple[float | None, ...] = ()
    described_closed: tuple[float | None, ...] = ()


def executions(trial: Trial) -> Delays:
    """Start and stop executions one after the other, and look for each change until it is shown."""
    machine = trial.machine("wait")
    measured: list[tuple[float | None, ...]] = []
    for number in range(1, EXECUTIONS + 1):
        name = f"lag-{number}"
        arn = trial.start(machine, {"seconds": 120}, name)
        opened = (
            trial.timed(_lists(trial, machine, name, "RUNNING"), name, within=2 * GRACE),
            trial.timed(_describes(trial, arn, "RUNNING"), name, within=2 * GRACE),
        )
        trial.stepfunctions.stop_execution(executionArn=arn)
        closed = (
            trial.timed(_lists(trial, machine, name, "ABORTED"), name, within=2 * GRACE),
            trial.timed(_describes(trial, arn, "ABORTED"), name, within=2 * GRACE),
        )
        measured.append((*opened, *closed))
    return Delays(trial.at_most(2 * GRACE), *zip(*measured, strict=True))


def tasks(trial: Trial) -> Delays:
    """RunTask by the API, and look for each task until the list and the description show it."""
    measured: list[tuple[float | None, ...]] = []
    for _ in range(TASKS):
        answer = trial.ecs.run_task(
            cluster=trial.names.cluster,
            taskDefinition=trial.names.family("probe"),
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": {"subnets": [trial.subnet], "assignPublicIp": "ENABLED"}},
            overrides={"containerOverrides": [{"name": CONTAINER, "command": working(5)}]},
        )
        arn = answer["tasks"][0]["taskArn"]
        measured.append(
            (
                trial.timed(_lists_task(trial, arn), arn, within=HIDDEN),
                trial.timed(partial(trial.describe, [arn]), arn, within=HIDDEN),
            )
        )
        trial.stop_task(arn)
    return Delays(trial.at_most(HIDDEN), *zip(*measured, strict=True))


def _lists(trial: Trial, machine: str, name: str, status: str) -> Callable[[], bool]:
    def look() -> bool:
        page = trial.stepfunctions.list_executions(stateMachineArn=machine, maxResults=100)["executions"]
        return any(item["name"] == name and item["status"] == status for item in page)

    return look


def _describes(trial: Trial, arn: str, status: str) -> Callable[[], bool]:
    def look() -> bool:
        try:
            return trial.stepfunctions.describe_execution(executionArn=arn)["status"] == status
        except ClientError as error:
            if code(error) == "ExecutionDoesNotExist":
                return False
            raise

    return look


def _lists_task(trial: Trial, arn: str) -> Callable[[], bool]:
    def look() -> bool:
        family = trial.names.family("probe")
        listed = trial.ecs.list_tasks(cluster=trial.names.cluster, family=family, desiredStatus="RUNNING")
        return arn in listed["taskArns"]

    return look


def _judge(seen: Delays, limit: float, *parts: tuple[str, Sequence[float | None]]) -> Finding:
    """Whether every delay is within `limit` seconds."""
    longest = {what: max(x if x is not None else float("inf") for x in delays) for what, delays in parts}
    told = "; ".join(
        f"{what}: {'not shown in time' if most == float('inf') else f'{most:.1f} s at most'}"
        for what, most in longest.items()
    )
    count = len(parts[0][1])
    if seen.waited < limit and max(longest.values()) > limit:
        return untried(f"of {count}: {told}, and nobody waited longer than {seen.waited:.0f} s")
    return judged(max(longest.values()) <= limit, f"of {count}: {told}")


PROBES = (
    Probe(
        "execution-lag",
        f"{EXECUTIONS} executions, one after the other, started and stopped",
        executions,
        (
            Assumption(
                "list-lag",
                f"ListExecutions shows a start and an end within the grace of {GRACE:.0f} s.",
                "not documented",
                lambda seen: _judge(seen, GRACE, ("a start", seen.listed), ("an end", seen.listed_closed)),
            ),
            Assumption(
                "describe-lag",
                f"DescribeExecution shows a start and an end within the grace of {GRACE:.0f} s.",
                "not documented",
                lambda seen: _judge(seen, GRACE, ("a start", seen.described), ("an end", seen.described_closed)),
            ),
        ),
    ),
    Probe(
        "task-lag",
        f"{TASKS} tasks by RunTask, looked for",
        tasks,
        (
            Assumption(
                "task-lag",
                "ListTasks and DescribeTasks show a task within five minutes after RunTask.",
                "documented",
                lambda seen: _judge(seen, HIDDEN, ("ListTasks", seen.listed), ("DescribeTasks", seen.described)),
            ),
        ),
    ),
)
