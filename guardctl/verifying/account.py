"""The account as it is asked: every answer is a value, None for what is not there, or why it could not be read."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from guardctl.stage import Stage
from guardctl.verifying.findings import Unread

T = TypeVar("T")

_DENIED = ("AccessDenied", "UnauthorizedOperation", "AuthorizationError", "NotAuthorized")
"""How the codes begin by which a service says that the caller may not: AccessDeniedException, AuthorizationError …"""


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

    def read(self, action: str, ask: Callable[[], T], missing: Collection[str] = ()) -> "T | Unread | None":
        """What `ask` answers; None for an error with one of the codes `missing`, which means that it is not there."""
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
