"""docs/benchmarks.md: the figures, and what they are worth."""

import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

from chalicelib.decide import pace
from lab.bench.alternatives import SEMAPHORE, SEMAPHORE_COMMIT, SEMAPHORE_FILE
from lab.bench.cold import SHARE, Cold
from lab.bench.costs import MEMORY, Cost
from lab.bench.crowd import TOKYO, Crowd
from lab.bench.warm import Warm

WARM_GOAL, COLD_GOAL = 1.10, 1.10
CROWD_GOALS = {100: 15, 250: 100}
"""Jobs due at once → seconds until all of them run; two hours for any others."""
MOST_TRANSITIONS = 7
PACKAGES = ("boto3", "botocore", "chalice", "ministack")

DOCUMENT = """\
# Benchmarks
Written by `make bench`; don't edit. {machine}

Times are of this machine, so read the ratios. A goal that is missed is said here, and is no failed test.

## The decision, warm
`app.check` as a guard asks it about a job with a schedule, log line and metrics included, beside the bare calls that \
it can't do without, made with boto3: \
ListExecutions for a start that steps back, ListTasks twice more for one that may run. Both go to an HTTP endpoint \
on this machine that answers recorded pages at once; the two are taken turn about, and their lower quartiles compared. \
Goal: at most {warm_goal:.2f} times, and never slower as history grows.

{warm}

{warm_verdict}

- One page of 100 is read, however long the history is.
- It is faster than the bare calls because the clients read timestamps by themselves (`chalicelib/read/aws.py`): \
botocore takes two thirds of the time of a page for them. The same line makes boto3's bare call as fast.
- What is left is a fixed part of {fixed:.2f} ms here, beside a call that takes {least:.1f} ms, on a page with one \
execution: the question is read, judged, and told in two lines. AWS's own answer takes 10 to 30 ms. The log line \
and the line of metrics are written once each, without a \
library ([decision 15](decisions/0015-own-lines.md)).
- What would beat us, and where: a lock that is one conditional write (DynamoDB) reads no page at all; where the page \
is full, ours takes {page:.1f} times what a call takes that shows one execution.

## A cold start
The function as the zip has it: `import app`, the clients and the jobs file in the init phase, and one decision that \
starts a run; beside boto3's clients made at import and the same three calls. Lambda gives the init phase a whole CPU \
and a handler at {memory} MB {share:.2f} of one, so the handler's CPU time is divided by that. CPU time of new \
processes, medians of pairs taken turn about, with the quartiles of the ratio. Goal: at most {cold_goal:.2f} times.

{cold}

{cold_verdict}

- Chalice copies `vendor/` to the root of the zip, and `app.py` fills it when Chalice's command line \
imports it to deploy or package: bytecode by hash of its source, which Python checks at each import, so it is never \
believed when stale, and botocore's models without their documentation \
([decision 22](decisions/0022-models-without-documentation.md)).
- It comes near the bare clients because it makes its own from less. The same models would make theirs as fast.
- Done, to load less: botocore without boto3 (which also loads s3transfer and its resources); one botocore session \
for all clients, since each reads the table of endpoints; no validation library for the jobs file \
([decision 5](decisions/0005-config-and-cron-libraries.md)); no Powertools (decision 15); no garbage collection while \
Lambda initialises the function.
- What is left, beyond the bare clients: the values of the decision, whose methods Python makes at import (half of \
our own modules' time; another third of it before they were frozen for mypy alone), and Chalice's own module (4 ms).
- The endpoint speaks HTTP. On AWS each client's first call also sets up TLS, which both would pay alike; nor does \
either pay for asking for credentials, which Lambda gives in the environment.
- What would beat us, and where: a function in a compiled language, and any function without Chalice; SnapStart, which \
costs for Python and was not tried. Lambda's own start (its sandbox, fetching the zip) comes on top of all of them.

## Per guarded run
A start that finds its job free and meets nobody, without the task itself, whose price is the same for all. \
Transitions are the states on the way, counted in `chalicelib/machines/*.asl.json`. Goal: fewer calls and no more \
money than the semaphore, at most a third more transitions than the article.

{costs}

{costs_verdict}

- The article's function is taken to be small (Go, 128 MB, 40 ms); our decision to take 100 ms at {memory} MB. Prices \
are AWS's of us-east-1: $25 per million transitions, $0.20 per million invocations, $16.67 per million GB-seconds, \
$0.625 per million writes of DynamoDB on demand. What integrations do behind the scenes is the same in all three. \
Logs are not in it: ours are two lines a decision, the sample as published logs every event of the state machine.
- The trigger is one invocation a minute for all jobs of a stage: 43,200 a month, a few cents.
- What would beat us, and where: the article's flow in transitions, the semaphore in calls, on every run.
- The semaphore is [{semaphore}](https://github.com/{semaphore}/blob/{commit}/{file}), commit `{short}`: its \
placeholder of five states is counted as one, the ECS task. A start that does not get the lock at once retries and \
then comes back every 3 s, at least 4 transitions each time; an execution that is aborted runs a second state \
machine that gives the lock back. It does not look for tasks that outlive their execution.

## The top of the hour
That many jobs due in the same minute, all of them free: each has to run. Played in virtual time with the trigger, the \
definitions and the checker that ship, against token buckets with AWS's quotas of the Region. Goal, in Tokyo: 100 run \
within {goal_100} s and 250 within {goal_250} s, at most 7 transitions each up to RunTask; none lost as long as the \
refill of an hour has room for an hour's starts ({hourly:,.0f}), and 10,000 at once within two hours.

{crowds}

{crowd_verdict}

- *All at once* is how it was: every guard started in the same second, as EventBridge's own schedules do.
- *Paced* is what ships ([operations](operations.md), *A quota is reached*): the trigger sends {a_second:.0f} a \
second, and once {burst} of the {whole_burst:.0f} calls that ListExecutions has in store are spent, as many as come \
in. The instants are a plan and not a memory, so two instances of the trigger send the same name at the same instant.
- *Plan alone*: more jobs than a stage has; only when they are sent is computed.
- What would beat us, and where: any lock that is not read with ListExecutions (a table in DynamoDB), in any crowd \
that these {burst} are not enough for; it would start {run_task:.0f} a second, as Fargate does. An account may have \
the quota raised, and says so in `[stage] quotas`.
- Not played: others who use these quotas, cold starts of the function (a second for the first), and the tries of its \
clients, so that every refusal is counted.
"""


