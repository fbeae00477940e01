"""``guardctl validate``."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from guardctl import advice, limits, notes, project
from guardctl.console import StageOption, command, err, out
from guardctl.errors import Stop
from guardctl.stage import Stage


@command(example="guardctl validate --stage dev")
def validate(
    stage: StageOption = "dev",
    strict: Annotated[bool, typer.Option("--strict", help="End with 2 if there is a warning.")] = False,
) -> None:
    """Check a stage's jobs file and settings. The settings are its block in .chalice/config.json. Asks nothing of AWS.

    All the faults at once; what AWS would refuse is one, too. A warning (on standard error) is about what AWS takes and
    may not be meant, a note (there, too) about what is as it is written and may be read otherwise.
    """
    target = Stage(stage)
    jobs = limits.require(target)
    project.require_block(target)
    now = datetime.now(UTC)
    advised = advice.warnings(jobs, target.place, target.other_files(), now)
    for note in notes.notes(jobs, target.place, now):
        err.print(f"note: {note}", markup=False)
    warnings = [*project.missing(target), *advised]
    for warning in warnings:
        err.print(f"warning: {warning}", markup=False)
    if strict and warnings:
        raise Stop(f"{stage}: {_counted(len(warnings), 'warning')}, and --strict takes none")
    told = f", {_counted(len(warnings), 'warning')}" if warnings else ""
    out.print(f"{stage}: {_counted(len(jobs.jobs), 'job')}, no fault{told}")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
