"""Our tables of what AWS takes, beside what botocore's models say; and what is over a limit, told with its number."""

import gzip
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib import contract
from chalicelib.config import limits as of_tasks
from chalicelib.config.jobs import JobsFile, JobsFileInvalid, parse
from chalicelib.config.run_task import length_of_overrides, overrides, run_task
from guardctl import advice, limits, template

NOW = datetime(2026, 11, 25, 12, 34, 56, tzinfo=UTC)
EVERY_KEY = Path(__file__).parent.parent / "emulator" / "every_key.toml"


@cache
def shapes(service: str) -> Mapping[str, Any]:
    """The shapes of botocore's newest model of a service, as it ships them."""
    import botocore  # noqa: PLC0415 (only to find its data)

    newest = sorted((Path(botocore.__file__).parent / "data" / service).glob("*/service-2.json.gz"))[-1]
    found: Mapping[str, Any] = json.loads(gzip.decompress(newest.read_bytes()))["shapes"]
    return found


def said(service: str, shape: str, member: str) -> str:
    """What the model says of a member, without its HTML."""
    documentation = shapes(service)[shape]["members"][member]["documentation"]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", documentation))


def number(pattern: str, service: str, shape: str, member: str) -> int:
    """The number that the model's words on a member have at the group of `pattern`."""
    match = re.search(pattern, said(service, shape, member))
    assert match, f"{service} {shape}.{member} no longer says {pattern}"
    return int(match[1].replace(",", ""))


@pytest.mark.parametrize(
    ("limit", "shape", "member", "words"),
    [
        (of_tasks.SUBNETS, "AwsVpcConfiguration", "subnets", r"limit of (\d+) subnets"),
        (of_tasks.SECURITY_GROUPS, "AwsVpcConfiguration", "securityGroups", r"limit of (\d+) security groups"),
        (of_tasks.OVERRIDES, "RunTaskRequest", "overrides", r"A total of ([\d,]+) characters"),
        (
            of_tasks.OF_MEMBERS["capacityProviderStrategy"],
            "RunTaskRequest",
            "capacityProviderStrategy",
            r"maximum of (\d+) capacity providers",
        ),
        (
            of_tasks.OF_MEMBERS["placementConstraints"],
            "RunTaskRequest",
            "placementConstraints",
            r"up to (\d+) constraints",
        ),
        (
            of_tasks.OF_MEMBERS["placementStrategy"],
            "RunTaskRequest",
            "placementStrategy",
            r"maximum of (\d+) strategy rules",
        ),
        (of_tasks.ECS_NAME, "CreateClusterRequest", "clusterName", r"Up to (\d+) letters"),
        (of_tasks.ECS_NAME, "RegisterTaskDefinitionRequest", "family", r"Up to (\d+) letters"),
        (of_tasks.ECS_NAME, "CreateCapacityProviderRequest", "name", r"Up to (\d+) characters"),
        (of_tasks.ECS_NAME, "ContainerDefinition", "name", r"Up to (\d+) letters"),
    ],
)
def test_what_ecs_takes_is_what_its_model_says(limit: of_tasks.Limit, shape: str, member: str, words: str) -> None:
    assert number(words, "ecs", shape, member) == limit.most


def test_the_other_limits_are_what_their_models_say() -> None:
    assert shapes("iam")["roleNameType"]["max"] == of_tasks.ROLE_NAME.most
    kilobytes = number(r"Standard parameters have a value limit of (\d+) KB", "ssm", "PutParameterRequest", "Value")
    assert kilobytes * 1024 == limits.RECORD.most


@cache
def fargate_of_the_model() -> Mapping[int, set[int]]:
    """CPU units → the MiB that go with them, from the list in the model's words on a task's memory."""
    words = said("ecs", "RegisterTaskDefinitionRequest", "memory")
    found = {}
    for memory, cpu in re.findall(r"((?:Between )?[\d.]+ ?(?:GB|\().*?) - Available cpu values: (\d+)", words):
        sizes = [round(float(gb) * 1024) for gb in re.findall(r"([\d.]+) ?GB", memory)]
        if "Between" in memory:
            least, most, step = sizes
            sizes = list(range(least, most + 1, step))
        found[int(cpu)] = set(sizes)
    return found


