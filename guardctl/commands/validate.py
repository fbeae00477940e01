"""``guardctl validate``."""

from guardctl.console import StageOption, command, out
from guardctl.stage import Stage


@command(example="python -m guardctl validate --stage dev")
def validate(stage: StageOption = "dev") -> None:
    """Check the jobs file: all its faults at once. Asks nothing of AWS."""
    jobs = Stage(stage).file.jobs
    out.print(f"{stage}: {len(jobs)} job{'' if len(jobs) == 1 else 's'}, no fault")
