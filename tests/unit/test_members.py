"""`run_task`: RunTask's own members, under its own names, checked against botocore's model and handed on."""

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.model import ListShape, Shape, StructureShape
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.config import members
from chalicelib.config.jobs import JobsFile, JobsFileInvalid, parse
from chalicelib.config.run_task import run_task
from guardctl import template
from tests.properties import examples

HEAD = '[defaults.ecs]\ncluster = "c"\ncontainer = "app"\ntask_definition = "report"\n'
AT = datetime(2026, 11, 23, 18, tzinfo=UTC)


def file(run_task: str, *, ecs: str = 'launch_type = "EC2"', defaults: str = "", by_model: bool = True) -> JobsFile:
    """A jobs file of the job ``report`` with this table of RunTask's members."""
    job = f"[jobs.report.ecs]\n{ecs}\n" + (f"run_task = {run_task}\n" if run_task else "")
    return parse(f"{HEAD}{defaults}\n{job}", stage="dev", place="x", by_model=by_model)


def sent(jobs: JobsFile) -> dict[str, Any]:
    """What RunTask gets for a run."""
    return run_task(jobs.jobs["report"], number=42, scheduled_at=AT)


def told(run_task: str, **more: Any) -> list[str]:
    """The faults of a table, each from its place within it on."""
    with pytest.raises(JobsFileInvalid) as invalid:
        file(run_task, **more)
    return [
        line.removeprefix("x:jobs.report.ecs.").removeprefix("run_task.") for line in str(invalid.value).split("\n")
    ]


# --- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("{ count = 2 }", "count: is the guard's: a run is one task, and its name is the lock; leave it out; slots = 2", id="count"),
        pytest.param('{ startedBy = "me" }', "startedBy: is Step Functions' own", id="startedBy"),
        pytest.param('{ clientToken = "t" }', "clientToken: is the guard's", id="clientToken"),
        pytest.param('{ cluster = "c" }', "cluster: has a key of its own; write cluster in the ecs table", id="a key of its own"),
        pytest.param('{ launchType = "EC2" }', "launchType: has a key of its own; write launch_type in the ecs table", id="launchType"),
        pytest.param('{ propagateTags = "NONE" }', "propagateTags: has a key of its own; write propagate_tags in the ecs table", id="propagateTags"),
        pytest.param("{ networkConfiguration = { awsvpcConfiguration = { subnets = [] } } }", "networkConfiguration.awsvpcConfiguration.subnets: has a key of its own; write subnets in the ecs table", id="a key of its own, deep inside"),
        pytest.param('{ overrides = { taskRoleArn = "r" } }', "overrides.taskRoleArn: has a key of its own; write task_role in the ecs table", id="the task's role"),
        pytest.param('{ overrides = { containerOverrides = [{ name = "app", command = ["x"] }] } }', "overrides.containerOverrides[0].command: has a key of its own; write command in the ecs table", id="the job's own command"),
        pytest.param('{ overrides = { containerOverrides = [{ name = "s" }, { name = "app", environment = [] }] } }', "overrides.containerOverrides[1].environment: has a key of its own; write environment in the ecs table", id="the job's own environment"),
        pytest.param('{ overrides = { containerOverrides = [{ name = "s", environment = [{ name = "BATCH_EXECUTION", value = "x" }] }] } }', "overrides.containerOverrides[0].environment[0].name: is reserved; take a name that does not start with BATCH_", id="the guard's own variables"),
        pytest.param("{ overrides = { containerOverrides = [{ cpu = 1 }] } }", "overrides.containerOverrides[0].name: is missing; write the container's name", id="nobody's override"),
        pytest.param('{ overrides = { containerOverrides = [{ name = "s" }, { name = "s" }] } }', 'overrides.containerOverrides[1].name: "s" is there twice', id="one container twice"),
        pytest.param('{ group = "service:web" }', 'group: starts with "service:"; take another name', id="a service's group"),
        pytest.param('{ group = "{% 1 %}" }', 'group: starts with "{%"; start it otherwise', id="JSONata"),
        pytest.param('{ tags = [{ key = "a", value = "${b}" }] }', 'tags[0].value: contains "${"', id="a substitution deep inside"),
        pytest.param('"x"', "run_task: is a string, not a table; write RunTask's members", id="no table"),
        pytest.param("{ overrides = { containerOverrides = [7] } }", "overrides.containerOverrides[0]: is an integer, not a table", id="no override"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("by_model", [True, False])
def test_what_is_the_guards_or_has_a_key_is_refused_with_the_reason(
    written: str, expected: str, by_model: bool
) -> None:
    (line,) = told(written, by_model=by_model)
    assert line.startswith(expected)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("{ enableExecuteComand = true }", 'enableExecuteComand: is not a member that RunTask has here; did you mean "enableExecuteCommand"?', id="a typo"),
        pytest.param("{ EnableExecuteCommand = true }", 'did you mean "enableExecuteCommand"?', id="as Step Functions spells it"),
        pytest.param("{ enable_execute_command = true }", 'did you mean "enableExecuteCommand"?', id="as our own keys are spelt"),
        pytest.param("{ xyz = 1 }", "known here: capacityProviderStrategy, enableExecuteCommand, group", id="nothing like it"),
        pytest.param('{ volumeConfigurations = [{ name = "v", managedEBSVolume = { roleArn = "r", size = 1 } }] }', "volumeConfigurations[0].managedEBSVolume.size: is not a member that RunTask has here", id="deep inside"),
        pytest.param('{ enableExecuteCommand = "yes" }', "enableExecuteCommand: is a string, not a boolean; write true or false", id="a text for a yes"),
        pytest.param("{ group = 7 }", "group: is an integer, not a string", id="a number for a text"),
        pytest.param('{ tags = { team = "data" } }', "tags: is a table, not an array; write an array", id="a table for a list"),
        pytest.param("{ overrides = { ephemeralStorage = 50 } }", "overrides.ephemeralStorage: is an integer, not a table", id="a number for a table"),
        pytest.param('{ overrides = { ephemeralStorage = { sizeInGiB = "50" } } }', "overrides.ephemeralStorage.sizeInGiB: is a string, not an integer", id="a text for a number"),
        pytest.param("{ overrides = { ephemeralStorage = {} } }", "overrides.ephemeralStorage.sizeInGiB: is missing; RunTask wants it here", id="missing"),
        pytest.param('{ placementStrategy = [{ type = "BinPack" }] }', 'placementStrategy[0].type: "BinPack" is not valid; did you mean "binpack"?', id="a word in capitals"),
        pytest.param('{ placementStrategy = [{ type = "dense" }] }', 'placementStrategy[0].type: "dense" is not valid; RunTask takes random, spread, binpack', id="no word of RunTask's"),
        pytest.param('{ tags = [{ key = "" , value = "x" }] }', "tags[0].key: has 0 characters; RunTask takes from 1 to 128 characters", id="too short"),
        pytest.param(f'{{ placementConstraints = [{", ".join(["{}"] * 11)}] }}', "placementConstraints: has 11 constraints and AWS takes 10; leave out 1", id="too many"),
        pytest.param('{ startTime = 2026-11-23T18:00:00Z }', "startTime: is not a member that RunTask has here", id="a date"),
    ],
)  # fmt: skip
def test_what_run_task_does_not_have_is_refused_with_its_place(written: str, expected: str) -> None:
    (line,) = told(written)
    assert expected in line


