"""An account whose policy demands tags and a boundary can have the stage, and a job's RunTask members reach ECS."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab.emulator import Emulator
from lab.stage import LocalStage
from tests.emulator.test_deployment import edit
from tests.support import lint, local_stage

BOUNDARY = "arn:aws:iam::000000000000:policy/boundary"
STAGE = f"""
[stage]
tags = {{ team = "data" }}
permissions_boundary = "{BOUNDARY}"
log_retention_days = 30
machine_logging = "ERROR"
machine_tracing = true
"""
JOBS = """
[defaults.ecs]
cluster = "batch"
container = "app"
launch_type = "EC2"

[jobs.first]
schedule = "cron(0 3 1 1 ? *)"

[jobs.first.ecs]
task_definition = "first"

[jobs.first.ecs.run_task]
group = "nightly"
tags = [{ key = "team", value = "data" }]
overrides = { containerOverrides = [{ name = "sidecar", command = ["collect"] }, { name = "app", memory = 512 }] }
"""
NAME = "wide"
TAG = {"Key": "team", "Value": "data"}


pytestmark = pytest.mark.together("stagewide")


@pytest.fixture(scope="module")
def wide(emulator: Emulator) -> Iterator[LocalStage]:
    """A stage with every key of [stage], packaged and deployed; the last test removes it."""
    with local_stage(emulator, name=NAME, jobs=STAGE + JOBS) as stage:
        stage.command("guardctl", "package", "--stage", NAME, "build")
        stage.command("guardctl", "deploy", "--stage", NAME)
        stage.ecs.create_cluster(clusterName="batch")
        containers: Any = [{"name": name, "image": "batch", "command": [name]} for name in ("app", "sidecar")]
        stage.ecs.register_task_definition(family="first", containerDefinitions=containers)
        yield stage


def roles(stage: LocalStage) -> dict[str, Any]:
    """Function → its role."""
    iam, found = stage.emulator.client("iam"), {}
    for function in ("check", "trigger"):
        configuration = stage.functions.get_function_configuration(FunctionName=f"batch-guard-{NAME}-{function}")
        found[function] = iam.get_role(RoleName=configuration["Role"].rpartition("/")[2])["Role"]
    return found


def log_groups(stage: LocalStage) -> dict[str, int | None]:
    """The stage's log groups, and for how many days they keep."""
    groups = stage.emulator.client("logs").describe_log_groups()["logGroups"]
    return {g["logGroupName"]: g.get("retentionInDays") for g in groups if f"batch-guard-{NAME}" in g["logGroupName"]}


def test_every_role_is_bounded_and_tagged_also_those_of_chalices_functions(wide: LocalStage) -> None:
    iam = wide.emulator.client("iam")
    names = [role["RoleName"] for role in iam.list_roles()["Roles"] if f"batch-guard-{NAME}" in role["RoleName"]]
    assert {f"batch-guard-{NAME}-{function}-role" for function in ("check", "trigger")} < set(names)
    for name in names:
        assert TAG in iam.get_role(RoleName=name)["Role"]["Tags"], name
    cloudformation = wide.emulator.client("cloudformation")
    bounded = []  # the emulator keeps no boundary of a role that a template makes, so what was sent is read
    for part in ("functions", "machines"):
        body: Any = cloudformation.get_template(StackName=f"batch-guard-{NAME}-{part}")["TemplateBody"]
        resources = (body if isinstance(body, dict) else json.loads(body))["Resources"].values()
        bounded += [r["Properties"] for r in resources if r["Type"] == "AWS::IAM::Role"]
    assert len(bounded) == len(names)
    assert all(role["PermissionsBoundary"] == BOUNDARY for role in bounded)
    assert [role["RoleName"] for role in roles(wide).values()] == sorted(n for n in names if n.endswith("-role"))


def test_functions_and_stacks_are_tagged_and_logs_are_kept_for_so_long(wide: LocalStage) -> None:
    function = wide.functions.get_function(FunctionName=f"batch-guard-{NAME}-check")
    assert function["Tags"]["team"] == "data"
    stacks = wide.emulator.client("cloudformation").describe_stacks()["Stacks"]
    mine = {s["StackName"]: s["Tags"] for s in stacks if s["StackName"].startswith(f"batch-guard-{NAME}")}
    assert mine.keys() == {f"batch-guard-{NAME}-{part}" for part in ("functions", "machines", "records")}
    assert all(tags == [TAG] for tags in mine.values())
    assert log_groups(wide) == {
        f"/aws/lambda/batch-guard-{NAME}-check": 30,
        f"/aws/lambda/batch-guard-{NAME}-trigger": 30,
        f"/aws/vendedlogs/states/batch-guard-{NAME}": 30,
    }


def test_a_run_gives_ecs_what_the_job_says_under_run_tasks_own_names(wide: LocalStage) -> None:
    guard = wide.ended(wide.start("first"))
    assert json.loads(guard["output"])["run"] == "run-000001"
    task = wide.describe_task("first", wide.a_task("first"))
    wide.finish("first")
    assert task["group"] == "nightly"
    own, sidecar = task["overrides"]["containerOverrides"]
    assert (own["name"], own["memory"]) == ("app", 512)
    assert "BATCH_EXECUTION" in {variable["name"] for variable in own["environment"]}
    assert (sidecar["name"], sidecar["command"]) == ("sidecar", ["collect"])
    assert wide.runs("first")[-1]["status"] == "SUCCEEDED"


def test_a_pipelines_template_has_the_same_on_everything(wide: LocalStage) -> None:
    build = wide.directory / "build"
    document = json.loads((build / "sam.json").read_text(encoding="utf-8"))["Resources"]
    for logical in ("Check", "Trigger"):
        assert document[logical]["Properties"]["Role"] == {"Fn::GetAtt": [f"{logical}Role", "Arn"]}
        assert document[f"{logical}Role"]["Properties"]["PermissionsBoundary"] == BOUNDARY
        assert document[f"{logical}LogGroup"]["Properties"]["RetentionInDays"] == 30
    assert not (build / "functions.json").exists()
    lint(build / "sam.json")


def test_what_was_written_is_what_the_jobs_file_asks_for_and_plain_chalice_keeps_the_roles(wide: LocalStage) -> None:
    assert "warning" not in wide.command("guardctl", "validate", "--stage", NAME).stderr
    before = roles(wide)
    wide.chalice("deploy", "--stage", NAME)
    assert roles(wide) == before


def test_taken_out_again_chalice_makes_the_roles_and_destroy_takes_the_logs_along(wide: LocalStage) -> None:
    edit(wide, "[stage]\nlog_retention_days = 7\n" + JOBS)
    said = wide.command("guardctl", "deploy", "--stage", NAME).stdout
    assert f"removed the stack batch-guard-{NAME}-functions" in said
    assert [role["RoleName"] for role in roles(wide).values()] == [
        f"batch-guard-{NAME}-{f}" for f in ("check", "trigger")
    ]
    assert set(log_groups(wide).values()) == {7}
    assert_no_trace_of_tags(wide)
    wide.command("guardctl", "destroy", "--stage", NAME, "--yes")
    assert log_groups(wide) == {}


def assert_no_trace_of_tags(stage: LocalStage) -> None:
    """The block has neither tags nor roles any more."""
    block = json.loads((stage.directory / ".chalice" / "config.json").read_text(encoding="utf-8"))["stages"][NAME]
    assert block.keys() == {"environment_variables", "lambda_functions", "log_retention_in_days", "from_jobs_file"}
    assert "iam_role_arn" not in block["lambda_functions"]["check"]
