"""An old rule or schedule, switched off or on, and nothing else of it changed.

A rule has a call for that. A schedule has none: UpdateSchedule takes the whole schedule, and resets what is left out
(Scheduler, API reference). So all of it is written as it was read, but for the state; and either is read again and
compared, every field of it.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from chalicelib.values import dataclass
from guardctl.importing.old import Told, path_of, rule_of

_NOT_ITS_OWN = frozenset({"State", "LastModificationDate", "ResponseMetadata"})
"""What may differ after its state was changed."""


class NotThere(Exception):
    """The rule or schedule does not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(Told):
    """All that AWS tells of it: of a rule as a whole, whatever the target."""

    targets: tuple[Mapping[str, Any], ...] = ()
    """Of a rule."""


@dataclass(frozen=True)
class Switch:
    """EventBridge, Scheduler and CloudFormation; raises what boto3 raises."""

    events: Any
    scheduler: Any
    cloudformation: Any

    def look(self, origin: str) -> Snapshot:
        """It as it is now. Raises `NotThere`."""
        kind, parent, name = path_of(origin)
        try:
            if kind == "schedule":
                told = self.scheduler.get_schedule(Name=name, GroupName=parent)
                return Snapshot(origin=origin, told=told)
            told = self.events.describe_rule(Name=name, EventBusName=parent)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "ResourceNotFoundException":
                raise NotThere(f"{rule_of(origin)} does not exist (any more)") from error
            raise
        return Snapshot(origin=rule_of(origin), told=told, targets=tuple(self._targets(parent, name)))

    def set(self, before: Snapshot, *, on: bool, without: frozenset[str] = frozenset()) -> None:
        """Change its state alone; `without` are fields of a schedule that AWS would not take again."""
        kind, parent, name = path_of(before.origin)
        if kind == "rule":
            change = self.events.enable_rule if on else self.events.disable_rule
            change(Name=name, EventBusName=parent)
            return
        members = self.scheduler.meta.service_model.operation_model("UpdateSchedule").input_shape.members
        whole = {key: before.told[key] for key in members if key in before.told and key not in without}
        self.scheduler.update_schedule(**whole | {"State": "ENABLED" if on else "DISABLED"})

    def owner(self, origin: str) -> str | None:
        """Who would set it back, in words: a service, a CloudFormation stack or Terraform; None if nobody is known."""
        kind, parent, name = path_of(origin)
        tags = self._tags(origin)
        if stack := tags.get("aws:cloudformation:stack-name"):
            return f"the CloudFormation stack {stack}"
        resource = "AWS::Events::Rule" if kind == "rule" else "AWS::Scheduler::Schedule"
        if stack := self._stack(f"{parent}|{name}", name, resource):
            return f"the CloudFormation stack {stack}"
        for key, value in tags.items():
            if "terraform" in f"{key} {value}".lower():
                return f"Terraform (by its tag {key} = {value})"
        return None

    def _tags(self, origin: str) -> dict[str, str]:
        """A rule's tags. A schedule has none (Scheduler guide, "Tagging"); those of its group stand for it."""
        kind, parent, name = path_of(origin)
        if kind == "rule":
            arn = self.events.describe_rule(Name=name, EventBusName=parent)["Arn"]
            told = self.events.list_tags_for_resource(ResourceARN=arn)
        else:
            arn = self.scheduler.get_schedule_group(Name=parent)["Arn"]
            told = self.scheduler.list_tags_for_resource(ResourceArn=arn)
        return {tag["Key"]: tag["Value"] for tag in told.get("Tags", ())}

    def _stack(self, whole: str, name: str, resource: str) -> str | None:
        """The stack that has made it. A rule of another bus than the default one has both in its physical ID."""
        for physical in (name, whole):
            try:
                told = self.cloudformation.describe_stack_resources(PhysicalResourceId=physical)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") == "ValidationError":  # no stack has it
                    continue
                raise
            for each in told["StackResources"]:
                if each["ResourceType"] == resource and each.get("PhysicalResourceId") == physical:
                    return str(each["StackName"])
        return None

    def _targets(self, bus: str, rule: str) -> Iterator[Mapping[str, Any]]:
        token: str | None = None
        while True:
            more = {"NextToken": token} if token else {}
            page = self.events.list_targets_by_rule(Rule=rule, EventBusName=bus, **more)
            yield from page["Targets"]
            token = page.get("NextToken")
            if not token:
                return


def differences(before: Snapshot, after: Snapshot) -> list[str]:
    """What is not as it was, but for the state: a field, and both its values."""
    one, other = _fields(before), _fields(after)
    changed = [key for key in sorted(one.keys() | other.keys()) if one.get(key) != other.get(key)]
    return [f"{key} was {one.get(key)!r} and is {other.get(key)!r}" for key in changed]


def _fields(snapshot: Snapshot) -> dict[str, Any]:
    own = {key: value for key, value in snapshot.told.items() if key not in _NOT_ITS_OWN}
    return own | {f"target {target['Id']}": dict(target) for target in snapshot.targets}


def refused_again(before: Snapshot, now: datetime) -> frozenset[str]:
    """A start date in the past is refused ("cannot be earlier than 5 minutes ago"), and a cron has no use for it."""
    start = before.told.get("StartDate")
    past = isinstance(start, datetime) and start <= now
    return frozenset({"StartDate"}) if past else frozenset()
