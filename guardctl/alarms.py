"""Alarms and a dashboard: jobs file → CloudFormation resources, none unless it has [alerts]. Pure.

docs/alarms.md says what each alarm means and what to do about it. Three things of CloudWatch shape them (its user
guide, "Using CloudWatch alarms"; PutMetricAlarm, API reference):

- Most of these metrics have data only when something happens. So each alarm says what silence means: nothing wrong
  (``notBreaching``), the very thing it waits for (``breaching``), or nothing new (``ignore``).
- An alarm looks back a day at most, or seven days in periods of an hour. What has to be remembered for longer must be
  in the metric itself, as in SkipsInARow, or is not seen by looking back, as Late is.
- A point that comes late is still seen, because CloudWatch looks back a little further than it was told. So silence is
  noticed a few periods late, and a single point keeps an alarm ringing for some periods.

A run that was ABORTED rings nothing: somebody stopped it, a replacement did, or a pause was ended.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Literal

from chalicelib.config.jobs import Alerts, Job, JobsFile
from chalicelib.decide.deadlines import is_watched
from chalicelib.decide.facts import span
from chalicelib.metrics import BEYOND_CALENDAR, ERROR, LATE, NAMESPACE, REFUSE, SKIP, SKIPS_IN_A_ROW, STUCK, Metric
from chalicelib.names import Told, batch_machine, function_name, guard_machine, log_group
from guardctl.cloudformation import Json, arn, logical_id
from guardctl.wording import listed

Line = list[object]
"""A line of a graph: namespace, metric, dimensions' names and values, options (CloudWatch, dashboard body)."""

_POINT = 900
"""Seconds of a point: twelve hours are 48."""

_COMMANDS = """## What to type
| | |
| --- | --- |
| how every job stands, the worst first | `guardctl status --watch --stage STAGE` |
| what needs a person, since the evening | `guardctl problems --since 12h --stage STAGE` |
| what became of its last bad time, and why | `guardctl why JOB --stage STAGE` |
| its scheduled times, one by one | `guardctl history JOB --stage STAGE` |
| what its program wrote | `guardctl logs JOB --stage STAGE` |
| make up for a time | `guardctl run JOB --scheduled-at TIME --stage STAGE` |
| stop what runs | `guardctl stop JOB --reason WHY --stage STAGE` |
| let nothing start | `guardctl pause JOB --reason WHY --stage STAGE` |

Runs are counted by state machine: of a pool that jobs share, `guardctl status` says whose they were.
"""

ROUND_OF_RETRIES = 4
"""Calls of the checker before guard.asl.json waits and asks again: the first and three retries."""

_ALARMS_A_WIDGET = 100
"""An alarm widget shows no more (CloudWatch, dashboard body)."""


_TOLD: Mapping[str, Told] = {"alarms-skips": "skipped", "alarms-late": "late"}
"""Stack → the kind of message in whose place its alarm is."""


def resources(jobs: JobsFile) -> Json:
    """Logical ID → alarm or dashboard; empty without [alerts]."""
    return {logical: resource for part in parts(jobs).values() for logical, resource in part.items()}


def parts(jobs: JobsFile) -> dict[str, Json]:
    """Stack → its alarms, in a stack a kind: one alarm a job each. Empty without [alerts].

    What people are told by messages (`tell`) has no alarm beside them.
    """
    if jobs.alerts is None:
        return {}
    kinds: dict[str, Json] = {"alarms": _of_stage(jobs.alerts.topic, jobs.stage), "alarms-skips": {}, "alarms-late": {}}
    if any(job.calendar and job.calendar.data for job in jobs.jobs.values()):
        kinds["alarms"]["CalendarEnded"] = _of_calendars(jobs.alerts.topic, jobs.stage)
    scheduled = [job for job in jobs.jobs.values() if job.schedules]
    if scheduled and all("not_started" in jobs.tells(job) for job in scheduled):
        del kinds["alarms"]["StartRefused"]
    for pool in jobs.pools:
        if all("failed" in jobs.tells(job) for job in jobs.members(pool)):
            continue
        for slot in range(1, jobs.slots_of(pool) + 1):
            kinds["alarms"] |= _of_machine(jobs.alerts.topic, jobs, pool, slot)
    for job in jobs.jobs.values():
        for part, found in _of_job(jobs.alerts, jobs.stage, job):
            if _TOLD.get(part) not in jobs.tells(job):
                kinds[part] |= found
    alarms = [resource["Properties"]["AlarmName"] for part in kinds.values() for resource in part.values()]
    kinds["alarms"]["Dashboard"] = _dashboard(jobs, alarms)
    return kinds


