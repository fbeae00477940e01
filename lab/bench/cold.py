"""A cold start: `import app` and the first decision, beside a script that only makes the client and calls it.

Measured twice. With the bytecode of everything on disk, as on any machine that has run it once; and as in Lambda,
where the runtime's own packages have theirs, but a zip of sources is compiled at each start.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from lab.bench.endpoint import account, environment
from lab.story import SCHEDULED

ROUNDS = 20
OWNER = account(100, running=True)
MACHINE = f"arn:aws:states:us-east-1:{OWNER}:stateMachine:batch-guard-local-{SCHEDULED}"

BARE = f"import boto3; boto3.client('stepfunctions').list_executions(stateMachineArn={MACHINE!r}, maxResults=100)"
DECIDE = f"""
from types import SimpleNamespace
import app
context = SimpleNamespace(invoked_function_arn='arn:aws:lambda:us-east-1:{OWNER}:function:f')
guard = 'arn:aws:states:us-east-1:{OWNER}:execution:batch-guard-local:{SCHEDULED}-20261123T1800Z'
event = {{'job': {SCHEDULED!r}, 'guard': {{'execution': guard, 'waited': True}}}}
assert app.check(event, context)['outcome'] == 'skip'
"""
SCRIPTS = {"python": "pass", "bare": BARE, "decision": DECIDE}

IN_THE_ZIP = ("app", "chalicelib", "chalice", "aws_lambda_powertools", "cronsim", "tzdata", "typing_extensions")


@dataclass(frozen=True)
class Cold:
    """The fastest of all, in milliseconds, from the start of the process to its end."""

    how: str
    python: float
    bare: float
    decision: float

    @property
    def ratio(self) -> float:
        """How many times the bare script the decision takes."""
        return self.decision / self.bare


def measure(url: str, rounds: int = ROUNDS) -> list[Cold]:
    """Run each script that many times, turn about, in both ways."""
    with tempfile.TemporaryDirectory() as cache:
        variables = {**environment(url), "PYTHONPYCACHEPREFIX": cache}
        variables.pop("PYTHONDONTWRITEBYTECODE", None)
        for script in SCRIPTS.values():
            _run(script, variables)
        cached = _measure("bytecode on disk", variables, rounds)
        for name in IN_THE_ZIP:
            _forget(name, Path(cache))
        as_in_lambda = _measure("as in Lambda", {**variables, "PYTHONDONTWRITEBYTECODE": "1"}, rounds)
    return [cached, as_in_lambda]


def _measure(how: str, variables: dict[str, str], rounds: int) -> Cold:
    times: dict[str, list[float]] = {name: [] for name in SCRIPTS}
    for _ in range(rounds):
        for name, script in SCRIPTS.items():
            times[name].append(_run(script, variables))
    return Cold(how, **{name: 1000 * min(taken) for name, taken in times.items()})


def _run(script: str, variables: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", script], env=variables, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _forget(module: str, cache: Path) -> None:
    """Remove a module's or package's bytecode from the cache, which mirrors the paths of the sources."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    source = Path(spec.origin)
    mirrored = cache.joinpath(*source.parent.parts[1:])
    if spec.submodule_search_locations:
        shutil.rmtree(mirrored, ignore_errors=True)
        return
    for bytecode in mirrored.glob(f"{source.stem}.*.pyc"):
        bytecode.unlink()
