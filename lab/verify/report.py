"""The report: a table for the terminal, and docs/proof.md. Nothing in it depends on the machine or the clock."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path

from lab.verify.explore import UNREACHABLE, Found
from lab.verify.machine import SCHEDULE
from lab.verify.ours import Ours
from lab.verify.protocol import SAME_EVENT
from lab.verify.run import POOLS_SIDE_BY_SIDE, PROTOCOLS, PROTOCOLS_OF_POOLS, SIDE_BY_SIDE, Exploration
from lab.verify.scenarios import SCENARIOS
from lab.verify.world import (
    ACTED,
    CHASED,
    ENDLESS,
    FAULTS,
    FAULTS_OF_POLICIES,
    JOINED,
    LOST,
    MANY,
    NEIGHBOURS,
    OVERLAP,
    OVERTAKEN,
    STOPPED_WRONGLY,
    TWICE,
    TWO_TASKS,
    TWO_WAIT,
    UNPAUSED,
    WRONG,
    Features,
)

FILE = Path(__file__).parent.parent.parent / "docs" / "proof.md"
Results = Mapping[Exploration, Found]

WORDS = {
    "stale": "stale reads",
    "unclear": "unclear ends",
    "outsider": "a task by hand",
    "lost_replies": "lost replies",
    "crashes": "crashes",
    "task_retries": "second tasks",
    "slow_stops": "slow stops",
    "failures": "failing runs",
    "old_tasks": "old tasks listed",
    "slow_checks": "slow checks",
    "misfits": "a deployment gone wrong",
    "fine": "every read alone",
    "pauses": "a pause",
    "moves": "the job moves",
    "copies": "a copied task",
    "mistaken": "a task taken for stopped",
    "late_ecs": "ECS is late",
    "warm": "warm functions",
    "odd_status": "an unknown status",
    "short_pages": "pages of one execution",
    "resizes": "the number of slots changes and changes back",
}
MEANING = {
    OVERLAP: "; in a pool of several slots: more than it has slots, or two in one slot.",
    TWO_TASKS: ", in whatever state their runs are; of several slots, likewise.",
    JOINED: """: one that
  had been alive for six minutes, where the jobs file says that the job runs, when the start last looked,
  and is alive when a run is created. A copy of a run's task counts too, and a task that
  its run took for stopped. (One started in the very moment of the decision nobody can exclude.)""",
    TWICE: ": for one schedule event, or one guard execution, two runs are created, or one beside its own waiter.",
    WRONG: ": a start says that it has started a run and has not, or that it has stepped back and has a run.",
    LOST: """: all starts have ended, fewer have run than there are
  slots, and one that stepped back has no excuse. An excuse is that it was aborted, that AWS failed it until its
  deadline, or that it was shown an *old* run as still running. A renewal's run is nobody's, and a renewal in the way is
  no excuse before the deadline. (Where a start loses ten names in a row, or the slots change: nobody has run.)""",
    ENDLESS: ", or ends without a name.",
    TWO_WAIT: ".",
    CHASED: ": so two replacements never stop each other in turn.",
    STOPPED_WRONGLY: ".",
    UNPAUSED: " by anything but a renewal.",
    NEIGHBOURS: ": only its own job's.",
    OVERTAKEN: ", and has not yet yielded for two minutes.",
    ACTED: " but say what it would have done: it starts, queues, stops or waits for anything.",
}
_INTRO = """\
# Every interleaving

`make verify` writes this page. It explores a model of Step Functions and ECS with the consistency that AWS
documents, and moves this project's guard through it: the real checker (`chalicelib/check.py` with all that it calls)
decides, and `chalicelib/machines/guard.asl.json` says by its own text, its JSONata evaluated, what comes next. A test
proves that the model takes every transition of that file, and no other.

Between any two steps of a start everything else may happen: another start's step, a run that ends, a task that starts
or stops, six minutes that pass. All orders are tried, breadth first: a story below is a shortest one.

