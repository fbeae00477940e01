"""The timeline as one HTML page: no network, light and dark, for keyboard, phone and screen reader too.

What needs a person stands on top, as a list with the command that looks into it. The picture is a table of lists. Every
mark is a link to its line in the table of details, and says in words what it is: to a screen reader by its name, to
everybody else on hover and focus. Tab stops at what needs a person, and once in every row; arrow keys reach the rest.

The script copies commands, filters and moves along a row; without it the page says all that it says with it.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cached_property
from html import escape
from importlib import resources

from chalicelib.values import dataclass
from guardctl import page_details, trouble
from guardctl.chart import GLYPHS, HandTask, Row, Timeline, counts
from guardctl.ledger import NEEDS_A_PERSON, Entry
from guardctl.marks import Mark, marks
from guardctl.page_details import Line, task_told
from guardctl.stage import Stage
from guardctl.wording import clock, localised, sentence, until

_SHOWN = 8
"""So many problems are seen at once; the rest is opened."""


def html(timeline: Timeline) -> str:
    """The whole page."""
    return "\n".join(_Page(timeline).parts()) + "\n"


@dataclass(frozen=True)
class _Page:
    timeline: Timeline

    @cached_property
    def marks(self) -> list[list[Mark]]:
        """Of each row."""
        return [marks(self.timeline, row) for row in self.timeline.rows]

    @cached_property
    def lines(self) -> list[Line]:
        """Of the table of details."""
        return [*page_details.lines(self.timeline, self.marks)]

    def parts(self) -> Iterator[str]:
        timeline, style, script = self.timeline, _file("timeline.css"), _file("timeline.js")
        period = until(timeline.start, timeline.end, timeline.zone)
        title = f"batch-guard {timeline.stage}: {period} {timeline.end.astimezone(timeline.zone):%Z}"
        yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
        yield f'<meta http-equiv="Content-Security-Policy" content="{_policy(script)}">'
        yield f"<title>{escape(title)}</title><style>{style}</style></head><body>"
        yield '<a class="skip" href="#picture">To the picture</a>'
        yield f"<header><h1>{escape(title)}</h1>"
        yield f'<p class="faint">All times are {escape(str(timeline.zone))}.</p></header><main>'
        yield from self._trouble()
        yield '<h2 id="picture" tabindex="-1">Every job</h2>'
        yield f'<ul class="legend" aria-label="What happened, and how often">{"".join(self._legend())}</ul>'
        yield from self._filters()
        yield f'<div class="wide"><table class="picture" style="--grid:{self._grid()}"><thead><tr>'
        yield f'<th scope="col">Job</th><td><div class="axis" aria-hidden="true">{"".join(self._axis())}</div></td>'
        yield "</tr></thead><tbody>"
        yield from (self._row(number, row) for number, row in enumerate(timeline.rows))
        yield '</tbody></table></div><h2 id="details" tabindex="-1">Details</h2>'
        yield from self._notes()
        yield from page_details.tables(self.lines)
        yield f'</main><p id="said" role="status"></p><script>{script}</script></body></html>'

    def _trouble(self) -> Iterator[str]:
        problems = trouble.gathered(self.timeline.rows)
        unread = [row for row in self.timeline.rows if row.unread]
        items = [*self._trigger(), *map(self._unread, unread), *map(self._problem, problems)]
        if not items:
            yield "<h2>Nothing needs a person</h2>"
            return
        yield f'<h2>Needs a person: {len(items)}</h2><ol class="trouble">{"".join(items[:_SHOWN])}</ol>'
        if more := items[_SHOWN:]:
            yield f'<details><summary>{len(more)} more</summary><ol class="trouble">{"".join(more)}</ol></details>'

    def _trigger(self) -> Iterator[str]:
        if self.timeline.trigger:
            why, command = self.timeline.trigger
            yield self._item("The trigger", "unread", "#picture", "!", "the whole stage", self._localised(why), command)

    def _unread(self, row: Row) -> str:
        why, command = self._localised(row.unread), Stage(self.timeline.stage).command("status", row.job)
        return self._item(row.job, "unread", f"#{self._row_id(row.job)}", "?", "can't be read", why, command)

    def _problem(self, problem: trouble.Problem) -> str:
        entry, zone = problem.entry, self.timeline.zone
        when = f"{clock(entry.scheduled, zone)}, {problem.told}"
        if problem.times > 1:
            when += f" ×{problem.times:,} from {self._time(problem.first, beside=entry.scheduled)}"
        if entry.by_hand:
            when += " by hand"
        if problem.again:
            when += f"; ran at {self._time(problem.again, beside=entry.scheduled)}"
        anchor, command = self._anchors[entry], Stage(self.timeline.stage).command(*problem.words(zone))
        why = self._localised(entry.reason)
        kind = page_details.kind(entry.outcome, [entry])
        return self._item(entry.job, kind, f"#{anchor}", GLYPHS[entry.outcome], when, why, command)

    def _item(self, job: str, kind: str, to: str, glyph: str, when: str, why: str, command: str) -> str:
        row = f' data-r="{self._numbers[job]}"' if job in self._numbers else ""
        return (
            f'<li{row} class="{kind}"><div><a href="{to}">'
            f'<i class="{kind}" aria-hidden="true">{glyph}</i>{escape(job)}</a><span>{when}</span></div>'
            f"<div><p>{escape(why)}</p><code>{escape(command)}</code>"
            f'<button type="button" class="copy" hidden aria-label="Copy: {escape(command)}">copy</button></div></li>'
        )

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {row.job: number for number, row in enumerate(self.timeline.rows)}

    @cached_property
    def _anchors(self) -> dict[Entry, str]:
        """Where the line of each entry that needs a person is."""
        return {entry: line.anchor for line in self.lines for entry in line.entries if entry.needs_a_person}

    def _row_id(self, job: str) -> str:
        return f"r{self._numbers[job]}"

    def _legend(self) -> Iterator[str]:
        for outcome, count in counts(entry for row in self.timeline.rows for entry in row.entries)[::-1]:
            glyph = "" if outcome == "ran" else GLYPHS[outcome]
            yield f'<li><i class="{_class(outcome)}" aria-hidden="true">{glyph}</i>{outcome} {count:,}</li>'
        if tasks := sum(len(row.tasks) for row in self.timeline.rows):
            yield f'<li><i class="hand" aria-hidden="true"></i>task by hand {tasks:,}</li>'

    def _filters(self) -> Iterator[str]:
        """For the script, which shows them."""
        found = counts(entry for row in self.timeline.rows for entry in row.entries)[::-1]
        bad = " ".join([*sorted(map(_class, NEEDS_A_PERSON)), "late", "unread"])
        yield '<form hidden><label>Job <input type="search" name="job" autocomplete="off" spellcheck="false"></label>'
        if pools := list(dict.fromkeys(row.pool for row in self.timeline.rows if row.pool)):
            yield f"<label>Pool {_select('pool', [('', 'all'), *((pool, pool) for pool in pools)])}</label>"
        outcomes = [("", "all"), (bad, "needs a person"), *((_class(outcome), outcome) for outcome, _ in found)]
        if any(entry.late_since for row in self.timeline.rows for entry in row.entries):
            outcomes.append(("late", "late"))
        if any(row.tasks for row in self.timeline.rows):
            outcomes.append(("hand", "task by hand"))
        yield f'<label>Outcome {_select("outcome", outcomes)}</label><button type="reset">Show all</button></form>'

    def _grid(self) -> str:
        """Lines at the axis' times, through all rows."""
        places = [_percent(place) for place, _ in self.timeline.ticks(most=8)]
        lines = [f"transparent {at},var(--line) {at} calc({at} + 1px),transparent calc({at} + 1px)" for at in places]
        return f"linear-gradient(90deg,{','.join(lines)})" if lines else "none"

    def _axis(self) -> Iterator[str]:
        """Eight dates fit a page of 1000 pixels; a time at the very end would widen it."""
        date = None
        for place, tick in self.timeline.ticks(most=8):
            text, day = f"{tick:%H:%M}", f"{tick:%b %d}"
            if tick.date() != date:
                text = day if text == "00:00" else f"{day}, {text}"
            date = tick.date()
            if place <= 0.97 - 0.01 * len(text):  # a character is a hundredth of it at most
                yield f'<span style="left:{_percent(place)}">{text}</span>'
        yield '<span class="now">now</span>'

    def _row(self, number: int, row: Row) -> str:
        found = self.marks[number]
        stops = {n for n, mark in enumerate(found) if any(map(_stops, mark.entries))} or {len(found) - 1}
        items = [(mark.start, self._mark(number, row, n, mark, n in stops)) for n, mark in enumerate(found)]
        items += [(task.started, self._task(number, row, n, task)) for n, task in enumerate(row.tasks)]
        two = " two" if row.tasks or any(mark.layer != "bar" for mark in found) else ""
        if row.unread:
            listed = f'<p class="faint">? {escape(self._localised(row.unread))}</p>'
        elif items:
            listed = "".join(item for _, item in sorted(items, key=lambda each: each[0]))
            listed = f'<ol class="lanes{two}">{listed}</ol>'
        else:
            listed = f'<p class="faint">{"nothing happened" if row.deployed else "not deployed"}</p>'
        pool = f' <small class="faint">pool {escape(row.pool)}</small>' if row.pool else ""
        about = f'id="r{number}" data-job="{escape(row.job)}" data-pool="{escape(row.pool or "")}"'
        unread = ' class="unread"' if row.unread else ""
        return f'<tr {about}{unread}><th scope="row">{escape(row.job)}{pool}</th><td>{listed}</td></tr>'

    def _mark(self, number: int, row: Row, place: int, mark: Mark, stop: bool) -> str:
        entry, zone = mark.worst, self.timeline.zone
        glyph = "" if entry.outcome == "ran" else GLYPHS[entry.outcome]
        classes, more = f"{mark.layer} {page_details.kind(entry.outcome, mark.entries)}", ""
        told = sentence(entry, zone, named=True)
        if len(mark.entries) > 1:
            glyph += self._number(mark)
            classes += " many"
            how_many = ", ".join(f"{count:,} {outcome}" for outcome, count in mark.counts)
            told = f"{row.job}, {until(*mark.scheduled, zone)}: {how_many}"
            if entry.needs_a_person and entry.reason:
                told += f"; the last {entry.outcome}: {self._localised(entry.reason)}"
            if len(mark.counts) > 1:
                outcomes = " ".join(outcome.replace(" ", "-") for outcome, _ in mark.counts[1:])
                more = f' data-o="{page_details.kind(entry.outcome, mark.entries)} {outcomes}"'
        if not stop:
            more += ' tabindex="-1"'
        start, end = self.timeline.place(mark.start), self.timeline.place(mark.end)
        return _link(f"#{number}-{place}", classes, start, end, glyph, told, more)

    def _number(self, mark: Mark) -> str:
        """How many there are of the worst, where there is room for it. That many succeeded goes without saying."""
        count = mark.counts[0][1]
        room = 100 * (self.timeline.place(mark.end) - self.timeline.place(mark.start))  # a character is 1 wide
        return f"{count:,}" if mark.worst.outcome != "ran" and count > 1 and (count < 10 or room > 5) else ""

    def _task(self, number: int, row: Row, place: int, task: HandTask) -> str:
        start, end = self.timeline.place(task.started), self.timeline.place(task.ended or self.timeline.end)
        told = f"{row.job}: {task_told(task, self.timeline.zone)}"
        return _link(f"#{number}-t{place}", "task hand", start, end, "", told)

    def _notes(self) -> Iterator[str]:
        yield (
            '<p class="faint">ECS shows tasks by hand for about an hour after they stopped. A number says how many '
            "scheduled times stand at one place, and its mark what became of the worst of them.</p>"
        )
        if any(entry.outcome.startswith("would have") for row in self.timeline.rows for entry in row.entries):
            yield '<p class="faint">A hollow mark: what would have become of a time of a job in shadow.</p>'
        if left_out := [f"{escape(row.job)} {row.left_out:,}" for row in self.timeline.rows if row.left_out]:
            yield f'<p class="faint">Not looked up: {", ".join(left_out)}. <code>--limit</code> makes it less.</p>'

    def _time(self, moment: datetime, beside: datetime) -> str:
        """The time of day, with its date on another day than that beside which it stands."""
        there, other = moment.astimezone(self.timeline.zone), beside.astimezone(self.timeline.zone)
        return f"{there:%H:%M}" if there.date() == other.date() else f"{there:%m-%d %H:%M}"

    def _localised(self, text: str) -> str:
        return localised(text, self.timeline.zone, named=True)


