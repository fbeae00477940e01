"""The blocks of .chalice/config.json: is each stage told which stage it is? Pure, but for reading the file.

Chalice copies whatever a block says. One that was copied from another stage deploys functions that start that stage's
jobs; so Chalice's command line (app.py), `guardctl` and the functions themselves refuse it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chalicelib.config.jobs import JobsFile, JobsFileInvalid
from chalicelib.config.tables import Fault
from chalicelib.names import FUNCTIONS, Function, function_role

FILE = Path(__file__).parent.parent.parent / ".chalice" / "config.json"
PLACE = ".chalice/config.json"
VARIABLE = "BATCH_GUARD_STAGE"

WRITTEN = "from_jobs_file"
"""The key of a block that says which of the others `guardctl` has written into it. Chalice has no use for it."""

Config = Mapping[str, Any]


def read(file: Path = FILE) -> Config:
    """The file, parsed. Raises ValueError with a sentence when it is no JSON object, OSError when it is not there."""
    try:
        parsed = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{PLACE}:{error.lineno}:{error.colno}: is not JSON: {error.msg}") from None
    if not isinstance(parsed, dict) or not isinstance(parsed.get("stages", {}), dict):
        raise ValueError(f'{PLACE}: is not an object with "stages", as Chalice writes it')
    return parsed


def faults(config: Config) -> list[Fault]:
    """What is wrong with any block; a stage without a block has no fault."""
    return [fault for stage in config.get("stages", {}) for fault in faults_of(config, stage)]


def faults_of(config: Config, stage: str) -> list[Fault]:
    """What is wrong with the block of a stage: what points to another stage, wherever Chalice would take it from."""
    block = _table(config.get("stages"), stage)
    files = {policy_file(other, function) for other in config.get("stages", ()) for function in FUNCTIONS}
    wrong = []
    for function in FUNCTIONS:
        place, told = _told(config, block, stage, function)
        if told != stage:
            said = f"the functions of stage {stage} would be told " + (f'"{told}"' if told is not None else "nothing")
            wrong.append(Fault(PLACE, place, said, f'write "{stage}"'))
        named = _table(block.get("lambda_functions"), function).get("iam_policy_file")
        right = policy_file(stage, function)
        if named != right and named in files:
            place = f"stages.{stage}.lambda_functions.{function}.iam_policy_file"
            wrong.append(Fault(PLACE, place, f'"{named}" is the policy of another function', f'write "{right}"'))
    return list(dict.fromkeys(wrong))


def block(stage: str) -> dict[str, Any]:
    """What `guardctl` writes for a stage."""
    functions: dict[str, dict[str, Any]] = {f: {"iam_policy_file": policy_file(stage, f)} for f in FUNCTIONS}
    functions["trigger"]["lambda_timeout"] = 120
    return {"environment_variables": {VARIABLE: stage}, "lambda_functions": functions}


def with_settings(block: Config, jobs: JobsFile, roles: Mapping[Function, str] | None = None) -> dict[str, Any]:
    """The block with what the jobs file says of the functions, in Chalice's own keys; and without what it said before.

    `roles` has the ARNs of the functions' roles: without them those that are there stay, unless Chalice makes them
    again. A role that somebody else has named is left alone.
    """
    asked: dict[str, Any] = {}
    if jobs.tags:
        asked["tags"] = dict(jobs.tags)
    if jobs.log_retention_days:
        asked["log_retention_in_days"] = jobs.log_retention_days
    gone = {WRITTEN, *block.get(WRITTEN, ())}
    found = {key: value for key, value in block.items() if key not in gone} | asked
    if asked:
        found[WRITTEN] = sorted(asked)
    functions = {name: dict(of) for name, of in _table(block.get("lambda_functions")).items() if isinstance(of, dict)}
    for function in FUNCTIONS:
        own = functions.get(function, {})
        named = str(own.get("iam_role_arn", ""))
        ours = named.endswith(f":role/{function_role(jobs.stage, function)}")
        if roles and jobs.own_roles and (ours or not named):
            functions[function] = {**own, "manage_iam_role": False, "iam_role_arn": roles[function]}
        elif ours and not jobs.own_roles:
            functions[function] = {k: v for k, v in own.items() if k not in ("manage_iam_role", "iam_role_arn")}
    return {**found, "lambda_functions": functions} if functions else found


def policy_file(stage: str, function: Function) -> str:
    """The file in .chalice with a function's policy."""
    return f"policy-{stage}-{function}.json"


def _told(config: Config, block: Config, stage: str, function: Function) -> tuple[str, Any]:
    """The place that Chalice takes the variable from, and its value: the nearest table that has it wins."""
    own = _table(_table(block.get("lambda_functions"), function).get("environment_variables"))
    of_block, of_all = _table(block.get("environment_variables")), _table(config.get("environment_variables"))
    for place, table in (
        (f"stages.{stage}.lambda_functions.{function}.environment_variables", own),
        (f"stages.{stage}.environment_variables", of_block),
        ("environment_variables", of_all),
    ):
        if VARIABLE in table:
            return f"{place}.{VARIABLE}", table[VARIABLE]
    return f"stages.{stage}.environment_variables.{VARIABLE}", None


def _table(value: Any, *keys: str) -> Config:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def require(told: str | None, file: Path = FILE) -> None:
    """For Chalice's command line, whose stage is `told`. Raises `JobsFileInvalid` with what is wrong with any block."""
    try:
        found = faults(read(file))
    except FileNotFoundError:  # no project of Chalice's: nothing will be deployed
        return
    except ValueError as error:
        found = [Fault(PLACE, "file", str(error), "guardctl validate checks it")]
    if told is None and not found:
        wrong = f"the functions of this stage would not be told which it is ({VARIABLE})"
        right = "guardctl deploy --stage STAGE and guardctl package --stage STAGE write its block"
        found = [Fault(PLACE, "stages", wrong, right)]
    if found:
        raise JobsFileInvalid(tuple(found))
