"""The definitions and the contract say the same keys. A rename on one side, whichever, fails here: no emulator."""

import json
import re
from typing import Any

import pytest

from chalicelib import contract
from chalicelib.decide import decisions
from chalicelib.names import pause_number, run_name, run_number
from tests.contracts.keys import definition, faults

GUARD, BATCH = definition("guard"), definition("batch")


def test_the_definitions_and_the_contract_say_the_same() -> None:
    assert faults(GUARD, BATCH) == []


def renamed(machine: dict[str, Any], key: str) -> dict[str, Any]:
    """The definition with a key called otherwise, wherever it is written or read."""
    text = json.dumps(machine)
    text, count = re.subn(rf"(?<=[.'\"$]){key}(?=['\"\s:.=,;)\]&]|$)", f"{key}_renamed", text)
    assert count, key
    parsed: dict[str, Any] = json.loads(text)
    return parsed


GUARD_KEYS = ["version", "execution", "started", "waited", "losses", "claim", "taken", "place_taken", "place_asked", "stopping", "cluster", "stopped_at", "forged", "deadline", "outcome", "error", "holder", "next_run", "state_machine_arn", "run", "wait_seconds", "waiter", "waiter_input", "on_skip", "would_have", "guard_execution"]  # fmt: skip
BATCH_KEYS = ["run", "renewal", "task", "target", "timeout", "retries", "deadline", "paused", "container", "cluster", "task_of", "since", "error", "cause", "arn", "last_status", "exit_code", "stop_code", "stopped_reason", "tasks"]  # fmt: skip


@pytest.mark.parametrize("key", GUARD_KEYS)
def test_a_key_of_the_guard_that_is_renamed_on_one_side_is_found(key: str) -> None:
    assert faults(renamed(GUARD, key), BATCH)


@pytest.mark.parametrize("key", BATCH_KEYS)
def test_a_key_of_the_batch_machine_that_is_renamed_on_one_side_is_found(key: str) -> None:
    assert faults(GUARD, renamed(BATCH, key))


def test_the_outcomes_of_the_contract_are_those_that_are_decided() -> None:
    kinds = (decisions.Run, decisions.Started, decisions.Wait, decisions.Queue, decisions.Queued, decisions.StopRun, decisions.StopTask, decisions.Skip, decisions.WouldHave)  # fmt: skip
    assert {kind.outcome for kind in kinds} | {"refuse"} == set(contract.OBEYED)


def test_five_minutes_by_hand_are_the_same_on_both_sides() -> None:
    (again,) = [c for c in GUARD["States"]["Can asking again help?"]["Choices"] if c["Next"] == "Ask again later"]
    assert re.findall(r"\$by_hand := .*?\+ (\d+)\)", again["Condition"]) == [
        str(int(contract.BY_HAND.total_seconds() * 1000))
    ]


@pytest.mark.parametrize(("number", "name"), [(1, "run-000001"), (999_999, "run-999999"), (1_000_000, "run-1000000")])
def test_a_runs_name_has_one_form_on_both_sides(number: int, name: str) -> None:
    assert (run_name(number), run_number(name)) == (name, number)
    forms = set(re.findall(r"/\^(?:run|paused)-[^/]*/", json.dumps(BATCH)))
    assert {form.replace("paused", "run") for form in forms} == {"/^run-[0-9]{6,}$/"}
    assert all(re.fullmatch(form.strip("/"), name) for form in forms if "run" in form)
    assert pause_number(name.replace("run", "paused")) == number
