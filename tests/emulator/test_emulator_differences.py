"""Where the emulator differs from AWS, one test for each: docs/emulator.md names them.

A test asserts what the emulator does, and its docstring says what AWS does. So a test that fails after an
update of the emulator is good news: a difference is gone, and what was built around it may go too.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from lab.emulator import Emulator
from tests import targets
from tests.support import eventually, start_emulator

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "emulator.md"
ROLE = "arn:aws:iam::000000000000:role/there-is-no-such-role"
PASS = {"A": {"Type": "Pass", "End": True}}
SCALE = 0.003
MOCKS = {
    "StateMachines": {"mocked": {"TestCases": {"FailsOnce": {"A": "FailsOnce"}}}},
    "MockedResponses": {
        "FailsOnce": {
            "0": {"Throw": {"Error": "AmazonECS.Unknown", "Cause": "recorded on AWS"}},
            "1": {"Return": {"LastStatus": "STOPPED"}},
        }
    },
}
_numbers = count(1)


@pytest.fixture(scope="module")
def hurried() -> Iterator[Emulator]:
    """A second emulator, whose waits are short and which has a mock configuration."""
    with start_emulator(wait_scale=SCALE, mock_config=MOCKS) as running:
        yield running


@pytest.fixture(scope="module")
def sfn(emulator: Emulator) -> SFNClient:
    return emulator.client("stepfunctions")


@pytest.fixture(scope="module")
def ecs(emulator: Emulator) -> ECSClient:
    return emulator.client("ecs")


def unique(word: str) -> str:
    return f"{word}-{next(_numbers)}"


def machine(sfn: SFNClient, states: Mapping[str, Any], name: str = "", **top_level: Any) -> str:
    definition = {"QueryLanguage": "JSONata", "StartAt": "A", "States": states, **top_level}
    created = sfn.create_state_machine(name=name or unique("machine"), roleArn=ROLE, definition=json.dumps(definition))
    return created["stateMachineArn"]


def started(sfn: SFNClient, arn: str, payload: object = None) -> str:
    return sfn.start_execution(stateMachineArn=arn, input=json.dumps(payload or {}))["executionArn"]


def closed(sfn: SFNClient, execution: str, within: float = 10) -> DescribeExecutionOutputTypeDef:
    def description() -> DescribeExecutionOutputTypeDef | None:
        answer = sfn.describe_execution(executionArn=execution)
        return None if answer["status"] == "RUNNING" else answer

    answer = eventually(description, within=within, what=f"{execution} is closed")
    assert answer
    return answer


def outcome(sfn: SFNClient, states: Mapping[str, Any]) -> DescribeExecutionOutputTypeDef:
    return closed(sfn, started(sfn, machine(sfn, states)))


def run_task(family: str, **state: Any) -> dict[str, Any]:
    """A state that runs this task and waits for it."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::ecs:runTask.sync",
        "Arguments": {"Cluster": "differences", "TaskDefinition": family},
        "End": True,
        **state,
    }


def task_definition(ecs: ECSClient, family: str = "") -> str:
    family = family or unique("job")
    ecs.create_cluster(clusterName="differences")
    ecs.register_task_definition(family=family, containerDefinitions=[{"name": "app", "image": "any"}])
    return family


def running_tasks(ecs: ECSClient, family: str) -> list[str]:
    return ecs.list_tasks(cluster="differences", family=family)["taskArns"]


def the_running_task(ecs: ECSClient, family: str) -> str:
    return eventually(lambda: running_tasks(ecs, family), within=5, what=f"a task of {family} runs")[0]


# Step Functions: names and starts


def start_state(action: str, arn: str, name: str) -> dict[str, Any]:
    arguments = {"StateMachineArn": arn, "Name": name, "Input": {}}
    return {
        "Type": "Task",
        "Resource": f"arn:aws:states:::states:{action}",
        "Arguments": arguments,
        "End": True,
    }


