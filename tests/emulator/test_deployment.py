"""Both ways to deploy, on the emulator, with the commands that a person types."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lab.emulator import Emulator
from lab.stage import CommandFailed, LocalStage
from tests.support import local_stage

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
together = pytest.mark.together("deployed")
"""For those that use `deployed`: on one worker, which deploys it."""
CREATED = [
    "the guard machine",
    "the guard machine's role",
    "first: the state machine of its runs",
    "second: the state machine of its runs",
    "first: the record of its schedule",
]


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
    assert all(f"  Add      {what}\n" in shown for what in CREATED), shown
    assert shown.endswith("dry run: nothing was changed\n")


@together
def test_a_dry_run_of_a_change_shows_the_change_and_changes_nothing(deployed: LocalStage) -> None:
    edit(deployed, JOBS + THIRD)
    before = what_is_there(deployed)
    shown = deployed.command("guardctl", "deploy", "--stage", deployed.name, "--dry-run").stdout
    assert what_is_there(deployed) == before
    edit(deployed, JOBS)
    added, *others = [line.strip() for line in shown.splitlines() if line.startswith("  ")]
    assert added == "Add      third: the state machine of its runs"
    assert "Modify   first, second, third: the role of their runs" in others
    assert {line.split()[0] for line in others} == {"Modify"}


@together
def test_a_deployment_makes_the_machines_and_the_functions_and_a_start_runs(deployed: LocalStage) -> None:
    found = what_is_there(deployed)
    assert sorted(found["machines"]) == [
        "batch-guard-deployed",
        "batch-guard-deployed-first",
        "batch-guard-deployed-second",
    ]
    assert sorted(found["functions"]) == ["batch-guard-deployed-check", "batch-guard-deployed-trigger"]
    assert found["stacks"] == {
        "batch-guard-deployed-machines": "CREATE_COMPLETE",
        "batch-guard-deployed-records": "CREATE_COMPLETE",
    }
    assert len(found["rules"]) == 1
    assert_a_start_runs(deployed)


@together
def test_a_second_deployment_finds_no_change(deployed: LocalStage) -> None:
    before = what_is_there(deployed)
    shown = deployed.command("guardctl", "deploy", "--stage", deployed.name).stdout
    assert shown.startswith("state machines: no change\nfunctions:\n")
    assert "wrote .chalice" not in shown
    assert what_is_there(deployed) == before


@together
@pytest.mark.parametrize(
    ("jobs", "told"),
    [
        pytest.param(JOBS.replace("[jobs.second]", "[jobs.other]"), "new: other. If one of them is a removed job", id="renamed"),
        pytest.param(JOBS.partition("[jobs.second]")[0], "removed: second. The history of their runs goes with them", id="removed"),
    ],
)  # fmt: skip
def test_a_job_that_is_running_is_neither_removed_nor_renamed_unasked(
    deployed: LocalStage, jobs: str, told: str
) -> None:
    run = json.loads(deployed.ended(deployed.start("second"))["output"])["run"]
    before = what_is_there(deployed)
    edit(deployed, jobs)
    for dry in ((), ("--dry-run",)):
        refused = deployed.command("guardctl", "deploy", "--stage", deployed.name, *dry, code=2)
        assert f"nothing was changed: this would end {run} of batch-guard-deployed-second (run);" in refused.stderr
        assert told in refused.stdout
    edit(deployed, JOBS)
    assert what_is_there(deployed) == before
    assert deployed.runs("second")[-1]["status"] == "RUNNING"
    deployed.finish("second")


@together
def test_a_job_at_rest_may_be_removed(deployed: LocalStage) -> None:
    edit(deployed, JOBS.partition("[jobs.second]")[0])
    shown = deployed.command("guardctl", "deploy", "--stage", deployed.name, "--dry-run").stdout
    edit(deployed, JOBS)
    assert "Remove   second: the state machine of its runs\n" in shown


QUEUES = JOBS + THIRD + 'overlap = "queue"\ngrace = "1s"\n'


@pytest.fixture(scope="module")
def leaving(emulator: Emulator) -> Iterator[LocalStage]:
    """A stage of which first a job is removed and then the rest."""
    with local_stage(emulator, name="gone", jobs=QUEUES) as stage:
        stage.deploy()
        yield stage


def busy(stage: LocalStage, job: str) -> str:
    """The job has a run with a task; the task's ARN."""
    stage.ended(stage.start(job))
    return stage.a_task(job)


