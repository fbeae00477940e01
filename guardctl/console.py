"""What every command has in common: where it prints, the options that all take, and what it is given to read."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

import typer
from rich.console import Console

from chalicelib.config.jobs import DIRECTORY
from chalicelib.config.tables import seconds_of
from chalicelib.decide.facts import stamp
from chalicelib.values import dataclass
from guardctl.errors import EXIT_CODES, Stop, explained
from guardctl.ledger import KEPT
from guardctl.records import Progress
from guardctl.stage import Stage

T = TypeVar("T")

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def _stages(incomplete: str) -> list[str]:
    """What a shell completes a stage to."""
    return sorted(file.stem for file in DIRECTORY.glob(f"{incomplete}*.toml"))


def _jobs(ctx: typer.Context, incomplete: str) -> list[str]:
    """What a shell completes a job to; nothing while the jobs file has a fault."""
    with suppress(Stop):
        return [job for job in Stage(ctx.params.get("stage") or "dev").file.jobs if job.startswith(incomplete)]
    return []


def NamedJob(says: str) -> Any:  # noqa: N802 (an argument, as those below)
    """A job that a command is told, or several; the shell completes it."""
    return typer.Argument(help=says, autocompletion=_jobs)


StageOption = Annotated[
    str,
    typer.Option(
        "--stage",
        envvar="GUARD_STAGE",
        help="The stage: a jobs file chalicelib/jobs/<stage>.toml.",
        autocompletion=_stages,
    ),
]
TzOption = Annotated[
    str | None,
    typer.Option("--tz", help="The zone of all times, shown and given: Asia/Tokyo. Else timezone of [defaults]."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
JobArgument = Annotated[str, NamedJob("The job's name in the jobs file.")]


SomeJob = Annotated[str | None, NamedJob("The job's name in the jobs file; or --pool, or --all.")]
PoolOption = Annotated[str | None, typer.Option("--pool", help="All jobs of this pool.")]
AllOption = Annotated[bool, typer.Option("--all", help="Every job of the stage.")]

SinceOption = Annotated[str, typer.Option("--since", help='How far back: "90m", "24h", "7d", at most "90d".')]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="Look up so many scheduled times of a job at most.")]
DescribeOption = Annotated[int, typer.Option("--limit", min=1, help="Describe so many executions at most.")]


def FileOption(name: str, says: str) -> Any:  # noqa: N802 (an option, as those above)
    """A file to write. That its folder is not there is said at once, and not after minutes of reading."""

    def in_a_folder(path: Path | None) -> Path | None:
        if path and not path.parent.is_dir():
            raise Stop(f"{name} {path}: there is no folder {path.parent}")
        return path

    return typer.Option(name, dir_okay=False, callback=in_a_folder, help=says)


LIMIT = 200
"""Scheduled times that history and timeline look up of each job; each is a call of its own."""


@dataclass(frozen=True)
class Command:
    """A command for `guardctl.__main__` to register. Its function's docstring is its help; `epilog` ends that."""

    function: Callable[..., None]
    epilog: str


def command(example: str, exit_codes: str = EXIT_CODES) -> Callable[[Callable[..., None]], Command]:
    """Make a function a command; `exit_codes` is for one that has words of its own for them."""
    return lambda function: Command(function, f"Example: {example}\n\n{exit_codes}")


SCHEMA = 1
"""Of what the commands print as JSON: it rises when a key goes, or means something else."""


def print_json(stage: Stage, **told: Any) -> None:
    """Print what is told as JSON, with its schema's version, the stage, the zone of people's times, and when it was."""
    zone = "UTC"
    with suppress(Stop):  # there is no jobs file yet
        zone = str(stage.zone)
    about = {"schema": SCHEMA, "stage": stage.name, "timezone": zone, "read_at": stamp(datetime.now(UTC))}
    out.print_json(json.dumps(about | told))


@contextmanager
def asking(what: str) -> Iterator[Progress]:
    """Show on a terminal what is being asked, and say in a line what AWS or the network refuse."""
    with explained(), err.status(what) as status:
        yield status.update


def one_by_one(what: str, ask: Callable[[Progress], Iterator[T]]) -> Iterator[T]:
    """What is asked for, as it comes: the line that `asking` shows is away while one of it is printed below."""
    with explained(), err.status(what) as status:
        for each in ask(status.update):
            status.stop()
            yield each
            status.start()


def confirmed(question: str, *, by: str | None = None) -> bool:
    """Whether a person said yes, or typed the name `by`, which nobody does by mistake.

    No answer is a no, and Ctrl-C ends the command.
    """
    try:
        answer = input(f"{question} Type {by} to go on: " if by else f"{question} [y/N] ").strip()
    except EOFError:
        out.print()
        return False
    return answer == by if by else answer.lower() in ("y", "yes")


def jobs_of(stage: Stage, job: str | None, pool: str | None, every: bool) -> tuple[list[str], bool]:
    """The names of the jobs that a command is for, and whether it may be several. Raises `Stop`."""
    if [job is not None, pool is not None, every].count(True) != 1:
        raise Stop("name one job, or say --pool POOL, or --all")
    if job is not None:
        return [stage.job(job).name], False
    if every:
        return [*stage.file.jobs], True
    if pool not in stage.file.pools:
        raise Stop(f"no pool {pool!r} in stage {stage.name}; the pools are: {', '.join(sorted(stage.file.pools))}")
    return [each.name for each in stage.file.members(pool)], True


def moment(text: str, zone: ZoneInfo, what: str, now: datetime | None = None, also: str = "") -> datetime:
    """A time in UTC as a person writes it: in this zone unless it says another. Raises `Stop`.

    With `now`, a time of day will do: the next one. `also`: what else it may be, for who mistypes it.
    """
    also = "18:00, " if now else also
    if now is not None and re.fullmatch("([01][0-9]|2[0-3]):[0-5][0-9]", text):
        there = now.astimezone(zone)
        at = there.replace(hour=int(text[:2]), minute=int(text[3:]), second=0, microsecond=0)
        return (at if at > there else at + timedelta(days=1)).astimezone(UTC)
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise Stop(f"{what} {text!r} is not a time; write {also}2026-11-23T18:00 or 2026-11-23T18:00Z") from error
    return (time if time.tzinfo else time.replace(tzinfo=zone)).astimezone(UTC)


_DAY_AND_TIME = re.compile("(?:(today|yesterday) )?([01]?[0-9]|2[0-3]):([0-5][0-9])")


def past_moment(text: str, zone: ZoneInfo, now: datetime, what: str, also: str = "") -> datetime:
    """A time in UTC as a person says it of the past: 03:00 is the last one, also `yesterday 03:00`. Raises `Stop`."""
    match = _DAY_AND_TIME.fullmatch(text.strip().lower())
    if match is None:
        return moment(text, zone, what, also=f'{also}03:00, "yesterday 03:00", ')
    there = now.astimezone(zone)
    at = there.replace(hour=int(match[2]), minute=int(match[3]), second=0, microsecond=0)
    back = match[1] == "yesterday" or (match[1] is None and at > there)
    return (at - timedelta(days=1) if back else at).astimezone(UTC)


def ago(text: str, now: datetime) -> datetime:
    """The time so long before `now`. Raises `Stop`, also for a time of which Step Functions keeps nothing."""
    seconds = seconds_of(text)
    if not seconds:
        raise Stop(f'--since {text!r} is not a duration; write "90m", "24h" or "7d"')
    if seconds > KEPT.total_seconds():
        raise Stop(f"--since {text}: Step Functions keeps {KEPT.days} days; write {KEPT.days}d or less")
    return now - timedelta(seconds=seconds)