def test_a_taken_name_has_a_shorter_error_name_in_a_state_machine(sfn: SFNClient) -> None:
    """AWS: StepFunctions.ExecutionAlreadyExistsException."""
    target = machine(sfn, PASS)
    sfn.start_execution(stateMachineArn=target, name="run-000001")
    again = outcome(sfn, {"A": start_state("startExecution", target, "run-000001")})
    assert again["error"] == "ExecutionAlreadyExists"


def test_a_missing_machine_has_a_shorter_error_name_in_a_state_machine(sfn: SFNClient) -> None:
    """AWS: StepFunctions.StateMachineDoesNotExistException."""
    nowhere = machine(sfn, PASS).replace("machine-", "missing-")
    assert outcome(sfn, {"A": start_state("startExecution", nowhere, "x")})["error"] == "StateMachineDoesNotExist"


def test_the_same_name_and_input_can_not_be_started_again(sfn: SFNClient) -> None:
    """AWS: while it runs, succeeds with the answer of the first start."""
    target = machine(sfn, {"A": {"Type": "Wait", "Seconds": 60, "End": True}})
    sfn.start_execution(stateMachineArn=target, name="same", input="{}")
    with pytest.raises(sfn.exceptions.ExecutionAlreadyExists):
        sfn.start_execution(stateMachineArn=target, name="same", input="{}")


def test_start_execution_sync_does_not_check_names(sfn: SFNClient) -> None:
    """AWS: the second one fails, its name is taken."""
    target = machine(sfn, PASS)
    for _ in range(2):
        assert outcome(sfn, {"A": start_state("startExecution.sync", target, "same")})["status"] == "SUCCEEDED"


def test_names_of_any_length_and_characters_are_taken(sfn: SFNClient) -> None:
    """AWS: InvalidName; 1 to 80 characters, without spaces, brackets, wildcards and some more."""
    target = machine(sfn, PASS)
    for name in ("x" * 81, "a b*?"):
        assert sfn.start_execution(stateMachineArn=target, name=name)["executionArn"].endswith(name)


def test_an_input_of_any_size_and_form_is_taken(sfn: SFNClient) -> None:
    """AWS: InvalidExecutionInput; JSON, at most 256 KiB."""
    target = machine(sfn, PASS)
    for text in (json.dumps("x" * 300_000), "not JSON"):
        assert sfn.start_execution(stateMachineArn=target, input=text)["executionArn"]


# Step Functions: reading


def test_reads_show_a_write_at_once(sfn: SFNClient) -> None:
    """AWS: lists and descriptions are eventually consistent, without a bound."""
    target = machine(sfn, {"A": {"Type": "Wait", "Seconds": 60, "End": True}})
    for _ in range(20):
        execution = started(sfn, target)
        assert sfn.list_executions(stateMachineArn=target)["executions"][0]["executionArn"] == execution
        sfn.stop_execution(executionArn=execution)
        assert sfn.describe_execution(executionArn=execution)["status"] == "ABORTED"
        assert not sfn.list_executions(stateMachineArn=target, statusFilter="RUNNING")["executions"]


def test_a_page_holds_1000_unless_told_otherwise(sfn: SFNClient) -> None:
    """AWS: 100, and a page may be shorter although there is more."""
    target = machine(sfn, PASS)
    for _ in range(101):
        started(sfn, target)
    page = sfn.list_executions(stateMachineArn=target)
    assert len(page["executions"]) == 101
    assert "nextToken" not in page


def test_the_list_of_a_missing_machine_is_empty(sfn: SFNClient) -> None:
    """AWS: StateMachineDoesNotExist."""
    nowhere = machine(sfn, PASS).replace("machine-", "missing-")
    assert sfn.list_executions(stateMachineArn=nowhere)["executions"] == []


def test_a_deleted_machine_takes_its_executions_along(sfn: SFNClient) -> None:
    """AWS: DELETING at first, running ones end at their next transition, records are kept for 90 days."""
    target = machine(sfn, {"A": {"Type": "Wait", "Seconds": 60, "End": True}})
    execution = started(sfn, target)
    sfn.delete_state_machine(stateMachineArn=target)
    with pytest.raises(sfn.exceptions.StateMachineDoesNotExist):
        sfn.describe_state_machine(stateMachineArn=target)
    with pytest.raises(sfn.exceptions.ExecutionDoesNotExist):
        sfn.describe_execution(executionArn=execution)