def ended_before(shown: str, how: str) -> list[str]:
    """The names that a command says it would end, in order."""
    return [line.partition(f"{how}: ")[2].split()[0] for line in shown.splitlines() if line.startswith(f"  {how}: ")]


def stopped(shown: str) -> list[str]:
    """What a command says it stopped, in order."""
    return [line.split()[1] for line in shown.splitlines() if line.startswith("stopped ")]


@pytest.mark.together("leaving")
def test_a_removed_jobs_waiter_run_and_task_are_stopped_first(leaving: LocalStage) -> None:
    task = busy(leaving, "third")
    assert json.loads(leaving.ended(leaving.start("third"))["output"])["outcome"] == "queued"
    edit(leaving, JOBS)
    done = leaving.command("guardctl", "deploy", "--stage", "gone", "--stop").stdout
    assert ended_before(done, "would be ended") == ["third-after-run-000001-1", "run-000001"]
    assert stopped(done) == ["third-after-run-000001-1", "run-000001"]
    described = leaving.ecs.describe_tasks(cluster="batch", tasks=[task])["tasks"][0]
    assert described["lastStatus"] == "STOPPED"
    assert sorted(what_is_there(leaving)["machines"]) == [
        "batch-guard-gone",
        "batch-guard-gone-first",
        "batch-guard-gone-second",
    ]


def test_a_bucket_that_does_not_exist_is_named(emulator: Emulator) -> None:
    with local_stage(emulator, name="nobucket", jobs=crowd(60)) as stage:
        refused = stage.command("guardctl", "deploy", "--stage", "nobucket", "--bucket", "no-such-bucket", code=3)
        assert "the bucket no-such-bucket can't be used: it does not exist" in refused.stderr
        assert in_the_account(what_is_there(stage)) == NOTHING


def crowd(count: int) -> str:
    """A jobs file of so many jobs, each with a family, a schedule and every alarm of its own."""
    quotas = "[stage]\nquotas = { ListExecutions = [1000, 1000] }\n"  # or the commands would keep to half of AWS's
    shared = quotas + JOBS.partition("[jobs.")[0] + '[alerts]\ntopic = "arn:aws:sns:us-east-1:000000000000:alerts"\n'
    return shared + "".join(
        f'[jobs.job-{n}]\nschedule = "cron(0 3 1 1 ? *)"\nwarn_after = "1d"\necs = {{ task_definition = "job-{n}" }}\n'
        for n in range(count)
    )


def test_a_stage_that_needs_a_bucket_asks_for_one_once_and_its_alarms_come_and_go(emulator: Emulator) -> None:
    """With 250 jobs: test_pipeline.py."""
    with local_stage(emulator, name="crowd", jobs=crowd(60)) as stage:
        before = what_is_there(stage)
        refused = stage.command("guardctl", "deploy", "--stage", "crowd", stdin="n\n", code=2)
        assert (
            "Make the bucket batch-guard-000000000000-us-east-1, for this and the next deployments?" in refused.stdout
        )
        assert "name one of yours with --bucket BUCKET, or say --make-bucket" in refused.stderr
        assert what_is_there(stage) == before
        stage.command("guardctl", "deploy", "--stage", "crowd", stdin="y\n")
        found = what_is_there(stage)
        assert len(found["machines"]) == 61
        alarms = (
            emulator.client("cloudwatch")
            .get_paginator("describe_alarms")
            .paginate(AlarmNamePrefix="batch-guard-crowd-")
        )
        assert sum(len(page["MetricAlarms"]) for page in alarms) == 5 + 3 * 60
        block = json.loads(found["files"]["config.json"])["stages"]["crowd"]
        assert block["template_bucket"] == "batch-guard-000000000000-us-east-1"
        # A colleague's clone, before the commit: the bucket is found by its name.
        with local_stage(emulator, name="crowd", jobs=crowd(60)) as clone:
            clone.command("guardctl", "deploy", "--stage", "crowd", "--dry-run")
        # Without alerts the stacks of the alarms go.
        edit(stage, crowd(60).replace("[alerts]\n", "#").replace("topic =", "# "))
        shown = stage.command("guardctl", "deploy", "--stage", "crowd").stdout
        assert shown.count("removed the stack batch-guard-crowd-alarms") == 3
        stage.command("guardctl", "destroy", "--stage", "crowd", "--yes")
        assert in_the_account(what_is_there(stage)) == NOTHING


