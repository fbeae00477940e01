"""MiniStack, an emulator of AWS, for as long as a `with` block lasts.

Its process is held by a pipe: when this side of it closes, be it at the end of the block, on Ctrl-C or
because this process was killed, the other side ends the emulator with all its Lambda workers and removes
what they wrote. So nothing is left behind, on any platform, and no signal handler is needed.

It listens on 127.0.0.1 only, never sees the caller's AWS settings, and never uses Docker: an ECS task
runs until somebody stops it, or for `task_seconds`. Where it differs from AWS: docs/emulator.md.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, overload
from urllib.parse import urlsplit

from chalicelib.values import dataclass

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_sts import STSClient

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]

REGION = "us-east-1"
# MiniStack takes an access key of twelve digits for the account. AWS hands out neither this account nor
# keys of this form, so these credentials can't be anybody's.
ACCOUNT = "000000000000"
SECRET = "not-a-secret-only-for-the-emulator"
READY_WITHIN = 60.0
PORTS_TO_TRY = 3
_PROCESS = Path(__file__).with_name("emulator_process.py")


class NotLoopback(Exception):
    """The endpoint is not on this machine."""


class EmulatorFailed(Exception):
    """The emulator could not be started; the message ends with the tail of its log."""


class _PortTaken(Exception):
    """Somebody else took the port between our choosing it and the emulator's binding it."""


def require_loopback(endpoint: str) -> None:
    """Raise NotLoopback unless this endpoint can only be this machine."""
    host = urlsplit(endpoint).hostname or ""
    try:
        on_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        on_loopback = False
    if not on_loopback:
        shown = repr(endpoint) if endpoint else "none is set, which means AWS itself"
        raise NotLoopback(f"batch-guard refuses to run against anything but a loopback endpoint: {shown}")


@dataclass(frozen=True)
class Emulator:
    endpoint: str
    region: str
    account: str
    log: Path
    """Removed with everything else when the emulator stops."""

    def environment(self) -> dict[str, str]:
        """The whole environment of a subprocess (`env=`): the caller's own, its AWS settings replaced."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        past_proxies = ",".join(
            filter(None, ["127.0.0.1,localhost", os.environ.get("no_proxy", os.environ.get("NO_PROXY"))])
        )
        return {**inherited, **self.exports(), "NO_PROXY": past_proxies, "no_proxy": past_proxies}

    def exports(self) -> dict[str, str]:
        """What AWS's libraries and tools need in their environment to find the emulator, and nothing else."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.account,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def session(self) -> boto3.Session:
        """A boto3 session whose every client goes to the emulator, whatever the environment says."""
        return _session(self)

    @overload
    def client(self, service: Literal["stepfunctions"]) -> SFNClient: ...
    @overload
    def client(self, service: Literal["ecs"]) -> ECSClient: ...
    @overload
    def client(self, service: Literal["lambda"]) -> LambdaClient: ...
    @overload
    def client(self, service: Literal["events"]) -> EventBridgeClient: ...
    @overload
    def client(self, service: Literal["cloudformation"]) -> CloudFormationClient: ...
    @overload
    def client(self, service: Literal["cloudwatch"]) -> CloudWatchClient: ...
    @overload
    def client(self, service: Literal["iam"]) -> IAMClient: ...
    @overload
    def client(self, service: Literal["logs"]) -> CloudWatchLogsClient: ...
    @overload
    def client(self, service: Literal["s3"]) -> S3Client: ...
    @overload
    def client(self, service: Literal["sts"]) -> STSClient: ...
    def client(self, service: Any) -> Any:
        """A boto3 client of the emulator, shared by all who ask for one, also between threads."""
        return _client(self, service)


class Process(Protocol):
    """Of `subprocess.Popen`, what is needed of the emulator's process."""

    pid: int
    returncode: int | None

    def poll(self) -> int | None: ...
    def wait(self) -> int: ...


class Begin(Protocol):
    """Starts ``python arguments`` as the leader of a session: Ctrl-C is for us, and one signal ends it and its own."""

    def __call__(
        self, arguments: Sequence[str], directory: Path, environment: Mapping[str, str], streams: Sequence[int]
    ) -> Process: ...


def in_a_process(
    arguments: Sequence[str], directory: Path, environment: Mapping[str, str], streams: Sequence[int]
) -> Process:
    """As a process of its own."""
    stdin, stdout, stderr = streams
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=directory,
        env=environment,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )


@contextmanager
def emulator(
    *,
    wait_scale: float = 1.0,
    mock_config: Mapping[str, Any] | None = None,
    log_level: LogLevel = "WARNING",
    environment: Mapping[str, str] | None = None,
    task_seconds: float | None = None,
    begin: Begin = in_a_process,
) -> Iterator[Emulator]:
    """Start an emulator with nothing in it and stop it when the block is left.

    `wait_scale` shortens Wait states, Retry intervals and the polling of `.sync` steps (0.1: a tenth).
    `mock_config` is what AWS's Step Functions Local calls its mock configuration file: it answers a step
    of an execution that was started with `<state machine ARN>#<test case>`.
    `task_seconds` is how long an ECS task runs until it ends by itself, with exit code 0; None: until it is stopped.
    `begin` is for tests, which have loaded already what it loads.
    """
    directory = Path(tempfile.mkdtemp(prefix="batch-guard-emulator-"))
    try:
        ends = {} if task_seconds is None else {"BATCH_GUARD_TASK_SECONDS": str(task_seconds)}
        settings = _settings(directory, wait_scale, mock_config, log_level, {**(environment or {}), **ends})
        with contextlib.ExitStack() as stack:
            for remaining in reversed(range(PORTS_TO_TRY)):
                try:
                    endpoint = stack.enter_context(_process(directory, settings, begin))
                    break
                except _PortTaken as taken:
                    if not remaining:
                        raise EmulatorFailed(f"no free port found: {taken}") from None
            yield Emulator(endpoint=endpoint, region=REGION, account=ACCOUNT, log=_log(directory))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@functools.cache
