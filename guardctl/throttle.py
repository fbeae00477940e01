"""One pace for every call of a command: the guard needs the same quotas, so a person takes at most half of each.

AWS's buckets by Region are in `chalicelib.decide.pace`, with what `[stage] quotas` says; those that only people use are
here. A call that finds its bucket empty waits; nothing is dropped and no other call waits for it.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from chalicelib.decide.pace import Bucket, Call, quotas
from chalicelib.values import dataclass

SHARE = 0.5
"""Of each quota, to people."""

_LARGE = frozenset({"us-east-1", "us-west-2", "eu-west-1"})


def people(region: str, own: Mapping[Call, Bucket]) -> dict[str, Bucket]:
    """What a person's commands may use of an account's quotas, by operation.

    Step Functions' quotas page ("API action throttling") has GetExecutionHistory, "Request throttling for the Amazon
    ECS API" the cluster reads, Systems Manager's quotas page GetParameters (40 a second).
    """
    whole: dict[str, Bucket] = {
        **{str(call): bucket for call, bucket in quotas(region, own).items()},
        "GetExecutionHistory": Bucket(500, 20) if region in _LARGE else Bucket(400, 20),
        "DescribeStateMachine": Bucket(200, 20),
        "DescribeTasks": Bucket(100, 20),
        "GetParameters": Bucket(40, 40),
    }
    return {name: Bucket(max(1.0, each.burst * SHARE), each.refill * SHARE) for name, each in whole.items()}


@dataclass
class Throttle:
    """Buckets by operation, filled as time passes. `clock` gives seconds, `sleep` takes them; safe among threads."""

    buckets: Mapping[str, Bucket]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _full_at: dict[str, float] = field(default_factory=dict, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def take(self, operation: str) -> None:
        """Wait until this operation may be called. An operation without a quota here may always be."""
        bucket = self.buckets.get(operation)
        if bucket is None:
            return
        with self._lock:
            now = self.clock()
            full_at = max(self._full_at.get(operation, now), now) + 1 / bucket.refill
            self._full_at[operation] = full_at
        wait = full_at - now - bucket.burst / bucket.refill
        if wait > 0:
            self.sleep(wait)

    def attach(self, client: Any) -> None:
        """Let every call of this boto3 client wait its turn; a retry by botocore is no call of its own."""
        client.meta.events.register("before-call", lambda model, **_: self.take(model.name))