@together
def test_functions_deployed_from_elsewhere_are_not_left_without_machines(deployed: LocalStage) -> None:
    """Chalice deletes only what its own record names, and says nothing when it has none."""
    before = what_is_there(deployed)
    with local_stage(deployed.emulator, name=deployed.name, jobs=JOBS) as elsewhere:
        refused = elsewhere.command("guardctl", "destroy", "--stage", deployed.name, "--yes", code=3)
    assert refused.stderr.startswith("batch-guard-deployed-check and batch-guard-deployed-trigger could not be removed")
    assert refused.stderr.endswith("if that is gone: guardctl deploy --stage deployed, then this again\n")
    assert in_the_account(what_is_there(deployed)) == in_the_account(before)


@pytest.mark.together("leaving")
def test_destroy_says_what_is_lost_then_stops_what_is_open_then_removes_everything(leaving: LocalStage) -> None:
    task = busy(leaving, "second")
    leaving.command("guardctl", "pause", "second", "--stage", leaving.name, "--reason", "rest")
    before = what_is_there(leaving)
    for answer in ("y\n", "\n", ""):
        refused = leaving.command("guardctl", "destroy", "--stage", "gone", stdin=answer, code=1)
        assert ended_before(refused.stdout, "ended before") == ["paused-000001", "run-000001"]
        assert "  guardctl run second --first --after 1 --stage gone\n" in refused.stdout
        assert "with the history of all its runs. Type gone to go on: " in refused.stdout
        assert refused.stderr.endswith("nothing was removed\n")
        assert what_is_there(leaving) == before
    done = leaving.command("guardctl", "destroy", "--stage", "gone", stdin="gone\n")
    assert stopped(done.stdout) == ["paused-000001", "run-000001"]
    assert leaving.ecs.describe_tasks(cluster="batch", tasks=[task])["tasks"][0]["lastStatus"] == "STOPPED"
    assert in_the_account(what_is_there(leaving)) == NOTHING
    again = leaving.command("guardctl", "destroy", "--stage", "gone", "--yes")
    assert again.stdout == "there is nothing of stage gone to remove\n"


def test_a_destroy_that_was_interrupted_is_finished_by_the_next(emulator: Emulator) -> None:
    """The run was stopped, its task is still alive, and the functions are gone; the jobs file has a fault by now."""
    with local_stage(emulator, name="halfway", jobs=JOBS) as stage:
        stage.deploy()
        stage.ended(stage.start("second"))
        task = stage.a_task("second")
        stage.chalice("delete", "--stage", "halfway")
        stage.stepfunctions.stop_execution(executionArn=stage.run_arn("second", "run-000001"))
        edit(stage, JOBS.replace("[jobs.second]", "[jobs.second]\noverlap = 1"))
        done = stage.command("guardctl", "destroy", "--stage", "halfway", "--yes")
        assert "  ended before: the task of run-000001 of batch-guard-halfway-second\n" in done.stdout
        assert stage.ecs.describe_tasks(cluster="batch", tasks=[task])["tasks"][0]["lastStatus"] == "STOPPED"
        assert in_the_account(what_is_there(stage)) == NOTHING


@together
def test_a_new_stage_goes_on_after_the_numbers_whose_names_are_taken(deployed: LocalStage) -> None:
    deployed.command("guardctl", "run", "second", "--stage", deployed.name, "--first", "--after", "41")
    assert deployed.runs("second")[-1]["name"] == "run-000042"
    deployed.finish("second")


