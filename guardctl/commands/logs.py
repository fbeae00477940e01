"""``guardctl logs``."""

import json
import sys
from datetime import UTC, datetime
from itertools import chain
from typing import Annotated

import typer

from guardctl import log_lines
from guardctl.console import JobArgument, StageOption, TzOption, command, err
from guardctl.errors import explained
from guardctl.interrupts import interruptible
from guardctl.records import Reader
from guardctl.stage import Stage
from guardctl.wording import sentence


@command(example="guardctl logs nightly-report 42 --follow")
def logs(
    job: JobArgument,
    run: Annotated[str | None, typer.Argument(help="run-42, or 42; the newest run when left out.")] = None,
    slot: Annotated[
        int | None, typer.Option("--slot", help="The slot of the run, in a pool of several; each counts its own runs.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    stage: StageOption = "dev",
    tz: TzOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object per line.")] = False,
) -> None:
    """Print what a run's task has logged.

    And the decision that started it.
    """
    target = Stage(stage, tz=tz)
    asked, zone = target.job(job), target.zone
    which = [*([run] if run else []), *(["--slot", str(slot)] if slot else [])]
    go_on = f"only the reading; go on with: {target.command('logs', job, *which, '--follow')}"
    with explained(), interruptible(lambda: go_on, look=target.command("status", job)):
        reader = Reader(target)
        record = log_lines.find_run(reader, asked, run, slot, datetime.now(UTC))
        err.print(sentence(reader.of_run(asked, record), zone), markup=False)
        count = 0
        for line in chain(
            log_lines.decision(reader, record), log_lines.of_tasks(reader, asked, record.arn, follow=follow)
        ):
            count += 1
            if as_json:
                about = {"at": line.at.isoformat(), "source": line.source, "task": line.task, "message": line.message}
                sys.stdout.write(json.dumps(about, ensure_ascii=False) + "\n")
            else:
                sys.stdout.write(f"{line.at.astimezone(zone):%H:%M:%S}  {line.source:<8}  {line.message}\n")
            sys.stdout.flush()
        if not count:
            err.print("no line was logged (yet)")
