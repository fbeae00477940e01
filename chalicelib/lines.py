"""What the functions write: a log line, and a line of metrics. Each is put together and written once.

In the formats of Powertools for AWS Lambda, so that whatever reads those reads these. Its own writers were a quarter of
a cold start, and half of a warm decision's own time (docs/decisions/0015-own-lines.md).
"""

import json
import sys
import time
from collections.abc import Iterable
from typing import Any, Literal

from chalicelib.metrics import NAMESPACE, Metric

SERVICE = "batch-guard"

_encode = json.JSONEncoder(default=str, separators=(",", ":")).encode


def log(level: Literal["INFO", "WARNING", "ERROR"], location: str, message: str, **said: Any) -> None:
    """A log line. Keys that are None stay, so that a search finds them."""
    now = time.time()
    clock = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now))
    head = {"level": level, "location": location, "message": message}
    stamp = f"{clock},{int(now * 1000) % 1000:03}+0000"
    _write({**head, "timestamp": stamp, "service": SERVICE, **said})


def measure(stage: str, measured: Iterable[tuple[Metric, int]], job: str | None = None) -> None:
    """Metrics in CloudWatch's embedded metric format, all in one line; nothing if there are none."""
    by_dimensions: dict[tuple[str, ...], list[dict[str, str]]] = {}
    values: dict[str, Any] = {}
    for metric, value in measured:
        values |= metric.of(stage, job)
        values[metric.name] = [float(value)]
        by_dimensions.setdefault(metric.dimensions, []).append({"Name": metric.name, "Unit": metric.unit})
    if not by_dimensions:
        return
    declared = [
        {"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics}
        for dimensions, metrics in by_dimensions.items()
    ]
    _write({"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": declared}, **values})


def _write(line: dict[str, Any]) -> None:
    sys.stdout.write(f"{_encode(line)}\n")
