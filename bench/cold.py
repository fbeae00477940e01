"""A cold start: `import app` and the first decision, beside a script that only makes the client and calls it."""

import subprocess
import sys
import time
from dataclasses import dataclass
from statistics import median

from bench.endpoint import account, environment
from local.story import BY_HAND

ROUNDS = 15
OWNER = account(100, running=True)
MACHINE = f"arn:aws:states:us-east-1:{OWNER}:stateMachine:batch-guard-local-{BY_HAND}"

BARE = f"import boto3; boto3.client('stepfunctions').list_executions(stateMachineArn={MACHINE!r}, maxResults=100)"
DECIDE = f"""
from types import SimpleNamespace
import app
context = SimpleNamespace(invoked_function_arn='arn:aws:lambda:us-east-1:{OWNER}:function:f')
assert app.check({{'job': {BY_HAND!r}}}, context)['outcome'] == 'skip'
"""
SCRIPTS = {"python": "pass", "bare": BARE, "decision": DECIDE}


@dataclass(frozen=True)
class Cold:
    """Medians, in milliseconds, from the start of the process to its end."""

    python: float
    bare: float
    decision: float

    @property
    def ratio(self) -> float:
        """How many times the bare script the decision takes."""
        return self.decision / self.bare


def measure(url: str, rounds: int = ROUNDS) -> Cold:
    """Run each script that many times, turn about, after one run that fills the caches of files."""
    times: dict[str, list[float]] = {name: [] for name in SCRIPTS}
    for turn in range(rounds + 1):
        for name, script in SCRIPTS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", script], env=environment(url), check=True, stdout=subprocess.DEVNULL)
            if turn:
                times[name].append(time.perf_counter() - began)
    return Cold(**{name: 1000 * median(taken) for name, taken in times.items()})
