"""Names: each kind has one spelling, and it goes both ways."""

from datetime import UTC, datetime, timedelta
from string import ascii_lowercase, digits
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.names import (
    FUNCTIONS,
    LONGEST_NAME,
    MOST_SLOTS,
    GuardName,
    Told,
    batch_machine,
    by_hand_name,
    execution_arn,
    function_name,
    guard_machine,
    machine_arn,
    parse_guard_name,
    parse_told_name,
    pause_name,
    pause_number,
    pool_pause_name,
    pool_waiter_name,
    renewal_name,
    repetition_name,
    run_name,
    run_number,
    scheduled_name,
    stage_of_function,
    told_name,
    waiter_name,
    waiting_machine,
    waits_after,
)
from tests.properties import examples


@given(st.integers(min_value=1, max_value=10**12))
def test_a_run_name_says_its_number(number: int) -> None:
    assert run_number(run_name(number)) == number


@given(st.integers(min_value=1, max_value=10**12))
def test_a_pause_is_not_a_run_and_a_run_not_a_pause(number: int) -> None:
    assert pause_number(pause_name(number)) == number
    assert run_number(pause_name(number)) is None
    assert pause_number(run_name(number)) is None


@given(st.integers(min_value=0, max_value=10**12), st.integers(min_value=1, max_value=99))
def test_a_waiters_name_says_behind_which_run_it_waits(latest: int, turn: int) -> None:
    assert waits_after(waiter_name("nightly-report", latest, turn)) == (latest, turn)


@pytest.mark.parametrize(
    "name",
    [
        "nightly-report-20261123T1800Z",
        "nightly-after-run-000041",
        "nightly-after-run-41-1",
        "nightly-after-run-000041-0",
        "after-run-000041-1",
    ],
)
def test_who_does_not_wait_has_another_name(name: str) -> None:
    assert waits_after(name) is None


# Digits of every script, as \d has them.
DIGITS = st.text(st.characters(categories=["Nd"]), min_size=1, max_size=9)


@given(st.text(max_size=20) | DIGITS.map("run-{}".format))
def test_no_other_spelling_is_a_run(name: str) -> None:
    number = run_number(name)
    assert number is None or run_name(number) == name


@pytest.mark.parametrize(
    "name", ["run-42", "run-0000042", "run-000000", "Run-000042", "run-000042 ", "run-００００４２", "run-000042\n"]
)
def test_near_misses_are_not_runs(name: str) -> None:
    assert run_number(name) is None


def test_numbers_sort_past_a_million_as_numbers() -> None:
    assert [run_number(name) for name in ("run-999999", "run-1000000")] == [999_999, 1_000_000]


def test_a_machine_stands_beside_its_function_in_any_partition() -> None:
    function = "arn:aws-cn:lambda:cn-north-1:123456789012:function:batch-guard-dev-check"
    machine = machine_arn(function, "batch-guard-dev-nightly-report")
    assert machine == "arn:aws-cn:states:cn-north-1:123456789012:stateMachine:batch-guard-dev-nightly-report"
    assert execution_arn(machine, "run-000042").endswith(":execution:batch-guard-dev-nightly-report:run-000042")


# [a-z][a-z0-9]{0,9}(-[a-z0-9]{1,9}){0,3}, put together: drawn from the pattern, a name costs twenty times as much.
ALSO_DIGITS = ascii_lowercase + digits
JOB_NAMES = st.builds(
    lambda first, rest, parts: "-".join((first + rest, *parts)),
    st.sampled_from(ascii_lowercase),
    st.text(ALSO_DIGITS, max_size=9),
    st.lists(st.text(ALSO_DIGITS, min_size=1, max_size=9), max_size=3),
)
MINUTES_EVER = st.integers(-50_000_000, 4_000_000_000).map(
    lambda n: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=n)
)
AT = datetime(2026, 11, 23, 18, tzinfo=UTC)
HOUR = timedelta(hours=1)


@given(JOB_NAMES, MINUTES_EVER, st.integers(1, 99))
def test_a_guard_executions_name_says_whose_it_is_and_for_when(job: str, time: datetime, number: int) -> None:
    scheduled = scheduled_name(job, time)
    assert parse_guard_name(scheduled) == GuardName(job, "scheduled", time)
    assert scheduled_name(job, time.astimezone(ZoneInfo("Asia/Tokyo"))) == scheduled
    assert parse_guard_name(repetition_name(job, time, number)) == GuardName(job, "repetition", time)
    assert parse_guard_name(by_hand_name(job, "0a1b2c3d4e5f")) == GuardName(job, "by hand")
    assert parse_guard_name(waiter_name(job, 41, number)) == GuardName(job, "waiter", after=41, turn=number)
    if 1 <= time.year <= 9999:
        assert parse_guard_name(renewal_name(job, AT)) == GuardName(job, "renewal")


@given(JOB_NAMES, st.integers(1, MOST_SLOTS), st.text(max_size=20))
def test_a_pools_names_say_whose_they_are_and_that_they_wait_behind_no_run(job: str, slot: int, asked: str) -> None:
    waiter = pool_waiter_name(job, asked)
    assert parse_guard_name(waiter) == GuardName(job, "waiter")
    assert waits_after(waiter) is None
    assert parse_guard_name(pool_pause_name(job, "0a1b2c3d4e5f")) == GuardName(job, "pause")
    assert parse_guard_name(renewal_name(job, AT, slot)) == GuardName(job, "renewal")
    longest = "j" * (LONGEST_NAME - len(repetition_name("", AT, 99)))
    assert len(pool_waiter_name(longest, asked)) <= LONGEST_NAME
    assert len(renewal_name(longest, AT, slot)) <= LONGEST_NAME


