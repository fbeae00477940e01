"""The wiring: what Chalice registers, and what a Lambda invocation logs and counts."""

import io
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.check import Checker

CHECK = "arn:aws:lambda:us-east-1:123456789012:function:batch-guard-dev-check"


@pytest.fixture
def lines(app: Any, capsys: pytest.CaptureFixture[str]) -> Callable[[], tuple[dict[str, Any], dict[str, Any]]]:
    """The one log line and the one metric that an invocation writes."""
    log = io.StringIO()
    app.logger.registered_handler.setStream(log)

    def read() -> tuple[dict[str, Any], dict[str, Any]]:
        (line,), (metric,) = log.getvalue().splitlines(), capsys.readouterr().out.splitlines()
        return json.loads(line), json.loads(metric)

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
    assert scheduled.schedule_expression == "rate(1 minute)"
    assert [f.name for f in app.app.pure_lambda_functions] == ["check"]


def test_a_refusal_is_answered_logged_and_counted(app: Any, lines: Any) -> None:
    answer = app.check({"job": "typo"}, SimpleNamespace(invoked_function_arn=CHECK))
    assert (answer["running_flg"], answer["outcome"], answer["error"]) == (True, "refuse", "UnknownJob")
    log, metric = lines()
    assert (log["message"], log["job"], log["outcome"]) == ("decision", "typo", "refuse")
    assert "the jobs are: " in log["reason"]
    assert (metric["Refuse"], metric["job"], metric["stage"]) == ([1.0], "typo", "dev")


def test_the_log_line_names_the_guard_execution_that_asked(app: Any, lines: Any) -> None:
    execution = "arn:aws:states:us-east-1:123456789012:execution:batch-guard-dev:typo-20261123T1800Z"
    app.check({"job": "typo", "guard": {"execution": execution}}, SimpleNamespace(invoked_function_arn=CHECK))
    assert lines()[0]["guard_execution"] == "typo-20261123T1800Z"


def test_when_aws_does_not_answer_the_check_fails_and_says_so(app: Any, lines: Any) -> None:
    known = sorted(app._jobs().jobs)[0]
    with pytest.raises(Exception, match="got no answer"):
        app.check({"job": known}, SimpleNamespace(invoked_function_arn=CHECK))
    log, metric = lines()
    assert (log["level"], log["error"]) == ("ERROR", "CantTell")
    assert metric["Error"] == [1.0]


def test_a_stage_without_a_jobs_file_refuses(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCH_GUARD_STAGE", "nowhere")
    answer = app.check({"job": "x"}, SimpleNamespace(invoked_function_arn=CHECK))
    assert (answer["outcome"], answer["error"]) == ("refuse", "JobsFileInvalid")


def test_a_batch_machine_that_asks_for_its_task_is_never_told_that_there_is_none_by_mistake() -> None:
    checker = Checker(lambda: pytest.fail("not asked"), CHECK, None, None, None)  # type: ignore[arg-type]
    with pytest.raises(BaseException, match="not asked"):
        checker.answer({"job": "x", "task_of": "y"})