def test_the_sizes_of_fargate_are_what_the_model_says() -> None:
    assert fargate_of_the_model() == {cpu: set(memory) for cpu, memory in of_tasks.FARGATE_MEMORY.items()}


@settings(derandomize=True, deadline=None, database=None)
@given(
    cpu=st.sampled_from([*of_tasks.FARGATE_MEMORY, 128, 3_072, 32_768]),
    memory=st.one_of(st.integers(1, 240).map(lambda half: half * 512), st.integers(1, 200_000)),
)
def test_a_size_is_taken_if_fargate_has_it(cpu: int, memory: int) -> None:
    size = f'subnets = ["subnet-1"], cluster = "c", container = "c", cpu = "{cpu}", memory = "{memory}"'
    file = f'[jobs.report]\necs = {{ task_definition = "report", {size} }}\n'
    if memory in fargate_of_the_model().get(cpu, ()):
        assert parse(file, stage="dev", place="x").jobs
    else:
        with pytest.raises(JobsFileInvalid, match="CPU units"):
            parse(file, stage="dev", place="x")


def test_the_cpu_of_other_tasks_is_what_the_model_says() -> None:
    words = said("ecs", "RegisterTaskDefinitionRequest", "cpu")
    match = re.search(r"between (\d+) CPU units .* and (\d+) CPU units", words)
    assert match
    assert (int(match[1]), int(match[2])) == (of_tasks.CPU_UNITS[0], of_tasks.CPU_UNITS[-1])


def test_the_platform_versions_are_what_the_model_says() -> None:
    newer = said("ecs", "RegisterTaskDefinitionRequest", "memory")
    spot = re.sub(r"<[^>]+>", " ", shapes("ecs")["CapacityProviderStrategyItem"]["documentation"])
    assert f"platform {'.'.join(map(str, of_tasks.NEWER_FARGATE))} or later" in newer
    assert re.search(
        rf"FARGATE_SPOT\s+supports Linux tasks with the X86_64 architecture on platform version "
        rf"{'.'.join(map(str, of_tasks.SPOT_FARGATE))} or later",
        spot,
    )


# --- what is sent to RunTask ------------------------------------------------------------------------------


def every_key() -> JobsFile:
    return parse(EVERY_KEY.read_text(encoding="utf-8"), stage="every", place=EVERY_KEY.name)


def sent(job: str) -> dict[str, Any]:
    """RunTask's arguments for a job of every_key.toml."""
    return run_task(every_key().jobs[job], number=42, scheduled_at=NOW)


def camel(value: Any) -> Any:
    """The keys as the API spells them; Step Functions takes them with a capital."""
    if isinstance(value, dict):
        return {key[0].lower() + key[1:]: camel(inner) for key, inner in value.items()}
    return [camel(inner) for inner in value] if isinstance(value, list) else value


def against_the_model(value: Any, shape: str, place: str = "RunTask") -> None:
    """The value's members, types, and words of a list are those of the model's shape."""
    model = shapes("ecs")[shape]
    match model["type"]:
        case "structure":
            assert value.keys() <= model["members"].keys(), place
            assert set(model.get("required", ())) <= value.keys(), place
            for key, inner in value.items():
                against_the_model(inner, model["members"][key]["shape"], f"{place}.{key}")
        case "list":
            for inner in value:
                against_the_model(inner, model["member"]["shape"], f"{place}[]")
        case "string":
            assert isinstance(value, str), place
            assert value in model.get("enum", [value]), place
        case "boolean":
            assert isinstance(value, bool), place
        case "integer":
            assert type(value) is int, place
        case other:
            raise AssertionError(f"{place} is {other}, of which our arguments have none")


