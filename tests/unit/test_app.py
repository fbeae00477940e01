"""The wiring: what Chalice registers, and what a Lambda invocation logs and counts."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.config.jobs import Alerts, JobsFile
from chalicelib.decide.calendars import Calendar
from chalicelib.decide.deadlines import Look, Moment
from chalicelib.decide.facts import Refused
from chalicelib.decide.schedule import Due
from chalicelib.late import Became
from guardctl.alarms import resources

CHECK = "arn:aws:lambda:us-east-1:123456789012:function:batch-guard-dev-check"
GUARD = "arn:aws:states:us-east-1:123456789012:execution:batch-guard-dev:nightly-report-20261123T1800Z"
FROM_A_GUARD = {
    "job": "nightly-report",
    "guard": {"version": 1, "execution": GUARD, "started": "2026-11-23T18:00:01.250Z", "waited": True},
}

Measured = dict[str, tuple[float, dict[str, str]]]


def read_metrics(written: list[dict[str, Any]]) -> Measured:
    """Name → value and dimensions, as CloudWatch reads the lines."""
    found = {}
    for line in written:
        for declared in line["_aws"]["CloudWatchMetrics"]:
            assert declared["Namespace"] == "BatchGuard"
            (dimensions,) = declared["Dimensions"]
            for metric in declared["Metrics"]:
                (value,) = line[metric["Name"]]
                found[metric["Name"]] = value, {name: line[name] for name in dimensions}
    return found


def written(capsys: pytest.CaptureFixture[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The log lines and the lines of metrics."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [line for line in lines if "_aws" not in line], [line for line in lines if "_aws" in line]


@pytest.fixture
def metrics(capsys: pytest.CaptureFixture[str]) -> Callable[[], Measured]:
    """The metrics that have been written."""
    return lambda: read_metrics(written(capsys)[1])


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Callable[[], tuple[dict[str, Any], Measured]]:
    """The one log line and the metrics that an invocation writes, in one line too."""

    def read() -> tuple[dict[str, Any], Measured]:
        (line,), counted = written(capsys)
        assert len(counted) <= 1
        return line, read_metrics(counted)

    return read


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Any:
    """app.py as Lambda sees it: a stage, a Region, and no credentials that could work."""
    for name, value in {
        "BATCH_GUARD_STAGE": "dev",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
    monkeypatch.delenv("AWS_CHALICE_CLI_MODE", raising=False)
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _seconds: None))  # between its tries
    import app  # noqa: PLC0415 (it reads the environment)

    for cached in (app._stage, app._jobs):  # the clients are the same for every test, and slow to make
        cached.cache_clear()
    yield app
    for cached in (app._stage, app._jobs):
        cached.cache_clear()


def test_chalice_deploys_two_functions_and_one_schedule(app: Any) -> None:
    assert set(app.app.handler_map) == {"check", "trigger"}
    (scheduled,) = app.app.event_sources
    assert scheduled.schedule_expression == "cron(* * * * ? *)"
    assert [f.name for f in app.app.pure_lambda_functions] == ["check"]


def test_a_refusal_is_answered_logged_and_counted(app: Any, lines: Any) -> None:
    answer = app.check({**FROM_A_GUARD, "job": "typo"}, SimpleNamespace(invoked_function_arn=CHECK))
    assert (answer["running_flg"], answer["outcome"], answer["error"]) == (True, "refuse", "UnknownJob")
    log, metrics = lines()
    assert list(log)[:5] == ["level", "location", "message", "timestamp", "service"], "as Powertools has them"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\+0000", log["timestamp"])
    assert (log["message"], log["job"], log["outcome"]) == ("decision", "typo", "refuse")
    assert "the jobs are: " in log["reason"]
    assert metrics == {"Refuse": (1.0, {"stage": "dev"})}


def test_the_log_line_names_the_guard_execution_that_asked(app: Any, lines: Any) -> None:
    app.check({**FROM_A_GUARD, "job": "typo"}, SimpleNamespace(invoked_function_arn=CHECK))
    assert lines()[0]["guard_execution"] == "nightly-report-20261123T1800Z"


def test_when_aws_does_not_answer_the_check_fails_and_says_so(app: Any, lines: Any) -> None:
    known = sorted(app._jobs().jobs)[0]
    with pytest.raises(Exception, match="got no answer"):
        app.check({**FROM_A_GUARD, "job": known}, SimpleNamespace(invoked_function_arn=CHECK))
    log, metrics = lines()
    assert (log["level"], log["error"]) == ("ERROR", "CantTell")
    assert metrics == {"Error": (1.0, {"stage": "dev", "job": known})}


LOOK = Look(
    Moment(
        "nightly-report",
        datetime(2026, 11, 23, 18, tzinfo=UTC),
        "expect_success_by",
        datetime(2026, 11, 23, 21, tzinfo=UTC),
    ),
    datetime(2026, 11, 23, 21, tzinfo=UTC),
)
OF_A_JOB = {"stage": "dev", "job": "nightly-report"}
BUSY = {"outcome": "skip", "error": "AlreadyRunning", "skips_in_a_row": 3}


@pytest.mark.parametrize(
    ("event", "answer", "expected"),
    [
        pytest.param(FROM_A_GUARD, {"outcome": "start", "error": None, "skips_in_a_row": 0}, {"Start": (1.0, OF_A_JOB), "SkipsInARow": (0.0, OF_A_JOB)}, id="a start ends a row of skips"),
        pytest.param(FROM_A_GUARD, BUSY, {"Skip": (1.0, OF_A_JOB), "SkipsInARow": (3.0, OF_A_JOB)}, id="a skip is counted once, with its place in the row"),
        pytest.param(FROM_A_GUARD, {"outcome": "wait", "error": None}, {"Wait": (1.0, OF_A_JOB)}, id="the wait before it is no skip"),
        pytest.param(FROM_A_GUARD, {"outcome": "stop_run", "error": None}, {"StopRun": (1.0, OF_A_JOB)}, id="what is stopped is counted apart"),
        pytest.param(FROM_A_GUARD, {"outcome": "skip", "error": "Paused"}, {"Paused": (1.0, OF_A_JOB)}, id="a paused job's start is wanted to step back: no skip"),
        pytest.param(FROM_A_GUARD | {"renewal": True}, {"outcome": "start", "error": None, "skips_in_a_row": 0}, {}, id="a renewal is no start of the batch"),
        pytest.param(FROM_A_GUARD | {"paused": True}, {"outcome": "wait", "error": None}, {}, id="an execution that pauses a job is no start either"),
        pytest.param(FROM_A_GUARD | {"paused": True}, {"outcome": "skip", "error": "PauseEnded"}, {}, id="nor is its end a skip"),
        pytest.param(FROM_A_GUARD | {"renewal": True}, {"outcome": "refuse", "error": "RestedTooLong"}, {"Refuse": (1.0, {"stage": "dev"})}, id="but a refused one is told"),
        pytest.param(FROM_A_GUARD | {"shadow": True}, {"outcome": "shadow", "error": None, "would_have": "stepped back"}, {"Shadow": (1.0, OF_A_JOB)}, id="a verdict in shadow is no skip, whatever it is"),
        pytest.param({"job": "nightly-report"}, BUSY, {}, id="a person may ask without being counted"),
    ],
)  # fmt: skip
def test_what_is_counted(app: Any, metrics: Any, event: Any, answer: Any, expected: Measured) -> None:
    app._count_decision(event, answer)
    assert metrics() == expected


def test_alarms_and_dashboard_show_only_what_is_written(app: Any, metrics: Any) -> None:
    app._count_decision(FROM_A_GUARD, {**BUSY, "stuck": True})
    app._count_decision(FROM_A_GUARD, {"outcome": "refuse"})
    app._report_look(LOOK, Became("failed", "exit code 1", "arn:run"), timedelta(seconds=1))
    with pytest.raises(Exception, match="got no answer"):
        app.check(FROM_A_GUARD, SimpleNamespace(invoked_function_arn=CHECK))
    written = {(name, *dimensions.items()) for name, (_, dimensions) in metrics().items()}

    job = replace(app._jobs().jobs["nightly-report"], expect_success_by="06:00")
    alerts = Alerts(topic="arn:aws:sns:us-east-1:123456789012:alerts")
    shown = resources(JobsFile(stage="dev", jobs={job.name: job}, alerts=alerts))
    body = json.loads(shown.pop("Dashboard")["Properties"]["DashboardBody"]["Fn::Sub"][0])
    graphs = [widget["properties"]["metrics"] for widget in body["widgets"] if widget["type"] == "metric"]
    watched = {
        (alarm["MetricName"], *((dimension["Name"], dimension["Value"]) for dimension in alarm["Dimensions"]))
        for alarm in (resource["Properties"] for resource in shown.values())
        if alarm["Namespace"] == "BatchGuard"
    }
    drawn = {
        (metric, *zip(dimensions[::2], dimensions[1::2], strict=True))
        for graph in graphs
        for namespace, metric, *dimensions, _ in graph
        if namespace == "BatchGuard"
    }
    assert watched < drawn == written


@pytest.mark.parametrize(
    ("became", "message", "expected"),
    [
        pytest.param(Became("in time", run="arn:run"), "looked up", {"Late": (0.0, OF_A_JOB)}, id="done in time ends what rings"),
        pytest.param(Became("failed", "exit code 1", "arn:run"), "late", {"Late": (1.0, OF_A_JOB)}, id="late rings"),
        pytest.param(Became("not expected", "in shadow"), "looked up", {}, id="of what nobody expects nothing is counted"),
    ],
)  # fmt: skip
def test_what_is_told_of_a_scheduled_time_at_its_moment(
    app: Any, lines: Any, became: Became, message: str, expected: Measured
) -> None:
    app._report_look(LOOK, became, timedelta(seconds=61))
    log, measured = lines()
    assert (log["message"], log["job"], log["verdict"], log["reason"]) == (
        message,
        "nightly-report",
        became.kind,
        became.reason,
    )
    assert (log["scheduled_at"], log["expected_by"]) == ("2026-11-23T18:00:00Z", "2026-11-23T21:00:00Z")
    assert log["looked_up_seconds_after"] == 61
    assert measured == expected


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param("2026-12-31", {}, id="known"),
        pytest.param("2025-12-31", {"BeyondCalendar": (1.0, {"stage": "dev"})}, id="beyond it"),
    ],
)
def test_a_start_beyond_its_calendars_data_is_counted_where_the_alarm_looks(
    app: Any, capsys: pytest.CaptureFixture[str], last: str, expected: Measured
) -> None:
    calendar = Calendar("jp", "JP", f"2025-01-01 {last}\n")
    job = replace(app._jobs().jobs["nightly-report"], calendar=calendar)
    app._report_beyond(job, Due(job.name, LOOK.moment.scheduled_at, LOOK.at))
    logged, counted = written(capsys)
    assert read_metrics(counted) == expected
    assert [each["reason"] for each in logged] == [
        f"nobody knows whether 2026-11-24 is a holiday: the data of calendar jp is of 2025-01-01 to {last}"
        for _ in expected
    ]
    alerts = Alerts(topic="arn:aws:sns:us-east-1:123456789012:alerts")
    alarm = resources(JobsFile(stage="dev", jobs={job.name: job}, alerts=alerts))["CalendarEnded"]["Properties"]
    watched = alarm["MetricName"], {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
    assert watched == ("BeyondCalendar", {"stage": "dev"})


# --- which stage it is ------------------------------------------------------------------------------------

OF_PROD = 'the function is of stage "prod", and its BATCH_GUARD_STAGE says "dev"'


@pytest.mark.parametrize(
    ("named", "told", "stage", "says"),
    [
        pytest.param("", "dev", "dev", "", id="outside Lambda the environment says it"),
        pytest.param("check", "dev", "dev", "", id="Chalice's test client names its function otherwise"),
        pytest.param("batch-guard-dev-check", None, "dev", "", id="in Lambda the function's name does"),
        pytest.param("batch-guard-dev-trigger", "dev", "dev", "", id="both say the same"),
        pytest.param("batch-guard-prod-check", "dev", None, OF_PROD, id="a copied block of .chalice/config.json"),
        pytest.param("", None, None, "no stage is known", id="nobody says it"),
        pytest.param("other-dev-check", "", None, "no stage is known", id="another project's function"),
        pytest.param("batch-guard-nowhere-check", None, None, '"nowhere" has no jobs file', id="a stage without a jobs file"),
        pytest.param("", "no-stage", None, '"no-stage" is not a stage name', id="what can be no stage"),
    ],
)  # fmt: skip
def test_the_stage(
    app: Any, monkeypatch: pytest.MonkeyPatch, named: str, told: str | None, stage: str | None, says: str
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", named)
    monkeypatch.delenv("BATCH_GUARD_STAGE")
    if told is not None:
        monkeypatch.setenv("BATCH_GUARD_STAGE", told)
    answer = app.check({"job": "x"}, SimpleNamespace(invoked_function_arn=CHECK))
    assert (answer["running_flg"], answer["outcome"]) == (True, "refuse")
    assert says in answer["reason"]
    if stage is None:
        assert answer["error"] == "JobsFileInvalid"
    else:
        assert (answer["error"], app._jobs().stage) == ("UnknownJob", stage)


PROJECT = Path(__file__).parent.parent.parent


@pytest.mark.thorough
@pytest.mark.parametrize("cli", [True, False], ids=["by Chalice's command line", "in Lambda"])
def test_a_faulty_jobs_file_ends_a_command_and_is_an_answer_in_lambda(tmp_path: Path, cli: bool) -> None:
    done = imported(tmp_path, '[jobs.report]\noverlap = "wait"\n', ASK, cli=cli)
    fault = "chalicelib/jobs/prod.toml:jobs.report.overlap"
    if cli:
        assert (done.returncode, done.stdout) == (1, "")
        assert "JobsFileInvalid" in done.stderr
        assert fault in done.stderr
    else:
        answer = json.loads(done.stdout.splitlines()[-1])
        assert (answer["outcome"], answer["error"]) == ("refuse", "JobsFileInvalid")
        assert fault in answer["reason"]


@pytest.mark.thorough
def test_a_faulty_jobs_file_keeps_nobody_from_removing_a_stage(tmp_path: Path) -> None:
    done = imported(tmp_path, '[jobs.report]\noverlap = "wait"\n', "import app", cli=True, command="delete")
    assert (done.returncode, done.stderr) == (0, "")


NEWER = """[jobs.report.ecs]
cluster = "c"
container = "app"
task_definition = "report"
launch_type = "EC2"
run_task = { ofNextYear = true }
"""


@pytest.mark.thorough
def test_a_member_of_run_task_is_looked_up_before_the_deployment_and_handed_on_in_lambda(tmp_path: Path) -> None:
    refused = imported(tmp_path / "cli", NEWER, SHOW, cli=True)
    assert refused.returncode == 1
    assert "jobs.report.ecs.run_task.ofNextYear: is not a member that RunTask has here" in refused.stderr
    assert imported(tmp_path / "lambda", NEWER, SHOW, cli=False).stdout == "{'ofNextYear': True} False\n"


SHOW = """
import sys
import app
print(dict(app._jobs().jobs["report"].ecs.run_task), "botocore.model" in sys.modules)
"""


def imported(
    directory: Path, jobs: str, script: str, *, cli: bool, command: str = "deploy"
) -> "subprocess.CompletedProcess[str]":
    """A script in a copy of the project whose stage prod has these jobs, as Chalice's command line or Lambda has it."""
    directory.mkdir(exist_ok=True)
    shutil.copy(PROJECT / "app.py", directory)
    shutil.copytree(PROJECT / "chalicelib", directory / "chalicelib")
    (directory / "chalicelib/jobs/prod.toml").write_text(jobs, encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": "us-east-1", "BATCH_GUARD_STAGE": "prod"}
    return subprocess.run(
        [sys.executable, "-B", "-c", f"import sys\nsys.argv = ['chalice', '{command}']\n{script}"],
        cwd=directory,
        env={**environment, **({"AWS_CHALICE_CLI_MODE": "true"} if cli else {})},
        capture_output=True,
        text=True,
        check=False,
    )


ASK = f"""
import json
from types import SimpleNamespace
import app
print(json.dumps(app.check({{"job": "report"}}, SimpleNamespace(invoked_function_arn="{CHECK}"))))
"""


def test_a_batch_machine_that_asks_for_its_task_is_never_told_that_there_is_none_by_mistake(
    app: Any, lines: Any
) -> None:
    """A refusal to it is no answer, which its definition would read as "ECS shows no task": it raises."""
    asks = {"task_of": "arn:aws:states:us-east-1:123456789012:execution:batch-guard-dev-report:run-000041"}
    with pytest.raises(Refused, match="target must have cluster, family and container"):
        app.check(asks, SimpleNamespace(invoked_function_arn=CHECK))
    log, metrics = lines()
    assert (log["level"], log["error"]) == ("ERROR", "InvalidInput")
    assert set(metrics) == {"Error"}
