"""``guardctl``: the commands put together, and their exit codes."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from chalicelib.decide.facts import CantTell
from chalicelib.read.aws import Misconfigured, NotDeployed, PermissionDenied
from guardctl import __version__
from guardctl.commands.acceptance import acceptance
from guardctl.commands.backfill import backfill
from guardctl.commands.calendar import calendar
from guardctl.commands.check import check
from guardctl.commands.deploy import deploy
from guardctl.commands.destroy import destroy
from guardctl.commands.diff import diff
from guardctl.commands.export import export
from guardctl.commands.handover import handover
from guardctl.commands.history import history
from guardctl.commands.iam import iam
from guardctl.commands.import_ import import_
from guardctl.commands.logs import logs
from guardctl.commands.next import next_
from guardctl.commands.package import package
from guardctl.commands.pause import pause
from guardctl.commands.problems import problems
from guardctl.commands.resume import resume
from guardctl.commands.run import run
from guardctl.commands.status import status
from guardctl.commands.stop import stop
from guardctl.commands.template import template
from guardctl.commands.timeline import timeline
from guardctl.commands.validate import validate
from guardctl.commands.verify import verify
from guardctl.commands.why import why
from guardctl.console import err, out
from guardctl.errors import AWS, EXIT_CODES, INTERRUPTED, Stop
from guardctl.stage import PROJECT

COMMANDS = (
    validate,
    calendar,
    verify,
    diff,
    template,
    iam,
    package,
    import_,
    deploy,
    handover,
    destroy,
    run,
    backfill,
    stop,
    pause,
    resume,
    check,
    status,
    why,
    problems,
    next_,
    history,
    timeline,
    export,
    logs,
    acceptance,
)
"""In the order of the help."""

app = typer.Typer(
    name="guardctl",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        out.print(f"guardctl {__version__}, of the project {PROJECT}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and the project.")
    ] = False,
) -> None:
    """batch-guard from the command line: deploy it, look at it, start a job through it."""


for command in COMMANDS:
    app.command(command.name, epilog=command.epilog)(command.function)


def main() -> None:
    """Run a command; every known failure is a sentence and an exit code."""
    try:
        app(prog_name="guardctl")
    except Stop as stopped:
        err.print(str(stopped), markup=False)
        sys.exit(stopped.code)
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
