"""``guardctl check``."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from chalicelib.decide.facts import CantTell
from chalicelib.names import function_name, log_group
from guardctl import links
from guardctl.console import JsonOption, NamedJob, StageOption, TzOption, asking, command, out
from guardctl.errors import AWS, NOT_RUN, OK, USAGE, Stop
from guardctl.job_status import WOULD
from guardctl.stage import Stage
from guardctl.wording import localised

_MISTAKES = ("UnknownJob", "InvalidInput")
"""What a refusal is called when the command was mistyped."""


@command(
    example="guardctl check nightly-report",
    exit_codes="Exit codes: 0 a start would run · 1 it would not · 2 the stage has no such job"
    " · 3 the checker can't tell, or could not be asked · 130 interrupted.",
)
def check(
    job: Annotated[str, NamedJob("The job's name, as the deployed stage knows it.")],
    stage: StageOption = "dev",
    tz: TzOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask the deployed checker whether a start would run now.

    It only reads. It goes by what is deployed, not by this checkout; --json prints its answer as it is.
    """
    target = Stage(stage, tz=tz)
    zone = _zone(target)
    with asking("asking the checker…"):
        answer = ask(target, job)
    if as_json:
        out.print_json(data=answer)
    else:
        out.print(told(job, answer, zone), markup=False)
    if code := exit_code(answer):
        raise typer.Exit(code)


def exit_code(answer: Mapping[str, Any]) -> int:
    if answer["outcome"] == "start":
        return OK
    return USAGE if answer.get("error") in _MISTAKES else NOT_RUN


def ask(stage: Stage, job: str) -> dict[str, Any]:
    """The checker's answer. Raises `Stop` where there is no checker or it fails, and `CantTell` when it can't tell."""
    name = function_name(stage.name, "check")
    client = stage.client("lambda")
    try:
        told = client.invoke(FunctionName=name, Payload=json.dumps({"job": job}).encode())
    except client.exceptions.ResourceNotFoundException as error:
        raise Stop(
            f"there is no function {name} in this account and Region; deploy: {stage.command('deploy')}", AWS
        ) from error
    answer = json.loads(told["Payload"].read())
    if "FunctionError" not in told:
        found: dict[str, Any] = answer
        return found
    said = f"{answer.get('errorType', told['FunctionError'])}: {answer.get('errorMessage', 'no message')}"
    if answer.get("errorType") == CantTell.__name__:
        raise CantTell(f"the checker can't tell, so a start would not run: {answer.get('errorMessage')}")
    raise Stop(
        f"the function {name} failed: {said}; see: aws logs tail {log_group(stage.name, 'check')} --since 10m", AWS
    )


def told(job: str, answer: Mapping[str, Any], zone: ZoneInfo) -> str:
    """The answer in lines: what would become of a start and why; what is in the way, or what would be started."""
    return localised("\n".join(_lines(job, answer)), zone)


def _lines(job: str, answer: Mapping[str, Any]) -> Iterator[str]:
    yield f"{job}: {WOULD.get(answer['outcome'], answer['outcome'])}: {answer['reason']}"
    if answer.get("next_run"):
        yield f"  as          {answer['next_run']} of {answer['state_machine_arn'].rpartition(':')[2]}"
    if holder := answer.get("holder"):
        when = f" since {holder['started_at']}" if holder["started_at"] else ""
        yield f"  in the way  {holder['kind']} {holder['name']}{when}"
        yield f"              {(links.task if holder['kind'] == 'task' else links.execution)(holder['arn'])}"


def _zone(stage: Stage) -> ZoneInfo:
    """The stage's zone, if this checkout has the stage."""
    if stage.tz is None:
        with suppress(Stop):
            return stage.zone
        return ZoneInfo("UTC")
    return stage.zone
