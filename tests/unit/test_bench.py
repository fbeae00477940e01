"""What `make bench` computes; what it measures is never tested by the clock."""

import json
from collections.abc import Generator
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from lab.bench import report, rush, settings
from lab.bench.alternatives import ARTICLE
from lab.bench.cold import Cold
from lab.bench.costs import RUN_TASK, START_EXECUTION, costs, machine, shortest_path
from lab.bench.delay import Delay
from lab.bench.endpoint import account, answer
from lab.bench.simulation import Bucket, Process, RetryQuota, World, botocore_call
from lab.bench.warm import Warm

CALLS = {"ListExecutions": 1, "ListTasks": 2}


# --- the simulation -------------------------------------------------------------------------------------------


def test_a_bucket_gives_what_it_holds_and_then_what_comes_in() -> None:
    bucket = Bucket(capacity=3, refill=2)
    assert [bucket.take(0) for _ in range(5)] == [True, True, True, False, False]
    assert [bucket.take(1) for _ in range(3)] == [True, True, False]
    assert (bucket.granted, bucket.refused) == (5, 3)


def test_a_bucket_never_holds_more_than_its_capacity() -> None:
    bucket = Bucket(capacity=3, refill=2)
    assert [bucket.take(1_000) for _ in range(4)] == [True, True, True, False]


def test_a_delayed_call_waits_for_the_next_free_token() -> None:
    bucket = Bucket(capacity=1, refill=2)
    assert [bucket.queue(0) for _ in range(3)] == [0, 0.5, 1.0]


def test_a_world_lets_processes_sleep_side_by_side() -> None:
    world, seen = World(Random(1)), []

    def process(name: str, sleep: float) -> Process[None]:
        for _ in range(2):
            yield sleep
            seen.append((name, world.now))

    world.start(process("slow", 3))
    world.start(process("quick", 1), after=0.5)
    world.run(until=5)
    assert seen == [("quick", 1.5), ("quick", 2.5), ("slow", 3)]


def outcome(call: Generator[float, None, bool]) -> tuple[bool, int]:
    """What a call came to, and how often it slept."""
    sleeps = 0
    while True:
        try:
            next(call)
        except StopIteration as end:
            return end.value, sleeps
        sleeps += 1


def test_a_throttled_call_is_tried_as_often_as_botocore_does() -> None:
    world, empty, quota = World(Random(1)), Bucket(0, 0), RetryQuota()
    done, sleeps = outcome(botocore_call(world, empty, quota, attempts=3, latency=0.03))
    assert (done, empty.refused, sleeps) == (False, 3, 5)
    assert quota.left == 490, "two retries of 5 each"


def test_a_client_whose_retry_quota_is_used_up_does_not_try_again() -> None:
    world, empty, quota = World(Random(1)), Bucket(0, 0), RetryQuota(left=4)
    outcome(botocore_call(world, empty, quota, attempts=3, latency=0.03))
    assert empty.refused == 1


# --- the settings ---------------------------------------------------------------------------------------------


def test_the_settings_are_those_of_the_deployed_files() -> None:
    """So that a change of a machine shows here, and the benchmark is run again."""
    read = settings.load()
    guard = machine("guard")["States"]
    retry: Any = guard["Check running executions"]["Retry"][-1]
    throttled = settings.first_match(read.check, "CantTell")
    assert throttled is not None
    assert (throttled.interval, throttled.attempts) == (retry["IntervalSeconds"], retry["MaxAttempts"])
    assert throttled.jitter == (retry["JitterStrategy"] == "FULL")
    assert str(int(read.again.longest)) in guard["Ask again later"]["Seconds"]
    assert (read.attempts, read.deadline) == (3, 7200)


def test_a_retrier_without_settings_has_those_of_the_states_language() -> None:
    (retrier,) = settings.retriers({"Retry": [{"ErrorEquals": ["States.ALL"]}]})
    assert [retrier.delay(retry, Random(1)) for retry in (1, 2, 3)] == [1, 2, 4]
    assert (retrier.attempts, retrier.jitter) == (3, False)


