"""The table of metrics: nothing that is decided goes uncounted, and the guide lists what is written."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from chalicelib.decide.decisions import Decision
from chalicelib.metrics import METRICS, OUTCOMES, REFUSE, SKIP
from tests.documents import ROOT


def test_every_outcome_of_a_decision_is_counted() -> None:
    assert OUTCOMES.keys() - {"refuse"} == {each.outcome for each in get_args(Decision)}


def test_the_guide_lists_every_metric_with_its_dimensions() -> None:
    guide = (ROOT / "docs" / "alarms.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ((?:stage|job)(?:, job)?) \|", guide, re.MULTILINE)
    listed = [(name, dimensions) for names, dimensions in rows for name in re.findall(r"\w+", names)]
    assert sorted(listed) == sorted((metric.name, ", ".join(metric.dimensions)) for metric in METRICS)


def test_a_metric_of_a_job_needs_one() -> None:
    assert SKIP.of("dev", "report") == {"stage": "dev", "job": "report"}
    assert REFUSE.of("dev", "typo") == {"stage": "dev"}
    with pytest.raises(ValueError, match="Skip is of a job"):
        SKIP.of("dev")
