"""What every part of the template is written with: logical IDs and ARNs."""

from typing import Any

Json = dict[str, Any]


def logical_id(job: str, what: str) -> str:
    """``nightlyXreportBatch`` for nightly-report and Batch: a job's name has no capitals, so no two jobs share one."""
    return f"{job.replace('-', 'X')}{what}"


def arn(service: str, resource: str) -> Json:
    """An ARN in the stack's own partition, Region and account."""
    return {"Fn::Sub": f"arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{resource}"}
