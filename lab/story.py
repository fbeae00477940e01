"""The story of ``make demo``: its steps, each of which asserts what it tells.

EventBridge's first tick comes a minute after the deployment. So the steps about the schedule are first on the
screen and last in time: the starts by hand fill that minute.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

from chalicelib.decide.facts import stamp
from chalicelib.names import execution_arn
from chalicelib.values import dataclass
from lab.stage import LocalStage, until

STAGE = "local"
SCHEDULED = "every-minute"
BY_HAND = "report"
OFTEN, SELDOM = "import", "day-close"
"""Two jobs of one pool."""
AT_ONCE = 25
INVOKE = f"invoke -n check --stage {STAGE}"
QUESTION = json.dumps({"job": BY_HAND})

Span = tuple[datetime, datetime]


class NotAsPromised(Exception):
    """A step saw something else than was promised."""


@dataclass(frozen=True)
class Step:
    """`act` does what `tried` says, and answers what came of it or raises."""

    tried: str
    act: Callable[[LocalStage], str]
    waits_for: str = ""
    below: str = ""
    """What came of it is JSON: shown below the table, after this command."""


def deploy(stage: LocalStage) -> str:
    """The real deployment: CloudFormation for the machines, Chalice for the functions."""
    stage.deploy()
    pools = stage.jobs.pools
    machines = sum(stage.jobs.slots_of(pool) for pool in pools) + any(stage.jobs.shared(pool) for pool in pools)
    return f"2 functions, {1 + machines} state machines"


def the_schedule_fires(stage: LocalStage) -> str:
    """Nobody but EventBridge has invoked the trigger so far."""

    def first() -> Any:
        return min(guard_executions(stage, SCHEDULED), key=lambda execution: execution["startDate"], default=None)

    arn = until(first, within=120, what="a start by EventBridge's rule")["executionArn"]
    run = run_of(stage.ended(arn))
    at = json.loads(stage.ended(arn)["input"])["scheduled_at"]
    wanted = {"BATCH_EXECUTION": stage.run_arn(SCHEDULED, run), "BATCH_RUN_NUMBER": "1", "BATCH_SCHEDULED_AT": at}
    given = environment(stage.describe_task(SCHEDULED, stage.a_task(SCHEDULED)))
    expect({name: given.get(name) for name in wanted} == wanted, f"the task was given {given}, not {wanted}")
    return f"{run} for {minute(at)}, its task has the {len(wanted)} BATCH_… variables"


def the_event_comes_twice(stage: LocalStage) -> str:
    """EventBridge delivers at least once, now and then more than once."""
    now = stamp(datetime.now(UTC))
    event = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}, "time": now, "id": "twice"}
    event |= {"version": "0", "region": stage.emulator.region, "account": stage.emulator.account, "resources": []}

    def deliver(_: int) -> Any:
        try:
            return [stage.invoke("trigger", event)]
        except stage.functions.exceptions.TooManyRequestsException:  # one trigger at a time: Lambda tries again too
            return None

    with ThreadPoolExecutor(2) as pool:
        answers = [*pool.map(lambda n: until(lambda: deliver(n), within=30, what="the delivery of an event"), (1, 2))]
    expect(answers == [[None], [None]], f"the trigger answered {answers}")
    executions = guard_executions(stage, SCHEDULED)
    times = Counter(json.loads(execution["input"])["scheduled_at"] for execution in executions)
    expect(max(times) >= f"{now[:16]}:00Z", f"no start for {minute(now)}, only for {sorted(times)}")
    expect(set(times.values()) == {1}, f"guard executions per scheduled time: {dict(times)}")
    stage.verdicts(execution["executionArn"] for execution in executions)
    stage.finish(SCHEDULED)
    return f"one guard execution for {minute(max(times))}"


def a_crowd_meets_a_run(stage: LocalStage) -> str:
    """All step back."""
    run = start(stage)
    stage.a_task(BY_HAND)
    verdicts = stage.verdicts(stage.start_together(BY_HAND, AT_ONCE))
    expect(stepped_back(verdicts, run) == AT_ONCE, f"not all named {run}: {summary(verdicts)}")
    return f"{AT_ONCE} skipped, each naming {run}"


def a_crowd_meets_nobody(stage: LocalStage) -> str:
    """One runs: the starts met each other, and the job was not lost. Its task lives until all have ended."""
    stage.finish(BY_HAND)
    verdicts = stage.verdicts(stage.start_together(BY_HAND, AT_ONCE))
    winners = [verdict for verdict in verdicts if verdict["status"] == "SUCCEEDED"]
    expect(len(winners) == 1, f"not exactly one started: {summary(verdicts)}")
    run = run_of(winners[0])
    expect(stepped_back(verdicts, run) == AT_ONCE - 1, f"not all others named {run}: {summary(verdicts)}")
    stage.a_task(BY_HAND)
    tasks = stage.live_tasks(BY_HAND)
    expect(len(tasks) == 1, f"not exactly one task is alive: {tasks}")
    return f"1 started {run}, {AT_ONCE - 1} named it"


def a_task_by_hand(stage: LocalStage) -> str:
    """The guard sees a task that it did not start."""
    stage.finish(BY_HAND)
    task = stage.run_task_by_hand(BY_HAND)
    verdict = stage.ended(stage.start(BY_HAND))
    expect(stepped_back([verdict], task) == 1, f"the start did not name task {task}: {summary([verdict])}")
    stage.stop_task(BY_HAND, task)
    return f"skipped, naming {short(task)}"


def an_orphan(stage: LocalStage) -> str:
    """The lock lives as long as the task, not as long as the execution."""
    aborted = start(stage)
    task = stage.a_task(BY_HAND)
    stage.stepfunctions.stop_execution(executionArn=stage.run_arn(BY_HAND, aborted))
    verdict = stage.ended(stage.start(BY_HAND))
    expect(stepped_back([verdict], task) == 1, f"the start did not name task {task}: {summary([verdict])}")
    # The start has waited its grace of 2 s: though the emulator cuts a task's times to whole seconds, this end
    # is seen to come after the abort.
    stage.stop_task(BY_HAND, task)
    return f"skipped, naming its live {short(task)}; once that ended, {start(stage)}"


def a_pool(stage: LocalStage) -> str:
    """Two jobs that must not meet: the one that waits goes before the other's next start."""
    run_of(stage.ended(stage.start(OFTEN)))
    stage.a_task(OFTEN)
    waiter = json.loads(stage.ended(stage.start(SELDOM))["output"])
    expect(waiter["outcome"] == "queued", f"{SELDOM} did not wait: {waiter}")
    stage.finish(OFTEN)
    fresh = stage.start(OFTEN)
    run = run_of(stage.ended(execution_arn(waiter["state_machine_arn"], waiter["waiter"])))
    verdict = stage.ended(fresh)
    expect(stepped_back([verdict], f"{SELDOM}: {run}") == 1, f"{SELDOM} did not go first: {summary([verdict])}")
    stage.finish(SELDOM)
    return f"{SELDOM} waited and got {run}, before the next {OFTEN}"


