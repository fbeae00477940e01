"""Judge: parliament has nothing to say about a policy that we generate, but for what is accepted here, with its reason."""

import json
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from chalicelib.config.jobs import JobsFile, load
from chalicelib.values import dataclass
from guardctl import template
from lab.judges import Finding

PROJECT = Path(__file__).resolve().parents[2]
EVERY_KEY = PROJECT / "tests" / "emulator" / "every_key.toml"
"""The jobs file that uses every key, so that every statement is seen that we can generate."""

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Accepted:
    """A finding that is none."""

    issue: str
    detail: Any
    """As parliament gives it."""
    why: str


ACCEPTED = (
    Accepted("RESOURCE_MISMATCH", {"action": "states:ListExecutions", "required_format": "arn:*:states:*:*:mapRun:*/*:*"}, "it asks for every sort of resource that the action knows; we list a machine's executions, never a map run's"),
    Accepted("RESOURCE_MISMATCH", {"action": "states:DescribeExecution", "required_format": "arn:*:states:*:*:express:*:*:*"}, "it asks for every sort of resource that the action knows; our machines are Standard, so there is no express execution"),
    Accepted("RESOURCE_STAR", "ecs:DescribeTasks", "the checker reads tasks wherever a run may have left one: a permission that goes away with a cluster would leave its job stuck"),
    Accepted("RESOURCE_STAR", "kms:GenerateDataKey", "the key that encrypts the topic is not known here; the Condition is its encryption context: for this topic only"),
    Accepted("RESOURCE_STAR", "kms:Decrypt", "the key that encrypts the topic is not known here; the Condition is its encryption context: for this topic only"),
    Accepted("RESOURCE_STAR", "ecs:ListTasks", "the resource is a container instance, which a Fargate task has none of; the cluster is in the Condition, ecs:cluster"),
)  # fmt: skip
"""What parliament says and we do not follow."""

_SAMPLE = {
    "AWS::Partition": "aws",
    "AWS::Region": "ap-northeast-1",
    "AWS::AccountId": "123456789012",
    "AWS::StackName": "batch-guard-dev-machines",
}


def judge(policies: Mapping[str, Document], accepted: Sequence[Accepted] = ACCEPTED) -> list[Finding]:
    """What is found in the policies (whose → document), and each accepted finding that no longer occurs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it reads its data with pkg_resources, which says that it is deprecated
        import parliament  # noqa: PLC0415 (it takes half a second, and not every test that imports this needs it)

    findings: list[Finding] = []
    occurred: list[Accepted] = []
    for whose, document in policies.items():
        for found in parliament.analyze_policy_string(json.dumps(resolved(document))).findings:
            details = found.detail if isinstance(found.detail, list) and found.detail else [found.detail]
            known = [row for row in accepted if row.issue == found.issue and row.detail in details]
            occurred += known
            for detail in details:
                if detail not in [row.detail for row in known]:
                    findings.append(Finding(whose, f"{found.issue}: {json.dumps(detail, default=str)}"))
    idle = [row for row in accepted if row not in occurred]
    says = "no longer occurs: take it off the table"
    return [*findings, *(Finding("accepted", f"{row.issue} {json.dumps(row.detail)} {says}") for row in idle)]


def generated() -> dict[str, Document]:
    """Every policy that we generate: as committed for Chalice, and of the roles of every shipped stage and of `EVERY_KEY`."""
    committed = sorted((PROJECT / ".chalice").glob("policy-*.json"))
    found: dict[str, Document] = {file.name: json.loads(file.read_text(encoding="utf-8")) for file in committed}
    for jobs in _jobs_files():
        found |= dict(roles(jobs))
        found[f"{jobs.stage} / check"] = template.check_policy(jobs)
        found[f"{jobs.stage} / trigger"] = template.trigger_policy(jobs)
    return found


def roles(jobs: JobsFile) -> Iterator[tuple[str, Document]]:
    """The inline policies of each role in a stage's template."""
    for logical, resource in template.machines(jobs).items():
        if resource["Type"] == "AWS::IAM::Role":
            for policy in resource["Properties"]["Policies"]:
                yield f"{jobs.stage} / {logical} / {policy['PolicyName']}", policy["PolicyDocument"]


def resolved(value: Any) -> Any:
    """With Fn::Sub and Ref of a pseudo parameter as they may come out; KeyError for anything else in ``${…}``."""
    if isinstance(value, Mapping):
        if value.keys() == {"Ref"}:
            return _SAMPLE[value["Ref"]]
        if value.keys() == {"Fn::Sub"}:
            text = str(value["Fn::Sub"])
            for name in {part.partition("}")[0] for part in text.split("${")[1:]}:
                text = text.replace("${" + name + "}", _SAMPLE[name])
            return text
        return {key: resolved(inner) for key, inner in value.items()}
    return [resolved(inner) for inner in value] if isinstance(value, list) else value


def _jobs_files() -> Iterator[JobsFile]:
    for file in sorted((PROJECT / "chalicelib" / "jobs").glob("*.toml")):
        yield load(file.stem)
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory, "every.toml")
        copy.write_text(EVERY_KEY.read_text(encoding="utf-8"), encoding="utf-8")
        yield load("every", copy.parent)
