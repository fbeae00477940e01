"""The judges from outside, as far as they need no Node: their tables, and the judges by models and policies."""

import copy
import json
import re
from typing import Any

import botocore.session
import pytest
from botocore.model import ServiceModel

from lab.judges import handed, models, policies
from lab.judges.definitions import expressions, texts
from lab.judges.expressions import Table, same
from lab.judges.guarantees import Guarantee, anything, number, record, text
from lab.judges.hostile import cases
from lab.judges.reads import Tree

RUN_TASK = {"Cluster": "batch", "TaskDefinition": "report", "Overrides": {"ContainerOverrides": [{"Name": "app", "Command": ["bin/report"]}]}}  # fmt: skip


def test_every_expression_of_a_definition_has_its_place_and_what_holds_where_it_is_evaluated() -> None:
    choice = {"Type": "Choice", "Choices": [{"Condition": "{% $a %}", "Output": {"x": ["{% $b %}", "plain"]}}]}
    found = list(expressions("m", {"States": {"s": choice, "t": {"Type": "Wait", "Seconds": "{% 1 %}"}}}))
    assert [(str(e), e.text, e.given) for e in found] == [
        ("m / s / Choices[0].Condition", "$a", None),
        ("m / s / Choices[0].Output.x[0]", "$b", "$a"),
        ("m / t / Seconds", "1", None),
    ]


def test_what_is_handed_on_reaches_those_behind_a_choice_and_a_wait_but_not_behind_an_output() -> None:
    choice = {"Type": "Choice", "Choices": [{"Next": "wait"}, {"Next": "made", "Output": {}}], "Default": "end"}
    wait = {"Type": "Wait", "Next": "task"}
    task = {"Type": "Task", "Next": "made"}
    ends = {name: {"Type": "Succeed"} for name in ("made", "end")}
    definition = {"States": {"choice": choice, "wait": wait, "task": task, **ends}}
    assert handed.getting(definition, "choice") == ["choice", "wait", "end", "task"]


def read(*names: str) -> Tree:
    """What reads these variables."""
    return Tree({name: Tree() for name in names})


def test_hostile_values_are_the_same_for_the_same_seed_and_of_every_kind() -> None:
    made = [cases(read("a"), lambda _path: None, count=500, seed=seed) for seed in (1, 1, 2)]
    assert made[0] == made[1] != made[2]
    kinds = {type(case["a"]) for case in made[0] if "a" in case}
    assert kinds == {str, int, float, bool, type(None), list, dict}
    assert {} in made[0]


@pytest.mark.parametrize(
    ("domain", "kinds"),
    [(text, {str}), (number, {int}), (record, {dict})],
    ids=["a text is a string", "a number is whole", "a record is an object"],
)
def test_what_is_guaranteed_is_kept(domain: Any, kinds: set[type]) -> None:
    made = cases(read("a"), lambda path: domain if path == ("a",) else None, count=300, seed=1)
    assert {type(case["a"]) for case in made} == kinds


def test_the_last_row_that_speaks_of_a_place_counts_and_one_that_none_needs_is_a_finding() -> None:
    (expression,) = expressions("m", {"States": {"s": {"Type": "Wait", "Seconds": "{% $a %}"}}})
    rows = (
        Guarantee("m", "*", "a", text, "wide"),
        Guarantee("m", "r | s", "a", number, "narrow"),
        Guarantee("m", "s", "a", anything, "of another field", "Choices?0?.*"),
    )
    table = Table(rows, ())
    assert table.guarantee(expression, ("a",)) is number
    assert table.guarantee(expression, ("b",)) is None
    assert [finding.where for finding in table.idle()] == ["guarantees / m / * / a", "guarantees / m / s / a"]


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        pytest.param(1, 1.0, True, id="a number is a number"),
        pytest.param(True, 1, False, id="true is not 1"),
        pytest.param({"a": [True]}, {"a": [1]}, False, id="nor inside"),
        pytest.param({"value": None}, {}, False, id="null is not nothing"),
        pytest.param([1], [1, 1], False, id="a longer list"),
    ],
)
def test_what_two_engines_answer_is_compared_as_json(one: Any, other: Any, equal: bool) -> None:
    assert same(one, other) is equal


def without(key: str) -> dict[str, Any]:
    """RunTask's arguments without one."""
    return {name: value for name, value in RUN_TASK.items() if name != key}


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        pytest.param(RUN_TASK, None, id="all is well"),
        pytest.param({**RUN_TASK, "Overrides": "{% $o %}", "Count": "{% 1 %}"}, None, id="an expression may be anything"),
        pytest.param({**RUN_TASK, "cluster": "batch"}, "RunTask has no cluster; it has CapacityProviderStrategy, ", id="camelCase"),
        pytest.param({**RUN_TASK, "Overrides": {"ContainerOverrides": [{"name": "app"}]}}, "RunTask has no Overrides.ContainerOverrides[0].name", id="camelCase further in"),
        pytest.param(without("TaskDefinition"), "RunTask needs TaskDefinition", id="something is missing"),
        pytest.param({**RUN_TASK, "Count": "1"}, "Count is '1', which is no integer that RunTask takes", id="a string for a number"),
        pytest.param({**RUN_TASK, "Count": True}, "Count is True, which is no integer that RunTask takes", id="true is no number"),
        pytest.param({**RUN_TASK, "LaunchType": "Fargate"}, "LaunchType is 'Fargate', and RunTask takes one of EC2, FARGATE", id="a word it does not know"),
        pytest.param({**RUN_TASK, "Overrides": []}, "Overrides is [], which is no object that RunTask takes", id="a list for an object"),
        pytest.param({**RUN_TASK, "Tags": {}}, "Tags is {}, which is no list that RunTask takes", id="an object for a list"),
    ],
)  # fmt: skip
def test_what_runtask_does_not_take(arguments: dict[str, Any], fault: str | None) -> None:
    found = models.faults("ecs", "RunTask", arguments)
    assert [said.startswith(fault) for said in found] == [True] if fault else found == []


