"""What [stage] puts on everything: tags, a boundary, log retention, logs and traces of the machines; or no trace."""

from typing import Any

import pytest

from chalicelib.config import blocks, limits
from chalicelib.config.jobs import JobsFile, JobsFileInvalid, parse
from chalicelib.names import Function
from guardctl import people, template
from tests.unit.test_limits import shapes

ROLE = "arn:aws:iam::123456789012:role/batch-guard-dev-{}-role"
BOUNDARY = "arn:aws:iam::123456789012:policy/boundary"
MANY = ", ".join(f'k{n} = "v"' for n in range(50))
ROLES: dict[Function, str] = {"check": ROLE.format("check"), "trigger": ROLE.format("trigger")}
EVERYTHING = f"""
tags = {{ team = "data" }}
permissions_boundary = "{BOUNDARY}"
log_retention_days = 30
machine_logging = "ERROR"
machine_tracing = true
"""


def file(stage: str = "", name: str = "dev") -> JobsFile:
    """A jobs file with these keys in [stage]."""
    job = '[jobs.{}]\nschedule = "rate(1 hour)"\necs = {{ cluster = "c", container = "app", task_definition = "{}", launch_type = "EC2" }}\n'
    alerts = '[alerts]\ntopic = "arn:aws:sns:ap-northeast-1:123456789012:alerts"\n'
    return parse(
        f"[stage]\n{stage}\n{job.format('report', 'r')}{job.format('import', 'i')}{alerts}", stage=name, place="x"
    )


def made(jobs: JobsFile) -> dict[str, Any]:
    """Everything that is made of a jobs file, both ways of deploying."""
    return {
        **template.stacks(jobs),
        "package": template.sam_extension(jobs),
        "policies": template.function_policies(jobs),
        "block": blocks.with_settings(blocks.block(jobs.stage), jobs, ROLES),
        "people": {role: people.policy(jobs, role) for role in people.ROLES},
    }


def resources(jobs: JobsFile, kind: str) -> dict[str, Any]:
    """The resources of a kind in all the stacks, and in what is merged into a pipeline's template."""
    found = {}
    for part, document in {**template.stacks(jobs), "package": template.sam_extension(jobs)}.items():
        for logical, resource in document["Resources"].items():
            if resource.get("Type") == kind:
                found[f"{part}/{logical}"] = resource
    return found


# --- no trace ---------------------------------------------------------------------------------------------


def test_what_is_not_asked_for_leaves_no_trace() -> None:
    plain = made(file())
    assert made(file("tags = {}\nmachine_tracing = false")) == plain
    text = str({**plain, "policies": None, "people": None})
    for word in (
        "Tags'",
        "Boundary",
        "LogGroup'",
        "Configuration'",
        "xray",
        "LogDelivery",
        "RoleName",
        "manage_iam_role",
    ):
        assert word not in text, word
    assert "functions" not in plain


@pytest.mark.parametrize("line", [line for line in EVERYTHING.splitlines() if line])
def test_each_key_leaves_one(line: str) -> None:
    assert made(file(line)) != made(file())


# --- what each puts there ---------------------------------------------------------------------------------


def test_every_role_has_the_boundary_in_both_ways_of_deploying() -> None:
    roles = resources(file(f'permissions_boundary = "{BOUNDARY}"'), "AWS::IAM::Role")
    assert {name.rpartition("/")[2] for name in roles} >= {"GuardMachineRole", "CheckRole", "TriggerRole"}
    assert {part.partition("/")[0] for part in roles} == {"functions", "machines", "package"}
    assert all(role["Properties"]["PermissionsBoundary"] == BOUNDARY for role in roles.values())


def test_the_functions_roles_do_what_chalices_would() -> None:
    jobs = file(f'permissions_boundary = "{BOUNDARY}"')
    roles = resources(jobs, "AWS::IAM::Role")
    for where in ("functions/", "package/"):
        for function, policy in template.function_policies(jobs).items():
            properties = roles[f"{where}{function.title()}Role"]["Properties"]
            assert properties["Policies"][0]["PolicyDocument"] == policy
            (trust,) = properties["AssumeRolePolicyDocument"]["Statement"]
            assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}
    assert roles["functions/CheckRole"]["Properties"]["RoleName"] == "batch-guard-dev-check-role"


