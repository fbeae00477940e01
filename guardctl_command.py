"""The command ``guardctl``, all that `pip install .` installs: it runs the guardctl of the project around it.

A project's commands, its jobs files and what it deploys are of one version. So nothing of them is copied by the
installation: this looks for the project in the current folder and above, and hands over.
"""

import sys
from pathlib import Path

_MARKS = ("guardctl/__main__.py", "chalicelib/contract.py", ".chalice/config.json")


def project(start: Path) -> Path | None:
    """The project that `start` is in; None if it is in none."""
    return next((d for d in (start, *start.parents) if all((d / mark).is_file() for mark in _MARKS)), None)


def main() -> None:
    """Run the project's guardctl. Ends with 2 where there is no project."""
    found = project(Path.cwd())
    if found is None and sys.argv[1:] == ["--version"]:
        from importlib.metadata import version  # noqa: PLC0415 (it costs a tenth of a second)

        print(f"guardctl {version('batch-guard')}, outside of a project")
        return
    if found is None:
        sys.exit(_no_project())
    sys.path.insert(0, str(found))
    try:
        from guardctl.__main__ import main as of_the_project  # noqa: PLC0415 (it is the project's, found just now)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    of_the_project()


def _no_project() -> int:
    print(f"guardctl: {Path.cwd()} is in no batch-guard project; go into one: a folder with .chalice", file=sys.stderr)
    return 2
