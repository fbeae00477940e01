"""What every part of the template is written with: logical IDs and ARNs."""

import re
from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]


def logical_id(job: str, what: str) -> str:
    """``nightlyXreportBatch`` for nightly-report and Batch: a job's name has no capitals, so no two jobs share one."""
    return f"{job.replace('-', 'X')}{what}"


def arn(service: str, resource: str) -> Json:
    """An ARN in the stack's own partition, Region and account."""
    return {"Fn::Sub": f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{resource}"}


def policy(*statements: Json) -> Json:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(actions: list[str], on: list[Any] | None, **more: Any) -> Json:
    """A statement that allows something; in a trust policy on nothing."""
    statement = {"Effect": "Allow", "Action": actions, **more}
    return statement if on is None else {**statement, "Resource": on}


def role(service: str, statements: Iterable[Json], trusts: Json | None = None, **more: Any) -> Json:
    """A role for an AWS service; `trusts` is what else its trust policy says."""
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": policy(
                allow(["sts:AssumeRole"], None, Principal={"Service": service}, **(trusts or {}))
            ),
            "Policies": [{"PolicyName": "batch-guard", "PolicyDocument": policy(*statements)}],
            **more,
        },
    }


def resolved(value: Any, partition: str, region: str, account: str) -> Any:
    """The value with its ARNs as CloudFormation would put them in."""
    if isinstance(value, dict):
        if "Fn::Sub" in value:
            actual = {"Partition": partition, "Region": region, "AccountId": account}
            return re.sub(r"\$\{AWS::(\w+)\}", lambda match: actual[match[1]], value["Fn::Sub"])
        return {key: resolved(inner, partition, region, account) for key, inner in value.items()}
    return [resolved(inner, partition, region, account) for inner in value] if isinstance(value, list) else value