def test_a_package_tags_the_functions_their_roles_and_what_it_nests() -> None:
    found = template.sam_extension(file('tags = { team = "data" }'))["Resources"]
    assert found["Check"]["Properties"]["Tags"] == {"team": "data"}
    as_list = [{"Key": "team", "Value": "data"}]
    assert [found[each]["Properties"]["Tags"] for each in ("CheckRole", "Machines", "Records")] == [as_list] * 3
    assert "Functions" not in found


def test_log_groups_of_the_functions_come_before_them_and_go_with_the_stage() -> None:
    jobs = file("log_retention_days = 30")
    found = template.sam_extension(jobs)["Resources"]
    assert found["Trigger"]["DependsOn"] == ["TriggerLogGroup"]
    group = {"LogGroupName": "/aws/lambda/batch-guard-dev-trigger", "RetentionInDays": 30}
    assert found["TriggerLogGroup"]["Properties"] == group
    for policy in template.function_policies(jobs).values():
        actions = [action for statement in policy["Statement"] for action in statement["Action"]]
        assert "logs:CreateLogGroup" not in actions, "a function would make it again"
        assert "logs:PutLogEvents" in actions


def test_the_machines_log_and_trace_and_their_roles_may() -> None:
    jobs = file('machine_logging = "ALL"\nmachine_tracing = true')
    for machine in resources(jobs, "AWS::StepFunctions::StateMachine").values():
        logging = machine["Properties"]["LoggingConfiguration"]
        assert (logging["Level"], logging["IncludeExecutionData"]) == ("ALL", False)
        assert machine["Properties"]["TracingConfiguration"] == {"Enabled": True}
    (group,) = resources(jobs, "AWS::Logs::LogGroup").values()
    assert group["Properties"] == {"LogGroupName": "/aws/vendedlogs/states/batch-guard-dev"}
    for role in resources(jobs, "AWS::IAM::Role").values():
        actions = str(role["Properties"]["Policies"])
        assert "logs:CreateLogDelivery" in actions
        assert "xray:PutTraceSegments" in actions


def test_a_deployer_may_do_what_the_keys_ask_for() -> None:
    def allowed(jobs: JobsFile) -> set[str]:
        return {a for statement in people.policy(jobs, "deployer")["Statement"] for a in statement["Action"]}

    more = allowed(file(EVERYTHING)) - allowed(file())
    assert {"iam:PutRolePermissionsBoundary", "cloudwatch:TagResource", "logs:PutRetentionPolicy"} <= more


# --- the block of .chalice/config.json --------------------------------------------------------------------

OWN: dict[str, dict[str, Any]] = {
    "check": {"iam_policy_file": "policy-dev-check.json"},
    "trigger": {"lambda_timeout": 120},
}
PRE_MADE = {f: {**OWN[f], "manage_iam_role": False, "iam_role_arn": arn} for f, arn in ROLES.items()}
THEIRS = {**OWN, "check": {**OWN["check"], "manage_iam_role": False, "iam_role_arn": "arn:aws:iam::123456789012:role/mine"}}  # fmt: skip
TAGGED = {"tags": {"team": "data"}, "from_jobs_file": ["tags"]}
TEAM, KEPT = 'tags = { team = "data" }', "log_retention_days = 30"


