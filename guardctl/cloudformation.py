"""What every part of the template is written with: logical IDs and ARNs."""

from typing import Any

Json = dict[str, Any]


def logical_id(job: str, what: str) -> str:
    """``nightlyXreportBatch`` for nightly-report and Batch: a job's name has no capitals, so no two jobs share one."""
    return f"{job.replace('-', 'X')}{what}"


def arn(service: str, resource: str) -> Json:
    """An ARN in the stack's own partition, Region and account."""
    return {"Fn::Sub": f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{resource}"}


def policy(*statements: Json) -> Json:
    """An IAM policy of these statements."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(actions: list[str], on: list[Any] | None, **more: Any) -> Json:
    """A statement that allows something; in a trust policy on nothing."""
    statement = {"Effect": "Allow", "Action": actions, **more}
    return statement if on is None else {**statement, "Resource": on}