def _client(emulator: Emulator, service: str) -> Any:
    return _session(emulator).client(service)  # type: ignore[call-overload]  # `Emulator.client` knows the names


@functools.cache
def _session(emulator: Emulator) -> boto3.Session:
    """One for all clients: making it is half of what a client costs."""
    import boto3  # noqa: PLC0415  (only who makes a client needs it)
    import botocore.session  # noqa: PLC0415  (likewise)
    from botocore.config import Config  # noqa: PLC0415  (likewise)

    endpoint, lock = emulator.endpoint, threading.Lock()
    # One attempt: a retry would hide what a test wants to see, and the emulator's StartExecution is
    # not idempotent. Proxies are never asked for 127.0.0.1. The pool is for a hundred starts at once.
    config = Config(
        connect_timeout=5,
        read_timeout=60,
        retries={"mode": "standard", "total_max_attempts": 1},
        proxies={},
        max_pool_connections=128,
        user_agent="batch-guard-lab",  # botocore's own is put together anew for each call
    )

    class LoopbackSession(boto3.Session):
        def client(self, *args: Any, **kwargs: Any) -> Any:
            merged = config.merge(kwargs["config"]) if kwargs.get("config") else config
            with lock:  # a session is for one thread
                return super().client(*args, **{**kwargs, "endpoint_url": endpoint, "config": merged})

    # No profile and no file of the caller's: a profile that does not exist would fail here.
    from_nowhere: dict[str, Any] = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    own = botocore.session.Session(session_vars=from_nowhere)
    own.register_component("data_loader", _descriptions())
    return LoopbackSession(
        aws_access_key_id=emulator.account,
        aws_secret_access_key=SECRET,
        region_name=emulator.region,
        botocore_session=own,
    )


@functools.cache
def _descriptions() -> Any:
    """botocore's descriptions of the services, read once for all sessions: the other half."""
    from botocore.loaders import create_loader  # noqa: PLC0415  (see _session)

    return create_loader()


def _log(directory: Path) -> Path:
    return directory / "emulator.log"


def _settings(
    directory: Path,
    wait_scale: float,
    mock_config: Mapping[str, Any] | None,
    log_level: LogLevel,
    environment: Mapping[str, str],
) -> dict[str, str]:
    """The emulator's whole environment, and its Lambda workers': nothing of the caller's is in it."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL") if name in os.environ}
    mocks = {}
    if mock_config is not None:
        file = directory / "mock-config.json"
        file.write_text(json.dumps(mock_config), encoding="utf-8")
        mocks = {"SFN_MOCK_CONFIG": str(file)}
    return {
        **kept,
        **mocks,
        "SFN_WAIT_SCALE": str(wait_scale),
        "LOG_LEVEL": log_level,
        "POWERTOOLS_LOG_LEVEL": "INFO",  # the emulator's own level is not the functions'
        "PYTHONUNBUFFERED": "1",
        "TZ": "UTC",  # as in Lambda
        "NO_PROXY": "127.0.0.1",  # so no fork asks macOS for its proxies, and crashes (python/cpython#105912)
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "MINISTACK_WORKER_THREADS": "256",
        "LAMBDA_ACCOUNT_CONCURRENCY": "1000",  # AWS's default; MiniStack's depends on this machine's memory
        **environment,
        # Not for the caller to change: one place to remove, one interface, no fixed port, no Docker.
        "TMPDIR": str(directory),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": f"unix://{directory}/no-docker.sock",
        "LAMBDA_EXECUTOR": "local",
    }


@contextmanager
def _process(directory: Path, settings: Mapping[str, str], begin: Begin) -> Iterator[str]:
    """One attempt on one port: its endpoint, once it answers."""
    port = _free_port()
    identity = secrets.token_hex(8)
    given, held = os.pipe()  # when `held` is closed, by whatever, the emulator ends
    with _log(directory).open("wb") as log:
        # The health answer repeats MINISTACK_EDITION: so we know that it is ours that answers.
        told = {**settings, "GATEWAY_PORT": str(port), "MINISTACK_EDITION": identity}
        process = begin(["-P", str(_PROCESS), str(directory)], directory, told, (given, log.fileno(), log.fileno()))
    os.close(given)
    try:
        endpoint = f"http://127.0.0.1:{port}"
        _wait_until_ready(process, endpoint, identity, _log(directory))
        yield endpoint
    finally:
        # There is no state to save, so nothing is gained by asking it politely.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(held)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(process: Process, endpoint: str, identity: str, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        if process.poll() is not None:
            text = log.read_text(encoding="utf-8", errors="replace")
            if "already in use" in text.lower():
                raise _PortTaken(endpoint)
            raise EmulatorFailed(f"the emulator ended with {process.returncode} before it was ready:\n{text[-3000:]}")
        if _answers(endpoint, identity):
            return
        time.sleep(0.05)
    text = log.read_text(encoding="utf-8", errors="replace")
    raise EmulatorFailed(f"the emulator did not answer within {READY_WITHIN:.0f} s:\n{text[-3000:]}")


def _answers(endpoint: str, identity: str) -> bool:
    directly = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with directly.open(f"{endpoint}/_ministack/health", timeout=2) as answer:
            return bool(json.load(answer).get("edition") == identity)
    except (OSError, ValueError):  # not listening yet, or somebody else's answer
        return False
