"""Both ways to deploy, on the emulator, with the commands that a person types."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.emulator import Emulator
from lab.stage import LocalStage, local_stage, until

BUCKET = "deployment-templates"
JOBS = """
[defaults.ecs]
cluster = "batch"
container = "app"
launch_type = "EC2"

[jobs.first]
schedule = "cron(0 3 1 1 ? *)"
ecs = { task_definition = "first" }

[jobs.second]
ecs = { task_definition = "second" }
"""
THIRD = '\n[jobs.third]\necs = { task_definition = "third" }\n'
CREATED = ["GuardMachine", "GuardMachineRole", "firstBatch", "firstBatchRole", "secondBatch", "secondBatchRole"]


@pytest.fixture(scope="module", autouse=True)
def bucket(emulator: Emulator) -> None:
    """A bucket for templates that are too large."""
    emulator.client("s3").create_bucket(Bucket=BUCKET)


@pytest.fixture(scope="module")
def deployed(emulator: Emulator) -> Iterator[LocalStage]:
    """A stage of two jobs, deployed; a test that changes it changes it back."""
    with local_stage(emulator, name="deployed", jobs=JOBS) as stage:
        stage.command("guardctl", "deploy", "--stage", stage.name)
        stage.provide()
        yield stage


def edit(stage: LocalStage, jobs: str) -> None:
    """Replace the text of the stage's jobs file."""
    (stage.directory / "chalicelib" / "jobs" / f"{stage.name}.toml").write_text(jobs, encoding="utf-8")


def what_is_there(stage: LocalStage) -> dict[str, Any]:
    """Everything of the stage: in the account, and what a command might write into the project."""
    emulator, mine = stage.emulator, f"batch-guard-{stage.name}"
    machines = stage.stepfunctions.list_state_machines()["stateMachines"]
    stacks = emulator.client("cloudformation").list_stacks()["StackSummaries"]
    config = stage.directory / ".chalice"
    return {
        "machines": {
            m["name"]: stage.stepfunctions.describe_state_machine(stateMachineArn=m["stateMachineArn"])["definition"]
            for m in machines
            if m["name"].startswith(mine)
        },
        "functions": {
            f["FunctionName"]: f["CodeSha256"]
            for f in stage.functions.list_functions()["Functions"]
            if f["FunctionName"].startswith(mine)
        },
        "rules": [r["Name"] for r in emulator.client("events").list_rules()["Rules"] if r["Name"].startswith(mine)],
        "roles": sorted(r["RoleName"] for r in emulator.client("iam").list_roles()["Roles"] if mine in r["RoleName"]),
        "stacks": {
            s["StackName"]: s["StackStatus"]
            for s in stacks
            if s["StackName"].startswith(mine) and s["StackStatus"] != "DELETE_COMPLETE"
        },
        "files": {p.name: p.read_text(encoding="utf-8") for p in config.glob("*.json")},
    }


NOTHING: dict[str, Any] = {"machines": {}, "functions": {}, "rules": [], "roles": [], "stacks": {}}


def in_the_account(found: dict[str, Any]) -> dict[str, Any]:
    """Without the project's files."""
    return {key: value for key, value in found.items() if key != "files"}


def assert_a_start_runs(stage: LocalStage) -> None:
    """The guard decides, the run starts, its task lives and ends."""
    verdict = stage.ended(stage.start("first"))
    assert json.loads(verdict["output"])["run"] == "run-000001"
    stage.a_task("first")
    stage.finish("first")


def test_a_dry_run_shows_what_would_be_made_and_changes_nothing(emulator: Emulator) -> None:
    with local_stage(emulator, name="dry", jobs=JOBS) as stage:
        before = what_is_there(stage)
        shown = stage.command("guardctl", "deploy", "--stage", "dry", "--dry-run").stdout
        assert what_is_there(stage) == before
        assert in_the_account(before) == NOTHING
    assert all(f" {logical}\n" in shown for logical in CREATED), shown
    assert shown.endswith("dry run: nothing was changed\n")


def test_a_dry_run_of_a_change_shows_the_change_and_changes_nothing(deployed: LocalStage) -> None:
    edit(deployed, JOBS + THIRD)
    before = what_is_there(deployed)
    shown = deployed.command("guardctl", "deploy", "--stage", deployed.name, "--dry-run").stdout
    assert what_is_there(deployed) == before
    edit(deployed, JOBS)
    assert [line.split() for line in shown.splitlines() if line.startswith("  ")] == [
        ["Add", "AWS::StepFunctions::StateMachine", "thirdBatch"],
        ["Add", "AWS::IAM::Role", "thirdBatchRole"],
    ]