def _stops(entry: Entry) -> bool:
    """Whether Tab stops at it."""
    return entry.needs_a_person or entry.outcome == "not looked up"


def _link(to: str, classes: str, start: float, end: float, glyph: str, told: str, more: str = "") -> str:
    side = " e" if start > 0.6 else ""
    width = f";width:{_percent(end - start)}" if end > start else ""
    about = f'class="{classes}{side}" style="left:{_percent(start)}{width}" href="{to}" aria-label="{escape(told)}"'
    return f"<li><a {about}{more}>{f'<b>{glyph}</b>' if glyph else ''}</a></li>"


def _select(name: str, options: Iterable[tuple[str, str]]) -> str:
    listed = "".join(f'<option value="{escape(value)}">{escape(text)}</option>' for value, text in options)
    return f'<select name="{name}">{listed}</select>'


def _percent(place: float) -> str:
    return f"{100 * place:.2f}".rstrip("0").rstrip(".") + "%"


def _class(outcome: str) -> str:
    return outcome.replace(" ", "-")


def _file(name: str) -> str:
    return resources.files("guardctl").joinpath(name).read_text(encoding="utf-8")


def _policy(script: str) -> str:
    """Nothing is loaded from anywhere; no script runs but the page's own."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    own = f"script-src 'sha256-{digest}'; style-src 'unsafe-inline'"
    return f"default-src 'none'; {own}; base-uri 'none'; form-action 'none'"