def test_the_first_retrier_that_fits_answers() -> None:
    never, always = settings.retriers(
        {"Retry": [{"ErrorEquals": ["Taken"], "MaxAttempts": 0}, {"ErrorEquals": ["States.ALL"]}]}
    )
    assert settings.first_match((never, always), "Taken") is never
    assert settings.first_match((never, always), "Other") is always
    assert settings.first_match((never,), "Other") is None


@pytest.mark.parametrize(("spent", "seconds"), [(0, 5), (49, 5), (200, 20), (9_999, 300)])
def test_the_wait_before_asking_again_is_a_tenth_of_the_time_spent(spent: float, seconds: float) -> None:
    assert settings.Waiting(shortest=5, longest=300, part=10).seconds(spent) == seconds


def test_an_expression_that_is_not_understood_is_an_error() -> None:
    with pytest.raises(settings.FormChanged, match="which the simulation does not understand"):
        settings.waiting("{% $random() %}")


# --- the top of the hour --------------------------------------------------------------------------------------

MUCH = (1_000_000.0, 1_000_000.0)
PLENTY = rush.Quotas("plenty", MUCH, MUCH, MUCH, MUCH, ecs_reads=MUCH, run_task=MUCH)
NO_LISTS = replace(PLENTY, region="no lists", list_executions=(0, 0.001))


def test_without_throttling_each_job_starts_once_and_costs_what_one_run_costs() -> None:
    deployed = settings.load()
    result = rush.simulate(300, PLENTY, deployed)
    assert (len(result.launched), result.lost_in_all, sum(result.refused.values())) == (300, 0, 0)
    assert result.checks == 300
    assert result.transitions == 300 * (costs(CALLS)[0].transitions)


def test_the_same_seed_tells_the_same_story() -> None:
    deployed = settings.load()
    one, two = (rush.simulate(200, rush.TOKYO, deployed, seed=7) for _ in range(2))
    assert (one.launched, one.refused) == (two.launched, two.refused)


def test_no_job_is_lost_while_the_quota_allows_all_of_them() -> None:
    assert rush.simulate(1_000, rush.TOKYO, settings.load()).lost_in_all == 0


def test_what_the_quota_does_not_allow_is_lost_by_name() -> None:
    result = rush.simulate(20, NO_LISTS, replace(settings.load(), deadline=600))
    assert (result.launched, result.lost) == ([], {"could not tell until its deadline": 20})


def test_by_names_a_start_needs_no_list() -> None:
    result = rush.simulate(20, NO_LISTS, settings.load(), protocol="names, kept")
    assert (len(result.launched), result.lost_in_all) == (20, 0)


def test_what_was_read_by_name_is_kept_only_by_the_protocol_that_keeps_it() -> None:
    """Two tokens a try: enough only for one who need not read all three names at once."""
    scarce = replace(NO_LISTS, describe_execution=(2, 0.01))
    deployed = settings.load()
    assert rush.simulate(1, scarce, deployed, protocol="names").lost_in_all == 1
    assert rush.simulate(1, scarce, deployed, protocol="names, kept").lost_in_all == 0


# --- per guarded run ------------------------------------------------------------------------------------------


def test_the_way_through_the_machines_is_the_start_that_meets_nobody() -> None:
    assert shortest_path(machine("guard"), START_EXECUTION)[-2:] == ("Start the run", "Started")
    assert shortest_path(machine("batch"), RUN_TASK)[-2:] == ("How does the task stand?", "Succeeded")
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
    lost = rush.Outcome(3, "here", "list", 7200, launched=[1.0, 5.0], refused=dict.fromkeys(REFUSED, 0))
    text = report.document(
        "A machine.",
        warm,
        [Cold("cached", 10, 200, 220)],
        costs(CALLS),
        [Delay("a tick", "batch-guard", 1, 0.5, 0.5)],
        [lost],
        settings.load(),
    )
    assert "Goal missed: skip, history of 1." in text
    assert "Goal missed: 1 of 3 in here." in text
    assert text.count("Goal met.") == 1


REFUSED = ("ListExecutions", "DescribeExecution", "StartExecution", "ListTasks", "RunTask")
