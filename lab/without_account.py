"""``make emulator``: AWS on this machine, until Ctrl-C, for somebody who has no account.

It has the clusters, subnets and task definitions that the jobs files name, also those that they name later on.
Its tasks run no program: they end by themselves. What is deployed there is gone with it, and so is what Chalice
remembers of that (.chalice/deployed): the next deployment would look for it.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console

from chalicelib.config.jobs import Job, JobsFileInvalid, load
from lab.emulator import ACCOUNT, Emulator, EmulatorFailed, emulator
from lab.stage import PROJECT

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient

LOOKS_EVERY = 1.0
"""Seconds between two looks at the jobs files."""
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, ``kill``, and the terminal's window that is closed."""
READY = "Ready. Ctrl-C ends it and forgets all that was deployed."


def main(project: Path, task_seconds: float) -> int:
    """Serve until Ctrl-C. The exit code is 0 then: that is how it is meant to end."""
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    for ends in ENDS:
        signal.signal(ends, _end_once)
    try:
        with (
            alone_on_the_terminal(),
            remembered_by_chalice(project / ".chalice" / "deployed"),
            emulator(task_seconds=task_seconds) as aws,
        ):
            console.print(greeting(aws, task_seconds), end="\n\n")
            provided = Provided(aws.client("ecs"), aws.session().client("ec2"), project / "chalicelib" / "jobs")
            for line in provided.look():
                console.print(line)
            console.print(f"\n{READY}")
            while True:
                time.sleep(LOOKS_EVERY)
                for line in provided.look():
                    console.print(line)
    except KeyboardInterrupt:
        console.print("\nThe emulator has ended.")
        return 0
    except EmulatorFailed as failure:
        print(f"The emulator failed: {failure}", file=sys.stderr)
        return 1


def greeting(aws: Emulator, task_seconds: float) -> str:
    """What a person has to type in another terminal."""
    exports = {**aws.exports()}
    if any(name.lower() in {"http_proxy", "all_proxy"} for name in os.environ):
        exports["NO_PROXY"] = exports["no_proxy"] = "127.0.0.1,localhost"
    return "\n".join(
        [
            f"An emulator of AWS on this machine: a task ends by itself after {task_seconds:g} s, without a program.",
            "In another terminal:",
            "",
            *(f"export {name}={value}" for name, value in exports.items()),
            "unset AWS_PROFILE AWS_SESSION_TOKEN",
            ". .venv/bin/activate",
        ]
    )


