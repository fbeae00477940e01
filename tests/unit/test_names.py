"""Run names: one spelling, and it goes both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.names import (
    execution_arn,
    machine_arn,
    pause_name,
    pause_number,
    run_name,
    run_number,
    waiter_name,
    waits_after,
)


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


@given(st.text(max_size=20) | st.from_regex(r"run-\d{1,9}", fullmatch=True))
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
