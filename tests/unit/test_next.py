"""`guardctl next`: who will probably meet whom, in which minutes more start than the quotas take, and what is not known."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.config.jobs import JobsFile, parse
from chalicelib.decide.schedule import parse_schedule
from chalicelib.decide.usual import Usual
from chalicelib.names import waiting_machine
from guardctl import crowds, deployed, durations
from guardctl.commands.next import as_data, lines, unknown
from guardctl.differences import Written, compare
from guardctl.durations import Durations
from guardctl.meeting import Meeting, Pool, Running, Start, known, meetings
from guardctl.outlook import compared, outlook, reach
from guardctl.stage import Stage
from tests.days import DEFAULTS, GUARD, NOW, Times, staged

BEGIN = datetime(2026, 11, 26, tzinfo=UTC)
HOUR = timedelta(hours=1)
UTC_ZONE: Any = UTC


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def file(**jobs: str) -> JobsFile:
    """Jobs by name (underscores are hyphens), each its keys as TOML; `slots` are those of the pool p."""
    slots = jobs.pop("slots", "")
    tables = [f"[pools.p]\nslots = {slots}\n"] if slots else []
    for name, keys in jobs.items():
        job = name.replace("_", "-")
        tables.append(f'[jobs.{job}]\necs = {{ task_definition = "{job}" }}\n{keys}\n')
    return parse(DEFAULTS + "".join(tables), stage="dev", place="dev.toml")


def usual(median: float, p95: float | None = None, runs: int = 30) -> Usual:
    return Usual(minutes(median), minutes(median if p95 is None else p95), runs)


# --- who meets whom ---------------------------------------------------------------------------------------

SKIP, QUEUE, REPLACE = (f'pool = "p"\noverlap = "{each}"' for each in ("skip", "queue", "replace"))

# a's overlap, slots | minutes at which a and b start | how long they take (median, p95) | what meets
TABLE: list[tuple[str, str, str, list[float], list[float], dict[str, Usual], list[str]]] = [
    # what                              a        slots a's starts     b's starts how long                                    who meets
    ("before b's usual end",            SKIP,    "1",  [30],          [0],       {"b": usual(50, 52)},                       ["a 30 probably b steps back"]),
    ("between usual and p95",           SKIP,    "1",  [51],          [0],       {"b": usual(50, 52)},                       ["a 51 may b steps back"]),
    ("after b's p95",                   SKIP,    "1",  [53],          [0],       {"b": usual(50, 52)},                       []),
    ("as b ends",                       SKIP,    "1",  [52],          [0],       {"b": usual(50, 52)},                       []),
    ("within grace of b's end",         SKIP,    "1",  [51.9],        [0],       {"b": usual(50, 52)},                       []),
    ("nobody knows how long b takes",   SKIP,    "1",  [30],          [0],       {},                                         []),
    ("itself",                          SKIP,    "1",  [0, 5, 10],    [],        {"a": usual(7)},                            ["a 5 probably a steps back"]),
    ("itself, at times",                SKIP,    "1",  [0, 5, 10],    [],        {"a": usual(3, 7)},                         ["a 5 may a steps back"]),
    ("a second slot is free",           SKIP,    "2",  [30],          [0],       {"b": usual(50)},                           []),
    ("both slots are held",             SKIP,    "2",  [10, 20],      [0],       {"a": usual(60), "b": usual(50)},           ["a 20 probably b+a steps back"]),
    ("one waits",                       QUEUE,   "1",  [30],          [0],       {"b": usual(50)},                           ["a 30 probably b waits"]),
    ("one waits, the next does not",    QUEUE,   "1",  [30, 40],      [0],       {"b": usual(50)},                           ["a 30 probably b waits", "a 40 probably b steps back"]),
    ("who waited is in the way then",   QUEUE,   "1",  [30, 60],      [0],       {"a": usual(20), "b": usual(50)},           ["a 30 probably b waits", "a 60 probably a waits"]),
    ("who gave up is not",              QUEUE,   "1",  [30, 130],     [0],       {"a": usual(20), "b": usual(120)},          ["a 30 probably b waits"]),
    ("its own run is replaced",         REPLACE, "1",  [0, 5, 10],    [],        {"a": usual(7)},                            ["a 5 probably a replaces it", "a 10 probably a replaces it"]),
    ("a neighbour's is not",            REPLACE, "1",  [30],          [0],       {"b": usual(50)},                           ["a 30 probably b steps back"]),
]  # fmt: skip


@pytest.mark.parametrize(("overlap", "slots", "of_a", "of_b", "takes", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])  # fmt: skip
def test_who_meets_whom(
    overlap: str, slots: str, of_a: list[float], of_b: list[float], takes: dict[str, Usual], expected: list[str]
) -> None:
    jobs = file(a=overlap, b='pool = "p"', slots=slots).jobs
    starts = [_start("a", each) for each in of_a] + [_start("b", each) for each in of_b]
    met = meetings(Pool(jobs, int(slots)), starts, takes)
    assert [_row(start, meeting) for start, meeting in met.items()] == expected


def _start(job: str, minute: float) -> Start:
    at = BEGIN + minutes(minute)
    return Start(at, job, at)


def _row(start: Start, met: Meeting) -> str:
    verb = "probably" if met.probably else "may"
    return f"{start.job} {(start.at - BEGIN) / minutes(1):g} {verb} {'+'.join(met.others)} {met.then}"


def test_a_run_in_progress_is_met_until_it_has_taken_as_long_as_runs_do() -> None:
    pool = Pool(file(a=SKIP, b='pool = "p"').jobs, 1, (Running("b", BEGIN - minutes(40)),))
    met = meetings(pool, [_start("a", 5), _start("a", 11), _start("a", 20)], {"b": usual(50, 52)})
    assert [_row(*each) for each in met.items()] == ["a 5 probably b steps back", "a 11 may b steps back"]


def test_the_words_say_from_how_many_runs() -> None:
    takes = {"hourly-import": usual(50, 52), "report": usual(3, 7, runs=12)}
    assert Meeting(("hourly-import",), "steps back", True).told("report", takes) == (
        "probably meets hourly-import (p95 52 min, from 30 runs) and steps back"
    )
    assert Meeting(("report",), "waits", False).told("report", takes) == (
        "may meet its own run (p95 7 min, from 12 runs) and wait"
    )


def test_of_fewer_than_five_runs_nothing_is_said() -> None:
    assert known({"a": usual(1, runs=5), "b": usual(1, runs=4), "c": None}).keys() == {"a"}


@given(
    starts=st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 300)), max_size=30, unique=True),
    slots=st.integers(1, 3),
    lengths=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    overlap=st.sampled_from([SKIP, QUEUE, REPLACE]),
)
def test_nobody_meets_anybody_before_the_slots_are_held(
    starts: list[tuple[str, int]], slots: int, lengths: tuple[int, int], overlap: str
) -> None:
    jobs = file(a=overlap, b=overlap).jobs
    met = meetings(
        Pool(jobs, slots), [_start(*each) for each in starts], dict(zip("ab", map(usual, lengths), strict=True))
    )
    for start, meeting in met.items():
        before = [other for other in met | {_start(*each): None for each in starts} if other < start]
        assert len(before) >= slots
        assert {other.job for other in before} >= set(meeting.others)
        assert meeting.probably, "the median is the p95 here"


# --- crowds -----------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_a_crowd_says_who_is_late_and_who_is_held_back_and_comes_once_for_all_its_days() -> None:
    jobs = {f"j{n:03}": 'schedule = "0 3 * * *"' for n in range(250)}
    every = file(**jobs, last='schedule = "0 3 * * *"\nstart_deadline = "1m"')
    seen = outlook(every, every.jobs.values(), "ap-northeast-1", BEGIN, BEGIN + timedelta(days=7), Durations())
    assert len(seen.crowds) == 7
    first = seen.crowds[0]
    assert (first.minute, first.starts, first.held_back) == (BEGIN + minutes(180), 251, ("last",))
    job, late = first.late[-1]
    assert job == "j249"
    assert timedelta(seconds=80) < late < timedelta(seconds=90)
    assert [*crowds.lines(seen.crowds, UTC_ZONE)] == [
        (
            "2026-11-26 03:00 (and at this time of 6 more days): 251 start, "
            f"{len(first.late)} of them after that minute: the last, j249, {round(late.total_seconds())} s late, held back: last"
        )
    ]
    (last,) = [each for each in seen.of("last") if each.scheduled == first.minute]
    assert last.held_back.startswith("held back until its start_deadline had passed")


def test_few_jobs_are_no_crowd() -> None:
    every = file(a='schedule = "* * * * *"', b='schedule = "*/5 * * * *"')
    assert outlook(every, every.jobs.values(), "", BEGIN, BEGIN + timedelta(hours=2), Durations()).crowds == ()


def test_a_stage_with_too_many_times_a_day_is_looked_at_for_fewer_days() -> None:
    assert reach(file(a='schedule = "* * * * *"'), BEGIN, 31) == 31
    assert reach(file(**{f"j{n}": 'schedule = "* * * * *"' for n in range(8)}), BEGIN, 31) == 8


# --- the lines --------------------------------------------------------------------------------------------

WEEK = file(
    hourly_import='schedule = "0 * * * *"\npool = "p"',
    report='schedule = "30 3 * * *"\npool = "p"',
    tried='schedule = "0 4 * * *"\nenabled = "shadow"',
    rests='schedule = "0 5 * * *"\nenabled = false',
    by_hand="",
)
FOUND = Durations({"hourly-import": usual(50, 52), "report": usual(1, runs=3)})


def test_next_shows_times_in_order_and_counts_what_it_leaves_out() -> None:
    jobs = [*WEEK.jobs.values()]
    seen = outlook(WEEK, jobs, "", BEGIN, BEGIN + timedelta(days=2), FOUND)
    assert [*lines(jobs, seen, FOUND, UTC_ZONE, 1)] == [
        "Thu 2026-11-26 00:00  hourly-import",
        "Thu 2026-11-26 03:30  report         probably meets hourly-import (p95 52 min, from 30 runs) and steps back",
        "Thu 2026-11-26 04:00  tried          in shadow: starts nothing",
        "hourly-import: 47 more, until 2026-11-27 23:00",
        (
            "report: 1 more, until 2026-11-27 03:30; "
            "2 of 2 probably meet hourly-import (p95 52 min, from 30 runs) (steps back)"
        ),
        "tried: 1 more, until 2026-11-27 04:00",
        "rests: disabled",
        "by-hand: by hand only",
    ]
    assert [*unknown(jobs, jobs, FOUND)] == [
        "fewer than 5 runs that succeeded are known, so who would meet it is not said: report, tried, rests, by-hand"
    ]


def test_scripts_have_every_time_and_what_it_meets() -> None:
    jobs = [WEEK.jobs["report"], WEEK.jobs["tried"]]
    until = BEGIN + timedelta(days=1)
    seen = outlook(WEEK, WEEK.jobs.values(), "", BEGIN, until, FOUND)
    data = as_data(jobs, seen, FOUND, until)
    assert data["times"] == [
        {
            "job": "report",
            "scheduled_at": "2026-11-26T03:30:00Z",
            "sent_at": "2026-11-26T03:30:00Z",
            "marks": [],
            "held_back": None,
            "meets": ["hourly-import"],
            "probably": True,
            "then": "steps back",
        },
        {
            "job": "tried",
            "scheduled_at": "2026-11-26T04:00:00Z",
            "sent_at": "2026-11-26T04:00:00Z",
            "marks": ["in shadow: starts nothing"],
            "held_back": None,
            "meets": [],
            "probably": None,
            "then": None,
        },
    ]
    assert {name: each["enough"] for name, each in data["durations"].items()} == {
        "hourly-import": True,
        "report": False,
    }


def test_a_changed_schedule_says_what_it_meets_before_and_after_and_what_its_neighbours_do() -> None:
    later = replace(WEEK.jobs["report"], schedules=(parse_schedule("58 3 * * *"),))
    after = replace(WEEK, jobs={**WEEK.jobs, "report": later})
    found = Durations({"hourly-import": usual(50, 52), "report": usual(10, runs=6)})
    until = BEGIN + timedelta(days=1)
    assert compared(WEEK, after, "", BEGIN, until, found) == [
        (
            "hourly-import: until 2026-11-27T00:00:00Z: meets nobody → "
            "1 of 24 probably meet report (p95 10 min, from 6 runs) (steps back)"
        ),
        (
            "report: until 2026-11-27T00:00:00Z: "
            "1 of 1 probably meet hourly-import (p95 52 min, from 30 runs) (steps back) → meets nobody"
        ),
    ]
    assert compared(WEEK, WEEK, "", BEGIN, until, found) == []
    assert compared(WEEK, after, "", BEGIN, until, Durations()) == []


# --- how long runs take -----------------------------------------------------------------------------------

SHARED = """
[jobs.nightly]
schedule = "0 3 * * *"
ecs = { task_definition = "nightly" }
[jobs.import]
pool = "warehouse"
schedule = "*/5 * * * *"
ecs = { task_definition = "import" }
[jobs.close]
pool = "warehouse"
schedule = "2 18 * * *"
ecs = { task_definition = "close" }
"""


def test_a_call_for_each_machine_tells_how_long_each_jobs_own_runs_take() -> None:
    aws, stage = staged(SHARED)
    pool = Times(aws, stage, "import")
    for n in range(10, 0, -1):
        pool.ran(NOW.replace(second=0) - minutes(5 * n), 2)
    close = Times(aws, stage, "close")
    close.runs = pool.runs
    for day in range(6, 0, -1):
        close.ran(NOW.replace(hour=18, minute=2, second=0) - timedelta(days=day), 40)
    alone = Times(aws, stage, "nightly")
    for day in range(6, 0, -1):
        alone.ran(NOW.replace(hour=3, minute=0, second=0) - timedelta(days=day), 10 + day)
    found = durations.read(stage, stage.file.jobs.values(), NOW)
    assert found.usual == {
        "nightly": usual(13, 16, runs=6),
        "import": usual(2, runs=10),
        "close": usual(40, runs=6),
    }
    assert aws.calls == {"ListExecutions": 4}, "the guard's, who waits, and a machine for each pool"


def test_a_rare_job_of_a_busy_pool_is_found_by_the_names_of_its_last_times() -> None:
    aws, stage = staged(SHARED)
    close = Times(aws, stage, "close")
    for day in range(6, 0, -1):
        close.ran(NOW.replace(hour=18, minute=2, second=0) - timedelta(days=day), 40)
    machine = stage.machine("close")
    aws.machines[machine] = []  # its neighbours' runs have taken the page
    found = durations.read(stage, stage.file.jobs.values(), NOW)
    assert found.usual["close"] == usual(40, runs=6)


@pytest.mark.thorough
def test_diff_asks_for_durations_only_where_times_change() -> None:
    aws, stage = staged(SHARED)
    close = Times(aws, stage, "close")
    for day in range(6, 0, -1):
        close.ran(NOW.replace(hour=18, minute=2, second=0) - timedelta(days=day), 40)
    before = parse(DEFAULTS + SHARED.replace('"2 18 * * *"', '"0 12 1 1 *"'), stage="dev", place="dev.toml")

    def asked(old: JobsFile) -> tuple[str, ...]:
        found = compare(Written(old, ""), Written(stage.file, ""), NOW)
        return deployed.who_meets(stage, old, found, NOW)

    assert asked(stage.file) == ()
    assert aws.calls == {}
    assert asked(before) == (
        (
            "import: until 2026-12-01T00:00:30Z: meets nobody → "
            "56 of 2016 probably meet close (p95 40 min, from 6 runs) (steps back)"
        ),
    )
    assert aws.calls["ListExecutions"] == 3, "the guard's, who waits, and the pool's machine"


def test_a_run_in_progress_is_told_with_its_job() -> None:
    aws, stage = staged(SHARED)
    began = NOW.replace(second=0) - minutes(10)
    Times(aws, stage, "import").ran(began, 0, status="RUNNING")
    found = durations.read(stage, stage.file.jobs.values(), NOW)
    assert found.running["warehouse"] == (Running("import", began + timedelta(seconds=1)),)


def test_a_paused_job_is_named() -> None:
    aws, stage = staged(SHARED)
    aws.add(stage.machine("nightly"), "paused-000001", "RUNNING", NOW - HOUR, 0)
    aws.add(waiting_of(stage), "close-paused-00000000000a", "RUNNING", NOW - HOUR, 0)
    found = durations.read(stage, stage.file.jobs.values(), NOW)
    assert found.paused == {"nightly", "close"}
    jobs = [stage.file.jobs["close"]]
    seen = outlook(stage.file, jobs, "", BEGIN, BEGIN + HOUR, found)
    assert [*lines(jobs, seen, found, UTC_ZONE, 1)][-1] == "close: paused now, and its starts step back until that ends"


def waiting_of(stage: Stage) -> str:
    """The ARN of the machine of who waits for a shared pool."""
    return GUARD.replace(GUARD.rpartition(":")[2], waiting_machine(stage.name))


def test_what_can_not_be_read_is_said_of_its_pool_and_the_others_stand() -> None:
    aws, stage = staged(SHARED)
    for day in range(6, 0, -1):
        Times(aws, stage, "nightly").ran(NOW.replace(second=0) - timedelta(days=day), 10)
    aws.refused.add(stage.machine("import"))
    jobs = [*stage.file.jobs.values()]
    found = durations.read(stage, jobs, NOW)
    assert found.usual.keys() == {"nightly", "import", "close"}
    assert [job for job, each in found.usual.items() if each] == ["nightly"]
    (said,) = unknown(jobs, jobs, found)
    assert said.startswith("nobody could say how long runs of warehouse take: ")
    assert "states:ListExecutions" in said


def test_what_is_not_deployed_is_one_line_however_many_jobs_it_has() -> None:
    jobs = [WEEK.jobs["tried"], WEEK.jobs["by-hand"]]
    found = Durations(missing={"tried": "not deployed", "by-hand": "not deployed", "elsewhere": "not deployed"})
    assert [*unknown(jobs, jobs, found)] == ["nobody could say how long runs of tried, by-hand take: not deployed"]


def test_without_credentials_there_are_times_and_a_reason_why_there_is_no_more() -> None:
    aws, stage = staged(SHARED)

    def nobody(**_: Any) -> Any:
        raise NoCredentialsError

    del vars(stage)["_identity"]
    vars(aws)["get_caller_identity"] = nobody
    jobs = [*stage.file.jobs.values()]
    found = durations.read(stage, jobs, NOW)
    (said,) = unknown(jobs, jobs, found)
    assert said.startswith("who meets whom is not known, since nobody could say how long runs take: no AWS credentials")
    seen = outlook(stage.file, jobs, "", BEGIN, BEGIN + timedelta(hours=1), found)
    assert len(seen.times) == 12


def test_a_start_that_waited_for_its_pool_has_its_run() -> None:
    aws, stage = staged(SHARED)
    waiting = waiting_of(stage)
    machine = stage.machine("close")
    for day in range(6, 0, -1):
        at = NOW.replace(hour=18, minute=2, second=0) - timedelta(days=day)
        aws.add(waiting, f"close-waits-{day:012x}", "SUCCEEDED", at, 600, output=json.dumps({"outcome": "started"}))
        aws.add(machine, f"run-{7 - day:06d}", "SUCCEEDED", at + minutes(9), 1200)
    found = durations.read(stage, stage.file.jobs.values(), NOW)
    assert found.usual["close"] == usual(20, runs=6)
