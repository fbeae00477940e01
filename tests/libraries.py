"""What `tests/commands.py` has loaded before a command begins: libraries, nothing of the project."""
# ruff: noqa: F401  (a command finds them loaded)

import functools

import boto3
import botocore.loaders
import chalice
import cronsim
import rich.console
import typer
import typer._adapters

_load = botocore.loaders.JSONFileLoader().load_file


@functools.cache
def _loaded(path: str) -> object:
    return _load(path)


# Half of what a new client costs is reading its service's description; each session would read it anew.
botocore.loaders.JSONFileLoader.load_file = lambda _, path: _loaded(path)  # type: ignore[assignment, method-assign]

for _service in ("cloudformation", "cloudwatch", "ecs", "iam", "lambda", "logs", "s3", "stepfunctions", "sts"):
    boto3.client(_service, "us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
