"""A stage from a pipeline: the READMEs' own commands, word for word, with AWS's own command line, on the emulator."""

import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from guardctl import template
from lab.emulator import Emulator
from lab.stage import PROJECT, LocalStage
from tests.commands import python
from tests.documents import read
from tests.emulator.test_deployment import assert_a_start_runs, crowd, what_is_there
from tests.support import local_stage

BUCKET = "of-the-pipeline"
FIRST = '[jobs.first]\nschedule = "cron(0 3 1 1 ? *)"\nwarn_after = "1d"\necs = { task_definition = "first" }\n'


def commands(readme: str) -> str:
    """The block of a README that packages a stage and deploys it."""
    blocks = [text for section in read(readme) for language, text in section.blocks if language == "sh"]
    (block,) = [text for text in blocks if "aws cloudformation deploy" in text]
    return block


def test_both_readmes_have_the_same_commands() -> None:
    assert commands("README.md") == commands("README.ja.md")


def pipeline(stage: LocalStage, script: str) -> "subprocess.CompletedProcess[str]":
    """Run a README's block in the project, as a pipeline would: after `make venv`, with its own bucket."""
    scripts = stage.directory / ".venv" / "bin"
    scripts.mkdir(parents=True, exist_ok=True)
    for file in ("Makefile", "requirements-dev.txt", "pyproject.toml", "guardctl_command.py"):
        shutil.copy(PROJECT / file, stage.directory)
    for name in ("guardctl", "aws"):
        main = {"guardctl": "from guardctl.__main__ import main", "aws": "from awscli.clidriver import main"}[name]
        program = f"import sys; {main}; sys.exit(main())"  # -c has the current folder on its path
        (scripts / name).write_text(f'#!/bin/sh\nexec {python()} -c "{program}" "$@"\n', encoding="utf-8")
        (scripts / name).chmod(0o755)
    (scripts / ".ready").touch()
    environment = stage.emulator.environment()
    return subprocess.run(
        ["bash", "-euc", script],
        cwd=stage.directory,
        env={**environment, "PATH": f"{scripts}{os.pathsep}{environment['PATH']}", "BUCKET": BUCKET},
        capture_output=True,
        text=True,
        check=False,
    )


pytestmark = [pytest.mark.together("pipeline"), pytest.mark.long]


@pytest.fixture(scope="module")
def deployed(emulator: Emulator) -> Iterator[LocalStage]:
    """Stage dev of 250 jobs with every alarm, deployed by the README's commands."""
    emulator.client("s3").create_bucket(Bucket=BUCKET)
    with local_stage(emulator, name="dev", jobs=crowd(249) + FIRST) as stage:
        done = pipeline(stage, commands("README.md"))
        assert done.returncode == 0, done.stdout + done.stderr
        assert "Successfully created/updated stack - batch-guard-dev" in done.stdout
        stage.ecs.create_cluster(clusterName="batch")
        container = {"name": "app", "image": "batch", "command": ["bin/first"]}
        stage.ecs.register_task_definition(family="first", containerDefinitions=[container])  # type: ignore[list-item]
        yield stage


def test_a_stack_of_the_pipeline_has_the_functions_and_nests_the_rest_and_a_start_runs(deployed: LocalStage) -> None:
    found = what_is_there(deployed)
    assert sorted(found["functions"]) == ["batch-guard-dev-check", "batch-guard-dev-trigger"]
    assert len(found["machines"]) == 251
    assert found["stacks"].pop("batch-guard-dev") == "CREATE_COMPLETE"
    nested = {name.split("-")[3] for name in found["stacks"]}
    assert nested == {"Machines", "Records", "Alarms", "AlarmsSkips", "AlarmsLate"}
    rules = deployed.emulator.client("events").list_rules()["Rules"]
    assert "cron(* * * * ? *)" in [rule.get("ScheduleExpression") for rule in rules]
    assert_a_start_runs(deployed)


def test_the_same_commands_again_find_no_change_and_do_not_fail(deployed: LocalStage) -> None:
    again = pipeline(deployed, commands("README.md"))
    assert again.returncode == 0, again.stderr
    assert "No changes to deploy" in again.stdout + again.stderr