def test_a_stage_is_one_file_and_a_block_that_points_elsewhere_is_refused_by_every_way(emulator: Emulator) -> None:
    with local_stage(emulator, name="prod", jobs=JOBS) as stage:
        stage.command("guardctl", "validate", "--stage", "prod")
        config = stage.directory / ".chalice" / "config.json"
        text = config.read_text(encoding="utf-8")
        parsed = json.loads(text)
        parsed["stages"]["prod"] = parsed["stages"]["dev"]
        config.write_text(json.dumps(parsed), encoding="utf-8")
        wrong = 'stages.prod.environment_variables.BATCH_GUARD_STAGE: the functions of stage prod would be told "dev"'
        for command in (("validate",), ("deploy",), ("deploy", "--dry-run"), ("package",)):
            assert wrong in stage.command("guardctl", *command, "--stage", "prod", code=2).stderr
        for chalice in (["deploy"], ["package", "out"], ["package", "--pkg-format", "terraform", "out"]):
            with pytest.raises(CommandFailed, match="would be told"):
                stage.chalice(*chalice, "--stage", "prod")
        config.write_text(text, encoding="utf-8")
        with pytest.raises(CommandFailed, match="would not be told which it is"):
            stage.chalice("deploy", "--stage", "prod")
        assert in_the_account(what_is_there(stage)) == NOTHING
        stage.command("guardctl", "deploy", "--stage", "prod")
        assert json.loads(config.read_text(encoding="utf-8"))["stages"].keys() == {"dev", "local", "prod"}
        stage.chalice("deploy", "--stage", "prod")  # from now on it knows the stage
        stage.command("guardctl", "destroy", "--stage", "prod", "--yes")


# --- guardctl verify and diff -----------------------------------------------------------------------------


def test_verify_reads_the_account_and_says_what_is_wrong_with_each_job(emulator: Emulator) -> None:
    network = emulator.session().client("ec2")
    ecr = emulator.session().client("ecr")
    registry = f"{emulator.account}.dkr.ecr.{emulator.region}.amazonaws.com"
    subnet, other = (network.create_subnet(VpcId=network.create_vpc(CidrBlock=f"10.{n}.0.0/16")["Vpc"]["VpcId"], CidrBlock=f"10.{n}.1.0/24")["Subnet"] for n in (1, 2))  # fmt: skip
    group = network.create_security_group(GroupName="batch", Description="x", VpcId=subnet["VpcId"])["GroupId"]
    ecr.create_repository(repositoryName="fits")
    ecr.put_image(repositoryName="fits", imageTag="v1", imageManifest="{}")
    emulator.client("logs").create_log_group(logGroupName="/ecs/fits")
    roles = [f"arn:aws:iam::{emulator.account}:role/{name}" for name in ("task", "execution")]
    jobs = f"""
[defaults.ecs]
cluster = "verified"
container = "app"
pass_roles = {json.dumps(roles)}
security_groups = ["{group}"]
[jobs.fits]
schedule = "cron(0 3 1 1 ? *)"
ecs = {{ task_definition = "fits", subnets = ["{subnet["SubnetId"]}"] }}
[jobs.fails]
ecs = {{ task_definition = "fails", subnets = ["{other["SubnetId"]}"] }}
[jobs.lacks]
ecs = {{ task_definition = "lacks", cluster = "nowhere", subnets = ["subnet-0"] }}
"""
    logs = {"logDriver": "awslogs", "options": {"awslogs-group": "/ecs/fits", "awslogs-region": emulator.region}}
    common: Any = {"requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256", "memory": "512"}
    ecs = emulator.client("ecs")
    ecs.create_cluster(clusterName="verified")
    for family, tag, name, role in (("fits", "v1", "app", roles[0]), ("fails", "v2", "web", roles[0] + "-not-passed")):
        container: Any = {"name": name, "image": f"{registry}/fits:{tag}", "logConfiguration": logs}
        ecs.register_task_definition(family=family, containerDefinitions=[container], taskRoleArn=role, **common)
    with local_stage(emulator, name="verified", jobs=jobs) as stage:
        shown = stage.command("guardctl", "verify", "--stage", "verified", code=1).stdout
        of = by_job(shown)
        assert not [line for line in of["fits"] if line.startswith("NG")], shown
        assert {"cluster verified", "image fits:v1", "log group /ecs/fits", f"security group {group}"} <= {
            line.partition(" ")[2].partition(": ")[0].strip() for line in of["fits"] if line.startswith("OK")
        }
        assert [line.partition(": ")[0].split(None, 1)[1] for line in of["fails"] if line.startswith("NG")] == [
            "container app",
            "task role task-not-passed",
            "VPC",
            "image fits:v2",
        ]
        assert [line.partition(": ")[0].split(None, 1)[1] for line in of["lacks"] if line.startswith("NG")] == [
            "cluster nowhere",
            "task definition lacks",
            "subnet subnet-0",
        ]
        told = json.loads(stage.command("guardctl", "verify", "fits", "--stage", "verified", "--json").stdout)
        assert (told["ok"], [subject["job"] for subject in told["subjects"]]) == (True, ["fits"])
        assert "did you mean fits?" in stage.command("guardctl", "verify", "fit", "--stage", "verified", code=2).stderr


