"""The page's table of details: what was not a success, and, to be opened, what was."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from zoneinfo import ZoneInfo

from chalicelib.decide.facts import span
from chalicelib.values import dataclass
from guardctl import links
from guardctl.chart import GLYPHS, HandTask, Row, Timeline
from guardctl.ledger import Entry, Outcome
from guardctl.marks import Mark
from guardctl.trouble import gist
from guardctl.wording import clock, localised, started, until

_COLUMNS = ("Scheduled", "Job", "Outcome", "Started", "Took", "Run", "Reason")
_SUCCESS: frozenset[Outcome] = frozenset({"ran", "would have started"})


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the table: what is linked to it, and its cells as HTML."""

    anchor: str
    row: int
    kind: str
    """The outcome of its entries, as classes."""
    cells: tuple[str, ...]
    entries: tuple[Entry, ...] = ()

    @property
    def success(self) -> bool:
        """Whether nobody need look at it."""
        return bool(self.entries) and self.entries[0].outcome in _SUCCESS


def lines(timeline: Timeline, found: Sequence[Sequence[Mark]]) -> Iterator[Line]:
    """A line for each mark, or for each outcome in it, the worst first: `ROW-MARK`, then `ROW-MARK-1` and so on."""
    for number, (row, its) in enumerate(zip(timeline.rows, found, strict=True)):
        for place, mark in enumerate(its):
            for part, (outcome, _) in enumerate(mark.counts):
                alike = tuple(entry for entry in mark.entries if entry.outcome == outcome)
                anchor = f"{number}-{place}" + (f"-{part}" if part else "")
                cells = _cells(alike, timeline.zone)
                yield Line(anchor, number, kind(outcome, alike), cells, alike)
        for place, task in enumerate(row.tasks):
            yield Line(f"{number}-t{place}", number, "hand", _of_task(row, task, timeline.zone))


def kind(outcome: str, entries: Iterable[Entry]) -> str:
    """The classes of entries that look as this outcome; ``late`` if any should have succeeded by now."""
    late = " late" if any(entry.late_since for entry in entries) else ""
    return outcome.replace(" ", "-") + late


def tables(found: Iterable[Line]) -> Iterator[str]:
    """The two tables."""
    by_success: dict[bool, list[Line]] = {False: [], True: []}
    for line in found:
        by_success[line.success].append(line)
    if by_success[False]:
        yield from _table("What was not a success", by_success[False])
    if successes := by_success[True]:
        count = sum(len(line.entries) for line in successes)
        yield f"<details><summary>{count:,} that succeeded</summary>"
        yield from _table("What succeeded", successes)
        yield "</details>"


def task_told(task: HandTask, zone: ZoneInfo) -> str:
    """A task by hand, in words."""
    end = f"until {clock(task.ended, zone)}" if task.ended else "and still running"
    return f"task {task.arn.rpartition('/')[2]} by hand, since {clock(task.started, zone)}, {end}"


def _table(caption: str, found: Iterable[Line]) -> Iterator[str]:
    yield f'<div class="scroll" role="region" aria-label="{caption}" tabindex="0"><table class="details"><thead><tr>'
    yield from (f'<th scope="col">{column}</th>' for column in _COLUMNS)
    yield "</tr></thead><tbody>"
    for line in found:
        first, *rest = line.cells
        cells = "".join(f"<td>{cell}</td>" for cell in rest)
        yield f'<tr id="{line.anchor}" data-r="{line.row}" class="{line.kind}"><th scope="row">{first}</th>{cells}</tr>'
    yield "</tbody></table></div>"


def _cells(entries: tuple[Entry, ...], zone: ZoneInfo) -> tuple[str, ...]:
    last = entries[-1]
    many, hand = len(entries) > 1, " by hand" if last.by_hand else ""
    glyph = "" if last.outcome == "ran" else f"{GLYPHS[last.outcome]} "
    times = [entry.scheduled for entry in entries]
    reason = localised(last.reason, zone, named=True)
    if len({gist(entry) for entry in entries}) > 1:
        reason = f"the last: {reason}"
    return (
        until(min(times), max(times), zone) if many else clock(last.scheduled, zone),
        escape(last.job),
        f"{glyph}{last.outcome} ×{len(entries):,}" if many else f"{glyph}{last.outcome}{hand}",
        "" if many else started(last, zone),
        _took(entries),
        _run(last, many),
        escape(reason),
    )


def _took(entries: Iterable[Entry]) -> str:
    took = sorted(entry.duration for entry in entries if entry.duration is not None)
    if not took:
        return ""
    shortest, longest = span(took[0]), span(took[-1])
    return shortest if shortest == longest else f"{shortest} to {longest}"


def _run(last: Entry, many: bool) -> str:
    """A link into the console; of many that succeeded nobody looks for the last one."""
    if last.arn is None or (many and last.outcome in _SUCCESS):
        return ""
    return ("the last: " if many else "") + _console(links.execution(last.arn), last.run_told)


def _of_task(row: Row, task: HandTask, zone: ZoneInfo) -> tuple[str, ...]:
    took = span(task.ended - task.started) if task.ended else ""
    link = _console(links.task(task.arn), task.arn.rpartition("/")[2])
    return "not scheduled", escape(row.job), "task by hand", clock(task.started, zone), took, link, ""


def _console(link: str, name: str) -> str:
    return f'<a href="{escape(link)}" rel="noreferrer">{escape(name)}</a>'
