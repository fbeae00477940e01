"""The model of ``make verify``: that it is the state machine's own, and that it finds what is there."""

import json
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from lab.verify.__main__ import main
from lab.verify.asl import Asl
from lab.verify.checker import RealChecker
from lab.verify.explore import UNREACHABLE, Explorer, Scenario
from lab.verify.machine import CHECK, OTHER, RENEWAL, SCHEDULE, SHADOW, TOLD, UNLUCKY, Guard, Machine
from lab.verify.mutants import MUTANTS, Mutant
from lab.verify.ours import Ours
from lab.verify.report import page, uncaught, violations
from lab.verify.rivals import Article, CountRunning, LockWithTtl, OldestWins, Rival, Semaphore, TwoLists
from lab.verify.run import CALM, DOCUMENTED, explorations
from lab.verify.scenarios import HISTORIES, MEET, NOBODY, NOTHING, ORPHAN, RUN, SCENARIOS, of_pool
from lab.verify.world import BESIDE, CLEARED, JOINED, MANY, OVERLAP, REPLACED, STARTS, TWO_TASKS, Features
from lab.verify.world import LOST as NOBODY_RAN

pytestmark = [pytest.mark.thorough, pytest.mark.long]


def scenario(
    features: Features, *kinds: str, history: str = NOBODY, aborts: int = 0, rests: int = 0, mishaps: int = MANY
) -> Scenario:
    world = HISTORIES[history]._replace(aborts_left=aborts, restless=rests, mishaps=mishaps)
    return Scenario("", kinds, history, of_pool(world, features), replace(features, renewals=RENEWAL in kinds))


CALM_POOL = replace(CALM, slots=2)

# What together takes every transition that the state machine has.
TOUR = (
    scenario(replace(NOTHING, crashes=True, lost_replies=True, failures=True), SCHEDULE, SCHEDULE, history=RUN),
    scenario(replace(MEET, misfits=True), SCHEDULE, SCHEDULE),
    scenario(NOTHING, RENEWAL, SCHEDULE, rests=2),
    scenario(NOTHING, UNLUCKY, SCHEDULE, SCHEDULE),
    scenario(replace(NOTHING, lost_replies=True, overlap="queue"), SCHEDULE, SCHEDULE, mishaps=1),
    scenario(replace(NOTHING, lost_replies=True, overlap="replace"), SCHEDULE, SCHEDULE, mishaps=1),
    scenario(replace(NOTHING, pauses=True), RENEWAL, SCHEDULE),
    scenario(MEET, SHADOW, SCHEDULE),
    scenario(replace(MEET, misfits=True), TOLD, history=RUN),
    scenario(NOTHING, RENEWAL, TOLD, rests=2),
)


@cache
def checker(features: Features) -> RealChecker:
    """One for all scenarios in which it is asked of the same jobs: what it answered once, it answers again."""
    return RealChecker(features)


def ours(features: Features, asl: Asl | None = None) -> Ours:
    """Our own guard, with a checker that other explorations have asked before."""
    asked = {name: getattr(features, name) for name in ("overlap", "orphans", "slots", "neighbour", "short_pages")}
    return Ours(features, checker(replace(NOTHING, **asked)), asl)


def test_the_steps_of_the_model_are_the_transitions_of_guard_asl_json_and_none_does_wrong() -> None:
    asl = Asl()
    for start in TOUR:
        found = Explorer(ours(start.features, asl), start).explore()
        assert (found.complete, found.stories) == (True, {})
    # A time that is passed over asks nobody, and meets nobody: two steps, whatever the others do.
    guards = Machine(Features(), asl=asl)
    for kind, ways in ((SCHEDULE, ["Passed over"]), (TOLD, ["Tell", "Passed over"])):
        told = Guard(kind=kind, given=json.dumps({"verdict": {"error": "HeldBack", "reason": "held back"}}))
        after, given = asl.fail(CHECK, "States.QueryEvaluationError", guards.error(told, "States.QueryEvaluationError"))
        for end in ways:
            states = guards.states(told._replace(input=json.dumps(given)))
            assert [target for target, _ in asl.choose(after, states)] == [end]
            if end == "Tell":
                after, given = asl.succeed(end, states)
    assert asl.taken == asl.transitions()
    ends = {name for name, state in asl.states.items() if state["Type"] in {"Succeed", "Fail"}}
    assert {target for _, _, target in asl.taken} == set(asl.states), "every state is entered"
    assert not ends & {name for name, _, _ in asl.taken}, "nothing follows an end"
    assert all("BatchGuard." in asl.error(name) for name in ends if asl.states[name]["Type"] == "Fail")


