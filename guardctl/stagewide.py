"""What `[stage]` puts on everything of a stage: tags, a boundary on every role, logs and traces of the machines. Pure.

Each of them leaves no trace where it is not asked for. Chalice gives its functions' roles neither tags nor a boundary,
so a stage that wants one has roles of its own for them: in a stack that is there before the functions are
(`guardctl deploy`), or in the pipeline's template, in place of Chalice's.
"""

from collections.abc import Iterable, Mapping

from chalicelib.config.jobs import JobsFile
from chalicelib.names import FUNCTIONS, Function, function_name, function_role, log_group, machines_log_group
from guardctl import cloudformation
from guardctl.cloudformation import Json, allow, arn

MACHINE_LOGS = "MachineLogs"
"""Logical ID of the machines' log group."""

Policies = Mapping[Function, Json]
"""Function → the policy of its role."""


def tag_list(jobs: JobsFile) -> list[Json]:
    return [{"Key": key, "Value": value} for key, value in jobs.tags.items()]


def role(jobs: JobsFile, statements: Iterable[Json], service: str, **trusts: Json) -> Json:
    bounded = {"PermissionsBoundary": jobs.permissions_boundary} if jobs.permissions_boundary else {}
    return cloudformation.role(service, statements, trusts, **bounded)


def function_roles(jobs: JobsFile, policies: Policies) -> Json:
    """Logical ID → the role of a function, by a name that is known before it is there; empty if Chalice makes them."""
    found = {}
    for function in FUNCTIONS if jobs.own_roles else ():
        made = _function_role(jobs, policies[function])
        made["Properties"]["RoleName"] = function_role(jobs.stage, function)
        found[f"{function.title()}Role"] = made
    return found


def in_package(jobs: JobsFile, policies: Policies) -> Json:
    """What is merged into Chalice's template for a pipeline: the functions' names, and what the stage puts on them.

    Their log groups come first, so that none is there already when CloudFormation makes it.
    """
    found: Json = {}
    for function in FUNCTIONS:
        logical = function.title()
        properties: Json = {"FunctionName": function_name(jobs.stage, function)}
        found[logical] = {"Properties": properties}
        if jobs.tags:
            properties["Tags"] = dict(jobs.tags)
        if jobs.own_roles:
            made = _function_role(jobs, policies[function])
            if jobs.tags:
                made["Properties"]["Tags"] = tag_list(jobs)
            found[f"{logical}Role"] = made
            properties["Role"] = {"Fn::GetAtt": [f"{logical}Role", "Arn"]}
        if jobs.log_retention_days:
            found[f"{logical}LogGroup"] = _log_group(jobs, log_group(jobs.stage, function))
            found[logical]["DependsOn"] = [f"{logical}LogGroup"]
    return found


def machine_logs(jobs: JobsFile) -> Json:
    """Logical ID → the log group of the machines, if they log."""
    return {MACHINE_LOGS: _log_group(jobs, machines_log_group(jobs.stage))} if jobs.machine_logging else {}


def observed(jobs: JobsFile) -> Json:
    """What a state machine has of it. Not the executions' data: environments are in it."""
    found: Json = {}
    if jobs.machine_logging:
        to = {"CloudWatchLogsLogGroup": {"LogGroupArn": {"Fn::GetAtt": [MACHINE_LOGS, "Arn"]}}}
        found["LoggingConfiguration"] = {
            "Level": jobs.machine_logging,
            "IncludeExecutionData": False,
            "Destinations": [to],
        }
    if jobs.machine_tracing:
        found["TracingConfiguration"] = {"Enabled": True}
    return found


def observing(jobs: JobsFile) -> list[Json]:
    """What a machine's role may do for it (Step Functions guide, "CloudWatch Logs" and "X-Ray")."""
    found = []
    if jobs.machine_logging:
        deliver = [
            *("logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery"),
            *("logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies"),
            "logs:DescribeLogGroups",
        ]
        found.append(allow(deliver, ["*"], Sid="LogDeliveryTakesNoResource"))
        streams = arn("logs", f"log-group:{machines_log_group(jobs.stage)}:*")
        found.append(allow(["logs:CreateLogStream", "logs:PutLogEvents"], [streams]))
    if jobs.machine_tracing:
        trace = [
            *("xray:PutTraceSegments", "xray:PutTelemetryRecords"),
            *("xray:GetSamplingRules", "xray:GetSamplingTargets"),
        ]
        found.append(allow(trace, ["*"], Sid="TracingTakesNoResource"))
    return found


def _function_role(jobs: JobsFile, its_policy: Json) -> Json:
    return role(jobs, its_policy["Statement"], "lambda.amazonaws.com")


def _log_group(jobs: JobsFile, name: str) -> Json:
    kept = {"RetentionInDays": jobs.log_retention_days} if jobs.log_retention_days else {}
    return {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": name, **kept}}
