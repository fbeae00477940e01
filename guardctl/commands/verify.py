"""``guardctl verify``."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from guardctl import limits
from guardctl.console import JsonOption, NamedJob, StageOption, asking, command, out, print_json
from guardctl.errors import AWS, NOT_RUN, Stop
from guardctl.stage import Stage
from guardctl.verifying import verification
from guardctl.verifying.verification import Verification

_COLOURS = {"OK": "green", "NG": "bold red", "SKIP": "yellow"}


@command(
    example="guardctl verify --stage dev",
    exit_codes="Exit codes: 0 all OK or SKIP · 1 something is NG · 2 a mistake in the command or the jobs file"
    " · 3 AWS could not be asked at all.",
)
def verify(
    job: Annotated[str | None, NamedJob("One job alone; all of them and the stage when left out.")] = None,
    stage: StageOption = "dev",
    as_json: JsonOption = False,
) -> None:
    """Check against the account whether each job's task would start.

    Reads only. OK was read, NG can't work, SKIP was not looked at or can't be told, each with its reason.
    """
    target = Stage(stage)
    limits.require(target)
    if job:
        target.job(job)
    with asking("asking AWS…"):
        found = verification.verify(target, datetime.now(UTC), job)
    if as_json:
        print_json(target, **verification.as_json(target, found))
    else:
        _tree(target, found)
    if not found.answered:
        raise Stop("AWS answered nothing that was asked: see the reasons; guardctl iam viewer has what it takes", AWS)
    if found.count("NG"):
        raise typer.Exit(NOT_RUN)


def _tree(stage: Stage, found: Verification) -> None:
    for subject in found.subjects:
        out.print(subject.job or f"stage {stage.name}, account {stage.account}, {stage.region}", markup=False)
        for each in subject.findings:
            out.print(f"  {each.verdict:<4}", end=" ", style=_COLOURS[each.verdict])
            out.print(f"{each.what}: {each.reason}", markup=False)
    out.print(f"{found.told} ({found.calls} calls)")
