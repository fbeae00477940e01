"""What `make emulator` does with files of the project. The rest: tests/emulator/test_without_account.py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab.without_account import Provided, remembered_by_chalice

REAL = '{"lambda_arn": "arn:aws:lambda:eu-west-1:123456789012:function:batch-guard-dev-check"}'
EMULATED = '{"lambda_arn": "arn:aws:lambda:us-east-1:000000000000:function:batch-guard-dev-check"}'
JOB = '[defaults.ecs]\ncluster = "batch"\nsubnets = ["subnet-0a"]\ncontainer = "app"\n[jobs.a.ecs]\ntask_definition = "{}"\n'


def test_what_chalice_keeps_of_real_deployments_is_as_before_and_nothing_of_the_emulators_stays(tmp_path: Path) -> None:
    (tmp_path / "dev.json").write_text(REAL)
    (tmp_path / "killed.json").write_text(EMULATED)
    with remembered_by_chalice(tmp_path):
        assert [file.name for file in tmp_path.iterdir()] == ["dev.json"]
        (tmp_path / "dev.json").write_text(EMULATED)
        (tmp_path / "new.json").write_text(EMULATED)
        (tmp_path / "prod.json").write_text(REAL)  # deployed from another terminal meanwhile
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"dev.json": REAL, "prod.json": REAL}


class Account:
    """ECS and EC2, which have nothing but what they are given."""

    def __init__(self) -> None:
        self.revisions: dict[str, int] = {}

    def register_task_definition(self, *, family: str, **_: Any) -> Any:
        self.revisions[family] = self.revisions.get(family, 0) + 1
        return {"taskDefinition": {"family": family, "revision": self.revisions[family]}}

    def describe_vpcs(self) -> Any:
        return {"Vpcs": [{"VpcId": "vpc-1"}]}

    def __getattr__(self, _: str) -> Any:
        return lambda **_: None


def test_the_account_gets_what_a_file_names_each_thing_once_and_a_fault_is_told(tmp_path: Path) -> None:
    account: Any = Account()
    provided = Provided(account, account, tmp_path)
    file = tmp_path / "dev.toml"

    file.write_text(JOB.format("report:3"))
    assert [*provided.look()] == [
        "stage dev: cluster batch",
        "stage dev: subnet-0a",
        "stage dev: task definition report:3 with container app",
    ]
    assert [*provided.look()] == []

    file.write_text(JOB.format("report:3") + "misspelt = 1\n")
    assert [*provided.look()] == ["stage dev: its jobs file has 1 fault, see guardctl validate --stage dev"]

    file.write_text(JOB.format("arn:aws:ecs:us-east-1:123456789012:task-definition/close"))
    assert [*provided.look()] == ["stage dev: task definition close:1 with container app"]
    assert account.revisions == {"report": 3, "close": 1}
