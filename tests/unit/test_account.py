"""`guardctl verify`: a jobs file held against an account that is described here, an answer per operation."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError

from guardctl import people
from guardctl.stage import Stage
from guardctl.verifying import placement, verification
from guardctl.verifying.findings import Unread
from guardctl.verifying.policies import Caller, allows
from guardctl.verifying.task import task_of
from guardctl.verifying.verification import Verification
from tests.documents import ROOT
from tests.scripted import DENIED, Answer, Asked, Refusal, Scripted

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)  # a Monday
ACCOUNT, REGION = "123456789012", "ap-northeast-1"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:batch-alerts"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234"
ECR = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
TASK_ROLE, EXECUTION_ROLE = (f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("report-task", "batch-execution"))

JOBS = f"""
[defaults.ecs]
cluster = "batch"
container = "app"
subnets = ["subnet-a", "subnet-b"]
security_groups = ["sg-a"]
pass_roles = ["{TASK_ROLE}", "{EXECUTION_ROLE}"]

[jobs.nightly-report]
schedule = "cron(0 3 * * ? *)"
timezone = "Asia/Tokyo"
ecs = {{ task_definition = "report" }}
"""
ALERTS = f'[alerts]\ntopic = "{TOPIC}"\n'
TELLS = ALERTS + 'tell = ["failed"]\n'

DEFINITION: dict[str, Any] = {
    "taskDefinitionArn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/report:7",
    "family": "report",
    "revision": 7,
    "status": "ACTIVE",
    "networkMode": "awsvpc",
    "compatibilities": ["EC2", "FARGATE"],
    "requiresCompatibilities": ["FARGATE"],
    "cpu": "1024",
    "taskRoleArn": TASK_ROLE,
    "executionRoleArn": EXECUTION_ROLE,
    "containerDefinitions": [
        {
            "name": "app",
            "image": f"{ECR}/report:v7",
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {"awslogs-group": "/ecs/report", "awslogs-region": REGION},
            },
        }
    ],
}
CLUSTER = {
    "clusterName": "batch",
    "status": "ACTIVE",
    "capacityProviders": ["FARGATE", "FARGATE_SPOT"],
    "defaultCapacityProviderStrategy": [],
    "registeredContainerInstancesCount": 0,
}
OPEN = json.dumps(
    {
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": ["SNS:Publish", "SNS:Subscribe"],
                "Resource": TOPIC,
                "Condition": {"StringEquals": {"AWS:SourceOwner": ACCOUNT}},
            }
        ]
    }
)


def opened_to(*services: str, actions: list[str], **more: Any) -> str:
    """A policy with one statement for these services."""
    statement = {"Effect": "Allow", "Principal": {"Service": [*services]}, "Action": actions, "Resource": "*", **more}
    return json.dumps({"Statement": [statement]})


KEY_OPEN = opened_to("cloudwatch.amazonaws.com", actions=["kms:Decrypt", "kms:GenerateDataKey*"])


def definition(**more: Any) -> Answer:
    """DescribeTaskDefinition, of any family, with some keys otherwise."""

    def answer(asked: Asked) -> Any:
        family, _, revision = asked["taskDefinition"].partition(":")
        about = {"family": family, "revision": int(revision or 7)}
        arn = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{family}:{about['revision']}"
        return {"taskDefinition": {**DEFINITION, **about, "taskDefinitionArn": arn, **more}}

    return answer


def containers(**more: Any) -> Answer:
    """DescribeTaskDefinition, whose one container has some keys otherwise."""
    return definition(containerDefinitions=[{**DEFINITION["containerDefinitions"][0], **more}])


def cluster(**more: Any) -> Answer:
    """DescribeClusters: the one cluster there is, with some keys otherwise."""
    return lambda asked: {"clusters": [{**CLUSTER, **more}] if "batch" in asked["clusters"] else [], "failures": []}


def filtered(key: str, identity: str, vpcs: Mapping[str, str]) -> Answer:
    """What EC2 answers to a filter by ID."""
    return lambda asked: {
        key: [{identity: one, "VpcId": vpcs[one]} for one in asked["Filters"][0]["Values"] if one in vpcs]
    }


def images(*there: str) -> Answer:
    """DescribeImages of repositories that have these tags: refused as soon as one is missing, which is named."""

    def answer(asked: Asked) -> Any:
        tags = [image.get("imageTag") or image["imageDigest"] for image in asked["imageIds"]]
        if missing := [tag for tag in tags if tag not in there]:
            said = f"The image with imageId {{imageDigest:'null', imageTag:'{missing[0]}'}} does not exist"
            raise Refusal("ImageNotFoundException", said)
        return {"imageDetails": [{"imageTags": [tag]} for tag in tags]}

    return answer


def simulated(denied: str = "", later: bool = False) -> Answer:
    """SimulatePrincipalPolicy: `denied` is not allowed, with `later` only as long as no policy is added."""

    def answer(asked: Asked) -> Any:
        def one(action: str, resource: str) -> dict[str, str]:
            refused = action == denied and not (later and "PolicyInputList" in asked)
            decision = "implicitDeny" if refused else "allowed"
            return {"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": decision}

        results = [one(action, resource) for action in asked["ActionNames"] for resource in asked["ResourceArns"]]
        return {"EvaluationResults": results, "IsTruncated": False}

    return answer


def quotas(**values: float) -> Answer:
    """ListServiceQuotas of both services."""
    named = {
        "vcpu": "Fargate On-Demand vCPU resource count",
        "spot": "Fargate Spot vCPU resource count",
        "burst": "ListExecutions throttle token bucket size",
        "refill": "ListExecutions throttle token refill rate per second",
    }
    given = {"vcpu": 100.0, "spot": 100.0, "burst": 100.0, "refill": 2.0, **values}
    return lambda _: {"Quotas": [{"QuotaName": named[key], "Value": value} for key, value in given.items()]}


def refuses(refusal: Refusal) -> Answer:
    """An operation that is refused."""

    def answer(_: Asked) -> Any:
        raise refusal

    return answer


WELL: dict[str, Answer] = {
    "GetCallerIdentity": lambda _: {"Arn": f"arn:aws:iam::{ACCOUNT}:user/me", "Account": ACCOUNT, "UserId": "me"},
    "DescribeClusters": cluster(),
    "DescribeTaskDefinition": definition(),
    "DescribeSubnets": filtered("Subnets", "SubnetId", {"subnet-a": "vpc-1", "subnet-b": "vpc-1"}),
    "DescribeSecurityGroups": filtered("SecurityGroups", "GroupId", {"sg-a": "vpc-1"}),
    "DescribeImages": images("v7"),
    "DescribeLogGroups": lambda asked: {"logGroups": [{"logGroupName": name} for name in asked["logGroupIdentifiers"]]},
    "DescribeStateMachine": lambda asked: {
        "stateMachineArn": asked["stateMachineArn"],
        "name": "x",
        "definition": "{}",
        "type": "STANDARD",
        "creationDate": NOW,
        "roleArn": f"arn:aws:iam::{ACCOUNT}:role/batch-guard-dev-machines-x",
    },
    "SimulatePrincipalPolicy": simulated(),
    "GetTopicAttributes": lambda _: {"Attributes": {"Policy": OPEN}},
    "GetAccountSettings": lambda _: {"AccountLimit": {"UnreservedConcurrentExecutions": 1000}},
    "ListServiceQuotas": quotas(),
}


def verified(
    directory: Path, answers: Mapping[str, Answer] = WELL, jobs: str = JOBS, job: str | None = None
) -> tuple[Verification, Scripted]:
    """The jobs file held against the account."""
    (directory / "dev.toml").write_text(jobs, encoding="utf-8")
    aws, stage = Scripted(answers), Stage("dev", directory)
    vars(stage)["session"] = aws.session
    return verification.verify(stage, NOW, job), aws


def told(found: Verification, *verdicts: Any) -> list[str]:
    """The findings of these verdicts as lines."""
    return [f"{each.verdict} {each.what}: {each.reason}" for _, each in found.findings(*verdicts)]


@pytest.mark.thorough
def test_what_is_well_is_ok_and_each_ok_was_read(tmp_path: Path) -> None:
    found, _ = verified(tmp_path, jobs=JOBS + ALERTS)
    assert told(found, "OK", "NG", "SKIP") == [
        "OK cluster batch: ACTIVE",
        "OK task definition report:7: ACTIVE, the newest of its family",
        "OK container app: in the task definition",
        "OK task role report-task: may be passed",
        "OK execution role batch-execution: may be passed",
        "OK launch type FARGATE: the task definition is compatible with EC2, FARGATE",
        "OK network mode awsvpc: with subnets",
        "OK subnets subnet-a, subnet-b: of vpc-1",
        "OK security group sg-a: of vpc-1",
        "OK image report:v7: in its repository",
        "OK log group /ecs/report: there",
        "OK permissions of its machine: ecs:RunTask, iam:PassRole: allowed, as IAM simulates it",
        "OK permissions of batch-guard-dev: lambda:InvokeFunction, states:StartExecution: allowed, as IAM simulates it",
        "OK topic batch-alerts: there",
        "OK CloudWatch's alarms may publish: by the topic's policy",
        "OK Lambda concurrency: 1,000 are not reserved; up to 3 are needed at once",
        "OK ListExecutions, by which starts are spaced: planned with 100 and 2 a second; the account has 100 and 2",
        "OK Fargate On-Demand vCPU: 1 vCPU are needed at once (Mon 18:00 UTC: nightly-report); the account has 100",
    ]


TOPIC_GONE: dict[str, Answer] = {"GetTopicAttributes": refuses(Refusal("NotFound", "Topic does not exist"))}


def encrypted(key: str, **metadata: Any) -> dict[str, Answer]:
    """A topic with this key, whose policy is open to CloudWatch."""
    about = {"KeyId": "1234", "Arn": KEY, "KeyManager": "CUSTOMER", "KeyState": "Enabled", **metadata}
    return {
        "GetTopicAttributes": lambda _: {"Attributes": {"Policy": OPEN, "KmsMasterKeyId": key}},
        "DescribeKey": lambda _: {"KeyMetadata": about},
        "GetKeyPolicy": lambda _: {"Policy": KEY_OPEN},
    }


def denying(policy: str) -> str:
    """The policy with a statement that denies everything to everybody."""
    closed = {"Sid": "Closed", "Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*"}
    return json.dumps({"Statement": [*json.loads(policy)["Statement"], closed]})


def with_topic_policy(policy: str) -> dict[str, Answer]:
    """A topic with this policy."""
    return {"GetTopicAttributes": lambda _: {"Attributes": {"Policy": policy}}}


SPOT = JOBS.replace('container = "app"', 'container = "app"\ncapacity_provider = "FARGATE_SPOT"')
EC2 = JOBS.replace('container = "app"', 'container = "app"\nlaunch_type = "EC2"')
PINNED = JOBS.replace('"report"', '"report:5"')
OLD_PLATFORM = JOBS.replace('container = "app"', 'container = "app"\nplatform_version = "1.3.0"')

WRONG: list[tuple[str, str, dict[str, Answer], list[str]]] = [
    # what is wrong, the jobs file, what the account answers otherwise, what is said of it
    ("no such cluster", JOBS, {"DescribeClusters": lambda _: {"clusters": [], "failures": []}}, ["NG cluster batch: is not in this account and Region"]),
    ("a cluster that was deleted", JOBS, {"DescribeClusters": cluster(status="INACTIVE")}, ["NG cluster batch: is INACTIVE: no task can be started there"]),
    ("no such family", JOBS, {"DescribeTaskDefinition": refuses(Refusal("ClientException", "Unable to describe"))}, ["NG task definition report: has no ACTIVE revision in this account and Region"]),
    ("no such revision", PINNED, {"DescribeTaskDefinition": refuses(Refusal("ClientException", "Unable to describe"))}, ["NG task definition report:5: has no such revision in this account and Region"]),
    ("a revision that was deregistered", PINNED, {"DescribeTaskDefinition": definition(status="INACTIVE")}, ["NG task definition report:5: is INACTIVE, and RunTask takes ACTIVE ones only; name another revision, or the family alone for its newest"]),
    ("a container of another name", JOBS, {"DescribeTaskDefinition": containers(name="web")}, ["NG container app: is not in the task definition, which has web"]),
    ("a role that may not be passed", JOBS, {"DescribeTaskDefinition": definition(taskRoleArn=f"arn:aws:iam::{ACCOUNT}:role/other")}, [f"NG task role other: the task definition names it, and it may not be passed: add arn:aws:iam::{ACCOUNT}:role/other to pass_roles"]),
    ("a definition for EC2 alone", JOBS, {"DescribeTaskDefinition": definition(compatibilities=["EC2"], requiresCompatibilities=["EC2"])}, ["NG launch type FARGATE: the task definition is compatible with EC2 only"]),
    ("a network mode that Fargate has not", JOBS, {"DescribeTaskDefinition": definition(networkMode="bridge")}, ["NG network mode bridge: Fargate takes awsvpc only"]),
    ("subnets that a bridge has no use for", EC2, {"DescribeTaskDefinition": definition(networkMode="bridge"), "DescribeClusters": cluster(registeredContainerInstancesCount=2)}, ["NG network mode bridge: RunTask refuses subnets for it: leave them out (subnets = [] if [defaults.ecs] has some)"]),
    ("a network mode that needs subnets", EC2.replace('subnets = ["subnet-a", "subnet-b"]\nsecurity_groups = ["sg-a"]\n', ""), {"DescribeClusters": cluster(registeredContainerInstancesCount=2)}, ["NG network mode awsvpc: needs a network: write subnets"]),
    ("a capacity provider that the cluster has not", SPOT, {"DescribeClusters": cluster(capacityProviders=["FARGATE"])}, ["NG capacity provider FARGATE_SPOT: is not associated with cluster batch; it has FARGATE"]),
    ("a cluster without instances", EC2, {}, ["SKIP container instances: the cluster has none now; RunTask is tried again until a start's deadline, so it must scale by then"]),
    ("EFS on an old platform", OLD_PLATFORM, {"DescribeTaskDefinition": definition(volumes=[{"name": "data", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}])}, ["NG platform version 1.3.0: the EFS volume data needs 1.4.0 or newer"]),
    ("a subnet that is gone", JOBS, {"DescribeSubnets": filtered("Subnets", "SubnetId", {"subnet-a": "vpc-1"})}, ["NG subnets subnet-a, subnet-b: not in this account and Region: subnet-b"]),
    ("subnets of two VPCs", JOBS, {"DescribeSubnets": filtered("Subnets", "SubnetId", {"subnet-a": "vpc-1", "subnet-b": "vpc-2"})}, ["NG subnets subnet-a, subnet-b: are of several VPCs: vpc-1 has subnet-a; vpc-2 has subnet-b"]),
    ("a security group of another VPC", JOBS, {"DescribeSecurityGroups": filtered("SecurityGroups", "GroupId", {"sg-a": "vpc-2"})}, ["NG VPC: subnets and security groups are of different ones: vpc-1 has subnet-a, subnet-b; vpc-2 has sg-a"]),
    ("an image that was never pushed", JOBS, {"DescribeImages": images("v6")}, [f"NG image report:v7: is not in the registry of {ACCOUNT} in {REGION}: no task can be started with it"]),
    ("no such repository", JOBS, {"DescribeImages": refuses(Refusal("RepositoryNotFoundException"))}, [f"NG image report:v7: is not in the registry of {ACCOUNT} in {REGION}: no task can be started with it"]),
    ("an image elsewhere", JOBS, {"DescribeTaskDefinition": containers(image="public.ecr.aws/x/report:v7")}, ["SKIP image public.ecr.aws/x/report:v7: is not in ECR, and only ECR is asked"]),
    ("no log group", JOBS, {"DescribeLogGroups": lambda _: {"logGroups": []}}, ["NG log group /ecs/report: does not exist, and a container whose driver has no log group does not start"]),
    ("a role without RunTask", JOBS, {"SimulatePrincipalPolicy": simulated("ecs:RunTask")}, [f"NG permissions of its machine: ecs:RunTask on arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/report:7 is not allowed"]),
    ("a role that gets RunTask with the next deployment", JOBS, {"SimulatePrincipalPolicy": simulated("ecs:RunTask", later=True)}, [f"SKIP permissions of its machine: not yet: ecs:RunTask on arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/report:7; the policy that a deployment writes allows it"]),
    ("a stage that is not deployed", JOBS, {"DescribeStateMachine": refuses(Refusal("StateMachineDoesNotExist"))}, ["SKIP permissions of its machine: not deployed yet: the deployment makes its role", "SKIP permissions of batch-guard-dev: not deployed yet: the deployment makes its role"]),
    ("no such topic", JOBS + ALERTS, TOPIC_GONE, [f"NG topic batch-alerts: {TOPIC} does not exist: nobody would be told anything"]),
    ("a topic for others", JOBS + ALERTS, with_topic_policy(opened_to("events.amazonaws.com", actions=["sns:Publish"])), ["NG CloudWatch's alarms may publish: the topic's policy allows it nowhere; allow cloudwatch.amazonaws.com sns:Publish in the topic's policy"]),
    ("a topic whose condition nobody here knows", JOBS + ALERTS, with_topic_policy(opened_to("cloudwatch.amazonaws.com", actions=["sns:*"], Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})), ["SKIP CloudWatch's alarms may publish: the topic's policy can't be judged here: the condition IpAddress aws:SourceIp"]),
    ("a topic with AWS's own key", JOBS + ALERTS, encrypted("alias/aws/sns"), ["NG key alias/aws/sns of the topic: is managed by AWS, and can't be opened for CloudWatch: no alarm would arrive; encrypt the topic with a key of your own, whose policy lets cloudwatch.amazonaws.com use it"]),
    ("a topic with AWS's own key by its ID", JOBS + ALERTS, encrypted("1234", KeyManager="AWS"), ["NG key 1234 of the topic: is managed by AWS, and can't be opened for CloudWatch: no alarm would arrive"]),
    ("a key that is closed to CloudWatch", JOBS + ALERTS, {**encrypted("1234"), "GetKeyPolicy": lambda _: {"Policy": opened_to("sns.amazonaws.com", actions=["kms:*"])}}, ["NG key 1234 of the topic: its policy does not let CloudWatch's alarms use it: kms:GenerateDataKey, kms:Decrypt; " + 'add the statement {"Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"}, "Action": ["kms:GenerateDataKey*", "kms:Decrypt"], "Resource": "*"}']),
    ("a key that a statement denies", JOBS + ALERTS, {**encrypted("1234"), "GetKeyPolicy": lambda _: {"Policy": denying(KEY_OPEN)}}, ["NG key 1234 of the topic: its policy denies its use to CloudWatch's alarms: Closed"]),
    ("a key that is closed to the machine that tells", JOBS + TELLS, encrypted("1234"), ["NG key 1234 of the topic: its policy does not let the machine that tells use it: kms:GenerateDataKey, kms:Decrypt; " + f'add the statement {{"Effect": "Allow", "Principal": {{"AWS": "arn:aws:iam::{ACCOUNT}:root"}}, "Action": ["kms:GenerateDataKey*", "kms:Decrypt"], "Resource": "*"}}']),
    ("a key that is about to go", JOBS + ALERTS, encrypted("1234", KeyState="PendingDeletion"), ["NG key 1234 of the topic: is PendingDeletion: nothing can be published"]),
    ("a new account's Lambda", JOBS, {"GetAccountSettings": lambda _: {"AccountLimit": {"UnreservedConcurrentExecutions": 2}}}, ["NG Lambda concurrency: 2 are not reserved, and up to 3 are needed at once: ask AWS for more"]),
    ("a smaller bucket than planned", JOBS, {"ListServiceQuotas": quotas(burst=50)}, ["NG ListExecutions, by which starts are spaced: planned with 100 and 2 a second, and the account has 50 and 2: write [stage] quotas = { ListExecutions = [50, 2] }"]),
    ("a task larger than Fargate's quota", JOBS, {"ListServiceQuotas": quotas(vcpu=0)}, ["NG Fargate On-Demand vCPU: nightly-report takes 1 vCPU and the account has 0: it can never be started"]),
]  # fmt: skip


@pytest.mark.parametrize(("jobs", "otherwise", "said"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_what_can_not_work_is_ng_and_what_is_not_known_is_skip(
    tmp_path: Path, jobs: str, otherwise: dict[str, Answer], said: list[str]
) -> None:
    found, _ = verified(tmp_path, {**WELL, **otherwise}, jobs)
    assert told(found, "NG", "SKIP") == said


def test_a_key_that_is_open_to_cloudwatch_is_ok(tmp_path: Path) -> None:
    found, _ = verified(tmp_path, {**WELL, **encrypted("alias/mine")}, JOBS + ALERTS)
    assert "OK key alias/mine of the topic: its policy lets CloudWatch's alarms use it" in told(found, "OK")
    assert not told(found, "NG", "SKIP")


@pytest.mark.parametrize("who", ["root", "role"])
def test_a_key_is_open_to_the_machine_that_tells_by_its_account_or_its_role(tmp_path: Path, who: str) -> None:
    let_in = f"arn:aws:iam::{ACCOUNT}:" + ("root" if who == "root" else "role/batch-guard-dev-machines-x")
    for_it = {"StringEquals": {"kms:EncryptionContext:aws:sns:topicArn": TOPIC}}
    more = {"Effect": "Allow", "Principal": {"AWS": let_in}, "Action": "kms:*", "Resource": "*", "Condition": for_it}
    policy = json.dumps({"Statement": [*json.loads(KEY_OPEN)["Statement"], more]})
    answers = {**WELL, **encrypted("1234"), "GetKeyPolicy": lambda _: {"Policy": policy}}
    found, _ = verified(tmp_path, answers, JOBS + TELLS)
    assert "OK key 1234 of the topic: its policy lets the machine that tells use it" in told(found, "OK")
    assert not told(found, "NG", "SKIP")


def test_a_group_that_the_driver_makes_need_not_be_there(tmp_path: Path) -> None:
    options = {"awslogs-group": "/ecs/report", "awslogs-region": REGION, "awslogs-create-group": "true"}
    answers = {
        **WELL,
        "DescribeTaskDefinition": containers(logConfiguration={"logDriver": "awslogs", "options": options}),
    }
    found, aws = verified(tmp_path, {**answers, "DescribeLogGroups": refuses(DENIED)})
    assert not told(found, "NG", "SKIP")
    assert not aws.counted["DescribeLogGroups"]


READS = [*sorted(WELL.keys() - {"GetCallerIdentity"}), "DescribeKey", "GetKeyPolicy"]


@pytest.mark.parametrize(
    "refusal", [DENIED, Refusal("ThrottlingException", "Rate exceeded")], ids=["denied", "throttled"]
)
@pytest.mark.parametrize("operation", READS)
def test_what_may_not_be_read_is_skipped_with_its_reason(tmp_path: Path, operation: str, refusal: Refusal) -> None:
    answers = {**WELL, **encrypted("1234"), operation: refuses(refusal)}
    found, _ = verified(tmp_path, answers, JOBS + ALERTS)
    assert found.answered
    assert not told(found, "NG")
    skipped = told(found, "SKIP")
    assert any(operation in line and ("is denied" in line or "Rate exceeded" in line) for line in skipped), skipped


def test_who_may_read_nothing_has_no_ok(tmp_path: Path) -> None:
    found, _ = verified(tmp_path, {"GetCallerIdentity": WELL["GetCallerIdentity"]}, JOBS + ALERTS)
    assert not found.answered
    assert not told(found, "OK", "NG")


def test_without_credentials_nothing_is_asked(tmp_path: Path) -> None:
    def nobody(_: Asked) -> Any:
        raise NoCredentialsError

    with pytest.raises(NoCredentialsError):
        verified(tmp_path, {**WELL, "GetCallerIdentity": nobody})


FORTY = JOBS.partition("[jobs.")[0] + "".join(
    f'[jobs.job-{n}]\nschedule = "cron({n} 3 * * ? *)"\necs = {{ task_definition = "family-{n}" }}\n' for n in range(40)
)


def each_its_image(asked: Asked) -> Any:
    """A task definition whose image has a tag of its own."""
    return containers(image=f"{ECR}/batch:{asked['taskDefinition']}")(asked)


def test_forty_jobs_take_sixty_calls_at_most(tmp_path: Path) -> None:
    tags = [f"family-{n}" for n in range(40)]
    answers = {**WELL, **encrypted("1234"), "DescribeTaskDefinition": each_its_image, "DescribeImages": images(*tags)}
    found, aws = verified(tmp_path, answers, FORTY + ALERTS)
    assert not told(found, "NG", "SKIP")
    assert found.calls == len(aws.calls) <= 60
    assert aws.counted["DescribeTaskDefinition"] == 40
    once = ("DescribeClusters", "DescribeSubnets", "DescribeSecurityGroups", "DescribeImages", "DescribeLogGroups")
    assert [aws.counted[name] for name in once] == [1] * 5


def test_of_one_repository_every_missing_image_is_named(tmp_path: Path) -> None:
    answers = {**WELL, "DescribeTaskDefinition": each_its_image, "DescribeImages": images("family-1", "family-2")}
    found, aws = verified(tmp_path, answers, FORTY.partition("[jobs.job-4]")[0])
    assert [line.partition(":")[2].partition(":")[0] for line in told(found, "NG")] == ["family-0", "family-3"]
    assert aws.counted["DescribeImages"] == 3


def test_one_job_alone_is_asked_about_alone(tmp_path: Path) -> None:
    found, aws = verified(tmp_path, {**WELL, "DescribeTaskDefinition": each_its_image}, FORTY + ALERTS, "job-7")
    assert [subject.job for subject in found.subjects] == ["job-7"]
    assert aws.counted["DescribeTaskDefinition"] == 1
    assert not {"GetTopicAttributes", "GetAccountSettings", "ListServiceQuotas"} & aws.counted.keys()


def test_the_jobs_of_one_minute_are_weighed_together(tmp_path: Path) -> None:
    together = FORTY.replace("cron(1 3", "cron(0 3")
    found, _ = verified(tmp_path, {**WELL, "ListServiceQuotas": quotas(vcpu=1)}, together)
    (said,) = [line for line in told(found, "NG") if "Fargate" in line]
    assert said.endswith("03:00 UTC: job-0, job-1), and the account has 1")


def test_a_viewer_may_ask_all_of_it_and_the_page_lists_it(tmp_path: Path) -> None:
    answers = {**WELL, **encrypted("1234")}
    found, aws = verified(tmp_path, answers, JOBS + ALERTS)
    service = {
        "DescribeClusters": "ecs", "DescribeTaskDefinition": "ecs", "DescribeSubnets": "ec2", "DescribeSecurityGroups": "ec2",
        "DescribeImages": "ecr", "DescribeLogGroups": "logs", "DescribeStateMachine": "states", "SimulatePrincipalPolicy": "iam",
        "GetTopicAttributes": "sns", "DescribeKey": "kms", "GetKeyPolicy": "kms", "GetAccountSettings": "lambda",
        "ListServiceQuotas": "servicequotas",
    }  # fmt: skip
    (tmp_path / "dev.toml").write_text(JOBS + ALERTS, encoding="utf-8")
    policy = people.policy(Stage("dev", tmp_path).file, "viewer")
    allowed = {action for statement in policy["Statement"] for action in statement["Action"]}
    asked = {f"{service[name]}:{name}" for name in aws.counted if name != "GetCallerIdentity"}
    assert asked <= allowed
    told = re.findall("`([a-z0-9]+:[A-Z][A-Za-z]+)`", (ROOT / "docs" / "verify.md").read_text(encoding="utf-8"))
    assert asked - {"states:DescribeStateMachine"} == set(told)
    assert found.answered


def test_the_json_counts_what_it_lists(tmp_path: Path) -> None:
    (tmp_path / "dev.toml").write_text(JOBS, encoding="utf-8")
    stage = Stage("dev", tmp_path)
    vars(stage)["session"] = Scripted({**WELL, "DescribeClusters": cluster(status="INACTIVE")}).session
    said: Any = verification.as_json(stage, verification.verify(stage, NOW))
    assert (said["account"], said["region"], said["ok"]) == (ACCOUNT, REGION, False)
    listed = [each["verdict"] for subject in said["subjects"] for each in subject["findings"]]
    assert said["counts"] == {verdict: listed.count(verdict) for verdict in ("OK", "NG", "SKIP")}
    assert [subject["job"] for subject in said["subjects"]] == ["nightly-report", None]


@pytest.mark.parametrize(
    ("described", "said"),
    [
        ({"defaultCapacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT"}]}, ["OK capacity provider FARGATE_SPOT", "OK launch type FARGATE"]),
        ({"defaultCapacityProviderStrategy": [{"capacityProvider": "gone"}]}, ["NG capacity provider gone", "OK launch type EC2"]),
        ({}, ["SKIP container instances", "OK launch type EC2"]),
        (None, ["SKIP launch type"]),
    ],
    ids=["Fargate", "a provider that is gone", "none: EC2", "a cluster that was not read"],
)  # fmt: skip
def test_without_a_launch_type_the_clusters_default_is_judged(
    tmp_path: Path, described: dict[str, Any] | None, said: list[str]
) -> None:
    (tmp_path / "dev.toml").write_text(JOBS, encoding="utf-8")
    file = Stage("dev", tmp_path).file
    task = replace(task_of(file, file.jobs["nightly-report"]), launch_type=None)
    clusters: Any = Unread("denied") if described is None else {"batch": {**CLUSTER, **described}}
    found = [f"{each.verdict} {each.what}" for each in placement.judge(task, DEFINITION, clusters)]
    assert [line for line in found if "network mode" not in line] == said


# --- policies ---------------------------------------------------------------------------------------------

ALARMS = Caller(
    "alarms",
    frozenset({("Service", "cloudwatch.amazonaws.com")}),
    {"aws:sourceaccount": (ACCOUNT,), "aws:sourcearn": ("arn:a:alarm:x-1", "arn:a:alarm:x-2")},
)
ALLOW: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"}, "Action": "sns:Publish", "Resource": "t"}  # fmt: skip
DENY_OTHERS = {"Effect": "Deny", "Principal": "*", "Action": "sns:*", "Resource": "*"}


@pytest.mark.parametrize(
    ("statements", "answer"),
    [
        ([], "no statement"),
        ([ALLOW], "allowed"),
        ([{**ALLOW, "Action": "SNS:Pub*"}], "allowed"),
        ([{**ALLOW, "Action": "sns:Subscribe"}], "no statement"),
        ([{**ALLOW, "Resource": "other"}], "no statement"),
        ([{**ALLOW, "Principal": "*"}], "allowed"),
        ([{**ALLOW, "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}], "no statement"),
        ([{**ALLOW, "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}}], "allowed"),
        ([{**ALLOW, "Condition": {"StringEquals": {"aws:SourceAccount": "999999999999"}}}], "no statement"),
        ([{**ALLOW, "Condition": {"ArnLike": {"aws:SourceArn": "arn:a:alarm:x-*"}}}], "allowed"),
        ([{**ALLOW, "Condition": {"ArnLike": {"aws:SourceArn": "arn:a:alarm:x-1"}}}], "no statement"),
        ([{**ALLOW, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}], "unsure"),
        ([ALLOW, DENY_OTHERS], "denied"),
        ([ALLOW, {**DENY_OTHERS, "NotAction": "sns:Publish", "Action": []}], "allowed"),
        ([ALLOW, {**DENY_OTHERS, "Condition": {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}}], "unsure"),
        ([{**ALLOW, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}, ALLOW], "allowed"),
    ],
    ids=["none", "named", "another case and a star", "another action", "another resource", "everybody", "an account is no service", "its account", "another account", "all its alarms", "one alarm of two", "an unknown key", "a denial wins", "a denial of other things", "an unknown denial", "one statement is enough"],
)  # fmt: skip
def test_a_policy_lets_in_whom_it_names(statements: list[Any], answer: str) -> None:
    assert allows(json.dumps({"Statement": statements}), ALARMS, "sns:Publish", "t")[0] == answer


@pytest.mark.parametrize("text", ["", "{}", "[]", "no JSON"])
def test_a_policy_that_can_not_be_read_is_no_answer(text: str) -> None:
    assert allows(text, ALARMS, "sns:Publish", "t")[0] == "unsure"
