"""The emulator's own process: MiniStack, mended where this project needs it, until the pipe on stdin is closed.

`lab.emulator` starts it, as a file and not as a module: nothing of the project is on its path, or its functions
could import what their zip has not. What is mended here is in docs/emulator.md.
"""

import gc
import hashlib
import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab import expressions, forks
else:  # the project is not on this process's path
    expressions, forks = (
        SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name(f"{name}.py")), run_name=name))
        for name in ("expressions", "forks")
    )

BOTO = "import botocore.session; botocore.session.get_session().create_client('sts', 'us-east-1')"
"""Loads what a client needs."""

# Only this process has a use for MiniStack's modules: each mend imports those that it changes.


def main(directory: str) -> None:
    """Serve until the pipe is closed; then end every process of this group and remove what they wrote."""

    def end_with_the_parent() -> None:
        os.read(pipe, 1)  # returns when the other end is closed, and only then: nobody writes to it
        shutil.rmtree(directory, ignore_errors=True)
        os.killpg(0, signal.SIGKILL)

    gc.enable()  # it may be a fork of one that has not
    # Off stdin, so that no child of the emulator can hold it.
    pipe = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    threading.Thread(target=end_with_the_parent, daemon=True).start()

    fork_the_processes_of_functions()
    let_a_timeout_be_an_expression()
    simulate_all_that_is_asked()
    unpack_once()
    give_the_ids_that_a_tag_asks_for()
    have_functions_ready_at_once()
    evaluate_in_another_engine()
    know_what_is_asked_and_not_there()
    if seconds := os.environ.get("BATCH_GUARD_TASK_SECONDS"):
        threading.Thread(target=end_tasks, args=(float(seconds),), daemon=True).start()
    sys.argv = ["ministack"]
    runpy.run_module("ministack", run_name="__main__")


def have_functions_ready_at_once() -> None:
    """Half a second of MiniStack's for which a function is not ready makes Chalice look again five seconds later, twice
    for each function that it updates."""
    from ministack.services import lambda_svc  # noqa: PLC0415

    lambda_svc._LAMBDA_STATE_TRANSITION_DELAY = 0


def fork_the_processes_of_functions() -> None:
    """The runtime has boto3 already; each process of a function would load it anew, for a quarter of a second."""
    from ministack.core import lambda_runtime  # noqa: PLC0415

    # In this process's own folder, which may be too long for a socket's name; or one for several emulators.
    path = os.environ.get("BATCH_GUARD_FORKS", "forks")
    loaded: list[Any] = []
    lock = threading.Lock()

    class Worker(forks.Fork):
        def __init__(self, command: list[str], *, cwd: str, env: dict[str, str], **_: Any) -> None:
            with lock:
                if not loaded and path == "forks":
                    loaded.append(forks.start(path, BOTO))
                    forks.wait(loaded[0])
            (given, stdin), (stdout, out), (stderr, err) = (os.pipe() for _ in range(3))
            super().__init__(path, command[1:], cwd, env, (given, out, err))
            for end in (given, out, err):
                os.close(end)
            self.stdin = os.fdopen(stdin, "w", buffering=1)
            self.stdout, self.stderr = os.fdopen(stdout), os.fdopen(stderr)

    lambda_runtime.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": Worker})


def know_what_is_asked_and_not_there() -> None:
    """To learn that AWS has a service that it has not, as Service Quotas, MiniStack reads the descriptions of all 400.

    The folders' names are what most requests are signed for, without their hyphens.
    """
    import botocore  # noqa: PLC0415 (as MiniStack's)
    from ministack.core import router  # noqa: PLC0415

    names = os.listdir(Path(botocore.__file__).with_name("data"))
    router._KNOWN_AWS_SERVICE_NAMES = {*names, *(name.replace("-", "") for name in names)}


def evaluate_in_another_engine() -> None:
    """As tests and judges do. MiniStack's own takes fifteen times as long, and parses an expression at each state."""
    from ministack.services import stepfunctions  # noqa: PLC0415

    for name in ("partition", "range", "hash", "random", "uuid", "parse"):
        expressions.FUNCTIONS[name] = getattr(stepfunctions, f"_sfn_jsonata_{name}")

    def evaluate(expression: str, raw_input: Any, ctx: Any = None, result: Any = None, error_output: Any = None) -> Any:
        states = {"input": raw_input, "result": result, "errorOutput": error_output, "context": ctx or {}}
        variables = (ctx or {}).get("variables", {})
        said = f"JSONata expression did not return a result: {expression}"
        try:
            found = expressions.answer(expressions.read(expression), {**variables, "states": states})
        except ValueError as error:
            found, said = {}, str(error)
        if not found:  # not from that error: it holds on to what only this thread may take apart
            raise stepfunctions._ExecutionError(expressions.QUERY, said)
        return found["value"]

    stepfunctions._evaluate_jsonata = evaluate
    stepfunctions.jsonata = SimpleNamespace(Jsonata=SimpleNamespace(jsonata=expressions.read))


def let_a_timeout_be_an_expression() -> None:
    """`TimeoutSeconds` of a state may be a JSONata expression on AWS; MiniStack takes a number only.

    It is evaluated here, where the state is entered, as its arguments are.
    """
    from ministack.services import stepfunctions  # noqa: PLC0415

    execute: Any = stepfunctions._execute_task

    def with_a_number(state: dict[str, Any], raw_input: Any, execution: Any, ctx: Any) -> Any:
        if isinstance(state.get("TimeoutSeconds"), str):
            seconds = stepfunctions._apply_jsonata_template(state["TimeoutSeconds"], raw_input, ctx)
            state = {**state, "TimeoutSeconds": seconds}
        return execute(state, raw_input, execution, ctx)

    stepfunctions._execute_task = with_a_number


