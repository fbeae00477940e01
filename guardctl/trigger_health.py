"""Is the trigger alive: its rule, its last tick, its errors. Three calls, a fourth if it is not; nothing here writes.

What may not be read is said, and is no reason to show nothing else.
"""

from datetime import UTC, datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.decide.facts import stamp
from chalicelib.names import function_name
from chalicelib.values import dataclass
from guardctl.stage import Stage

_BACK = timedelta(minutes=15)
_LONG_DEAD = timedelta(days=15)
"""CloudWatch keeps what comes each minute for so long (AWS, metrics retention)."""
_LAG = timedelta(minutes=4)
"""A minute's metric comes so late at most, as a rule; a tick is expected every minute."""


@dataclass(frozen=True)
class Trigger:
    """How the trigger stands. Times are UTC."""

    rule: str = "rule unknown"
    last_tick: datetime | None = None
    errors: int | None = None
    unread: str = ""
    """What could not be read, and why."""
    disabled: str = ""
    """The name of its rule, if that is disabled."""

    def trouble(self, now: datetime) -> str:
        """Why nothing may start; empty if nothing is known to be wrong."""
        if self.rule not in {"rule unknown", "rule enabled"}:
            return f"the {self.rule}: no schedule starts anything"
        if self.last_tick and now - self.last_tick > _LAG:
            return f"no tick since {stamp(self.last_tick)}: no schedule starts anything"
        if self.errors:
            return f"the trigger failed {self.errors} times in {_BACK.seconds // 60} min: see its log"
        return ""

    def command(self, stage: Stage) -> str:
        """What to type next when there is trouble."""
        if self.disabled:
            return f"aws events enable-rule --name {self.disabled}"
        if self.rule == "rule is missing":
            return stage.command("deploy")
        return f"aws logs tail /aws/lambda/{function_name(stage.name, 'trigger')} --since 1h"

    def told(self, now: datetime) -> str:
        """In a line, with instants as `stamp` writes them."""
        tick = f"last tick {stamp(self.last_tick)}" if self.last_tick else "last tick not known yet"
        errors = (
            "errors unknown" if self.errors is None else f"{self.errors or 'no'} errors in {_BACK.seconds // 60} min"
        )
        told = self.trouble(now) or f"{tick}, {self.rule}, {errors}"
        return f"{told} ({self.unread})" if self.unread else told


def read(stage: Stage, now: datetime) -> Trigger:
    """Ask EventBridge and CloudWatch."""
    function = stage.function("trigger")
    rule, disabled, last_tick, errors, unread = "rule unknown", "", None, None, []
    try:
        events = stage.client("events")
        names = events.list_rule_names_by_target(TargetArn=function)["RuleNames"]
        disabled = next((name for name in names if events.describe_rule(Name=name)["State"] == "DISABLED"), "")
        rule = "rule is missing" if not names else "rule is disabled" if disabled else "rule enabled"
    except (ClientError, BotoCoreError) as error:
        unread.append(_why(error))
    try:
        found = _counts(stage, ("Invocations", "Errors"), now - _BACK, now, 60)
        last_tick = max(found["Invocations"], default=None)
        errors = int(sum(found["Errors"].values())) if last_tick else None
        if last_tick is None:
            hours = _counts(stage, ("Invocations",), now - _LONG_DEAD, now - _BACK, 3600)["Invocations"]
            last_tick = min(max(hours) + timedelta(hours=1), now - _BACK) if hours else None
    except (ClientError, BotoCoreError, KeyError) as error:
        unread.append(_why(error))
    return Trigger(rule, last_tick, errors, "; ".join(unread), disabled)


def _counts(
    stage: Stage, metrics: tuple[str, ...], start: datetime, end: datetime, seconds: int
) -> dict[str, dict[datetime, float]]:
    """The function's metrics → the spans of so many seconds in which there was one, by their beginning (UTC)."""
    dimensions = [{"Name": "FunctionName", "Value": function_name(stage.name, "trigger")}]
    queries: list[dict[str, object]] = []
    for name in metrics:
        about = {"Namespace": "AWS/Lambda", "MetricName": name, "Dimensions": dimensions}
        queries.append({"Id": name.lower(), "MetricStat": {"Metric": about, "Period": seconds, "Stat": "Sum"}})
    answer = stage.client("cloudwatch").get_metric_data(MetricDataQueries=queries, StartTime=start, EndTime=end)
    found = {each["Id"]: zip(each["Timestamps"], each["Values"], strict=True) for each in answer["MetricDataResults"]}
    return {name: {at.astimezone(UTC): count for at, count in found[name.lower()] if count} for name in metrics}


def _why(error: Exception) -> str:
    if isinstance(error, ClientError):
        return f"{error.operation_name}: {error.response['Error'].get('Code', '?')}"
    return str(error)
