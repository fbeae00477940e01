"""``guardctl``: the commands put together, and their exit codes."""

import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from keyword import iskeyword
from pathlib import Path
from typing import Annotated

import typer

from chalicelib.decide.facts import CantTell
from chalicelib.read.aws import Misconfigured, NotDeployed, PermissionDenied
from guardctl import __version__
from guardctl.console import err, out
from guardctl.errors import AWS, EXIT_CODES, INTERRUPTED, USAGE, Stop, advice
from guardctl.stage import PROJECT

COMMANDS = (
    "validate",
    "calendar",
    "verify",
    "diff",
    "template",
    "iam",
    "package",
    "import",
    "deploy",
    "handover",
    "destroy",
    "run",
    "backfill",
    "stop",
    "pause",
    "resume",
    "check",
    "status",
    "why",
    "problems",
    "next",
    "history",
    "timeline",
    "export",
    "logs",
    "acceptance",
)
"""In the order of the help. Each is in the module of its name, under it (or with _, where it is a word of Python)."""


def application(names: Sequence[str] = COMMANDS) -> typer.Typer:
    """The command line with these commands. Loading one is most of the time that a quick command takes."""
    app = typer.Typer(
        name="guardctl",
        epilog=EXIT_CODES,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_root)
    for name in names:
        module = import_module(f"guardctl.commands.{name}{'_' * iskeyword(name)}")
        command = getattr(module, name, None) or getattr(module, f"{name}_")
        app.command(name, epilog=command.epilog)(command.function)
    return app


def _version(asked: bool) -> None:
    if asked:
        out.print(f"guardctl {__version__}, of the project {PROJECT}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and the project.")
    ] = False,
) -> None:
    """batch-guard from the command line: deploy it, look at it, start a job through it."""


def main() -> None:
    """Run a command; every known failure is a sentence and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal without our marks shows ? for them
            stream.reconfigure(errors="replace")
    asked = sys.argv[1:2]
    try:
        application(asked if {*asked} & {*COMMANDS} else COMMANDS)(prog_name="guardctl")
    except Stop as stopped:
        err.print(str(stopped), markup=False)
        sys.exit(stopped.code)
    except (CantTell, NotDeployed, PermissionDenied, Misconfigured) as error:
        err.print(f"{error}{advice(error.__cause__)}", markup=False)
        sys.exit(AWS)
    except OSError as error:  # of a file or a pipe; what the network says is explained where it was asked
        err.print(f"{error.filename or 'output'}: {error.strerror}", markup=False)
        sys.exit(USAGE)
    except KeyboardInterrupt:  # while the command is loaded
        err.print("interrupted")
        sys.exit(INTERRUPTED)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # typer makes this of a KeyboardInterrupt, and says nothing
            err.print("interrupted")
        raise


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    main()
