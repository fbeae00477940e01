"""``make bench``: measures everything, prints the tables, and writes docs/benchmarks.md. No figure makes it fail."""

import sys
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from lab.bench import cold, costs, delay, report, rush, settings, warm
from lab.bench.endpoint import endpoint

DOCUMENT = Path(__file__).resolve().parent.parent.parent / "docs" / "benchmarks.md"

REGIONS = (rush.TOKYO, rush.VIRGINIA)
JOBS = (100, 1_000, 10_000)
QUOTA_OF_AN_HOUR = 7_300
"""ListExecutions in Tokyo: 100 at once, and 2 per second."""
AN_HOUR = 60 * 60
"""A start_deadline that loses some of 10,000 jobs in Tokyo, and so is not the default."""


def main() -> int:
    """Run one after the other, since they would disturb each other."""
    progress = Console(stderr=True, highlight=False)
    with progress.status("the decision, warm: about a minute") as status:
        with endpoint() as url:
            decisions = warm.measure(url)
            status.update("cold starts: about 20 seconds")
            starts = cold.measure(url)
        status.update("from the tick to RunTask, on the emulator: about a minute and a half")
        delays = delay.measure()
        status.update("the top of the hour, simulated: about 30 seconds")
        deployed = settings.load()
        shorter = replace(deployed, deadline=AN_HOUR)
        rushes = [
            *(rush.simulate(jobs, region, deployed) for region in REGIONS for jobs in JOBS),
            *(rush.simulate(jobs, rush.TOKYO, shorter) for jobs in (QUOTA_OF_AN_HOUR, max(JOBS))),
            *(rush.simulate(jobs, rush.TOKYO, shorter, protocol="names, kept") for jobs in JOBS),
            rush.simulate(max(JOBS), rush.TOKYO, shorter, protocol="names"),
        ]
    calls = next(line.calls for line in decisions if line.outcome == "start")
    text = report.document(report.machine(), decisions, starts, costs.costs(calls), delays, rushes, deployed)
    DOCUMENT.write_text(text, encoding="utf-8")
    print(text)
    progress.print(f"Written to docs/{DOCUMENT.name}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
