"""Whether a resource's policy lets somebody in: as much of IAM's evaluation as topics and keys need. Pure.

What it does not know (another operator, another key of a condition) it says it does not know.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any, Literal

from chalicelib.values import dataclass

Answer = Literal["allowed", "denied", "no statement", "unsure"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: an AWS service on behalf of something in an account, or a role of the account."""

    called: str
    principals: frozenset[tuple[str, str]]
    """``("Service", "cloudwatch.amazonaws.com")``; of a role its account as AWS writes it."""
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Keys of conditions, in lower case → their values; of several values each is asked for."""


def allows(policy: str, caller: Caller, action: str, resource: str) -> tuple[Answer, str]:
    """What a policy says to `caller` doing `action`, and what it is that could not be judged."""
    try:
        statements = json.loads(policy)["Statement"]
    except (ValueError, KeyError, TypeError):
        return "unsure", "the policy can't be read"
    found: Answer = "no statement"
    why = ""
    for statement in statements if isinstance(statements, list) else [statements]:
        if not (_for(statement, caller) and _covers(statement, action, resource)):
            continue
        holds, unknown = _conditions(statement.get("Condition", {}), caller)
        denies = statement.get("Effect") == "Deny"
        if holds is None:
            if denies or found != "allowed":
                found, why = "unsure", unknown
            if denies:
                return found, why
        elif holds and denies:
            return "denied", str(statement.get("Sid", "a statement"))
        elif holds:
            found, why = "allowed", ""
    return found, why


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _for(statement: Mapping[str, Any], caller: Caller) -> bool:
    if "NotPrincipal" in statement:
        return not _named(statement["NotPrincipal"], caller)
    return _named(statement.get("Principal"), caller)


def _named(principal: Any, caller: Caller) -> bool:
    """A service is no AWS principal, but ``*`` and ``{"AWS": "*"}`` are everybody (IAM, Principal element)."""
    if principal == "*":
        return True
    if not isinstance(principal, Mapping):
        return False
    given = {(kind, str(name)) for kind, names in principal.items() for name in _list(names)}
    return ("AWS", "*") in given or bool(given & caller.principals)


def _covers(statement: Mapping[str, Any], action: str, resource: str) -> bool:
    if "NotAction" in statement:
        acts = not any(_like(each.lower(), action.lower()) for each in _list(statement["NotAction"]))
    else:
        acts = any(_like(str(each).lower(), action.lower()) for each in _list(statement.get("Action", [])))
    if "NotResource" in statement:
        return acts and not any(_like(each, resource) for each in _list(statement["NotResource"]))
    return acts and any(_like(str(each), resource) for each in _list(statement.get("Resource", "*")))


def _like(pattern: str, value: str) -> bool:
    parts = (".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch("".join(parts), value, re.DOTALL) is not None


def _conditions(condition: Mapping[str, Any], caller: Caller) -> tuple[bool | None, str]:
    """Whether all conditions hold; None with the one that is not known."""
    unknown = ""
    for operator, keys in condition.items():
        for key, values in keys.items():
            holds = _condition(operator, key.lower(), [str(value) for value in _list(values)], caller)
            if holds is False:
                return False, ""
            if holds is None:
                unknown = f"the condition {operator} {key}"
    return (None, unknown) if unknown else (True, "")


def _condition(operator: str, key: str, values: Iterable[str], caller: Caller) -> bool | None:
    plain = operator.removesuffix("IfExists")
    if key not in caller.context:
        return None
    given = caller.context[key]
    if plain in ("StringEquals", "StringEqualsIgnoreCase"):
        lowered = plain != "StringEquals"
        wanted = {value.lower() if lowered else value for value in values}
        return all((one.lower() if lowered else one) in wanted for one in given)
    if plain in ("StringLike", "ArnLike", "ArnEquals"):
        some = list(values)
        return all(any(_like(pattern, one) for pattern in some) for one in given)
    if plain == "Bool":
        return all(one.lower() in [value.lower() for value in values] for one in given)
    return None
