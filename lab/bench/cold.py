"""A cold start: the function as its zip has it, and its first decision, beside bare boto3 clients.

Both make the calls that a start can't do without: one ListExecutions, and ListTasks twice.

As in Lambda: the code at import runs on a whole CPU (the init phase), the handler on the share that its memory buys, so
its CPU time is divided by that; the runtime's own packages have their bytecode, and the zip has what it ships. CPU time
is measured, since what else a machine does makes clocks slower and hardly that.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from statistics import median, quantiles

from chalicelib.names import function_name
from chalicelib.values import dataclass
from lab.bench.costs import MEMORY, PROJECT
from lab.bench.endpoint import account, environment
from lab.story import SCHEDULED

ROUNDS = 50
SHARE = MEMORY / 1_769
"""Of a CPU, for a handler with the memory that ships (AWS: one CPU at 1,769 MB)."""
OWNER = account(100, running=False)
MACHINE = f"arn:aws:states:us-east-1:{OWNER}:stateMachine:batch-guard-local-{SCHEDULED}"
IN_THE_ZIP = ("chalice", "cronsim", "tzdata", "typing_extensions")
"""Beside app.py and chalicelib."""

_MEASURED = """
import json, sys, time
{init}
began = time.process_time()
{handler}
ended = time.process_time()
sys.stderr.write(json.dumps([began, ended - began]))
"""
BARE = _MEASURED.format(
    init="import boto3; sfn, ecs = boto3.client('stepfunctions'), boto3.client('ecs')",
    handler=f"""
sfn.list_executions(stateMachineArn={MACHINE!r}, maxResults=100)
for status in ('RUNNING', 'STOPPED'):
    ecs.list_tasks(cluster='batch', family='report', desiredStatus=status)
""",
)
DECIDE = _MEASURED.format(
    init=f"""
from types import SimpleNamespace
import app
context = SimpleNamespace(invoked_function_arn='arn:aws:lambda:us-east-1:{OWNER}:function:f')
guard = {{'version': 1, 'started': '2026-11-23T18:00:00Z', 'waited': True}}
guard['execution'] = 'arn:aws:states:us-east-1:{OWNER}:execution:batch-guard-local:{SCHEDULED}-20261123T1800Z'
""",
    handler=f"assert app.check({{'job': {SCHEDULED!r}, 'guard': guard}}, context)['outcome'] == 'start'",
)


@dataclass(frozen=True)
class Cold:
    """Milliseconds, medians of the rounds; `low` and `high` are the quartiles of the ratio, pair by pair."""

    pairs: int
    bare: float
    init: float
    handler: float
    """On a whole CPU."""
    ratio: float
    low: float
    high: float

    @property
    def decision(self) -> float:
        """In all, as in Lambda."""
        return self.init + self.handler / SHARE


def measure(url: str, rounds: int = ROUNDS) -> Cold:
    """As shipped."""
    with tempfile.TemporaryDirectory() as directory:
        task = Path(directory)
        _unpack(task)
        variables = environment(url) | {
            "AWS_LAMBDA_FUNCTION_NAME": function_name("local", "check"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        pairs = [(_run(BARE, task, variables), _run(DECIDE, task, variables)) for _ in range(rounds)]
    ratios = [(_total(ours)) / _total(bare) for bare, ours in pairs]
    low, _, high = quantiles(ratios)
    return Cold(
        rounds,
        bare=1000 * median(_total(bare) for bare, _ in pairs),
        init=1000 * median(ours[0] for _, ours in pairs),
        handler=1000 * median(ours[1] for _, ours in pairs),
        ratio=median(ratios),
        low=low,
        high=high,
    )


def _unpack(task: Path) -> None:
    """What Chalice's zip holds, from the packages that are installed here, and what `vendor/` adds to it."""
    shutil.copy(PROJECT / "app.py", task)
    _copy(PROJECT / "chalicelib", task / "chalicelib")
    for name in IN_THE_ZIP:
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        source = Path(spec.origin)
        if spec.submodule_search_locations:
            _copy(source.parent, task / name)
        else:
            shutil.copy(source, task)
    command = "import sys; sys.argv = ['chalice', 'package']; import app"
    variables = environment("http://127.0.0.1:9") | {"AWS_CHALICE_CLI_MODE": "true"}
    subprocess.run([sys.executable, "-c", command], cwd=task, env=variables, check=True)
    shutil.copytree(task / "vendor", task, dirs_exist_ok=True)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))


def _run(script: str, task: Path, variables: dict[str, str]) -> tuple[float, float]:
    """Seconds of CPU until the handler, and in it."""
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, cwd=task, env=variables, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    init, handler = json.loads(done.stderr)
    return init, handler


def _total(times: Iterable[float]) -> float:
    init, handler = times
    return init + handler / SHARE
