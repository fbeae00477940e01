"""What is known of a slot when it has been judged: free, held and by what, or not sure. Values without behaviour."""

from dataclasses import replace
from datetime import datetime
from typing import Literal

from chalicelib.decide.facts import Execution
from chalicelib.values import dataclass


@dataclass(frozen=True, slots=True)
class Holder:
    """What is in the way: a run, a task, who waits longer, or a pause. Times are UTC."""

    kind: Literal["run", "task", "waiter", "pause"]
    name: str
    arn: str
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Free:
    """Nothing is in the way in this slot: ``run-(latest + 1)`` may be asked for."""

    machine: str
    """The ARN of the slot's machine."""
    latest: int
    reason: str


@dataclass(frozen=True, slots=True)
class Mine:
    """The run that was asked for is there, and this guard execution's own: its answer had been lost."""

    holder: Holder


@dataclass(frozen=True, slots=True)
class Unsure:
    """What was read may be old news, and would end the start: look once more."""

    reason: str


Why = Literal["run", "claim", "outsider", "copy", "orphan", "unseen"]


@dataclass(frozen=True, slots=True)
class Busy:
    """Something is in the way."""

    why: Why
    """An open execution; the run that somebody else got; a task that the guard did not start; one with the name of a
    run that did not leave it; the task of a run that was closed uncleanly; such a run, whose end ECS has not shown."""
    holder: Holder
    reason: str
    latest: int = 0
    """The highest run number seen, 0 for none."""
    began_at: datetime | None = None
    """When the run in the way began, also if only its task is left; None if it is no run, or not visible."""
    unclear: bool = False
    """This guard execution may have a run, which is not visible: it must not ask for another, nor wait in a queue."""
    cluster: str = ""
    """Of a task in the way: where it runs."""
    machine: str = ""
    """The ARN of the slot's machine."""
    others: tuple["Busy", ...] = ()
    """What is in the way in the other slots."""

    @property
    def slots(self) -> tuple["Busy", ...]:
        """What is in the way, slot by slot."""
        return (replace(self, others=()), *self.others) if self.others else (self,)


Verdict = Free | Mine | Busy | Unsure


def run_holder(execution: Execution) -> Holder:
    """A run in the way."""
    return Holder("run", execution.name, execution.arn, execution.started_at)
