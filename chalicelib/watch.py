"""What no state passes, the trigger finds: a run that was stopped from outside, and a job that is well again.

The executions that told people are the memory: whoever's newest message is bad news is looked up until it is good.
All else is looked at in turn, a few machines a tick, so it costs the same whatever a stage has (`ILL`, `IN_TURN`,
`DESCRIBED`); a run that was stopped is told within as many minutes as a stage has machines, divided by four. Nothing
depends on it: what can't be read now is looked for at the next tick.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from chalicelib import telling
from chalicelib.decide.facts import Details, Execution, span, stamp
from chalicelib.names import batch_machine, machine_arn, parse_told_name, run_number, telling_machine, told_name
from chalicelib.read.executions import Executions
from chalicelib.telling import Teller
from chalicelib.values import dataclass

if TYPE_CHECKING:
    from chalicelib.config.jobs import Job

ILL, IN_TURN = 2, 4
"""Machines looked at in a tick: of jobs of whom there is bad news, and of all in turn. With the messages' pages at most
9 of the 120 calls of ListExecutions that come in each minute in the slowest Regions (AWS, quotas)."""

DESCRIBED = 6
"""Runs looked up in a tick."""

LOOK_BACK = timedelta(hours=2)
"""What ended before is old news: it was found by then, or nobody is told any more."""

TOLD_PAGES = 3
"""Pages of a hundred messages that are remembered: bad news before them is forgotten."""

_JUST_THEN = timedelta(minutes=3)
"""A batch machine tells a failure, with all retries, in less before its end."""

_REPLACED = "BatchGuard.Replaced"

_Slot = tuple[str, str]
"""A pool, and the ARN of the machine of one of its slots."""


@dataclass(frozen=True)
class Watch:
    """Everything it uses, passed in."""

    teller: Teller
    executions: Executions
    seen: set[str] = field(default_factory=set)
    """Runs (ARNs) that were looked up. A warm function remembers them, which saves calls; nothing depends on it."""
    in_time: Callable[[], bool] = lambda: True
    """Whether the tick has time for another call."""

    def look(self) -> None:
        """One tick's look. Raises what its reads and StartExecution raise."""
        file = self.teller.jobs
        jobs = [job for job in file.jobs.values() if {"failed", "recovered"} & {*file.tells(job)}]
        if not jobs:
            return
        told = self._told()
        bad = _bad_news(told)
        described = iter(range(DESCRIBED))
        for pool, machine in islice(self._slots(jobs, bad), ILL + IN_TURN):
            if not self.in_time():
                return
            page = self.executions.page(machine).executions
            runs = [each for each in page if each.closed and run_number(each.name)]
            members = file.members(pool)
            self._failures(members, runs, told, described)
            for job in members:
                if job.name in bad and "recovered" in file.tells(job):
                    self._recovery(job, runs, bad[job.name], described)

    def _told(self) -> list[Execution]:
        """The newest executions that told people something."""
        machine = machine_arn(self.teller.function_arn, telling_machine(self.teller.jobs.stage))
        found: list[Execution] = []
        token, left = None, TOLD_PAGES
        while left and self.in_time():
            page = self.executions.page(machine, token)
            found += page.executions
            token, left = page.token, left - 1 if page.token else 0
        return found

    def _slots(self, jobs: Sequence["Job"], bad: Mapping[str, datetime]) -> Iterator[_Slot]:
        """Those of the jobs of whom there is bad news first, then all in turn."""
        file = self.teller.jobs
        tick = int(self.teller.now().timestamp()) // 60
        ill = [job for job in jobs if job.name in bad and "recovered" in file.tells(job)]
        failing = [job for job in jobs if "failed" in file.tells(job)]
        first = islice(_turn(self._of(ill), tick * ILL), ILL)
        return iter(dict.fromkeys((*first, *_turn(self._of(failing), tick * IN_TURN))))

    def _of(self, jobs: Sequence["Job"]) -> list[_Slot]:
        file, beside = self.teller.jobs, self.teller.function_arn
        return [
            (pool, machine_arn(beside, batch_machine(file.stage, pool, number)))
            for pool in dict.fromkeys(job.pool for job in jobs)
            for number in range(1, file.slots_of(pool) + 1)
        ]

    def _details(self, run: Execution, described: Iterator[int]) -> Details | None:
        """A run looked up; None if it was before, if this tick has looked up enough, or if it is not visible."""
        if run.arn in self.seen or not self.in_time() or next(described, None) is None:
            return None
        return self.executions.details(run.arn)

    def _failures(
        self, members: Sequence["Job"], runs: Sequence[Execution], told: Sequence[Execution], described: Iterator[int]
    ) -> None:
        """Bad ends that no state has told: what was stopped from outside, and what died before it could."""
        file, now = self.teller.jobs, self.teller.now()
        for run in runs:
            ended = run.stopped_at or now
            if run.status == "SUCCEEDED" or now - ended > LOOK_BACK or _known(members, run, ended, told):
                continue
            details = self._details(run, described)
            if details is None:
                continue
            job = file.jobs.get(details.job or "")
            if job is not None and details.error != _REPLACED:
                how = "was stopped" if run.status == "ABORTED" else f"ended as {details.error or run.status}"
                self.teller.tell(
                    "failed",
                    job,
                    ended,
                    f"{run.name} {how}{f': {details.cause}' if details.cause else ''}",
                    scheduled_at=details.scheduled_at or run.started_at,
                    command=telling.logs(file, job, run.name),
                    execution=run.arn,
                )
            self.seen.add(run.arn)

    def _recovery(self, job: "Job", runs: Sequence[Execution], since: datetime, described: Iterator[int]) -> None:
        """The job, of which there is bad news, has had a run since that succeeded."""
        for run in runs:
            ended = run.stopped_at
            if run.status != "SUCCEEDED" or ended is None or ended <= since:
                continue
            details = self._details(run, described)
            if details is None or details.job != job.name or details.renewal:
                continue
            self.teller.tell(
                "recovered",
                job,
                self.teller.now(),
                f"{run.name} succeeded on {stamp(ended)}, after {span(ended - run.started_at)}",
                scheduled_at=details.scheduled_at or run.started_at,
                execution=run.arn,
                more=f"The last message about it was of {stamp(since)}.",
            )
            return