def test_a_weight_is_within_the_models_bounds() -> None:
    written = '{ capacityProviderStrategy = [{ capacityProvider = "mine", weight = 1001 }] }'
    (line,) = told(written, ecs="")
    assert line == ("capacityProviderStrategy[0].weight: 1,001 is out of range; RunTask takes from 0 to 1,000")


@pytest.mark.parametrize(
    ("ecs", "defaults", "expected"),
    [
        pytest.param('launch_type = "FARGATE"', "", ["capacityProviderStrategy: is given together with launch_type; keep one of the two"], id="with a launch type"),
        pytest.param('launch_type = "CLUSTER"', "", ["capacityProviderStrategy: is given together with launch_type; keep one of the two"], id="with the cluster's default"),
        pytest.param('capacity_provider = "mine"', "", ["capacityProviderStrategy: is given together with capacity_provider; keep one of the two"], id="with a capacity provider"),
        pytest.param("", 'launch_type = "FARGATE"', [], id="a job's own choice replaces the default's"),
    ],
)  # fmt: skip
def test_on_what_a_task_runs_is_said_once(ecs: str, defaults: str, expected: list[str]) -> None:
    strategy = '{ capacityProviderStrategy = [{ capacityProvider = "mine" }] }'
    if expected:
        assert told(strategy, ecs=ecs, defaults=defaults) == expected
    else:
        found = sent(file(strategy, ecs=ecs, defaults=defaults))
        assert found["CapacityProviderStrategy"] == [{"CapacityProvider": "mine"}]
        assert "LaunchType" not in found


def test_a_strategy_of_fargate_needs_what_fargate_needs() -> None:
    strategy = '{ capacityProviderStrategy = [{ capacityProvider = "FARGATE", base = 1 }, { capacityProvider = "FARGATE_SPOT", weight = 3 }] }'
    assert told(strategy, ecs="") == ['subnets: is missing; Fargate needs at least one, ["subnet-0123abcd"]']


def test_a_job_that_names_a_launch_type_drops_the_strategy_of_the_defaults() -> None:
    defaults = 'run_task = { group = "g", capacityProviderStrategy = [{ capacityProvider = "mine" }] }'
    found = sent(file("", ecs='launch_type = "EC2"', defaults=defaults))
    assert (found["LaunchType"], found["Group"]) == ("EC2", "g")
    assert "CapacityProviderStrategy" not in found