def test_each_start_of_a_pool_has_one_waiter_and_another_start_another() -> None:
    first, second = (execution_arn("arn:x:stateMachine:guard", scheduled_name("report", AT + n * HOUR)) for n in (0, 1))
    assert pool_waiter_name("report", first) == pool_waiter_name("report", first)
    assert len({pool_waiter_name(job, start) for job in ("report", "import") for start in (first, second)}) == 4


def test_each_slot_has_a_machine_and_its_renewals_names_of_their_own() -> None:
    assert [batch_machine("dev", "warehouse", slot) for slot in (1, 2, 9)] == [
        "batch-guard-dev-warehouse",
        "batch-guard-dev-warehouse--2",
        "batch-guard-dev-warehouse--9",
    ]
    assert [renewal_name("report", AT, slot) for slot in (1, 2)] == [
        "report-renewal-20261123",
        "report-renewal-20261123-2",
    ]


@given(st.lists(st.tuples(JOB_NAMES, st.integers(1, MOST_SLOTS)), min_size=2, unique=True))
def test_no_pools_slot_is_anothers_nor_another_machine(slots: list[tuple[str, int]]) -> None:
    machines = [batch_machine("dev", pool, slot) for pool, slot in slots]
    assert len({*machines, guard_machine("dev"), waiting_machine("dev")}) == len(slots) + 2


@settings(max_examples=examples(50), deadline=None)
@given(JOB_NAMES, JOB_NAMES, MINUTES_EVER, MINUTES_EVER)
def test_different_starts_have_different_names(one: str, other: str, time: datetime, later: datetime) -> None:
    same = (one, time) == (other, later)
    assert (scheduled_name(one, time) == scheduled_name(other, later)) is same


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("run-000042", id="a run"),
        pytest.param("nightly-report", id="a job"),
        pytest.param("nightly-20261323T1800Z", id="month 13"),
        pytest.param("nightly-20261123T1860Z", id="minute 60"),
        pytest.param("nightly-20261123T180000Z", id="with seconds"),
        pytest.param("nightly-20261123T1800", id="without a zone"),
        pytest.param("nightly-20261123T1800Z-by-hand-0", id="no repetition"),
        pytest.param("nightly-by-hand-1", id="neither a repetition nor a token"),
        pytest.param("nightly-renewal-202612", id="a renewal of a month"),
        pytest.param("nightly-renewal-20261201-1", id="a renewal of a first slot that says so"),
        pytest.param("nightly-renewal-20261201-10", id="a renewal of a tenth slot"),
        pytest.param("nightly-waits-0123", id="a waiter with too short a token"),
        pytest.param("nightly-waits-0123456789AB", id="a waiter in upper case"),
        pytest.param("nightly-paused-000001", id="a pause with a number: a batch machine has those"),
        pytest.param("Nightly-20261123T1800Z", id="upper case"),
        pytest.param("nightly--20261123T1800Z", id="a double hyphen"),
        pytest.param("-20261123T1800Z", id="no job"),
        pytest.param("nightly-20261123T1800Z\n", id="a line end after it"),
        pytest.param("nightly-٢٠٢٦١١٢٣T١٨٠٠Z", id="digits of another script"),
        pytest.param("0f8fad5b-d9cb-469f-a165-70867728950e", id="a start in the console"),
    ],
)
def test_other_names_are_nobodys(name: str) -> None:
    assert parse_guard_name(name) is None


def test_a_job_whose_name_begins_with_anothers_keeps_its_own() -> None:
    named = parse_guard_name("report-by-hand-20261123T1800Z")
    assert named == GuardName("report-by-hand", "scheduled", AT)


@pytest.mark.parametrize(
    "time",
    [
        pytest.param(datetime(2026, 11, 23, 18), id="no zone"),  # noqa: DTZ001 the point
        pytest.param(AT + timedelta(seconds=1), id="seconds"),
        pytest.param(AT + timedelta(microseconds=1), id="microseconds"),
    ],
)
def test_only_a_whole_minute_with_a_zone_has_a_name(time: datetime) -> None:
    with pytest.raises(ValueError, match="whole minute with a zone"):
        scheduled_name("nightly", time)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_functions_name_says_its_stage(function: str) -> None:
    assert stage_of_function(function_name("dev2", function)) == "dev2"  # type: ignore[arg-type]  # a loop's str
    assert stage_of_function(f"other-dev-{function}") is None


@pytest.mark.parametrize(
    ("job", "kind", "name"),
    [
        ("nightly-report", "failed", "told-nightly-report-failed-20261123T18"),
        ("nightly-report", "not_started", "told-nightly-report-not_started-20261123T18"),
        ("failed", "late", "told-failed-late-20261123T18"),
        (None, "not_started", "told--not_started-20261123T18"),
    ],
)
def test_what_is_told_has_one_name_an_hour_which_is_read_back(job: str | None, kind: Told, name: str) -> None:
    assert {told_name(job, kind, datetime(2026, 11, 23, 18, minute, tzinfo=UTC)) for minute in (0, 59)} == {name}
    assert parse_told_name(name) == (job, kind)
    assert parse_told_name(f"{name}-2") is None