def _of_stage(topic: str, stage: str) -> Json:
    return {
        "TickMissing": alarm(
            topic,
            f"batch-guard-{stage}-tick-missing",
            "For five minutes the trigger has not run, so no schedule starts anything. "
            "Look at the EventBridge rule and the function's throttles.",
            ("AWS/Lambda", "Invocations", {"FunctionName": function_name(stage, "trigger")}),
            below=1,
            of=5,
            silence="breaching",
        ),
        "TriggerFails": alarm(
            topic,
            f"batch-guard-{stage}-trigger-fails",
            "The trigger has failed in three of the last five minutes: some scheduled starts do not happen. "
            f"Its log says which and why: {log_group(stage, 'trigger')}",
            ("AWS/Lambda", "Errors", {"FunctionName": function_name(stage, "trigger")}),
            at_least=1,
            points=3,
            of=5,
        ),
        "CheckFails": alarm(
            topic,
            f"batch-guard-{stage}-check-fails",
            "The checker failed through a whole round of retries: nobody can tell whether a job is running, so it does "
            f"not run. Its log says why: {log_group(stage, 'check')}",
            ("AWS/Lambda", "Errors", {"FunctionName": function_name(stage, "check")}),
            at_least=ROUND_OF_RETRIES,
            period=300,
            tell_ok=False,
        ),
        "StartRefused": alarm(
            topic,
            f"batch-guard-{stage}-start-refused",
            "A start was refused, and asking again would not help. "
            f"The guard execution's cause says what to do: state machine {guard_machine(stage)}, status Failed",
            _ours(REFUSE, stage),
            at_least=1,
            period=300,
            tell_ok=False,
        ),
        "RunStuck": alarm(
            topic,
            f"batch-guard-{stage}-run-stuck",
            "A run goes on although its task stopped minutes ago, so its job's starts step back. "
            f"Which one: guardctl status --stage {stage}. End it: guardctl stop JOB --stage {stage}",
            _ours(STUCK, stage),
            at_least=1,
            period=300,
            tell_ok=False,
        ),
    }


def _of_calendars(topic: str, stage: str) -> Json:
    return alarm(
        topic,
        f"batch-guard-{stage}-calendar-ended",
        "A job was started although nobody knows whether its day is a holiday: the data of its calendar ends before. "
        f"Run guardctl calendar, commit, deploy. Which job: {log_group(stage, 'trigger')}, beyond the calendar",
        _ours(BEYOND_CALENDAR, stage),
        at_least=1,
        period=300,
        tell_ok=False,
    )


def _of_machine(topic: str, jobs: JobsFile, pool: str, slot: int) -> Json:
    """Step Functions counts failures by machine: of a shared pool, whose run it was is asked of `guardctl status`."""
    machine, names = batch_machine(jobs.stage, pool, slot), [job.name for job in jobs.members(pool)]
    asked = f"guardctl status {names[0]}" if len(names) == 1 else "guardctl status"
    failed = alarm(
        topic,
        f"{machine}-failed",
        f"A run of {_one_of(names)} failed or timed out. Its error and cause: {asked} --stage {jobs.stage}",
        ("AWS/States", "ExecutionsFailed", {"StateMachineArn": arn("states", f"stateMachine:{machine}")}),
        at_least=1,
        period=300,
        tell_ok=False,
    )
    return {logical_id(pool, f"Failed{slot}" if slot > 1 else "Failed"): failed}


