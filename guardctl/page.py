"""The timeline as one HTML page: no script, no network, light and dark, for keyboard and screen reader too.

The picture is a table of lists. Every bar and mark is a link to its line in the table of details, and says in words
what it is: to a screen reader by its name, to everybody else on hover and focus.
"""

from collections.abc import Iterator
from html import escape
from importlib import resources
from zoneinfo import ZoneInfo

from chalicelib.decide.facts import span
from guardctl import links
from guardctl.chart import GLYPHS, HandTask, Row, Timeline, counts
from guardctl.ledger import Entry, Outcome
from guardctl.wording import local, sentence

_STYLE = "timeline.css"
_COLUMNS = ("Scheduled", "Job", "Outcome", "Started", "Took", "Run", "Reason")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html(timeline: Timeline) -> str:
    """The whole page."""
    period = f"{local(timeline.start, timeline.zone)} to {local(timeline.end, timeline.zone)}"
    title = f"batch-guard {timeline.stage}: {period}"
    style = resources.files("guardctl").joinpath(_STYLE).read_text(encoding="utf-8")
    return "\n".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            f"<title>{escape(title)}</title><style>{style}</style></head><body>",
            '<a class="skip" href="#details">To the table of details</a>',
            f"<header><h1>{escape(title)}</h1>",
            f'<ul class="legend" aria-label="What happened, and how often">{"".join(_legend(timeline))}</ul></header>',
            '<main><table class="picture"><thead><tr><th scope="col">Job</th>',
            f'<td><div class="axis" aria-hidden="true">{"".join(_axis(timeline))}</div></td></tr></thead><tbody>',
            *(_picture(timeline, row) for row in timeline.rows),
            '</tbody></table><h2 id="details" tabindex="-1">Details</h2>',
            *_notes(timeline),
            '<div class="scroll"><table class="details"><thead><tr>',
            *(f'<th scope="col">{column}</th>' for column in _COLUMNS),
            "</tr></thead><tbody>",
            *_details(timeline),
            "</tbody></table></div></main></body></html>\n",
        )
    )


def _legend(timeline: Timeline) -> Iterator[str]:
    for outcome, count in counts(timeline):
        yield f'<li><i class="{_class(outcome)}" aria-hidden="true">{_glyph(outcome)}</i>{outcome} {count}</li>'
    if tasks := sum(len(row.tasks) for row in timeline.rows):
        yield f'<li><i class="hand" aria-hidden="true"></i>task by hand {tasks}</li>'


def _axis(timeline: Timeline) -> Iterator[str]:
    """Eight dates fit a page of 1000 pixels; a time at the very end would widen it."""
    date = None
    for place, tick in timeline.ticks(most=8):
        if place > 0.95:
            continue
        text = f"{tick:%H:%M}" if tick.date() == date else f"{tick:%b %d, %H:%M}"
        date = tick.date()
        yield f'<span style="left:{100 * place:.2f}%">{text}</span>'


def _picture(timeline: Timeline, row: Row) -> str:
    items = [_item(timeline, row, number, entry) for number, entry in enumerate(row.entries)]
    items += [_task_item(timeline, row, task) for task in row.tasks]
    nothing = "nothing happened" if row.deployed else "not deployed"
    listed = f"<ol>{''.join(items)}</ol>" if items else f'<p class="faint">{nothing}</p>'
    pool = f' <small class="faint">pool {escape(row.pool)}</small>' if row.pool else ""
    return f'<tr><th scope="row">{escape(row.job)}{pool}</th><td>{listed}</td></tr>'


def _item(timeline: Timeline, row: Row, number: int, entry: Entry) -> str:
    place = timeline.place(entry.started or entry.scheduled)
    style, kind = f"left:{100 * place:.3f}%", "mark"
    if entry.started:
        style += f";width:{100 * (timeline.place(entry.ended or timeline.end) - place):.3f}%"
        kind = "bar"
    classes = f"{kind} {_class(entry.outcome)}"
    return _link(
        f"#{_anchor(row, number)}", classes, style, place, _glyph(entry.outcome), sentence(entry, timeline.zone)
    )


def _task_item(timeline: Timeline, row: Row, task: HandTask) -> str:
    place = timeline.place(task.started)
    style = f"left:{100 * place:.3f}%;width:{100 * (timeline.place(task.ended or timeline.end) - place):.3f}%"
    told = f"{row.job}: {_task_told(task, timeline.zone)}"
    return _link(f"#{_task_anchor(row, task)}", "bar hand", style, place, "", told)


def _link(to: str, classes: str, style: str, place: float, glyph: str, told: str) -> str:
    side = " right" if place > 0.6 else ""
    tip = f'<span class="tip" aria-hidden="true">{escape(told)}</span>'
    shown = f'<span aria-hidden="true">{glyph}</span>{tip}'
    return f'<li><a class="{classes}{side}" style="{style}" href="{to}" aria-label="{escape(told)}">{shown}</a></li>'


def _notes(timeline: Timeline) -> Iterator[str]:
    yield (
        f'<p class="faint">Times are {escape(str(timeline.zone))}. ECS shows tasks by hand for about an hour after '
        "they stopped. ✗ T R S stand at the end of a bar: failed, timed out, replaced, stopped. What would have become "
        "of a time of a job in shadow is a hollow mark: nothing was started.</p>"
    )
    for row in timeline.rows:
        if row.left_out:
            yield f'<p class="faint">{escape(row.job)}: {row.left_out} earlier scheduled times were not looked up.</p>'


def _details(timeline: Timeline) -> Iterator[str]:
    zone = timeline.zone
    for row in timeline.rows:
        for number, entry in enumerate(row.entries):
            hand = " by hand" if entry.by_hand else ""
            late = f" ({span(entry.late)} late)" if entry.late else ""
            cells = (
                escape(row.job),
                f"{_glyph(entry.outcome)} {entry.outcome}{hand}",
                f"{local(entry.started, zone)}{late}" if entry.started else "",
                span(entry.duration) if entry.duration is not None else "",
                _console(links.execution(entry.arn), entry.run_told) if entry.arn else "",
                escape(entry.reason),
            )
            yield _detail(_anchor(row, number), local(entry.scheduled, zone), cells)
        for task in row.tasks:
            took = span(task.ended - task.started) if task.ended else ""
            link = _console(links.task(task.arn), task.arn.rpartition("/")[2])
            by_hand = (escape(row.job), "task by hand", local(task.started, zone), took, link, "")
            yield _detail(_task_anchor(row, task), "not scheduled", by_hand)


def _detail(anchor: str, scheduled: str, cells: tuple[str, ...]) -> str:
    rest = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr id="{anchor}" tabindex="-1"><th scope="row">{scheduled}</th>{rest}</tr>'


def _console(link: str, name: str) -> str:
    return f'<a href="{escape(link)}" rel="noreferrer">{escape(name)}</a>'


def _task_told(task: HandTask, zone: ZoneInfo) -> str:
    until = f"until {local(task.ended, zone)}" if task.ended else "and still running"
    return f"task {task.arn.rpartition('/')[2]} by hand, since {local(task.started, zone)}, {until}"


def _anchor(row: Row, number: int) -> str:
    return f"{row.job}-{number}"


def _task_anchor(row: Row, task: HandTask) -> str:
    return f"{row.job}-task-{task.arn.rpartition('/')[2]}"


def _glyph(outcome: Outcome) -> str:
    """What stands on a bar or mark; a run that succeeded is a plain bar."""
    return "" if outcome == "ran" else GLYPHS[outcome]


def _class(outcome: str) -> str:
    return outcome.replace(" ", "-")
