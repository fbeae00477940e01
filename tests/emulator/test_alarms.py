"""The alarms and the dashboard: what each watches, when it rings, and that the emulator takes them."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from chalicelib.config.jobs import Alerts, Ecs, Job, JobsFile, parse
from chalicelib.decide.schedule import parse_schedule
from guardctl import alarms, template
from lab.emulator import Emulator
from lab.stage import LocalStage
from tests.support import eventually, lint, local_stage

ALERTS_TOML = Path(__file__).with_name("alerts.toml").read_text(encoding="utf-8")
JOBS = parse(ALERTS_TOML, stage="watched", place="alerts.toml")
OF_THE_STAGE = {"TickMissing", "TriggerFails", "CheckFails", "StartRefused", "RunStuck", "Dashboard"}
MINUTE, HOUR, DAY = 60, 3600, 86400


def properties(logical_id: str, jobs: JobsFile = JOBS) -> dict[str, Any]:
    """The properties of one of the resources."""
    found: dict[str, Any] = alarms.resources(jobs)[logical_id]["Properties"]
    return found


def one_job(**settings: Any) -> JobsFile:
    """A jobs file of one job, "report", with alerts."""
    job = Job(
        name="report", pool="report", ecs=Ecs(cluster="batch", task_definition="report", container="app"), **settings
    )
    return JobsFile(stage="watched", jobs={"report": job}, alerts=JOBS.alerts)


def without_alerts(jobs: JobsFile) -> JobsFile:
    """The same jobs, nobody to tell."""
    return dataclasses.replace(jobs, alerts=None)


# --- which there are -------------------------------------------------------------------------------------


NIGHTLY = (parse_schedule("cron(0 3 * * ? *)"),)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({}, {"Failed"}, id="a job by hand can only fail"),
        pytest.param({"schedules": NIGHTLY}, {"Failed", "Skips"}, id="a scheduled one can be skipped"),
        pytest.param({"schedules": NIGHTLY, "expect_success_by": "06:00"}, {"Failed", "Skips", "Late"}, id="and be late, if it says by when"),
        pytest.param({"schedules": NIGHTLY, "warn_after": DAY}, {"Failed", "Skips", "Late"}, id="or how long after"),
        pytest.param({"warn_after": DAY}, {"Failed"}, id="one by hand has no time to be late for"),
        pytest.param({"schedules": NIGHTLY, "warn_after": DAY, "enabled": False}, {"Failed"}, id="nobody waits for a job whose schedule rests"),
        pytest.param({"schedules": NIGHTLY, "warn_after": DAY, "enabled": "shadow"}, {"Failed"}, id="nor for one in shadow, whose verdicts are no skips"),
    ],
)  # fmt: skip
def test_a_job_has_the_alarms_that_can_ring_for_it(settings: dict[str, Any], expected: set[str]) -> None:
    of_job = set(alarms.resources(one_job(**settings))) - OF_THE_STAGE
    assert of_job == {f"report{what}" for what in expected}


def test_without_alerts_the_template_is_as_if_there_were_no_alarms() -> None:
    quiet = without_alerts(JOBS)
    assert alarms.resources(quiet) == {}
    assert template.stacks(quiet).keys() == {"machines", "records"}
    assert template.sam_extension(quiet)["Resources"].keys() == {"Check", "Trigger", "Machines", "Records"}


def test_alarms_need_no_permission_of_the_stage() -> None:
    quiet = without_alerts(JOBS)
    assert template.machines(quiet) == template.machines(JOBS)
    assert template.check_policy(quiet) == template.check_policy(JOBS)
    looked_up = '"arn:*:states:*:*:execution:batch-guard-watched:*"'  # how the last scheduled starts ended
    assert looked_up in json.dumps(template.check_policy(quiet))
    assert template.trigger_policy(quiet) == template.trigger_policy(JOBS)
    assert {resource["Type"] for resource in alarms.resources(JOBS).values()} == {
        "AWS::CloudWatch::Alarm",
        "AWS::CloudWatch::Dashboard",
    }


def test_both_ways_to_deploy_have_them() -> None:
    of_jobs = {"nightlyXreportFailed", "nightlyXreportSkips", "nightlyXreportLate", "byXhandFailed"}
    expected = {*OF_THE_STAGE, *of_jobs, "CalendarEnded"}
    assert alarms.resources(JOBS).keys() == expected
    stacks = {part: document for part, document in template.stacks(JOBS).items() if part.startswith("alarms")}
    assert {logical for document in stacks.values() for logical in document["Resources"]} == expected
    nested = template.sam_extension(JOBS)["Resources"].values()
    assert {f"{part}.json" for part in stacks} < {r["Properties"].get("TemplateURL") for r in nested}


def test_the_linter_has_nothing_to_say(tmp_path: Path) -> None:
    for part, document in template.stacks(JOBS).items():
        (tmp_path / f"{part}.json").write_text(template.render(document), encoding="utf-8")
    lint(*tmp_path.iterdir())


def test_every_alarm_has_a_name_of_its_own_and_says_what_to_do() -> None:
    found = [r["Properties"] for r in alarms.resources(JOBS).values() if r["Type"] == "AWS::CloudWatch::Alarm"]
    names = [alarm["AlarmName"] for alarm in found]
    assert len(set(names)) == len(names)
    assert all(name.startswith("batch-guard-watched-") for name in names)
    document = (Path(__file__).parent.parent.parent / "docs" / "alarms.md").read_text(encoding="utf-8")
    for alarm in found:
        assert alarm["AlarmActions"] == ["arn:aws:sns:us-east-1:123456789012:batch-alerts"]
        assert len(alarm["AlarmDescription"]) <= 1024
        kind = alarm["AlarmName"].replace("watched", "STAGE").replace("nightly-report", "JOB").replace("by-hand", "JOB")
        assert f"`{kind}`" in document


# --- when they ring ---------------------------------------------------------------------------------------


def states(alarm: Mapping[str, Any], points: Mapping[int, float], until: int) -> list[str]:
    """The states an alarm goes through as its periods pass, each once: CloudWatch's rule, "M out of N".

    `points` are in seconds from the start. Not modelled: CloudWatch may look some periods further back than it was
    told, and so keep a state a little longer.
    """
    period, of, needed = (alarm[key] for key in ("Period", "EvaluationPeriods", "DatapointsToAlarm"))
    reduce: Any = {"Sum": sum, "Minimum": min, "Maximum": max}[alarm["Statistic"]]
    passed: list[str] = []
    state = "INSUFFICIENT_DATA"
    for end in range(of * period, until + 1, period):
        breaching = missing = 0
        for start in range(end - of * period, end, period):
            values = [value for at, value in points.items() if start <= at < start + period]
            if not values:
                missing += 1
            elif alarm["ComparisonOperator"] == "LessThanThreshold":
                breaching += reduce(values) < alarm["Threshold"]
            else:
                breaching += reduce(values) >= alarm["Threshold"]
        if alarm["TreatMissingData"] == "ignore" and missing == of:
            continue
        breaching += missing if alarm["TreatMissingData"] == "breaching" else 0
        state = "ALARM" if breaching >= needed else "OK"
        passed += [state] if passed[-1:] != [state] else []
    return passed


TICKING = {minute * MINUTE: 1.0 for minute in range(20)}
NIGHTS = [night * DAY + 3 * HOUR for night in range(6)]


def every_minute(value: float, start: int, end: int) -> dict[int, float]:
    """A point a minute, from one minute to another."""
    return {minute * MINUTE: value for minute in range(start, end)}


@pytest.mark.parametrize(
    ("logical_id", "points", "until", "expected"),
    [
        pytest.param("TickMissing", TICKING, 20 * MINUTE, ["OK"], id="the trigger runs every minute"),
        pytest.param("TickMissing", every_minute(1, 0, 6) | every_minute(1, 10, 20), 20 * MINUTE, ["OK"], id="four ticks are missing"),
        pytest.param("TickMissing", every_minute(1, 0, 6) | every_minute(1, 11, 20), 20 * MINUTE, ["OK", "ALARM", "OK"], id="five are"),
        pytest.param("TickMissing", {}, 20 * MINUTE, ["ALARM"], id="a stage whose functions are not deployed yet has no tick"),
        pytest.param("TriggerFails", TICKING | {MINUTE: 0}, 20 * MINUTE, ["ALARM"], id="every tick fails"),
        pytest.param("TriggerFails", every_minute(0, 0, 20) | {5 * MINUTE: 1, 6 * MINUTE: 1}, 20 * MINUTE, ["OK"], id="a tick fails and its second try too"),
        pytest.param("TriggerFails", every_minute(0, 0, 20) | {5 * MINUTE: 1, 6 * MINUTE: 1, 8 * MINUTE: 1}, 20 * MINUTE, ["OK", "ALARM", "OK"], id="all three tries of a tick fail"),
        pytest.param("CheckFails", {0: 0, 301: 3, 700: 0}, 1800, ["OK"], id="a throttled check is asked again and answers"),
        pytest.param("CheckFails", {0: 0, 301: 2, 310: 2}, 1800, ["OK", "ALARM", "OK"], id="a whole round of retries fails"),
        pytest.param("CheckFails", {}, 1800, ["OK"], id="nobody asks the checker"),
        pytest.param("StartRefused", {400: 1}, 1800, ["OK", "ALARM", "OK"], id="a start is refused"),
        pytest.param("nightlyXreportFailed", {400: 1}, 1800, ["OK", "ALARM", "OK"], id="a run fails"),
        pytest.param("nightlyXreportFailed", {}, 1800, ["OK"], id="no run ends"),
        pytest.param("nightlyXreportSkips", {}, 6 * DAY, [], id="nothing is known until the first start"),
        pytest.param("nightlyXreportSkips", {NIGHTS[0]: 0, NIGHTS[1]: 1, NIGHTS[2]: 2}, 6 * DAY, ["OK"], id="two nights are skipped"),
        pytest.param("nightlyXreportSkips", {NIGHTS[0]: 0, NIGHTS[1]: 1, NIGHTS[2]: 2, NIGHTS[3]: 3, NIGHTS[4]: 4}, 6 * DAY, ["OK", "ALARM"], id="three are, and it rings until a start gets through"),
        pytest.param("nightlyXreportSkips", {NIGHTS[3]: 3, NIGHTS[4]: 0}, 6 * DAY, ["ALARM", "OK"], id="a start gets through"),
        pytest.param("nightlyXreportSkips", {NIGHTS[3]: 3, NIGHTS[3] + 90: 0}, 6 * DAY, ["OK"], id="somebody clears the way at once"),
        pytest.param("nightlyXreportLate", dict.fromkeys(NIGHTS, 0), 6 * DAY, ["OK"], id="every night is done in time"),
        pytest.param("nightlyXreportLate", dict.fromkeys(NIGHTS, 0) | {NIGHTS[2]: 1, NIGHTS[3]: 1}, 6 * DAY, ["OK", "ALARM", "OK"], id="two are not, and it rings until one is"),
        pytest.param("nightlyXreportLate", {NIGHTS[1]: 0, NIGHTS[1] + 30: 1, NIGHTS[1] + 60: 0}, 6 * DAY, ["ALARM"], id="of several times that should be done by now one is not"),
        pytest.param("nightlyXreportLate", {}, 5 * DAY, [], id="a new job is not late yet"),
    ],
)  # fmt: skip
def test_when_it_rings(logical_id: str, points: dict[int, float], until: int, expected: list[str]) -> None:
    assert states(properties(logical_id), points, until) == expected


def test_it_tells_that_all_is_well_again_only_when_that_is_known() -> None:
    telling = {logical for logical, resource in alarms.resources(JOBS).items() if "OKActions" in resource["Properties"]}
    assert telling == {"TickMissing", "TriggerFails", "nightlyXreportSkips", "nightlyXreportLate"}


def test_the_number_of_skips_is_that_of_the_jobs_file() -> None:
    told = dataclasses.replace(JOBS, alerts=Alerts(topic="arn:aws:sns:us-east-1:123456789012:a", skips_in_a_row=7))
    assert properties("nightlyXreportSkips", told)["Threshold"] == 7
    assert properties("nightlyXreportSkips", told)["AlarmActions"] == ["arn:aws:sns:us-east-1:123456789012:a"]


# --- what they rest on ------------------------------------------------------------------------------------


def test_a_round_of_retries_is_that_of_the_guard_machine() -> None:
    retries = template.definition("guard")["States"]["Check running executions"]["Retry"]
    (of_any_error,) = [retry for retry in retries if retry["ErrorEquals"] == ["States.ALL"]]
    assert of_any_error["MaxAttempts"] == alarms.ROUND_OF_RETRIES - 1


def test_a_run_never_ends_as_timed_out_so_failed_is_all_that_has_to_be_watched() -> None:
    assert "TimeoutSeconds" not in template.definition("batch")


def dashboard(jobs: JobsFile = JOBS) -> dict[str, Any]:
    """The body of the dashboard, its ARNs cut short."""
    text, prefixes = properties("Dashboard", jobs)["DashboardBody"]["Fn::Sub"]
    for name in (*prefixes, "AWS::Region"):
        text = text.replace(f"${{{name}}}", f"{name}:")
    assert "${" not in text
    body: dict[str, Any] = json.loads(text)
    return body


def test_the_dashboard_shows_every_alarm_and_asks_every_question_of_every_job() -> None:
    first, table, text, *graphs = dashboard()["widgets"]
    shown = {arn.rpartition(":")[2] for arn in first["properties"]["alarms"]}
    named = (resource["Properties"].get("AlarmName") for resource in alarms.resources(JOBS).values())
    assert shown == {name for name in named if name}
    assert (first["type"], first["properties"]["sortBy"]) == ("alarm", "stateUpdatedTimestamp"), (
        "what rings comes first"
    )
    assert (table["properties"]["view"], table["properties"]["table"]["summaryColumns"]) == ("table", ["SUM"])
    assert "guardctl why JOB --stage watched" in text["properties"]["markdown"]
    of_jobs = [table, *graphs[:-1]]
    assert len(of_jobs) == 8
    promised = next(each for each in of_jobs if each["properties"]["title"].endswith("not done in time"))
    of_jobs.remove(promised)
    assert [line[-1]["label"] for line in promised["properties"]["metrics"]] == ["nightly-report"]
    for graph in of_jobs:
        labels = {line[-1]["label"].partition(":")[0] for line in graph["properties"]["metrics"]}
        assert labels - {"refused", "stuck"} == {"nightly-report", "by-hand"}, graph["properties"]["title"]


@pytest.mark.parametrize("count", [1, 83])
def test_no_widget_covers_another_or_has_more_than_cloudwatch_shows(count: int) -> None:
    """Dashboard body, and quotas: 100 alarms a widget, 500 metrics a graph, 2,500 a dashboard, 24 columns."""
    widgets = dashboard(many(count))["widgets"]
    cells = [
        (x, y) for w in widgets for x in range(w["x"], w["x"] + w["width"]) for y in range(w["y"], w["y"] + w["height"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    graphs = [len(w["properties"]["metrics"]) for w in widgets if w["type"] == "metric"]
    assert max(graphs) <= 500
    assert sum(graphs) <= 2500
    assert all(len(w["properties"]["alarms"]) <= 100 for w in widgets if w["type"] == "alarm")


def many(count: int) -> JobsFile:
    """That many jobs with three alarms each."""
    job = one_job(schedules=NIGHTLY, warn_after=DAY).jobs["report"]
    names = [f"job-{number:03d}" for number in range(count)]
    return dataclasses.replace(JOBS, jobs={name: dataclasses.replace(job, name=name, pool=name) for name in names})


# --- on the emulator --------------------------------------------------------------------------------------


def measured(stage: LocalStage) -> list[str]:
    """The metrics in the checker's log, in order."""
    logs = stage.emulator.client("logs")
    events = logs.filter_log_events(logGroupName=f"/aws/lambda/batch-guard-{stage.name}-check")["events"]
    lines = [json.loads(e["message"]) for e in events if e["message"].startswith("{")]
    written = [line["_aws"]["CloudWatchMetrics"] for line in lines if "_aws" in line]
    return [metric["Name"] for declared in written for each in declared for metric in each["Metrics"]]


