"""What `make bench` computes; what it measures is never tested by the clock."""

import json
from dataclasses import replace

import pytest

from chalicelib.decide.pace import Bucket
from guardctl.template import definition
from lab.bench import crowd, report
from lab.bench.alternatives import ARTICLE
from lab.bench.cold import Cold
from lab.bench.costs import RUN_TASK, START_EXECUTION, costs, shortest_path, to_the_task
from lab.bench.endpoint import account, answer
from lab.bench.warm import Warm
from lab.tokens import Tokens

CALLS = {"ListExecutions": 1, "ListTasks": 2}


# --- the top of the hour --------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_who_comes_all_at_once_is_refused_and_asks_again_and_paced_nobody_is() -> None:
    rushed, paced = (crowd.played(24, crowd.TOKYO, paced=each, minutes=1) for each in (False, True))
    assert rushed.refused > 0
    assert (paced.lost, paced.refused, paced.checks, paced.transitions) == (0, 0, 1, to_the_task())
    assert report.missed([paced, *(crowd.planned(jobs, crowd.TOKYO) for jobs in (100, 250))]) == []


@pytest.mark.thorough
def test_a_crowd_that_misses_its_goal_is_said_to() -> None:
    paced = crowd.planned(250, crowd.TOKYO)
    for missing in (replace(paced, lost=1), replace(paced, transitions=8), replace(paced, last=101)):
        assert report.missed([missing]) == ["250 in ap-northeast-1"]


def test_tokens_are_what_a_bucket_holds_and_then_what_comes_in() -> None:
    tokens = Tokens(Bucket(3, 2))
    assert [tokens.take(0) for _ in range(5)] == [True, True, True, False, False]
    assert [tokens.take(1) for _ in range(3)] == [True, True, False]
    assert [tokens.take(1_000) for _ in range(4)] == [True, True, True, False]
    assert (tokens.granted, tokens.refused) == (8, 4)


# --- per guarded run ------------------------------------------------------------------------------------------


def test_the_way_through_the_machines_is_the_start_that_meets_nobody() -> None:
    assert shortest_path(definition("guard"), START_EXECUTION)[-2:] == ("Start the run", "Started")
    assert shortest_path(definition("batch"), RUN_TASK)[-2:] == ("How does the task stand?", "Succeeded")
    assert len(shortest_path(ARTICLE, RUN_TASK)) == 5


def test_what_a_run_costs_beside_the_alternatives() -> None:
    """A run that judges its task has two transitions more than one that ends with it: both goals are missed, and said so."""
    ours, article, semaphore = costs(CALLS)
    assert (ours.transitions, article.transitions, semaphore.transitions) == (8, 5, 6)
    assert ours.dollars == pytest.approx(201, abs=1)
    assert semaphore.dollars == pytest.approx(151, abs=1)


# --- the endpoint and the document ----------------------------------------------------------------------------


def test_the_endpoint_answers_pages_newest_first() -> None:
    arn = f"arn:aws:states:us-east-1:{account(250, running=True)}:stateMachine:any"
    first = json.loads(answer("AWSStepFunctions.ListExecutions", arn, 100, None))
    last = json.loads(answer("AWSStepFunctions.ListExecutions", arn, 100, "200"))
    assert [first["executions"][0][key] for key in ("name", "status")] == ["run-000250", "RUNNING"]
    assert (len(first["executions"]), first["nextToken"]) == (100, "100")
    assert (last["executions"][-1]["name"], "nextToken" in last) == ("run-000001", False)


def test_the_document_says_which_goals_are_missed() -> None:
    warm = [Warm(1, 1, "skip", 1.0, 1.2, CALLS), Warm(100, 100, "skip", 3.0, 3.0, CALLS)]
    lost = crowd.Crowd("paced", "here", 3, 1, 1.0, 5.0, 1, 6, 0)
    text = report.document(
        "A machine.",
        warm,
        Cold(50, 200, 200, 5, 1.09, 1.05, 1.12),
        costs(CALLS),
        [lost],
    )
    assert "Goal missed: skip, history of 1." in text
    assert "Goal missed: 3 in here." in text
    assert text.count("Goal met.") == 1
