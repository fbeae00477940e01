"""`guardctl` in pools: what is told of a job is never a neighbour's. Played by the machines' own text."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from botocore.exceptions import ClientError

from chalicelib.config.jobs import parse
from chalicelib.decide.facts import Execution, stamp
from chalicelib.names import parse_guard_name, run_name, scheduled_name
from chalicelib.read.record import recorded_as
from chalicelib.read.tasks import Ecs
from guardctl import alive, job_status, log_lines, pauses, starts
from guardctl.__main__ import application
from guardctl.chart import Row, Timeline, drawn
from guardctl.console import jobs_of, moment
from guardctl.errors import Stop
from guardctl.records import Reader
from guardctl.stage import Stage
from guardctl.standing import JobStatus
from guardctl.survey import Survey
from lab.play import BEGIN, Play, Played, Program
from tests.contracts.played import DEFAULTS, played
from tests.days import Ticking
from tests.documents import ROOT

MINUTE = 60.0
JOBS = (
    DEFAULTS
    + """
[pools.seats]
slots = 2
[jobs.alone]
ecs = { task_definition = "alone" }
[jobs.day-close]
pool = "warehouse"
schedule = "0 18 * * *"
overlap = "queue"
queue_timeout = "6h"
ecs = { task_definition = "day-close" }
[jobs.solver]
pool = "seats"
ecs = { task_definition = "solver" }
[jobs.import]
pool = "warehouse"
schedule = "rate(5 minutes)"
ecs = { task_definition = "import" }
[jobs.report]
pool = "seats"
ecs = { task_definition = "report" }
"""
)


class AlreadyThere(Exception):
    """ExecutionAlreadyExists."""


class Missing(Exception):
    """ExecutionDoesNotExist."""


class Ended(Exception):
    """ValidationException."""


class Aws(Ticking):
    """boto3's clients of Step Functions, Systems Manager and ECS over a stage in motion; the calls are counted."""

    def __init__(self, play: Play) -> None:
        self.play = play
        self.calls: Counter[str] = Counter()
        self.exceptions = SimpleNamespace(
            ExecutionAlreadyExists=AlreadyThere,
            ExecutionDoesNotExist=Missing,
            ValidationException=Ended,
            StateMachineDoesNotExist=LookupError,
        )

    def list_executions(self, **asked: Any) -> Any:
        self.calls["ListExecutions"] += 1
        machine, only = asked["stateMachineArn"], asked.get("statusFilter")
        if only == "FAILED":
            found = [e for e in self.play.executions.values() if e.machine == machine and e.status == "FAILED"]
            return {"executions": [self._shown(e) for e in reversed(found)]}
        page = self.play.page(machine, asked.get("nextToken"), only_running=only == "RUNNING")
        shown = [self._shown(e) for e in page.executions]  # as old as the list is
        return {"executions": shown, **({"nextToken": page.token} if page.token else {})}

    def describe_execution(self, executionArn: str) -> Any:  # noqa: N803 (boto3's name)
        self.calls["DescribeExecution"] += 1
        if executionArn not in self.play.executions:
            raise Missing
        found = self.play.executions[executionArn]
        told = {"error": found.error, "cause": found.cause, "output": json.dumps(found.output or {})}
        return {**self._shown(found), "input": found.given, **{key: said for key, said in told.items() if said}}

    def start_execution(self, **asked: Any) -> Any:
        machine, name = asked["stateMachineArn"], asked["name"]
        if any((e.machine, e.name) == (machine, name) for e in self.play.executions.values()):
            raise AlreadyThere
        found = self.play.start_execution(machine, name, asked["input"])
        return {"executionArn": found.arn, "startDate": found.started_at}

    def stop_execution(self, **asked: Any) -> Any:
        found = self.play.executions[asked["executionArn"]]
        if found.status != "RUNNING":
            raise Ended
        self.play.abort(found, cause=asked["cause"])
        return {"stopDate": self.play.now}

    def describe_state_machine(self, **_: Any) -> Any:
        return {"definition": "{}", "creationDate": BEGIN - timedelta(days=1)}

    def get_parameters(self, Names: list[str]) -> Any:  # noqa: N803 (boto3's name)
        found = []
        for name in Names:
            with suppress(ClientError):
                found.append({"Name": name, **self._parameter(name)["Parameter"]})
        self.calls["GetParameters"] += 1
        return {"Parameters": found}

    def _parameter(self, name: str) -> Any:
        job = self.play.jobs.jobs[name.split("/")[3]]
        if not job.schedules:
            raise ClientError({"Error": {"Code": "ParameterNotFound", "Message": ""}}, "GetParameter")
        return {"Parameter": {"Value": recorded_as(job), "LastModifiedDate": BEGIN - timedelta(days=1)}}

    def describe_stacks(self, StackName: str) -> Any:  # noqa: N803 (boto3's name)
        said = f"Stack with id {StackName} does not exist"
        raise ClientError({"Error": {"Code": "ValidationError", "Message": said}}, "DescribeStacks")

    def get_function(self, **_: Any) -> Any:
        raise ClientError({"Error": {"Code": "ResourceNotFoundException", "Message": ""}}, "GetFunction")

    def list_tasks(self, **asked: Any) -> Any:
        return self.play.list_tasks(**asked)

    def describe_tasks(self, **asked: Any) -> Any:
        return self.play.describe_tasks(**asked)

    def describe_task_definition(self, **_: Any) -> Any:
        return self.play.describe_task_definition()

    def stop_task(self, *, task: str, **_: Any) -> None:
        self.play.stop_task(task)

    def _shown(self, found: Played | Execution) -> Any:
        ended = {"stopDate": found.stopped_at} if found.stopped_at else {}
        about = {"executionArn": found.arn, "name": found.name, "status": found.status}
        return {**about, "startDate": found.started_at, **ended}


