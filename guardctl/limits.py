"""What AWS takes of a stage's resources: a row for each bound, with the document that states it, and who is over it.

The bounds of a task and of names are in chalicelib/config, where the jobs file is read. These here are counted in the
finished template, resource by resource, so that whatever is put into it is counted, too. What no jobs file can exceed
(an alarm's name and description, the functions' policies) has no row: tests/unit/test_limits.py shows it.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping

from chalicelib.config.jobs import Fault, JobsFile
from chalicelib.config.limits import Limit
from guardctl import template
from guardctl.cloudformation import Json
from guardctl.errors import Stop
from guardctl.stage import Stage

RESOURCES = Limit(500, "resources", "CloudFormation quotas: resources in a template")
TEMPLATE = Limit(template.S3_LIMIT, "bytes", "CloudFormation quotas: template body from S3")
NESTED = Limit(2_500, "resources", "CloudFormation quotas: resources of a nested stack operation")
POLICIES = Limit(
    template.POLICIES_OF_A_ROLE, "characters", "IAM quotas: inline policies of a role together, white space not counted"
)
RECORD = Limit(4_096, "characters", "PutParameter: Value of a standard parameter, 4 KB")
WIDGET = Limit(500, "metrics", "CloudWatch quotas: metrics in a dashboard's widget")
DASHBOARD = Limit(2_500, "metrics", "CloudWatch quotas: metrics in a dashboard")

_OF_CHALICE = 8
"""Resources of the functions in a package: two functions, their roles, the rule, its permission, some to spare."""

_TWO_STAGES = "spread the jobs over two stages"

Counted = tuple[Limit, int, str, str, str]
"""A limit; how much of it is used; the key it comes from, in the job's table; what it is of; what to do about it."""


def require(stage: Stage) -> JobsFile:
    """The stage's jobs file. Raises `Stop` with all its faults, also with those that only the template shows."""
    found = faults(stage.file, stage.place)
    if found:
        raise Stop("\n".join(map(str, found)))
    return stage.file


def faults(jobs: JobsFile, file: str) -> list[Fault]:
    """What AWS would refuse to make of a jobs file; `file` is what its faults call it."""
    stacks = template.stacks(jobs)
    found = [fault for part, document in stacks.items() for fault in _of_stack(jobs, file, part, document)]
    together = sum(len(document["Resources"]) for document in stacks.values()) + len(stacks) + _OF_CHALICE
    if said := NESTED.exceeded(together):
        found.append(Fault(file, "jobs", f"the stage's stacks together would have {said}", _TWO_STAGES))
    return found


def _of_stack(jobs: JobsFile, file: str, part: str, document: Json) -> Iterator[Fault]:
    resources = document["Resources"]
    owners = _jobs_of(resources)
    for logical, resource in resources.items():
        count = _COUNTS.get(resource["Type"])
        for limit, used, key, what, right in count(resource["Properties"]) if count else ():
            said = limit.exceeded(used)
            job = owners.get(logical)
            if said and job in jobs.jobs:
                yield Fault(file, f"jobs.{job}{key}", f"{what} would have {said}", right)
            elif said:
                yield Fault(file, "jobs", f"{what} ({logical}) would have {said}", _TWO_STAGES)
    # As a pipeline sends it: `aws cloudformation package` indents by four, which `guardctl deploy` does not.
    size = len(template.render(document, indent=4).encode())
    for limit, used in ((RESOURCES, len(resources)), (TEMPLATE, size)):
        if said := limit.exceeded(used):
            yield Fault(file, "jobs", f"the template of the stage's {part} would have {said}", _TWO_STAGES)


def _jobs_of(resources: Mapping[str, Json]) -> dict[str, str]:
    """Logical ID → the job it is made for; of a role, the first of those whose machines share it."""
    owners: dict[str, str] = {}
    for logical, resource in resources.items():
        # A job's resources begin with its name (`cloudformation.logical_id`), the stage's own with a capital.
        match = re.match(r"[a-z][a-z0-9]*(?:X[a-z0-9]+)*", logical)
        if match is None:
            continue
        owners[logical] = job = match[0].replace("X", "-")
        role = resource["Properties"].get("RoleArn")
        if role:
            owners.setdefault(role["Fn::GetAtt"][0], job)
    return owners


# --- how much a resource uses -----------------------------------------------------------------------------


def _of_role(properties: Json) -> Iterator[Counted]:
    size = sum(template.policy_size(policy["PolicyDocument"]["Statement"]) for policy in properties["Policies"])
    right = f"pass fewer roles, or name the families shorter: at least {size - POLICIES.most:,} characters less"
    yield POLICIES, size, ".ecs", "the policy of the machine's role", right


def _of_parameter(properties: Json) -> Iterator[Counted]:
    right = "write fewer schedules: one cron(...) may name several minutes, hours and days"
    yield RECORD, len(properties["Value"].encode()), ".schedule", "the record of its schedules", right


def _of_dashboard(properties: Json) -> Iterator[Counted]:
    body = properties["DashboardBody"]["Fn::Sub"][0]
    graphed = [len(widget["properties"].get("metrics", ())) for widget in json.loads(body)["widgets"]]
    yield WIDGET, max(graphed, default=0), "", "a graph of the dashboard", _TWO_STAGES
    yield DASHBOARD, sum(graphed), "", "the dashboard", _TWO_STAGES


_COUNTS: Mapping[str, Callable[[Json], Iterator[Counted]]] = {
    "AWS::IAM::Role": _of_role,
    "AWS::SSM::Parameter": _of_parameter,
    "AWS::CloudWatch::Dashboard": _of_dashboard,
}
