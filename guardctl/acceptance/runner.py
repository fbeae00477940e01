"""Trying the probes, side by side, and making a line of each assumption whatever happens."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from botocore.exceptions import BotoCoreError, ClientError

from guardctl.acceptance.findings import AnyProbe, Finding, Line, Untried, untried
from guardctl.acceptance.trial import Cancelled, NotInTime, Trial, code, shortened

AT_ONCE = 8
"""As many poll DescribeExecution once a second, which refills 10 a second in most Regions (AWS, quotas)."""


def tried(trial: Trial, first: AnyProbe, probes: Sequence[AnyProbe], say: Callable[[Line], None]) -> None:
    """Try the first probe, then all others; `say` gets each line as soon as it is known, in this thread.

    On KeyboardInterrupt the others are ended at their next wait.
    """
    for line in lines(trial, first):
        say(line)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(lines, trial, probe) for probe in probes]
        try:
            for future in as_completed(futures):
                for line in future.result():
                    say(line)
        except BaseException:
            trial.clock.cancel()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def lines(trial: Trial, probe: AnyProbe) -> tuple[Line, ...]:
    """Try one probe: a line for each of its assumptions."""
    try:
        seen = probe.look(trial)
        findings = [assumption.judge(seen) for assumption in probe.assumptions]
    except (Untried, NotInTime, Cancelled, ClientError, BotoCoreError) as error:
        return without(probe, _why(error))
    except Exception as error:  # an answer of a form nobody thought of: it must not cost the other probes' findings
        return without(probe, f"the probe itself failed: {error!r}")
    return tuple(_of(probe, findings))


def without(probe: AnyProbe, why: str) -> tuple[Line, ...]:
    """The lines of a probe that could not be tried."""
    return tuple(_of(probe, [untried(why) for _ in probe.assumptions]))


def _of(probe: AnyProbe, findings: Sequence[Finding]) -> Iterator[Line]:
    for assumption, finding in zip(probe.assumptions, findings, strict=True):
        yield Line(assumption.name, assumption.says, assumption.basis, probe.tried, finding)


def _why(error: Exception) -> str:
    if isinstance(error, ClientError):
        message = error.response.get("Error", {}).get("Message", "")
        return f"{error.operation_name} failed: {code(error)}: {shortened(message)}"
    if isinstance(error, Cancelled):
        return "interrupted"
    return shortened(str(error))