def by_job(shown: str) -> dict[str, list[str]]:
    """What `guardctl verify` prints: the name that stands to the left → the lines below it."""
    found: dict[str, list[str]] = {}
    for line in shown.splitlines():
        if line.startswith("  "):
            found[[*found][-1]].append(line.strip())
        else:
            found[line] = []
    return found


@together
def test_what_a_role_may_do_is_simulated_and_what_it_will_be_allowed_is_no_fault(deployed: LocalStage) -> None:
    def permissions(code: int = 0) -> list[str]:
        shown = deployed.command("guardctl", "verify", "--stage", deployed.name, code=code).stdout
        return [line for lines in by_job(shown).values() for line in lines if " permissions of " in line]

    assert [line.split()[0] for line in permissions()] == ["OK", "OK", "OK"]
    container: Any = {"name": "app", "image": "batch"}
    deployed.ecs.register_task_definition(family="later", containerDefinitions=[container])
    edit(deployed, JOBS.replace('task_definition = "second"', 'task_definition = "later"'))
    told = permissions()
    edit(deployed, JOBS)
    assert [line.split()[0] for line in told] == ["OK", "SKIP", "OK"]
    assert "not yet: ecs:RunTask on " in told[1]


@together
def test_diff_says_what_a_deployment_would_change_and_a_dry_run_too(deployed: LocalStage) -> None:
    nothing = deployed.command("guardctl", "diff", "--stage", deployed.name, "--exit-code").stdout
    assert nothing == "stage deployed: what is deployed is this checkout's\n"
    edit(
        deployed, JOBS.replace("cron(0 3", "cron(0 4").replace("[jobs.second]", '[jobs.second]\ntimeout = "2h"') + THIRD
    )
    code = deployed.directory / "chalicelib" / "lines.py"
    before = code.read_text(encoding="utf-8")
    code.write_text(before + "# another\n", encoding="utf-8")
    shown = deployed.command("guardctl", "diff", "--stage", deployed.name, "--exit-code", code=1).stdout
    dry = deployed.command("guardctl", "deploy", "--stage", deployed.name, "--dry-run").stdout
    told = json.loads(deployed.command("guardctl", "diff", "--stage", deployed.name, "--json").stdout)
    edit(deployed, JOBS)
    code.write_text(before, encoding="utf-8")
    lines = shown.splitlines()
    assert lines[0] == "first: schedule cron(0 3 1 1 ? *) → cron(0 4 1 1 ? *)"
    assert lines[1].startswith("first: next times before: 2")
    assert lines[3:5] == ["second: timeout 1d → 2h", "third: new"]
    assert lines[5].startswith("functions: the functions' code is not this checkout's (CodeSha256 ")
    assert lines[5].endswith("): chalicelib/lines.py")
    assert lines[6:8] == ["--- deployed/deployed.toml", "+++ deployed.toml"]
    assert '+timeout = "2h"' in lines
    assert dry.startswith("\n".join(lines[:6]))
    assert [(each["job"], each["what"]) for each in told["jobs"]] == [
        ("first", "changed"),
        ("second", "changed"),
        ("third", "new"),
    ]


def test_what_is_not_deployed_is_new(emulator: Emulator) -> None:
    with local_stage(emulator, name="nothing", jobs=JOBS) as stage:
        shown = stage.command("guardctl", "diff", "--stage", "nothing").stdout
    assert shown == "stage nothing is not deployed yet: its 2 jobs are new\n"