def test_a_deployment_makes_the_machines_and_the_functions_and_a_start_runs(deployed: LocalStage) -> None:
    found = what_is_there(deployed)
    assert sorted(found["machines"]) == [
        "batch-guard-deployed",
        "batch-guard-deployed-first",
        "batch-guard-deployed-second",
    ]
    assert sorted(found["functions"]) == ["batch-guard-deployed-check", "batch-guard-deployed-trigger"]
    assert found["stacks"] == {"batch-guard-deployed-machines": "CREATE_COMPLETE"}
    assert len(found["rules"]) == 1
    assert_a_start_runs(deployed)


def test_a_second_deployment_finds_no_change(deployed: LocalStage) -> None:
    before = what_is_there(deployed)
    shown = deployed.command("guardctl", "deploy", "--stage", deployed.name).stdout
    assert shown.startswith("state machines: no change\nfunctions:\n")
    assert "wrote .chalice" not in shown
    assert what_is_there(deployed) == before


@pytest.mark.parametrize(
    "jobs",
    [
        pytest.param(JOBS.replace("[jobs.second]", "[jobs.other]"), id="renamed"),
        pytest.param(JOBS.partition("[jobs.second]")[0], id="removed"),
    ],
)
def test_a_job_that_is_running_is_neither_removed_nor_renamed(deployed: LocalStage, jobs: str) -> None:
    run = json.loads(deployed.ended(deployed.start("second"))["output"])["run"]
    before = what_is_there(deployed)
    edit(deployed, jobs)
    for dry in ((), ("--dry-run",)):
        refused = deployed.command("guardctl", "deploy", "--stage", deployed.name, *dry, code=2)
        assert refused.stderr.startswith(f"nothing was changed: this would end {run} of {deployed.machine('second')};")
    edit(deployed, JOBS)
    assert what_is_there(deployed) == before
    assert deployed.runs("second")[-1]["status"] == "RUNNING"
    deployed.finish("second")


@pytest.mark.parametrize(
    ("where", "elsewhere"),
    [
        pytest.param('task_definition = "second"', 'task_definition = "moved"', id="another family"),
        pytest.param(
            'task_definition = "second"', 'task_definition = "second", cluster = "moved"', id="another cluster"
        ),
    ],
)
def test_a_job_that_is_running_is_not_moved(deployed: LocalStage, where: str, elsewhere: str) -> None:
    run = json.loads(deployed.ended(deployed.start("second"))["output"])["run"]
    before = what_is_there(deployed)
    edit(deployed, JOBS.replace(where, elsewhere))
    refused = deployed.command("guardctl", "deploy", "--stage", deployed.name, code=2)
    edit(deployed, JOBS)
    assert refused.stderr.startswith(
        f"nothing was changed: {run} of second runs as second on batch, and its task would be"
    )
    assert what_is_there(deployed) == before
    deployed.finish("second")


def test_a_job_at_rest_may_be_removed(deployed: LocalStage) -> None:
    edit(deployed, JOBS.partition("[jobs.second]")[0])
    shown = deployed.command("guardctl", "deploy", "--stage", deployed.name, "--dry-run").stdout
    edit(deployed, JOBS)
    assert "Remove   AWS::StepFunctions::StateMachine secondBatch\n" in shown


def test_fifty_jobs_need_a_bucket_and_are_deployed_with_it(emulator: Emulator) -> None:
    shared = JOBS.partition("[jobs.")[0]
    jobs = shared + "".join(f'[jobs.job-{n}]\necs = {{ task_definition = "job-{n}" }}\n' for n in range(50))
    with local_stage(emulator, name="fifty", jobs=jobs) as stage:
        before = what_is_there(stage)
        refused = stage.command("guardctl", "deploy", "--stage", "fifty", code=2)
        assert "and CloudFormation takes 51,200 inline: name an S3 bucket of yours with --bucket" in refused.stderr
        assert what_is_there(stage) == before
        stage.command("guardctl", "deploy", "--stage", "fifty", "--bucket", BUCKET)
        assert len(what_is_there(stage)["machines"]) == 51
        stage.command("guardctl", "destroy", "--stage", "fifty", "--yes")
        assert in_the_account(what_is_there(stage)) == NOTHING


def test_a_bucket_that_does_not_exist_is_named(emulator: Emulator) -> None:
    with local_stage(emulator, name="nobucket", jobs=JOBS) as stage:
        refused = stage.command("guardctl", "deploy", "--stage", "nobucket", "--bucket", "no-such-bucket", code=3)
        assert "no-such-bucket" in refused.stderr
        assert in_the_account(what_is_there(stage)) == NOTHING


def test_functions_deployed_from_elsewhere_are_not_left_without_machines(deployed: LocalStage) -> None:
    """Chalice deletes only what its own record names, and says nothing when it has none."""
    before = what_is_there(deployed)
    with local_stage(deployed.emulator, name=deployed.name, jobs=JOBS) as elsewhere:
        refused = elsewhere.command("guardctl", "destroy", "--stage", deployed.name, "--yes", code=3)
    assert refused.stderr.startswith("batch-guard-deployed-check and batch-guard-deployed-trigger could not be removed")
    assert in_the_account(what_is_there(deployed)) == in_the_account(before)


