"""An HTTP proxy on this machine between the checker and the emulator: AWS on a bad day.

It answers reads from the past, refuses calls beyond AWS's quotas in AWS's own form, is slow, cuts connections, and
sends half an answer or none. It never invents an answer: `stress.past`.
"""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from random import Random
from typing import Any
from urllib.parse import urlsplit

from chalicelib.decide.pace import Bucket
from chalicelib.values import dataclass
from lab.emulator import require_loopback
from lab.stress.past import Memory, blend, blurred
from lab.tokens import Tokens, of_region

UPSTREAM_AT_ONCE = 8
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "host", "content-length"})


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong: shares of all calls, and limits."""

    past: float = 0.0
    """Of the reads, how many are answered from the past."""
    lags: Mapping[str, float] = field(default_factory=dict)
    """How old that past may be, in seconds, by batch machine or cluster; one that is not named is shown the present."""
    slow: float = 0.0
    longest: float = 0.3
    """Seconds that a slow answer is held back at most."""
    cut: float = 0.0
    """The connection closes, before the call is made or after."""
    half: float = 0.0
    """The connection closes in the middle of the answer."""
    garbled: float = 0.0
    """The answer is not JSON."""
    broken: float = 0.0
    """HTTP 500."""
    quotas: Mapping[str, Bucket] = field(default_factory=dict)
    """Call → its quota; ListTasks' is shared with DescribeTasks."""
    pace: float = 1.0
    """By how much faster than AWS's the quotas are refilled: as much as the emulator's waits are shorter."""


NO_FAULTS = Faults()


def bad_day(lags: Mapping[str, float], pace: float) -> Faults:
    """The faults of `make stress`."""
    quotas = of_region("ap-northeast-1")
    return Faults(
        past=0.5, lags=lags, slow=0.2, cut=0.02, half=0.01, garbled=0.01, broken=0.02, quotas=quotas, pace=pace
    )


class Proxy:
    """What the HTTP server asks about each call, and the count of what it did."""

    def __init__(self, upstream: str, seed: int) -> None:
        require_loopback(upstream)
        # So few, since a flood of calls would only make the emulator slow, and the harness with it.
        self.connections: SimpleQueue[http.client.HTTPConnection] = SimpleQueue()
        for _ in range(UPSTREAM_AT_ONCE):
            self.connections.put(http.client.HTTPConnection(urlsplit(upstream).netloc, timeout=30))
        self.url = ""
        self.done: Counter[str] = Counter()
        """Calls and faults, by kind."""
        self.callers: set[int] = set()
        """The ports of those who wait for an answer."""
        self.faults = NO_FAULTS
        self._random = Random(seed)
        self._memory = Memory()
        self._buckets: dict[str, Tokens] = {}
        self._lock = threading.Lock()

    def inject(self, faults: Faults) -> None:
        """From now on, these faults."""
        buckets = {
            call: Tokens(Bucket(quota.burst, quota.refill * faults.pace)) for call, quota in faults.quotas.items()
        }
        if "ListTasks" in buckets:
            buckets["DescribeTasks"] = buckets["ListTasks"]
        with self._lock:
            self._buckets = buckets
            self.faults = faults

    @contextmanager
    def answering(self, port: int) -> Iterator[None]:
        """Somebody waits for an answer for as long as the block lasts."""
        with self._lock:
            self.callers.add(port)
        try:
            yield
        finally:
            with self._lock:
                self.callers.discard(port)

    def waiting(self) -> set[int]:
        """The ports of those who wait for an answer now."""
        with self._lock:
            return set(self.callers)

    def happens(self, share: float, kind: str) -> bool:
        """Throw the dice, and count it if it happens."""
        with self._lock:
            if self._random.random() >= share:
                return False
            self.done[kind] += 1
            return True

    def refuses(self, action: str) -> bool:
        """The quota of this action is used up."""
        with self._lock:
            self.done[action] += 1
            bucket = self._buckets.get(action)
            if bucket is None or bucket.take(time.monotonic()):
                return False
            self.done[f"{action} throttled"] += 1
            return True

    def delay(self) -> float:
        """Seconds to hold this answer back."""
        if not self.happens(self.faults.slow, "slow"):
            return 0.0
        with self._lock:
            return self._random.uniform(0, self.faults.longest)

    def seen(self, action: str, question: bytes, asked_at: float, status: int, body: bytes) -> tuple[int, bytes]:
        """What the checker is shown instead of this answer, which may be the answer itself."""
        if status != 200:
            return status, body
        lag = self.faults.lags.get(_about(json.loads(question)), 0.0)
        with self._lock:
            self._memory.keep(action.encode() + question, asked_at, body)
            if lag == 0 or self._random.random() >= self.faults.past:
                return status, body
            shown = self._past(action, question, lag, body)
            if shown[1] != body:
                self.done[f"{action} from the past"] += 1
            return shown

    def _past(self, action: str, question: bytes, lag: float, body: bytes) -> tuple[int, bytes]:
        if action == "ListExecutions" and self._random.random() < 0.5:
            page = blend(json.loads(body), time.time(), lag, self._random)
            return 200, json.dumps(page).encode()
        if action == "DescribeExecution":
            execution = blurred(json.loads(body), time.time(), lag, self._random)
            if execution is None:
                return 400, error("ExecutionDoesNotExist", "Execution Does Not Exist")
            return 200, json.dumps(execution).encode()
        earlier = self._memory.earlier(action.encode() + question, time.monotonic(), lag, self._random)
        return 200, earlier or body


