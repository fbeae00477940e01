"""``guardctl timeline``."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from rich.text import Text

from chalicelib.decide.facts import stamp
from guardctl import trigger_health
from guardctl.chart import Row, Timeline, drawn
from guardctl.console import (
    DescribeOption,
    FileOption,
    JsonOption,
    NamedJob,
    SinceOption,
    StageOption,
    TzOption,
    ago,
    asking,
    command,
    err,
    one_by_one,
    out,
    print_json,
)
from guardctl.page import html
from guardctl.records import Progress, Reader
from guardctl.stage import Stage
from guardctl.survey import DESCRIPTIONS, Survey
from guardctl.wording import entry_json


@command(example="guardctl timeline --since 24h --html timeline.html")
def timeline(
    jobs: Annotated[list[str] | None, NamedJob("The jobs to show; all of them when left out.")] = None,
    since: SinceOption = "24h",
    limit: DescribeOption = DESCRIPTIONS,
    page: Annotated[Path | None, FileOption("--html", "Write one HTML page that needs nothing else.")] = None,
    stage: StageOption = "dev",
    tz: TzOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw the history of all jobs.

    A row per job, those of a pool beside each other; runs as bars, what did not run as marks.
    """
    target, now = Stage(stage, tz=tz), datetime.now(UTC)
    file = target.file
    asked = [target.job(job) for job in jobs] if jobs else [job for pool in file.pools for job in file.members(pool)]
    window = Timeline(stage=stage, start=ago(since, now), end=now, zone=target.zone, rows=())
    rows: list[Row] = []

    def survey(progress: Progress) -> Iterator[Row]:
        for row in Survey(Reader(target, progress), asked, window.start, now).rows(limit):
            rows.append(row)
            yield row

    def lines(progress: Progress) -> Iterator[Text]:
        names = [job.name for job in asked]
        return drawn(window, names, survey(progress), out.width, whole=not out.is_terminal)

    what = "looking up every scheduled time…"
    if page or as_json:
        with asking(what) as progress:
            trigger = _trigger(target, now) if page else None
            deque(survey(progress), maxlen=0)
    else:
        for line in one_by_one(what, lines):
            out.print(line)
    if page:
        _write(page, html(replace(window, rows=tuple(rows), trigger=trigger)))
    if as_json:
        print_json(target, rows=[_row_json(row) for row in rows])
    for row in rows:
        if row.left_out:
            err.print(f"{row.job}: {row.left_out} were not looked up; --limit sets how many executions are described")


def _trigger(stage: Stage, now: datetime) -> tuple[str, str] | None:
    """What is wrong with the trigger, and what to type next."""
    found = trigger_health.read(stage, now)
    trouble = found.trouble(now)
    if found.unread:
        err.print(f"whether the trigger is alive could not be read: {found.unread}", markup=False)
    return (trouble, found.command(stage)) if trouble else None


def _write(page: Path, text: str) -> None:
    page.write_text(text, encoding="utf-8")
    err.print(f"wrote {page}", markup=False)


def _row_json(row: Row) -> dict[str, Any]:
    tasks = [
        {"arn": t.arn, "started_at": stamp(t.started), "ended_at": stamp(t.ended) if t.ended else None}
        for t in row.tasks
    ]
    return {
        "job": row.job,
        "pool": row.pool,
        "entries": [entry_json(entry) for entry in row.entries],
        "tasks_by_hand": tasks,
        "left_out": row.left_out,
        "deployed": row.deployed,
        "unread": row.unread or None,
    }
