"""What AWS's answers mean to a guard: an error here is a reason not to run, sorted by whether asking again helps."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from chalicelib.decide.facts import CantTell, Refused

if TYPE_CHECKING:
    from botocore.config import Config

_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "UnrecognizedClientException"})
_MISSING = frozenset(
    {"StateMachineDoesNotExist", "ClusterNotFoundException", "ResourceNotFoundException", "ParameterNotFound"}
)
_INVALID = frozenset({"InvalidArn", "InvalidParameterException", "ValidationException"})


class NotDeployed(Refused):
    """The job's batch machine, its cluster or the record of its schedule is not there."""


class PermissionDenied(Refused):
    """IAM refused a read."""


class Misconfigured(Refused):
    """AWS says that the job's settings can't be right."""


def client_config() -> "Config":
    """Timeouts below the function's own (botocore waits 60 s by default), and three tries in all."""
    from botocore.config import Config  # noqa: PLC0415 (importing a handler must not cost what it may not use)

    return Config(
        connect_timeout=2,
        read_timeout=5,
        retries={"mode": "standard", "total_max_attempts": 3},
        max_pool_connections=32,
        parameter_validation=False,  # AWS does that itself, and its refusal is read like any other
        # The function's name is what CloudTrail shows; botocore's own is put together anew for each call.
        user_agent=os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "batch-guard"),
    )


def client(service: str) -> Any:
    """A client made with botocore alone: importing boto3 takes a quarter of a cold start (docs/benchmarks.md)."""
    return _session().create_client(service, config=client_config())


@cache
def _session() -> Any:
    """One for all clients: each reads botocore's table of endpoints anew."""
    import botocore.session  # noqa: PLC0415 (see client_config)

    from chalicelib.read.models import Models  # noqa: PLC0415 (see client_config)

    session = botocore.session.get_session()
    session.register_component("data_loader", Models())
    # botocore's own way is two thirds of what it does to read a page of executions.
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=timestamp)
    return session


def timestamp(value: Any) -> datetime:
    """A timestamp of a response: seconds since 1970 in JSON, or whatever else botocore knows."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    from botocore.utils import parse_timestamp  # noqa: PLC0415 (see client_config)

    return parse_timestamp(value)


@contextmanager
def reading(action: str, resource: str) -> Iterator[None]:
    """Turn AWS's refusals into ours, naming the IAM action and what it was asked about.

    Raises `NotDeployed`, `PermissionDenied`, `Misconfigured`, or `CantTell` for whatever may pass
    (throttling, time-outs, AWS's own faults, and answers that can't be read).
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 (see client_config)

    try:
        yield
    except ClientError as error:
        raise _meaning(error.response, action, resource) from error
    except BotoCoreError as error:
        raise CantTell(f"{action} on {resource} got no answer: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise CantTell(f"{action} on {resource} gave an answer that can't be read: {error!r}") from error


def _meaning(response: Any, action: str, resource: str) -> Exception:
    code, message = response["Error"].get("Code", "?"), response["Error"].get("Message", "")
    if code in _DENIED:
        return PermissionDenied(f"{action} on {resource} is denied: {message}")
    if code in _MISSING:
        return NotDeployed(f"{resource} does not exist ({action}: {message}); run: guardctl deploy --stage STAGE")
    if code in _INVALID:
        return Misconfigured(f"{action} refuses {resource}: {message}")
    return CantTell(f"{action} on {resource} failed: {code}: {message}")