class PlayedStage(Stage):
    """The stage dev, played."""

    def client(self, service: Any, region: str | None = None) -> Any:
        """Whatever is asked for, the play answers."""
        return vars(self)["stepfunctions"]


def staged(jobs: str | Play = JOBS) -> tuple[Play, Aws, Stage]:
    """A stage in motion, of a jobs file or as it has come to be, the clients over it, and `guardctl`'s sight of it."""
    play = jobs if isinstance(jobs, Play) else played(jobs)
    aws, stage = Aws(play), PlayedStage("dev")
    identity = {"Arn": "arn:aws:iam::123456789012:user/ada", "Account": "123456789012"}
    vars(stage).update(
        file=play.jobs, stepfunctions=aws, ecs=aws, tasks=Ecs(aws), ssm=aws, _identity=identity,  # type: ignore[arg-type]
        session=SimpleNamespace(region_name="us-east-1"),
    )  # fmt: skip
    return play, aws, stage


def due(play: Play, job: str) -> Played:
    """Start the job as the trigger does, for this minute."""
    at = play.now.replace(second=0, microsecond=0)
    deadline = stamp(at + timedelta(hours=2))
    return play.start(job, scheduled_name(job, at), scheduled_at=stamp(at), deadline=deadline)


@cache
def _the_day() -> Play:
    play = played(JOBS)
    play.run_task_answers = [Program(seconds=25 * MINUTE)]
    play.program = Program(seconds=30)
    due(play, "day-close")
    for n in range(6, 150):
        play.at(n * 5 * MINUTE, lambda: due(play, "import"))
    play.run_until(150 * 5 * MINUTE)
    return play


def a_day_of_neighbours() -> Play:
    """The day close at six, for 25 minutes; then an import every five minutes, through the night.

    It is played once (two seconds); each test has a copy of its own to go on with.
    """
    day = _the_day()
    assert day.idle, "what is under way can't be copied"
    unchanging = (day.jobs, day.definitions)
    return deepcopy(day, {id(each): each for each in unchanging})


def status(stage: Stage, play: Play, *jobs: str) -> list[JobStatus]:
    """`guardctl status` of these jobs."""
    return [*job_status.read(stage, [stage.job(job) for job in jobs], play.now, lambda _: None).jobs]


# --- what is told of a job --------------------------------------------------------------------------------