# Step Functions: running


def test_there_is_no_redrive(sfn: SFNClient) -> None:
    """AWS: continues at the failed state; lists and descriptions say how often."""
    execution = started(sfn, machine(sfn, {"A": {"Type": "Fail"}}))
    assert "redriveCount" not in closed(sfn, execution)
    with pytest.raises(ClientError, match="Unknown action: RedriveExecution"):
        sfn.redrive_execution(executionArn=execution)


def test_the_context_object_has_no_redrive_count(sfn: SFNClient) -> None:
    """AWS: $states.context.Execution.RedriveCount is 0 at first.

    Here a bare comparison with it fails, as a JSONata expression without a result does on AWS too.
    """
    compare = {"A": {"Type": "Pass", "Output": "{% $states.context.Execution.RedriveCount > 0 %}", "End": True}}
    assert outcome(sfn, compare)["error"] == "States.QueryEvaluationError"


def test_the_timeout_of_a_machine_is_ignored(hurried: Emulator) -> None:
    """AWS: TIMED_OUT after a second, without an error or cause."""
    sfn = hurried.client("stepfunctions")
    wait = {"A": {"Type": "Wait", "Seconds": int(1.5 / SCALE), "End": True}}
    assert closed(sfn, started(sfn, machine(sfn, wait, TimeoutSeconds=1)))["status"] == "SUCCEEDED"


def test_retries_have_no_jitter_and_no_longest_delay(hurried: Emulator) -> None:
    """AWS: between nothing and 11 s each; here always the whole interval, doubled and so on, up to 60 s."""
    sfn = hurried.client("stepfunctions")
    retry = {
        "ErrorEquals": ["States.ALL"],
        "IntervalSeconds": 10,
        "BackoffRate": 6,
        "MaxDelaySeconds": 11,
        "JitterStrategy": "FULL",
        "MaxAttempts": 3,
    }
    execution = started(sfn, machine(sfn, {"A": run_task("none", Retry=[retry])}))
    assert closed(sfn, execution)["status"] == "FAILED"
    history = sfn.get_execution_history(executionArn=execution)["events"]
    attempts = [event["timestamp"] for event in history if event["type"] == "TaskScheduled"]
    delays = [later - earlier for earlier, later in pairwise(attempts)]
    shortest = [timedelta(seconds=seconds * SCALE * 0.9) for seconds in (10, 60, 60)]
    assert all(delay >= least for delay, least in zip(delays, shortest, strict=True)), delays


def test_definitions_are_hardly_checked(sfn: SFNClient) -> None:
    """AWS: InvalidDefinition, MISSING_TRANSITION_TARGET."""
    assert machine(sfn, {"A": {"Type": "Pass", "Next": "Nowhere"}})


def test_an_aborted_execution_may_turn_into_a_failed_one(sfn: SFNClient, ecs: ECSClient) -> None:
    """AWS: a closed execution stays as it is. Here the step goes on, and its error is written over it."""
    family = task_definition(ecs)
    execution = started(sfn, machine(sfn, {"A": run_task(family, TimeoutSeconds=1)}))
    the_running_task(ecs, family)
    sfn.stop_execution(executionArn=execution)
    assert sfn.describe_execution(executionArn=execution)["status"] == "ABORTED"
    eventually(
        lambda: sfn.describe_execution(executionArn=execution)["status"] == "FAILED",
        within=5,
        what="the aborted execution has failed",
    )