def test_they_are_deployed_ring_and_are_taken_away_with_the_stage(emulator: Emulator) -> None:
    cloudwatch: Any = emulator.client("cloudwatch")
    sqs, sns = (emulator.session().client(service) for service in ("sqs", "sns"))
    queue = sqs.create_queue(QueueName="on-call")["QueueUrl"]
    topic = sns.create_topic(Name="batch-alerts")["TopicArn"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def told() -> dict[str, Any] | None:
        for message in sqs.receive_message(QueueUrl=queue).get("Messages", []):
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            news: dict[str, Any] = json.loads(json.loads(message["Body"])["Message"])
            if news["AlarmName"].endswith("-skips"):
                return news
        return None

    def skips_in_a_row(count: int) -> None:
        """What CloudWatch makes of the checker's log."""
        metric = properties("nightlyXreportSkips")
        point: Any = {"MetricName": metric["MetricName"], "Dimensions": metric["Dimensions"], "Value": count}
        cloudwatch.put_metric_data(Namespace=metric["Namespace"], MetricData=[point])

    toml = ALERTS_TOML.replace("arn:aws:sns:us-east-1:123456789012:batch-alerts", topic)
    with local_stage(emulator, name="watched", jobs=toml) as stage:
        stage.deploy()
        found = cloudwatch.describe_alarms(AlarmNamePrefix="batch-guard-watched-")["MetricAlarms"]
        deployed = {alarm["AlarmName"]: alarm for alarm in found}
        expected = [r["Properties"] for r in alarms.resources(stage.jobs).values() if "AlarmName" in r["Properties"]]
        assert deployed.keys() == {alarm["AlarmName"] for alarm in expected}
        for alarm in expected:
            shown: Mapping[str, Any] = deployed[alarm["AlarmName"]]
            same = set(alarm) - {"AlarmName", "Dimensions"}
            assert {key: shown[key] for key in same} == {key: alarm[key] for key in same}
        (watched,) = deployed["batch-guard-watched-nightly-report-failed"]["Dimensions"]
        assert watched["Value"] == stage.machine("nightly-report")
        body = json.loads(cloudwatch.get_dashboard(DashboardName="batch-guard-watched")["DashboardBody"])
        assert body["widgets"][1]["properties"]["metrics"][0][3] == stage.machine("nightly-report")

        skips_in_a_row(3)
        ringing: Any = eventually(told, within=10, what="that it was skipped three times in a row")
        assert (ringing["AlarmName"], ringing["NewStateValue"]) == (
            "batch-guard-watched-nightly-report-skips",
            "ALARM",
        )
        assert "guardctl status nightly-report --stage watched" in ringing["AlarmDescription"]
        skips_in_a_row(0)
        over: Any = eventually(told, within=10, what="that a start got through")
        assert over["NewStateValue"] == "OK"

        stage.verdicts([stage.start("by-hand")])
        stage.a_task("by-hand")
        (skipped,) = stage.verdicts([stage.start("by-hand")])
        assert skipped["error"] == "BatchGuard.AlreadyRunning"
        assert eventually(lambda: measured(stage)[-3:], within=10) == ["Wait", "Skip", "SkipsInARow"]
        stage.finish("by-hand")
        stage.chalice("invoke", "-n", "check", "--stage", "watched", stdin='{"job": "by-hand"}')
        assert measured(stage) == ["Start", "SkipsInARow", "Wait", "Skip", "SkipsInARow"]

        stage.command("guardctl", "package", "--stage", "watched", "build")
        lint(stage.directory / "build" / "sam.json")

        stage.command("guardctl", "destroy", "--stage", "watched", "--yes")
        assert cloudwatch.describe_alarms(AlarmNamePrefix="batch-guard-watched-")["MetricAlarms"] == []
        assert cloudwatch.list_dashboards(DashboardNamePrefix="batch-guard-watched")["DashboardEntries"] == []
