"""A stage is one file: its block in .chalice/config.json, and the zip that Chalice keeps."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from chalicelib.config import blocks
from chalicelib.config.jobs import JobsFileInvalid
from guardctl import project
from guardctl.deploy import forget_renamed
from guardctl.errors import Stop
from guardctl.stage import Stage


def config(**stages: Any) -> dict[str, Any]:
    """A config.json with these blocks."""
    return {"version": "2.0", "app_name": "batch-guard", "stages": stages}


def told(stage: str, **of_functions: Any) -> dict[str, Any]:
    """A block whose functions are told `stage`."""
    return {"environment_variables": {"BATCH_GUARD_STAGE": stage}, "lambda_functions": of_functions}


ELSEWHERE = {"environment_variables": {"BATCH_GUARD_STAGE": "dev"}}
OF_DEV = {"iam_policy_file": "policy-dev-check.json"}
OWN = {"iam_policy_file": "policy-of-our-own.json"}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(config(prod=blocks.block("prod")), [], id="as guardctl writes it"),
        pytest.param(config(), [], id="no block: nothing is wrong with it"),
        pytest.param(config(prod={**told("prod"), "tags": {"a": "b"}}), [], id="more in it"),
        pytest.param(config(prod=told("prod", check=OWN)), [], id="a policy of your own"),
        pytest.param(config(prod=told("dev")), ['stages.prod.environment_variables.BATCH_GUARD_STAGE: the functions of stage prod would be told "dev"; write "prod"'], id="copied from dev"),
        pytest.param(config(prod={}), ["stages.prod.environment_variables.BATCH_GUARD_STAGE: the functions of stage prod would be told nothing"], id="told nothing"),
        pytest.param({**config(prod={}), **ELSEWHERE}, ['environment_variables.BATCH_GUARD_STAGE: the functions of stage prod would be told "dev"'], id="told for all stages"),
        pytest.param({**config(prod=told("prod")), **ELSEWHERE}, [], id="the block wins over what is told for all"),
        pytest.param(config(prod=told("prod", check=ELSEWHERE)), ['stages.prod.lambda_functions.check.environment_variables.BATCH_GUARD_STAGE: the functions of stage prod would be told "dev"'], id="one function is told another"),
        pytest.param(config(dev=told("dev"), prod=told("prod", check=OF_DEV)), ['stages.prod.lambda_functions.check.iam_policy_file: "policy-dev-check.json" is the policy of another function; write "policy-prod-check.json"'], id="the policy of another stage"),
    ],
)  # fmt: skip
def test_a_block_that_points_to_another_stage_is_a_fault(found: dict[str, Any], expected: list[str]) -> None:
    faults = [str(fault) for fault in blocks.faults(found)]
    assert len(faults) == len(expected), faults
    for line, start in zip(faults, expected, strict=True):
        assert line.startswith(f".chalice/config.json:{start}")


@pytest.mark.parametrize(
    ("text", "stage", "expected"),
    [
        pytest.param(json.dumps(config(prod=told("prod"))), "prod", None, id="sound"),
        pytest.param(None, None, None, id="no project of Chalice's"),
        pytest.param(json.dumps(config(prod=told("dev"))), "dev", 'would be told "dev"', id="another stage's"),
        pytest.param(json.dumps(config(dev=told("dev"))), None, "would not be told which it is", id="no block"),
        pytest.param("{", "prod", "config.json:1:2: is not JSON", id="no JSON"),
    ],
)
def test_chalices_command_line_is_refused(
    tmp_path: Path, text: str | None, stage: str | None, expected: str | None
) -> None:
    file = tmp_path / "config.json"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    if expected is None:
        blocks.require(stage, file)
    else:
        with pytest.raises(JobsFileInvalid, match=expected):
            blocks.require(stage, file)


def test_a_kept_zip_with_a_jobs_file_under_its_old_name_is_not_used_again(tmp_path: Path) -> None:
    jobs, kept = tmp_path / "chalicelib" / "jobs", tmp_path / ".chalice" / "deployments"
    jobs.mkdir(parents=True)
    kept.mkdir(parents=True)
    (jobs / "prod.toml").touch()
    for name, stage in (("now", "prod"), ("before", "dev")):
        with zipfile.ZipFile(kept / f"{name}.zip", "w") as archive:
            for path in ("app.py", f"chalicelib/jobs/{stage}.toml", "cronsim/__init__.py"):
                archive.writestr(path, "")
    (kept / "broken.zip").write_text("no zip", encoding="utf-8")
    forget_renamed(tmp_path)
    assert [file.name for file in kept.iterdir()] == ["now.zip"]


def test_a_fault_of_another_stage_ends_a_deployment_before_it_begins(tmp_path: Path) -> None:
    (tmp_path / "dev.toml").write_text("[jobs", encoding="utf-8")
    with pytest.raises(Stop, match=r"dev\.toml:.* is not TOML"):
        project.require_all(Stage("prod", tmp_path))