def test_an_aborted_execution_goes_on_retrying(sfn: SFNClient, ecs: ECSClient) -> None:
    """AWS: no attempt is made after the abort."""
    family = unique("job")
    retry = {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "BackoffRate": 1, "MaxAttempts": 10}
    execution = started(sfn, machine(sfn, {"A": run_task(family, Retry=[retry])}))
    eventually(
        lambda: "TaskFailed" in str(sfn.get_execution_history(executionArn=execution)["events"]),
        within=5,
        what="the first attempt has failed",
    )
    sfn.stop_execution(executionArn=execution)
    task_definition(ecs, family)
    assert the_running_task(ecs, family)
    assert sfn.describe_execution(executionArn=execution)["status"] == "ABORTED"


def test_a_mock_answers_a_state_and_not_an_attempt(hurried: Emulator) -> None:
    """AWS Step Functions Local: the number counts attempts, so this one would succeed when retried."""
    sfn = hurried.client("stepfunctions")
    retry = {"ErrorEquals": ["AmazonECS.Unknown"], "IntervalSeconds": 1, "MaxAttempts": 2}
    arn = machine(sfn, {"A": run_task("none", Retry=[retry])}, name="mocked")
    ended = closed(sfn, started(sfn, f"{arn}#FailsOnce"))
    assert (ended["error"], ended["cause"]) == ("AmazonECS.Unknown", "recorded on AWS")


# ECS


def test_a_sync_step_gives_up_after_600_polls_of_a_task_that_never_ends(hurried: Emulator) -> None:
    """AWS: waits as long as TimeoutSeconds says; and a task ends when its program does."""
    sfn, ecs = hurried.client("stepfunctions"), hurried.client("ecs")
    family = task_definition(ecs)
    ended = closed(sfn, started(sfn, machine(sfn, {"A": run_task(family)})), within=30)
    assert (ended["error"], ended["cause"]) == ("States.Timeout", "ECS tasks did not complete in time")
    task = ecs.describe_tasks(cluster="differences", tasks=running_tasks(ecs, family))["tasks"][0]
    assert task["lastStatus"] == "RUNNING"


def test_a_sync_step_answers_a_list_and_never_fails(sfn: SFNClient, ecs: ECSClient) -> None:
    """AWS: one task with keys in PascalCase; States.TaskFailed unless its containers exited with 0."""
    family = task_definition(ecs)
    execution = started(sfn, machine(sfn, {"A": run_task(family)}))
    ecs.stop_task(cluster="differences", task=the_running_task(ecs, family))
    ended = closed(sfn, execution)
    assert ended["status"] == "SUCCEEDED"
    [task] = json.loads(ended["output"])["tasks"]
    assert task["stopCode"] == "UserInitiated"


def test_a_timed_out_step_leaves_its_task_running(sfn: SFNClient, ecs: ECSClient) -> None:
    """AWS: not documented; assume the same."""
    family = task_definition(ecs)
    assert outcome(sfn, {"A": run_task(family, TimeoutSeconds=1)})["error"] == "States.Timeout"
    assert running_tasks(ecs, family)


def test_an_aborted_execution_leaves_its_task_running(sfn: SFNClient, ecs: ECSClient) -> None:
    """AWS: the task is stopped, as a best effort."""
    family = task_definition(ecs)
    execution = started(sfn, machine(sfn, {"A": run_task(family)}))
    task = the_running_task(ecs, family)
    sfn.stop_execution(executionArn=execution)
    assert running_tasks(ecs, family) == [task]


def test_a_task_is_stopped_at_once_and_with_exit_code_0(ecs: ECSClient) -> None:
    """AWS: STOPPING and DEPROVISIONING for up to stopTimeout and longer; 137 when it had to be killed."""
    family = task_definition(ecs)
    task = ecs.run_task(cluster="differences", taskDefinition=family)["tasks"][0]["taskArn"]
    stopped = ecs.stop_task(cluster="differences", task=task)["task"]
    assert stopped["lastStatus"] == "STOPPED"
    assert stopped["containers"][0]["exitCode"] == 0


def test_a_task_of_a_sync_step_does_not_say_who_started_it(sfn: SFNClient, ecs: ECSClient) -> None:
    """AWS: startedBy "AWS Step Functions", group "family:…"."""
    family = task_definition(ecs)
    started(sfn, machine(sfn, {"A": run_task(family)}))
    task = ecs.describe_tasks(cluster="differences", tasks=[the_running_task(ecs, family)])["tasks"][0]
    assert (task["startedBy"], task["group"]) == ("", "")