def _turn(machines: Sequence[_Slot], by: int) -> Iterator[_Slot]:
    """All of them, from another one on each time."""
    if machines:
        start = by % len(machines)
        yield from (*machines[start:], *machines[:start])


def _bad_news(told: Sequence[Execution]) -> dict[str, datetime]:
    """Job → when people were last told something bad of it, if nothing good since. The newest comes first."""
    newest: dict[str, tuple[datetime, bool]] = {}
    for execution in told:
        parsed = parse_told_name(execution.name)
        job, kind = parsed if parsed else (None, None)
        if job is None:
            continue
        found = (execution.started_at, kind != "recovered")
        newest[job] = max(newest.get(job, found), found)
    return {job: at for job, (at, is_bad) in newest.items() if is_bad}


def _known(members: Sequence["Job"], run: Execution, ended: datetime, told: Sequence[Execution]) -> bool:
    """Whether people were told of this end, or of one of the job in that hour.

    In a shared pool it is not known whose run it was: so a message about any of its jobs, just then, is taken for it,
    and a run that was stopped from outside is looked up all the same.
    """
    hours = (ended, ended - _JUST_THEN)  # told at 17:59 of a run that ended at 18:00
    names = {told_name(job.name, "failed", hour) for job in members for hour in hours}
    near = [each for each in told if each.name in names and abs(each.started_at - ended) < _JUST_THEN]
    if len(members) == 1 and told_name(members[0].name, "failed", ended) in {each.name for each in told}:
        return True
    return run.status != "ABORTED" and bool(near)
