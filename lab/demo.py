"""``make demo``: tells the story of `lab.story` on an emulator of AWS, live, and cleans up after itself."""

import os
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from lab.emulator import EmulatorFailed, NotLoopback, emulator, require_loopback
from lab.stage import CommandFailed, LocalStage, local_stage
from lab.story import DEPLOYED, IN_TIME, ON_SCREEN, SCHEDULE_FIRES, STAGE, NotAsPromised, Step, totals

FAILED, REFUSED, INTERRUPTED = 1, 2, 130


@dataclass
class Line:
    """How a step stands."""

    step: Step
    began: float | None = None
    seconds: float | None = None
    outcome: str = ""
    failed: bool = False

    def told(self) -> str:
        """What came of it, as far as it is known."""
        if self.seconds is None:
            return self.step.waits_for if self.began else ""
        return "see below" if self.step.below else self.outcome


def main() -> int:
    """Tell the story. The exit code is 0 only if every step held."""
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=not sys.stdout.isatty())
    signal.signal(signal.SIGINT, _interrupt_once)
    try:
        _only_loopback(os.environ)
        console.print("The guard at work, on an emulator of AWS on this machine: about 90 seconds.\n")
        with emulator() as aws, local_stage(aws, name=STAGE) as stage:
            lines = tell(stage, console)
            console.print(f"\n{totals(stage)}", style="bold")
            for line in lines:
                if line.step.below:
                    console.print(f"\n$ {line.step.below}")
                    console.print_json(line.outcome)
    except KeyboardInterrupt:
        print("Interrupted: the emulator is stopped, and nothing is left behind.", file=sys.stderr)
        return INTERRUPTED
    except NotLoopback as refusal:
        print(f"{refusal}. The demo starts an emulator of its own: unset it and try again.", file=sys.stderr)
        return REFUSED
    except (NotAsPromised, EmulatorFailed) as failure:
        print(f"The demo failed: {failure}", file=sys.stderr)
        return FAILED
    return 0


def tell(stage: LocalStage, console: Console) -> list[Line]:
    """Do every step. Raises `NotAsPromised` with the step's name for the first that does not hold."""
    lines = {step: Line(step) for step in ON_SCREEN}
    spinner = Spinner("dots")
    watched = sys.stdout.isatty() and not console.is_dumb_terminal
    screen = Live(console=console, get_renderable=lambda: table(lines.values(), spinner), refresh_per_second=10)
    if watched:
        screen.start()
    try:
        for step in IN_TIME:
            line = lines[step]
            line.began = line.began or time.monotonic()
            if not watched and step.waits_for:
                console.print(f"..  {step.tried}: {step.waits_for}")
            try:
                line.outcome = _act(step, stage)
            except NotAsPromised:
                line.failed = True
                raise
            line.seconds = time.monotonic() - line.began
            if step is DEPLOYED:
                lines[SCHEDULE_FIRES].began = time.monotonic()
            if not watched:
                console.print(f"ok  {step.tried}: {line.told()} ({line.seconds:.1f} s)")
    finally:
        if watched:
            screen.stop()
    if not watched:
        console.print(table(lines.values(), spinner))
    return [*lines.values()]


def table(lines: Iterable[Line], spinner: Spinner) -> Table:
    """The steps: the checklist while they are done, the record when they are."""
    shown = Table("", box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    # Wide enough that no column moves when an outcome comes in, and an echoed ^C still fits into 80 columns.
    shown.add_column("what was tried", no_wrap=True, min_width=31)
    shown.add_column("what came of it", min_width=34)
    shown.add_column("seconds", justify="right", no_wrap=True)
    for line in lines:
        if line.began is None:
            shown.add_row("", line.step.tried, style="dim")
            continue
        mark = Text("✗", "red") if line.failed else Text("✓", "green") if line.seconds else spinner
        seconds = line.seconds or time.monotonic() - line.began
        shown.add_row(mark, line.step.tried, line.told(), f"{seconds:.1f}")
    return shown


def _act(step: Step, stage: LocalStage) -> str:
    try:
        return step.act(stage)
    except (NotAsPromised, TimeoutError, CommandFailed, ClientError, BotoCoreError) as failure:
        raise NotAsPromised(f"in the step “{step.tried}”: {failure}") from failure


def _only_loopback(environ: Mapping[str, str]) -> None:
    for name, endpoint in environ.items():
        if name.startswith("AWS_ENDPOINT_URL") and endpoint:
            try:
                require_loopback(endpoint)
            except NotLoopback as refusal:
                raise NotLoopback(f"{refusal} ({name})") from None


def _interrupt_once(*_: object) -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would stop the cleaning up
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
