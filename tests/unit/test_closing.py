"""What is open of a stage's machines, and what it costs to know: `destroy` asks for each job."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from guardctl import closing, removal
from tests.days import GUARD, NOW, DayStage, Times, staged

JOBS = '[jobs.daily]\necs = { task_definition = "daily" }\n[jobs.busy]\necs = { task_definition = "busy" }\n'
HOUR = timedelta(hours=1)


def test_a_machine_with_a_page_of_history_is_asked_once_and_a_longer_one_twice() -> None:
    aws, stage = staged(JOBS)
    daily, busy = Times(aws, stage, "daily"), Times(aws, stage, "busy")
    midnight = NOW.replace(second=0)
    for n in range(40):
        daily.ran(midnight - (41 - n) * HOUR)
    aws.add(busy.machine, "run-000001", "RUNNING", NOW - 200 * HOUR, 0)
    for n in range(120):  # pauses, begun later: what runs is not on the first page
        aws.add(busy.machine, f"paused-{n:06d}", "SUCCEEDED", NOW - (150 - n) * HOUR, 1)
    found = closing.look(stage, [daily.machine, busy.machine])
    assert [(one.kind, one.name) for one in found.opened] == [("run", "run-000001")]
    assert found.last_runs == {daily.machine: 40, busy.machine: 1}
    assert aws.calls["ListExecutions"] == 1 + 2 + 1  # and the guard's


def test_a_run_that_begins_while_it_is_looked_is_seen_or_who_begins_it() -> None:
    """Else `destroy` would remove the stacks, and leave the run's task behind."""
    aws, stage = staged(JOBS)
    busy = Times(aws, stage, "busy")
    guard = aws.add(GUARD, "busy-by-hand-0a1b2c3d4e5f", "RUNNING", NOW, 0)
    answer = aws.list_executions

    def begins(**asked: Any) -> Any:
        answered = answer(**asked)
        aws.machines[GUARD] = [{**each, "status": "SUCCEEDED", "stopDate": NOW} for each in aws.machines[GUARD]]
        aws.add(busy.machine, "run-000001", "RUNNING", NOW, 0)
        return answered

    aws.list_executions = begins  # type: ignore[method-assign]
    assert guard in [one.arn for one in closing.look(stage, [busy.machine]).opened]


def test_a_stage_without_a_jobs_file_that_can_be_read_can_be_removed(tmp_path: Path) -> None:
    aws, known = staged(JOBS)
    daily = Times(aws, known, "daily")
    daily.ran(NOW.replace(second=0) - HOUR)
    there = [{"stateMachines": [{"stateMachineArn": arn} for arn in (GUARD, daily.machine)]}]
    aws.get_paginator = lambda _: SimpleNamespace(paginate=lambda: there)  # type: ignore[attr-defined]
    stage = DayStage("dev", tmp_path)
    vars(stage).update((name, value) for name, value in vars(known).items() if name not in {"file", "jobs_directory"})
    assert removal.last_runs(stage, removal.look(stage).last_runs) == {"daily": 1}