@pytest.mark.parametrize("job", sorted(every_key().jobs))
def test_the_arguments_of_a_run_are_members_of_the_model(job: str) -> None:
    against_the_model(camel(sent(job)), "RunTaskRequest")


def test_a_runs_own_variables_are_counted_and_at_their_longest() -> None:
    (container,) = sent("fargate")["Overrides"]["ContainerOverrides"]
    added = {v["Name"]: v["Value"] for v in container["Environment"] if v["Name"].startswith("BATCH_")}
    assert added.keys() <= of_tasks.LONGEST_VARIABLES.keys()
    assert all(len(value) <= len(of_tasks.LONGEST_VARIABLES[name]) for name, value in added.items())
    usual = "arn:aws:states:us-east-1:123456789012:execution:batch-guard-prod-nightly-report:run-000042"
    assert len(usual) <= len(of_tasks.LONGEST_EXECUTION) <= 200
    assert of_tasks.OVERRIDES.most == contract.LONGEST_OVERRIDES


HEAD = '[defaults.ecs]\ncluster = "c"\ncontainer = "app"\nlaunch_type = "EC2"\n'


def job_of(environment: str) -> str:
    return f'{HEAD}[jobs.report.ecs]\ntask_definition = "report"\nenvironment = {{ A = "{environment}" }}\n'


def test_overrides_are_refused_from_the_first_character_too_many() -> None:
    least = parse(job_of(""), stage="dev", place="x").jobs["report"].ecs
    arguments = {"Overrides": overrides(least, {"A": "", **of_tasks.LONGEST_VARIABLES}, None)}
    room = of_tasks.OVERRIDES.most - length_of_overrides(arguments, of_tasks.LONGEST_EXECUTION)
    assert parse(job_of("x" * room), stage="dev", place="x").jobs
    with pytest.raises(JobsFileInvalid, match="up to 8,193 characters and AWS takes 8,192, BATCH_"):
        parse(job_of("x" * (room + 1)), stage="dev", place="x")


# --- what the template makes ------------------------------------------------------------------------------


def many(count: int, each: Callable[[int], str], *, family: str = "f", more: str = "") -> JobsFile:
    """A file of that many jobs, each with what `each` says of it and a family of its own."""
    jobs = "".join(f'[jobs.job-{n}]\n{each(n)}\necs.task_definition = "{family}{n}"\n' for n in range(count))
    return parse(HEAD + more + jobs, stage="dev", place="x")


def role(number: int) -> str:
    return f'"arn:aws:iam::123456789012:role/{number:03d}{"r" * 60}"'


def schedules(count: int) -> str:
    """So many schedules of a job."""
    return f"schedule = {json.dumps([f'{n % 60} {n // 60} * 10,11,12 MON-FRI' for n in range(count)])}"


