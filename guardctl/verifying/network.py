"""Subnets and security groups: one call each, and all of a job's are of one VPC."""

from collections.abc import Iterable, Iterator, Mapping

from chalicelib.values import dataclass
from guardctl.verifying.account import Account
from guardctl.verifying.findings import Finding, Unread, ng, ok, skip
from guardctl.verifying.task import Task

Found = Mapping[str, str] | Unread
"""ID → VPC; an ID that is missing is not there."""

_A_FILTER = 200
"""Values that a filter takes (EC2, DescribeSubnets)."""


@dataclass(frozen=True, slots=True)
class Network:
    subnets: Found
    groups: Found


def read(account: Account, tasks: Iterable[Task]) -> Network:
    """The subnets and groups of these tasks. By a filter: asked by ID, EC2 refuses them all for one that is missing."""
    some = list(tasks)
    subnets = {each for task in some for each in task.subnets}
    groups = {each for task in some for each in task.security_groups}
    return Network(
        _read(account, "describe_subnets", "Subnets", "SubnetId", subnets),
        _read(account, "describe_security_groups", "SecurityGroups", "GroupId", groups),
    )


def _read(account: Account, operation: str, key: str, identity: str, ids: set[str]) -> Found:
    found: dict[str, str] = {}
    wanted = sorted(ids)
    by = "subnet-id" if identity == "SubnetId" else "group-id"
    for first in range(0, len(wanted), _A_FILTER):
        filters = [{"Name": by, "Values": wanted[first : first + _A_FILTER]}]
        answer = account.pages("ec2", operation, key, Filters=filters)
        if isinstance(answer, Unread):
            return answer
        found |= {each[identity]: each.get("VpcId", "") for each in answer if each[identity] in ids}
    return found


def judge(task: Task, network: Network) -> Iterator[Finding]:
    """Whether they are there, and together."""
    vpcs: dict[str, list[str]] = {}
    whole = True
    for called, wanted, found in (
        ("subnet", task.subnets, network.subnets),
        ("security group", task.security_groups, network.groups),
    ):
        if not wanted:
            continue
        what = f"{called}{'s' if len(wanted) > 1 else ''} {', '.join(wanted)}"
        if isinstance(found, Unread):
            yield skip(what, found.reason)
            whole = False
            continue
        if missing := [each for each in wanted if each not in found]:
            yield ng(what, f"not in this account and Region: {', '.join(missing)}")
            whole = False
            continue
        of = sorted({found[each] for each in wanted})
        for each in wanted:
            vpcs.setdefault(found[each], []).append(each)
        if len(of) > 1:
            yield ng(what, f"are of several VPCs: {_by_vpc(vpcs)}")
            whole = False
        else:
            yield ok(what, f"of {of[0]}")
    if whole and len(vpcs) > 1:
        yield ng("VPC", f"subnets and security groups are of different ones: {_by_vpc(vpcs)}")


def _by_vpc(vpcs: Mapping[str, list[str]]) -> str:
    return "; ".join(f"{vpc} has {', '.join(ids)}" for vpc, ids in sorted(vpcs.items()))
