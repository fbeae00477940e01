"""``guardctl acceptance``."""

import re
import secrets
import signal
import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated

import botocore
import typer

from chalicelib.config.tables import seconds_of
from chalicelib.names import STAGE
from guardctl.acceptance import course, probes, removal, runner
from guardctl.acceptance import report as reports
from guardctl.acceptance.findings import Line
from guardctl.acceptance.removal import Client
from guardctl.acceptance.trial import Names
from guardctl.console import command, confirmed, out
from guardctl.errors import NOT_RUN, Stop, explained
from guardctl.interrupts import interruptible
from guardctl.stage import Stage

_LONGEST_STAGE = 16
"""Characters, so that with four of its own a role's name stays under IAM's 64."""

_PLAN = """\
This tries on AWS what only AWS can show, for about fifteen minutes,
in account {account}, {region}.

It makes, under names that begin with {prefix}:
  a stack with an ECS cluster, two task definitions of a public image, a log
    group, two roles, seven state machines, an alarm, its topic and a queue
  a stage of batch-guard, from a copy of this project: functions, a rule that
    ticks every minute, state machines, with their roles and log groups
  ten more state machines, and about ten Fargate tasks of 0.25 vCPU and 0.5 GB
    with a public IP address, in {subnet}
It costs about {cost}. All of it is removed at the end, also after Ctrl-C.
"""


@command(
    example="guardctl acceptance --stage trial",
    exit_codes="Exit codes: 0 all that could be tried is as assumed · 1 something differs · 2 a mistake in the command"
    " · 3 AWS could not be asked, or refused, or something could not be removed · 130 interrupted.",
)
def acceptance(
    stage: Annotated[str, typer.Option("--stage", help="What the throwaway stage's name begins with.")] = "trial",
    subnet: Annotated[
        str | None, typer.Option("--subnet", help="Where the tasks run; a subnet of the default VPC unless said.")
    ] = None,
    report: Annotated[Path, typer.Option("--report", help="Where the report goes: PATH.md and PATH.json.")] = Path(
        "acceptance"
    ),
    patience: Annotated[str, typer.Option("--patience", help="How long one wait may last.")] = "5m",
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    clean: Annotated[
        bool, typer.Option("--clean", help="Only remove what earlier trials of this --stage have left.")
    ] = False,
) -> None:
    """Try on AWS what only AWS can show, then remove it.

    Deploys a throwaway stage, tries what batch-guard assumes of AWS, writes a report, and removes the stage.
    """
    if not re.fullmatch(STAGE, stage) or len(stage) > _LONGEST_STAGE:
        raise Stop(
            f'"{stage}" is not a stage name: it has lower case letters and digits, a letter first, and for a trial '
            f"at most {_LONGEST_STAGE} characters"
        )
    seconds = seconds_of(patience)
    if not seconds:
        raise Stop(f'--patience "{patience}" is not a duration; write "90s" or "5m"')
    if not report.parent.is_dir():
        raise Stop(f"--report {report}: there is no directory {report.parent}")
    for ending in (signal.SIGTERM, signal.SIGHUP):  # a closed terminal removes what was made, like Ctrl-C
        signal.signal(ending, signal.default_int_handler)
    client = cache(Stage(stage).client)  # made once: they are shared by threads
    again = f"guardctl acceptance --stage {stage} --clean"

    def left() -> str:
        return f"something is left; remove it: {again}" if removal.leftovers(client, stage) else "nothing is left"

    with explained(), interruptible(left, look=again):
        if clean:
            _clean(client, stage, yes)
        else:
            _try(client, stage, subnet, report, seconds, yes)


def _try(client: Client, of: str, subnet: str | None, path: Path, patience: float, yes: bool) -> None:
    names = Names(f"{of}{secrets.token_hex(2)}")
    arns, _, _ = Stage(names.stage).guard.rpartition(":")
    _, _, _, region, account, _ = arns.split(":")
    subnet = subnet or course.default_subnet(client)
    out.print(
        _PLAN.format(account=account, region=region, prefix=names.prefix, subnet=subnet, cost=course.COST), markup=False
    )
    if not yes and not confirmed("Make it, try, and remove it?"):
        raise Stop("nothing was made", NOT_RUN)

    began, made_at = time.monotonic(), datetime.now(UTC)
    lines: list[Line] = []

    def found(line: Line) -> None:
        lines.append(line)
        _say(f"{line.finding.verdict:<18} {line.name}: {line.finding.seen}")

    try:
        with out.status("Ctrl-C ends it, and removes everything"):
            course.take(client, names, of=of, arns=f"{arns}:", subnet=subnet, patience=patience, say=_say, found=found)
    finally:
        if lines:
            known = {line.name for line in lines}
            missing = [
                line
                for probe in (probes.FIRST, *probes.PROBES)
                for line in runner.without(probe, "the trial ended before")
                if line.name not in known
            ]
            made = reports.Report(
                of, region, botocore.__version__, made_at, time.monotonic() - began, [*lines, *missing, *probes.BEYOND]
            )
            for suffix, text in ((".md", reports.as_markdown(made)), (".json", reports.as_json(made))):
                path.with_name(path.name + suffix).write_text(text, encoding="utf-8")
            _say(f"{made.summary}: see {path}.md and {path}.json")
    if made.differs:
        raise Stop("AWS does something else than batch-guard assumes: the report says what", NOT_RUN)


def _clean(client: Client, of: str, yes: bool) -> None:
    found = removal.leftovers(client, of)
    if not found:
        out.print(f"no trial of {of} has left anything")
        return
    for leftover in found:
        out.print(f"{leftover.names.prefix}*, made at {leftover.made_at:%Y-%m-%d %H:%M} UTC ({leftover.status})")
    if not yes and not confirmed("Remove it? A trial that is still going on would fail."):
        raise Stop("nothing was removed", NOT_RUN)
    with course.undisturbed(_say):
        for leftover in found:
            removal.remove(client, leftover.names, _say)


def _say(line: str) -> None:
    out.print(line, markup=False)
