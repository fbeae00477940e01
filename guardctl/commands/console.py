"""What every command has in common: where it prints, the options that all take, times as a person writes them."""

from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

StageOption = Annotated[str, typer.Option("--stage", help="The stage: a jobs file chalicelib/jobs/<stage>.toml.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def group() -> typer.Typer:
    """An app for a group of commands; it has no name of its own, so its commands stand beside the others."""
    return typer.Typer(rich_markup_mode=None)


def local(moment: datetime, zone: ZoneInfo) -> str:
    """``2026-11-23 18:00 JST``."""
    return moment.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")
