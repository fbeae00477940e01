"""botocore, answered by functions: for what the emulator does not have, and for refusals.

As its Stubber does it: what is asked is held against botocore's model, and so is every answer. Unlike there, the calls
may come in any order and from several threads; each is kept. The clients are made once a process, since that is slow.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import boto3
import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.validate import validate_parameters

Asked = dict[str, Any]
Answer = Callable[[Asked], Any]

_METADATA = {"RequestId": "x", "HTTPHeaders": {}, "RetryAttempts": 0}


class Refusal(Exception):
    """Raised by an answer: AWS refuses with this code and message."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


DENIED = Refusal("AccessDeniedException", "no")


class Scripted:
    """AWS, as far as `answers` goes: operation → what it answers. Who asks anything else is told that it is denied.

    Only the newest one answers.
    """

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers = answers
        self.calls: list[tuple[str, Asked]] = []
        self.session = _session()
        self.session.newest = self

    @property
    def counted(self) -> Counter[str]:
        """Operation → how often it was called."""
        return Counter(name for name, _ in self.calls)

    def answer(self, name: str, asked: Asked, shape: Any) -> Any:
        """The response and what is parsed of it."""
        self.calls.append((name, asked))
        try:
            if name not in self.answers:
                raise DENIED
            answer = self.answers[name](asked)
        except Refusal as refusal:
            error = {"Code": refusal.code, "Message": refusal.message}
            return _response(400), {"Error": error, "ResponseMetadata": {**_METADATA, "HTTPStatusCode": 400}}
        validate_parameters(answer, shape)
        return _response(200), {**answer, "ResponseMetadata": {**_METADATA, "HTTPStatusCode": 200}}


def _response(status: int) -> AWSResponse:
    no_headers: Any = {}  # the stubs ask for more than botocore does
    return AWSResponse("", status, no_headers, None)


class _Session(boto3.Session):
    """A session of nobody's, whose clients are answered by the newest script."""

    newest: Scripted

    def client(self, service: Any, region_name: str | None = None, **_: Any) -> Any:  # type: ignore[override]
        return _client(self, service, region_name)


@cache
def _client(session: _Session, service: Any, region: str | None) -> Any:
    return boto3.Session.client(session, service, region_name=region)


@cache
def _session() -> _Session:
    nowhere: dict[str, Any] = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    session = _Session(
        aws_access_key_id="nobody",
        aws_secret_access_key="nothing",
        region_name="ap-northeast-1",
        botocore_session=botocore.session.Session(session_vars=nowhere),
    )

    def keep(params: Asked, context: dict[str, Any], **_: Any) -> None:
        context["asked"] = dict(params)

    def answer(model: Any, context: dict[str, Any], **_: Any) -> Any:
        return session.newest.answer(model.name, context["asked"], model.output_shape)

    session.events.register("before-parameter-build", keep)
    session.events.register("before-call", answer)
    return session