@pytest.mark.thorough
def test_last_run_and_usual_duration_are_the_jobs_own_though_its_neighbours_fill_the_page() -> None:
    play, _, stage = staged(a_day_of_neighbours())
    close, imports = status(stage, play, "day-close", "import")
    assert close.last
    assert (close.last.run, close.last.outcome) == ("run-000001", "ran")
    assert (close.last.scheduled, close.last.by_hand) == (BEGIN, False)
    assert close.usual
    assert (close.usual.runs, round(close.usual.median.total_seconds(), -1)) == (1, 25 * MINUTE)
    assert imports.last
    assert imports.last.run == "run-000145"
    (by_itself,) = status(stage, play, "import")
    assert by_itself.last == imports.last
    assert not imports.last.by_hand
    assert imports.usual
    assert timedelta(seconds=30) <= imports.usual.median < timedelta(seconds=40)


@pytest.mark.thorough
def test_status_of_a_shared_pool_asks_the_same_however_many_runs_its_neighbours_had() -> None:
    play, aws, stage = staged(a_day_of_neighbours())
    status(stage, play, "day-close", "import")
    assert aws.calls["ListExecutions"] == 4, "the guard's newest, its failures, the pool's one slot, who waits"
    assert aws.calls["DescribeExecution"] <= 2 * 20 + 2 * 10 + 2


@pytest.mark.thorough
def test_the_page_about_pools_says_what_its_commands_cost() -> None:
    def row(reader: Reader, play: Play, job: str) -> Row:
        return reader.row(reader.stage.job(job), BEGIN, play.now, limit=200)

    asked: dict[str, Callable[[Reader, Play], Any]] = {
        "`status day-close`": lambda reader, play: status(reader.stage, play, "day-close"),
        "`status` of both": lambda reader, play: status(reader.stage, play, "day-close", "import"),
        "`why day-close TIME`": lambda reader, play: reader.entry(reader.stage.job("day-close"), BEGIN, play.now),
        "`history day-close`, the whole night": lambda reader, play: row(reader, play, "day-close"),
        "`history import`, the whole night": lambda reader, play: row(reader, play, "import"),
        "`timeline` of both": lambda reader, play: [
            *Survey(reader, [stage.job("day-close"), stage.job("import")], BEGIN, play.now).rows()
        ],
    }
    page = (ROOT / "docs" / "pools.md").read_text(encoding="utf-8")
    play, aws, stage = staged(a_day_of_neighbours())
    for what, ask in asked.items():
        aws.calls.clear()
        ask(Reader(stage), play)
        lists, described = aws.calls["ListExecutions"], aws.calls["DescribeExecution"]
        assert f"\n| {what} | {lists} | {described} |\n" in page