ALERTS = '[alerts]\ntopic = "arn:aws:sns:us-east-1:123456789012:alerts"\n'


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(lambda: many(2, lambda n: 'schedule = "0 3 * * *"'), [], id="two jobs"),
        pytest.param(
            lambda: many(1, lambda n: f"ecs.pass_roles = [{', '.join(role(r) for r in range(110))}]"),
            [
                (r"x:jobs\.job-0\.ecs: the policy of the machine's role would have 11,\d{3} characters "
                r"and AWS takes 10,240; pass fewer roles, or name the families shorter: at least 1,\d{3} characters less")
            ],
            id="more roles than a policy has room for",
        ),
        pytest.param(
            lambda: many(1, lambda n: schedules(100)),
            [],
            id="many schedules",
        ),
        pytest.param(
            lambda: many(1, lambda n: schedules(170)),
            [
                (r"x:jobs\.job-0\.schedule: the record of its schedules would have 4,\d{3} characters "
                r"and AWS takes 4,096; write fewer schedules: one cron\(\.\.\.\) may name several minutes")
            ],
            id="more schedules than a parameter has room for",
        ),
        pytest.param(lambda: many(60, lambda n: "", family="f" * 240), [], id="longer families than one role has room for"),
        pytest.param(lambda: many(300, lambda n: 'schedule = "0 3 * * *"\nwarn_after = "1d"', more=ALERTS), [], id="300 jobs, with every alarm", marks=pytest.mark.thorough),
        pytest.param(
            lambda: many(34, lambda n: f'orphans = "stop"\necs.cluster = "{n}{"c" * 250}"'),
            [
                r"x:jobs: the policy of the machine's role \(GuardMachineRole\) would have 10,\d{3} characters and AWS takes 10,240; spread",
            ],
            id="more clusters than the guard's role has room for",
        ),
        pytest.param(
            lambda: many(313, lambda n: 'schedule = "0 3 * * *"\nwarn_after = "1d"', more=ALERTS),
            [r"x:jobs: the dashboard \(Dashboard\) would have 2,510 metrics and AWS takes 2,500; spread the jobs over two stages"],
            id="more jobs than a dashboard has room for", marks=pytest.mark.thorough,
        ),
        pytest.param(
            lambda: many(501, lambda n: 'schedule = "0 3 * * *"'),
            [
                r"x:jobs: the template of the stage's machines would have 5\d\d resources and AWS takes 500; spread",
                r"x:jobs: the template of the stage's records would have 501 resources and AWS takes 500; spread",
            ],
            id="more jobs than a stack has room for", marks=pytest.mark.thorough,
        ),
    ],
)  # fmt: skip
def test_what_aws_would_not_make_is_told(made: Callable[[], JobsFile], expected: list[str]) -> None:
    found = list(map(str, limits.faults(made(), "x")))
    assert len(found) == len(expected), found
    for line, pattern in zip(found, expected, strict=True):
        assert re.match(pattern, line), line


def test_no_name_that_the_jobs_file_takes_is_too_long_for_what_is_named_after_it() -> None:
    name, stage = "j" * 54, "s" * 13
    job = 'schedule = "0 3 * * *"\nwarn_after = "1d"\necs.task_definition = "x"\n'
    file = parse(f"{HEAD}{ALERTS}[jobs.{name}]\n{job}", stage=stage, place="x")
    found = {key: value for document in template.stacks(file).values() for key, value in document["Resources"].items()}
    models = {
        ("AWS::CloudWatch::Alarm", "AlarmName"): shapes("cloudwatch")["AlarmName"]["max"],
        ("AWS::CloudWatch::Alarm", "AlarmDescription"): shapes("cloudwatch")["AlarmDescription"]["max"],
        ("AWS::StepFunctions::StateMachine", "StateMachineName"): shapes("stepfunctions")["Name"]["max"],
        ("AWS::SSM::Parameter", "Name"): 1_011 - len("arn:aws-us-gov:ssm:ap-northeast-1:123456789012:parameter/"),
    }
    for (kind, key), most in models.items():
        lengths = [len(resource["Properties"][key]) for resource in found.values() if resource["Type"] == kind]
        assert lengths, kind
        assert max(lengths) <= most, (kind, key)
    assert (
        number(r"maximum length .* that you specify is ([\d,]+) characters", "ssm", "PutParameterRequest", "Name")
        == 1_011
    )
    for machine in ("guard", "batch"):
        assert len(template.render(template.definition(machine))) <= shapes("stepfunctions")["Definition"]["max"]
    for policy in (template.check_policy(file), template.trigger_policy(file)):
        assert len(template.render(policy, indent=None)) <= limits.POLICIES.most


# --- what is warned of ------------------------------------------------------------------------------------


def one_family(*schedules: str, more: str = "") -> JobsFile:
    """Jobs of one family, each with a command of its own."""
    jobs = "".join(
        f'[jobs.job-{n}]\nschedule = "{schedule}"\n{more}\n[jobs.job-{n}.ecs]\ntask_definition = "sweep"\ncommand = ["{n}"]\n'
        for n, schedule in enumerate(schedules)
    )
    return parse(HEAD + jobs, stage="dev", place="x")


