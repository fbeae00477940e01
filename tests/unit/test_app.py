"""The wiring: what Chalice registers, and what a Lambda invocation logs and counts."""

import io
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.check import Checker
from chalicelib.config.jobs import Alerts, JobsFile
from guardctl.alarms import resources

CHECK = "arn:aws:lambda:us-east-1:123456789012:function:batch-guard-dev-check"
GUARD = "arn:aws:states:us-east-1:123456789012:execution:batch-guard-dev:nightly-report-20261123T1800Z"


Measured = dict[str, tuple[float, dict[str, str]]]


@pytest.fixture
def metrics(capsys: pytest.CaptureFixture[str]) -> Callable[[], Measured]:
    """The metrics that have been written: name → value and dimensions."""

    def read() -> Measured:
        found = {}
        for written in map(json.loads, capsys.readouterr().out.splitlines()):
            (declared,) = written["_aws"]["CloudWatchMetrics"]
            assert declared["Namespace"] == "BatchGuard"
            ((dimensions,), (metric,)) = declared["Dimensions"], declared["Metrics"]
            (value,) = written[metric["Name"]]
            found[metric["Name"]] = value, {name: written[name] for name in dimensions}
        return found

    return read


@pytest.fixture
def lines(app: Any, metrics: Callable[[], Measured]) -> Callable[[], tuple[dict[str, Any], Measured]]:
    """The one log line and the metrics that an invocation writes."""
    log = io.StringIO()
    app.logger.registered_handler.setStream(log)

    def read() -> tuple[dict[str, Any], Measured]:
        (line,) = log.getvalue().splitlines()
        return json.loads(line), metrics()

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
    import app  # noqa: PLC0415 (it reads the environment)

    for cached in (app._jobs, app._stepfunctions, app._ecs, app._ssm):
        cached.cache_clear()
    yield app
    for cached in (app._jobs, app._stepfunctions, app._ecs, app._ssm):
        cached.cache_clear()


def test_chalice_deploys_two_functions_and_one_schedule(app: Any) -> None:
    assert set(app.app.handler_map) == {"check", "trigger"}
    (scheduled,) = app.app.event_sources
    assert scheduled.schedule_expression == "cron(* * * * ? *)"
    assert [f.name for f in app.app.pure_lambda_functions] == ["check"]


def test_a_refusal_is_answered_logged_and_counted(app: Any, lines: Any) -> None:
    answer = app.check({"job": "typo", "guard": {}}, SimpleNamespace(invoked_function_arn=CHECK))
    assert (answer["running_flg"], answer["outcome"], answer["error"]) == (True, "refuse", "UnknownJob")
    log, metrics = lines()
    assert (log["message"], log["job"], log["outcome"]) == ("decision", "typo", "refuse")
    assert "the jobs are: " in log["reason"]
    assert metrics == {"Refuse": (1.0, {"stage": "dev"})}


def test_the_log_line_names_the_guard_execution_that_asked(app: Any, lines: Any) -> None:
    execution = "arn:aws:states:us-east-1:123456789012:execution:batch-guard-dev:typo-20261123T1800Z"
    app.check({"job": "typo", "guard": {"execution": execution}}, SimpleNamespace(invoked_function_arn=CHECK))
    assert lines()[0]["guard_execution"] == "typo-20261123T1800Z"


def test_when_aws_does_not_answer_the_check_fails_and_says_so(app: Any, lines: Any) -> None:
    known = sorted(app._jobs().jobs)[0]
    with pytest.raises(Exception, match="got no answer"):
        app.check({"job": known, "guard": {}}, SimpleNamespace(invoked_function_arn=CHECK))
    log, metrics = lines()
    assert (log["level"], log["error"]) == ("ERROR", "CantTell")
    assert metrics == {"Error": (1.0, {"stage": "dev", "job": known})}


OF_A_JOB = {"stage": "dev", "job": "nightly-report"}
FROM_A_GUARD = {"job": "nightly-report", "guard": {"execution": GUARD}}
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
        pytest.param(FROM_A_GUARD | {"renewal": True}, {"outcome": "refuse", "error": "RestedTooLong"}, {"Refuse": (1.0, {"stage": "dev"})}, id="but a refused one is told"),
        pytest.param({"job": "nightly-report"}, BUSY, {}, id="a person may ask without being counted"),
    ],
)  # fmt: skip
def test_what_is_counted(app: Any, metrics: Any, event: Any, answer: Any, expected: Measured) -> None:
    app._count_decision(event, answer)
    assert metrics() == expected


def test_alarms_and_dashboard_show_only_what_is_written(app: Any, metrics: Any) -> None:
    app._count_decision(FROM_A_GUARD, BUSY)
    app._count_decision(FROM_A_GUARD, {"outcome": "refuse"})
    with pytest.raises(Exception, match="got no answer"):
        app.check(FROM_A_GUARD, SimpleNamespace(invoked_function_arn=CHECK))
    written = {(name, *dimensions.items()) for name, (_, dimensions) in metrics().items()}

    job = app._jobs().jobs["nightly-report"]
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


def test_a_stage_without_a_jobs_file_refuses(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_GUARD_STAGE", "nowhere")
    answer = app.check({"job": "x"}, SimpleNamespace(invoked_function_arn=CHECK))
    assert (answer["outcome"], answer["error"]) == ("refuse", "JobsFileInvalid")


def test_a_batch_machine_that_asks_for_its_task_is_never_told_that_there_is_none_by_mistake() -> None:
    checker = Checker(lambda: pytest.fail("not asked"), CHECK, None, None, None)  # type: ignore[arg-type]
    with pytest.raises(BaseException, match="not asked"):
        checker.answer({"job": "x", "task_of": "y"})