def test_a_fault_of_the_defaults_is_told_once_and_where_it_is_written() -> None:
    override = 'run_task = { overrides = { containerOverrides = [{ name = "app", command = ["x"] }] } }'
    with pytest.raises(JobsFileInvalid) as invalid:
        parse(f"{HEAD}launch_type = 'EC2'\n{override}\n[jobs.a]\n[jobs.b]\n", stage="dev", place="x")
    (line,) = str(invalid.value).splitlines()
    assert line.startswith("x:defaults.ecs.run_task.overrides.containerOverrides[0].command: has a key of its own")


def test_the_roles_of_volumes_are_of_the_stages_account() -> None:
    task = 'launch_type = "EC2"\ntask_role = "arn:aws:iam::123456789012:role/task"'
    volume = (
        'volumeConfigurations = [{ name = "v", managedEBSVolume = { roleArn = "arn:aws:iam::210987654321:role/v" } }]'
    )
    (line,) = told(f"{{ {volume} }}", ecs=task)
    assert "is in account 210987654321" in line


# --- what reaches the task --------------------------------------------------------------------------------


def test_other_containers_keep_their_overrides_beside_the_guards_and_the_guard_has_the_last_word() -> None:
    written = """{ enableExecuteCommand = true, overrides = { ephemeralStorage = { sizeInGiB = 50 }, containerOverrides = [
        { name = "sidecar", command = ["collect"] }, { name = "app", memoryReservation = 512 }] } }"""
    found = sent(file(written, ecs='launch_type = "EC2"\ncpu = "512"\nenvironment = { A = "b" }'))
    assert found["EnableExecuteCommand"] is True
    overrides = found["Overrides"]
    own, sidecar = overrides["ContainerOverrides"]
    assert (own["Name"], own["MemoryReservation"]) == ("app", 512)
    assert own["Environment"][:2] == [{"Name": "A", "Value": "b"}, {"Name": "BATCH_JOB", "Value": "report"}]
    assert sidecar == {"Name": "sidecar", "Command": ["collect"]}
    assert (overrides["Cpu"], overrides["EphemeralStorage"]) == ("512", {"SizeInGiB": 50})


def test_a_member_that_a_job_writes_replaces_the_defaults_whole() -> None:
    defaults = 'run_task = { group = "g", tags = [{ key = "a", value = "1" }] }'
    found = sent(file('{ tags = [{ key = "b", value = "2" }] }', defaults=defaults))
    assert (found["Group"], found["Tags"]) == ("g", [{"Key": "b", "Value": "2"}])


@pytest.mark.parametrize(
    ("ecs", "expected"),
    [
        ('launch_type = "EC2"', {"PropagateTags": "TASK_DEFINITION", "LaunchType": "EC2"}),
        ('launch_type = "EC2"\npropagate_tags = false\nmanaged_tags = true', {"EnableECSManagedTags": True, "LaunchType": "EC2"}),
        ('launch_type = "EC2"\nmanaged_tags = false', {"PropagateTags": "TASK_DEFINITION", "LaunchType": "EC2"}),
        ('launch_type = "CLUSTER"\npropagate_tags = false\nmanaged_tags = false', {}),
        ('launch_type = "CLUSTER"\nsubnets = ["subnet-1"]\nplatform_version = "1.4.0"\npropagate_tags = false\nmanaged_tags = false', {"PlatformVersion": "1.4.0", "NetworkConfiguration": {"AwsvpcConfiguration": {"Subnets": ["subnet-1"], "AssignPublicIp": "DISABLED"}}}),
    ],
)  # fmt: skip
def test_tags_are_on_unless_switched_off_and_the_clusters_default_is_no_launch_type(
    ecs: str, expected: dict[str, Any]
) -> None:
    found = sent(file("", ecs=ecs))
    assert {key: found[key] for key in found.keys() - {"Cluster", "TaskDefinition", "Overrides"}} == expected


def test_the_overrides_of_other_containers_count_among_the_characters() -> None:
    long = '{ overrides = { containerOverrides = [{ name = "s", command = ["' + "x" * 8_000 + '"] }] } }'
    (line,) = told(long)
    assert line.startswith("x:jobs.report.ecs: the task's overrides would have up to") or "8,192" in line
    assert "make command, environment and overrides at least" in line


# --- the rule, for whatever the model has -----------------------------------------------------------------


def leaves(of: Shape, path: str = "") -> list[tuple[str, Shape]]:
    """Every member of RunTask and its shape, by the path that `members` gives it."""
    if isinstance(of, StructureShape):
        found = []
        for key, inner in of.members.items():
            at = f"{path}.{key}" if path else key
            found += [(at, inner), *leaves(inner, at)]
        return found
    return leaves(of.member, path) if isinstance(of, ListShape) else []


