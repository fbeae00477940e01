"""Trying the probes, side by side, and making a line of each assumption whatever happens."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import zip_longest

from botocore.exceptions import BotoCoreError, ClientError

from guardctl.acceptance.findings import Finding, Line, Probe, Untried, untried
from guardctl.acceptance.trial import Cancelled, NotInTime, Trial, code, shortened

AT_ONCE = 8
"""As many poll DescribeExecution once a second, which refills 10 a second in most Regions (AWS, quotas)."""


def tried(trial: Trial, first: Probe, probes: Sequence[Probe], say: Callable[[Line], None]) -> None:
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


def lines(trial: Trial, probe: Probe) -> tuple[Line, ...]:
    """Try one probe: a line for each of its assumptions."""
    findings: list[Finding] = []
    try:
        for finding in probe.look(trial):
            findings.append(finding)  # one by one: what was seen before an error is seen
    except (Untried, NotInTime, Cancelled, ClientError, BotoCoreError) as error:
        return without(probe, _why(error), findings)
    except Exception as error:  # an answer of a form nobody thought of: it must not cost the other probes' findings
        return without(probe, f"the probe itself failed: {error!r}", findings)
    return without(probe, "the probe said nothing of it", findings)


def without(probe: Probe, why: str, findings: Sequence[Finding] = ()) -> tuple[Line, ...]:
    """The lines of a probe with these findings; what is missing could not be tried."""
    return tuple(
        Line(**vars(each), tried=probe.tried, finding=finding or untried(why))
        for each, finding in zip_longest(probe.assumptions, findings)
    )


def _why(error: Exception) -> str:
    if isinstance(error, ClientError):
        message = error.response.get("Error", {}).get("Message", "")
        return f"{error.operation_name} failed: {code(error)}: {shortened(message)}"
    if isinstance(error, Cancelled):
        return "interrupted"
    return shortened(str(error))
