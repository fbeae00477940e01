"""``guardctl handover``."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from chalicelib.decide import schedule
from chalicelib.decide.facts import stamp
from guardctl import handover as moving
from guardctl.commands.deploy import deploy
from guardctl.console import JobArgument, StageOption, TzOption, asking, command, confirmed, out
from guardctl.errors import NOT_RUN, Stop, explained
from guardctl.handover import Move
from guardctl.importing.carry import RESTS
from guardctl.importing.switch import Switch
from guardctl.importing.write import toml
from guardctl.interrupts import finishing, interruptible
from guardctl.stage import Stage
from guardctl.wording import local


@command(example="guardctl handover nightly-report --stage prod --deploy")
def handover(
    job: JobArgument,
    stage: StageOption = "dev",
    back: Annotated[bool, typer.Option("--back", help="Give the work back to the old rule or schedule.")] = False,
    deploy_too: Annotated[bool, typer.Option("--deploy", help="Deploy at once what is written.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also one that a stack or Terraform owns, or that has other targets.")
    ] = False,
    tz: TzOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Move a job's work here from its old rule.

    The old rule or schedule is switched off first, then the job is enabled in the jobs file, and with --deploy
    deployed: never are both on. All jobs of a rule move together.
    """
    target = Stage(stage, tz=tz)
    again = target.command("handover", job, *(["--back"] if back else []), *(["--deploy"] if deploy_too else []))
    case = "nothing was changed"
    with explained(), interruptible(lambda: case, look=again):
        switch = Switch(target.client("events"), target.client("scheduler"), target.cloudformation)
        with asking("looking at the old one…"):
            move = moving.look(target, switch, job)
        moving.require_movable(move, force=force)
        out.print(_plan(move, back=back), markup=False)
        if move.changed:
            out.print(move.changed, markup=False)
        if not yes and not confirmed("Go on?"):
            raise Stop("nothing was changed", NOT_RUN)
        if back:
            case = f"{move.names} may be switched off in {target.place}; go on with: {again}"
            move = _retired(target, switch, move, again, deploy_too=deploy_too)
        edit = None if back else moving.edited(target, move, True)
        now = datetime.now(UTC)
        if back or move.old.on:
            moving.require_quiet(move, now, again, target.zone)
        with finishing():
            case = f"{move.old.origin} may be switched {'on' if back else 'off'}; go on with: {again}"
            moving.switched(switch, move, now, on=back, force=force)
            out.print(f"{move.old.origin} is switched {'on' if back else 'off'}; nothing else of it has changed")
            if edit:
                edit.write()
                case = (
                    f"{move.old.origin} is off and {move.names} enabled in {target.place}: {target.command('deploy')}"
                )
    if back:
        out.print(f"{move.names}: the old one has the work again", markup=False)
        return
    out.print(f"{target.place}: enabled = true in {move.names}", markup=False)
    if deploy_too:
        try:
            _deploy(stage)
        except Stop as stopped:
            back_again = target.command("handover", job, "--back")
            meanwhile = f"nothing starts {move.names} until it is deployed: {target.command('deploy')}; or {back_again}"
            raise Stop(f"{stopped}\n{meanwhile}", stopped.code) from stopped
    _say_what_is_next(target, move, now, deployed=deploy_too)


def _plan(move: Move, *, back: bool) -> str:
    old = f"{move.old.origin} ({move.old.expression})"
    if back:
        return f"{move.names} will be switched off here and deployed; then {old} will be switched on"
    state = "is switched off already" if not move.old.on else "will be switched off"
    return f"{old} {state}; then {move.names} will be enabled in the jobs file"


def _retired(target: Stage, switch: Switch, move: Move, again: str, *, deploy_too: bool) -> Move:
    """The same when no job of it starts anything any more. Raises `Stop` as long as one may."""
    if any(job.enabled is True for job in move.jobs):
        edit = moving.edited(target, move, RESTS)
        edit.write()
        out.print(f"{target.place}: enabled = {toml(RESTS)} in {', '.join(edit.jobs)}", markup=False)
    if deploy_too and not move.off:
        _deploy(target.name)
        move = moving.look(Stage(target.name), switch, move.jobs[0].name)
    if not move.off:
        raise Stop(
            f"{move.old.origin} is still off, for {move.names} would start too, as deployed: "
            f"{target.command('deploy')}, and then again: {again}",
            NOT_RUN,
        )
    return move


def _deploy(stage: str) -> None:
    deploy.function(stage=stage, dry_run=False, bucket=None, make_bucket=False, stop=False)


def _say_what_is_next(target: Stage, move: Move, since: datetime, *, deployed: bool) -> None:
    """The next times, and those that nobody has seen to."""
    now = datetime.now(UTC)
    if not deployed:
        out.print(f"nothing starts it until it is deployed: {target.command('deploy')}", markup=False)
    elif commands := moving.to_make_up_for(target, move, since, now):
        out.print("these times came in between, and nobody has started them; where one is needed:")
        for each in commands:
            out.print(f"  {each}", markup=False)
    for job in move.jobs:
        for time in schedule.upcoming(job.schedules, job.timezone, now, limit=1):
            if deployed:
                out.print(f"{job.name}: the next time is {local(time, target.zone)}", markup=False)
            else:
                run = target.command("run", job.name, "--scheduled-at", stamp(time))
                out.print(
                    f"{job.name}: the next time is {local(time, target.zone)}; if that comes first: {run}", markup=False
                )
