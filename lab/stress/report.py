"""What came of it, in a table."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.table import Table

from lab.stress.judge import SKIPS, Finding, History


@dataclass
class Outcome:
    """What came of it."""

    history: History
    findings: list[Finding]
    met: dict[str, Counter[str]] = field(default_factory=dict)
    """The failures that each start met on its way, by ARN."""
    done: Counter[str] = field(default_factory=Counter)
    """What was done to provoke them."""
    healed: Mapping[str, float | None] = field(default_factory=dict)
    """Seconds until each job ran once all was well again; None if it did not in time."""


PROMISES = {"overlap": "overlaps", "lost": "lost", "unfinished": "without an end"}

REASONS = {
    r"has been running for": "a run was open",
    r"was started by another start": "another start won",
    r"did not start is alive": "a task by hand was alive",
    r"its task lives on": "an orphan was alive",
    r"not seen closed, and its task": "a task of a run not seen closed",
    r"has not shown its task stopped": "a task that was not seen stopped",
    r"others start this job faster": "ten names lost in a row",
    r"already waits": "another start waits already",
    r"^waited for": "waited in the queue for its time",
}
"""By what it says, why a start stepped back."""


def why_skipped(reason: str) -> str:
    """The kind of a skip's reason; the beginning of the reason if it is of no known kind."""
    return next((kind for words, kind in REASONS.items() if re.search(words, reason)), reason[:50])


def table(phases: Mapping[str, Sequence[str]], outcome: Outcome) -> Table:
    """Starts, runs, skips by reason, errors by kind and broken promises, a column per phase (its jobs)."""
    shown = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    shown.add_column("", no_wrap=True)
    for phase in phases:
        shown.add_column(phase, justify="right", no_wrap=True)
    columns = [_counts(set(jobs), outcome) for jobs in phases.values()]
    for section in columns[0]:
        total = [counts[section].total() for counts in columns]
        broken = section in PROMISES.values() and any(total)
        style = "bold red" if broken else "bold green" if section in PROMISES.values() else "bold"
        shown.add_row(section, *map(str, total), style=style)
        if section not in PROMISES.values():
            kinds = sum((counts[section] for counts in columns), Counter[str]())
            for kind, _ in kinds.most_common():
                shown.add_row(f"  {kind}", *(str(counts[section][kind] or "") for counts in columns))
    return shown


def done(outcome: Outcome) -> Table:
    """What was done to provoke it, in both phases."""
    shown = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    shown.add_column("what was done to them", no_wrap=True)
    shown.add_column("", justify="right")
    for what, count in outcome.done.most_common():
        shown.add_row(f"  {what}", str(count))
    return shown


def healed(outcome: Outcome, seed: int) -> str:
    """Whether every job ran when all faults were healed, in a line."""
    never = sorted(job for job, seconds in outcome.healed.items() if seconds is None)
    if never:
        return f"SEED={seed}: all faults healed, and in time NOT ONE run of {', '.join(never)}"
    longest = max((seconds for seconds in outcome.healed.values() if seconds is not None), default=0)
    return f"SEED={seed}: all faults healed, every one of {len(outcome.healed)} jobs ran, within {longest:.0f} s"


def _counts(jobs: set[str], outcome: Outcome) -> dict[str, Counter[str]]:
    history = outcome.history
    starts = [start for start in history.starts if start.job in jobs]
    broken = Counter[str](finding.kind for finding in outcome.findings if finding.job in jobs)
    met = (outcome.met.get(start.arn, Counter()) for start in starts)
    return {
        "starts": Counter("skipped" if start.verdict in SKIPS else start.verdict for start in starts),
        "skips": Counter(why_skipped(start.reason) for start in starts if start.verdict in SKIPS),
        "runs": Counter(run.error or run.status for run in history.runs if run.job in jobs),
        "tasks": Counter("of a run" if task.run else "by hand" for task in history.tasks if task.job in jobs),
        "errors that starts got over, or ended with": sum(met, Counter[str]()),
        **{words: Counter({kind: broken[kind]}) for kind, words in PROMISES.items()},
    }