@pytest.mark.parametrize(
    ("block", "stage", "roles", "expected"),
    [
        pytest.param({"lambda_functions": OWN}, "", ROLES, {"lambda_functions": OWN}, id="nothing asked for"),
        pytest.param({"lambda_functions": OWN}, KEPT, ROLES, {"lambda_functions": OWN, "log_retention_in_days": 30, "from_jobs_file": ["log_retention_in_days"]}, id="log retention"),
        pytest.param({"lambda_functions": OWN}, TEAM, ROLES, {"lambda_functions": PRE_MADE, **TAGGED}, id="tags: and roles that can have them"),
        pytest.param({"lambda_functions": OWN}, TEAM, None, {"lambda_functions": OWN, **TAGGED}, id="the account is not known"),
        pytest.param({"lambda_functions": PRE_MADE, **TAGGED}, TEAM, None, {"lambda_functions": PRE_MADE, **TAGGED}, id="nor later"),
        pytest.param({"lambda_functions": PRE_MADE, **TAGGED}, "", None, {"lambda_functions": OWN}, id="taken out again"),
        pytest.param({"lambda_functions": OWN, "tags": {"a": "b"}}, "", ROLES, {"lambda_functions": OWN, "tags": {"a": "b"}}, id="tags that somebody has written there"),
        pytest.param({"lambda_functions": THEIRS}, TEAM, ROLES, {"lambda_functions": {"check": THEIRS["check"], "trigger": PRE_MADE["trigger"]}, **TAGGED}, id="a role that somebody has named"),
        pytest.param({"lambda_functions": THEIRS}, "", ROLES, {"lambda_functions": THEIRS}, id="and nothing asked for"),
    ],
)  # fmt: skip
def test_the_block_says_what_the_jobs_file_says(
    block: dict[str, Any], stage: str, roles: dict[Any, str] | None, expected: dict[str, Any]
) -> None:
    assert blocks.with_settings(block, file(stage), roles) == expected


# --- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('tags = "x"', 'stage.tags: is a string, not a table; write a table, { team = "data" }'),
        ("tags = { team = 1 }", "stage.tags.team: is an integer, not a string"),
        ('tags = { "aws:x" = "y" }', 'stage.tags."aws:x": "aws:x" is not valid; write letters, digits'),
        ('tags = { a = "b|c" }', 'stage.tags.a: "b|c" is not valid; write at most 256'),
        (f"tags = {{ {MANY} }}", "stage.tags: has 50 tags and AWS takes 49; leave out 1"),
        ('permissions_boundary = "boundary"', 'stage.permissions_boundary: "boundary" is not valid; write the policy\'s ARN'),
        ('permissions_boundary = "arn:aws:iam::210987654321:policy/b"\n[defaults.ecs]\ntask_role = "arn:aws:iam::123456789012:role/r"', "is in account"),
        ("log_retention_days = 31", "stage.log_retention_days: 31 days are none that CloudWatch Logs has; write 60: it has 1, 3"),
        ("log_retention_days = 99999", "write 3653: it has"),
        ('log_retention_days = "30d"', "stage.log_retention_days: is a string, not an integer"),
        ('machine_logging = "DEBUG"', 'stage.machine_logging: "DEBUG" is not valid; write "ALL", "ERROR" or "FATAL"'),
        ('machine_tracing = "on"', "stage.machine_tracing: is a string, not a boolean"),
        ("tag = {}", 'stage.tag: is not a known key; did you mean "tags"?'),
    ],
)  # fmt: skip
def test_a_fault_has_its_place_and_what_would_be_right(written: str, expected: str) -> None:
    with pytest.raises(JobsFileInvalid) as invalid:
        file(written)
    (line,) = str(invalid.value).splitlines()
    assert expected in line


def test_a_stage_whose_roles_would_have_too_long_a_name_is_refused() -> None:
    longest = "s" * 43
    assert file(name=longest)
    with pytest.raises(JobsFileInvalid, match="the name of the function's role would have 68 characters"):
        file('tags = { a = "b" }', name=longest)


def test_the_limits_are_what_the_models_say() -> None:
    words = shapes("logs")["PutRetentionPolicyRequest"]["members"]
    assert words.keys() == {"logGroupName", "retentionInDays"}
    documented = shapes("logs")["Days"]["documentation"]
    assert all(f"{days}" in documented for days in limits.LOG_DAYS)
    assert shapes("iam")["policyNameType"]["max"] == limits.POLICY_NAME.most
    assert set(shapes("stepfunctions")["LogLevel"]["enum"]) == {"ALL", "ERROR", "FATAL", "OFF"}