def chalice_invoke(stage: LocalStage) -> str:
    """The decision, as anybody may ask for it at any time."""
    run = stage.runs(BY_HAND)[-1]["name"]
    answer = stage.chalice(*INVOKE.split(), stdin=QUESTION).stdout
    decision = json.loads(answer)
    expect(decision["running_flg"] is True and decision["holder"]["name"] == run, f"not {run} in the way: {answer}")
    stage.finish(BY_HAND)
    return answer


DEPLOYED = Step("deploy the stage", deploy)
SCHEDULE_FIRES = Step("the schedule fires", the_schedule_fires, waits_for="first tick: within 70 s")
EVENT_TWICE = Step("its event is delivered twice", the_event_comes_twice)
BY_HAND_STEPS = (
    Step(f"{AT_ONCE} starts at once during a run", a_crowd_meets_a_run),
    Step(f"{AT_ONCE} starts at once after its end", a_crowd_meets_nobody),
    Step("a start during a task by hand", a_task_by_hand),
    Step("a start after a run was aborted", an_orphan),
    Step("two jobs of one pool", a_pool),
    Step("chalice invoke -n check", chalice_invoke, below=f"echo '{QUESTION}' | chalice {INVOKE}"),
)
ON_SCREEN = (DEPLOYED, SCHEDULE_FIRES, EVENT_TWICE, *BY_HAND_STEPS)
IN_TIME = (DEPLOYED, *BY_HAND_STEPS, SCHEDULE_FIRES, EVENT_TWICE)


