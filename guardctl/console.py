"""What every command has in common: where it prints, the options that all take, and what it is given to read."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console

from chalicelib.config.tables import seconds_of
from guardctl.errors import EXIT_CODES, Stop, explained
from guardctl.ledger import KEPT
from guardctl.records import Progress

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

StageOption = Annotated[str, typer.Option("--stage", help="The stage: a jobs file chalicelib/jobs/<stage>.toml.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
JobArgument = Annotated[str, typer.Argument(help="The job's name in the jobs file.")]


SinceOption = Annotated[str, typer.Option("--since", help='How far back: "90m", "24h", "7d", at most "90d".')]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="Look up so many scheduled times of a job at most.")]

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


def print_json(value: Any) -> None:
    """Print `value` as JSON."""
    out.print_json(json.dumps(value))


@contextmanager
def asking(what: str) -> Iterator[Progress]:
    """Show on a terminal what is being asked, and say in a line what AWS or the network refuse."""
    with explained(), err.status(what) as status:
        yield status.update


def confirmed(question: str) -> bool:
    """Whether a person said yes; no answer is a no, and Ctrl-C ends the command."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        out.print()
        return False


def moment(text: str, zone: ZoneInfo, what: str) -> datetime:
    """A time in UTC as a person writes it: in the job's zone unless it says another. Raises `Stop`."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise Stop(f"{what} {text!r} is not a time; write 2026-11-23T18:00 or 2026-11-23T18:00Z") from error
    return (time if time.tzinfo else time.replace(tzinfo=zone)).astimezone(UTC)


def ago(text: str, now: datetime) -> datetime:
    """The time so long before `now`. Raises `Stop`, also for a time of which Step Functions keeps nothing."""
    seconds = seconds_of(text)
    if not seconds:
        raise Stop(f'--since {text!r} is not a duration; write "90m", "24h" or "7d"')
    if seconds > KEPT.total_seconds():
        raise Stop(f"--since {text}: Step Functions keeps {KEPT.days} days; write {KEPT.days}d or less")
    return now - timedelta(seconds=seconds)
