"""``python -m guardctl``: the commands put together, and their exit codes."""

import sys
from pathlib import Path

import typer

from chalicelib.decide.facts import CantTell
from chalicelib.read.aws import Misconfigured, NotDeployed, PermissionDenied
from guardctl.commands import acceptance, deploying, ledger, logs, pausing, starting, status
from guardctl.commands.console import err
from guardctl.errors import AWS, INTERRUPTED, Stop

EXIT_CODES = (
    "Exit codes: 0 done · 1 the job was not started, or its run failed · 2 a mistake in the command or the jobs file"
    " · 3 AWS could not be asked, or refused · 130 interrupted."
)

app = typer.Typer(
    name="guardctl",
    help="batch-guard from the command line: deploy it, look at it, start a job through it.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for commands in (deploying, starting, pausing, status, ledger, logs, acceptance):
    for command in commands.app.registered_commands:
        if "Exit codes:" not in (command.epilog or ""):  # a command may have words of its own for them
            command.epilog = f"{command.epilog}\n\n{EXIT_CODES}"
    app.add_typer(commands.app)


def main() -> None:
    """Run a command; every known failure is a sentence and an exit code."""
    try:
        app()
    except Stop as stop:
        err.print(str(stop), markup=False)
        sys.exit(stop.code)
    except (CantTell, NotDeployed, PermissionDenied, Misconfigured) as error:
        err.print(str(error), markup=False)
        sys.exit(AWS)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # typer makes this of a KeyboardInterrupt, and says nothing
            err.print("interrupted")
        raise


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main()
