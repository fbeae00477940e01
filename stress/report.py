"""What came of it, in a table."""

import re
from collections import Counter
from collections.abc import Iterable

from rich.table import Table

from stress.judge import SKIPS, Finding, History

REASONS = {
    r"has been running for": "a run was open",
    r"was started by somebody else": "somebody else's start won",
    r"did not start is alive": "a task by hand was alive",
    r"its task lives on": "an orphan was alive",
    r"has not shown its task stopped": "an aborted run, its task not seen stopped",
    r"others start this job faster": "ten names lost in a row",
    r"already waits": "another start waits already",
    r"^waited for": "waited in the queue for its time",
}
"""By what it says, why a start stepped back."""


def why_skipped(reason: str) -> str:
    """The kind of a skip's reason; the reason itself if it is of no known kind."""
    return next((kind for words, kind in REASONS.items() if re.search(words, reason)), reason)


def table(history: History, findings: Iterable[Finding], met: Counter[str], done: Counter[str]) -> Table:
    """Starts, runs, skips by reason, broken promises, errors by kind, and what was done to provoke them."""
    shown = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    shown.add_column("what", no_wrap=True)
    shown.add_column("count", justify="right")
    broken = Counter[str](finding.kind for finding in findings)
    verdicts = Counter(start.verdict for start in history.starts)
    shown.add_row("starts", str(len(history.starts)), style="bold")
    for verdict, count in verdicts.most_common():
        if verdict not in SKIPS:
            shown.add_row(f"  {verdict}", str(count))
    skips = Counter(why_skipped(start.reason) for start in history.starts if start.verdict in SKIPS)
    shown.add_row("  skipped", str(skips.total()))
    _rows(shown, skips, "    ")
    shown.add_row("runs", str(len(history.runs)), style="bold")
    _rows(shown, Counter(run.error or run.status for run in history.runs), "  ")
    shown.add_row("tasks", str(len(history.tasks)), style="bold")
    shown.add_row("errors that starts got over", str(met.total()), style="bold")
    _rows(shown, met, "  ")
    shown.add_row("what was done to them", "", style="bold")
    _rows(shown, done, "  ")
    for kind, words in (("overlap", "overlaps"), ("lost", "lost"), ("unfinished", "starts without an end")):
        shown.add_row(words, str(broken[kind]), style="bold red" if broken[kind] else "bold green")
    return shown


def _rows(shown: Table, counts: Counter[str], indent: str) -> None:
    for what, count in counts.most_common():
        shown.add_row(indent + what, str(count))
