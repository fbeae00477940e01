"""``make bench``: measures everything, prints the tables, and writes docs/benchmarks.md. No figure makes it fail."""

import sys
from pathlib import Path

from rich.console import Console

from bench import cold, costs, delay, report, rush, settings, warm
from bench.endpoint import endpoint

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"

REGIONS = (rush.TOKYO, rush.VIRGINIA)
JOBS = (100, 1_000, 10_000)


def main() -> int:
    """Run one after the other, since they would disturb each other."""
    progress = Console(stderr=True, highlight=False)
    with progress.status("the decision, warm: about a minute") as status:
        with endpoint() as url:
            decisions = warm.measure(url)
            status.update("cold starts: about 20 seconds")
            start = cold.measure(url)
        status.update("from the tick to RunTask, on the emulator: about two minutes")
        delays = delay.measure()
        status.update("the top of the hour, simulated: about 30 seconds")
        deployed = settings.load()
        rushes = [
            rush.simulate(jobs, region, deployed, protocol=protocol)
            for protocol in rush.SHOWN
            for region in REGIONS
            for jobs in JOBS
        ]
    calls = next(line.calls for line in decisions if line.outcome == "start")
    text = report.document(report.machine(), decisions, start, costs.costs(calls), delays, rushes, deployed)
    DOCUMENT.write_text(text, encoding="utf-8")
    print(text)
    progress.print(f"Written to docs/{DOCUMENT.name}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
