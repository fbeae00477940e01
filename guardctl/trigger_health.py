"""Is the trigger alive: its rule, its last tick, its errors. Three calls at most; nothing here writes.

What may not be read is said, and is no reason to show nothing else.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.decide.facts import stamp
from guardctl.stage import Stage

_BACK = timedelta(minutes=15)
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

    def trouble(self, now: datetime) -> str:
        """Why nothing may start; empty if nothing is known to be wrong."""
        if self.rule not in {"rule unknown", "rule enabled"}:
            return f"the {self.rule}: no schedule starts anything"
        if self.last_tick and now - self.last_tick > _LAG:
            return f"no tick since {stamp(self.last_tick)}: no schedule starts anything"
        if self.errors:
            return f"the trigger failed {self.errors} times in {_BACK.seconds // 60} min: see its log"
        return ""

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
    rule, last_tick, errors, unread = "rule unknown", None, None, []
    try:
        events = stage.client("events")
        names = events.list_rule_names_by_target(TargetArn=function)["RuleNames"]
        states = {events.describe_rule(Name=name)["State"] for name in names}
        rule = "rule is missing" if not names else "rule enabled" if states == {"ENABLED"} else "rule is disabled"
    except (ClientError, BotoCoreError) as error:
        unread.append(_why(error))
    try:
        answer = stage.client("cloudwatch").get_metric_data(
            MetricDataQueries=[_query(name, function.rpartition(":")[2]) for name in ("Invocations", "Errors")],
            StartTime=now - _BACK,
            EndTime=now,
        )
        found = {each["Id"]: each for each in answer["MetricDataResults"]}
        ticks = [
            at.astimezone(UTC)
            for at, n in zip(found["invocations"]["Timestamps"], found["invocations"]["Values"], strict=True)
            if n
        ]
        last_tick = max(ticks, default=None)
        errors = int(sum(found["errors"]["Values"])) if ticks else None
    except (ClientError, BotoCoreError, KeyError) as error:
        unread.append(_why(error))
    return Trigger(rule, last_tick, errors, "; ".join(unread))


def _query(metric: str, function: str) -> dict[str, object]:
    dimensions = [{"Name": "FunctionName", "Value": function}]
    about = {"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": dimensions}
    return {"Id": metric.lower(), "MetricStat": {"Metric": about, "Period": 60, "Stat": "Sum"}}


def _why(error: Exception) -> str:
    if isinstance(error, ClientError):
        return f"{error.operation_name}: {error.response['Error'].get('Code', '?')}"
    return str(error)
