"""The story of ``make demo`` in small, on the deployed stage: starts that meet, a run's end, an orphan, a redrive."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from botocore.exceptions import ClientError

from guardctl.acceptance.findings import Assumption, Finding, Probe, Untried, holds, judged, untried
from guardctl.acceptance.trial import JOB, Ended, NotInTime, Task, Trial, code, shortened

SETTLES = 20.0
"""Seconds for which a redriven run is watched: long enough for a task to be listed, as ``task-lag`` measures."""

STEPPED_BACK = "BatchGuard.AlreadyRunning"


@dataclass(frozen=True)
class Met:
    """How two starts ended that came at once, and how many tasks there were then, alive or not."""

    verdicts: tuple[Ended, ...]
    tasks: int


@dataclass(frozen=True)
class RunEnded:
    """How the first run ended; None if not in time. `next_run` is what the next start got, or how it ended."""

    ended: Ended | None
    next_start: Ended


@dataclass(frozen=True)
class Orphan:
    """A start right after a run was aborted whose task was RUNNING, and how that task stood when it had ended."""

    run: str
    verdict: Ended
    task: Task


@dataclass(frozen=True)
class Redriven:
    """An aborted run, redriven: the error's name if it was refused, how it stood, and its tasks before and after."""

    refused: str | None
    stood: str
    before: frozenset[str]
    after: frozenset[str]


@dataclass(frozen=True)
class Story:
    """What was seen; a part that the parts before it made impossible is the reason."""

    met: Met
    run_ended: RunEnded
    orphan: Orphan | Untried
    redriven: Redriven | Untried


def tell(trial: Trial) -> Story:
    """The parts one after the other: each begins with what the one before has left."""
    met = _two_starts(trial)
    first = next((run for verdict in met.verdicts if (run := run_of(verdict))), None)
    if first is None:
        raise Untried(f"no start got a run: {_told(met.verdicts)}")
    run_ended = _end(trial, first)
    second = run_of(run_ended.next_start)
    if second is None:
        nothing = Untried(f"there was no second run: {run_ended.next_start.told()}")
        return Story(met, run_ended, nothing, nothing)
    try:
        orphan = _orphan(trial, second)
    except NotInTime as late:  # what was seen so far is seen
        return Story(met, run_ended, Untried(str(late)), Untried(str(late)))
    return Story(met, run_ended, orphan, _redriven(trial, second))


def run_of(verdict: Ended) -> str | None:
    """The run that a guard execution has started; None if it has not."""
    if verdict.status != "SUCCEEDED":
        return None
    found = re.search(r"\brun-[0-9]{6,}\b", str((verdict.output or {}).get("run")))
    return found[0] if found else None


def _two_starts(trial: Trial) -> Met:
    executions = [trial.start(trial.guard, {"job": JOB}) for _ in range(2)]
    verdicts = tuple(trial.ended(execution) for execution in executions)
    run = next((run for verdict in verdicts if (run := run_of(verdict))), None)
    if run:
        trial.a_task_of(trial.run(run), "story")
    return Met(verdicts, len(trial.tasks("story")))


def _end(trial: Trial, run: str) -> RunEnded:
    """Wait for the run's end. A task that never ends by itself is stopped, so that the story goes on."""
    ended = None
    try:
        ended = trial.ended(trial.run(run))
    except NotInTime:
        for task in trial.tasks_of(trial.run(run), "story"):
            trial.stop_task(task.arn)
        trial.ended(trial.run(run))
    return RunEnded(ended, trial.ended(trial.start(trial.guard, {"job": JOB})))


def _orphan(trial: Trial, run: str) -> Orphan:
    task = trial.a_task_of(trial.run(run), "story")
    trial.until(lambda: _is(trial, task, "RUNNING"), "a RUNNING task", every=1)
    trial.stepfunctions.stop_execution(executionArn=trial.run(run), cause="a probe of guardctl acceptance")
    verdict = trial.ended(trial.start(trial.guard, {"job": JOB}))
    described = trial.describe([task.arn])
    return Orphan(run, verdict, described[0] if described else task)