def test_every_error_of_run_task_has_one_name(sfn: SFNClient) -> None:
    """AWS: ECS.… with the name of the exception, e.g. ECS.AmazonECSException."""
    assert outcome(sfn, {"A": run_task("none")})["error"] == "ECS.RunTaskFailed"


def test_a_cluster_need_not_exist(ecs: ECSClient) -> None:
    """AWS: ClusterNotFoundException, both times."""
    family, cluster = task_definition(ecs), unique("cluster")
    assert ecs.list_tasks(cluster=cluster)["taskArns"] == []
    assert ecs.run_task(cluster=cluster, taskDefinition=family)["tasks"]


def test_an_override_may_name_any_container(ecs: ECSClient) -> None:
    """AWS: InvalidParameterException."""
    other = {"containerOverrides": [{"name": "not-app", "command": ["x"]}]}
    family = task_definition(ecs)
    assert ecs.run_task(cluster="differences", taskDefinition=family, overrides=other)["tasks"]  # type: ignore[arg-type]


def test_any_number_of_tasks_is_described(ecs: ECSClient) -> None:
    """AWS: InvalidParameterException above 100."""
    task_definition(ecs)
    assert len(ecs.describe_tasks(cluster="differences", tasks=["none"] * 101)["failures"]) == 101


# The rest


def test_iam_is_not_enforced(sfn: SFNClient) -> None:
    """AWS: a machine can't be made with a role that does not exist, nor start what its role may not."""
    target = machine(sfn, PASS)
    assert outcome(sfn, {"A": start_state("startExecution", target, "by-nobody")})["status"] == "SUCCEEDED"


def function(emulator: Emulator, name: str, code: str) -> Any:
    """What a function with this handler answers."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("app.py", code)
    functions = emulator.client("lambda")
    functions.create_function(
        FunctionName=name, Runtime="python3.11", Role=ROLE, Handler="app.handler", Code={"ZipFile": archive.getvalue()}
    )
    return json.load(functions.invoke(FunctionName=name)["Payload"])


def test_a_function_may_import_whatever_the_emulator_could(emulator: Emulator) -> None:
    """AWS: only its zip and the runtime's own packages, so what requirements.txt forgets fails there."""
    assert (
        function(emulator, "imports", "import pytest\ndef handler(event, context): return pytest.__name__") == "pytest"
    )


def template(**resources: object) -> str:
    return json.dumps({"Resources": resources})


def role(name: str) -> dict[str, Any]:
    trust = {"Version": "2012-10-17", "Statement": []}
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {"RoleName": name, "AssumeRolePolicyDocument": trust},
    }


def test_a_stack_needs_no_capabilities_and_takes_over_what_exists(emulator: Emulator) -> None:
    """AWS: InsufficientCapabilities; with them the second stack fails, since the role exists."""
    cloudformation = emulator.client("cloudformation")
    for name in ("first", "second"):
        cloudformation.create_stack(StackName=name, TemplateBody=template(Role=role("shared")))

        def complete(name: str = name) -> bool:
            [stack] = cloudformation.describe_stacks(StackName=name)["Stacks"]
            return stack["StackStatus"] == "CREATE_COMPLETE"

        eventually(complete, within=5, what=f"the {name} stack is complete")


def test_a_role_of_a_template_has_no_boundary(emulator: Emulator) -> None:
    trust = {
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "ecs.amazonaws.com"}, "Action": "sts:AssumeRole"}]
    }
    bounded = {"AssumeRolePolicyDocument": trust, "PermissionsBoundary": "arn:aws:iam::aws:policy/ReadOnlyAccess"}
    template = {"Resources": {"Role": {"Type": "AWS::IAM::Role", "Properties": {**bounded, "RoleName": "bounded"}}}}
    emulator.client("cloudformation").create_stack(StackName="bounded", TemplateBody=json.dumps(template))
    assert "PermissionsBoundary" not in emulator.client("iam").get_role(RoleName="bounded")["Role"]


