"""``make bench``: measures everything, prints the tables, and writes docs/benchmarks.md. No figure makes it fail."""

import sys
from pathlib import Path

from rich.console import Console

from lab.bench import cold, costs, crowd, report, warm
from lab.bench.endpoint import endpoint

DOCUMENT = Path(__file__).resolve().parent.parent.parent / "docs" / "benchmarks.md"


def main() -> int:
    """Run one after the other, since they would disturb each other."""
    progress = Console(stderr=True, highlight=False)
    with progress.status("the decision, warm: about twenty seconds") as status:
        with endpoint() as url:
            decisions = warm.measure(url)
            status.update("cold starts: about a minute")
            starts = cold.measure(url)
        status.update("the top of the hour, played: about twenty seconds")
        crowds = crowd.measure()
    calls = next(line.calls for line in decisions if line.outcome == "start")
    text = report.document(report.machine(), decisions, starts, costs.costs(calls), crowds)
    DOCUMENT.write_text(text, encoding="utf-8")
    print(text)
    progress.print(f"Written to docs/{DOCUMENT.name}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
