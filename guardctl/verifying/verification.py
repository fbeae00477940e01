"""A whole stage, or one job of it: read side by side, then judged."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import datetime
from typing import get_args

from chalicelib.values import dataclass
from guardctl.stage import Stage
from guardctl.verifying import (
    clusters,
    definitions,
    images,
    log_groups,
    network,
    permissions,
    placement,
    quotas,
    topics,
)
from guardctl.verifying.account import Account
from guardctl.verifying.findings import Finding, Subject, Verdict
from guardctl.verifying.task import task_of


@dataclass(frozen=True)
class Verification:
    """What was found of each job, and last of the stage."""

    subjects: tuple[Subject, ...]
    calls: int
    """How many calls of AWS's API it took, GetCallerIdentity among them."""
    answered: bool
    """Whether AWS answered any of them."""

    def count(self, verdict: Verdict) -> int:
        return sum(finding.verdict == verdict for subject in self.subjects for finding in subject.findings)

    @property
    def told(self) -> str:
        """The counts: ``12 OK, 0 NG, 1 SKIP``."""
        return ", ".join(f"{self.count(verdict)} {verdict}" for verdict in get_args(Verdict))

    def findings(self, *verdicts: Verdict) -> Iterator[tuple[str | None, Finding]]:
        """The findings of these verdicts, each with its job."""
        for subject in self.subjects:
            yield from ((subject.job, finding) for finding in subject.findings if finding.verdict in verdicts)


def verify(stage: Stage, now: datetime, job: str | None = None) -> Verification:
    """Hold the jobs file against the account: all jobs and the stage, or one job alone.

    Raises what botocore raises if AWS can't be asked at all (no credentials, no network).
    """
    account = Account(stage)
    _ = stage.region  # the first call: without credentials or a Region nothing else needs to be asked
    file = stage.file
    names = [stage.job(job).name] if job else [*file.jobs]
    tasks = {name: task_of(file, file.jobs[name]) for name in names}
    alerts = file.alerts if job is None else None
    with ThreadPoolExecutor(4) as pool:
        of_clusters = pool.submit(clusters.read, account, tasks.values())
        of_definitions = pool.submit(definitions.read, account, tasks.values())
        of_network = pool.submit(network.read, account, tasks.values())
        of_topic = pool.submit(topics.read, account, alerts.topic) if alerts else None
        defined = of_definitions.result()
        read = [each for each in defined.values() if isinstance(each, Mapping)]
        of_images = pool.submit(images.read, account, read)
        of_groups = pool.submit(log_groups.read, account, read)
        of_permissions = pool.submit(permissions.read, account, file, tasks, defined, of_guard=job is None)
        of_quotas = pool.submit(quotas.read, account, [*tasks.values()]) if job is None else None
        subjects = []
        for name, task in tasks.items():
            found = [clusters.judge(task, of_clusters.result()), *definitions.judge(task, defined)]
            definition = defined[task.definition]
            if isinstance(definition, Mapping):
                found += placement.judge(task, definition, of_clusters.result())
            found += network.judge(task, of_network.result())
            if isinstance(definition, Mapping):
                found += images.judge(definition, of_images.result())
                found += log_groups.judge(definition, of_groups.result())
            found += permissions.judge_job(task, defined, of_permissions.result())
            subjects.append(Subject(name, tuple(found)))
        if of_quotas:
            of_stage = [permissions.judge_guard(account, file, of_permissions.result())]
            if alerts and of_topic:
                callers = topics.publishers(account, file, alerts.topic)
                of_stage += topics.judge(alerts.topic, of_topic.result(), callers)
            of_stage += quotas.judge(file, stage.region, tasks, defined, of_quotas.result(), now)
            subjects.append(Subject(None, tuple(of_stage)))
    return Verification(tuple(subjects), 1 + len(account.calls), account.answered)


def as_json(stage: Stage, found: Verification) -> Mapping[str, object]:
    return {
        "account": stage.account,
        "region": stage.region,
        "ok": found.count("NG") == 0,
        "counts": {verdict: found.count(verdict) for verdict in get_args(Verdict)},
        "calls": found.calls,
        "subjects": [
            {
                "job": subject.job,
                "findings": [asdict(each) for each in subject.findings],
            }
            for subject in found.subjects
        ],
    }
