"""What `guardctl status` sees of a stage as a whole: what is missing, and in how many ways it is deployed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.names import FUNCTIONS, Function
from chalicelib.values import dataclass
from guardctl import deploy, drift, removal
from guardctl.errors import Stop
from guardctl.stage import PROJECT, Stage

OURS, PIPELINES = "batch-guard-dev-machines", "batch-guard-dev"
MADE = "CREATE_COMPLETE"
CHALICES = "arn:aws:iam::123456789012:role/batch-guard-dev-{}"
CLOUDFORMATIONS = "arn:aws:iam::123456789012:role/batch-guard-dev-Role-{}-0A1B"


def refused(code: str, message: str = "") -> ClientError:
    """AWS's no."""
    return ClientError({"Error": {"Code": code, "Message": message}}, "Asked")


@dataclass
class Aws:
    """Lambda and CloudFormation of one stage."""

    stacks: Mapping[str, str] = field(default_factory=dict)
    functions: Mapping[str, str] = field(default_factory=dict)
    """Function → its role."""
    location: str = ""

    def describe_stacks(self, StackName: str) -> Any:  # noqa: N803 (boto3's name)
        if StackName not in self.stacks:
            raise refused("ValidationError", f"Stack with id {StackName} does not exist")
        return {"Stacks": [{"StackStatus": self.stacks[StackName]}]}

    def get_function(self, FunctionName: str) -> Any:  # noqa: N803 (boto3's name)
        function = FunctionName.removeprefix("batch-guard-dev-")
        if function not in self.functions:
            raise refused("ResourceNotFoundException")
        configuration = {"CodeSha256": "one", "Role": self.functions[function].format(function)}
        return {"Configuration": configuration, "Code": {"Location": self.location}}


@dataclass(frozen=True)
class OfAws(Stage):
    """A stage of fakes."""

    aws: Aws = field(default_factory=Aws)

    def client(self, service: Any, region: str | None = None) -> Any:
        assert service in ("lambda", "cloudformation")
        return self.aws