def simulate_all_that_is_asked() -> None:
    """SimulatePrincipalPolicy takes many resources, a context, and policies to be added; MiniStack one resource alone.

    Its own evaluation is used here for each action and resource.
    """
    from ministack.core import iam_evaluator  # noqa: PLC0415
    from ministack.services import iam  # noqa: PLC0415

    one_of: Any = iam._extract_simulate_params
    region = os.environ["MINISTACK_REGION"]
    local = threading.local()  # the parameters of the request that this thread answers

    def members(name: str) -> Iterator[str]:
        number = 1
        while value := iam._p(local.parameters, name.format(number)):
            yield value
            number += 1

    def keep(parameters: Any) -> Any:
        local.parameters = parameters
        return one_of(parameters)

    def simulated(actions: list[str], _: str, principal: str, account: str, policies: list[Any]) -> str:
        keys = members("ContextEntries.member.{}.ContextKeyName")
        values = members("ContextEntries.member.{}.ContextKeyValues.member.1")
        context = {key.lower(): value for key, value in zip(keys, values, strict=True)}
        added = [iam_evaluator.parse_policy_document(text) for text in members("PolicyInputList.member.{}")]
        words = {"Allow": "allowed", "Deny": "explicitDeny"}
        found = ""
        for action in actions:
            for resource in [*members("ResourceArns.member.{}")] or ["*"]:
                asked = iam_evaluator.EvalContext(
                    principal, "AssumedRole", account, action, resource, region, service_context=context
                )
                decision = iam_evaluator.evaluate(asked, [*policies, *added]).decision
                found += (
                    f"<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{resource}</EvalResourceName>"
                    f"<EvalDecision>{words.get(decision, 'implicitDeny')}</EvalDecision></member>"
                )
        return found

    iam._extract_simulate_params = keep
    iam._build_simulate_results_real = simulated


def unpack_once() -> None:
    """The processes of a function share its code; MiniStack unpacks the zip anew for each of them.

    Most of its 780 files are time zones: of 25 starts at once 20,000 were left, and removing them took 15 s.
    """
    from ministack.core import lambda_runtime  # noqa: PLC0415

    lock = threading.Lock()
    # In this process's own folder; or in one that several emulators share.
    where = Path(os.environ.get("BATCH_GUARD_UNPACKED", tempfile.gettempdir()))

    class UnpackedOnce(zipfile.ZipFile):
        def extractall(
            self,
            path: str | os.PathLike[str] | None = None,
            members: Iterable[str | zipfile.ZipInfo] | None = None,
            pwd: bytes | None = None,
        ) -> None:
            """Fill `path` with links to where each package of this zip is unpacked, which other zips have as well."""
            assert path is not None
            by_name: dict[str, list[zipfile.ZipInfo]] = {}
            for info in self.infolist():
                by_name.setdefault(info.filename.partition("/")[0], []).append(info)
            for name, infos in by_name.items():
                content = repr([(info.filename, info.CRC) for info in infos]).encode()
                unpacked = where / f"unpacked-{hashlib.sha256(content).hexdigest()}"
                with lock:
                    if not unpacked.exists():
                        making = tempfile.mkdtemp(dir=where)
                        super().extractall(making, infos)
                        with suppress(OSError):  # another emulator was faster
                            os.rename(making, unpacked)
                Path(path, name).symlink_to(unpacked / name)

    # Its module alone sees this: what else of `zipfile` it uses is there as before.
    lambda_runtime.zipfile = SimpleNamespace(**{**vars(zipfile), "ZipFile": UnpackedOnce})


def give_the_ids_that_a_tag_asks_for() -> None:
    """A subnet or security group made with a tag `id` is there under that ID, too: jobs files name theirs by ID."""
    from ministack.services import ec2  # noqa: PLC0415

    parse: Any = ec2._parse_tag_specs
    kinds: dict[str, tuple[Any, str]] = {
        "subnet": (ec2._subnets, "SubnetId"),
        "security-group": (ec2._security_groups, "GroupId"),
    }

    def with_its_id(parameters: Any, kind: str, given: str) -> None:
        parse(parameters, kind, given)
        for tag in ec2._tags.get(given, []):
            if kind in kinds and tag["Key"] == "id":
                there, name = kinds[kind]
                there[tag["Value"]] = {**there[given], name: tag["Value"]}

    ec2._parse_tag_specs = with_its_id


def end_tasks(after: float) -> None:
    """End each ECS task `after` so many seconds, as one whose program has ended well. Never returns.

    Not by StopTask: that is somebody who stopped it, and a run of which the guard says Interrupted.
    """
    from ministack.core.responses import request_scope  # noqa: PLC0415
    from ministack.services import ecs  # noqa: PLC0415

    seen: dict[str, float] = {}
    while True:
        for (account, region, arn), task in ecs._tasks.all_items():
            began = seen.setdefault(arn, time.monotonic())
            if task["lastStatus"] == "RUNNING" and time.monotonic() - began >= after:
                with request_scope(account, region):
                    reason = "Essential container in task exited"
                    ecs._mark_task_stopped(arn, task, reason, "EssentialContainerExited", exit_code=0)
        time.sleep(0.2)


if __name__ == "__main__":
    main(sys.argv[1])