def test_a_template_url_must_have_its_bucket_in_the_path(emulator: Emulator) -> None:
    """AWS: takes https://BUCKET.s3.REGION.amazonaws.com/KEY too."""
    bucket, body = emulator.client("s3"), template(Role=role("from-s3"))
    bucket.create_bucket(Bucket="templates")
    bucket.put_object(Bucket="templates", Key="t.json", Body=body.encode())
    cloudformation = emulator.client("cloudformation")
    for url in (f"{emulator.endpoint}/templates/t.json", "https://s3.us-east-1.amazonaws.com/templates/t.json"):
        assert cloudformation.create_stack(StackName=unique("stack"), TemplateURL=url)["StackId"]
    with pytest.raises(ClientError, match="Invalid TemplateURL"):
        cloudformation.create_stack(
            StackName=unique("stack"), TemplateURL="https://templates.s3.us-east-1.amazonaws.com/t.json"
        )


def test_an_inline_template_has_the_limit_of_aws(emulator: Emulator) -> None:
    """AWS: the same. No difference, but people rely on it: 51,200 bytes."""
    with pytest.raises(ClientError, match="less than or equal to 51200"):
        emulator.client("cloudformation").create_stack(
            StackName="large", TemplateBody=template(Role=role("x" * 60_000))
        )


# CloudWatch


def alarm(emulator: Emulator, **more: Any) -> str:
    """The state of a new alarm that waits for three metrics "Skip" of job a within two of the last three minutes."""
    cloudwatch = emulator.client("cloudwatch")
    name = unique("alarm")
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace=more.pop("Namespace", "Differences"),
        MetricName="Skip",
        Dimensions=[{"Name": "job", "Value": "a"}],
        Statistic="Sum",
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        Threshold=3,
        Period=60,
        EvaluationPeriods=3,
        DatapointsToAlarm=2,
        **more,
    )
    (found,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return found["StateValue"]


def test_a_missing_image_is_left_out(emulator: Emulator) -> None:
    """AWS: ImageNotFoundException, and nothing of the others."""
    ecr = emulator.session().client("ecr")
    ecr.create_repository(repositoryName="differs")
    ecr.put_image(repositoryName="differs", imageTag="there", imageManifest="{}")
    answer = ecr.describe_images(repositoryName="differs", imageIds=[{"imageTag": "there"}, {"imageTag": "gone"}])
    assert [image["imageTags"] for image in answer["imageDetails"]] == [["there"]]


def test_security_groups_are_not_filtered_by_their_ids(emulator: Emulator) -> None:
    """AWS: none."""
    filters: Any = [{"Name": "group-id", "Values": ["sg-0"]}]
    assert emulator.session().client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]


def test_log_groups_are_not_filtered_by_their_names(emulator: Emulator) -> None:
    """AWS: one."""
    logs = emulator.client("logs")
    for name in ("/differs/a", "/differs/b"):
        logs.create_log_group(logGroupName=name)
    found = logs.describe_log_groups(logGroupIdentifiers=["/differs/a"])["logGroups"]
    assert {"/differs/a", "/differs/b"} <= {group["logGroupName"] for group in found}


def test_there_are_no_service_quotas(emulator: Emulator) -> None:
    """AWS: the account's own."""
    with pytest.raises(ClientError):
        emulator.session().client("service-quotas").list_service_quotas(ServiceCode="fargate")


def test_an_alarm_is_judged_by_one_statistic_over_all_dimensions(emulator: Emulator) -> None:
    """AWS: job b's metrics are not job a's, and one period of three is not two."""
    point: Any = {"MetricName": "Skip", "Dimensions": [{"Name": "job", "Value": "b"}], "Value": 3}
    emulator.client("cloudwatch").put_metric_data(Namespace="Differences", MetricData=[point])
    assert alarm(emulator) == "ALARM"