@pytest.fixture(scope="module")
def zipped(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where this checkout's functions can be read, as GetFunction would say."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for path in [PROJECT / "app.py", *(PROJECT / "chalicelib").rglob("*")]:
            if path.is_file():
                archive.write(path, path.relative_to(PROJECT))
    file: Path = tmp_path_factory.mktemp("functions") / "functions.zip"
    file.write_bytes(made.getvalue())
    return file.as_uri()


DEPLOY = "run: guardctl deploy --stage dev"
PAGE = "docs/plain-chalice.md"
BOTH: tuple[Function, ...] = FUNCTIONS


@pytest.mark.parametrize(
    ("missing", "guard", "stacks", "words"),
    [
        pytest.param((), True, {OURS: MADE}, (), id="all is there"),
        pytest.param((), False, {}, ("the state machines are not deployed", "chalice deploy makes none", "nothing can start", DEPLOY), id="functions without machines"),
        pytest.param(BOTH, True, {OURS: MADE}, ("the functions check and trigger", "are not deployed", "no start can be decided", DEPLOY), id="machines without functions"),
        pytest.param(("check",), True, {OURS: MADE}, ("the function check ", "is not deployed", "no start can be decided", DEPLOY), id="machines without the checker"),
        pytest.param(("trigger",), True, {OURS: MADE}, ("the function trigger ", "nothing is started on schedule", DEPLOY), id="machines without the trigger"),
        pytest.param(("trigger",), False, {}, ("neither the function trigger nor the state machines", DEPLOY), id="the checker alone"),
        pytest.param(BOTH, False, {}, ("neither the functions nor the guard machine are deployed",), id="nothing"),
        pytest.param((), False, {PIPELINES: MADE}, ("the state machines are not deployed", PAGE), id="functions of a pipeline without machines"),
        pytest.param(BOTH, True, {PIPELINES: MADE}, ("no start can be decided", "a pipeline's stage", PAGE), id="machines of a pipeline without functions"),
    ],
)  # fmt: skip
def test_what_is_missing_is_told_with_what_it_means_and_what_to_do(
    zipped: str, missing: tuple[Function, ...], guard: bool, stacks: dict[str, str], words: tuple[str, ...]
) -> None:
    roles: dict[str, str] = {function: CLOUDFORMATIONS for function in FUNCTIONS if function not in missing}
    stage = OfAws("dev", aws=Aws(stacks, roles, zipped))
    told = drift.parts(stage, drift.functions(stage), guard)
    assert len(told) == (1 if words else 0)
    assert [word for word in words if word not in told[0]] == []


@pytest.mark.parametrize(
    ("role", "stacks", "words"),
    [
        pytest.param(CHALICES, {OURS: MADE}, (), id="guardctl deploy alone"),
        pytest.param(CHALICES, {OURS: MADE, PIPELINES: "DELETE_COMPLETE"}, (), id="a pipeline's stack that is gone"),
        pytest.param(CHALICES, {OURS: MADE, PIPELINES: "REVIEW_IN_PROGRESS"}, (), id="a pipeline's stack that is only planned"),
        pytest.param(CLOUDFORMATIONS, {PIPELINES: MADE}, (), id="a pipeline alone"),
        pytest.param(CHALICES, {PIPELINES: MADE}, ("chalice deploy has taken the functions over", PIPELINES, PAGE), id="chalice deploy on a pipeline's stage"),
        pytest.param(CLOUDFORMATIONS, {PIPELINES: MADE, OURS: MADE}, ("deployed in two ways", PIPELINES, OURS, PAGE), id="a pipeline's stack beside guardctl's"),
        pytest.param(CHALICES, {OURS: MADE, PIPELINES: "ROLLBACK_COMPLETE"}, ("ROLLBACK_COMPLETE", "nothing came of it", "aws cloudformation delete-stack --stack-name batch-guard-dev"), id="a pipeline that failed on guardctl's stage"),
    ],
)  # fmt: skip
def test_a_stage_that_is_deployed_in_two_ways_is_told(
    zipped: str, role: str, stacks: dict[str, str], words: tuple[str, ...]
) -> None:
    found = drift.functions(OfAws("dev", aws=Aws(stacks, dict.fromkeys(FUNCTIONS, role), zipped)))
    assert found.missing == ()
    assert len(found.differences) == (1 if words else 0)
    assert [word for word in words if word not in found.differences[0]] == []


@pytest.mark.parametrize("there", [(), ("check",), ("trigger",)])
def test_functions_that_are_missing_are_named_and_nothing_is_compared(there: tuple[str, ...]) -> None:
    found = drift.functions(OfAws("dev", aws=Aws({OURS: MADE}, dict.fromkeys(there, CHALICES))))
    assert found.missing == tuple(f for f in FUNCTIONS if f not in there)
    assert (found.differences, found.jobs) == ((), None)


def test_a_function_that_was_taken_over_is_told_also_when_the_other_is_missing() -> None:
    found = drift.functions(OfAws("dev", aws=Aws({PIPELINES: MADE}, {"check": CHALICES})))
    assert "taken the functions over" in found.differences[0]


@pytest.mark.parametrize(
    ("status", "removed", "deployed"),
    [
        pytest.param(MADE, ("was deployed by a pipeline", "guardctl stop JOB --stage dev", "delete-stack --stack-name batch-guard-dev"), "Deploy from the pipeline", id="a pipeline's stage"),
        pytest.param("ROLLBACK_COMPLETE", ("nothing came of it", "delete-stack --stack-name batch-guard-dev"), "", id="what a failed pipeline has left"),
        pytest.param("DELETE_COMPLETE", (), "", id="a stack that is gone"),
    ],
)  # fmt: skip
def test_neither_destroy_nor_deploy_touches_a_pipelines_stage_and_each_says_what_to_do(
    status: str, removed: tuple[str, ...], deployed: str
) -> None:
    stage = OfAws("dev", aws=Aws({PIPELINES: status}))
    for do, words in ((removal.require_ours, removed), (deploy.require_no_pipeline, (deployed,) if deployed else ())):
        if not words:
            do(stage)
            continue
        with pytest.raises(Stop) as stopped:
            do(stage)
        assert [word for word in words if word not in str(stopped.value)] == []
