"""The project on this disk: what `guardctl` writes into .chalice, and whether it is what the jobs file asks for."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from chalicelib.config import blocks
from chalicelib.config.jobs import Fault, JobsFileInvalid, load_all
from chalicelib.names import FUNCTIONS, Function
from guardctl import template
from guardctl.errors import Stop
from guardctl.stage import PROJECT, Stage

BUCKET = "template_bucket"
"""The key of a stage's block that remembers the bucket for its templates. Chalice has no use for it."""

_CHALICE = PROJECT / ".chalice"


def config() -> blocks.Config:
    """.chalice/config.json. Raises `Stop`."""
    try:
        return blocks.read(_CHALICE / "config.json")
    except (OSError, ValueError) as error:
        raise Stop(str(error)) from error


def require_block(stage: Stage) -> None:
    """Raise `Stop` when the block of the stage points to another stage. None at all is fine: `write` makes one."""
    found = config()
    if stage.name in found["stages"] and (wrong := blocks.faults_of(found, stage.name)):
        raise Stop("\n".join(map(str, wrong)))


def require_all(stage: Stage) -> None:
    """Raise `Stop` for a fault in any stage's jobs file or block, which Chalice would refuse half way through."""
    try:
        load_all(stage.jobs_directory)
    except JobsFileInvalid as error:
        raise Stop(str(error)) from error
    if wrong := blocks.faults(config()):
        raise Stop("\n".join(map(str, wrong)))


def missing(stage: Stage) -> list[Fault]:
    """What `write` would write: a plain `chalice deploy` does without it, or with what is out of date."""
    right = f"{stage.command('deploy')} writes it"
    found = []
    block = config()["stages"].get(stage.name)
    if block is None:
        found.append(Fault(blocks.PLACE, "stages", f"stage {stage.name} has no block yet", right))
    elif blocks.with_settings(block, stage.file) != block:
        wrong = "its tags, log retention or roles are not what the jobs file asks for"
        found.append(Fault(blocks.PLACE, f"stages.{stage.name}", wrong, right))
    for name, wrong in _policies_to_write(stage):
        found.append(Fault(f".chalice/{name}", "file", wrong, right))
    return found


def write(stage: Stage, roles: Mapping[Function, str] | None = None) -> list[str]:
    """Write the stage's block, as far as it is ours, and its policies; returns the files that changed, for a commit.

    `roles` has the ARNs of the functions' roles, if they are the stage's own and the caller knows the account.
    """
    require_block(stage)
    changed = []
    found = config()
    here = found["stages"].get(stage.name)
    block = blocks.with_settings(here or blocks.block(stage.name), stage.file, roles)
    if block != here:
        _write_config({**found, "stages": {**found["stages"], stage.name: block}})
        changed.append("config.json")
    for name, _ in [*_policies_to_write(stage)]:
        (_CHALICE / name).write_text(_text(policies(stage)[name]), encoding="utf-8")
        changed.append(name)
    return changed


def policies(stage: Stage) -> dict[str, dict[str, Any]]:
    found = template.function_policies(stage.file)
    return {blocks.policy_file(stage.name, function): found[function] for function in FUNCTIONS}


def bucket(stage: Stage) -> str | None:
    found = config()["stages"].get(stage.name, {}).get(BUCKET)
    return found if isinstance(found, str) else None


def remember_bucket(stage: Stage, name: str) -> bool:
    """Write the bucket into the stage's block, for the next deployment and a colleague's clone; whether it is new."""
    found = config()
    block = found["stages"].get(stage.name, blocks.block(stage.name))
    if block.get(BUCKET) == name:
        return False
    _write_config({**found, "stages": {**found["stages"], stage.name: {**block, BUCKET: name}}})
    return True


def _policies_to_write(stage: Stage) -> Iterator[tuple[str, str]]:
    for name, policy in policies(stage).items():
        path = _CHALICE / name
        if not path.exists():
            yield name, "the policy is not written yet"
        elif path.read_text(encoding="utf-8") != _text(policy):
            yield name, "the policy is not what the jobs file asks for"


def _text(policy: dict[str, Any]) -> str:
    return template.render(policy) + "\n"


def _write_config(found: blocks.Config) -> None:
    (_CHALICE / "config.json").write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