def test_a_task_left_behind_and_one_started_by_hand_are_never_joined() -> None:
    start = scenario(replace(NOTHING, outsider=True), SCHEDULE, SCHEDULE, history=ORPHAN)
    assert Explorer(ours(start.features), start).explore().stories == {}


@pytest.mark.parametrize(
    ("features", "kinds"),
    [
        pytest.param(replace(MEET, slots=2), (UNLUCKY, SCHEDULE), id="two slots"),
        pytest.param(replace(NOTHING, slots=2, resizes=True), (SCHEDULE, SCHEDULE), id="two slots, one, two again"),
        pytest.param(replace(NOTHING, neighbour="queue"), (OTHER, SCHEDULE), id="two jobs, one of which queues"),
        pytest.param(replace(NOTHING, overlap="replace", neighbour="skip"), (OTHER, SCHEDULE), id="replace"),
    ],
)
def test_a_pool_is_as_strict_as_one_lock(features: Features, kinds: tuple[str, ...]) -> None:
    start = scenario(features, *kinds)
    found = Explorer(ours(features), start).explore()
    assert (found.complete, found.stories) == (True, {})


ONLY_STEP_BACK = {
    "it can't tell, whatever it is shown": STARTS,
    "a replacement waits for what it should stop": REPLACED,
    "a task left behind is waited for though it should be stopped": CLEARED,
    "a task by hand fills all slots": BESIDE,
}
"""Mutants that do nothing wrong, and are not called safe: what nobody can bring about with them."""


@cache
def our_own(scenario: Scenario) -> Explorer:
    """Several mutants have one scenario: a step that is worked out for one stands for the others, too."""
    return Explorer(ours(scenario.features), scenario)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_one_line_made_wrong_is_caught(mutant: Mutant) -> None:
    found = Explorer(mutant.protocol(), mutant.scenario).explore(until_fault=True)
    assert len(found.stories) == 1, "no story catches it"
    good = ONLY_STEP_BACK.get(mutant.name)
    assert (good is not None) == found.complete
    assert good is None or found.stories.keys() == {f"{UNREACHABLE}: {good}"}

    def far_enough(states: int) -> None:
        if states >= min(found.states, 1_000):  # more is for `make verify`
            raise StopIteration

    with suppress(StopIteration):
        unchanged = our_own(mutant.scenario).explore(far_enough, until_fault=True)
        assert unchanged.stories == {}, "our own guard is caught there, too"