A guard that never starts anything would pass that. So in every scenario its good endings must be reachable, or it
counts as a violation ("unreachable: …"): a start runs; one that waited in the queue runs; a replacement stops a run,
and then runs; a task left behind is stopped, and then a start runs; a start runs after a renewal's run; a start takes
the slot that a task by hand leaves.

What must never be:
"""
_LIMITS = """\
What may happen:

- *stale reads*: the list of executions and the description of one show any state that it has had, or not the
  execution at all, each time anew. (The other way round is not modelled: AWS shows no state that never was.)
- ECS hides a task for up to six minutes after it started; a stopped one at any time. A task that is told to stop
  moves from the list of running tasks to that of stopped ones, and no list is older than that move. (Where one is, a
  start that looks in those seconds, six minutes or more after the run was closed, may find the task on neither; the
  one that stopped it looks at the task itself.)
- *lost replies*: StartExecution creates the run and the answer is lost, or nothing comes; the service tries again or
  gives up, before or after the start's deadline.
- *crashes*: the checker dies between two reads and is asked again, or once too often; the guard execution is aborted.
- *the job moves*: a deployment changes the jobs file's cluster and family between any two steps, the functions' and so
  at once, while runs and what they left behind live on at the old ones. A checker keeps the jobs file it began with.
- *a copied task*: somebody starts a copy of a run's task with all its environment, at any moment. *A task taken for
  stopped*: a run names its task as stopped, closes, and the task lives on. *ECS is late*: a task that its run saw stop
  is shown alive for six minutes more.
- *warm functions*: what any checker has seen STOPPED, every later one remembers. Elsewhere each begins with nothing.
- *aborts*: a run is closed while its task lives on, or while its RunTask is still on its way. *Unclear ends*: the same
  as FAILED with an error that promises nothing. *Second tasks*: a run starts another after the first has stopped.
- *a task by hand* starts at any moment. *Slow stops*: a task lives on while it is stopping; each ECS read stands alone.
- *slow checks*: six minutes pass between the checker's look at its clock and its reads.
- *a deployment gone wrong*: StartExecution is denied, or the checker answers what the state machine does not know.
- *overlap*, *orphans*: the job's policies, where they are not `skip` and `wait`. The start that waits in a queue is a
  guard execution of its own, and joins the others. At any look, deadline and `queue_timeout` may have passed.
- *a pause*: somebody pauses the job and resumes it, at any moment; it is as visible as any execution.
- *long rests*: eighty days, and again; names expire after ninety. *Renewals* are among the starts.
- *every read alone*: no two reads are taken together. Elsewhere a read that only Step Functions answers is taken
  together with the next step, since what it can show now it can also show later.

- *pages of one execution*: the list shows its first execution and a token for more, so that all that is older falls
  off the page, as in a real history of more than a hundred. (Elsewhere a page shows all that the model has.)

- *several slots*, *a second job*: the pool has them. *The number of slots changes*: a deployment lowers two slots to
  one and raises them again, in the functions and in the guard's definition one after the other, between any two steps;
  a guard execution keeps the definition that it began with.

