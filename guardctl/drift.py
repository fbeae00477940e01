"""Drift: is what is deployed what this checkout says? Nothing here writes.

State machines are compared by their definitions, schedules by their record, and the functions by the files in their
zip, the jobs file among them: where that can be read, a job's own differences are named. Roles and alarms are not
compared here: CloudFormation does that for `deploy --dry-run`.
"""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.request import urlopen

from botocore.exceptions import ClientError

from chalicelib.config.jobs import Job, JobsFile, JobsFileInvalid, parse
from chalicelib.decide.facts import CantTell
from chalicelib.names import FUNCTIONS, function_name, function_role, machines_stack, package_stack
from chalicelib.read.aws import NotDeployed, reading
from chalicelib.read.record import recorded_as
from guardctl import stacks, template
from guardctl.stage import PROJECT, Stage

_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Functions:
    """What the deployed functions are made of."""

    differences: tuple[str, ...] = ()
    jobs: JobsFile | None = None
    """Their jobs file; None if there is none that this checkout can read."""


def functions(stage: Stage) -> Functions:
    """Compare the functions with this checkout."""
    client = stage.client("lambda")
    digests, location, taken_over = set(), "", False
    for function in FUNCTIONS:
        name = function_name(stage.name, function)
        try:
            with reading("lambda:GetFunction", f"the function {name}"):
                answer = client.get_function(FunctionName=name)
        except NotDeployed:
            return Functions((f"the function {name} is not deployed", *_ways(stage, taken_over)))
        # The role that Chalice makes itself has the function's name; CloudFormation gives a pipeline's another.
        # The stage's own, for which `guardctl deploy` has a stack, has a name of its own, too.
        by_name = (f"role/{name}", f"role/{function_role(stage.name, function)}")
        taken_over = taken_over or answer["Configuration"].get("Role", "").endswith(by_name)
        digests.add(answer["Configuration"]["CodeSha256"])
        location = answer["Code"]["Location"]
    differences = [*_ways(stage, taken_over)]
    if len(digests) != 1:
        differences.append("check and trigger run different code")
    deployed = _ours(_unzipped(location), stage.name)
    here = _ours(_project(), stage.name)
    changed = sorted(path for path in deployed.keys() | here.keys() if deployed.get(path) != here.get(path))
    jobs_file = f"chalicelib/jobs/{stage.name}.toml"
    if code := [path for path in changed if path != jobs_file]:
        differences.append(f"the functions' code is not this checkout's: {', '.join(code)}")
    try:
        text = deployed.get(jobs_file, b"").decode()
        jobs = parse(text, stage=stage.name, place="the deployed jobs file", by_model=False)
    except (JobsFileInvalid, UnicodeDecodeError):
        return Functions((*differences, "the functions' jobs file can't be read by this checkout"))
    gone = sorted(jobs.jobs.keys() - stage.file.jobs.keys())
    differences += [f"{name} is deployed, and not in the jobs file" for name in gone]
    return Functions(tuple(differences), jobs)


def _ways(stage: Stage, by_chalice: bool) -> Iterator[str]:
    """A stage is deployed in one of two ways: by `guardctl deploy`, or by a pipeline with a stack of its own."""
    try:
        pipeline, ours = (stacks.exists(stage, name(stage.name)) for name in (package_stack, machines_stack))
    except ClientError as error:
        yield f"its stacks could not be compared: {error}"
        return
    if pipeline and ours:
        yield (
            f"it is deployed in two ways: the stacks {package_stack(stage.name)} (a pipeline's) and "
            f"{machines_stack(stage.name)} (guardctl's) are both there; remove one: docs/plain-chalice.md"
        )
    elif pipeline and by_chalice:
        yield (
            f"chalice deploy has taken the functions over from the stack {package_stack(stage.name)}: "
            "deploy from the pipeline again"
        )


def guard_machine(stage: Stage) -> tuple[str, ...]:
    """Compare the guard machine with this checkout's."""
    return _machine(stage, stage.guard, template.guard_definition(stage.file), "the guard machine")


def job(stage: Stage, job: Job, deployed: Functions, recorded: str | None, *, closely: bool) -> tuple[str, ...]:
    """Compare what is deployed of one job with the jobs file here.

    `recorded`: the record of its schedule. `closely`: the definitions of its machines too, a call each.
    """
    machines = stage.machines(job.name)
    differences: list[str] = []
    for slot, machine in enumerate(machines if closely else (), 1):
        what = f"the state machine of slot {slot}" if len(machines) > 1 else "its state machine"
        differences += _machine(stage, machine, template.definition("batch"), what)
    if deployed.jobs is not None:
        known = deployed.jobs.jobs.get(job.name)
        slots, slots_here = deployed.jobs.slots_of(job.pool), stage.file.slots_of(job.pool)
        if known and slots != slots_here:
            differences.append(f"pool {job.pool} has slots = {slots}, and here {slots_here}")
        differences += _settings(job, known) if known else ["the functions don't know it"]
    if job.schedules and recorded is None:
        differences.append("its schedule is not recorded")
    elif job.schedules and recorded != recorded_as(job):
        differences.append("the record of its schedule is another one")
    return tuple(differences)


def _machine(stage: Stage, arn: str, here: Mapping[str, Any], what: str) -> tuple[str, ...]:
    try:
        with reading("states:DescribeStateMachine", arn):
            text = stage.stepfunctions.describe_state_machine(stateMachineArn=arn)["definition"]
    except NotDeployed:
        return (f"{what} is not deployed",)
    check = stage.function("check")
    text_here = json.dumps(here).replace("${CheckFunctionArn}", check).replace("${Partition}", check.split(":")[1])
    substituted = json.loads(text_here)
    return () if json.loads(text) == substituted else (f"{what} is defined differently",)


def _settings(here: Job, deployed: Job) -> Iterator[str]:
    for one, other, prefix in ((here, deployed, ""), (here.ecs, deployed.ecs, "ecs.")):
        for field in fields(one):
            mine, theirs = getattr(one, field.name), getattr(other, field.name)
            if field.name != "ecs" and mine != theirs:
                yield f"{prefix}{field.name} is {_shown(theirs)}, and here {_shown(mine)}"


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return json.dumps([getattr(each, "expression", each) for each in value])
    return json.dumps(value, default=dict)


def _unzipped(location: str) -> Mapping[str, bytes]:
    try:
        with urlopen(location, timeout=_TIMEOUT_SECONDS) as answer:  # a presigned URL that GetFunction gave
            archive = zipfile.ZipFile(io.BytesIO(answer.read()))
    except (OSError, zipfile.BadZipFile) as error:
        raise CantTell(f"the functions' zip could not be read: {error}") from error
    return {name: archive.read(name) for name in archive.namelist() if name.startswith(("app.py", "chalicelib/"))}


def _project() -> Mapping[str, bytes]:
    found = [PROJECT / "app.py", *(PROJECT / "chalicelib").rglob("*")]
    return {path.relative_to(PROJECT).as_posix(): path.read_bytes() for path in found if path.is_file()}


def _ours(files: Mapping[str, bytes], stage: str) -> Mapping[str, bytes]:
    """Without bytecode, and without the jobs files of other stages."""
    jobs = "chalicelib/jobs/"
    return {
        path: content
        for path, content in files.items()
        if path.endswith((".py", ".json", ".toml")) and (not path.startswith(jobs) or path == f"{jobs}{stage}.toml")
    }
