"""``guardctl timeline``."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from chalicelib.decide.facts import stamp
from guardctl.chart import Row, Timeline, drawn
from guardctl.console import (
    DescribeOption,
    JsonOption,
    SinceOption,
    StageOption,
    TzOption,
    ago,
    asking,
    command,
    err,
    out,
    print_json,
)
from guardctl.errors import Stop
from guardctl.page import html
from guardctl.records import Reader
from guardctl.stage import Stage
from guardctl.survey import DESCRIPTIONS, Survey
from guardctl.wording import entry_json


@command(example="guardctl timeline --since 24h --html timeline.html")
def timeline(
    jobs: Annotated[list[str] | None, typer.Argument(help="The jobs to show; all of them when left out.")] = None,
    since: SinceOption = "24h",
    limit: DescribeOption = DESCRIPTIONS,
    page: Annotated[Path | None, typer.Option("--html", help="Write one HTML page that needs nothing else.")] = None,
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
    start = ago(since, now)
    with asking("looking up every scheduled time…") as progress:
        rows = tuple(Survey(Reader(target, progress), asked, start, now).rows(limit))
        chart = Timeline(stage=stage, start=start, end=now, zone=target.zone, rows=rows)
        text = html(chart) if page else ""
    if page:
        try:
            page.write_text(text, encoding="utf-8")
        except OSError as error:
            raise Stop(f"{page} can't be written: {error.strerror}") from error
        err.print(f"wrote {page}", markup=False)
    if as_json:
        print_json(target, rows=[_row_json(row) for row in rows])
    elif not page:
        for line in drawn(chart, out.width):
            out.print(line)
    for row in rows:
        if row.left_out:
            err.print(f"{row.job}: {row.left_out} were not looked up; --limit sets how many executions are described")


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
