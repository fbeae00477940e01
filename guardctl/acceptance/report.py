"""The report, as markdown and as JSON. It may be shown to anybody: no account number, no ARN, no ID of a network."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, get_args

from chalicelib.values import dataclass
from guardctl.acceptance.findings import Line, Verdict

_PRIVATE = (
    (re.compile(r"arn:[\w-]+:(\w[\w-]*):[^\s\"'`,)\]}]*"), r"[ARN: \1]"),
    (re.compile(r"https?://[^\s\"'`,)\]}]+"), "[URL]"),
    (re.compile(r"(?<![0-9])[0-9]{12}(?![0-9])"), "[account]"),
    (re.compile(r"\b(subnet|sg|vpc|eni)-[0-9a-f]{8,17}\b"), r"[\1]"),
)


@dataclass(frozen=True)
class Report:
    """What was found in one trial. `made_at` is UTC; `seconds` is how long it took, removing included."""

    stage: str
    region: str
    botocore: str
    made_at: datetime
    seconds: float
    lines: Sequence[Line]

    @property
    def differs(self) -> bool:
        return any(line.finding.verdict == "differs" for line in self.lines)

    @property
    def summary(self) -> str:
        """``21 hold, 1 differs, 6 could not be tried``."""
        counted = Counter(line.finding.verdict for line in self.lines)
        one, held = counted["differs"], counted["holds"]
        return (
            f"{held} hold{'s' if held == 1 else ''}, {one} differ{'s' if one == 1 else ''}, "
            f"{counted['could not be tried']} could not be tried"
        )


def scrubbed(text: str) -> str:
    """The text without what tells whose account it was."""
    for pattern, instead in _PRIVATE:
        text = pattern.sub(instead, text)
    return text


def as_json(report: Report) -> str:
    document: dict[str, Any] = {
        "made_at": report.made_at.isoformat(timespec="seconds"),
        "region": report.region,
        "stage": report.stage,
        "botocore": report.botocore,
        "seconds": round(report.seconds),
        "assumptions": [
            {
                "name": line.name,
                "assumption": line.says,
                "basis": line.basis,
                "tried": line.tried,
                "verdict": line.finding.verdict,
                "seen": scrubbed(line.finding.seen),
            }
            for line in _sorted(report.lines)
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def as_markdown(report: Report) -> str:
    """The report for people: what differs comes first."""
    rows = [
        f"| {line.finding.verdict} | `{line.name}` | {_cell(line.says)} ({line.basis}) | "
        f"{_cell(scrubbed(line.finding.seen))} |"
        for line in _sorted(report.lines)
    ]
    head = (
        f"# What AWS answered\n\n"
        f"{report.made_at:%Y-%m-%d %H:%M} UTC, {report.region}, stage {report.stage}, botocore {report.botocore}: "
        f"{report.summary}, in {report.seconds / 60:.0f} min.\n\n"
        "Made by `guardctl acceptance`. It names no account, no ARN and no network.\n"
    )
    return "\n".join([head, "| verdict | name | assumption | what was seen |", "| --- | --- | --- | --- |", *rows, ""])


def _sorted(lines: Sequence[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: (get_args(Verdict).index(line.finding.verdict), line.name))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
