"""Drift: is what is deployed what this checkout says? Nothing here writes.

State machines are compared by their definitions, schedules by their record, and the functions by the files in their
zip, the jobs file among them: where that can be read, a job's own differences are named. Roles and alarms are not
compared here: CloudFormation does that for `deploy --dry-run`.
"""

import io
import json
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.request import urlopen

from botocore.exceptions import ClientError

from chalicelib.config.jobs import Job, JobsFile, JobsFileInvalid, parse
from chalicelib.decide.facts import CantTell
from chalicelib.names import FUNCTIONS, Function, function_name, function_role, machines_stack, package_stack
from chalicelib.read.aws import NotDeployed, reading
from chalicelib.read.record import recorded_as
from chalicelib.values import dataclass
from guardctl import pool_changes, stacks, template
from guardctl.differences import settings
from guardctl.stage import PROJECT, Stage

_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Functions:
    """What the deployed functions are made of."""

    differences: tuple[str, ...] = ()
    """How they differ from this checkout's, their jobs file apart."""
    jobs: JobsFile | None = None
    """Their jobs file; None if there is none that this checkout can read."""
    missing: tuple[Function, ...] = ()
    """Which of them are not deployed."""
    pipeline: bool = False
    """Whether a pipeline's stack of the stage is there."""
    text: str | None = None
    """The jobs file's text; None if they are not deployed, or have none."""
    gone: tuple[str, ...] = ()
    """The jobs that they know and this checkout does not."""

    @property
    def of_stage(self) -> tuple[str, ...]:
        """How they differ, those jobs included."""
        return (*self.differences, *(f"{name} is deployed, and not in the jobs file" for name in self.gone))


def functions(stage: Stage) -> Functions:
    """Compare the functions with this checkout."""
    client = stage.client("lambda")
    found: dict[Function, Any] = {}
    for function in FUNCTIONS:
        name = function_name(stage.name, function)
        with suppress(NotDeployed), reading("lambda:GetFunction", f"the function {name}"):
            found[function] = client.get_function(FunctionName=name)
    # The role that Chalice makes itself has the function's name; CloudFormation gives a pipeline's another.
    # The stage's own, for which `guardctl deploy` has a stack, has a name of its own, too.
    by_chalice = any(
        each["Configuration"].get("Role", "").endswith(f"role/{name(stage.name, function)}")
        for function, each in found.items()
        for name in (function_name, function_role)
    )
    pipeline, differences = _ways(stage, by_chalice)
    if len(found) < len(FUNCTIONS):
        missing = tuple(f for f in FUNCTIONS if f not in found)
        return Functions(tuple(differences), missing=missing, pipeline=pipeline)
    digests = {each["Configuration"]["CodeSha256"] for each in found.values()}
    if len(digests) != 1:
        differences.append("check and trigger run different code")
    deployed = _ours(_unzipped(found["trigger"]["Code"]["Location"]), stage.name)
    here = _ours(_project(), stage.name)
    changed = sorted(path for path in deployed.keys() | here.keys() if deployed.get(path) != here.get(path))
    jobs_file = f"chalicelib/jobs/{stage.name}.toml"
    if code := [path for path in changed if path != jobs_file]:
        which = f"CodeSha256 {', '.join(sorted(digests))}"
        differences.append(f"the functions' code is not this checkout's ({which}): {', '.join(code)}")

    def holidays(place: str) -> str | None:
        file = deployed.get(f"chalicelib/calendars/{place}.txt")
        return file.decode(errors="replace") if file is not None else None

    text = deployed.get(jobs_file, b"").decode("utf-8-sig", errors="replace")
    try:
        jobs = parse(text, stage=stage.name, place="the deployed jobs file", by_model=False, holidays=holidays)
    except JobsFileInvalid:
        unread = "the functions' jobs file can't be read by this checkout"
        return Functions((*differences, unread), pipeline=pipeline, text=text)
    gone = tuple(sorted(jobs.jobs.keys() - stage.file.jobs.keys()))
    return Functions(tuple(differences), jobs, pipeline=pipeline, text=text, gone=gone)


