"""What guardctl makes of a jobs file: the template of the state machines, their roles, the functions' policies."""

import dataclasses
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.config.jobs import Alerts, Ecs, Job, JobsFile, load
from guardctl import deploy, template
from guardctl.cloudformation import logical_id
from guardctl.errors import Stop
from guardctl.stage import PROJECT, Stage
from lab.emulator import Emulator
from lab.stage import local_stage

SHIPPED = sorted(file.stem for file in (PROJECT / "chalicelib" / "jobs").glob("*.toml"))
EVERY_KEY = Path(__file__).with_name("every_key.toml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def every_key(tmp_path_factory: pytest.TempPathFactory) -> JobsFile:
    """A jobs file that uses every key, as stage "every"."""
    return jobs_file(tmp_path_factory.mktemp("jobs"), "every", EVERY_KEY)


@pytest.fixture(params=[*SHIPPED, "every"])
def jobs(request: pytest.FixtureRequest, every_key: JobsFile) -> JobsFile:
    """Each shipped jobs file, and the one that uses every key."""
    return every_key if request.param == "every" else load(request.param)


def jobs_file(directory: Path, stage: str, text: str) -> JobsFile:
    """The jobs file of a stage with this text."""
    (directory / f"{stage}.toml").write_text(text, encoding="utf-8")
    return load(stage, directory)


def lint(*templates: Path) -> None:
    """No error and no warning of cfn-lint about any of them.

    It knows no substitution in a DefinitionString, and wants ARNs there: the partition is filled in for it.
    """
    for file in templates:
        file.write_text(file.read_text(encoding="utf-8").replace("${Partition}", "aws"), encoding="utf-8")
    linter = "import sys; from cfnlint.runner import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", linter, *map(str, templates)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def statements(resource: dict[str, Any]) -> list[dict[str, Any]]:
    """The statements of a role's inline policies."""
    policies = resource["Properties"]["Policies"]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def named(resource: Any) -> str:
    """What a statement's resource names, without partition, Region and account."""
    text = resource["Fn::Sub"] if isinstance(resource, dict) else resource
    return str(text).replace("arn:${AWS::Partition}:", "").replace("${AWS::Region}:${AWS::AccountId}:", "")


def granted(resource: dict[str, Any]) -> dict[str, set[str]]:
    """Action → what a role may do it to."""
    found: dict[str, set[str]] = {}
    for statement in statements(resource):
        for action in statement["Action"]:
            found.setdefault(action, set()).update(map(named, statement["Resource"]))
    return found


def all_policies(jobs: JobsFile) -> Iterator[tuple[str, dict[str, Any]]]:
    """Whose it is, and the statement, for every role and function."""
    for logical, resource in template.machines(jobs).items():
        if resource["Type"] == "AWS::IAM::Role":
            yield from ((logical, statement) for statement in statements(resource))
    for function, policy in (("check", template.check_policy(jobs)), ("trigger", template.trigger_policy(jobs))):
        yield from ((function, statement) for statement in policy["Statement"])


def test_the_jobs_file_of_this_test_uses_every_key() -> None:
    raw = tomllib.loads(EVERY_KEY)
    used_of_ecs = {key for job in raw["jobs"].values() for key in job["ecs"]}
    used_of_jobs = {key for job in raw["jobs"].values() for key in job}
    assert used_of_ecs == {f.name for f in dataclasses.fields(Ecs)}
    assert used_of_jobs == {f.name for f in dataclasses.fields(Job)} - {"name", "schedules"} | {"schedule"}
    assert set(raw["stage"]) == {f.name for f in dataclasses.fields(JobsFile)} - {"stage", "jobs", "alerts"}
    assert set(raw["alerts"]) == {f.name for f in dataclasses.fields(Alerts)}


def test_the_linter_has_nothing_to_say_about_any_template(tmp_path: Path, every_key: JobsFile) -> None:
    files = []
    for jobs in (*map(load, SHIPPED), every_key):
        files.append(tmp_path / f"{jobs.stage}.json")
        files[-1].write_text(template.render(template.template(jobs)), encoding="utf-8")
    lint(*files)


@pytest.mark.parametrize("stage", SHIPPED)
def test_the_linter_has_nothing_to_say_about_the_packaged_template(emulator: Emulator, stage: str) -> None:
    with local_stage(emulator, name=stage) as copy:
        copy.command("guardctl", "package", "--stage", stage, "build")
        lint(copy.directory / "build" / "sam.json")


MACHINE = "AWS::StepFunctions::StateMachine"


def machines(resources: dict[str, Any]) -> dict[str, Any]:
    """The state machines among the resources."""
    return {logical: resource for logical, resource in resources.items() if resource.get("Type") == MACHINE}


def test_all_batch_machines_have_the_one_definition_of_the_template(jobs: JobsFile) -> None:
    for whole in (template.template(jobs), template.sam_extension(jobs)):
        text = whole["Mappings"]["Definitions"]["Batch"]["Text"]
        assert json.loads(text) == template.definition("batch")
        found = machines(whole["Resources"])
        guard = found.pop("GuardMachine")["Properties"]["DefinitionString"]
        assert json.loads(guard) == template.definition("guard")
        definitions = [machine["Properties"]["DefinitionString"] for machine in found.values()]
        assert definitions == [{"Fn::FindInMap": ["Definitions", "Batch", "Text"]}] * len(jobs.jobs)


def test_what_a_definition_leaves_open_is_filled_in(jobs: JobsFile) -> None:
    for name, machine in machines(template.machines(jobs)).items():
        text = template.render(template.definition("guard" if name == "GuardMachine" else "batch"))
        open_ = set(re.findall(r"\$\{(\w+)\}", text))
        assert open_ == machine["Properties"]["DefinitionSubstitutions"].keys() == {"CheckFunctionArn", "Partition"}
        assert "arn:aws:" not in text


def test_no_job_is_in_the_definition(every_key: JobsFile) -> None:
    text = template.render(template.definition("batch"))
    assert not [name for name in every_key.jobs if name in text]


def test_the_guard_comes_after_what_it_starts_and_the_functions_before_both(jobs: JobsFile) -> None:
    batches = {logical_id(job, "Batch") for job in jobs.jobs}
    alone = machines(template.machines(jobs))
    assert alone.keys() == {"GuardMachine", *batches}
    assert set(alone["GuardMachine"]["DependsOn"]) == batches
    packaged = machines(template.sam_extension(jobs)["Resources"])
    assert all({"Check", "Trigger"} <= set(machine["DependsOn"]) for machine in packaged.values())
    assert batches <= set(packaged["GuardMachine"]["DependsOn"])


def test_every_resource_has_an_id_and_every_role_a_machine(jobs: JobsFile) -> None:
    resources = template.machines(jobs)
    roles = {logical for logical, resource in resources.items() if resource["Type"] == "AWS::IAM::Role"}
    assert all(logical.isalnum() and len(logical) <= 255 for logical in resources)
    used = [machine["Properties"]["RoleArn"]["Fn::GetAtt"][0] for machine in machines(resources).values()]
    assert len(used) == len(jobs.jobs) + 1
    assert set(used) == roles


def role_of(resources: dict[str, Any], job: str) -> dict[str, Any]:
    """The role of a job's batch machine."""
    role: dict[str, Any] = resources[resources[logical_id(job, "Batch")]["Properties"]["RoleArn"]["Fn::GetAtt"][0]]
    return role


def test_only_jobs_with_one_cluster_and_the_same_passed_roles_share_a_role(every_key: JobsFile) -> None:
    resources = template.machines(every_key)
    fargate, spot, first, second = (
        json.dumps(role_of(resources, job), sort_keys=True)
        for job in ("fargate", "spot", "on-instances", "on-instances-2")
    )
    assert spot == first == second
    assert fargate != spot


def test_a_task_runs_only_on_the_cluster_where_it_is_looked_for(jobs: JobsFile) -> None:
    resources = template.machines(jobs)
    for job in jobs.jobs.values():
        (running,) = [s for s in statements(role_of(resources, job.name)) if s["Action"] == ["ecs:RunTask"]]
        (arn,) = running["Condition"]["ArnEquals"].values()
        assert running["Condition"].keys() == {"ArnEquals"}
        assert running["Condition"]["ArnEquals"].keys() == {"ecs:cluster"}
        assert named(arn) == f"ecs:cluster/{job.ecs.cluster_name}"
        assert f"ecs:task-definition/{job.ecs.family}:*" in map(named, running["Resource"])


def test_many_families_are_spread_over_roles_that_iam_takes(tmp_path: Path) -> None:
    resources = template.machines(jobs_file(tmp_path, "many", many_jobs(130)))
    roles = {logical: resource for logical, resource in resources.items() if resource["Type"] == "AWS::IAM::Role"}
    assert len(roles) == 4, "three for 130 families, and the guard's"
    for role in roles.values():
        policies = json.dumps(role["Properties"]["Policies"], separators=(",", ":"))
        assert len(re.sub(r"\s", "", policies)) <= 10_240, "all inline policies of a role (AWS, IAM quotas)"


JOB_NAMES = st.lists(st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*", fullmatch=True), min_size=1, max_size=6, unique=True)


@given(JOB_NAMES)
def test_no_two_jobs_share_a_logical_id(names: list[str]) -> None:
    ecs = Ecs(cluster="c", task_definition="t", container="app")
    jobs = JobsFile(stage="dev", jobs={name: Job(name=name, ecs=ecs) for name in names})
    assert len(template.machines(jobs)) == 3 + len(names), (
        "the guard, its role, a role for all of them, and each machine"
    )


def test_a_role_is_only_for_step_functions_of_this_account(jobs: JobsFile) -> None:
    for resource in template.machines(jobs).values():
        if resource["Type"] == "AWS::IAM::Role":
            (trust,) = resource["Properties"]["AssumeRolePolicyDocument"]["Statement"]
            assert trust["Principal"] == {"Service": "states.amazonaws.com"}
            assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_every_action_is_spelt_out_and_a_star_says_why(jobs: JobsFile) -> None:
    for whose, statement in all_policies(jobs):
        assert not [a for a in statement["Action"] if "*" in a], whose
        if "*" in statement["Resource"]:
            assert len(statement.get("Sid", "")) > 10, (whose, statement)
        named_services = {
            named(r).removeprefix("arn:aws:").removeprefix("arn:*:").split(":")[0] for r in statement["Resource"]
        } - {"*"}
        assert named_services <= {a.split(":")[0] for a in statement["Action"]} | {"ecs"}, (whose, statement)


def test_no_statement_reaches_another_stage(every_key: JobsFile) -> None:
    """Stage names have no hyphen, so ``batch-guard-every-*`` is never another stage's."""
    for whose, statement in all_policies(every_key):
        for resource in map(named, statement["Resource"]):
            if "batch-guard" in resource:
                name = resource.partition("batch-guard")[2][1:]
                assert name == "every" or name.startswith(("every-", "every:", "every/")), (whose, resource)


def test_a_batch_role_may_run_its_families_on_its_cluster_and_pass_its_roles(every_key: JobsFile) -> None:
    resources = template.machines(every_key)
    fargate, spot = granted(role_of(resources, "fargate")), granted(role_of(resources, "spot"))
    assert fargate["ecs:RunTask"] == {"ecs:task-definition/report:*"}
    assert spot["ecs:RunTask"] == {"ecs:task-definition/import:*", "ecs:task-definition/sweep:*"}
    assert fargate["ecs:StopTask"] == fargate["ecs:DescribeTasks"] == {"ecs:task/batch/*"}
    assert spot["ecs:StopTask"] == {"ecs:task/shared/*"}
    assert fargate["iam:PassRole"] == {
        f"arn:aws:iam::123456789012:role/{role}" for role in ("report-task", "report-execution", "in-the-definition")
    }
    assert "iam:PassRole" not in spot
    (passing,) = [s for s in statements(role_of(resources, "fargate")) if s["Action"] == ["iam:PassRole"]]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}


def test_every_machine_may_invoke_the_checker_of_its_stage_and_no_other_function(jobs: JobsFile) -> None:
    for resource in template.machines(jobs).values():
        if resource["Type"] == "AWS::IAM::Role":
            assert granted(resource)["lambda:InvokeFunction"] == {f"lambda:function:batch-guard-{jobs.stage}-check"}


def test_only_a_guard_and_the_trigger_may_start_executions(jobs: JobsFile) -> None:
    starting = {whose for whose, statement in all_policies(jobs) if "states:StartExecution" in statement["Action"]}
    assert starting == {"GuardMachineRole", "trigger"}


@pytest.mark.parametrize("stage", SHIPPED)
def test_the_committed_policies_are_what_guardctl_writes(stage: str) -> None:
    for name, policy in deploy.policies(Stage(stage)).items():
        committed = (PROJECT / ".chalice" / name).read_text(encoding="utf-8")
        assert committed == template.render(policy) + "\n", f"run guardctl deploy --stage {stage} and commit {name}"


@pytest.mark.parametrize("stage", SHIPPED)
def test_chalice_gives_each_function_the_policy_that_guardctl_writes(stage: str) -> None:
    config = json.loads((PROJECT / ".chalice" / "config.json").read_text(encoding="utf-8"))
    functions = config["stages"][stage]["lambda_functions"]
    assert sorted(f["iam_policy_file"] for f in functions.values()) == sorted(deploy.policies(Stage(stage)))
    assert config["autogen_policy"] is False


def many_jobs(count: int) -> str:
    """A jobs file of that many jobs."""
    shared = '[defaults.ecs]\ncluster = "batch"\ncontainer = "app"\nlaunch_type = "EC2"\n'
    return shared + "".join(
        f'[jobs.job-{n:03d}]\necs = {{ task_definition = "family-{n:03d}" }}\n' for n in range(count)
    )


@pytest.mark.parametrize(
    ("jobs_count", "bucket", "refusal"),
    [
        pytest.param(2, None, None, id="two jobs are sent inline"),
        pytest.param(50, None, "takes 51,200 inline: name an S3 bucket of yours with --bucket", id="fifty need a bucket"),
        pytest.param(50, "b", None, id="and fit in it"),
        pytest.param(500, "b", "takes 500 at most: spread the jobs over two stages", id="five hundred are too many resources"),
    ],
)  # fmt: skip
def test_a_template_that_cloudformation_would_not_take_is_refused(
    tmp_path: Path, jobs_count: int, bucket: str | None, refusal: str | None
) -> None:
    jobs = jobs_file(tmp_path, "many", many_jobs(jobs_count))
    if refusal is None:
        assert deploy.body(jobs, bucket)
    else:
        with pytest.raises(Stop, match=refusal):
            deploy.body(jobs, bucket)