@pytest.mark.parametrize(
    ("resource", "arguments", "fault"),
    [
        pytest.param("aws-sdk:sfn:stopExecution", {"ExecutionArn": "{% $a %}", "Cause": "x"}, None, id="an SDK call"),
        pytest.param("aws-sdk:ecs:stopTask", {"Task": "x", "Why": "y"}, "StopTask has no Why; it has Cluster, Reason, Task", id="a key it does not have"),
        pytest.param("states:startExecution", {"StateMachineArn": "x", "Input": {"any": ["json"]}}, None, id="an input may be an object"),
        pytest.param("lambda:invoke", {"Payload": {"job": "x"}}, "Invoke needs FunctionName", id="a function has a name"),
        pytest.param("ecs:runTask.sync", {"Cluster": "c"}, "RunTask needs TaskDefinition", id="and waited for"),
        pytest.param("batch:submitJob", {}, "nobody has said which API 'batch:submitJob' is", id="an integration that is new here"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("partition", ["aws", "${Partition}"])
def test_what_a_machine_sends(partition: str, resource: str, arguments: dict[str, Any], fault: str | None) -> None:
    task = {"Type": "Task", "Resource": f"arn:{partition}:states:::{resource}", "Arguments": arguments}
    found = models.judge("m", {"States": {"s": task, "end": {"Type": "Succeed"}}})
    assert [str(finding).startswith(f"m / s / Arguments: {fault}") for finding in found] == ([True] if fault else [])


ECS = botocore.session.get_session().get_component("data_loader").load_service_model("ecs", "service-2")
BATCH = json.loads(texts()["batch"])


def test_every_error_of_runtasks_model_has_a_rule() -> None:
    assert models.unclassified(ServiceModel(ECS, "ecs"), BATCH) == []


def test_an_error_that_is_new_in_runtasks_model_is_found() -> None:
    newer = copy.deepcopy(ECS)
    newer["shapes"]["QuotaException"] = {"type": "structure", "members": {}, "exception": True}
    newer["operations"]["RunTask"]["errors"].append({"shape": "QuotaException"})
    (finding,) = models.unclassified(ServiceModel(newer, "ecs"), BATCH)
    assert "RunTask may answer QuotaException: nobody says what it means" in str(finding)


@pytest.mark.parametrize("error", sorted(error["shape"] for error in ECS["operations"]["RunTask"]["errors"]))
def test_an_error_that_a_rule_no_longer_names_is_found(error: str) -> None:
    name = error.removesuffix("Exception")
    forgetful = json.loads(re.sub(rf"\b{name}\b", "Forgotten", json.dumps(BATCH)))
    (finding,) = models.unclassified(ServiceModel(ECS, "ecs"), forgetful)
    assert f"RunTask may answer {error}: " in str(finding)


def allowing(action: str, resource: Any) -> dict[str, Any]:
    """A policy of one statement."""
    statement = {"Effect": "Allow", "Action": [action], "Resource": [resource]}
    return {"Version": "2012-10-17", "Statement": [statement]}


ROLE = {"Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:role/x"}


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        pytest.param(allowing("iam:PassRole", ROLE), None, id="a role that is passed"),
        pytest.param(allowing("ecs:RunTask", ROLE), "RESOURCE_MISMATCH", id="a task definition that is a role"),
        pytest.param(allowing("ecs:RunTusk", "*"), "UNKNOWN_ACTION", id="an action that is misspelt"),
        pytest.param(allowing("ecs:RunTask", "*"), "RESOURCE_STAR", id="any task definition"),
    ],
)
def test_what_parliament_finds(policy: dict[str, Any], found: str | None) -> None:
    said = policies.judge({"x": policy}, accepted=())
    assert [finding.what.partition(":")[0] for finding in said] == ([found] if found else [])


def test_an_accepted_finding_is_none_until_it_no_longer_occurs() -> None:
    star = policies.Accepted("RESOURCE_STAR", "ecs:RunTask", "for the test")
    assert policies.judge({"x": allowing("ecs:RunTask", "*")}, accepted=(star,)) == []
    (idle,) = policies.judge({"x": allowing("iam:PassRole", ROLE)}, accepted=(star,))
    assert str(idle) == 'accepted: RESOURCE_STAR "ecs:RunTask" no longer occurs: take it off the table'


def test_what_a_policy_takes_from_elsewhere_is_not_guessed() -> None:
    with pytest.raises(KeyError, match="SomeResource"):
        policies.resolved({"Fn::Sub": "arn:aws:s3:::${SomeResource}"})


def test_every_policy_that_we_generate_is_judged() -> None:
    whose = policies.generated()
    assert {"policy-dev-check.json", "every / check", "every / GuardMachineRole / batch-guard"} <= whose.keys()
    assert policies.judge(whose) == []