def test_destroy_asks_first_then_removes_everything_then_says_that_there_is_nothing(emulator: Emulator) -> None:
    with local_stage(emulator, name="gone", jobs=JOBS) as stage:
        stage.command("guardctl", "deploy", "--stage", "gone")
        stage.provide()
        stage.ended(stage.start("first"))
        before = what_is_there(stage)
        for answer in ("n\n", "\n", ""):
            refused = stage.command("guardctl", "destroy", "--stage", "gone", stdin=answer, code=1)
            assert "first: run-000001 is in progress and would be ended" in refused.stdout
            assert "Remove batch-guard's stage gone, with the history of all its runs? [y/N] " in refused.stdout
            assert refused.stderr.endswith("nothing was removed\n")
            assert what_is_there(stage) == before
        stage.command("guardctl", "destroy", "--stage", "gone", stdin="y\n")
        assert in_the_account(what_is_there(stage)) == NOTHING
        again = stage.command("guardctl", "destroy", "--stage", "gone", "--yes")
        assert again.stdout == "there is nothing of stage gone to remove\n"


@pytest.fixture(scope="module")
def packaged(emulator: Emulator) -> Iterator[LocalStage]:
    """A stage that was packaged for a pipeline, into build/."""
    with local_stage(emulator, name="packaged", jobs=JOBS) as stage:
        stage.command("guardctl", "package", "--stage", "packaged", "build")
        stage.provide()
        yield stage


def test_a_package_is_a_template_and_a_small_zip(packaged: LocalStage) -> None:
    build = packaged.directory / "build"
    assert sorted(file.name for file in build.iterdir()) == ["deployment.zip", "sam.json"]
    resources = json.loads((build / "sam.json").read_text(encoding="utf-8"))["Resources"]
    assert set(CREATED) < set(resources)
    names = [resources[logical]["Properties"]["FunctionName"] for logical in ("Check", "Trigger")]
    assert names == ["batch-guard-packaged-check", "batch-guard-packaged-trigger"]


def test_the_zip_is_small_and_has_only_what_the_functions_need(packaged: LocalStage) -> None:
    archive = packaged.directory / "build" / "deployment.zip"
    assert archive.stat().st_size < 2_000_000
    with zipfile.ZipFile(archive) as content:
        names = content.namelist()
    top = {name.partition("/")[0] for name in names}
    assert {"app.py", "chalicelib", "cronsim", "tzdata"} <= top
    assert not top & {"boto3", "botocore", "s3transfer", "guardctl", "tests", "local", "docs", "typer", "rich"}
    assert {name for name in names if name.startswith("chalicelib/jobs/") and not name.endswith("/")} == {
        f"chalicelib/jobs/{stage}.toml" for stage in ("dev", "local", "packaged")
    }
    assert {f"chalicelib/machines/{machine}.asl.json" for machine in ("guard", "batch")} <= set(names)


def test_a_package_becomes_one_stack_in_which_a_start_runs(packaged: LocalStage) -> None:
    template = uploaded(packaged.emulator, packaged.directory / "build")
    cloudformation = packaged.emulator.client("cloudformation")
    cloudformation.create_stack(
        StackName="batch-guard-packaged",
        TemplateURL=template,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    until(
        lambda: (
            cloudformation.describe_stacks(StackName="batch-guard-packaged")["Stacks"][0]["StackStatus"]
            == "CREATE_COMPLETE"
        ),
        within=60,
        what="the stack",
    )
    found = what_is_there(packaged)
    assert sorted(found["functions"]) == ["batch-guard-packaged-check", "batch-guard-packaged-trigger"]
    assert len(found["machines"]) == 3
    rules = packaged.emulator.client("events").list_rules()["Rules"]
    assert "cron(* * * * ? *)" in [
        rule.get("ScheduleExpression") for rule in rules if "packaged" in rule["Name"].lower()
    ]
    assert_a_start_runs(packaged)


def uploaded(emulator: Emulator, build: Path) -> str:
    """What ``aws cloudformation package`` does: the zip to S3, and its place into the template."""
    s3 = emulator.client("s3")
    s3.put_object(Bucket=BUCKET, Key="deployment.zip", Body=(build / "deployment.zip").read_bytes())
    template = (build / "sam.json").read_text(encoding="utf-8")
    assert template.count('"./deployment.zip"') == 2
    body = template.replace('"./deployment.zip"', f'"s3://{BUCKET}/deployment.zip"')
    s3.put_object(Bucket=BUCKET, Key="sam.json", Body=body.encode())
    return f"{emulator.endpoint}/{BUCKET}/sam.json"
