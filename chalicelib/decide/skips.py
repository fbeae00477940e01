"""How many scheduled times in a row stepped back, which is what an alarm compares with `skips_in_a_row`. Pure.

Nothing has to be remembered for it: a start that does not step back leaves a run behind. So the scheduled times
since the last run began have all passed without one, however long ago that was::

    run-000041 began          skip          skip          skip: 3 in a row
    ────┴───────────────────────┴─────────────┴─────────────┴──────
       01:00                  02:00         03:00         04:00
"""

from collections.abc import Sequence

from chalicelib.decide.expressions import Schedule
from chalicelib.decide.facts import Facts
from chalicelib.decide.schedule import how_many
from chalicelib.names import pause_number, run_number

MOST = 1000
"""It counts no further; `skips_in_a_row` takes no more."""


def skips_in_a_row(schedules: Sequence[Schedule], timezone: str, facts: Facts, machine: str) -> int:
    """The job's scheduled times up to now since its last run began, or since its last pause ended.

    They are those of the schedule as it is now, missed ones among them, whoever's start met what was in the way.
    """
    known = [*facts.seen(machine)]
    since = [execution.started_at for execution in known if run_number(execution.name)]
    since += [e.stopped_at for e in known if pause_number(e.name) and e.stopped_at]
    if made := facts.of(machine).created_at:  # asked for when the job has never run
        since.append(made)
    # Not a time more: a nightly job's next thousand would take longer to find than all else the checker does.
    return how_many(schedules, timezone, max(since, default=facts.now), facts.now, most=MOST)
