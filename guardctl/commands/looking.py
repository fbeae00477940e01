"""Commands that only look."""

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.table import Table

from chalicelib.guard import stamp
from guardctl.commands.console import JsonOption, StageOption, err, group, local, out
from guardctl.errors import explained
from guardctl.stage import Stage

app = group()


@app.command(epilog="Example: python -m guardctl status --stage dev --json")
def status(stage: StageOption = "dev", as_json: JsonOption = False) -> None:
    """How every job stands: running or free, its last run, its next time."""
    from guardctl import status as reading  # noqa: PLC0415 (needs botocore)

    target, now = Stage(stage), datetime.now(UTC)
    with explained(), err.status("asking Step Functions…"):
        lines = [reading.read(target, job, now) for job in target.file.jobs.values()]
    if as_json:
        out.print_json(json.dumps([_status_json(line) for line in lines]))
        return
    table = Table("job", "state", "last run", "next time", box=None, pad_edge=False)
    for line in lines:
        zone = ZoneInfo(target.file.jobs[line.job].timezone)
        since = f" {line.run.name} since {local(line.run.started_at, zone)}" if line.run else ""
        last = line.last
        ended = f"{last.name} {last.status} {local(last.stopped_at, zone)}" if last and last.stopped_at else "none yet"
        when = local(line.next_time, zone) if line.next_time else "by hand only"
        table.add_row(line.job, f"{line.state}{since}", ended, when)
    out.print(table)


def _status_json(line: Any) -> dict[str, Any]:
    running, last = line.run, line.last
    return {
        "job": line.job,
        "state": line.state,
        "run": {"name": running.name, "since": stamp(running.started_at)} if running else None,
        "last_run": {"name": last.name, "status": last.status, "ended_at": stamp(last.stopped_at)} if last else None,
        "next_time": stamp(line.next_time) if line.next_time else None,
    }
