"""The stress, small: its judge on made-up histories, its faults one by one, and all of it for half a minute."""

import http.client
import json
import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from rich.console import Console

from chalicelib.decide.pace import Bucket
from lab.emulator import NotLoopback
from lab.stage import LocalStage, until
from lab.stress import truth
from lab.stress.__main__ import stress
from lab.stress.judge import FOREVER, Finding, History, Life, Run, Start, Task, judge, story
from lab.stress.load import Log, _seconds, calling
from lab.stress.past import Memory, blend, blurred
from lab.stress.plan import LAGS, STAGE, WAIT_SCALE, jobs_file, plan
from lab.stress.proxy import Faults, Proxy, proxy
from lab.stress.report import Outcome, table, why_skipped
from tests.emulator.test_end_to_end import start_run
from tests.support import local_stage, start_emulator

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """So many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def life(since: float, until: float | None, gone: float | None = None) -> Life:
    if until is None:
        return Life(at(since), FOREVER, FOREVER)
    return Life(at(since), at(until), at(until if gone is None else gone))


def run(number: int, since: float, until: float | None, status: str = "SUCCEEDED", by: str = "s") -> Run:
    return Run("job", f"run-{number:06d}", life(since, until), status, None, f"arn:{by}")


def task(of: int | None, since: float, until: float | None) -> Task:
    return Task("job", f"task-{of}", life(since, until), f"run-{of:06d}" if of else None)


def start(name: str, since: float, until: float, verdict: str = "started", started: int | None = None) -> Start:
    return Start("job", f"arn:{name}", at(since), at(until), verdict, "", f"run-{started:06d}" if started else None)


def skipped(name: str, since: float, until: float) -> Start:
    return start(name, since, until, "BatchGuard.AlreadyRunning")


ONE_RUN = (run(1, 10, 20),)
ONE_TASK = (task(1, 11, 20),)
FINDINGS = [
    pytest.param(History(ONE_RUN, ONE_TASK), [], id="one run with its task is as promised"),
    pytest.param(History((run(1, 10, 20), run(2, 20, 30, by="t")), (task(1, 11, 20), task(2, 21, 30))), [], id="one run after the other is as promised"),
    pytest.param(History((run(1, 10, 20), run(2, 19.9, 30, by="t")), (task(1, 11, 19), task(2, 21, 30))), ["overlap"], id="two runs open at once overlap"),
    pytest.param(History((run(1, 10, None, "RUNNING"), run(2, 50, 60, by="t")), (task(1, 11, 19), task(2, 51, 60))), ["overlap", "overlap", "unfinished"], id="a run that never closed overlaps with the next and its task"),
    pytest.param(History((run(1, 10, 20, "ABORTED"), run(2, 30, 40, by="t")), (task(1, 11, 35), task(2, 36, 40))), ["overlap"], id="a run beside another run's orphan overlaps, before its own task begins"),
    pytest.param(History(ONE_RUN, ONE_TASK, (start("a", 9, 10, started=1), start("b", 9, 10, started=1))), ["overlap", "overlap"], id="a name that two starts got overlaps"),
    pytest.param(History((run(1, 10, 20), run(2, 21, 30)), (task(1, 11, 20), task(2, 22, 30)), (start("s", 9, 21, started=2),)), ["overlap"], id="a start that ran twice overlaps"),
    pytest.param(History(ONE_RUN, (*ONE_TASK, task(None, 5, 15)), (start("s", 9, 10, started=1),)), ["overlap"], id="a run beside a task by hand that was visible overlaps"),
    pytest.param(History(ONE_RUN, (*ONE_TASK, task(None, 9.5, 15)), (start("s", 9, 10, started=1),)), [], id="a task by hand that came while the start was looking is not seen"),
    pytest.param(History(ONE_RUN, ONE_TASK, (skipped("s", 12, 13),)), [], id="stepping back for an open run is as promised"),
    pytest.param(History(ONE_RUN, ONE_TASK, (skipped("s", 19, 24),)), [], id="stepping back for a run that was open at first is as promised"),
    pytest.param(History(ONE_RUN, ONE_TASK, (skipped("s", 5, 8),)), ["lost"], id="stepping back before there was anything is lost"),
    pytest.param(History(ONE_RUN, ONE_TASK, (skipped("s", 21, 24),)), ["lost"], id="stepping back for a run that had ended is lost"),
    pytest.param(History((), (task(None, 5, 15),), (skipped("s", 12, 13),)), [], id="stepping back for a task by hand is as promised"),
    pytest.param(History((run(1, 10, 20, "ABORTED"),), (), (skipped("s", 360, 379),)), [], id="stepping back within six minutes of an unclean close is as promised"),
    pytest.param(History((run(1, 10, 20, "ABORTED"),), (), (skipped("s", 381, 382),)), ["lost"], id="stepping back after these six minutes is lost"),
    pytest.param(History((run(1, 10, 20, "ABORTED"),), (task(1, 11, 30),), (skipped("s", 31, 32),)), ["lost"], id="stepping back when the orphan has been seen stopped is lost"),
    pytest.param(History((), (), (start("s", 1, 2, started=1),)), ["lost"], id="a run that is told of and not there is lost"),
    pytest.param(History(ONE_RUN, ()), ["lost"], id="a run that succeeded without a task is lost"),
    pytest.param(History((), (), (Start("job", "arn:s", at(1), at(2), "queued", waiter="job-after-run-000000-1"),)), ["lost"], id="a waiter that is told of and not there is lost"),
    pytest.param(History((), (), (start("s", 1, 2, "RUNNING"),)), ["unfinished"], id="a start without an end is told"),
    pytest.param(History((), (), (start("s", 1, 2, "BatchGuard.CheckFailed"),)), [], id="a start that could not tell is not lost"),
]  # fmt: skip


@pytest.mark.parametrize(("history", "kinds"), FINDINGS)
def test_the_judge(history: History, kinds: list[str]) -> None:
    assert [finding.kind for finding in judge(history, {})] == kinds


def test_other_jobs_neither_overlap_nor_excuse_a_skip() -> None:
    other = Run("other", "run-000001", life(10, 20), "ABORTED")
    history = History(
        (*ONE_RUN, other), ONE_TASK, (Start("other", "arn:s", at(30), at(31), "started"), skipped("s", 21, 24))
    )
    assert [(finding.kind, finding.job) for finding in judge(history, {})] == [("lost", "job")]


def test_a_start_may_step_back_for_what_the_past_may_have_shown_it() -> None:
    history = History(ONE_RUN, ONE_TASK, (skipped("s", 50, 55),))
    assert judge(history, {"job": timedelta(seconds=31)}) == []
    assert [finding.kind for finding in judge(history, {"job": timedelta(seconds=29)})] == ["lost"]


def test_the_story_of_an_overlap_is_told_in_order() -> None:
    history = History((run(1, 10, 20), run(2, 19, 30, by="t")), (task(1, 11, 20),), (start("t", 8, 19, started=2),))
    (finding,) = (f for f in judge(history, {}) if "run-000001 and run-000002" in f.what)
    assert finding == Finding(
        "overlap", "job", "run-000001 and run-000002 were alive together for 1.000 s", at(19), at(20)
    )
    assert story(history, finding, margin=timedelta(seconds=20)) == [
        "12:00:08.000  t asks",
        "12:00:10.000  run-000001 begins, for s",
        "12:00:11.000  task task-1 of run-000001 is alive",
        "12:00:19.000  run-000002 begins, for t",
        "12:00:19.000  t: started run-000002",
        "12:00:20.000  run-000001 closes: SUCCEEDED",
        "12:00:20.000  task-1 stops",
        "12:00:30.000  run-000002 closes: SUCCEEDED",
    ]


def test_the_same_seed_plans_the_same_load() -> None:
    one, same, other = plan(7, 300, 60), plan(7, 300, 60), plan(8, 300, 60)
    assert one == same != other
    assert [one.fate("skip", n) for n in range(50)] == [same.fate("skip", n) for n in range(50)]
    assert one.starts == 300
    assert one.bursts[0].starts == 100
    assert {burst.job for burst in one.bursts} == set(LAGS)
    assert any(one.fate("skip", n).abort_after for n in range(50))


def test_every_job_of_the_load_has_a_cluster_of_its_name() -> None:
    assert all(f'cluster = "{job}"' in jobs_file() for job in LAGS)


ITEM = {"name": "run-000001", "startDate": 100.0, "stopDate": 110.0, "status": "FAILED", "error": "X", "cause": "y"}


def test_an_execution_is_shown_as_it_was_and_never_as_it_was_not() -> None:
    seen = {(shown or {}).get("status", "absent") for n in range(200) for shown in [blurred(ITEM, 111, 20, Random(n))]}
    assert seen == {"absent", "RUNNING", "FAILED"}
    opened = next(s for n in range(200) if (s := blurred(ITEM, 111, 20, Random(n))) and s["status"] == "RUNNING")
    assert opened == {"name": "run-000001", "startDate": 100.0, "status": "RUNNING"}
    assert all(blurred(ITEM, 131, 20, Random(n)) == ITEM for n in range(200)), "what is old enough is known"


def test_each_execution_of_a_page_is_shown_at_a_time_of_its_own() -> None:
    page = {"executions": [{**ITEM, "name": "b"}, {**ITEM, "name": "a"}], "nextToken": "t"}
    shown = [blend(page, 111, 20, Random(n)) for n in range(200)]
    assert all(answer["nextToken"] == "t" for answer in shown)
    assert ["a"] in [[item["name"] for item in answer["executions"]] for answer in shown], "the newest may be missing"


def test_the_memory_answers_the_same_question_and_nothing_too_old() -> None:
    memory = Memory()
    memory.keep(b"q", 1.0, b"old")
    memory.keep(b"q", 5.0, b"new")
    assert {memory.earlier(b"q", 6.0, 10.0, Random(n)) for n in range(50)} == {b"old", b"new"}
    assert {memory.earlier(b"q", 6.0, 2.0, Random(n)) for n in range(50)} == {b"new"}
    assert memory.earlier(b"other", 6.0, 10.0, Random(1)) is None


class _Upstream(BaseHTTPRequestHandler):
    """Counts: its nth answer is n executions that are long closed."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked += 1  # type: ignore[attr-defined]
        body = json.dumps({"executions": [ITEM] * self.server.asked}).encode()  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def between(faults: Faults) -> Iterator[Proxy]:
    """A proxy with these faults before an upstream that counts."""
    upstream: Any = HTTPServer(("127.0.0.1", 0), _Upstream)
    upstream.asked = 0
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    try:
        with proxy(f"http://127.0.0.1:{upstream.server_port}", seed=1) as state:
            state.inject(faults)
            yield state
    finally:
        upstream.shutdown()
        upstream.server_close()