def test_the_page_about_pools_has_a_sound_example_and_commands_that_exist() -> None:
    page = (ROOT / "docs" / "pools.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    ecs = '{{ cluster = "c", task_definition = "{}", container = "c", subnets = ["subnet-1"] }}\n'
    jobs = re.sub(r"(\[jobs\.(.+)\]\n)", lambda job: f"{job[1]}ecs = {ecs.format(job[2])}", example)
    jobs += f'[jobs.solver]\npool = "solver-licence"\necs = {ecs.format("solver")}'
    assert parse(jobs, stage="dev", place="docs/pools.md").pools == ("warehouse", "solver-licence")
    commands = typer.main.get_group(application()).commands
    for name, words in re.findall(r"`guardctl (\w+)([^`]*)`", page):
        known = {option for parameter in commands[name].params for option in parameter.opts}
        assert set(re.findall(r"--\w+", words)) <= known, name


@pytest.mark.thorough
def test_history_and_timeline_give_each_run_to_its_job() -> None:
    play, _, stage = staged(a_day_of_neighbours())
    play.start("day-close")
    play.run_until(5 * MINUTE)
    reader = Reader(stage)
    close, imports = (reader.row(stage.job(job), BEGIN, play.now, limit=500) for job in ("day-close", "import"))
    assert [(e.run, e.by_hand, e.outcome) for e in close.entries] == [
        ("run-000001", False, "ran"),
        ("run-000146", True, "ran"),
    ]
    assert [e.run for e in imports.entries if e.outcome == "ran"] == [f"run-{n:06d}" for n in range(2, 146)]
    rows = (close, imports)
    window = Timeline(stage="dev", start=BEGIN, end=play.now, zone=UTC_ZONE, rows=rows)
    picture = [*drawn(window, ["day-close", "import"], rows, 80, whole=False)]
    assert [str(line).split()[0] for line in picture[1:4]] == ["pool", "day-close", "import"]


UTC_ZONE: Any = UTC


@pytest.mark.thorough
def test_why_follows_a_start_that_waited_for_its_neighbour() -> None:
    play, aws, stage = staged()
    play.program = Program(seconds=10 * MINUTE)
    play.start("import")
    play.run_until(MINUTE)
    due(play, "day-close")
    play.run_until(30 * MINUTE)
    aws.calls.clear()
    (entry,) = Reader(stage).entry(stage.job("day-close"), BEGIN + timedelta(minutes=1), play.now)
    assert (entry.outcome, entry.run) == ("ran", "run-000002")
    of = "the start, its waiter, the run, and one repetition that there is not; and the record of its schedule"
    assert aws.calls == {"DescribeExecution": 4, "GetParameters": 1}, of


def test_status_says_who_holds_the_pool_and_who_waits() -> None:
    play, _, stage = staged()
    play.program = Program(seconds=60 * MINUTE)
    play.start("import")
    play.run_until(MINUTE)
    play.start("day-close")
    play.run_until(MINUTE)
    close, imports = status(stage, play, "day-close", "import")
    assert (imports.state, close.state, close.run) == ("running", "busy", None)
    assert close.pool
    ((slot, run, job),) = [(held.slot, held.run.name, held.job) for held in close.pool.held]
    assert (slot, run, job) == (1, "run-000001", "import")
    (waiter,) = close.pool.waiting
    named = parse_guard_name(waiter.name)
    assert named
    assert named.job == "day-close"


def test_in_a_pool_of_two_slots_a_neighbours_run_leaves_the_job_free() -> None:
    play, _, stage = staged()
    play.program = Program(seconds=60 * MINUTE)
    play.start("solver")
    play.run_until(MINUTE)
    (report,) = status(stage, play, "report")
    assert report.state == "free"
    play.start("solver")
    play.run_until(MINUTE)
    (report,) = status(stage, play, "report")
    assert report.state == "busy"


def test_logs_finds_the_jobs_own_run_in_whichever_slot() -> None:
    play, _, stage = staged()
    play.program = Program(seconds=60 * MINUTE)
    for job in ("solver", "report", "report"):
        play.start(job)
        play.run_until(MINUTE)
    reader = Reader(stage)
    report, solver = stage.job("report"), stage.job("solver")
    assert log_lines.find_run(reader, report, "1", None, play.now).arn.endswith("-seats--2:run-000001")
    assert log_lines.find_run(reader, report, None, None, play.now).arn.endswith("-seats--2:run-000001")
    assert log_lines.find_run(reader, solver, None, None, play.now).arn.endswith("-seats:run-000001")
    with pytest.raises(Stop, match="run-000001 of pool seats is a run of report, not of solver"):
        log_lines.find_run(reader, solver, "1", 2, play.now)
    with pytest.raises(Stop, match="--slot 3: solver's pool has 2"):
        log_lines.find_run(reader, solver, "1", 3, play.now)
    vars(stage)["file"] = replace(stage.file, history_days=30)
    with pytest.raises(Stop, match=r"shows no run-000077 of solver \(it keeps a run for 30 days\)"):
        log_lines.find_run(reader, solver, "77", None, play.now)


@pytest.mark.thorough
def test_logs_knows_the_start_of_the_newest_run() -> None:
    play, _, stage = staged(a_day_of_neighbours())
    for job, run in (("day-close", "run-000001"), ("import", "run-000145")):
        found = log_lines.find_run(Reader(stage), stage.job(job), None, None, play.now)
        assert found.name == run
        assert (found.guard_execution or "").startswith(f"{job}-202611")


def test_a_run_number_that_a_job_has_in_two_slots_asks_which() -> None:
    play, _, stage = staged()
    play.start("solver")
    play.start("solver")
    play.run_until(5 * MINUTE)
    with pytest.raises(Stop, match="solver has had a run-000001 in 2 slots; say which: --slot"):
        log_lines.find_run(Reader(stage), stage.job("solver"), "1", None, play.now)


def test_run_waits_for_the_waiter_of_a_shared_pool() -> None:
    play, _, stage = staged()
    play.start("import")
    play.run_until(MINUTE / 2)
    start = play.start("day-close")
    play.run_until(20)
    verdict = starts.verdict(stage, start.arn)
    assert verdict.waiter
    assert verdict.waiter.startswith(play.waiting_machine.replace(":stateMachine:", ":execution:"))
    play.run_until(5 * MINUTE)
    run = starts.verdict(stage, verdict.waiter).run
    assert run
    assert run.endswith("-warehouse:run-000002")


# --- stop -------------------------------------------------------------------------------------------------


def test_stop_ends_the_jobs_own_runs_and_tasks_and_no_neighbours() -> None:
    play, _, stage = staged()
    play.program = Program(seconds=60 * MINUTE)
    for job in ("solver", "report"):
        play.start(job)
        play.run_until(MINUTE)
    report = stage.job("report")
    found = alive.look(stage, report)
    assert [run.arn.rpartition("-seats")[2] for run in found.runs] == ["--2:run-000001"]
    alive.stop(stage, report, found, "wrong day", lambda _: None, now=lambda: play.now, sleep=play.run_until)
    assert {task.family: task.stopped_at is None for task in play.tasks} == {"solver": True, "report": False}
    assert [run.status for run in play.runs("solver")] == ["RUNNING", "ABORTED"]


def test_there_is_nothing_to_stop_of_a_job_whose_neighbour_runs() -> None:
    play, _, stage = staged()
    play.program = Program(seconds=60 * MINUTE)
    play.start("import")
    play.run_until(MINUTE)
    assert not alive.look(stage, stage.job("day-close")).anything


# --- start ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [None, datetime(2026, 11, 23, 17, tzinfo=UTC)], ids=["by hand", "for a time"])
def test_a_start_whose_answer_was_lost_is_not_made_twice(at: datetime | None) -> None:
    """boto3 tries again, a minute later: by then the guard execution that it had made has ended."""
    play, aws, stage = staged()
    play.program = Program(seconds=5)
    begin = aws.start_execution

    def loses(**asked: Any) -> Any:
        begin(**asked)
        play.run_until(MINUTE)
        return begin(**asked)

    aws.start_execution = loses  # type: ignore[method-assign]
    arn = starts.start(stage, "alone", scheduled_at=at)
    play.run_until(MINUTE)
    assert (play.executions[arn].output["outcome"], len(play.tasks)) == ("started", 1)
    aws.start_execution = begin  # type: ignore[method-assign]
    starts.start(stage, "alone", scheduled_at=at)
    play.run_until(MINUTE)
    assert len(play.tasks) == 2


# --- pauses -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("job", ["alone", "import"])
def test_a_pause_says_who_and_why_and_ends_when_it_was_told_to(job: str) -> None:
    play, _, stage = staged()
    until = play.now + timedelta(minutes=30)
    pauses.pause(stage, job, "the database moves", until, play.now)
    play.run_until(10 * MINUTE)
    found = pauses.current(stage, job)
    assert found
    assert (found.reason, found.until) == ("the database moves (ada)", until)
    with pytest.raises(Stop, match=r"is paused already, since .* UTC until 2026-11-23 18:30: the database moves \(ada"):
        pauses.pause(stage, job, "again", None, play.now)
    start = play.start(job)
    play.run_until(MINUTE)
    assert start.error == "BatchGuard.Paused"
    play.run_until(20 * MINUTE)
    assert pauses.current(stage, job) is None
    again = play.start(job)
    play.run_until(5 * MINUTE)
    assert again.output["outcome"] == "started"


@pytest.mark.parametrize("job", ["alone", "solver"])
def test_a_job_that_is_not_deployed_can_not_be_paused_and_its_stage_is_named(job: str) -> None:
    _, aws, stage = staged()

    def gone(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "StateMachineDoesNotExist", "Message": ""}}, "ListExecutions")

    aws.list_executions = gone  # type: ignore[method-assign]
    with pytest.raises(Stop, match=f"^{job} is not deployed; first: guardctl deploy --stage dev$"):
        pauses.pause(stage, job, "the database moves", None, BEGIN)


