"""The account as it is asked: every answer is a value, None for what is not there, or why it could not be read."""

from collections.abc import Callable, Collection
from dataclasses import field
from threading import Lock
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.values import dataclass
from guardctl.stage import Stage
from guardctl.verifying.findings import Unread

_DENIED = ("AccessDenied", "UnauthorizedOperation", "AuthorizationError", "NotAuthorized")
"""How the codes begin by which a service says that the caller may not: AccessDeniedException, AuthorizationError …"""

_PREFIX = {"stepfunctions": "states", "service-quotas": "servicequotas"}
"""Service → how IAM's actions begin, where that is not its name."""

Missing = Collection[str]


@dataclass
class Account:
    """Asks AWS on behalf of a stage, from several threads. A call that is throttled is tried again (`Stage.client`)."""

    stage: Stage
    calls: list[str] = field(default_factory=list, init=False)
    """The operation of every request, a page each; what is tried again counts once."""
    answered: bool = field(default=False, init=False)
    """Whether anything could be read at all."""
    _clients: dict[tuple[str, str | None], Any] = field(default_factory=dict, init=False)
    _lock: Lock = field(default_factory=Lock, init=False)

    def client(self, service: str, region: str | None = None) -> Any:
        """One client per service and Region: making one is not safe between threads, using it is."""
        with self._lock:
            if (service, region) not in self._clients:
                made = self.stage.client(service, region)
                made.meta.events.register("before-parameter-build", self._count)
                self._clients[service, region] = made
            return self._clients[service, region]

    def call(
        self, service: str, operation: str, key: str, *, region: str | None = None, missing: Missing = (), **asked: Any
    ) -> Any | Unread | None:
        """What AWS answers under `key`; None for an error with one of the codes `missing`: it is not there."""
        client = self.client(service, region)
        return self._read(client, operation, lambda: getattr(client, operation)(**asked)[key], missing)

    def pages(
        self, service: str, operation: str, key: str, *, region: str | None = None, **asked: Any
    ) -> list[Any] | Unread:
        """Everything that the pages of an answer have under `key`."""
        client = self.client(service, region)
        pages = client.get_paginator(operation)
        found: list[Any] | Unread | None = self._read(
            client, operation, lambda: [each for page in pages.paginate(**asked) for each in page[key]]
        )
        return found or []

    def _read(self, client: Any, operation: str, ask: Callable[[], Any], missing: Missing = ()) -> Any | Unread | None:
        """What `ask` answers, which calls this operation; `missing` as of `call`."""
        model = client.meta.service_model
        prefix = _PREFIX.get(model.service_name, model.service_name)
        action = f"{prefix}:{client.meta.method_to_api_mapping[operation]}"
        try:
            answer = ask()
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "?")
            said = error.response.get("Error", {}).get("Message", "")
            if code in missing:
                self.answered = True
                return None
            told = f"is denied ({code})" if code.startswith(_DENIED) else f"failed: {code}: {said}".rstrip(": ")
            return Unread(f"{action} {told}")
        except BotoCoreError as error:
            return Unread(f"{action} got no answer: {error}")
        except (KeyError, TypeError, ValueError) as error:
            return Unread(f"{action} gave an answer that can't be read: {error!r}")
        self.answered = True
        return answer

    def _count(self, model: Any, **_: Any) -> None:
        self.calls.append(model.name)