@pytest.mark.parametrize(
    ("rival", "features", "faults"),
    [
        pytest.param(Article, CALM, {NOBODY_RAN}, id="the article's guard: two starts see each other, nobody runs"),
        pytest.param(OldestWins, CALM, set(), id="oldest wins: nothing goes wrong while lists are never stale"),
        pytest.param(TwoLists, CALM, {OVERLAP}, id="two lists: a run that starts between them is missed"),
        pytest.param(LockWithTtl, CALM, {OVERLAP}, id="a lock with a TTL: the run outlives the lock"),
        pytest.param(Article, DOCUMENTED, {NOBODY_RAN, OVERLAP, TWO_TASKS, JOINED}, id="the article's, as documented"),
        pytest.param(OldestWins, DOCUMENTED, {NOBODY_RAN, OVERLAP, TWO_TASKS, JOINED}, id="oldest wins, as documented"),
        pytest.param(TwoLists, DOCUMENTED, {OVERLAP, TWO_TASKS, JOINED}, id="two lists, as documented"),
        pytest.param(LockWithTtl, DOCUMENTED, {NOBODY_RAN, OVERLAP, TWO_TASKS, JOINED}, id="a TTL, as documented"),
        pytest.param(CountRunning, CALM_POOL, set(), id="count what runs: two starts, two slots, all is well"),
        pytest.param(
            CountRunning, replace(CALM_POOL, slots=1), {NOBODY_RAN}, id="count what runs: one slot, nobody runs"
        ),
        pytest.param(Semaphore, CALM_POOL, set(), id="a semaphore: nothing goes wrong while nothing is aborted"),
        pytest.param(Semaphore, replace(CALM_POOL, slots=1, aborts=1), {TWO_TASKS}, id="a semaphore looks at no task"),
    ],
)
def test_a_rival_does_wrong(rival: type[Rival], features: Features, faults: set[str]) -> None:
    start = scenario(features, SCHEDULE, SCHEDULE, aborts=features.aborts)
    assert Explorer(rival(features), start).explore().stories.keys() == faults


def test_a_story_tells_every_step() -> None:
    start = scenario(CALM, SCHEDULE, SCHEDULE)
    stories = Explorer(Article(CALM), start).explore().stories
    assert stories[NOBODY_RAN] == [
        "A starts an execution",
        "B starts an execution",
        "A asks which executions are RUNNING: execution 2 → busy",
        "B asks which executions are RUNNING: execution 1 → busy",
        "A steps back",
        "B steps back",
    ]


def test_the_report_names_what_is_wrong() -> None:
    """Of all that `make verify` explores a little: the first scenario, one mutant, and what two starts do beside us while lists are fresh."""
    everything = explorations()
    caught = next(e for e in everything if e.part == "mutant")
    two = [e for e in everything if e.part == "side by side" and len(e.scenario.starts) == 2]
    beside = [e for e in two if not e.scenario.features.stale]
    small = [everything[0], caught, *beside]
    results = {e: e.run() for e in small}
    assert (violations(results), uncaught(results)) == ([], [])
    text = page(results)
    assert all(f"### {name}" in text for name in (Article.name, TwoLists.name, LockWithTtl.name))
    assert "0 violations" in text
    lacks = text.partition("It lacks:")[2]
    assert f"- {SCENARIOS[1].name}, {SCENARIOS[1].history}, {len(SCENARIOS[1].starts)} starts" in lacks

    first, mutant = everything[0], caught
    swapped = {first: results[mutant], mutant: results[first]}
    assert [e for e, _ in violations(swapped)] == [first]
    assert uncaught(swapped) == [mutant.protocol]
    assert "**Not caught.**" in page({**results, **swapped})


def test_the_scenarios_cover_what_the_page_promises() -> None:
    sizes = {(len(s.starts), s.history == NOBODY) for s in SCENARIOS}
    assert sizes == {(number, empty) for number in (2, 3, 4) for empty in (True, False)}
    may = {name for s in SCENARIOS for name, value in vars(s.features).items() if value}
    assert may == set(vars(Features())), "everything that may happen happens in some scenario"


@pytest.mark.parametrize(
    ("starts", "code"),
    [
        pytest.param(2, 0, id="all is well: 0"),
        pytest.param(1, 1, id="a mutant is not caught, since nobody meets it: 1"),
    ],
)
def test_the_command_exits_with(starts: int, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, mutant = explorations()[0], next(e for e in explorations() if e.part == "mutant")
    lone = replace(mutant, scenario=replace(mutant.scenario, starts=mutant.scenario.starts[:starts]))
    assert main([first, lone], tmp_path / "proof.md") == code
    assert f"{starts - 1} of 1 caught" in capsys.readouterr().out
    assert "# Every interleaving" in (tmp_path / "proof.md").read_text()
