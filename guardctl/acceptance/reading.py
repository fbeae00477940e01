"""Probes of how late AWS shows what was done: ListExecutions, DescribeExecution, and ECS's lists."""

from collections.abc import Iterator, Sequence

from chalicelib.names import execution_name
from guardctl.acceptance.findings import Assumption, Finding, judged, probe, untried
from guardctl.acceptance.stack import working
from guardctl.acceptance.trial import CONTAINER, Trial, refused

EXECUTIONS = 5
TASKS = 3
"""How many are started to measure; a list's longest delay is what counts."""

GRACE = 15.0
"""Seconds that a start waits before it looks once more, unless the jobs file says otherwise."""

HIDDEN = 300.0
"""Seconds for which ECS may hide a task after RunTask (AWS advises to look for about five minutes)."""

Delays = Sequence[float | None]
"""Seconds until something was shown, one for each that was started; None: not in time."""


@probe(
    f"{EXECUTIONS} executions, one after the other, started and stopped",
    Assumption(
        "list-lag",
        f"ListExecutions shows a start and an end within the grace of {GRACE:.0f} s.",
        "not documented",
    ),
    Assumption(
        "describe-lag",
        f"DescribeExecution shows a start and an end within the grace of {GRACE:.0f} s.",
        "not documented",
    ),
)
def executions(trial: Trial) -> Iterator[Finding]:
    """Start and stop executions one after the other, and look for each change until it is shown."""
    machine = trial.machine("wait")
    measured: list[Delays] = []
    for number in range(1, EXECUTIONS + 1):
        arn = trial.start(machine, {"seconds": 120}, f"lag-{number}")
        opened = _shown(trial, machine, arn, "RUNNING")
        trial.stepfunctions.stop_execution(executionArn=arn)
        measured.append([*opened, *_shown(trial, machine, arn, "ABORTED")])
    listed, described, listed_closed, described_closed = zip(*measured, strict=True)
    waited = trial.at_most(2 * GRACE)
    yield _judge(waited, GRACE, ("a start", listed), ("an end", listed_closed))
    yield _judge(waited, GRACE, ("a start", described), ("an end", described_closed))


@probe(
    f"{TASKS} tasks by RunTask, looked for",
    Assumption("task-lag", "ListTasks and DescribeTasks show a task within five minutes after RunTask.", "documented"),
)
def tasks(trial: Trial) -> Iterator[Finding]:
    family, cluster = trial.names.family("probe"), trial.names.cluster
    measured: list[Delays] = []
    for _ in range(TASKS):
        answer = trial.ecs.run_task(
            cluster=cluster,
            taskDefinition=family,
            launchType="FARGATE",
            networkConfiguration={"awsvpcConfiguration": {"subnets": [trial.subnet], "assignPublicIp": "ENABLED"}},
            overrides={"containerOverrides": [{"name": CONTAINER, "command": working(5)}]},
        )
        arn = answer["tasks"][0]["taskArn"]

        def lists(arn: str = arn) -> bool:
            return arn in trial.ecs.list_tasks(cluster=cluster, family=family, desiredStatus="RUNNING")["taskArns"]

        def describes(arn: str = arn) -> bool:
            return bool(trial.describe([arn]))

        measured.append([trial.timed(look, arn, within=HIDDEN) for look in (lists, describes)])
        trial.stop_task(arn)
    listed, described = zip(*measured, strict=True)
    yield _judge(trial.at_most(HIDDEN), HIDDEN, ("ListTasks", listed), ("DescribeTasks", described))


PROBES = (executions, tasks)


def _shown(trial: Trial, machine: str, arn: str, status: str) -> Delays:
    """Seconds until the list, and the description, show an execution in that status."""

    def lists() -> bool:
        page = trial.stepfunctions.list_executions(stateMachineArn=machine, maxResults=100)["executions"]
        return any(item["name"] == execution_name(arn) and item["status"] == status for item in page)

    def describes() -> bool:
        found: list[str] = []
        describe = trial.stepfunctions.describe_execution
        refused(lambda: found.append(describe(executionArn=arn)["status"]), "ExecutionDoesNotExist")
        return found == [status]

    return [trial.timed(look, arn, within=2 * GRACE) for look in (lists, describes)]


def _judge(waited: float, limit: float, *parts: tuple[str, Delays]) -> Finding:
    """Whether every delay is within `limit` seconds."""
    longest = {what: max(x if x is not None else float("inf") for x in delays) for what, delays in parts}
    told = "; ".join(
        f"{what}: {'not shown in time' if most == float('inf') else f'{most:.1f} s at most'}"
        for what, most in longest.items()
    )
    count = len(parts[0][1])
    if waited < limit and max(longest.values()) > limit:
        return untried(f"of {count}: {told}, and nobody waited longer than {waited:.0f} s")
    return judged(max(longest.values()) <= limit, f"of {count}: {told}")