What is not in the model: pools of three slots or more, a pool that moves or is paused, a task by hand beside two slots
while lists are stale (there the guard promises less: it fills the first slots that are *seen* free), a redrive, a batch
machine started directly, an operator's `--first` and `--anyway`, a `scheduled_at` long
before the start, clocks that disagree by more than ten seconds, tasks that ECS hides for more than six minutes, and
what somebody starts at a target that the job has left. What goes on inside a run is what the batch machine promises: it
closes as SUCCEEDED, or with an error `BatchGuard.…`, only when its task is not alive.
"""
_POOLS = """\
Three starts that meet where two may run, and one event that is delivered twice. *A semaphore in a table* is the one
that AWS published for Step Functions and DynamoDB: one conditional update takes a place, or waits; and what was aborted
gives its place back when its end is told. *Count what runs* lists the running executions, and starts when there are
fewer than two others. Neither looks at tasks, and neither knows one event from two.
"""


def violations(results: Results) -> list[tuple[Exploration, Found]]:
    """What this project did wrong, in the scenarios and beside the rivals."""
    return [(e, found) for e, found in results.items() if e.protocol == Ours.name and found.stories]


def uncaught(results: Results) -> list[str]:
    """The mutants that no story catches."""
    return [e.protocol for e, found in results.items() if e.part == "mutant" and not found.stories]


def page(results: Results) -> str:
    """docs/proof.md."""
    return "\n".join(_page(results)).rstrip() + "\n"


def _page(results: Results) -> Iterator[str]:
    yield _INTRO
    yield from (f"- *{fault}*{MEANING[fault]}" for fault in (*FAULTS, *FAULTS_OF_POLICIES))
    ours = [(e.scenario, found) for e, found in results.items() if e.part == "ours"]
    states, steps = sum(f.states for _, f in ours), sum(f.transitions for _, f in ours)
    wrong = sum(len(f.stories) for _, f in ours)
    yield f"\n## This project: {states:,} states, {steps:,} steps, {wrong} violations\n"
    yield "Everything at once is too much for four starts. So what may happen is split over scenarios, in full for two"
    yield "starts and simpler for four. What a line does not name does not happen in it; within each, all orders are"
    yield "tried. `python -m lab.verify --large` has larger ones, which take longer.\n"
    yield "| scenario | starts, by what the history begins with | may happen | states | steps | violations |"
    yield "| --- | --- | --- | ---: | ---: | ---: |"
    yield from _families([found for _, found in ours])
    lacking = [s for s in SCENARIOS if s not in [scenario for scenario, _ in ours]]
    if lacking:
        yield "\nThis page is of a run that was not complete. It lacks:\n"
        yield from (f"- {scenario.name}, {scenario.history}, {len(scenario.starts)} starts" for scenario in lacking)
    for scenario, found in ours:
        yield from _stories(f"In: {scenario.name}, {scenario.history}", found.stories)
    yield f"\n{_LIMITS}"
    yield "## Beside the alternatives\n"
    yield "Two starts that meet, and one event that is delivered twice, from an empty history. A number is the steps of"
    yield "the shortest story that leads to the fault. The lock's time to live may pass while its run is open: nobody"
    yield "prolongs it.\n"
    for world in SIDE_BY_SIDE:
        yield from side_by_side(results, world)
    for name in PROTOCOLS:
        yield from _stories(f"### {name}", dict([*_shortest(results, name).items()][:1]))
    yield "\n## Pools\n"
    yield _POOLS
    for world in POOLS_SIDE_BY_SIDE:
        yield from side_by_side(results, world, PROTOCOLS_OF_POOLS)
    told = {name: _shortest(results, name) for name in PROTOCOLS_OF_POOLS if name != Ours.name}
    for name, stories in told.items():
        chosen = {fault: stories[fault] for fault in (OVERLAP, TWO_TASKS, LOST) if fault in stories}
        yield from _stories(f"### {name}", dict([*chosen.items()][:1]))
    mutants = [(e, found) for e, found in results.items() if e.part == "mutant"]
    yield "\n## One line made wrong\n"
    yield "A model that finds nothing proves nothing, unless it finds what is there. Each of these is this project's"
    yield "guard with one line changed (`lab/verify/mutants.py`), what the model finds, and after how many steps.\n"
    yield "| made wrong | found | steps |"
    yield "| --- | --- | ---: |"
    for exploration, found in mutants:
        caught, story = next(iter(found.stories.items()), ("**Not caught.**", []))
        length = "-" if caught.startswith(UNREACHABLE) else str(len(story) or "-")
        yield f"| {exploration.protocol} | {caught} | {length} |"


def _families(ours: list[Found]) -> Iterator[str]:
    """A row for the scenarios of one name, in which the same may happen."""
    rows: dict[tuple[str, str], list[Found]] = {}
    for found in ours:
        rows.setdefault((found.scenario.name, _may(found)), []).append(found)
    for (name, may), members in rows.items():
        sizes: dict[str, list[str]] = {}
        for found in members:
            sizes.setdefault(found.scenario.history, []).append(str(len(found.scenario.starts)))
        starts = "; ".join(f"{history}: {', '.join(numbers)}" for history, numbers in sizes.items())
        states, steps = sum(f.states for f in members), sum(f.transitions for f in members)
        yield f"| {name} | {starts} | {may} | {states:,} | {steps:,} | {sum(len(f.stories) for f in members)} |"


def side_by_side(results: Results, world: str, protocols: Iterable[str] = tuple(PROTOCOLS)) -> Iterator[str]:
    """The table of one world."""
    names = [*protocols]
    yield f"{world}:\n"
    yield f"| | {' | '.join(names)} |"
    yield f"| --- | {' | '.join(['---:'] * len(names))} |"
    yield from (f"| {' | '.join(row)} |" for row in rows(results, world, names))
    yield ""


def rows(results: Results, world: str, names: Iterable[str] = tuple(PROTOCOLS)) -> Iterator[list[str]]:
    """The states of each protocol; then by fault the steps of the shortest story of each."""
    found = {name: [f for e, f in results.items() if _place(e) == (world, name)] for name in names}
    yield ["states", *(f"{sum(f.states for f in each):,}" for each in found.values())]
    most = max(map(len, found.values()))
    nevers = ["never" if len(each) == most else "not complete" for each in found.values()]
    for fault in FAULTS:
        lengths = [[len(f.stories[fault]) for f in each if fault in f.stories] for each in found.values()]
        yield [fault, *(str(min(steps)) if steps else never for steps, never in zip(lengths, nevers, strict=True))]


def _place(exploration: Exploration) -> tuple[str, str] | None:
    return (exploration.scenario.name, exploration.protocol) if exploration.part == "side by side" else None


def _shortest(results: Results, name: str) -> dict[str, list[str]]:
    """By fault, the story told of a protocol: from the calmest world that has one."""
    stories: dict[str, list[str]] = {}
    for exploration, found in results.items():
        if exploration.part == "side by side" and exploration.protocol == name:
            for fault, lines in found.stories.items():
                stories.setdefault(fault, lines)
    return stories


def _stories(heading: str, stories: Mapping[str, list[str]]) -> Iterator[str]:
    if stories:
        yield f"\n{heading}"
    for fault, lines in stories.items():
        yield f"\n{fault[0].upper()}{fault[1:]}:\n"
        yield from (f"{number}. {line}" for number, line in enumerate(lines, 1))


def _may(found: Found) -> str:
    scenario = found.scenario
    world, features = scenario.world, scenario.features
    others = [kind for kind in dict.fromkeys(scenario.starts) if kind != SCHEDULE]
    may = [f"one of the starts is {kind}" if kind != SAME_EVENT else kind for kind in others]
    may += [WORDS[f.name] for f in fields(Features) if f.name in WORDS and getattr(features, f.name)]
    if features.slots > 1:
        may.append(f"{features.slots} slots")
    if features.neighbour:
        may.append(f"a second job, with overlap = {features.neighbour}")
    if features.overlap != "skip":
        may.append(f"overlap = {features.overlap}")
    if features.orphans != "wait":
        may.append(f"orphans = {features.orphans}")
    if world.mishaps != MANY:
        may.append(f"at most {world.mishaps} of these crashes and lost replies")
    if features.moves > 1:
        may.append("and comes back")
    if world.aborts_left:
        may.append(f"{world.aborts_left} abort")
    if world.restless:
        may.append(f"{world.restless} long rests")
    return ", ".join(may)