@pytest.mark.thorough
def test_a_pause_outlasts_a_long_backfill() -> None:
    """Its runs are on the page that a start reads, which shows the newest hundred."""
    play, _, stage = staged()
    until = play.now + timedelta(days=1)
    pauses.pause(stage, "alone", "a backfill", until, play.now)
    for number in range(1, 131):
        pauses.keep_in_sight(stage, "alone", play.now)
        run = run_name(number)
        play.start_execution(play.machine("alone"), run, json.dumps({"run": run, "renewal": True}))
        play.run_until(1)
    start = play.start("alone")
    play.run_until(MINUTE)
    assert start.error == "BatchGuard.Paused"
    found = pauses.current(stage, "alone")
    assert found
    assert (found.reason, found.until) == ("a backfill (ada)", until)
    assert len(pauses.resume(stage, "alone")) == 1


def test_a_pause_that_was_resumed_during_a_backfill_is_not_begun_anew_by_an_old_list() -> None:
    play, _, stage = staged()
    pauses.pause(stage, "alone", "a backfill", None, play.now)
    for number in range(1, 61):
        play.run_until(1)
        run = run_name(number)
        play.start_execution(play.machine("alone"), run, json.dumps({"run": run, "renewal": True}))
    play.run_until(MINUTE)
    assert len(pauses.resume(stage, "alone")) == 1
    play.list_lag = timedelta(seconds=30)
    play.run_until(1)
    pauses.keep_in_sight(stage, "alone", play.now)
    play.run_until(MINUTE)
    assert pauses.current(stage, "alone") is None


