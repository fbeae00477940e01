"""``guardctl export``."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from guardctl.console import FileOption, SinceOption, StageOption, ago, asking, command, err
from guardctl.errors import AWS, Stop
from guardctl.records import Reader
from guardctl.stage import Stage
from guardctl.survey import EVERYTHING, Survey
from guardctl.wording import entry_json


@command(example="guardctl export --since 90d --csv ledger.csv")
def export(
    since: SinceOption = "90d",
    as_csv: Annotated[Path | None, FileOption("--csv", "Write CSV into this file.")] = None,
    jsonl: Annotated[Path | None, FileOption("--jsonl", "Write JSON lines into this file.")] = None,
    stage: StageOption = "dev",
) -> None:
    """Write the ledger, before Step Functions forgets it.

    A line for every scheduled time and every run of every job, in UTC; JSON lines to standard output unless a file is
    named. What a start that failed says is looked up one by one: a long ledger takes minutes.
    """
    target, now = Stage(stage), datetime.now(UTC)
    start = ago(since, now)
    with asking("looking up every scheduled time…") as progress:
        survey = Survey(Reader(target, progress), [*target.file.jobs.values()], start, now)
        rows = [*survey.rows(EVERYTHING)]
    lines = [{"stage": stage, "pool": row.pool, **entry_json(entry)} for row in rows for entry in row.entries]
    lines.sort(key=lambda line: (line["scheduled_at"], line["job"]))
    for path in (as_csv, jsonl):
        if path:
            _write(path, lines, as_csv=path is as_csv)
            err.print(f"wrote {path}: {len(lines)} lines", markup=False)
    if not (as_csv or jsonl):
        sys.stdout.writelines(_json_lines(lines))
    if unread := [f"{row.job}: {row.unread}" for row in rows if row.unread]:
        raise Stop("not exported, since they can't be read:\n" + "\n".join(unread), AWS)


def _write(path: Path, lines: list[dict[str, Any]], *, as_csv: bool) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        if not as_csv:
            file.writelines(_json_lines(lines))
        elif lines:
            table = csv.DictWriter(file, list(lines[0]))
            table.writeheader()
            table.writerows({key: _cell(value) for key, value in line.items()} for line in lines)


def _json_lines(lines: Iterable[dict[str, Any]]) -> Iterator[str]:
    return (json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _cell(value: Any) -> Any:
    """A spreadsheet takes what begins with = for a formula; a reason is words that anybody may have written."""
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@"} else value
