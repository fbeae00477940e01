"""The S3 bucket through which CloudFormation gets a template of more than 51,200 bytes.

Which one it is must survive a colleague's clone. One that a person names stands in the stage's block of
.chalice/config.json, which is committed; the one that `guardctl` makes is named after the account and the Region, so
that everybody who deploys there finds it, also before the commit.
"""

import hashlib

from botocore.exceptions import ClientError

from guardctl import project
from guardctl.errors import AWS, Stop
from guardctl.stage import Stage

_KEPT_DAYS = 30


def own(stage: Stage) -> str:
    return f"batch-guard-{stage.account}-{stage.region}"


def find(stage: Stage, named: str | None) -> str | None:
    """The bucket to use: the one `named` now, the one that the block remembers, or the account's own if it is there.

    Never one of another account: whoever has it could change the template before it is read.
    """
    name = named or project.bucket(stage) or own(stage)
    try:
        stage.s3.head_bucket(Bucket=name, ExpectedBucketOwner=stage.account)
    except ClientError as error:
        if name == own(stage) and error.response.get("Error", {}).get("Code") in ("404", "NoSuchBucket"):
            return None
        why = "it does not exist, is another account's, or you may not see it"
        raise Stop(f"the bucket {name} can't be used: {why} ({error})", AWS) from error
    return name


def make(stage: Stage) -> str:
    """Make the account's own bucket: private, and its templates are removed after 30 days."""
    name = own(stage)
    elsewhere = (
        {} if stage.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": stage.region}}
    )
    stage.s3.create_bucket(Bucket=name, **elsewhere)
    stage.s3.put_public_access_block(
        Bucket=name,
        PublicAccessBlockConfiguration=dict.fromkeys(
            ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
        ),
    )
    rule = {
        "ID": "templates",
        "Status": "Enabled",
        "Filter": {"Prefix": "batch-guard/"},
        "Expiration": {"Days": _KEPT_DAYS},
    }
    stage.s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [rule]})
    return name


def put(stage: Stage, bucket: str, stack: str, text: str) -> str:
    """Put a template into the bucket, and return its URL. Raises `Stop`."""
    key = f"batch-guard/{stack}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    try:
        stage.s3.put_object(
            Bucket=bucket,
            Key=key,
            Body=text.encode(),
            ContentType="application/json",
            ExpectedBucketOwner=stage.account,
        )
    except ClientError as error:
        raise Stop(f"the template can't be put into the bucket {bucket}: {error}", AWS) from error
    return f"{stage.s3.meta.endpoint_url.rstrip('/')}/{bucket}/{key}"
