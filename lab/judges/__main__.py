"""``python -m lab.judges``: every judge, how long it took, and what it has found. Exit code 1 if it is anything."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from lab.judges import Finding, expressions, handed, language, models, policies
from lab.judges.definitions import all_expressions, texts
from lab.judges.node import Node, NotInstalled, node


def main() -> int:
    """0 if no judge has found anything, 1 if one has, 2 if they are not installed."""
    found = 0
    with ExitStack() as stack:
        try:
            process = stack.enter_context(node())
        except NotInstalled as missing:
            print(missing, file=sys.stderr)
            return 2
        for name, judge in _judges(process):
            began = time.perf_counter()
            findings, over = judge()
            print(f"{name}: {over}, {len(findings)} findings, {time.perf_counter() - began:.1f} s")
            for finding in findings:
                print(f"  {finding}")
            found += len(findings)
    return 1 if found else 0


def _judges(process: Node) -> Iterator[tuple[str, Callable[[], tuple[list[Finding], str]]]]:
    yield "AWS's language service", lambda: _language(process)
    yield "the reference JSONata engine", lambda: _expressions(process)
    yield "what one state hands to the next", lambda: _handed(process)
    yield "botocore's service models", _models
    yield "parliament", _policies


def _language(process: Node) -> tuple[list[Finding], str]:
    definitions = texts()
    found = [finding for machine, text in definitions.items() for finding in language.judge(process, machine, text)]
    return found, f"{len(definitions)} definitions"


def _expressions(process: Node) -> tuple[list[Finding], str]:
    table, judged = expressions.Table(), all_expressions()
    tally = expressions.judge(process, judged, table)
    return [*tally.findings, *table.idle()], f"{len(judged)} expressions, {tally.evaluated:,} cases in two engines"


def _handed(process: Node) -> tuple[list[Finding], str]:
    definitions = {machine: json.loads(text) for machine, text in texts().items()}
    table = expressions.Table()
    found = [finding for machine, one in definitions.items() for finding in handed.judge(process, machine, one, table)]
    return found, f"{sum(len(list(handed.handings(machine, one))) for machine, one in definitions.items())} outputs"


def _models() -> tuple[list[Finding], str]:
    definitions = texts()
    found = [finding for machine, text in definitions.items() for finding in models.judge(machine, json.loads(text))]
    found += models.unclassified(models.service("ecs"), json.loads(definitions["batch"]))
    return found, f"{len(definitions)} definitions"


def _policies() -> tuple[list[Finding], str]:
    generated = policies.generated()
    return policies.judge(generated), f"{len(generated)} policies"


if __name__ == "__main__":
    sys.exit(main())