def test_an_alarm_does_not_notice_silence(emulator: Emulator) -> None:
    """AWS: rings within minutes when missing data is breaching, is well when it is not."""
    for silence in ("breaching", "notBreaching"):
        assert alarm(emulator, Namespace="Silent", TreatMissingData=silence) == "INSUFFICIENT_DATA"


def test_metrics_in_a_log_are_not_read(emulator: Emulator) -> None:
    """AWS: embedded metric format in a function's log becomes metrics."""
    declared = {"Namespace": "Embedded", "Dimensions": [["job"]], "Metrics": [{"Name": "Skip"}]}
    line = json.dumps({"_aws": {"Timestamp": 0, "CloudWatchMetrics": [declared]}, "job": "a", "Skip": 1})
    assert function(emulator, "embedded", f"def handler(event, context): print({line!r}, flush=True)") is None
    assert emulator.client("cloudwatch").list_metrics(Namespace="Embedded")["Metrics"] == []


# --- old schedules ----------------------------------------------------------------------------------------


def scheduled(emulator: Emulator, account: str, *names: str) -> Any:
    """EventBridge Scheduler of an account of its own, with these schedules."""
    scheduler: Any = replace(emulator, account=account).session().client("scheduler")
    for name in names:
        told = targets.schedule(name)
        scheduler.create_schedule(**{key: value for key, value in told.items() if key != "Arn"})
    return scheduler


def test_a_list_of_schedules_ends_without_a_token(emulator: Emulator) -> None:
    scheduler = scheduled(emulator, "130000000101", *(f"s{n}" for n in range(101)))
    listed = scheduler.list_schedules()
    assert len(listed["Schedules"]) == 100
    assert "NextToken" not in listed


def test_a_start_date_in_the_past_is_taken(emulator: Emulator) -> None:
    scheduler = scheduled(emulator, "130000000102", "s")
    whole = {
        key: scheduler.get_schedule(Name="s")[key] for key in ("ScheduleExpression", "FlexibleTimeWindow", "Target")
    }
    scheduler.update_schedule(Name="s", StartDate=datetime(2020, 1, 1, tzinfo=UTC), **whole)
    assert scheduler.get_schedule(Name="s")["StartDate"].year == 2020


def test_a_rule_with_an_ecs_target_starts_no_task(emulator: Emulator) -> None:
    """AWS: a task, with `events-rule/…` as its startedBy. The rule's other target shows that it has fired."""
    events, queues = emulator.client("events"), emulator.session().client("sqs")
    queue = queues.create_queue(QueueName="fired")["QueueUrl"]
    task_definition(emulator.client("ecs"), "of-a-rule")
    events.put_rule(Name="starts", EventPattern=json.dumps({"source": ["differences"]}))
    cluster = f"arn:aws:ecs:{emulator.region}:{emulator.account}:cluster/differences"
    of_the_rule: Any = targets.target(parameters=targets.ecs("of-a-rule"), Arn=cluster)
    fired: Any = {"Id": "2", "Arn": f"arn:aws:sqs:{emulator.region}:{emulator.account}:fired"}
    events.put_targets(Rule="starts", Targets=[of_the_rule, fired])
    events.put_events(Entries=[{"Source": "differences", "DetailType": "now", "Detail": "{}"}])
    eventually(lambda: queues.receive_message(QueueUrl=queue).get("Messages"), within=5, what="the rule fires")
    assert running_tasks(emulator.client("ecs"), "of-a-rule") == []


def test_a_stack_is_not_found_by_a_resource_of_it(emulator: Emulator) -> None:
    cloudformation = emulator.client("cloudformation")
    with pytest.raises(ClientError, match="ValidationError"):
        cloudformation.describe_stack_resources(PhysicalResourceId="anything")


def test_the_document_names_every_test_here_and_no_other() -> None:
    named = set(re.findall(r"`(test_\w+)`", DOCUMENT.read_text(encoding="utf-8")))
    here = {name for name in globals() if name.startswith("test_")}
    assert named == here - {test_the_document_names_every_test_here_and_no_other.__name__}
