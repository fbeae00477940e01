"""An HTTP endpoint on this machine that answers AWS's read calls from recorded pages, in a process of its own.

What it shows is written in the account number of the ARN that is asked about (`account`), so that one endpoint
serves every history and the code under measurement needs no switch.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NOW = time.time()


def account(executions: int, *, running: bool) -> str:
    """The account that has so many executions; the newest runs, or all have ended."""
    return f"{1 if running else 2}{executions:011d}"


@contextmanager
def endpoint() -> Iterator[str]:
    """The URL of an endpoint, for as long as the block lasts."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lab.bench.endpoint"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout
    assert process.stdin
    try:
        yield process.stdout.readline().decode().strip()
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def environment(url: str) -> dict[str, str]:
    """The environment of a process that calls the endpoint: nothing of the caller's AWS settings is in it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **kept,
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1",
        "BATCH_GUARD_STAGE": "local",
    }


@cache
def answer(action: str, machine: str, size: int, token: str | None) -> bytes:
    """The recorded answer to one call."""
    if action != "AWSStepFunctions.ListExecutions":
        return json.dumps({"taskArns": []}).encode()
    of = machine.split(":")[4]
    total, start = int(of[1:]), int(token or 0)
    end = min(total, start + size)
    page: dict[str, Any] = {
        "executions": [_execution(machine, total - i, i, running=of[0] == "1" and i == 0) for i in range(start, end)]
    }
    if end < total:
        page["nextToken"] = str(end)
    return json.dumps(page).encode()


def _execution(machine: str, number: int, newer: int, *, running: bool) -> dict[str, Any]:
    """A run that began an hour ago, and a minute more for each that is newer."""
    began = NOW - 3600 - 60 * newer
    ended = {} if running else {"stopDate": began + 30.5}
    return {
        "executionArn": f"{machine.replace(':stateMachine:', ':execution:')}:run-{number:06d}",
        "stateMachineArn": machine,
        "name": f"run-{number:06d}",
        "status": "RUNNING" if running else "SUCCEEDED",
        "startDate": began + 0.123,
        "redriveCount": 0,
        **ended,
    }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self) -> None:  # its name in http.server
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = answer(
            self.headers["X-Amz-Target"],
            asked.get("stateMachineArn", ""),
            asked.get("maxResults", 100),
            asked.get("nextToken"),
        )
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: what is measured is not watched."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    import threading

    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