def totals(stage: LocalStage) -> str:
    """``N starts, M runs, 0 overlaps``. Raises `NotAsPromised` if there are any."""
    jobs = [*stage.jobs.jobs]
    starts = sum(len(guard_executions(stage, job)) for job in jobs)
    runs = sum(len(stage.runs(job)) for job in jobs)
    pools = [stage.jobs.members(pool) for pool in stage.jobs.pools if stage.jobs.slots_of(pool) == 1]
    at_work = [{k: v for job in pool for k, v in activities(stage, job.name).items()} for pool in pools]
    met = [f"{a} and {b}" for spans in at_work for a, b in overlaps(spans)]
    expect(not met, f"overlaps: {'; '.join(met)}")
    return f"{starts} starts, {runs} runs, {len(met)} overlaps"


def activities(stage: LocalStage, job: str) -> dict[str, Span]:
    """When the job was at work: each run until its task was gone too, and each task that no run started.

    The emulator cuts the times of tasks to whole seconds: what is shorter than that is not seen here.
    """
    now = datetime.now(UTC)
    spans = {run["executionArn"]: (run["startDate"], run.get("stopDate", now)) for run in stage.runs(job)}
    for task in all_tasks(stage, job):
        whose = environment(task).get("BATCH_EXECUTION", task["taskArn"])
        stopped = task.get("stoppedAt", now)
        began, ended = spans.get(whose, (task["createdAt"] + timedelta(seconds=1), stopped))
        spans[whose] = began, max(ended, stopped)
    return spans


def overlaps(spans: Mapping[str, Span]) -> list[tuple[str, str]]:
    """The pairs that were at work at the same time."""
    return [(a, b) for a, b in combinations(spans, 2) if spans[a][0] < spans[b][1] and spans[b][0] < spans[a][1]]


def all_tasks(stage: LocalStage, job: str) -> list[Any]:
    """The tasks of the job's family, alive or not, whoever started them."""
    ecs = stage.jobs.jobs[job].ecs
    family: Any = {"cluster": ecs.cluster_name, "family": ecs.family}
    lists = [stage.ecs.list_tasks(**family, desiredStatus=status)["taskArns"] for status in ("RUNNING", "STOPPED")]
    return [stage.describe_task(job, arn) for arns in lists for arn in arns]


def guard_executions(stage: LocalStage, job: str) -> list[Any]:
    """The job's guard executions, each described."""
    pages = stage.stepfunctions.get_paginator("list_executions").paginate(stateMachineArn=stage.guard)
    arns = [execution["executionArn"] for page in pages for execution in page["executions"]]
    described = [stage.stepfunctions.describe_execution(executionArn=arn) for arn in arns]
    return [execution for execution in described if json.loads(execution["input"])["job"] == job]


def start(stage: LocalStage) -> str:
    """Start the job that has no schedule; the run it got."""
    return run_of(stage.ended(stage.start(BY_HAND)))


def run_of(verdict: Mapping[str, Any]) -> str:
    """The run that a guard execution started."""
    expect(verdict["status"] == "SUCCEEDED", f"a start should have run, but: {summary([verdict])}")
    return str(json.loads(verdict["output"])["run"])


def stepped_back(verdicts: Iterable[Mapping[str, Any]], holder: str) -> int:
    """How many stepped back because of this run or task."""
    return sum(v.get("error") == "BatchGuard.AlreadyRunning" and holder in v["cause"] for v in verdicts)


def summary(verdicts: Sequence[Mapping[str, Any]]) -> str:
    """How they ended, and why."""
    ends = Counter(": ".join(filter(None, [v.get("error", v["status"]), v.get("cause")])) for v in verdicts)
    return "; ".join(f"{times} × {end}" for end, times in ends.items())


def environment(task: Any) -> dict[str, str]:
    """The variables a task was started with."""
    containers = task.get("overrides", {}).get("containerOverrides", [])
    return {variable["name"]: variable["value"] for c in containers for variable in c.get("environment", [])}


def minute(time: str) -> str:
    """``08:57 UTC`` of ``2026-11-24T08:57:12Z``."""
    return f"{time[11:16]} UTC"


def short(task: str) -> str:
    """An ARN's last part, as far as anybody compares it."""
    return f"task {task.rsplit('/', 1)[-1][:8]}"


def expect(holds: bool, seen: str) -> None:
    """Raise `NotAsPromised` saying what was seen, unless it holds."""
    if not holds:
        raise NotAsPromised(seen)