def told(file: JobsFile, *others: JobsFile) -> list[str]:
    return list(map(str, advice.warnings(file, "x", others, NOW)))


CROWD = (
    r"x:jobs: the {} jobs of family sweep on cluster c have up to {} scheduled times an hour, and each decision lists and "
    r"describes the tasks that stopped within the hour: {} calls of ListTasks and {} of DescribeTasks, up to {} an hour; "
    r"give those that start often a family of their own"
)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("file", "expected"),
    [
        pytest.param(one_family(*["rate(1 minute)"] * 50), [CROWD.format(50, "3,000", 30, 30, "180,000")], id="fifty jobs each minute"),
        pytest.param(one_family(*["* * * * *"] * 2), [CROWD.format(2, "120", 2, 2, "480")], id="two jobs each minute"),
        pytest.param(one_family("* 9-17 * * MON-FRI", "* 17 * * 5", "rate(1 hour)"), [CROWD.format(3, "121", 2, 2, "484")], id="in the busiest hour of the week"),
        pytest.param(one_family("* * * * *", "0-39 * * * *"), [], id="a hundred tasks, one call"),
        pytest.param(one_family("* 0-11 * * *", "* 12-23 * * *"), [], id="one after the other"),
        pytest.param(one_family(*["rate(1 minute)"] * 50, more="enabled = false"), [], id="schedules that rest"),
        pytest.param(many(50, lambda n: 'schedule = "rate(1 minute)"'), [], id="a family each"),
    ],
)  # fmt: skip
def test_a_family_that_many_frequent_jobs_share_is_warned_of(file: JobsFile, expected: list[str]) -> None:
    assert told(file) == expected


def test_a_family_that_does_not_keep_two_jobs_apart_is_warned_of() -> None:
    beside = '[jobs.any]\noutsiders = "family"\necs.task_definition = "f0"\n[jobs.other]\necs = { task_definition = "f0", command = ["x"] }\n'
    (line,) = told(parse(HEAD + beside, stage="dev", place="x"))
    assert line.startswith('x:jobs.any.outsiders: "family" does not count the runs of other, of the same family')


def stage(name: str, cluster: str, command: str = "x", job: str = "report") -> JobsFile:
    """A stage of one job."""
    task = f'{{ task_definition = "report", cluster = "{cluster}", command = ["{command}"] }}'
    return parse(f"{HEAD}[jobs.{job}]\necs = {task}\n", stage=name, place="x")


HERE = "arn:aws:ecs:us-east-1:123456789012:cluster/batch"
THERE = "arn:aws:ecs:us-east-1:210987654321:cluster/batch"
WARNED = (
    "x:jobs: report has the cluster, family and command of a job of stage prod, and nothing would keep the two apart; "
    "fine if that stage is in another account or Region; clusters written as ARNs say so"
)


@pytest.mark.parametrize(
    ("mine", "theirs", "expected"),
    [
        pytest.param(stage("dev", "batch"), stage("prod", "batch"), [WARNED], id="one cluster by its name"),
        pytest.param(stage("dev", "batch"), stage("prod", HERE, job="night"), [WARNED], id="one by its name, one by its ARN"),
        pytest.param(stage("dev", HERE), stage("prod", HERE), [WARNED], id="one ARN"),
        pytest.param(stage("dev", HERE), stage("prod", THERE), [], id="two accounts"),
        pytest.param(stage("dev", "batch"), stage("prod", "batch", command="y"), [], id="two commands"),
        pytest.param(stage("dev", "batch"), stage("prod", "other"), [], id="two clusters"),
    ],
)  # fmt: skip
def test_two_stages_that_are_one_batch_are_warned_of(mine: JobsFile, theirs: JobsFile, expected: list[str]) -> None:
    assert told(mine, theirs) == expected
