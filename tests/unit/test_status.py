"""The parts of `guardctl status` that need no AWS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from botocore.exceptions import ClientError
from rich.text import Text

from chalicelib.decide.facts import Execution, stamp
from chalicelib.decide.usual import Usual, usual
from chalicelib.names import repetition_name
from guardctl import console, job_status, links, triage, trigger_health, watching
from guardctl.chart import Row
from guardctl.commands.status import board
from guardctl.ledger import Entry, Outcome
from guardctl.pauses import Pause
from guardctl.stage import Stage
from guardctl.standing import JobStatus, StageStatus
from guardctl.triage import Judged
from guardctl.trigger_health import Trigger
from guardctl.trouble import gathered
from tests.days import DAY, GUARD, NOW, Aws, Times, staged

TASK = "arn:aws:ecs:us-east-1:1:task/batch/"
MAY = datetime(2026, 5, 17, 9, 0, tzinfo=UTC)


def took(seconds: float, number: int = 1, status: str = "SUCCEEDED", began: datetime = MAY) -> Execution:
    """A run that took so long; RUNNING has not ended."""
    ended = None if status == "RUNNING" else began + timedelta(seconds=seconds)
    return Execution("arn", f"run-{number:06d}", status, began, ended)


def test_the_usual_duration_is_that_of_the_runs_that_succeeded() -> None:
    hundred = [took(seconds, number=seconds) for seconds in range(1, 101)]
    others = [took(9999, status="FAILED"), took(9999, status="RUNNING")]
    assert usual([*hundred, *others], 90) == Usual(timedelta(seconds=50), timedelta(seconds=95), 100)
    assert usual([took(7)], 90) == Usual(timedelta(seconds=7), timedelta(seconds=7), 1)
    assert usual(others, 90) is None


def test_a_renewal_does_not_count_as_a_run_of_a_second() -> None:
    renewed = MAY.replace(day=19)
    assert usual([took(1, began=renewed), took(600, began=renewed)], 90) == Usual(
        timedelta(minutes=10), timedelta(minutes=10), 1
    )
    assert usual([took(1)], 90) is not None, "on another day it is a short run"


def test_with_a_shorter_history_the_numbers_are_renewed_on_other_days() -> None:
    renewed = MAY.replace(day=7)
    assert usual([took(1, began=renewed)], history_days=30) is None
    assert usual([took(1, began=renewed)], history_days=90) is not None


def test_an_execution_that_is_no_run_does_not_count() -> None:
    assert usual([Execution("arn", "paused-000001", "SUCCEEDED", MAY, MAY + timedelta(days=1))], 90) is None


@pytest.mark.parametrize(
    ("partition", "region", "host"),
    [
        ("aws", "ap-northeast-1", "ap-northeast-1.console.aws.amazon.com"),
        ("aws-cn", "cn-north-1", "cn-north-1.console.amazonaws.cn"),
        ("aws-us-gov", "us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
    ],
)
def test_links_lead_into_the_right_console(partition: str, region: str, host: str) -> None:
    run = f"arn:{partition}:states:{region}:123456789012:execution:batch-guard-dev-report:run-000042"
    assert links.execution(run) == f"https://{host}/states/home?region={region}#/v2/executions/details/{run}"
    task = f"arn:{partition}:ecs:{region}:123456789012:task/batch/0a1b"
    assert links.task(task) == f"https://{host}/ecs/v2/clusters/batch/tasks/0a1b?region={region}"


# --- how forty jobs stand ---------------------------------------------------------------------------------


def forty(more: str = "") -> tuple[Aws, Stage]:
    """Forty jobs at night, of which all but three are well; `more` are keys of each."""
    aws, stage = staged("".join(f'[jobs.d{n}]\nschedule = "{n} 3 * * *"\n{more}\necs = {{ task_definition = "d{n}" }}\n' for n in range(40)))  # fmt: skip
    for n in range(40):
        times = Times(aws, stage, f"d{n}")
        at = NOW.replace(hour=3, minute=n, second=0) - DAY
        times.ran(at - DAY, minutes=50)
        if n == 3:
            times.ran(at, status="FAILED", error="BatchGuard.TaskFailed", cause="exit code 1")
        elif n == 4:
            times.skipped(at)
        elif n != 5:
            times.ran(at, minutes=50)
    aws.calls.clear()
    return aws, stage


def test_status_of_forty_jobs_takes_sixty_calls_at_most() -> None:
    aws, stage = forty()
    found = job_status.read(stage, stage.file.jobs.values(), NOW, lambda _: None)
    assert aws.calls.total() <= 60, aws.calls
    by_name = {line.job: line for line in found.jobs}
    assert {line.state for line in found.jobs} == {"free"}
    assert by_name["d3"].last
    assert (by_name["d3"].last.outcome, by_name["d3"].last.reason) == ("failed", "exit code 1")
    skipped = by_name["d4"].not_started
    assert skipped
    assert skipped[1].outcome == "skipped"
    assert by_name["d0"].not_started is None
    assert by_name["d0"].usual
    assert by_name["d0"].usual.median == timedelta(minutes=50)


def test_a_task_by_hand_and_one_left_behind_are_in_the_way_and_not_free() -> None:
    aws, stage = forty()
    definition = "arn:aws:ecs:us-east-1:1:task-definition/d7:3"
    by_hand = {"taskArn": "t7", "taskDefinitionArn": definition, "lastStatus": "RUNNING", "createdAt": NOW - DAY}
    aws.tasks["RUNNING"] = [by_hand]
    found = job_status.read(stage, stage.file.jobs.values(), NOW, lambda _: None)
    assert {line.job for line in found.jobs if line.state == "in the way"} == {"d7"}
    assert "t7" in next(line.start_now for line in found.jobs if line.job == "d7")
    assert aws.calls.total() <= 62, aws.calls


def test_a_job_that_cannot_be_read_says_why_and_the_others_stand() -> None:
    aws, stage = forty()
    aws.refused.add(stage.machine("d9"))
    found = job_status.read(stage, stage.file.jobs.values(), NOW, lambda _: None)
    states = {line.job: line.state for line in found.jobs}
    assert states.pop("d9") == "unknown"
    assert {*states.values()} == {"free"}
    assert "states:ListExecutions" in next(line.start_now for line in found.jobs if line.job == "d9")


PROMISE = 'expect_success_by = "06:00"'


def test_a_promise_of_each_of_forty_jobs_is_looked_at_within_sixty_calls() -> None:
    aws, stage = forty(PROMISE)
    found = job_status.read(stage, stage.file.jobs.values(), NOW, lambda _: None)
    assert aws.calls.total() <= 60, aws.calls
    assert {line.job: line.late.outcome for line in found.jobs if line.late} == {
        "d3": "failed",
        "d4": "skipped",
        "d5": "missed",
    }
    first = [(each.line.job, each.level) for each in triage.triage(found.jobs, NOW)][:4]
    assert first == [("d3", "failed"), ("d4", "late"), ("d5", "late"), ("d0", "ok")]


def nightly(*keys: str) -> tuple[Aws, Stage, Times, datetime]:
    """One job of three in the morning, and its last scheduled time."""
    lines = "\n".join(keys or [PROMISE])
    aws, stage = staged(f'[jobs.report]\nschedule = "0 3 * * *"\n{lines}\necs = {{ task_definition = "report" }}\n')
    return aws, stage, Times(aws, stage, "report"), NOW.replace(hour=3, minute=0, second=0) - DAY


def stands(stage: Stage, now: datetime) -> Judged:
    """How its one job stands."""
    (judged,) = triage.triage(job_status.read(stage, stage.file.jobs.values(), now, lambda _: None).jobs, now)
    return judged


def test_a_run_that_still_runs_at_its_moment_is_late_and_says_by_when_it_should_have_succeeded() -> None:
    _, stage, times, at = nightly('warn_after = "2h"')
    times.ran(at - DAY)
    times.ran(at, status="RUNNING")
    assert stands(stage, at + timedelta(minutes=119)).level == "running"
    judged = stands(stage, at + timedelta(minutes=121))
    assert judged.level == "late"
    assert judged.reason.endswith(f"since {stamp(at + timedelta(seconds=1))}; it should have succeeded by {stamp(at + timedelta(hours=2))}")  # fmt: skip


def test_another_success_is_not_that_of_the_promised_time_and_one_by_hand_for_it_is() -> None:
    aws, stage, times, at = nightly()
    times.ran(at - DAY)
    times.skipped(at)
    aws.add(times.machine, "run-000002", "SUCCEEDED", at + timedelta(hours=1), 600, input='{"job": "report"}')
    assert stands(stage, at + timedelta(hours=2)).level == "ok", "before its moment its last run counts"
    judged = stands(stage, at + timedelta(hours=4))
    assert (judged.level, judged.reason) == ("late", f"{stamp(at)} skipped: run-000001 has been running; it should have succeeded by {stamp(at + timedelta(hours=3))}")  # fmt: skip
    again = repetition_name("report", at, 1)
    output = {"outcome": "started", "run": "run-000003", "state_machine_arn": times.machine}
    aws.add(GUARD, again, "SUCCEEDED", at + timedelta(hours=5), 2, output=json.dumps(output))
    aws.add(times.machine, "run-000003", "SUCCEEDED", at + timedelta(hours=5), 600, input='{"job": "report"}')
    assert stands(stage, at + timedelta(hours=6)).level == "ok", "too late, and nothing is left to do"


def test_who_asked_for_a_run_by_hand_is_told_while_it_runs_and_afterwards() -> None:
    aws, stage, times, at = nightly("")
    output = {"outcome": "started", "run": "run-000001", "state_machine_arn": times.machine}
    asked = {"job": "report", "by": "ada", "reason": "the file came late"}
    guard = aws.add(GUARD, "report-by-hand-0a1b2c3d4e5f", "SUCCEEDED", at, 2, input=json.dumps(asked), output=json.dumps(output))  # fmt: skip
    given = json.dumps({"job": "report", "guard_execution": guard})
    run = aws.add(times.machine, "run-000001", "RUNNING", at + timedelta(seconds=1), 0, input=given)
    now = at + timedelta(minutes=2)
    assert stands(stage, now).reason.endswith(", by hand (ada: the file came late)")
    beside = json.dumps({"job": "report", "by": "bob"})
    aws.add(GUARD, "report-by-hand-ffffffffffff", "FAILED", at, 17, input=beside, error="BatchGuard.AlreadyRunning", cause="…")  # fmt: skip
    assert ", by hand (ada: the file came late)" in stands(stage, now).reason, "bob's stepped back for it"
    for about in (aws.machines[times.machine][0], aws.described[run]):
        about |= {"status": "SUCCEEDED", "stopDate": now}
    (line,) = job_status.read(stage, stage.file.jobs.values(), now, lambda _: None, closely=True).jobs
    assert line.last
    assert line.last.by == "ada: the file came late"


def test_a_pause_that_nobody_ends_is_late_and_a_green_skip_is_not() -> None:
    _, stage, times, at = nightly(PROMISE, 'on_skip = "succeed"')
    times.skipped_green(at)
    assert stands(stage, at + timedelta(hours=4)).line.late is None
    times.skipped_green(at + DAY, "BatchGuard.Paused")
    judged = stands(stage, at + DAY + timedelta(hours=4))
    assert (judged.level, judged.reason.split(": ")[0]) == ("late", f"{stamp(at + DAY)} paused")


# --- the worst first --------------------------------------------------------------------------------------

RUN = took(0, 7, "RUNNING")
BAD = Entry(job="j", scheduled=MAY, outcome="failed", reason="exit code 1", arn=RUN.arn, started=MAY, ended=MAY + timedelta(hours=1))  # fmt: skip
GOOD_ONE = replace(BAD, outcome="ran", reason="")
STEPPED = (MAY + timedelta(hours=2), Entry(job="j", scheduled=MAY, outcome="skipped", reason="run-000007 has been running"))  # fmt: skip
PAUSE = Pause("paused-000001", MAY, "the database moves (ada)")
IN_VAIN = replace(STEPPED[1], late_since=MAY + timedelta(hours=2))
USUAL = Usual(timedelta(minutes=10), timedelta(minutes=12), 30)


@pytest.mark.parametrize(
    ("line", "level"),
    [
        pytest.param({"last": BAD}, "failed", id="its last run failed"),
        pytest.param({"last": GOOD_ONE}, "ok", id="its last run succeeded"),
        pytest.param({"last": BAD, "run": took(0, 8, "RUNNING", began=MAY + timedelta(hours=3))}, "running", id="it failed, and runs again"),
        pytest.param({"last": GOOD_ONE, "not_started": STEPPED}, "skipped", id="its last start stepped back"),
        pytest.param({"last": replace(GOOD_ONE, ended=MAY + timedelta(hours=3)), "not_started": STEPPED}, "ok", id="it has run since it stepped back"),
        pytest.param({"missed": MAY}, "missed", id="nothing was started for its last time"),
        pytest.param({"overdue": MAY}, "late", id="nothing has been started yet"),
        pytest.param({"state": "in the way", "start_now": "would step back: a task"}, "in the way", id="a task is in the way"),
        pytest.param({"pause": PAUSE}, "paused", id="it is paused"),
        pytest.param({"pause": PAUSE, "last": BAD}, "failed", id="it failed before it was paused"),
        pytest.param({"run": took(0, 8, "RUNNING", began=MAY + timedelta(hours=3)), "usual": USUAL}, "late", id="it runs for an hour and takes ten minutes as a rule"),
        pytest.param({"run": took(0, 8, "RUNNING", began=MAY + timedelta(hours=3)), "usual": replace(USUAL, runs=4)}, "running", id="four runs are no rule"),
        pytest.param({"run": took(0, 8, "RUNNING", began=MAY + timedelta(hours=3)), "concern": "its task has stopped"}, "late", id="its run has no task"),
        pytest.param({"late": IN_VAIN, "last": GOOD_ONE}, "late", id="its promised time was skipped, and it has run since"),
        pytest.param({"late": IN_VAIN, "pause": PAUSE}, "late", id="a pause goes on past its moment"),
        pytest.param({"late": IN_VAIN, "last": BAD}, "failed", id="it failed, and is late for that"),
        pytest.param({"late": IN_VAIN, "run": took(0, 8, "RUNNING", began=MAY + timedelta(hours=3))}, "late", id="its moment has passed, and it runs"),
        pytest.param({"state": "unknown", "start_now": "denied"}, "unknown", id="it can't be read"),
        pytest.param({"state": "not deployed"}, "not deployed", id="it is not deployed"),
        pytest.param({"state": "disabled"}, "ok", id="it is disabled"),
    ],
)  # fmt: skip
def test_how_bad_a_job_stands(line: dict[str, Any], level: str) -> None:
    status = JobStatus(**{"job": "j", "state": "free"} | line)
    (judged,) = triage.triage([status], MAY + timedelta(hours=4))
    assert judged.level == level
    assert judged.reason or level in {"ok", "not deployed"}


def test_the_worst_job_stands_first_and_the_board_fits_eighty_columns() -> None:
    _, stage = forty()
    found = job_status.read(stage, stage.file.jobs.values(), NOW, lambda _: None)
    lines = [str(line) for line in board(stage, found, 80)]
    assert lines[0] == "dev, 2026-11-24 00:00:30 UTC: 1 failed, 1 missed, 1 skipped, 37 ok"
    assert [line.split()[1:3] for line in lines if line[:1] in "✗!○"] == [["failed", "d3"], ["missed", "d5"], ["skipped", "d4"]]  # fmt: skip
    assert max(map(len, lines)) <= 80


def test_a_long_name_is_shortened_for_eighty_columns_and_never_for_a_pipe() -> None:
    name = "a-job-of-the-warehouse-with-a-name-of-forty-eight"
    aws, stage = staged(f'[jobs.{name}]\nschedule = "0 3 * * *"\necs = {{ task_definition = "w" }}\n')
    at = NOW.replace(hour=3, minute=0, second=0) - DAY
    Times(aws, stage, name).ran(at, status="FAILED", cause="no such file or directory: /data/in/2026-11-23.csv, and so on")  # fmt: skip
    found = job_status.read(stage, stage.file.jobs.values(), NOW, lambda _: None)
    lines = [str(line) for line in board(stage, found, 80)]
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("✗ failed      a-job-of-the-warehou…orty-eight ") for line in lines)
    assert any(f" {name} " in str(line) for line in board(stage, found, None))


def test_a_pipe_gets_every_name_and_reason_in_one_line() -> None:
    _, stage = forty()
    found = job_status.read(stage, stage.file.jobs.values(), NOW, lambda _: None)
    (line,) = [str(each) for each in board(stage, found, None) if " d3 " in str(each)]
    assert line.endswith("run-000002 failed at 2026-11-23 03:03: exit code 1")


# --- the trigger ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trigger", "trouble"),
    [
        (Trigger("rule enabled", MAY - timedelta(minutes=2), 0), ""),
        (Trigger("rule is disabled", MAY - timedelta(minutes=2), 0), "the rule is disabled: no schedule starts anything"),
        (Trigger("rule is missing"), "the rule is missing: no schedule starts anything"),
        (Trigger("rule enabled", MAY - timedelta(minutes=9), 0), f"no tick since {stamp(MAY - timedelta(minutes=9))}: no schedule starts anything"),
        (Trigger("rule enabled", MAY - timedelta(minutes=2), 3), "the trigger failed 3 times in 15 min: see its log"),
        (Trigger(unread="DescribeRule: AccessDeniedException"), ""),
    ],
)  # fmt: skip
def test_a_dead_trigger_is_told(trigger: Trigger, trouble: str) -> None:
    assert trigger.trouble(MAY) == trouble
    assert trigger.unread in trigger.told(MAY)


def test_a_trigger_that_has_been_dead_for_days_is_told_and_one_that_never_ticked_is_not_known() -> None:
    _, stage = forty()
    metrics = vars(stage)["stepfunctions"]

    def answers(*ticks: datetime) -> None:
        def get_metric_data(MetricDataQueries: Any, StartTime: datetime, EndTime: datetime) -> Any:  # noqa: N803 (boto3's names)
            shown = [at for at in ticks if StartTime <= at < EndTime]
            return {"MetricDataResults": [{"Id": q["Id"], "Timestamps": shown, "Values": [1.0] * len(shown)} for q in MetricDataQueries]}  # fmt: skip

        metrics.get_metric_data = get_metric_data

    hour = NOW.replace(hour=3, minute=0, second=0) - 3 * DAY
    answers(hour)
    found = trigger_health.read(stage, NOW)
    assert found.trouble(NOW) == f"no tick since {stamp(hour + timedelta(hours=1))}: no schedule starts anything"
    answers()
    assert not trigger_health.read(stage, NOW).trouble(NOW), "it may have been deployed a minute ago"


@pytest.mark.parametrize(
    ("states", "command"),
    [
        ({"tick": "DISABLED"}, "aws events enable-rule --name tick"),
        ({}, "guardctl deploy --stage dev"),
        ({"tick": "ENABLED"}, "aws logs tail /aws/lambda/batch-guard-dev-trigger --since 1h"),
    ],
    ids=["disabled", "missing", "its log"],
)
def test_what_to_type_about_a_dead_trigger(states: dict[str, str], command: str) -> None:
    _, stage = forty()
    metrics = vars(stage)["stepfunctions"]
    metrics.list_rule_names_by_target = lambda **_: {"RuleNames": [*states]}
    metrics.describe_rule = lambda Name: {"State": states[Name]}  # noqa: N803 (boto3's name)
    found = trigger_health.read(stage, NOW)
    assert found.command(stage) == command
    assert bool(found.trouble(NOW)) is (states != {"tick": "ENABLED"})


def test_who_may_not_read_the_rule_sees_the_rest() -> None:
    _, stage = forty()

    def refuse(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": ""}}, "ListRuleNamesByTarget")

    vars(vars(stage)["stepfunctions"])["list_rule_names_by_target"] = refuse
    found = trigger_health.read(stage, NOW)
    assert found.unread == "ListRuleNamesByTarget: AccessDeniedException"
    assert found.last_tick


# --- what needs a person ----------------------------------------------------------------------------------


def test_problems_of_one_kind_are_one_line_with_the_next_command() -> None:
    def entry(minute: int, outcome: Outcome, reason: str = "", run: str | None = None) -> Entry:
        return Entry(job="j", scheduled=MAY + timedelta(minutes=minute), outcome=outcome, reason=reason, run=run)

    row = Row(
        job="j",
        entries=(
            entry(0, "ran"),
            entry(1, "skipped", "run-000001 has been running for 1 min"),
            entry(2, "skipped", "run-000001 has been running for 2 min"),
            entry(3, "skipped", "run-000002 has been running for 1 min"),
            entry(4, "failed", "exit code 1", run="run-000003"),
            entry(5, "paused"),
            entry(6, "due"),
        ),
    )
    utc, told = ZoneInfo("UTC"), Stage("dev").command
    found = [(p.entry.scheduled.minute - MAY.minute, p.times, told(*p.words(utc))) for p in gathered([row])]
    assert found == [
        (4, 1, "guardctl logs j run-000003 --stage dev"),
        (3, 3, f"guardctl why j {MAY + timedelta(minutes=3):%Y-%m-%dT%H:%MZ} --stage dev"),
    ]


def test_a_job_that_fails_every_other_minute_is_one_line_whatever_task_it_was() -> None:
    def failed(minute: int, job: str, reason: str) -> Entry:
        return Entry(job=job, scheduled=MAY + timedelta(minutes=minute), outcome="failed", reason=reason)

    def ran(minute: int) -> Entry:
        return Entry(job="often", scheduled=MAY + timedelta(minutes=minute), outcome="ran")

    often = [failed(n, "often", f"task {TASK}{n} exited with 1") if n % 2 else ran(n) for n in range(60)]
    killed = failed(60, "often", f"task {TASK}60 exited with 137")
    rows = Row(job="often", entries=(*often, killed)), Row(job="once", entries=(failed(7, "once", "no reason"),))
    found = [(p.entry.job, p.entry.scheduled.minute, p.times, p.first.minute) for p in gathered(rows)]
    assert found == [("often", 0, 1, 0), ("often", 59, 30, 1), ("once", 7, 1, 7)]


def test_a_problem_tells_whether_the_job_has_succeeded_since() -> None:
    outcomes: list[Outcome] = ["failed", "skipped", "ran", "missed", "ran", "failed", "running"]
    entries = [Entry(job="j", scheduled=MAY + timedelta(minutes=n), outcome=o) for n, o in enumerate(outcomes)]
    (row,) = [Row(job="j", entries=tuple(entries))]
    found = [(p.entry.outcome, p.times, p.again and p.again.minute) for p in gathered([row])]
    assert found == [("failed", 2, None), ("missed", 1, 4), ("skipped", 1, 2)]


def test_what_only_the_clock_makes_a_problem_is_one() -> None:
    began = MAY + timedelta(minutes=1)
    waits = Entry(job="j", scheduled=MAY, outcome="paused", reason="moving; it should have succeeded by …", late_since=MAY + timedelta(hours=1))  # fmt: skip
    runs = replace(waits, scheduled=began, outcome="running", started=began, run="run-000009")
    fine = replace(waits, scheduled=began + timedelta(minutes=1), outcome="ran", late_since=None)
    found = [(p.told, p.words(ZoneInfo("UTC"))[:2]) for p in gathered([Row(job="j", entries=(waits, runs, fine))])]
    assert found == [("late, running", ("status", "j")), ("late, paused", ("why", "j"))]


def test_the_command_tells_the_time_by_the_clock_that_the_list_has() -> None:
    skipped = Entry(job="j", scheduled=MAY, outcome="skipped", reason="run-000001 has been running")
    (problem,) = gathered([Row(job="j", entries=(skipped,))])
    assert problem.words(ZoneInfo("Asia/Tokyo")) == ("why", "j", "2026-05-17T18:00+09:00")
    assert console.moment("2026-05-17T18:00+09:00", ZoneInfo("Europe/Berlin"), "TIME") == MAY


# --- watching ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("looks", "told"), [(2, True), (3, False)], ids=["it fails", "and the next does not"])
def test_a_look_that_fails_leaves_the_picture_and_is_tried_again(
    looks: int, told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    aws, stage = forty()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        aws.refused ^= {stage.guard}
        if len(slept) == looks:
            raise KeyboardInterrupt

    watching.watch(stage, [*stage.file.jobs.values()], board, sleep, lambda: NOW)
    shown = capsys.readouterr().out  # the last picture, where there is no terminal
    assert ("could not look again: " in shown) is told
    assert "1 failed, 1 missed, 1 skipped, 37 ok" in shown


def test_a_look_is_one_call_and_only_what_changed_is_read_again() -> None:
    aws, stage = forty()
    boards: list[list[str]] = []
    asked: list[int] = []

    def look(stage: Stage, found: StageStatus, width: int | None) -> Iterator[Text]:
        lines = [*board(stage, found, width)]
        boards.append([str(line) for line in lines])
        return iter(lines)

    def sleep(_seconds: float) -> None:
        asked.append(aws.calls["ListExecutions"])
        if len(asked) == 2:
            Times(aws, stage, "d5", runs=1).ran(NOW.replace(second=0) - timedelta(hours=12), status="FAILED", error="BatchGuard.TaskFailed", cause="exit code 3")  # fmt: skip
        if len(asked) == 3:
            raise KeyboardInterrupt

    watching.watch(stage, [*stage.file.jobs.values()], look, sleep, lambda: NOW)
    first, second, third = asked
    assert second - first == 1, "nothing had changed"
    assert third - second <= 5, "the guard's list, and what is known of one job"
    assert not any("exit code 3" in line for line in boards[1])
    assert any("exit code 3" in line for line in boards[2])
