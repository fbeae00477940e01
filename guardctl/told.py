"""The machine that tells people, and who may start it: none of it where nobody is told anything. Pure.

To an encrypted topic a message is sent with the topic's key, which the sender must be allowed to use (SNS guide, "Key
management"). Whether the topic has one is not known here; the permission is for a key used for this topic, and nothing
else. A key of the customer's has a policy of its own, which must let the account's policies say so, or this role.
"""

from chalicelib.config.jobs import Job, JobsFile
from chalicelib.names import batch_machine, guard_machine, telling_machine
from guardctl import stagewide
from guardctl.cloudformation import Json, allow, arn

MACHINE = "TellingMachine"
"""Logical ID of the machine that tells; its role is ``TellingMachineRole``."""


def statements(jobs: JobsFile) -> list[Json]:
    """What the machine that tells may do. Raises ValueError where there is none."""
    if jobs.alerts is None:
        raise ValueError(f"stage {jobs.stage} has nobody to tell")
    topic = jobs.alerts.topic
    for_it = {"StringEquals": {"kms:EncryptionContext:aws:sns:topicArn": topic}}
    told_of = [guard_machine(jobs.stage), batch_machine(jobs.stage, "*")]
    return [
        allow(["sns:Publish"], [topic]),
        allow(["states:DescribeExecution"], [arn("states", f"execution:{name}:*") for name in told_of]),
        allow(["kms:GenerateDataKey", "kms:Decrypt"], ["*"], Sid="TakesWhateverKeyEncryptsTheTopic", Condition=for_it),
        *stagewide.observing(jobs),
    ]


def substitutions(jobs: JobsFile) -> Json:
    alerts = jobs.alerts
    return {"TopicArn": alerts.topic, "Format": alerts.format, "Stage": jobs.stage} if alerts else {}


def starting(file: JobsFile, jobs: list[Job]) -> list[Json]:
    """What a batch machine of these jobs needs to tell that a run failed; the guard may start every machine's."""
    if not any("failed" in file.tells(job) for job in jobs):
        return []
    return [allow(["states:StartExecution"], [arn("states", f"stateMachine:{telling_machine(file.stage)}")])]


def of_trigger(jobs: JobsFile) -> list[Json]:
    """What the trigger needs to find what no state passes, and to tell it."""
    if not jobs.tells_something:
        return []
    machines = f"arn:*:states:*:*:stateMachine:{batch_machine(jobs.stage, '*')}"
    return [
        allow(["states:StartExecution"], [f"arn:*:states:*:*:stateMachine:{telling_machine(jobs.stage)}"]),
        allow(["states:ListExecutions"], [machines]),
        allow(["states:DescribeExecution"], [f"arn:*:states:*:*:execution:{batch_machine(jobs.stage, '*')}:*"]),
    ]