def _redriven(trial: Trial, run: str) -> Redriven:
    execution = trial.run(run)
    before = frozenset(task.arn for task in trial.tasks_of(execution, "story"))
    try:
        trial.stepfunctions.redrive_execution(executionArn=execution)
    except ClientError as error:
        return Redriven(code(error), "", before, before)
    trial.clock.sleep(min(SETTLES, trial.patience))
    try:
        stood = trial.ended(execution).told()
    except NotInTime as late:
        stood = str(late)
    return Redriven(None, stood, before, frozenset(task.arn for task in trial.tasks_of(execution, "story")))


def _is(trial: Trial, task: Task, status: str) -> bool:
    return any(described.status == status for described in trial.describe([task.arn]))


def _told(verdicts: Sequence[Ended]) -> str:
    return "; ".join(run_of(verdict) or verdict.told() for verdict in verdicts)


def _judge_met(seen: Story) -> Finding:
    verdicts = seen.met.verdicts
    runs = [run for verdict in verdicts if (run := run_of(verdict))]
    back = [v for v in verdicts if v.error == STEPPED_BACK and runs and runs[0] in (v.cause or "")]
    right = len(runs) == 1 and len(back) == len(verdicts) - 1 and seen.met.tasks == 1
    return judged(right, f"{_told(verdicts)}; tasks: {seen.met.tasks}")


def _judge_ended(seen: Story) -> Finding:
    ended, following = seen.run_ended.ended, seen.run_ended.next_start
    told = "the task did not end by itself and was stopped" if ended is None else f"it ended as {ended.told()}"
    right = ended is not None and ended.status == "SUCCEEDED" and run_of(following) == "run-000002"
    return judged(right, f"{told}; the next start: {run_of(following) or following.told()}")


def _judge_orphan(seen: Story) -> Finding:
    if isinstance(seen.orphan, Untried):
        return untried(str(seen.orphan))
    verdict, task = seen.orphan.verdict, seen.orphan.task
    if run_of(verdict):
        told = f"the start got {run_of(verdict)}, the task of {seen.orphan.run} was {task.status}"
        return judged(not task.alive, told)
    named = any(name in (verdict.cause or "") for name in (task.arn, seen.orphan.run))
    return judged(verdict.error == STEPPED_BACK and named, verdict.told())


def _judge_redriven(seen: Story) -> Finding:
    if isinstance(seen.redriven, Untried):
        return untried(str(seen.redriven))
    redriven = seen.redriven
    if redriven.refused in ("UnknownOperationException", "InvalidAction", "UnrecognizedClientException"):
        return untried(f"there is no RedriveExecution here: {redriven.refused}")
    if redriven.refused and "AccessDenied" in redriven.refused:
        return holds(f"refused: {redriven.refused}")
    more = len(redriven.after - redriven.before)
    told = f"refused as {redriven.refused}" if redriven.refused else f"it was redriven: {shortened(redriven.stood)}"
    return judged(more == 0, f"{told}; new tasks: {more}")


PROBES = (
    Probe(
        "story",
        "the deployed stage: two starts at once, a run's end, an abort, a redrive",
        tell,
        (
            Assumption(
                "two-starts",
                "Of two starts that meet, one runs and the other steps back, naming that run; there is one task.",
                "our promise",
                _judge_met,
            ),
            Assumption(
                "run-ends",
                "The end of a run frees its job: the next start gets the next number.",
                "our promise",
                _judge_ended,
            ),
            Assumption(
                "orphan",
                "The task of an aborted run is in the way for as long as it lives.",
                "our promise",
                _judge_orphan,
            ),
            Assumption(
                "redriven-run",
                "A redriven run starts no task.",
                "our promise",
                _judge_redriven,
            ),
        ),
    ),
)