def document(machine: str, warm: Sequence[Warm], cold: Cold, costs: Sequence[Cost], crowds: Sequence[Crowd]) -> str:
    """The whole document."""
    calls = sorted({call for cost in costs for call in cost.calls})
    least = min(warm, key=lambda line: line.bare)
    tokyo = pace.quotas(TOKYO)
    curve = pace.curve(tokyo)
    return DOCUMENT.format(
        machine=machine,
        warm_goal=WARM_GOAL,
        cold_goal=COLD_GOAL,
        warm=table(
            "history | page read | outcome | bare calls | decision | ratio",
            (
                f"{w.history:,} | {w.page:,} | {w.outcome} | {w.bare:.2f} ms | {w.check:.2f} ms | **{w.ratio:.2f}**"
                for w in warm
            ),
        ),
        warm_verdict=_verdict([f"{w.outcome}, history of {w.history:,}" for w in warm if w.ratio > WARM_GOAL]),
        fixed=least.check - least.bare,
        least=least.bare,
        page=max(w.check for w in warm) / least.bare,
        share=SHARE,
        cold=table(
            "pairs | bare clients and calls | init | handler | in all | ratio | quartiles",
            [
                (
                    f"{cold.pairs} | {cold.bare:.0f} ms | {cold.init:.0f} ms | {cold.handler / SHARE:.0f} ms | "
                    f"{cold.decision:.0f} ms | **{cold.ratio:.2f}** | {cold.low:.2f} to {cold.high:.2f}"
                )
            ],
        ),
        memory=MEMORY,
        cold_verdict=_verdict([f"{cold.ratio:.2f}"] if cold.ratio > COLD_GOAL else []),
        costs=table(
            f"design | transitions | {' | '.join(calls)} | calls | dollars per million",
            (
                f"{c.design} | {c.transitions} | {' | '.join(str(c.calls.get(call, '')) for call in calls)} | "
                f"{sum(c.calls.values())} | {c.dollars:.2f}"
                for c in costs
            ),
        ),
        costs_verdict=_costs_verdict(costs),
        semaphore=SEMAPHORE,
        commit=SEMAPHORE_COMMIT,
        short=SEMAPHORE_COMMIT[:7],
        file=SEMAPHORE_FILE,
        crowds=table(
            " | Region | jobs | lost | half run after | the last after | checks per job | transitions per job | "
            "calls refused",
            (
                f"{c.how} | {c.region} | {c.jobs:,} | **{c.lost}** | {_span(c.middle)} | {_span(c.last)} | "
                f"{c.checks:.1f} | {c.transitions:.1f} | {c.refused:,}"
                for c in crowds
            ),
        ),
        crowd_verdict=_verdict(missed(crowds)),
        hourly=3_600 * tokyo["ListExecutions"].refill,
        a_second=1_000_000 / curve.gap,
        burst=curve.burst // curve.token,
        whole_burst=tokyo["ListExecutions"].burst,
        run_task=tokyo["RunTask"].refill,
        goal_100=CROWD_GOALS[100],
        goal_250=CROWD_GOALS[250],
    )


def table(head: str, rows: Iterable[str]) -> str:
    """A table in Markdown, of lines whose cells are apart."""
    rule = " | ".join(["---"] * (head.count("|") + 1))
    return "\n".join(f"| {line} |" for line in (head, rule, *rows))


def machine() -> str:
    """What this was measured on."""
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"Measured with {os.cpu_count()} cores ({_processor()}), {memory:.0f} GB, {platform.system()} "
        f"{platform.machine()}, {platform.python_implementation()} {platform.python_version()}, {versions}."
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def missed(crowds: Iterable[Crowd]) -> list[str]:
    """Which crowds miss their goals."""
    return [
        f"{crowd.jobs:,} in {crowd.region}"
        for crowd in crowds
        if crowd.how != "all at once"
        and (crowd.lost or crowd.transitions > MOST_TRANSITIONS or crowd.last > CROWD_GOALS.get(crowd.jobs, 7_200))
    ]


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _verdict(missed: Sequence[str]) -> str:
    return f"Goal missed: {'; '.join(missed)}." if missed else "Goal met."


def _costs_verdict(costs: Sequence[Cost]) -> str:
    ours, article, semaphore = costs
    transitions, dollars = ours.transitions / article.transitions, ours.dollars / semaphore.dollars
    calls, others = (sum(cost.calls.values()) for cost in (ours, semaphore))
    checks = {
        f"{transitions:.2f} times the article's transitions": transitions <= 4 / 3,
        f"{dollars:.3f} times the semaphore's money": dollars <= 1,
        f"{calls} calls beside the semaphore's {others}": calls < others,
    }
    said = "; ".join(f"{what}: {'met' if met else 'missed'}" for what, met in checks.items())
    return (
        f"{said[0].upper()}{said[1:]}. The calls more than the semaphore's are what the promise is made of: the list "
        "that shows the last run, two lists that show tasks nobody guarded, and the second StartExecution, whose name "
        "is the lock. They cost nothing but their quota."
    )