def _one_of(names: list[str]) -> str:
    """Some names of a sentence; an alarm's description has 1,024 characters (CloudWatch, PutMetricAlarm)."""
    return names[0] if len(names) == 1 else f"one of {listed(names, 5)}{' jobs' if len(names) > 5 else ''}"


def _of_job(alerts: Alerts, stage: str, job: Job) -> Iterator[tuple[str, Json]]:
    machine, name = batch_machine(stage, job.name), job.name
    if job.enabled == "shadow":  # its verdicts are no skips, and nobody waits for a run of it
        return
    if job.schedules and job.enabled:
        skips = alarm(
            alerts.topic,
            f"{machine}-skips",
            f"At {alerts.skips_in_a_row} or more scheduled times in a row {name} was skipped, because something was in "
            f"the way. What it is: guardctl status {name} --stage {stage}",
            _ours(SKIPS_IN_A_ROW, stage, name),
            at_least=alerts.skips_in_a_row,
            # The least of five minutes: a start that got through is 0 and ends the row, also right after the last skip.
            statistic="Minimum",
            period=300,
            silence="ignore",
        )
        yield "alarms-skips", {logical_id(name, "Skips"): skips}
    if is_watched(job):
        late = alarm(
            alerts.topic,
            f"{machine}-late",
            f"A scheduled time of {name} had no run that succeeded {_promised(job)}. What became of it: "
            f"guardctl why {name} --stage {stage}",
            _ours(LATE, stage, name),
            at_least=1,
            # Of several that were looked up within five minutes one is enough; the next that is done in time ends it.
            statistic="Maximum",
            period=300,
            silence="ignore",
        )
        yield "alarms-late", {logical_id(name, "Late"): late}


def _promised(job: Job) -> str:
    """By when, in words."""
    by = f"by {job.expect_success_by} ({job.timezone})" if job.expect_success_by else ""
    after = f"within {span(timedelta(seconds=job.warn_after))}" if job.warn_after else ""
    return " or ".join(filter(None, (by, after)))


def alarm(
    topic: object,
    name: str,
    description: str,
    metric: tuple[str, str, Json],
    *,
    at_least: int | None = None,
    below: int | None = None,
    statistic: Literal["Sum", "Minimum", "Maximum"] = "Sum",
    period: int = 60,
    points: int | None = None,
    of: int = 1,
    silence: Literal["notBreaching", "breaching", "ignore"] = "notBreaching",
    tell_ok: bool = True,
) -> Json:
    """Rings when `points` of the last `of` periods (all unless told otherwise) are `at_least`, or `below`.

    `tell_ok` is off where OK means only that some minutes have passed, and must not close what somebody has to look at.
    """
    namespace, metric_name, dimensions = metric
    above = at_least is not None
    return {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "AlarmName": name,
            "AlarmDescription": description,
            "Namespace": namespace,
            "MetricName": metric_name,
            "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
            "Statistic": statistic,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold" if above else "LessThanThreshold",
            "Threshold": at_least if above else below,
            "Period": period,
            "EvaluationPeriods": of,
            "DatapointsToAlarm": points or of,
            "TreatMissingData": silence,
            "AlarmActions": [topic],
            **({"OKActions": [topic]} if tell_ok else {}),
        },
    }


def _ours(metric: Metric, stage: str, job: str | None = None) -> tuple[str, str, Json]:
    return NAMESPACE, metric.name, metric.of(stage, job)


def _line(metric: Metric, stage: str, job: str | None = None, *, label: str) -> Line:
    namespace, name, dimensions = _ours(metric, stage, job)
    return [namespace, name, *(part for pair in dimensions.items() for part in pair), {"label": label}]


