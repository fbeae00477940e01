"""The one place where the trigger starts an execution that tells people something."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from chalicelib import telling
from chalicelib.contract import wire
from chalicelib.names import Told, machine_arn, telling_machine, told_name

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

    from chalicelib.config.jobs import Job, JobsFile


@dataclass(frozen=True)
class Teller:
    """Everything it uses, passed in."""

    jobs: "JobsFile"
    function_arn: str
    client: "SFNClient"
    now: Callable[[], datetime]

    def tell(
        self,
        kind: Told,
        job: "Job",
        hour: datetime,
        words: str,
        *,
        scheduled_at: datetime | None = None,
        command: str = "",
        execution: str | None = None,
        more: str = "",
    ) -> bool:
        """Tell people of a job, unless it has been told in that hour, or nobody asked to be told.

        Args:
            kind: What is told.
            job: Of which job.
            hour: An instant of the hour that has one such message; for what happened, when it happened, so that
                several ticks tell it once.
            words: The reason; instants in it as `facts.stamp` writes them.
            scheduled_at: The time that it is about; now if there is none.
            command: What to type next; ``guardctl status`` if there is nothing better.
            execution: The ARN of what it is about, for the link.
            more: More sentences, likewise.

        Returns:
            Whether this call told it. Raises what StartExecution raises, but for a name that is taken.
        """
        if kind not in self.jobs.tells(job):
            return False
        said = telling.by_trigger(
            self.jobs,
            job,
            kind,
            words,
            scheduled_at=scheduled_at or self.now(),
            command=command or telling.status(self.jobs, job),
            execution=execution,
            more=more,
        )
        try:
            self.client.start_execution(
                stateMachineArn=machine_arn(self.function_arn, telling_machine(self.jobs.stage)),
                name=told_name(job.name, kind, hour),
                input=json.dumps(wire(said), sort_keys=True),
            )
        except self.client.exceptions.ExecutionAlreadyExists:
            return False
        return True
