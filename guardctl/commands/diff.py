"""``guardctl diff``."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from chalicelib.decide.facts import stamp
from guardctl import deployed, limits
from guardctl.console import JsonOption, StageOption, asking, command, out, print_json
from guardctl.deployed import Diff
from guardctl.differences import JobDifference, Setting
from guardctl.errors import NOT_RUN
from guardctl.stage import Stage

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@command(
    example="guardctl diff --stage dev",
    exit_codes="Exit codes: 0 with or without differences · 1 with --exit-code, if there are any"
    " · 2, 3 as for every command.",
)
def diff(
    stage: StageOption = "dev",
    exit_code: Annotated[bool, typer.Option("--exit-code", help="End with 1 if there is a difference.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what a deployment would change, job by job, then as text.

    Compared with the jobs file in the deployed functions. CloudFormation is not asked: deploy --dry-run does that.
    """
    target = Stage(stage)
    limits.require(target)
    with asking("reading what is deployed…"):
        found = deployed.read(target, datetime.now(UTC))
    if as_json:
        print_json(target, **_json(found))
    elif not found:
        out.print(f"stage {stage}: what is deployed is this checkout's", markup=False)
    else:
        for line in deployed.words(target, found):
            out.print(line, markup=False)
        for line in found.text:
            out.print(line, style=_COLOURS.get(line[:1]), markup=False)
    if exit_code and found:
        raise typer.Exit(NOT_RUN)


def _json(found: Diff) -> dict[str, Any]:
    told = found.found
    jobs = told.jobs if told else ()
    if not found.deployed:
        jobs = tuple(JobDifference(name, "new") for name in found.jobs)
    return {
        "deployed": found.deployed,
        "differs": bool(found),
        "jobs": [
            {
                "job": each.job,
                "what": each.what,
                "settings": _settings(each.settings),
                "moved": [*each.moved],
                "next_before": [stamp(time) for time in each.times[0]] if each.times else None,
                "next_after": [stamp(time) for time in each.times[1]] if each.times else None,
            }
            for each in jobs
        ],
        "settings": _settings(told.stage if told else ()),
        "meets": [*found.meets],
        "functions": [*found.functions],
        "text": [*found.text],
    }


def _settings(settings: tuple[Setting, ...]) -> list[dict[str, str | None]]:
    return [asdict(each) for each in settings]