def ask(state: Proxy, action: str = "ListExecutions", machine: str = "m") -> tuple[int, bytes]:
    """One call, on a connection of its own."""
    connection = http.client.HTTPConnection(state.url.removeprefix("http://"), timeout=10)
    body = json.dumps({"stateMachineArn": f"arn:aws:states:r:1:stateMachine:{machine}"})
    try:
        connection.request("POST", "/", body, {"X-Amz-Target": f"AWSStepFunctions.{action}"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def shown(answer: tuple[int, bytes]) -> int:
    return len(json.loads(answer[1])["executions"])


def test_without_faults_the_proxy_shows_the_present() -> None:
    with between(Faults()) as state:
        assert [shown(ask(state)) for _ in range(5)] == [1, 2, 3, 4, 5]


def test_the_proxy_answers_from_the_past() -> None:
    with between(Faults(past=1.0, lags={"m": 60})) as state:
        answers = [shown(ask(state)) for _ in range(20)]
        assert any(later < earlier for earlier, later in pairwise(answers))
        assert all(answer <= asked for asked, answer in enumerate(answers, 1)), "it never shows what was never so"
        assert state.done["ListExecutions from the past"] > 0
        assert shown(ask(state, machine="another")) == 21, "whose past is not to be shown, shows the present"


def test_the_proxy_refuses_beyond_the_quota_as_aws_does() -> None:
    with between(Faults(quotas={"ListExecutions": Bucket(2, 0)})) as state:
        answers = [ask(state) for _ in range(4)]
        assert [status for status, _ in answers] == [200, 200, 400, 400]
        assert json.loads(answers[3][1]) == {"__type": "ThrottlingException", "message": "Rate exceeded"}
        assert state.done["ListExecutions throttled"] == 2


@pytest.mark.parametrize(
    ("faults", "made"),
    [
        pytest.param(Faults(cut=2.0), 0, id="cut before the call is made"),
        pytest.param(Faults(half=1.0), 1, id="cut in the middle of the answer"),
    ],
)
def test_the_proxy_cuts_connections(faults: Faults, made: int) -> None:
    with between(faults) as state:
        with pytest.raises(http.client.HTTPException):
            ask(state)
        state.inject(Faults())
        assert shown(ask(state)) == made + 1


def test_the_proxy_garbles_and_breaks_answers() -> None:
    with between(Faults(garbled=1.0)) as state:
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            shown(ask(state))
        state.inject(Faults(broken=1.0))
        assert ask(state)[0] == 500


def test_the_proxy_stands_only_before_this_machine() -> None:
    with pytest.raises(NotLoopback), proxy("https://states.us-east-1.amazonaws.com"):
        pass


@pytest.mark.parametrize(("elapsed", "seconds"), [("00:07", 7), ("01:02:03", 3723), ("2-00:00:01", 172801)])
def test_the_age_of_a_process_as_ps_tells_it(elapsed: str, seconds: int) -> None:
    assert _seconds(elapsed) == seconds


def test_who_waits_for_an_answer_is_found_by_the_port_of_the_call() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as call:
        assert calling([os.getpid()], {call.getsockname()[1]}) == [os.getpid()]
    assert calling([os.getpid()], set()) == []


def test_the_table_counts_by_phase() -> None:
    history = History(ONE_RUN, ONE_TASK, (start("s", 9, 10, started=1), skipped("t", 5, 8)))
    outcome = Outcome(history, judge(history, {}), {"arn:t": Counter({"the name was taken": 2})})
    console = Console(width=80)
    with console.capture() as capture:
        console.print(table({"mine": ["job"], "others": ["other"]}, outcome))
    rows = [" ".join(line.split()) for line in capture.get().splitlines()]
    assert {"starts 2 0", "started 1", "skipped 1", "runs 1 0", "the name was taken 2", "overlaps 0 0", "lost 1 0"} <= {
        *rows
    }


def test_a_skip_is_told_by_its_kind() -> None:
    assert why_skipped("run-000041 has been running for 61 min, since 2026-11-23T18:00:00Z") == "a run was open"
    assert why_skipped("something new") == "something new"


def test_the_judge_finds_what_a_bypass_of_the_guard_does(stage: LocalStage) -> None:
    stage.ended(stage.start("bypassed"))
    stage.a_task("bypassed")
    start_run(stage, "bypassed", "run-000002")
    until(lambda: len(stage.live_tasks("bypassed")) == 2, within=20, what="two tasks at once")
    findings = [found for found in judge(truth.read(stage, Log()), {}) if found.job == "bypassed"]
    stage.finish("bypassed")
    assert {found.kind for found in findings} == {"overlap", "unfinished"}
    assert any(found.what.startswith("run-000001 and run-000002 were alive together") for found in findings)


@pytest.mark.long
def test_a_small_load_on_a_bad_day_overlaps_nowhere_and_loses_nothing() -> None:
    with start_emulator(wait_scale=WAIT_SCALE) as aws, local_stage(aws, name=STAGE, jobs=jobs_file()) as stage:
        outcome = stress(stage, plan(1, starts=18, seconds=6), lambda _: None, held=6, rounds=1, checkers=5)
    told = [f"{f.kind} of {f.job}: {f.what}\n" + "\n".join(story(outcome.history, f)) for f in outcome.findings]
    assert not told, "\n\n".join(told)
    assert len(outcome.history.starts) >= 24
    assert outcome.done["ListExecutions from the past"] > 0
