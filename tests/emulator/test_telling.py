"""People are told, deployed for real: a queue and a confirmed HTTP subscriber of the topic get what a run's end says."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from chalicelib.contract import StartInput, guard_input
from chalicelib.names import scheduled_name
from chalicelib.telling import of_start
from lab.emulator import Emulator
from lab.stage import LocalStage, until
from tests.emulator.test_end_to_end import schedule_event
from tests.support import local_stage

TOPIC = "arn:aws:sns:us-east-1:000000000000:told"
JOBS = f"""
[defaults]
timezone = "Asia/Tokyo"
[defaults.ecs]
cluster = "batch"
container = "app"
launch_type = "EC2"
[jobs.report]
timeout = "2s"
ecs = {{ task_definition = "report" }}
[jobs.long]
schedule = "cron(0 3 1 1 ? *)"
grace = "1s"
ecs = {{ task_definition = "long" }}
[jobs.quiet]
tell = []
timeout = "2s"
ecs = {{ task_definition = "quiet" }}
[alerts]
topic = "{TOPIC}"
tell = ["failed", "skipped", "not_started", "recovered"]
format = "chat"
"""


@contextmanager
def subscriber() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An HTTP endpoint, and what it has got so far."""
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/told", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def told(stage: LocalStage) -> list[Any]:
    """The executions that told something."""
    found: list[Any] = stage.stepfunctions.list_executions(stateMachineArn=f"{stage.guard}--telling")["executions"]
    return found


def test_what_people_are_told_reaches_a_queue_and_a_confirmed_http_subscriber(emulator: Emulator) -> None:
    session = emulator.session()
    sns, sqs = session.client("sns"), session.client("sqs")
    sns.create_topic(Name="told")
    queue = sqs.create_queue(QueueName="told")["QueueUrl"]
    sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:000000000000:told")
    texts: list[str] = []

    def heard(words: str) -> str | None:
        for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
            texts.append(json.loads(message["Body"])["Message"])
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return next((text for text in texts if text.startswith(words)), None)

    with local_stage(emulator, name="told", jobs=JOBS) as stage, subscriber() as (endpoint, got):
        stage.deploy()
        sns.subscribe(TopicArn=TOPIC, Protocol="http", Endpoint=endpoint)
        token = until(lambda: [each["Token"] for each in got if "Token" in each], within=20, what="a token")[0]
        sns.confirm_subscription(TopicArn=TOPIC, Token=token)

        # A run that fails.
        stage.start("report")
        text = until(lambda: heard("report failed"), within=120, what="the message of a failure")
        assert "stopped after its timeout of 2 s, task arn:" in text
        assert "(BatchGuard.TimedOut)" in text
        assert "Next: guardctl logs report run-000001 --stage told" in text
        shown = until(lambda: [e["Message"] for e in got if e["Type"] == "Notification"], within=20, what="a POST")
        assert shown[0] == text, "http is no https: AWS's chat applications subscribe by https"

        # Scheduled starts that step back, with the input that the trigger writes. Of two within the hour one is told.
        stage.start("long")
        task = stage.a_task("long")
        for hour in (3, 4):
            at = datetime(2026, 1, 1, hour, tzinfo=UTC)
            tell = of_start(stage.jobs, stage.jobs.jobs["long"], at, stage.guard.replace(":states:", ":lambda:"))
            asked = guard_input(StartInput(job="long", scheduled_at=at, tell=tell))
            skipped = stage.stepfunctions.start_execution(
                stateMachineArn=stage.guard, name=scheduled_name("long", at), input=json.dumps(asked)
            )
            assert stage.ended(skipped["executionArn"])["error"] == "BatchGuard.AlreadyRunning"
        text = until(lambda: heard("long was skipped"), within=60, what="the message of a skip")
        assert "2026-01-01 12:00 JST" in text
        assert "run-000001 has been running" in text

        # A run that is stopped in the console passes no state: the trigger finds it. So it does a job that is well again.
        stage.stepfunctions.stop_execution(executionArn=stage.run_arn("long", "run-000001"), cause="wrong day")
        stage.stop_task("long", task)
        assert stage.invoke("trigger", schedule_event()) is None
        text = until(lambda: heard("long failed"), within=60, what="the message of a stopped run")
        assert "run-000001 was stopped: wrong day" in text
        again = stage.start("long")
        stage.stop_task("long", stage.a_task("long"))
        stage.ended(again)
        assert stage.ended(stage.run_arn("long", "run-000002"))["status"] == "SUCCEEDED"
        assert stage.invoke("trigger", schedule_event()) is None
        text = until(lambda: heard("long is well again"), within=60, what="the message of a recovery")
        assert "run-000002 succeeded on" in text

        # Whose people are not told has no such execution, and all that told has reached the topic.
        stage.ended(stage.start("quiet"))
        stage.ended(stage.run_arn("quiet", "run-000001"))
        kinds = [each["name"].rpartition("-")[0] for each in told(stage)]
        assert sorted(kinds) == ["told-long-failed", "told-long-recovered", "told-long-skipped", "told-report-failed"]
        assert {each["status"] for each in told(stage)} == {"SUCCEEDED"}
