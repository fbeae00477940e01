"""What guardctl makes of a jobs file: the template of the state machines, their roles, the functions' policies."""

import dataclasses
import json
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.config.jobs import Alerts, Ecs, Job, JobsFile, load
from guardctl import project, template
from guardctl.stage import PROJECT, Stage
from lab.emulator import Emulator
from tests.support import lint, local_stage

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
    assert used_of_jobs == {f.name for f in dataclasses.fields(Job)} - {"name", "schedules"} | {
        "schedule",
        "start",
        "end",
        "on_holiday",
        "business_day",
    }
    not_of_stage = {"stage", "jobs", "alerts", "slots", "timezone"}
    assert set(raw["stage"]) == {f.name for f in dataclasses.fields(JobsFile)} - not_of_stage
    assert {key for pool in raw["pools"].values() for key in pool} == {"slots"}
    assert {key for calendar in raw["calendars"].values() for key in calendar} == {
        "holidays",
        "weekend",
        "also",
        "except",
    }
    assert set(raw["alerts"]) == {f.name for f in dataclasses.fields(Alerts)}


def test_the_linter_has_nothing_to_say_about_any_template(tmp_path: Path, every_key: JobsFile) -> None:
    files = []
    for jobs in (*map(load, SHIPPED), every_key):
        for part, document in template.stacks(jobs).items():
            files.append(tmp_path / f"{jobs.stage}-{part}.json")
            files[-1].write_text(template.render(document), encoding="utf-8")
    lint(*files)


def test_the_linter_has_nothing_to_say_about_the_packaged_templates(emulator: Emulator, tmp_path: Path) -> None:
    packaged: list[Path] = []
    for stage in SHIPPED:
        with local_stage(emulator, name=stage) as copy:
            copy.command("guardctl", "package", "--stage", stage, "build")
            packaged.append(tmp_path / f"{stage}.json")
            shutil.copy(copy.directory / "build" / "sam.json", packaged[-1])
    lint(*packaged)


def test_every_resource_has_an_id_and_every_role_a_machine(jobs: JobsFile) -> None:
    resources = template.machines(jobs)
    machines = {k: v for k, v in resources.items() if v["Type"] == "AWS::StepFunctions::StateMachine"}
    roles = {logical for logical, resource in resources.items() if resource["Type"] == "AWS::IAM::Role"}
    waits = any(map(jobs.shared, jobs.pools))
    own = 1 + waits + jobs.tells_something
    assert len(machines) == own + sum(map(jobs.slots_of, jobs.pools)), "the guard, who waits, who tells, one a slot"
    assert all(logical.isalnum() and len(logical) <= 255 for logical in resources)
    used = [machine["Properties"]["RoleArn"]["Fn::GetAtt"][0] for machine in machines.values()]
    assert set(used) == roles


WORDS = st.lists(st.text("ab1", min_size=1, max_size=3), min_size=1, max_size=3)
JOB_NAMES = st.lists(WORDS.map(lambda words: "a" + "-".join(words)), min_size=1, max_size=6, unique=True)


@given(JOB_NAMES)
def test_no_two_jobs_share_a_logical_id(names: list[str]) -> None:
    ecs = Ecs(cluster="c", task_definition="t", container="app")
    jobs = JobsFile(stage="dev", jobs={name: Job(name=name, pool=name, ecs=ecs) for name in names})
    assert len(template.machines(jobs)) == 3 + len(names), "the guard, its role, the role that all share"


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
            assert "Takes" in statement.get("Sid", "") or statement["Sid"].startswith("Reads"), (whose, statement)
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


def test_a_batch_role_may_run_its_family_on_its_cluster_and_pass_its_roles(every_key: JobsFile) -> None:
    machines = template.machines(every_key)
    roles = {name: machines[f"{name}Batch"]["Properties"]["RoleArn"]["Fn::GetAtt"][0] for name in ("fargate", "spot")}
    fargate, spot = granted(machines[roles["fargate"]]), granted(machines[roles["spot"]])
    assert fargate["ecs:RunTask"] == {"ecs:task-definition/report:*"}
    assert spot["ecs:RunTask"] == {"ecs:task-definition/import:*", "ecs:task-definition/sweep:*"}, "sweep shares it"
    assert fargate["ecs:StopTask"] == fargate["ecs:DescribeTasks"] == {"ecs:task/batch/*"}
    assert spot["ecs:StopTask"] == {"ecs:task/shared/*"}
    assert fargate["iam:PassRole"] == {
        f"arn:aws:iam::123456789012:role/{role}" for role in ("report-task", "report-execution", "in-the-definition")
    }
    assert "iam:PassRole" not in spot
    (passing,) = [s for s in statements(machines[roles["fargate"]]) if s["Action"] == ["iam:PassRole"]]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}


def test_every_machine_may_invoke_the_checker_of_its_stage_and_no_other_function(jobs: JobsFile) -> None:
    for logical, resource in template.machines(jobs).items():
        if resource["Type"] == "AWS::IAM::Role" and logical != "TellingMachineRole":
            assert granted(resource)["lambda:InvokeFunction"] == {f"lambda:function:batch-guard-{jobs.stage}-check"}


def test_only_a_guard_and_the_trigger_may_start_executions_and_a_run_one_that_tells(jobs: JobsFile) -> None:
    may = [(whose, each) for whose, each in all_policies(jobs) if "states:StartExecution" in each["Action"]]
    telling = {f"batch-guard-{jobs.stage}--telling"}
    only_tells = {whose for whose, each in may if {named(r).rpartition(":")[2] for r in each["Resource"]} == telling}
    others = {whose for whose, each in may if {named(r).rpartition(":")[2] for r in each["Resource"]} != telling}
    assert others == {"GuardMachineRole", "trigger"}
    assert bool(only_tells) == jobs.tells_something
    assert all(whose == "trigger" or whose.startswith("BatchRole") for whose in only_tells)


@pytest.mark.parametrize("stage", SHIPPED)
def test_the_committed_policies_are_what_guardctl_writes(stage: str) -> None:
    for name, policy in project.policies(Stage(stage)).items():
        committed = (PROJECT / ".chalice" / name).read_text(encoding="utf-8")
        assert committed == template.render(policy) + "\n", f"run guardctl deploy --stage {stage} and commit {name}"


@pytest.mark.parametrize("stage", SHIPPED)
def test_chalice_gives_each_function_the_policy_that_guardctl_writes(stage: str) -> None:
    config = json.loads((PROJECT / ".chalice" / "config.json").read_text(encoding="utf-8"))
    functions = config["stages"][stage]["lambda_functions"]
    assert sorted(f["iam_policy_file"] for f in functions.values()) == sorted(project.policies(Stage(stage)))
    assert config["autogen_policy"] is False
