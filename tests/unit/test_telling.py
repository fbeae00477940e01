"""Who is told of what: the jobs file, the templates that come of it, and the words."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib import telling
from chalicelib.config.jobs import JobsFile, JobsFileInvalid, parse
from chalicelib.contract import StartInput, StartQuestion, guard_input
from chalicelib.decide.facts import Execution
from chalicelib.decide.usual import expected, went_wrong
from chalicelib.decide.verdicts import Holder
from chalicelib.names import TOLD, run_name
from chalicelib.parsing import parse_question
from guardctl import alarms, template

TOPIC = "arn:aws:sns:us-east-1:123456789012:alerts"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:batch-guard-dev-trigger"
AT = datetime(2026, 11, 23, 18, tzinfo=UTC)


def stage(alerts: str = "", *, report: str = "", other: str = "", timezone: str = "Asia/Tokyo") -> JobsFile:
    text = f"""
        [defaults]
        timezone = "{timezone}"
        ecs = {{ cluster = "batch", container = "app", launch_type = "EC2" }}
        [jobs.report]
        schedule = "cron(0 3 * * ? *)"
        ecs = {{ task_definition = "report" }}
        {report}
        [jobs.other]
        schedule = "cron(0 4 * * ? *)"
        ecs = {{ task_definition = "other" }}
        {other}
        """
    if alerts:
        text += f'[alerts]\ntopic = "{TOPIC}"\n{alerts}\n'
    return parse(text, stage="dev", place="dev.toml")


def test_a_job_says_itself_of_what_people_are_told_and_else_the_stage_does() -> None:
    file = stage('tell = ["recovered", "failed"]', report='tell = ["late"]', other="")
    assert [file.tells(job) for job in file.jobs.values()] == [("late",), ("failed", "recovered")]
    assert not stage("skips_in_a_row = 3").tells_something
    assert not stage('tell = ["failed"]', report="tell = []", other="tell = []").tells_something


@pytest.mark.parametrize(
    ("alerts", "report", "fault"),
    [
        ('tell = ["faild"]', "", 'alerts.tell[0]: "faild" is not valid; write "failed", "skipped", "not_started", "late" or "recovered"'),
        ('tell = "failed"', "", "alerts.tell: is a string, not an array; write a list of some of: failed"),
        ('tell = ["late", "late"]', "", 'alerts.tell[1]: "late" is there twice; write it once'),
        ('format = "slack"', "", 'alerts.format: "slack" is not valid; write "text" or "chat"'),
        ("", 'tell = ["failed"]', "jobs.report.tell: is there, and the file has no [alerts]; write [alerts]"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_what_would_be_right(alerts: str, report: str, fault: str) -> None:
    with pytest.raises(JobsFileInvalid) as caught:
        stage(alerts, report=report)
    assert fault in str(caught.value)


def test_a_name_that_leaves_no_room_for_a_message_is_refused_only_where_one_is_sent() -> None:
    name = "n" * 52
    text = f"""
        [jobs.{name}]
        ecs = {{ cluster = "c", container = "app", launch_type = "EC2", task_definition = "t" }}
        [alerts]
        topic = "{TOPIC}"
        """
    assert parse(text, stage="dev", place="dev.toml").jobs
    with pytest.raises(
        JobsFileInvalid,
        match="would have 81 characters and AWS takes 80; make the job's name at least 1 shorter, or write tell",
    ):
        parse(f'{text}tell = ["not_started"]\n', stage="dev", place="dev.toml")


# --- what is deployed -------------------------------------------------------------------------------------


def test_where_nobody_is_told_the_template_has_no_trace_of_it() -> None:
    for file in (stage("skips_in_a_row = 3"), stage('tell = ["failed"]', report="tell = []", other="tell = []")):
        machines = template.machines(file)
        assert "TellingMachine" not in json.dumps(machines)
        assert "telling" not in json.dumps([template.trigger_policy(file), template.check_policy(file)])
        assert "--telling" not in json.dumps({key: value for key, value in machines.items() if key != "GuardMachine"})


def test_who_tells_has_the_permissions_for_it_and_no_other_has() -> None:
    file = stage('tell = ["failed"]', other='tell = ["skipped"]\n')
    machines = template.machines(file)
    (role,) = machines["TellingMachineRole"]["Properties"]["Policies"]
    publish, describe, key = role["PolicyDocument"]["Statement"]
    assert (publish["Action"], publish["Resource"]) == (["sns:Publish"], [TOPIC])
    assert describe["Action"] == ["states:DescribeExecution"]
    assert key["Condition"] == {"StringEquals": {"kms:EncryptionContext:aws:sns:topicArn": TOPIC}}
    substituted = machines["TellingMachine"]["Properties"]["DefinitionSubstitutions"]
    assert substituted == {"Partition": {"Ref": "AWS::Partition"}, "TopicArn": TOPIC, "Format": "text", "Stage": "dev"}


@pytest.mark.parametrize(
    ("tell", "gone"),
    [
        ((), set()),
        (("failed",), {"reportFailed", "otherFailed"}),
        (("skipped",), {"reportSkips", "otherSkips"}),
        (("not_started",), {"StartRefused"}),
        (("late", "recovered"), set()),
        (TOLD, {"reportFailed", "otherFailed", "reportSkips", "otherSkips", "StartRefused"}),
    ],
)
def test_what_people_are_told_has_no_alarm(tell: tuple[str, ...], gone: set[str]) -> None:
    before = alarms.resources(stage("skips_in_a_row = 3"))
    assert before.keys() - alarms.resources(stage(f"tell = {json.dumps(tell)}")).keys() == gone


def test_an_alarm_stays_for_the_job_that_is_not_told_of() -> None:
    before, after = (alarms.resources(stage(f"tell = {json.dumps(TOLD)}", other=o)) for o in ("", "tell = []"))
    assert after.keys() - before.keys() == {"otherFailed", "otherSkips", "StartRefused"}


# --- words ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timezone", "at", "zone", "offset"),
    [
        ("Asia/Tokyo", "2026-11-24 03:00 JST", "JST", 540),
        ("America/St_Johns", "2026-11-23 14:30 NST", "NST", -210),
        ("UTC", "2026-11-23 18:00 UTC", "UTC", 0),
    ],
)
def test_a_start_carries_its_time_as_a_person_says_it(timezone: str, at: str, zone: str, offset: int) -> None:
    file = stage('tell = ["failed", "not_started"]', timezone=timezone)
    tell = telling.of_start(file, file.jobs["report"], AT, FUNCTION)
    assert tell is not None
    assert (tell.kinds, tell.at, tell.zone, tell.offset_minutes) == (("not_started",), at, zone, offset)
    assert tell.command == "guardctl why report 2026-11-23T18:00:00Z --stage dev"
    asked = StartInput(job="report", scheduled_at=AT, tell=tell)
    assert parse_question(json.loads(json.dumps(guard_input(asked)))) == StartQuestion(asked)


def test_a_job_in_shadow_or_told_of_otherwise_carries_nothing() -> None:
    file = stage('tell = ["skipped"]', report='enabled = "shadow"', other='tell = ["failed"]')
    assert [telling.of_start(file, job, AT, FUNCTION) for job in file.jobs.values()] == [None, None]


def runs(*took: tuple[str, float]) -> list[Execution]:
    """The newest first, of a renewal day: status, and seconds."""
    began = [(n, RENEWAL_DAY + timedelta(hours=n), *each) for n, each in enumerate(took, start=1)]
    return [
        Execution(f"arn:{n}", run_name(n), status, at, at + timedelta(seconds=seconds))
        for n, at, status, seconds in reversed(began)
    ]


RENEWAL_DAY = datetime(2026, 11, 17, tzinfo=UTC)
OK, BAD, RENEWAL = ("SUCCEEDED", 600.0), ("FAILED", 60.0), ("SUCCEEDED", 0.2)
HOLDER = Holder("run", "run-000009", "arn", AT)


@pytest.mark.parametrize(
    ("holder", "page", "minutes", "says"),
    [
        (HOLDER, runs(OK, OK, RENEWAL, OK), 5, "It usually takes 10 min, and should end about 2026-11-23T18:10:00Z."),
        (HOLDER, runs(OK, OK, OK), 61, "It usually takes 10 min, so it should have ended about 2026-11-23T18:10:00Z."),
        (HOLDER, runs(OK, OK, RENEWAL), 5, ""),
        (Holder("task", "t", "arn", AT), runs(OK, OK, OK), 5, ""),
        (None, runs(OK, OK, OK), 5, ""),
    ],
    ids=["known", "it is over its time", "too few", "a task", "nothing in the way"],
)
def test_when_what_is_in_the_way_should_end(
    holder: Holder | None, page: list[Execution], minutes: int, says: str
) -> None:
    assert expected(holder, page, AT + timedelta(minutes=minutes), 90) == says


@pytest.mark.parametrize(
    ("page", "says"),
    [
        (runs(), ""),
        (runs(BAD, OK), ""),
        (runs(OK, BAD), "The run before it did not succeed either since run-000001."),
        (runs(BAD, OK, BAD, ("ABORTED", 1), BAD), "The 3 runs before it did not succeed either since run-000002."),
        (runs(BAD, BAD), "The 2 runs before it did not succeed either."),
    ],
)
def test_how_many_runs_in_a_row_went_wrong(page: list[Execution], says: str) -> None:
    assert went_wrong(page) == says


def test_late_has_no_alarm_where_people_are_told_of_it() -> None:
    promise = 'expect_success_by = "06:00"'
    before, after = (
        alarms.resources(stage(tell, report=promise)) for tell in ("skips_in_a_row = 3", 'tell = ["late"]')
    )
    assert before.keys() - after.keys() == {"reportLate"}
