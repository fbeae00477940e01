"""``guardctl pause``."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from chalicelib.decide.facts import stamp
from guardctl import pauses
from guardctl.console import (
    AllOption,
    JsonOption,
    PoolOption,
    SomeJob,
    StageOption,
    TzOption,
    asking,
    command,
    jobs_of,
    moment,
    out,
    print_json,
)
from guardctl.errors import Stop
from guardctl.interrupts import finishing, interruptible
from guardctl.stage import Stage
from guardctl.wording import local, localised


@command(example='guardctl pause nightly-report --until 12:00 --reason "the database moves"')
def pause(
    reason: Annotated[str, typer.Option("--reason", help="Why: every start that steps back says so.")],
    job: SomeJob = None,
    pool: PoolOption = None,
    every: AllOption = False,
    until: Annotated[
        str | None,
        typer.Option("--until", help="It ends by itself then: 2026-11-23T18:00, or 18:00 for the next, or …Z."),
    ] = None,
    stage: StageOption = "dev",
    tz: TzOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pause a job: starts step back until it is resumed. A run in progress goes on.

    With --pool all jobs of a pool, with --all every job of the stage; those that are paused already stay as they are.
    """
    if not reason.strip():
        raise Stop('--reason is empty, and every start that steps back says it; write --reason "the database moves"')
    target, now = Stage(stage, tz=tz), datetime.now(UTC)
    names, several = jobs_of(target, job, pool, every)
    until_of = {n: moment(until, target.zone, "--until", now) if until else None for n in names}
    made: dict[str, pauses.Pause] = {}
    before: dict[str, pauses.Pause] = {}

    def case() -> str:
        if not made:
            return "no job was paused"
        were, them = ("was", "it") if len(made) == 1 else ("were", "them")
        ended_by = target.command("resume", *(["--pool", pool] if pool else ["--all"] if every else names))
        pauses_made = ", ".join(each.name for each in made.values())
        return f"but {' and '.join(made)} {were} paused by then ({pauses_made}); resume {them} with: {ended_by}"

    look = target.command("status", *([] if several else names))
    with asking("pausing…") as progress, interruptible(case, look=look):
        for name in names:
            progress(f"pausing {name}…")
            with finishing():
                if several and (there := pauses.current(target, name)):
                    before[name] = there
                else:
                    made[name] = pauses.pause(target, name, reason, until_of[name], now)
    if as_json:
        print_json(target, jobs=[_json(name, before.get(name) or made[name], new=name in made) for name in names])
        return
    for name in names:
        zone = target.zone
        if name in before:
            out.print(localised(f"{name}: was paused already, {before[name].told}", zone), markup=False)
        else:
            end = made[name].until
            ends = f" until {local(end, zone)}" if end else ""
            resume = target.command("resume", name)
            out.print(f"{name}: paused{ends} ({made[name].name}); resume it with: {resume}", markup=False)


def _json(job: str, pause: pauses.Pause, *, new: bool) -> dict[str, Any]:
    until = stamp(pause.until) if pause.until else None
    return {"job": job, "paused": pause.name, "reason": pause.reason, "until": until, "new": new}
