"""Step Functions as one moment had it, for a picture of many jobs: what was asked once is not asked again.

It answers as `chalicelib.read.executions.StepFunctions` does, so the checker's own code can judge every job from it.
"""

from datetime import datetime
from functools import cache

from chalicelib.decide.facts import Details
from chalicelib.read.executions import Page, StepFunctions


class Snapshot:
    """`Executions`, remembered. Errors are those of `chalicelib.read.aws.reading`, and are not."""

    def __init__(self, steps: StepFunctions) -> None:
        self._page = cache(steps.page)
        self._details = cache(steps.details)
        self._created_at = cache(steps.created_at)

    def page(self, machine: str, token: str | None = None, *, only_running: bool = False) -> Page:
        return self._page(machine, token, only_running=only_running)

    def details(self, arn: str) -> Details | None:
        return self._details(arn)

    def created_at(self, machine: str) -> datetime:
        return self._created_at(machine)
