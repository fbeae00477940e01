"""What a run's newest events say that it is at."""

from typing import Any

import pytest

from guardctl.run_state import ROOM, waits_for_room
from tests.contracts.keys import definition

ENTERED: dict[str, Any] = {"type": "WaitStateEntered", "stateEnteredEventDetails": {"name": ROOM}}
FAILED = {"taskFailedEventDetails": {"error": "AmazonECS.Unknown", "cause": "RESOURCE:MEMORY"}}
SUBMIT_FAILED = {"taskSubmitFailedEventDetails": {"error": "ECS.ClientException", "cause": "capacity limit exceeded"}}
RUNS = {"stateEnteredEventDetails": {"name": "Run an ECS task and wait for it to complete"}}


@pytest.mark.parametrize(
    ("newest_first", "said"),
    [
        pytest.param([ENTERED, FAILED, RUNS], "AmazonECS.Unknown: RESOURCE:MEMORY", id="ECS has placed nothing"),
        pytest.param([ENTERED, SUBMIT_FAILED], "ECS.ClientException: capacity limit exceeded", id="ECS has refused"),
        pytest.param([ENTERED], "ECS has no room", id="the reason lies too far back"),
        pytest.param([RUNS, ENTERED, FAILED], None, id="it has gone on to try again"),
        pytest.param([], None, id="nothing is visible"),
    ],
)
def test_a_run_that_waits_for_room_says_what_ecs_has_answered(newest_first: list[Any], said: str | None) -> None:
    assert waits_for_room(newest_first) == said


def test_the_state_is_called_so_in_the_definition() -> None:
    assert definition("batch")["States"][ROOM]["Type"] == "Wait"