@dataclass
class Provided:
    """What the account has been given for the jobs files in `directory`."""

    ecs: "ECSClient"
    ec2: Any
    directory: Path
    _read: dict[Path, tuple[int, int]] = field(default_factory=dict)
    _made: set[tuple[str, ...]] = field(default_factory=set)

    def look(self) -> Iterator[str]:
        """Give it what the files that are new or changed name, and say so, a line each."""
        for file in sorted(self.directory.glob("*.toml")):
            with suppress(FileNotFoundError):  # an editor is just replacing it: the next look sees it
                version = file.stat().st_mtime_ns, file.stat().st_size
                if self._read.get(file) != version:
                    self._read[file] = version
                    yield from self._provide(file.stem)

    def _provide(self, stage: str) -> Iterator[str]:
        try:
            jobs = [*load(stage, self.directory).jobs.values()]
        except JobsFileInvalid as error:
            faults = f"{len(error.faults)} fault{'s' * (len(error.faults) > 1)}"
            yield f"stage {stage}: its jobs file has {faults}, see guardctl validate --stage {stage}"
            return
        for cluster in sorted({job.ecs.cluster_name for job in jobs}):
            if self._first("cluster", cluster):
                self.ecs.create_cluster(clusterName=cluster)
                yield f"stage {stage}: cluster {cluster}"
        for name in sorted({name for job in jobs for name in (*job.ecs.subnets, *job.ecs.security_groups)}):
            if self._first("network", name):
                self._make_network(name)
                yield f"stage {stage}: {name}"
        for family in sorted({job.ecs.family for job in jobs}):
            users = [job for job in jobs if job.ecs.family == family]
            containers = sorted({name for job in users for name in containers_of(job)})
            revision = max(revision_of(job) for job in users)
            if self._first("family", family, str(revision), *containers):
                given = self._register(users[0], containers, revision)
                yield f"stage {stage}: task definition {given} with container {', '.join(containers)}"

    def _make_network(self, name: str) -> None:
        """A subnet or a security group of that ID, in the VPC that there is."""
        vpc = self.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        kind = "subnet" if name.startswith("subnet-") else "security-group"
        tagged = [{"ResourceType": kind, "Tags": [{"Key": "id", "Value": name}]}]
        if kind == "subnet":
            self.ec2.create_subnet(VpcId=vpc, CidrBlock="172.31.48.0/20", TagSpecifications=tagged)
        else:
            self.ec2.create_security_group(VpcId=vpc, GroupName=name, Description=name, TagSpecifications=tagged)

    def _first(self, *thing: str) -> bool:
        """Whether this has not been made yet; it is made now."""
        new = thing not in self._made
        self._made.add(thing)
        return new

    def _register(self, job: Job, containers: Sequence[str], revision: int) -> str:
        """As many revisions as it takes to have that one; the last one's name."""
        definition: dict[str, Any] = {
            "family": job.ecs.family,
            "networkMode": "awsvpc",
            "requiresCompatibilities": ["FARGATE", "EC2"],
            "cpu": "256",
            "memory": "512",
            "containerDefinitions": [{"name": name, "image": "batch", "essential": True} for name in containers],
        }
        if roles := job.ecs.pass_roles:
            definition |= {"taskRoleArn": roles[0], "executionRoleArn": roles[-1]}
        while True:
            made = self.ecs.register_task_definition(**definition)["taskDefinition"]
            if made["revision"] >= revision:
                return f"{made['family']}:{made['revision']}"


def containers_of(job: Job) -> set[str]:
    """The names of the containers that the job's RunTask names."""
    others = job.ecs.run_task.get("overrides", {}).get("containerOverrides", ())
    return {job.ecs.container, *(other["name"] for other in others)}


def revision_of(job: Job) -> int:
    """The revision that the job wants; 1 when it takes the newest."""
    return int(job.ecs.task_definition.rpartition("/")[2].partition(":")[2] or 1)


@contextmanager
def remembered_by_chalice(directory: Path) -> Iterator[None]:
    """What Chalice keeps of deployments to an emulator is forgotten, before and after; of others it is put back."""

    def forget() -> None:
        for file in directory.glob("*.json"):
            if f":{ACCOUNT}:".encode() in file.read_bytes():
                file.unlink()

    forget()  # of an emulator that was killed
    before = {file: file.read_bytes() for file in directory.glob("*.json")}
    try:
        yield
    finally:
        forget()
        for file, content in before.items():
            if not file.exists():
                file.write_bytes(content)


@contextmanager
def alone_on_the_terminal() -> Iterator[None]:
    """Ctrl-C reaches this process and not the `make` that started it, which would say 130 whatever our exit code is.

    As a shell does it for its jobs. So Ctrl-Z, which nobody could take back, does nothing.
    """
    before = os.getpgrp()
    if not sys.stdin.isatty() or before == os.getpid():  # no terminal, or a shell has done it
        yield
        return
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # to take the terminal from the background, and to give it back
    os.setpgid(0, 0)
    os.tcsetpgrp(sys.stdin.fileno(), os.getpid())
    try:
        yield
    finally:
        with suppress(OSError):  # the terminal is closed
            os.tcsetpgrp(sys.stdin.fileno(), before)


def _end_once(*_: object) -> NoReturn:
    for ends in ENDS:
        signal.signal(ends, signal.SIG_IGN)  # a second one would stop the cleaning up
    raise KeyboardInterrupt


def _positive(text: str) -> float:
    if (seconds := float(text)) <= 0:  # a text that is no number is a ValueError, which argparse words
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return seconds


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make emulator", description=__doc__)
    parser.add_argument("project", nargs="?", type=Path, default=PROJECT, help="a copy of the project")
    parser.add_argument("--seconds", type=_positive, default=10.0, help="how long a task runs (10)")
    asked = parser.parse_args()
    sys.exit(main(asked.project, asked.seconds))