def _dashboard(jobs: JobsFile, alarms: list[str]) -> Json:
    """One dashboard a stage, of the last twelve hours: the alarms, those that ring first; what failed, by job, and what
    to type; then a graph for each question, a line a job.
    """
    stage, names = jobs.stage, list(jobs.jobs)
    promised = [job.name for job in jobs.jobs.values() if is_watched(job)]
    whole = len(batch_machine(stage, ""))
    machines = [
        batch_machine(stage, pool, slot)[whole:] for pool in jobs.pools for slot in range(1, jobs.slots_of(pool) + 1)
    ]

    def of_runs(metric: str) -> list[Line]:
        return [["AWS/States", metric, "StateMachineArn", f"${{Machine}}{each}", {"label": each}] for each in machines]

    def of_starts(metric: Metric) -> list[Line]:
        return [_line(metric, stage, name, label=name) for name in names]

    def of_functions(metric: str) -> list[Line]:
        return [
            ["AWS/Lambda", metric, "FunctionName", function_name(stage, each), {"label": f"{each}: {metric.lower()}"}]
            for each in ("trigger", "check")
        ]

    graphs = [
        _graph("Runs that succeeded", of_runs("ExecutionsSucceeded")),
        _graph("Runs that were stopped", of_runs("ExecutionsAborted")),
        _graph("Starts that were skipped", of_starts(SKIP)),
        _graph("Scheduled times skipped in a row", of_starts(SKIPS_IN_A_ROW), "Maximum"),
        _graph("Scheduled times that were not done in time", [_line(LATE, stage, n, label=n) for n in promised]),
        _graph("Duration, the longest", of_runs("ExecutionTime"), "Maximum"),
        _graph(
            "Nobody could tell, or the start was refused",
            [*of_starts(ERROR), _line(REFUSE, stage, label="refused"), _line(STUCK, stage, label="stuck")],
        ),
        _graph("The trigger and the checker", [*of_functions("Invocations"), *of_functions("Errors")]),
    ]
    widgets: list[Json] = []
    top = 0
    for first in range(0, len(alarms), _ALARMS_A_WIDGET):
        shown = [f"${{Alarm}}{name}" for name in alarms[first : first + _ALARMS_A_WIDGET]]
        height = 2 + -(-len(shown) // 6)
        # By state, those that ring first, then by when it changed (CloudWatch, dashboard body).
        about = {"title": "Alarms", "alarms": shown, "sortBy": "stateUpdatedTimestamp"}
        widgets.append(_widget("alarm", 0, top, 24, height, about))
        top += height
    widgets.append(_widget("metric", 0, top, 12, 7, _table("Runs that failed, by job", of_runs("ExecutionsFailed"))))
    widgets.append(_widget("text", 12, top, 12, 7, {"markdown": _COMMANDS.replace("STAGE", stage)}))
    top += 7
    for place, graph in enumerate(graphs):
        widgets.append(_widget("metric", place % 2 * 12, top + place // 2 * 6, 12, 6, graph))
    body = {"start": "-PT12H", "periodOverride": "inherit", "widgets": widgets}
    prefixes = {
        "Machine": arn("states", f"stateMachine:{batch_machine(stage, '')}"),
        "Alarm": arn("cloudwatch", "alarm:"),
    }
    return {
        "Type": "AWS::CloudWatch::Dashboard",
        "Properties": {
            "DashboardName": f"batch-guard-{stage}",
            "DashboardBody": {"Fn::Sub": [json.dumps(body, separators=(",", ":")), prefixes]},
        },
    }


def _graph(title: str, lines: list[Line], statistic: Literal["Sum", "Maximum"] = "Sum") -> Json:
    shown = {"view": "timeSeries", "region": "${AWS::Region}", "stat": statistic, "period": _POINT}
    return {"title": title, "metrics": lines, **shown}


def _table(title: str, lines: list[Line]) -> Json:
    """The sum of each line over all the time shown, and no column beside it (CloudWatch guide, "Data table widget")."""
    summed = {"summaryColumns": ["SUM"], "showTimeSeriesData": False, "stickySummary": True}
    shown = {"view": "table", "region": "${AWS::Region}", "stat": "Sum", "period": _POINT, "table": summed}
    return {"title": title, "metrics": lines, **shown}


def _widget(kind: str, x: int, y: int, width: int, height: int, properties: Json) -> Json:
    return {"type": kind, "x": x, "y": y, "width": width, "height": height, "properties": properties}
