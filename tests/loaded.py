"""What the forks of `tests/commands.py` have loaded: the libraries of commands and of the emulator.

Of ours nothing is loaded; only what the sources compile to is kept, for copies of them.

`lab/forks.py` runs this before it listens.
"""

import _imp
import fcntl
import functools
import hashlib
import importlib
import marshal
import os
import shutil
import sys
import tempfile
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType

import boto3
import botocore.httpsession
from botocore.hooks import EventAliaser, HierarchicalEmitter
from botocore.loaders import JSONFileLoader, Loader, create_loader
from chalice.deploy.packager import DependencyBuilder

MODULES = """
    chalice.cli.factory cronsim pip._internal.cli.main pip._internal.commands.download rich.console typer._adapters
    defusedxml.ElementTree hypercorn.asyncio hypercorn.protocol.h2 hypercorn.protocol.ws_stream jsonatapy yaml
"""
SERVICES = "cloudformation cloudwatch ecs events iam lambda logs s3 scheduler ssm stepfunctions sts"
_HERE = Path(sys.argv[1])  # the socket; a command has other arguments
_PROJECT = Path(__file__).parent.parent
_build = DependencyBuilder.build_site_packages
_compile = SourceFileLoader.source_to_code


def _build_once(self: DependencyBuilder, abi: str, requirements_filepath: str, target_directory: str) -> None:
    """What Chalice has of pip for its zip, of one requirements.txt, is downloaded once for all deployments."""
    wanted = Path(requirements_filepath).read_bytes()
    built = _HERE.with_name(f"{abi}-{hashlib.sha256(wanted).hexdigest()}")
    with built.with_suffix(".making").open("w") as making:
        fcntl.flock(making, fcntl.LOCK_EX)
        if not built.exists():
            made = tempfile.mkdtemp(dir=built.parent)
            _build(self, abi, requirements_filepath, made)
            Path(made).rename(built)
    shutil.copytree(built, target_directory, copy_function=os.link, dirs_exist_ok=True)


def _code_of(file: Path) -> bytes:
    """What Python compiles it to; kept beside it, as ever."""
    code = SourceFileLoader(file.stem, str(file)).get_code(file.stem)
    assert code
    return marshal.dumps(code)


def _compile_once(self: SourceFileLoader, data: bytes, path: str, *, _optimize: int = -1) -> CodeType:
    """Copies of the project have its sources, and Chalice's command line compiles them for each zip."""
    if data not in _codes:
        return _compile(self, data, path, _optimize=_optimize)
    code: CodeType = marshal.loads(_codes[data])
    _imp._fix_co_filename(code, path)  # type: ignore[attr-defined]  # what importlib does with bytecode from elsewhere
    return code


os.setsid()  # a terminal's Ctrl-C is for whoever asks: what is torn down then may still need commands
DependencyBuilder.build_site_packages = _build_once  # type: ignore[method-assign]
for module in MODULES.split():
    importlib.import_module(module)
# Of the project, and of what Chalice's command line compiles for the zip besides.
_zipped = (name for name in sys.modules if name in {"chalice", "chalice.app"} or name.startswith("cronsim"))
_sources = [
    _PROJECT / "app.py",
    *(file for name in ("chalicelib", "guardctl") for file in (_PROJECT / name).rglob("*.py")),
    *(Path(sys.modules[name].__file__ or "") for name in _zipped),
]
_codes = {file.read_bytes(): _code_of(file) for file in _sources}
SourceFileLoader.source_to_code = _compile_once  # type: ignore[assignment, method-assign]
# What a session or a client would do anew: read the descriptions, look which there are, find the aliases of 500 events,
# and make a context for TLS.
_read = functools.cache(JSONFileLoader().load_file)
_available = functools.cache(create_loader().list_available_services)
_aliased = functools.cache(EventAliaser(HierarchicalEmitter())._alias_event_name)  # type: ignore[attr-defined]
JSONFileLoader.load_file = lambda _, path: _read(path)  # type: ignore[assignment, method-assign]
Loader.list_available_services = lambda self, type_name: _available(type_name)  # type: ignore[method-assign]
EventAliaser._alias_event_name = lambda self, event_name: _aliased(event_name)  # type: ignore[attr-defined]
botocore.httpsession.create_urllib3_context = functools.cache(botocore.httpsession.create_urllib3_context)
for service in SERVICES.split():
    boto3.client(service, "us-east-1", aws_access_key_id="none", aws_secret_access_key="none")  # type: ignore[call-overload]
