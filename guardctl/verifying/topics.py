"""The topic of [alerts]: that it is there, and that its policy and its key let its publishers publish.

Sources: SNS guide, "Key management" (who publishes to an encrypted topic needs kms:GenerateDataKey* and kms:Decrypt,
and the key that AWS manages, alias/aws/sns, can't be given to a service); CloudWatch guide, alarms that notify a topic.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from chalicelib.config.jobs import JobsFile
from chalicelib.names import region_of, telling_machine
from chalicelib.values import dataclass
from guardctl import alarms
from guardctl.verifying.account import Account
from guardctl.verifying.findings import Finding, Unread, ng, ok, skip
from guardctl.verifying.permissions import role_arn
from guardctl.verifying.policies import Caller, allows
from guardctl.wording import listed

_OF_KEY = ("kms:GenerateDataKey", "kms:Decrypt")
_MANAGED = "alias/aws/sns"


@dataclass(frozen=True, slots=True)
class Topic:
    """What was read of the topic, and of its key if it has one."""

    attributes: Mapping[str, str] | Unread | None
    key: Mapping[str, Any] | Unread | None = None
    """KeyMetadata; None if it is not there, or not asked for."""
    key_policy: str | Unread | None = None


def read(account: Account, arn: str) -> Topic:
    region, gone = region_of(arn), ("NotFound", "NotFoundException")
    attributes = account.call("sns", "get_topic_attributes", "Attributes", region=region, missing=gone, TopicArn=arn)
    if attributes is None or isinstance(attributes, Unread):
        return Topic(attributes)
    named = attributes.get("KmsMasterKeyId", "")
    if not named or named.endswith(_MANAGED):
        return Topic(attributes)
    key = account.call("kms", "describe_key", "KeyMetadata", region=region, missing=gone, KeyId=named)
    if key is None or isinstance(key, Unread):
        return Topic(attributes, key)
    about = {"KeyId": key["KeyId"], "PolicyName": "default"}
    return Topic(attributes, key, account.call("kms", "get_key_policy", "Policy", region=region, **about))


def publishers(account: Account, file: JobsFile, topic: str) -> list[Caller]:
    """Who publishes: CloudWatch for the stage's alarms, and the machine that tells people, if they are told."""
    stage = account.stage
    rings = [resource["Properties"] for resource in alarms.resources(file).values() if "Alarm" in resource["Type"]]
    alarm = f"{stage.arn('cloudwatch')}:alarm:"
    of_both = {
        "aws:sourceowner": (stage.account,),
        "aws:securetransport": ("true",),
        "kms:viaservice": (f"sns.{stage.region}.amazonaws.com",),
        "kms:encryptioncontext:aws:sns:topicarn": (topic,),
    }
    of_service = {
        "aws:sourceaccount": (stage.account,),
        "aws:sourcearn": tuple(alarm + each["AlarmName"] for each in rings),
        "aws:principalisawsservice": ("true",),
    }
    found = [Caller("CloudWatch's alarms", frozenset({("Service", "cloudwatch.amazonaws.com")}), of_both | of_service)]
    if file.tells_something:
        root = f"arn:{stage.partition}:iam::{stage.account}:root"
        principals, of_role = {("AWS", root), ("AWS", stage.account)}, {**of_both}
        role = role_arn(account, telling_machine(file.stage))
        if isinstance(role, str):
            principals.add(("AWS", role))
            of_role["aws:principalarn"] = (role,)
        of_role |= {"aws:principalaccount": (stage.account,), "kms:calleraccount": (stage.account,)}
        found.append(Caller("the machine that tells", frozenset(principals), of_role))
    return found


def judge(arn: str, topic: Topic, callers: list[Caller]) -> Iterator[Finding]:
    """Whether what the stage has to tell would arrive there."""
    what = f"topic {arn.rpartition(':')[2]}"
    if isinstance(topic.attributes, Unread):
        yield skip(what, topic.attributes.reason)
    elif topic.attributes is None:
        yield ng(what, f"{arn} does not exist: nobody would be told anything")
    else:
        yield ok(what, "there")
        yield from _policy(arn, topic.attributes.get("Policy", ""), callers)
        yield from _key(topic, topic.attributes.get("KmsMasterKeyId", ""), callers)


def _policy(arn: str, policy: str, callers: list[Caller]) -> Iterator[Finding]:
    for caller in callers:
        what = f"{caller.called} may publish"
        answer, why = allows(policy, caller, "sns:Publish", arn)
        # In one account a role's own policy is enough, as long as the topic's does not deny (IAM, evaluation logic).
        by_itself = answer == "no statement" and ("Service", "cloudwatch.amazonaws.com") not in caller.principals
        if answer == "allowed":
            yield ok(what, "by the topic's policy")
        elif by_itself:
            yield ok(what, "by its role's own policy; the topic's denies nothing")
        elif answer == "unsure":
            yield skip(what, f"the topic's policy can't be judged here: {why}")
        elif answer == "denied":
            yield ng(what, f"the topic's policy denies it: {why}")
        else:
            right = "allow cloudwatch.amazonaws.com sns:Publish in the topic's policy"
            yield ng(what, f"the topic's policy allows it nowhere; {right}")


def _key(topic: Topic, named: str, callers: list[Caller]) -> Iterator[Finding]:
    what = f"key {named.rpartition(':key/')[2]} of the topic"
    if not named:
        return
    if named.endswith(_MANAGED):
        right = "encrypt the topic with a key of your own, whose policy lets cloudwatch.amazonaws.com use it"
        yield ng(what, f"is managed by AWS, and can't be opened for CloudWatch: no alarm would arrive; {right}")
    elif isinstance(topic.key, Unread):
        yield skip(what, topic.key.reason)
    elif topic.key is None:
        yield ng(what, "does not exist: nothing can be published")
    elif topic.key.get("KeyManager") == "AWS":
        yield ng(what, "is managed by AWS, and can't be opened for CloudWatch: no alarm would arrive")
    elif topic.key.get("KeyState") != "Enabled":
        yield ng(what, f"is {topic.key.get('KeyState')}: nothing can be published")
    elif isinstance(topic.key_policy, Unread) or topic.key_policy is None:
        yield skip(what, topic.key_policy.reason if topic.key_policy else "it has no policy that could be read")
    else:
        for caller in callers:
            yield _may_use(what, caller, topic.key_policy, str(topic.key.get("Arn", "*")))


def _may_use(what: str, caller: Caller, policy: str, key: str) -> Finding:
    answers = {action: allows(policy, caller, action, key) for action in _OF_KEY}
    if denied := [why for answer, why in answers.values() if answer == "denied"]:
        return ng(what, f"its policy denies its use to {caller.called}: {denied[0]}")
    if lacking := [action for action, (answer, _) in answers.items() if answer == "no statement"]:
        said = f"its policy does not let {caller.called} use it: {listed(lacking)}"
        return ng(what, f"{said}; add the statement {_statement(caller)}")
    if unsure := [why for answer, why in answers.values() if answer == "unsure"]:
        return skip(what, f"its policy can't be judged here for {caller.called}: {unsure[0]}")
    return ok(what, f"its policy lets {caller.called} use it")


def _statement(caller: Caller) -> str:
    """What a key's policy has to say to let it in; of a role's names its account's root, which is the last of them."""
    kind, name = max(caller.principals)
    actions = [_OF_KEY[0] + "*", _OF_KEY[1]]
    return json.dumps({"Effect": "Allow", "Principal": {kind: name}, "Action": actions, "Resource": "*"})
