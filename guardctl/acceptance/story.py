"""The story of ``make demo`` in small, on the deployed stage: starts that meet, a run's end, an orphan, a redrive."""

import re
from collections.abc import Iterator, Sequence

from guardctl.acceptance.findings import Assumption, Finding, Untried, holds, judged, probe, untried
from guardctl.acceptance.trial import JOB, Ended, NotInTime, Trial, refused, shortened

SETTLES = 20.0
"""Seconds for which a redriven run is watched: long enough for a task to be listed, as ``task-lag`` measures."""

STEPPED_BACK = "BatchGuard.AlreadyRunning"


@probe(
    "the deployed stage: two starts at once, a run's end, an abort, a redrive",
    Assumption(
        "two-starts",
        "Of two starts that meet, one runs and the other steps back, naming that run; there is one task.",
        "our promise",
    ),
    Assumption("run-ends", "The end of a run frees its job: the next start gets the next number.", "our promise"),
    Assumption("orphan", "The task of an aborted run is in the way for as long as it lives.", "our promise"),
    Assumption("redriven-run", "A redriven run starts no task.", "our promise"),
)
def told(trial: Trial) -> Iterator[Finding]:
    """The parts one after the other: each begins with what the one before has left."""
    executions = [trial.start(trial.guard, {"job": JOB}) for _ in range(2)]
    verdicts = [trial.ended(execution) for execution in executions]
    runs = [run for verdict in verdicts if (run := run_of(verdict))]
    if not runs:
        raise Untried(f"no start got a run: {_told(verdicts)}")
    first = trial.run(runs[0])
    trial.a_task_of(first, JOB)
    tasks = len(trial.tasks(JOB))
    back = [v for v in verdicts if v.error == STEPPED_BACK and runs[0] in (v.cause or "")]
    right = len(runs) == 1 and len(back) == len(verdicts) - 1 and tasks == 1
    yield judged(right, f"{_told(verdicts)}; tasks: {tasks}")

    ended = trial.ended_or_none(first)
    if ended is None:  # its task never ends by itself, and is stopped, so that the story goes on
        for task in trial.tasks_of(first, JOB):
            trial.stop_task(task.arn)
        trial.ended(first)
    following = trial.ended(trial.start(trial.guard, {"job": JOB}))
    second = run_of(following)
    end = "the task did not end by itself and was stopped" if ended is None else f"it ended as {ended.told()}"
    right = ended is not None and ended.status == "SUCCEEDED" and second == "run-000002"
    yield judged(right, f"{end}; the next start: {second or following.told()}")

    if second is None:
        raise Untried(f"there was no second run: {following.told()}")
    yield _orphan(trial, second)
    yield _redriven(trial, trial.run(second))


def run_of(verdict: Ended) -> str | None:
    """The run that a guard execution has started; None if it has not."""
    if verdict.status != "SUCCEEDED":
        return None
    found = re.search(r"\brun-[0-9]{6,}\b", str((verdict.output or {}).get("run")))
    return found[0] if found else None


def _orphan(trial: Trial, run: str) -> Finding:
    """A start right after the run was aborted whose task was RUNNING."""
    task = trial.a_task_of(trial.run(run), JOB)
    trial.until(lambda: trial.now(task).status == "RUNNING", "a RUNNING task", every=1)
    trial.stepfunctions.stop_execution(executionArn=trial.run(run), cause="a probe of guardctl acceptance")
    verdict = trial.ended(trial.start(trial.guard, {"job": JOB}))
    task = trial.now(task)
    if got := run_of(verdict):
        return judged(not task.alive, f"the start got {got}, the task of {run} was {task.status}")
    named = any(name in (verdict.cause or "") for name in (task.arn, run))
    return judged(verdict.error == STEPPED_BACK and named, verdict.told())


def _redriven(trial: Trial, execution: str) -> Finding:
    """The aborted run, redriven: how it stood, and whether it has more tasks."""
    before = {task.arn for task in trial.tasks_of(execution, JOB)}
    refusal = refused(lambda: trial.stepfunctions.redrive_execution(executionArn=execution))
    if refusal in ("UnknownOperationException", "InvalidAction", "UnrecognizedClientException"):
        return untried(f"there is no RedriveExecution here: {refusal}")
    if refusal:
        return holds(f"refused as {refusal}; new tasks: 0")
    trial.clock.sleep(min(SETTLES, trial.patience))
    try:
        stood = trial.ended(execution).told()
    except NotInTime as late:
        stood = str(late)
    more = len({task.arn for task in trial.tasks_of(execution, JOB)} - before)
    return judged(more == 0, f"it was redriven: {shortened(stood)}; new tasks: {more}")


def _told(verdicts: Sequence[Ended]) -> str:
    return "; ".join(run_of(verdict) or verdict.told() for verdict in verdicts)
