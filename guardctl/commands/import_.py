"""``guardctl import``."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from chalicelib.config.jobs import DIRECTORY, JobsFileInvalid, parse
from guardctl.console import JsonOption, StageOption, asking, command, err, out, print_json
from guardctl.errors import Stop
from guardctl.importing import report
from guardctl.importing.carry import carried
from guardctl.importing.read import Reader
from guardctl.importing.settle import Existing, Settled, settled
from guardctl.interrupts import interruptible
from guardctl.stage import PROJECT, Stage


@command(example="guardctl import --stage prod")
def import_(
    stage: StageOption = "dev",
    force: Annotated[
        bool, typer.Option("--force", help="Add to a jobs file that is there; as it was, it is kept as STAGE.toml.bak.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be imported, and write nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a jobs file of what starts ECS tasks today.

    That is, of the account's EventBridge rules and Scheduler schedules, which are only read. The jobs are in shadow
    until `guardctl handover` moves their work. What the jobs file has already is left as it is.
    """
    target = Stage(stage)
    file = (target.jobs_directory or DIRECTORY) / f"{stage}.toml"
    existing = _existing(target, file)
    began = time.monotonic()
    with (
        asking("reading what starts ECS tasks today…") as progress,
        interruptible(lambda: "nothing was written", target.command("import")),
    ):
        source = f"account {target.account} in {target.region}"
        clients = target.client("events"), target.client("scheduler"), target.ecs, target.stepfunctions
        account = Reader(*clients, progress).account()
    now = datetime.now(UTC)
    found = settled([carried(old, account.definitions, now) for old in account.olds], existing, stage, source)
    took = time.monotonic() - began
    if as_json:
        print_json(target, **report.as_json(found, account))
    else:
        for line in report.lines(found, account):
            out.print(line, markup=False)
        out.print(report.summary(found, account, took), markup=False)
    if not found.new:
        err.print(f"nothing new in {source}; nothing was written", markup=False)
        return
    if dry_run:
        err.print("dry run: nothing was written")
        return
    if existing.text and not force:
        raise Stop(
            f"{target.place} is there, and nothing was written: --force adds the new jobs to it, and keeps a .bak"
        )
    for line in written(file, existing, found):
        err.print(line, markup=False)
    err.print(f"look at it, and then: {target.command('validate')}; {target.command('deploy')}", markup=False)


def written(file: Path, existing: Existing, found: Settled) -> list[str]:
    """Write the file, and first what it was; the lines that say so."""
    told = []
    if existing.text:
        backup = PROJECT / f"{file.name}.bak"  # what is beside the jobs file is deployed
        backup.write_bytes(existing.text.encode())
        told.append(f"wrote {backup.name} into the project's folder: the jobs file as it was")
    file.write_bytes(found.text.encode())
    return [*told, f"wrote {file.name}: {len(found.new)} jobs in shadow"]


def _existing(target: Stage, file: Path) -> Existing:
    """The jobs file that is there. Raises `Stop` with its faults."""
    try:
        text = file.read_bytes().decode("utf-8-sig")  # to the byte: line ends stay what they are
        if not text.strip():
            return Existing()
        return Existing(text, parse(text, stage=target.name, place=target.place).jobs)
    except FileNotFoundError:
        _require_name(target)
        return Existing()
    except UnicodeDecodeError as error:
        raise Stop(f"{target.place}: is not UTF-8: save it as UTF-8") from error
    except JobsFileInvalid as error:
        raise Stop(str(error)) from error


def _require_name(target: Stage) -> None:
    """Raise `Stop` for what can't be a stage's name."""
    try:
        parse("", stage=target.name, place=target.place)
    except JobsFileInvalid as error:
        wrong = [str(fault) for fault in error.faults if fault.place == "stage"]
        if wrong:
            raise Stop("\n".join(wrong)) from error
