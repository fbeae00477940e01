"""``guardctl problems``."""

from datetime import UTC, datetime
from typing import Any

import typer

from chalicelib.decide.facts import stamp
from guardctl import trigger_health
from guardctl.chart import GLYPHS, STYLES, Row
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
from guardctl.errors import NOT_RUN
from guardctl.records import Reader
from guardctl.stage import Stage
from guardctl.survey import DESCRIPTIONS, Survey
from guardctl.trouble import Problem, gathered
from guardctl.wording import clock, entry_json, localised


@command(
    example="guardctl problems --since 12h",
    exit_codes="Exit codes: 0 nothing needs a person · 1 something does · 2, 3 as for every command.",
)
def problems(
    since: SinceOption = "12h",
    limit: DescribeOption = DESCRIPTIONS,
    stage: StageOption = "dev",
    tz: TzOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what needs a person, and the next command for each.

    What failed, was skipped, missed, never started or is late; what is alike of a job is one line. What has not
    succeeded since comes first, then the newest.
    """
    target, now = Stage(stage, tz=tz), datetime.now(UTC)
    start, zone = ago(since, now), target.zone
    with asking("looking up every scheduled time…") as progress:
        health = trigger_health.read(target, now)
        rows = [*Survey(Reader(target, progress), [*target.file.jobs.values()], start, now).rows(limit)]
    found = gathered(rows)
    unread = [row for row in rows if row.unread]
    trigger = health.trouble(now)
    if as_json:
        print_json(target, **_json(target, (trigger, health.command(target)) if trigger else None, found, unread))
    else:
        if count := bool(trigger) + len(found) + len(unread):
            out.print(f"{target.name}, since {clock(start, zone)} {start.astimezone(zone):%Z}: {count} to look into")
        if trigger:
            out.print(localised(f"! {trigger}", zone, named=True), style="bold red", markup=False, end="")
            out.print(f" → {health.command(target)}", markup=False)
        for problem in found:
            entry = problem.entry
            mark, style = GLYPHS[entry.outcome], "bold red" if entry.late_since else STYLES.get(entry.outcome, "")
            times = f" ×{problem.times} since {clock(problem.first, zone)}" if problem.times > 1 else ""
            times += f"; ran at {clock(problem.again, zone)}" if problem.again else ""
            out.print(f"{mark} {clock(entry.scheduled, zone)} {entry.job} {problem.told}{times}", style=style, end="")
            reason = f": {localised(entry.reason, zone, named=True)}" if entry.reason else ""
            out.print(f"{reason} → {target.command(*problem.words(zone))}", markup=False)
        for row in unread:
            told = localised(row.unread, zone, named=True)
            out.print(f"? {row.job} can't be read: {told}", style="bold red", markup=False)
        if not count:
            out.print(f"nothing has needed a person since {clock(start, zone)} {start.astimezone(zone):%Z}")
    if health.unread:
        err.print(f"whether the trigger is alive could not be read: {health.unread}", markup=False)
    if left_out := sum(row.left_out for row in rows):
        err.print(f"{left_out} were not looked up; --limit sets how many executions are described")
    if trigger or found or unread:
        raise typer.Exit(NOT_RUN)


def _json(stage: Stage, trigger: tuple[str, str] | None, found: list[Problem], unread: list[Row]) -> dict[str, Any]:
    return {
        "trigger": {"trouble": trigger[0], "command": trigger[1]} if trigger else None,
        "problems": [
            {
                **entry_json(each.entry),
                "times": each.times,
                "first": stamp(each.first),
                "ran_since": stamp(each.again) if each.again else None,
                "command": stage.command(*each.words(stage.zone)),
            }
            for each in found
        ],
        "unread": [{"job": row.job, "reason": row.unread} for row in unread],
    }
