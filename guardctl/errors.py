"""How a command ends when it can't do what was asked. No command shows a traceback for a user's mistake."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
)

OK = 0
NOT_RUN = 1
"""The job was not started, or its run failed."""
USAGE = 2
"""A typo, a faulty jobs file, an unknown job or stage: nothing was asked of AWS, or nothing was changed."""
AWS = 3
"""AWS could not be asked, or refused."""
INTERRUPTED = 130

EXIT_CODES = (
    "Exit codes: 0 done · 1 the job was not started, or its run failed · 2 a mistake in the command or the jobs file"
    " · 3 AWS could not be asked, or refused · 130 interrupted."
)


class Stop(Exception):
    """Ends the command with a message and an exit code."""

    def __init__(self, message: str, code: int = USAGE) -> None:
        super().__init__(message)
        self.code = code


_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_UNKNOWN = frozenset({"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "AuthFailure"})


def advice(error: BaseException | None) -> str:
    """What to do about AWS's answer, if it is about who asks; empty else. With what leads to it from a sentence."""
    code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
    if code in _DENIED:
        return "; what a person needs: guardctl iam viewer, operator or deployer"
    if code in _EXPIRED:
        return "; renew the credentials: `aws sso login`, or whatever gave them"
    if code in _UNKNOWN:
        return "; AWS does not know these credentials: look at AWS_PROFILE and `aws sts get-caller-identity`"
    return ""


@contextmanager
def explained() -> Iterator[None]:
    """Turn what AWS and the network say into one readable line."""
    try:
        yield
    except NoCredentialsError as error:
        raise Stop("no AWS credentials: set AWS_PROFILE, or run `aws sso login` or `aws configure`", AWS) from error
    except NoRegionError as error:
        raise Stop("no AWS Region: set AWS_DEFAULT_REGION, or a region in the profile", AWS) from error
    except ProfileNotFound as error:
        raise Stop(f"{error}; `aws configure list-profiles` lists them", AWS) from error
    except EndpointConnectionError as error:
        raise Stop(f"{error} Is the network up, and the Region right?", AWS) from error
    except ClientError as error:
        answer = error.response.get("Error", {})
        said = f"{error.operation_name} failed: {answer.get('Code')}: {answer.get('Message')}"
        raise Stop(f"{said}{advice(error)}", AWS) from error
    except BotoCoreError as error:
        raise Stop(str(error), AWS) from error
