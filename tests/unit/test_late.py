"""Late by the clock: what became of a scheduled time by its moment is told by names alone, within a fifth of a quota."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.config import jobs
from chalicelib.decide.deadlines import Look, Moment
from chalicelib.decide.facts import Details, Execution
from chalicelib.late import Became, Late, SomeLooksFailed, became
from chalicelib.names import execution_arn
from chalicelib.read.executions import StepFunctions
from chalicelib.read.record import Record, recorded_as

FUNCTION = "arn:aws:lambda:ap-northeast-1:123456789012:function:batch-guard-dev-trigger"
STATES = "arn:aws:states:ap-northeast-1:123456789012:stateMachine:batch-guard-dev"
BATCH, WAITING = f"{STATES}-report", f"{STATES}--waiting"
THREE, SIX = (datetime(2026, 11, 23, hour, tzinfo=UTC) for hour in (3, 6))
MINUTE = timedelta(minutes=1)
OWN = "report-20261123T0300Z"


def described(status: str, ended: datetime | None, **said: Any) -> Details:
    """An execution that began at three."""
    return Details(Execution("arn", "name", status, THREE, ended), **said)


def guard(outcome: str | None = None, *, status: str = "SUCCEEDED", **said: Any) -> Details:
    """A guard execution that decided at three."""
    about = {"error": said.pop("error", None), "cause": said.pop("cause", None)} if outcome is None else {}
    output = {} if outcome is None else {"outcome": outcome, "state_machine_arn": BATCH, **said}
    return described(status, None if status == "RUNNING" else THREE + MINUTE, output=output, **about)


def run(status: str = "SUCCEEDED", ended: datetime | None = SIX - MINUTE, **said: Any) -> Details:
    """A run that began at three."""
    return described(status, ended, **said)


STARTED = guard("started", run="run-000042")
QUEUED = guard("queued", waiter="report-after-run-000041-1", state_machine_arn=STATES)
FAILED = run("FAILED", error="BatchGuard.TaskFailed", cause="exit code 1")
RUN, WAITER = execution_arn(BATCH, "run-000042"), execution_arn(STATES, "report-after-run-000041-1")
AGAIN = f"{OWN}-by-hand-1"


@pytest.mark.parametrize(
    ("shown", "kind", "reason"),
    [
        pytest.param({OWN: STARTED, RUN: run()}, "in time", "", id="done by then"),
        pytest.param({OWN: STARTED, RUN: run(ended=SIX)}, "in time", "", id="done at that very moment"),
        pytest.param({}, "not started", "no start for 2026-11-23T03:00:00Z was ever made", id="no tick started it"),
        pytest.param({OWN: guard(status="RUNNING")}, "not started", f"{OWN} has been open since 2026-11-23T03:00:00Z", id="it still asks"),
        pytest.param({OWN: guard(status="FAILED", error="BatchGuard.AlreadyRunning", cause="run-000041 is in the way")}, "not started", f"{OWN} ended as BatchGuard.AlreadyRunning: run-000041 is in the way", id="it was skipped"),
        pytest.param({OWN: guard(status="ABORTED")}, "not started", f"{OWN} ended as ABORTED", id="it was stopped without a word"),
        pytest.param({OWN: guard("skip", reason="busy")}, "not started", f"{OWN} stepped back: busy", id="it was skipped, green"),
        pytest.param({OWN: STARTED}, "still running", "run-000042 was started, and is not shown", id="its run is not shown"),
        pytest.param({OWN: STARTED, RUN: run("RUNNING", None)}, "still running", "run-000042 had been running for 3 h 0 min, since 2026-11-23T03:00:00Z", id="it runs"),
        pytest.param({OWN: STARTED, RUN: run("PENDING_REDRIVE", None)}, "still running", "run-000042 had been running for 3 h 0 min, since 2026-11-23T03:00:00Z", id="what AWS adds next is not closed"),
        pytest.param({OWN: STARTED, RUN: run("FAILED", SIX + MINUTE)}, "still running", "run-000042 had been running for 3 h 0 min, since 2026-11-23T03:00:00Z", id="it ran then, and failed since"),
        pytest.param({OWN: STARTED, RUN: run(ended=SIX + 5 * MINUTE)}, "too late", "run-000042 succeeded at 2026-11-23T06:05:00Z, 5 min late", id="it was done before the late look, and still broke the promise"),
        pytest.param({OWN: STARTED, RUN: FAILED}, "failed", "run-000042 failed at 2026-11-23T05:59:00Z: BatchGuard.TaskFailed: exit code 1", id="it failed"),
        pytest.param({OWN: STARTED, RUN: run("ABORTED", cause="by ada")}, "failed", "run-000042 was stopped at 2026-11-23T05:59:00Z: by ada", id="it was stopped"),
        pytest.param({OWN: QUEUED, WAITER: STARTED, RUN: run()}, "in time", "", id="it waited, and was done"),
        pytest.param({OWN: QUEUED, WAITER: guard(status="RUNNING")}, "not started", "report-after-run-000041-1 has been open since 2026-11-23T03:00:00Z", id="it waits"),
        pytest.param({OWN: QUEUED}, "not started", "report-after-run-000041-1, which waited for it, is not shown", id="who waits is not shown"),
        pytest.param({OWN: QUEUED, WAITER: QUEUED}, "not started", "report-after-run-000041-1 ended as SUCCEEDED", id="those that wait for one another are not followed for ever"),
        pytest.param({OWN: guard("shadow", would_have="started")}, "not expected", "the job was in shadow then", id="in shadow nothing is expected"),
        pytest.param({OWN: guard("started", run=7)}, "not started", f"{OWN} ended as SUCCEEDED", id="an output that nobody wrote"),
        pytest.param({OWN: STARTED, RUN: FAILED, AGAIN: guard("started", run="run-000043")}, "in time", "", id="somebody made up for it in time"),
        pytest.param({AGAIN: STARTED, RUN: run()}, "in time", "", id="also for what was never started"),
        pytest.param({OWN: STARTED, RUN: FAILED, AGAIN: guard(status="RUNNING")}, "not started", f"{AGAIN} has been open since 2026-11-23T03:00:00Z", id="the last try has the last word"),
    ],
)  # fmt: skip
def test_what_became_of_a_scheduled_time(shown: dict[str, Details], kind: str, reason: str) -> None:
    by_arn = {name if name.startswith("arn:") else execution_arn(STATES, name): said for name, said in shown.items()}
    by_arn[execution_arn(BATCH, "run-000043")] = run()
    found = became(Moment("report", THREE, "expect_success_by", SIX), STATES, by_arn.get, skip_is_fine=False)
    assert (found.kind, found.reason) == (kind, reason)
    assert found.late is (kind not in {"in time", "not expected"})


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        pytest.param("BatchGuard.AlreadyRunning", "in time", id="on_skip = succeed says that this is as good"),
        pytest.param("BatchGuard.Paused", "not started", id="a pause that nobody ends is not"),
    ],
)
def test_a_skip_that_its_job_calls_a_success(error: str, kind: str) -> None:
    shown = {execution_arn(STATES, OWN): guard("skip", error=error, reason="busy")}
    assert became(Moment("report", THREE, "warn_after", SIX), STATES, shown.get, skip_is_fine=True).kind == kind


# --- a tick ---------------------------------------------------------------------------------------------------

HEAD = '[defaults.ecs]\ncluster = "batch"\ncontainer = "app"\nlaunch_type = "EC2"\n'
JOB = '[jobs.{0}]\nschedule = "cron(0 3 * * ? *)"\nexpect_success_by = "06:00"\necs = {{ task_definition = "{0}" }}\n'


class Missing(Exception):
    """ExecutionDoesNotExist."""


@dataclass
class FakeStepFunctions:
    """DescribeExecution in memory, its calls counted, with the instant of each."""

    shown: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    calls: list[tuple[str, datetime]] = field(default_factory=list)
    refused: bool = False
    at: datetime = SIX + timedelta(seconds=1)

    class exceptions:  # noqa: N801 (botocore's name)
        ExecutionDoesNotExist = Missing

    def describe_execution(self, *, executionArn: str) -> Mapping[str, Any]:  # noqa: N803
        self.calls.append((executionArn.rpartition(":")[2], self.at))
        if self.refused:
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "no"}}, "DescribeExecution")
        if executionArn not in self.shown:
            raise Missing
        return {"executionArn": executionArn, "name": "its own", **self.shown[executionArn]}

    def add(self, job: str, status: str = "SUCCEEDED", ended: datetime | None = SIX - MINUTE) -> None:
        """The start at three, and its run."""
        machine = f"{STATES}-{job}"
        output = json.dumps({"outcome": "started", "run": "run-000001", "state_machine_arn": machine})
        started = {"status": "SUCCEEDED", "startDate": THREE, "stopDate": THREE + MINUTE, "output": output}
        self.shown[execution_arn(STATES, f"{job}-20261123T0300Z")] = started
        stopped = {"stopDate": ended} if ended else {}
        self.shown[execution_arn(machine, "run-000001")] = {"status": status, "startDate": THREE, **stopped}

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def late(client: FakeStepFunctions, *names: str, since: datetime = THREE - timedelta(days=9), more: str = "") -> Late:
    """These jobs, due at three, to be done by six, as they are since then."""
    file = jobs.parse(more + HEAD + "".join(JOB.format(name) for name in names), stage="dev", place="dev.toml")

    def record(job: jobs.Job) -> Record:
        return Record(recorded_as(job), since)

    return Late(file, FUNCTION, StepFunctions(client), record, set(), client.now, client.sleep)  # type: ignore[arg-type]  # a fake with the one method used


def tick(looking: Late) -> dict[str, str]:
    """What a tick tells of each job."""
    found: dict[str, str] = {}

    def report(look: Look, what: Became, after: timedelta) -> None:
        assert after >= timedelta(0)
        found[look.moment.job] = what.kind

    looking.tick(report)
    return found


def test_at_its_moment_a_job_is_looked_up_by_two_names() -> None:
    client = FakeStepFunctions()
    client.add("report")
    assert tick(late(client, "report")) == {"report": "in time"}
    assert [name for name, _ in client.calls] == [OWN, "run-000001"]


def test_it_is_looked_up_once_and_at_no_other_minute() -> None:
    client = FakeStepFunctions(at=SIX - timedelta(seconds=30))
    client.add("report")
    looking = late(client, "report")
    assert tick(looking) == {}
    client.at = SIX
    assert tick(looking) == {"report": "in time"}
    client.at = SIX + MINUTE
    assert tick(looking) == {}
    client.at = SIX + 11 * MINUTE
    assert tick(late(client, "report")) == {}, "nor by a function that remembers nothing"


def test_what_a_tick_missed_the_next_ones_make_up_for() -> None:
    client = FakeStepFunctions(at=SIX + 7 * MINUTE)
    client.add("report", ended=SIX + 5 * MINUTE)
    assert tick(late(client, "report")) == {"report": "too late"}, "done by now, and not by then"


def test_a_crowd_takes_a_fifth_of_the_quota_and_the_ticks_that_this_needs() -> None:
    client = FakeStepFunctions()
    names = [f"j{n}" for n in range(80)]
    for name in names:
        client.add(name)
    looking = late(client, *names)
    first = tick(looking)
    assert client.at < SIX + MINUTE
    client.at = SIX + MINUTE
    second = tick(looking)
    assert sorted([*first, *second]) == sorted(names), "each once"
    assert len(first) == 59, "two calls each, two calls a second"
    took = (client.calls[-1][1] - client.calls[0][1]).total_seconds()
    assert len(client.calls) <= 2 * (took + 1)


def test_the_quota_of_the_jobs_file_is_the_one_that_counts() -> None:
    client = FakeStepFunctions()
    names = [f"j{n}" for n in range(80)]
    for name in names:
        client.add(name)
    more = "[stage]\nquotas = { DescribeExecution = [500, 20] }\n"
    assert len(tick(late(client, *names, more=more))) == 80


def test_a_run_that_seems_to_go_on_is_looked_at_once_more() -> None:
    """DescribeExecution may show it as it was a moment ago."""
    client = FakeStepFunctions()
    client.add("report", "RUNNING", None)
    assert tick(late(client, "report")) == {"report": "still running"}
    assert [at - SIX for name, at in client.calls if name == "run-000001"] == [
        timedelta(seconds=1),
        timedelta(seconds=15),
    ]


def test_nobody_is_late_for_a_time_before_the_job_had_this_schedule() -> None:
    client = FakeStepFunctions()
    assert tick(late(client, "report", since=THREE + MINUTE)) == {"report": "not expected"}
    assert tick(late(client, "report", since=THREE - MINUTE)) == {"report": "not started"}


def test_what_could_not_be_looked_up_is_told_and_tried_again() -> None:
    client = FakeStepFunctions(refused=True)
    looking = late(client, "report")
    with pytest.raises(SomeLooksFailed, match=f"1 scheduled times were done .*{OWN}: .*ThrottlingException"):
        tick(looking)
    client.refused, client.at = False, SIX + MINUTE
    client.add("report")
    assert tick(looking) == {"report": "in time"}