def test_what_the_pipeline_sends_is_within_cloudformations_sizes(deployed: LocalStage) -> None:
    """The root is sent inline, after the CLI has indented it by four; the nested ones as the CLI writes them to S3."""
    packaged = deployed.directory / "build" / "packaged.json"
    assert packaged.read_text(encoding="utf-8").startswith('{\n    "')
    assert packaged.stat().st_size <= template.INLINE_LIMIT
    listed = deployed.emulator.client("s3").list_objects_v2(Bucket=BUCKET)["Contents"]
    sizes = [item["Size"] for item in listed if item["Key"].endswith(".template")]
    assert len(sizes) == 5
    assert max(sizes) <= template.S3_LIMIT


def test_destroy_leaves_a_pipelines_stage_to_the_pipeline(deployed: LocalStage) -> None:
    refused = deployed.command("guardctl", "destroy", "--stage", "dev", "--yes", code=2)
    assert "was deployed by a pipeline, as the stack batch-guard-dev" in refused.stderr


def test_the_zip_is_small_and_has_only_what_the_functions_need(deployed: LocalStage) -> None:
    archive: Path = deployed.directory / "build" / "deployment.zip"
    assert archive.stat().st_size < 2_000_000
    with zipfile.ZipFile(archive) as content:
        names = content.namelist()
    top = {name.partition("/")[0] for name in names}
    assert {"app.py", "chalicelib", "cronsim", "tzdata"} <= top
    assert not top & {
        "boto3",
        "botocore",
        "s3transfer",
        "guardctl",
        "tests",
        "lab",
        "docs",
        "typer",
        "rich",
        "holidays",
    }
    assert "chalicelib/calendars/JP.txt" in names
    assert {name for name in names if name.startswith("chalicelib/jobs/") and not name.endswith("/")} == {
        f"chalicelib/jobs/{stage}.toml" for stage in ("dev", "local")
    }
    assert {f"chalicelib/machines/{machine}.asl.json" for machine in ("guard", "batch")} <= set(names)


def test_the_package_names_the_functions_and_orders_what_it_nests(deployed: LocalStage) -> None:
    resources = json.loads((deployed.directory / "build" / "sam.json").read_text(encoding="utf-8"))["Resources"]
    names = [resources[logical]["Properties"]["FunctionName"] for logical in ("Check", "Trigger")]
    assert names == ["batch-guard-dev-check", "batch-guard-dev-trigger"]
    assert resources["Machines"]["DependsOn"] == ["Check", "Trigger"]
    assert all(resources[logical]["DependsOn"] == ["Machines"] for logical in ("Records", "Alarms"))
    assert all(
        re.fullmatch(r"[a-z-]+\.json", resources[n]["Properties"]["TemplateURL"]) for n in ("Machines", "Alarms")
    )


def drift(stage: LocalStage) -> list[str]:
    """What status says about the stage as a whole."""
    said = stage.command("guardctl", "status", "first", "--stage", "dev").stderr
    return [line.removeprefix("drift: ") for line in said.splitlines() if line.startswith("drift: ")]


def named(stage: LocalStage) -> list[str]:
    """The names of the stacks, rules and roles of the stage."""
    stacks = stage.emulator.client("cloudformation").list_stacks()["StackSummaries"]
    rules = stage.emulator.client("events").list_rules()["Rules"]
    roles = stage.emulator.client("iam").list_roles()["Roles"]
    names = [s["StackName"] for s in stacks] + [r["Name"] for r in rules] + [r["RoleName"] for r in roles]
    return sorted(name for name in names if name.startswith("batch-guard-dev"))


def test_guardctl_leaves_a_pipelines_stage_to_the_pipeline(deployed: LocalStage) -> None:
    before = named(deployed)
    refused = deployed.command("guardctl", "deploy", "--stage", "dev", code=2)
    assert "nothing was changed: stage dev was deployed by a pipeline" in refused.stderr
    assert named(deployed) == before


def test_status_sees_chalice_take_a_pipelines_functions_over_and_the_page_gives_them_back(deployed: LocalStage) -> None:
    before = named(deployed)
    deployed.chalice("deploy", "--stage", "dev")
    assert [line for line in drift(deployed) if "chalice deploy has taken the functions over" in line]
    script = next(text for section in read("docs/plain-chalice.md") for _, text in section.blocks)
    done = pipeline(deployed, script)
    assert done.returncode == 0, done.stderr
    assert (drift(deployed), named(deployed)) == ([], before)


def test_status_sees_a_pipelines_stack_beside_guardctls(deployed: LocalStage) -> None:
    deployed.emulator.client("cloudformation").create_stack(
        StackName="batch-guard-dev-machines",
        TemplateBody='{"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}',
    )
    assert [line for line in drift(deployed) if "it is deployed in two ways" in line]
