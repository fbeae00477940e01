"""The functions' clients, beside boto3's."""

from datetime import UTC, datetime

import boto3
import pytest

from chalicelib.read.aws import client, timestamp
from lab.bench.endpoint import account, endpoint, environment


@pytest.mark.thorough
def test_a_client_reads_what_boto3_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = f"arn:aws:states:us-east-1:{account(3, running=True)}:stateMachine:any"
    with endpoint() as url:
        for name, value in environment(url).items():
            monkeypatch.setenv(name, value)
        ours = client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
        theirs = boto3.client("stepfunctions").list_executions(stateMachineArn=machine)["executions"]
    assert ours == theirs
    assert [item["startDate"].tzinfo for item in ours] == [UTC] * 3


@pytest.mark.parametrize("written", ["2026-11-23T18:00:00Z", "2026-11-23T19:00:00+01:00", "1795456800", 1795456800])
def test_every_way_to_write_a_time_is_read(written: object) -> None:
    assert timestamp(written) == datetime(2026, 11, 23, 18, tzinfo=UTC)