def test_what_is_refused_is_there_and_what_is_there_can_be_written() -> None:
    """A new kind of member (a map, a blob) would need a decision: its names are no members."""
    everything = dict(leaves(members.shape()))
    assert members.KEYS.keys() | members.GUARDS.keys() <= everything.keys()
    kinds = {of.type_name for path, of in everything.items()}
    assert kinds <= {"structure", "list", "string", "integer", "boolean"}


def test_launch_type_has_every_word_of_run_tasks() -> None:
    for word in words(members.shape().members["launchType"]):
        task = f'launch_type = "{word}"\nsubnets = ["subnet-1"]'
        assert sent(file("", ecs=task))["LaunchType"] == word


def words(of: Shape) -> list[str]:
    """What a text of this shape may be; none if it may be anything."""
    return list(getattr(of, "enum", ()))


def values(of: Shape, path: str = "") -> st.SearchStrategy[Any]:
    """Values that RunTask takes, without what is refused."""
    if isinstance(of, StructureShape):
        inner = {}
        for key, member in of.members.items():
            at = f"{path}.{key}" if path else key
            if at not in members.KEYS and at not in members.GUARDS:
                inner[key] = values(member, at)
        wanted = {*of.required_members} & inner.keys() | (
            {"name"} if "containerOverrides" in path else set()
        ) & inner.keys()
        required = {key: inner.pop(key) for key in wanted}
        return st.fixed_dictionaries(required, optional=inner)
    if isinstance(of, ListShape):
        return st.lists(values(of.member, path), max_size=2)
    if of.type_name == "string":
        return st.sampled_from(words(of)) if words(of) else st.text("abc", min_size=1, max_size=4)
    return st.booleans() if of.type_name == "boolean" else st.integers(0, 1000)


def literal(value: Any) -> str:
    """A value as TOML has it."""
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return "{ " + ", ".join(f"{key} = {literal(inner)}" for key, inner in value.items()) + " }"
        case list():
            return "[" + ", ".join(map(literal, value)) + "]"
        case str():
            return f'"{value}"'
        case _:
            return str(value)


def stripped(value: Any) -> Any:
    """Back to RunTask's own names."""
    if isinstance(value, dict):
        return {key[0].lower() + key[1:]: stripped(inner) for key, inner in value.items()}
    return [stripped(inner) for inner in value] if isinstance(value, list) else value


@settings(derandomize=True, deadline=None, database=None, max_examples=examples(30))
@given(written=values(members.shape()))
def test_whatever_the_model_takes_reaches_run_task_under_its_own_name(written: dict[str, Any]) -> None:
    containers = written.get("overrides", {}).get("containerOverrides", [])
    for n, each in enumerate(containers):
        each["name"] = f"side-{n}"
    found = stripped(
        sent(
            file(
                literal(written),
                ecs="" if "capacityProviderStrategy" in written else 'launch_type = "EC2"\nsubnets = ["subnet-1"]',
            )
        )
    )
    for key in written.keys() - {"overrides", "networkConfiguration"}:
        assert found[key] == written[key]
    assert found["overrides"]["containerOverrides"][1:] == containers


# --- what the run's role may do ---------------------------------------------------------------------------


def granted(jobs: JobsFile, action: str) -> list[dict[str, Any]]:
    """The statements of the batch machines' roles that allow an action."""
    found = []
    for logical, resource in template.machines(jobs).items():
        if logical.startswith("BatchRole"):
            statements = resource["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
            found += [each for each in statements if action in each["Action"]]
    return found


def test_a_role_may_tag_the_tasks_it_runs_and_nothing_else() -> None:
    (statement,) = granted(file(""), "ecs:TagResource")
    assert statement["Resource"] == [{"Fn::Sub": "arn:${AWS::Partition}:ecs:${AWS::Region}:${AWS::AccountId}:task/c/*"}]
    assert statement["Condition"] == {"StringEquals": {"ecs:CreateAction": "RunTask"}}
    off = 'launch_type = "EC2"\npropagate_tags = false\nmanaged_tags = false'
    assert granted(file("", ecs=off), "ecs:TagResource") == []
    assert granted(file('{ tags = [{ key = "a", value = "b" }] }', ecs=off), "ecs:TagResource")


def test_the_role_of_a_volume_is_passed_to_ecs_itself() -> None:
    role = "arn:aws:iam::123456789012:role/volumes"
    volume = f'{{ volumeConfigurations = [{{ name = "v", managedEBSVolume = {{ roleArn = "{role}" }} }}] }}'
    (statement,) = granted(file(volume), "iam:PassRole")
    assert statement["Resource"] == [role]
    assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs.amazonaws.com"}}