def test_a_pause_of_one_job_is_not_its_neighbours() -> None:
    play, _, stage = staged()
    pauses.pause(stage, "import", "a bad file", None, play.now)
    play.run_until(MINUTE)
    close, imports = status(stage, play, "day-close", "import")
    assert (close.state, imports.state, close.pause) == ("free", "paused", None)
    assert pauses.resume(stage, "day-close") == []
    assert len(pauses.resume(stage, "import")) == 1
    assert pauses.current(stage, "import") is None


def test_a_pool_or_a_stage_is_paused_job_by_job() -> None:
    _, _, stage = staged()
    assert jobs_of(stage, None, "warehouse", False) == (["day-close", "import"], True)
    assert jobs_of(stage, None, "alone", False) == (["alone"], True)
    assert jobs_of(stage, None, None, True) == (["alone", "day-close", "solver", "import", "report"], True)
    for asked in [(None, None, False), ("import", "warehouse", False), ("import", None, True)]:
        with pytest.raises(Stop, match="name one job, or say --pool POOL, or --all"):
            jobs_of(stage, *asked)
    with pytest.raises(Stop, match="no pool 'wharehouse' in stage dev; the pools are: alone, seats, warehouse"):
        jobs_of(stage, None, "wharehouse", False)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("18:30", "2026-11-23T18:30:00Z"),
        ("18:00", "2026-11-24T18:00:00Z"),
        ("2026-11-23T20:00", "2026-11-23T20:00:00Z"),
    ],
)
def test_a_time_of_day_is_the_next_one(text: str, end: str) -> None:
    assert moment(text, UTC_ZONE, "--until", BEGIN) == datetime.fromisoformat(end)


@pytest.mark.parametrize(
    ("ahead", "says"),
    [(timedelta(0), "is past"), (timedelta(days=365), "is more than 364 days ahead")],
)
def test_a_pause_that_can_not_end_then_is_refused(ahead: timedelta, says: str) -> None:
    play, _, stage = staged()
    with pytest.raises(Stop, match=says):
        pauses.pause(stage, "import", "why", play.now + ahead, play.now)
