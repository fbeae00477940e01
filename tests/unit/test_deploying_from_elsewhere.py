"""The examples for GitHub Actions and Terraform: their form by judges from outside, their commands by what exists."""

from __future__ import annotations

import copy
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from tests.documents import ROOT, read
from tests.unit.test_docs import GUARDCTL

EXAMPLE = "docs/examples/batch-guard.yml"
OURS = ".github/workflows/ci.yml"


@cache
def text(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def workflow(path: str) -> Any:
    from ruamel.yaml import YAML  # noqa: PLC0415 (with the judges a tenth of what all unit tests take to collect)

    return YAML(typ="safe", pure=True).load(text(path))  # YAML 1.2: in 1.1 the key `on` is a boolean


@cache
def judge() -> Any:
    from check_jsonschema.builtin_schemas import get_builtin_schema  # noqa: PLC0415 (see workflow)
    from jsonschema.validators import validator_for  # noqa: PLC0415

    schema = get_builtin_schema("vendor.github-workflows")
    return validator_for(schema)(schema)


@pytest.mark.thorough
@pytest.mark.parametrize("path", [EXAMPLE, OURS])
def test_a_workflow_is_as_githubs_schema_has_it(path: str) -> None:
    assert [error.message for error in judge().iter_errors(workflow(path))] == []


@pytest.mark.parametrize("key", ["on", "permissions", "jobs"])
def test_the_schema_sees_a_fault(key: str) -> None:
    broken = copy.deepcopy(workflow(EXAMPLE))
    broken[key] = {"pull_requests": "yes"}
    assert not judge().is_valid(broken)


def test_every_action_is_pinned_to_one_commit_that_says_its_version() -> None:
    used = [line for path in (EXAMPLE, OURS) for line in re.findall(r"uses: (.+)", text(path))]
    assert len(used) >= 5
    pins = {re.fullmatch(r"([\w/-]+)@[0-9a-f]{40} # v\d+\.\d+\.\d+", line) for line in used}
    assert None not in pins, used
    assert len({pin[1] for pin in pins if pin}) == len(set(used))


def typed() -> Iterator[list[str]]:
    """What the workflow's steps type of guardctl, in words, without ``guardctl``."""
    for job in workflow(EXAMPLE)["jobs"].values():
        words = [shlex.split(step["run"]) for step in job["steps"] if "run" in step]
        yield from (rest for program, *rest in words if program.endswith("/guardctl"))


def test_the_workflow_asks_on_a_pull_request_and_deploys_on_main() -> None:
    jobs = workflow(EXAMPLE)["jobs"]
    runs = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()}
    asked = [f'.venv/bin/guardctl {command} --stage "$STAGE"' for command in ("validate", "verify", "diff")]
    assert runs == {
        "look": ["make venv", *asked],
        "deploy": ["make venv", '.venv/bin/guardctl deploy --stage "$STAGE"'],
    }
    assert {name: job["if"].split("'")[1] for name, job in jobs.items()} == {"look": "pull_request", "deploy": "push"}
    assert workflow(EXAMPLE)["on"]["push"] == {"branches": ["main"]}


def test_its_commands_exist() -> None:
    for name, *rest in typed():
        known = {option for parameter in GUARDCTL[name].params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= known, name


def test_the_page_trusts_the_environment_that_deploys_and_names_the_variables() -> None:
    page = read("docs/github-actions.md")
    (trust,) = [json.loads(block) for section in page for language, block in section.blocks if language == "json"]
    (statement,) = trust["Statement"]
    subject = statement["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"]
    assert subject.rpartition(":")[2] == workflow(EXAMPLE)["jobs"]["deploy"]["environment"]
    spans = {span for section in page for span in section.spans}
    assert set(re.findall(r"vars\.(\w+)", text(EXAMPLE))) <= spans


@pytest.mark.thorough
def test_terraform_takes_what_the_readmes_pipeline_deploys() -> None:
    import hcl2  # noqa: PLC0415 (see workflow)

    plain = hcl2.SerializationOptions(strip_string_quotes=True, explicit_blocks=False)
    found = hcl2.loads(text("docs/examples/batch-guard.tf"), serialization_options=plain)
    stack = found["resource"][0]["aws_cloudformation_stack"]["batch_guard"]
    script = next(
        block for section in read("README.md") for _, block in section.blocks if "cloudformation deploy" in block
    )
    words = shlex.split(script)
    there = words.index("--capabilities")
    assert stack["capabilities"] == words[there + 1 : there + 3]
    assert stack["name"].replace("${var.stage}", "dev") == words[words.index("--stack-name") + 1]
    assert words[words.index("--output-template-file") + 1] in stack["template_body"]
    (page,) = [block for section in read("docs/terraform.md") for _, block in section.blocks]
    assert page.splitlines() == script.splitlines()[:-1]
