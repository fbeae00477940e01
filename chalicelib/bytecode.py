"""Bytecode for the zip, in ``vendor/``, which Chalice copies to the zip's root: a cold start need not compile.

Each file carries the hash of its source, which Python compares at every import: bytecode that does not fit its source
is not used (PEP 552, checked hash). For Chalice's command line alone, whose Python is that of the runtime it deploys.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import cache_from_source
from pathlib import Path

_PACKAGED = ("chalicelib", "cronsim", "typing_extensions")
_RUNTIME = ("chalice", "chalice.app")
"""What Chalice puts into the zip of itself."""

_COMPILE = """
import py_compile, sys
names = sys.argv[1:]
for source, target, shown in zip(names[::3], names[1::3], names[2::3]):
    py_compile.compile(source, target, shown, True, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
"""


def refresh(project: Path) -> None:
    """Make ``vendor/`` anew from what has been imported so far. Nobody's ``__pycache__`` gets into the zip."""
    sys.dont_write_bytecode = True
    sys.pycache_prefix = None  # the zip's is beside its sources, wherever this Python keeps its own
    for stale in (project / "chalicelib").rglob("__pycache__"):
        shutil.rmtree(stale, ignore_errors=True)
    vendor = project / "vendor"
    shutil.rmtree(vendor, ignore_errors=True)
    arguments: list[str] = []
    for source, name in sorted(_sources(project)):
        target = vendor / cache_from_source(name, optimization="")
        target.parent.mkdir(parents=True, exist_ok=True)
        arguments += [str(source), str(target), f"/var/task/{name}"]
    # In a process of its own with a fixed hash seed: the same sources give the same bytes, whoever compiles them.
    command = [sys.executable, "-B", "-c", _COMPILE, *arguments]
    subprocess.run(command, check=True, env={"PYTHONHASHSEED": "0"})


def _sources(project: Path) -> Iterator[tuple[Path, str]]:
    """Every module of the zip that the functions load, and its place in it."""
    yield project / "app.py", "app.py"
    for source in (project / "chalicelib").rglob("*.py"):
        yield source, source.relative_to(project).as_posix()
    for name, module in list(sys.modules.items()):
        origin = getattr(module, "__file__", None)
        if (name.partition(".")[0] in _PACKAGED or name in _RUNTIME) and origin and not name.startswith("chalicelib"):
            depth = name.count(".") + (Path(origin).name == "__init__.py")
            source = Path(origin)
            yield source, source.relative_to(source.parents[depth]).as_posix()