@contextmanager
def proxy(upstream: str, seed: int = 1) -> Iterator[Proxy]:
    """A proxy on a free port of 127.0.0.1, without faults at first."""
    state = Proxy(upstream, seed)

    class Handler(_Handler):
        proxy = state

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        while not state.connections.empty():
            state.connections.get().close()


def error(code: str, message: str) -> bytes:
    """The body of an error, as AWS's JSON protocols have it."""
    return json.dumps({"__type": code, "message": message}).encode()


def _about(question: Mapping[str, Any]) -> str:
    """The batch machine or the cluster that a call asks about."""
    for key in ("stateMachineArn", "executionArn"):
        if key in question:
            return str(question[key]).split(":")[6]
    return str(question.get("cluster", ""))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a killed checker leaves its connection, and that is meant."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    proxy: Proxy

    def do_POST(self) -> None:  # its name in http.server
        with self.proxy.answering(self.client_address[1]):
            self._reply()

    def _reply(self) -> None:
        proxy, faults = self.proxy, self.proxy.faults
        question = self.rfile.read(int(self.headers["Content-Length"]))
        action = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        if proxy.refuses(action):
            return self._answer(400, error("ThrottlingException", "Rate exceeded"))
        if proxy.happens(faults.cut / 2, "cut before the call"):
            return self._hang_up()
        if proxy.happens(faults.broken, "HTTP 500"):
            return self._answer(500, error("InternalServerException", "injected"))
        asked_at = time.monotonic()
        try:
            answer = self._forward(question)
        except (OSError, http.client.HTTPException):
            proxy.done["the emulator gave no answer"] += 1
            return self._hang_up()
        status, body = proxy.seen(action, question, asked_at, *answer)
        time.sleep(proxy.delay())
        if proxy.happens(faults.cut / 2, "cut after the call"):
            return self._hang_up()
        if proxy.happens(faults.half, "half an answer"):
            self._answer(status, body, sent=len(body) // 2)
            return self._hang_up()
        if proxy.happens(faults.garbled, "not JSON"):
            body = body[: len(body) // 2]
        return self._answer(status, body)

    def _forward(self, question: bytes) -> tuple[int, bytes]:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        upstream = self.proxy.connections.get()
        try:
            upstream.request("POST", self.path, question, headers)
            answer = upstream.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            upstream.close()  # it connects anew when it is used again
            raise
        finally:
            self.proxy.connections.put(upstream)

    def _answer(self, status: int, body: bytes, *, sent: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:sent])
        self.wfile.flush()

    def _hang_up(self) -> None:
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what it did is counted."""
