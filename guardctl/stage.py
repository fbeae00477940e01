"""One stage, as a command sees it: its jobs, its machines' ARNs and AWS's clients. Made at the first use of each."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from chalicelib.config.jobs import DIRECTORY, Job, JobsFile, JobsFileInvalid, load, place_of
from chalicelib.decide.pace import Bucket, Call
from chalicelib.names import (
    FUNCTIONS,
    Function,
    batch_machine,
    execution_arn,
    function_name,
    function_role,
    guard_machine,
    telling_machine,
    waiting_machine,
)
from chalicelib.read import tasks
from chalicelib.values import dataclass
from guardctl import __version__
from guardctl.errors import AWS, Stop
from guardctl.throttle import Throttle, people

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_stepfunctions import SFNClient

_FEW = 10
"""So many jobs fit a line."""

PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Stage:
    """The stage ``name``; ``jobs_directory`` is where its jobs file is (chalicelib/jobs unless a test says so)."""

    name: str
    jobs_directory: Path | None = None
    tz: str | None = None
    """The zone that a person asked for, with --tz."""

    @cached_property
    def file(self) -> JobsFile:
        """The jobs file. Raises `Stop` with all its faults."""
        try:
            return load(self.name, self.jobs_directory)
        except JobsFileInvalid as error:
            raise Stop(str(error)) from error

    @cached_property
    def zone(self) -> ZoneInfo:
        """The one zone of all times that a command shows and is given: --tz, else `timezone` of [defaults].

        Raises `Stop` for a name that is no zone's.
        """
        name = self.tz or self.file.timezone
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError) as error:
            near_by = get_close_matches(name, available_timezones(), n=1)
            meant = f"did you mean {near_by[0]}?" if near_by else 'write a name such as "Asia/Tokyo"'
            raise Stop(f"--tz {name!r} is not a time zone; {meant}") from error

    @property
    def text(self) -> str:
        return ((self.jobs_directory or DIRECTORY) / f"{self.name}.toml").read_text(encoding="utf-8-sig")

    @property
    def place(self) -> str:
        """What faults of the jobs file call it."""
        return place_of(self.name, self.jobs_directory)

    def other_files(self) -> Iterator[JobsFile]:
        """The jobs files of the project's other stages; one that can't be read is no concern of this stage's."""
        for file in sorted((self.jobs_directory or DIRECTORY).glob("*.toml")):
            if file.stem != self.name:
                with suppress(JobsFileInvalid):
                    yield load(file.stem, self.jobs_directory)

    def job(self, name: str) -> Job:
        """The job ``name``. Raises `Stop` naming the known ones."""
        if name not in self.file.jobs:
            near = get_close_matches(name, self.file.jobs, n=3)
            few = f"the jobs are: {', '.join(sorted(self.file.jobs)) or 'none'}"
            many = f"there are {len(self.file.jobs)}: {self.command('status')}"
            meant = f"did you mean {' or '.join(near)}? " if near else ""
            raise Stop(f"no job {name!r} in stage {self.name}; {meant}{few if len(self.file.jobs) <= _FEW else many}")
        return self.file.jobs[name]

    @cached_property
    def session(self) -> "boto3.Session":
        """boto3's session, with the Region and credentials that it finds where the AWS CLI does."""
        import boto3  # noqa: PLC0415 (with botocore.config 150 ms, beside the 280 of all that `--help` imports)

        return boto3.Session()

    def client(self, service: Any, region: str | None = None) -> Any:
        """A client that retries, as a person waits for the answer; made anew by each call."""
        from botocore.config import Config  # noqa: PLC0415 (see session)

        client: Any = self.session.client(
            service,
            region_name=region,
            config=Config(
                retries={"mode": "standard", "total_max_attempts": 5},
                connect_timeout=5,
                max_pool_connections=32,
                # What CloudTrail shows; botocore's own is put together anew for each call, a fifth of what it computes.
                user_agent=f"guardctl/{__version__}",
            ),
        )
        if service in {"stepfunctions", "ecs", "ssm"}:
            self._throttle.attach(client)
        return client

    @cached_property
    def _throttle(self) -> Throttle:
        own: Mapping[Call, Bucket] = {}
        with suppress(Stop):  # commands of a stage that has no jobs file have the Region's
            own = self.file.quotas
        return Throttle(people(self.session.region_name or "", own))

    @cached_property
    def stepfunctions(self) -> "SFNClient":
        client: SFNClient = self.client("stepfunctions")
        return client

    @cached_property
    def ecs(self) -> "ECSClient":
        client: ECSClient = self.client("ecs")
        return client

    @cached_property
    def tasks(self) -> "tasks.Ecs":
        """ECS, for `chalicelib.read.tasks`."""
        return tasks.Ecs(self.ecs)

    @cached_property
    def ssm(self) -> "SSMClient":
        client: SSMClient = self.client("ssm")
        return client

    @cached_property
    def logs(self) -> "CloudWatchLogsClient":
        client: CloudWatchLogsClient = self.client("logs")
        return client

    @cached_property
    def cloudformation(self) -> Any:
        return self.client("cloudformation")

    @cached_property
    def s3(self) -> Any:
        return self.client("s3")

    @cached_property
    def _identity(self) -> Mapping[str, Any]:
        identity: Mapping[str, Any] = self.client("sts").get_caller_identity()
        return identity

    @property
    def caller(self) -> str:
        return str(self._identity["Arn"])

    @property
    def who(self) -> str:
        """The user's or the session's name of whoever runs the command."""
        return re.split("[:/]", self.caller)[-1]

    @cached_property
    def _place(self) -> tuple[str, str, str]:
        """Partition, Region and account."""
        identity = self._identity
        region = self.session.region_name
        if region is None:
            raise Stop("no AWS Region: set AWS_DEFAULT_REGION, or a region in the profile", AWS)
        return identity["Arn"].split(":")[1], region, identity["Account"]

    @property
    def region(self) -> str:
        """The Region. Raises `Stop` when none is set."""
        return self._place[1]

    @property
    def account(self) -> str:
        return self._place[2]

    @property
    def partition(self) -> str:
        return self._place[0]

    def arn(self, service: str) -> str:
        """What the ARNs of the stage's account and Region in a service begin with, without a colon at the end."""
        partition, region, account = self._place
        return f"arn:{partition}:{service}:{region}:{account}"

    @property
    def _states(self) -> str:
        return f"{self.arn('states')}:stateMachine:"

    def command(self, *words: str) -> str:
        """What a person types to go on: ``guardctl status nightly-report --stage dev``."""
        return f"guardctl {' '.join(words)} --stage {self.name}"

    def function(self, name: Function) -> str:
        return f"{self.arn('lambda')}:function:{function_name(self.name, name)}"

    @property
    def function_roles(self) -> "Mapping[Function, str] | None":
        """The ARNs of the roles that the stage has for its functions; None if Chalice makes them."""
        if not self.file.own_roles:
            return None
        partition, _, account = self._place
        return {each: f"arn:{partition}:iam::{account}:role/{function_role(self.name, each)}" for each in FUNCTIONS}

    @property
    def guard(self) -> str:
        return self._states + guard_machine(self.name)

    @property
    def waiting(self) -> str:
        return self._states + waiting_machine(self.name)

    @property
    def telling(self) -> str:
        return self._states + telling_machine(self.name)

    def arn_of(self, machine: str) -> str:
        return self._states + machine

    def pool(self, job: str) -> str:
        """The job's pool; a job that is not in the jobs file (any more) is alone in one of its own."""
        known = self.file.jobs.get(job)
        return known.pool if known else job

    def shared(self, job: str) -> bool:
        """Whether the job's pool has several jobs or slots."""
        return self.file.shared(self.pool(job))

    def machine(self, job: str, slot: int = 1) -> str:
        return self._states + batch_machine(self.name, self.pool(job), slot)

    def machines(self, job: str) -> tuple[str, ...]:
        """The ARNs of the batch machines of the job's pool, one a slot."""
        return tuple(self.machine(job, slot) for slot in range(1, self.file.slots_of(self.pool(job)) + 1))

    def guard_execution(self, name: str) -> str:
        return execution_arn(self.guard, name)

    @property
    def batches(self) -> str:
        """What the ARN of every batch machine of the stage begins with; it takes no jobs file."""
        return self._states + batch_machine(self.name, "")

    @property
    def runs(self) -> str:
        """What the ARN of every run of the stage begins with."""
        return execution_arn(self.batches, "")[:-1]