def _ways(stage: Stage, by_chalice: bool) -> tuple[bool, list[str]]:
    """Whether a pipeline deployed the stage, with a stack of its own; and what is wrong where others did too."""
    name, ours = package_stack(stage.name), machines_stack(stage.name)
    try:
        status = stacks.status(stage, name)
        pipeline = status not in (*stacks.ABSENT, stacks.NEVER_MADE)
        both = pipeline and stacks.exists(stage, ours)
    except ClientError as error:
        return False, [f"its stacks could not be compared: {error}"]
    if status == stacks.NEVER_MADE:
        return False, [f"the stack {name} is {status}: {stacks.pipeline_failed(name)}"]
    if both:
        stacks_there = f"the stacks {name} (a pipeline's) and {ours} (guardctl's) are both there"
        return True, [f"it is deployed in two ways: {stacks_there}; remove one: docs/plain-chalice.md"]
    if pipeline and by_chalice:
        taken = f"chalice deploy has taken the functions over from the stack {name}, a pipeline's"
        return True, [f"{taken}; give them back: docs/plain-chalice.md"]
    return pipeline, []


def parts(stage: Stage, functions: Functions, guard: bool) -> tuple[str, ...]:
    """What is missing of the stage: functions, or its guard machine where `guard` is false; and what to do."""
    missing = functions.missing
    if not missing and guard:
        return ()
    if len(missing) == len(FUNCTIONS) and not guard:
        return ("neither the functions nor the guard machine are deployed",)
    lost, several = " and ".join(missing), len(missing) > 1
    # CloudFormation does not see what is missing of a pipeline's stack, so that deploying again is not the remedy.
    remedy = (
        "it is a pipeline's stage: docs/plain-chalice.md" if functions.pipeline else f"run: {stage.command('deploy')}"
    )
    if guard:
        what = f"the function{'s' if several else ''} {lost} of its state machines {'are' if several else 'is'}"
        means = "no start can be decided" if "check" in missing else "nothing is started on schedule"
        return (f"{what} not deployed: {means}; {remedy}",)
    what = f"neither the function {lost} nor the state machines are" if missing else "the state machines are not"
    return (f"{what} deployed (chalice deploy makes none): nothing can start; {remedy}",)


def guard_machine(stage: Stage) -> tuple[str, ...] | None:
    """Compare the guard machine with this checkout's; None if there is none."""
    try:
        return _machine(stage, stage.guard, template.guard_definition(stage.file), "the guard machine")
    except NotDeployed:
        return None


def _whose(deployed: str, here: str) -> str:
    """Whose rows differ, of two definitions of the guard."""
    rows, rows_here = pool_changes.rows_in(deployed), pool_changes.rows_in(here)
    names = sorted(job for job in rows.keys() | rows_here.keys() if rows.get(job) != rows_here.get(job))
    return f": the pools of {', '.join(names)}" if names else ""


def job(stage: Stage, job: Job, deployed: Functions, recorded: str | None, *, closely: bool) -> tuple[str, ...]:
    """Compare what is deployed of one job with the jobs file here.

    `recorded`: the record of its schedule. `closely`: the definitions of its machines too, a call each.
    """
    machines = stage.machines(job.name)
    differences: list[str] = []
    for slot, machine in enumerate(machines if closely else (), 1):
        what = f"the state machine of slot {slot}" if len(machines) > 1 else "its state machine"
        try:
            differences += _machine(stage, machine, template.definition("batch"), what)
        except NotDeployed:
            differences.append(f"{what} is not deployed")
    if deployed.jobs is not None:
        known = deployed.jobs.jobs.get(job.name)
        slots, slots_here = deployed.jobs.slots_of(job.pool), stage.file.slots_of(job.pool)
        if known and slots != slots_here:
            differences.append(f"pool {job.pool} has slots = {slots}, and here {slots_here}")
        if known is None:
            differences.append("the functions don't know it")
        else:
            differences += [
                f"{each.key} is {each.before or 'none'}, and here {each.after or 'none'}"
                for each in settings(known, job)
            ]
    if job.schedules and recorded is None:
        differences.append("its schedule is not recorded")
    elif job.schedules and recorded != recorded_as(job):
        differences.append("the record of its schedule is another one")
    return tuple(differences)


def _machine(stage: Stage, arn: str, here: Mapping[str, Any], what: str) -> tuple[str, ...]:
    with reading("states:DescribeStateMachine", arn):
        text = stage.stepfunctions.describe_state_machine(stateMachineArn=arn)["definition"]
    check = stage.function("check")
    text_here = json.dumps(here).replace("${CheckFunctionArn}", check).replace("${Partition}", check.split(":")[1])
    substituted = json.loads(text_here)
    return () if json.loads(text) == substituted else (f"{what} is defined differently{_whose(text, text_here)}",)


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
        if path.endswith((".py", ".json", ".toml", ".txt"))
        if not path.startswith(jobs) or path == f"{jobs}{stage}.toml"
    }
