"""``guardctl backfill``."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.markup import escape

from chalicelib.config.jobs import Job
from chalicelib.decide import schedule
from chalicelib.decide.facts import CantTell, Refused, stamp
from guardctl.backfill import Backfill, Item, Made
from guardctl.console import (
    JobArgument,
    JsonOption,
    StageOption,
    TzOption,
    asking,
    command,
    confirmed,
    err,
    moment,
    out,
    print_json,
)
from guardctl.errors import INTERRUPTED, NOT_RUN, Stop, explained
from guardctl.interrupts import interruptible
from guardctl.stage import Stage
from guardctl.wording import local, localised

MOST = 1000
"""So many times are looked up at most; each takes two calls or more."""
ASKED_FROM = 10
"""More starts than this are asked about first."""
_TICK = timedelta(microseconds=1)


@command(example="guardctl backfill nightly-report --from 2026-11-01 --to 2026-11-07")
def backfill(
    job: JobArgument,
    begin: Annotated[str, typer.Option("--from", help="The first time: 2026-11-01, 2026-11-01T18:00, or …Z.")],
    end: Annotated[str | None, typer.Option("--to", help="The last time; a day is a whole day. Else now.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Also the times that succeeded.")] = False,
    begun: Annotated[
        str | None,
        typer.Option("--begun", help="With --all, to go on: when it began. What was repeated since is left out."),
    ] = None,
    max_failures: Annotated[int, typer.Option("--max-failures", min=1, help="Go no further after so many.")] = 1,
    anyway: Annotated[bool, typer.Option("--anyway", help="Also while the job is paused.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and start nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help=f"Don't ask before more than {ASKED_FROM} starts.")] = False,
    stage: StageOption = "dev",
    tz: TzOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make up for scheduled times of a range, one at a time.

    Every one of them, the oldest first.

    By the schedule in the jobs file; each through the guard, as `run --scheduled-at` does. What succeeded is left out.
    After an interruption the same command goes on where it was.
    """
    target, now = Stage(stage, tz=tz), datetime.now(UTC)
    asked, zone = target.job(job), target.zone
    if begun and not every:
        raise Stop("--begun goes with --all: without it, what succeeded is left out anyway")
    since = moment(begun, zone, "--begun") if begun else now.replace(microsecond=0)
    first, last = span_of(begin, end, zone, now)
    if not asked.schedules:
        raise Stop(f"{job} has no schedule in the jobs file; start it with: {target.command('run', job)}")
    times = times_of(asked, first, last, zone)
    plan = Backfill(
        target,
        asked,
        again=every,
        begun=since,
        max_failures=max_failures,
        anyway=anyway,
    )
    with interruptible(lambda: "nothing was started", look=target.command("status", job)):
        with asking("looking up every time…") as plan.show:
            items = plan.look(times)
        todo = sum(item.standing == "to do" for item in items)
        if not as_json:
            head(asked, items, zone, listed=dry_run)
        if dry_run:
            if as_json:
                print_json(target, job=job, dry_run=True, times=[_item_json(item) for item in items])
            return
        if todo > ASKED_FROM and not yes:
            ask(job, todo, as_json=as_json)
    words = ["--from", stamp(first), "--to", stamp(last), *(("--all", "--begun", stamp(since)) if every else ())]
    words += [] if max_failures == 1 else ["--max-failures", str(max_failures)]
    words += [word for word, said in (("--anyway", anyway), ("--yes", yes)) if said]
    go(plan, items, f"go on with: {target.command('backfill', job, *words)}", as_json=as_json)


def ask(job: str, starts: int, *, as_json: bool) -> None:
    """Ask whether so many are to be started. Raises `Stop` if not."""
    if as_json:
        raise Stop("--json asks no questions: say --yes with it")
    if not confirmed(f"Start {starts} runs of {job}, one after the other?"):
        raise Stop("nothing was started", NOT_RUN)


def go(plan: Backfill, items: Sequence[Item], go_on: str, *, as_json: bool) -> None:
    """Start what is to be started, and say where it stands when that ends. Exits with 1 if any failed."""
    zone, job, where = plan.stage.zone, plan.job.name, err if as_json else out

    def stands() -> str:
        return f"{job}: {_stands(plan.made, plan.left, zone)}"

    def case() -> str:
        return f"{stands()}; {plan.interrupted()}; {go_on}"

    try:
        with interruptible(case, look=plan.stage.command("status", job)), explained(), where.status("…") as status:
            plan.tell = lambda line: None if as_json else where.print(localised(line, zone), markup=False)
            plan.show = lambda text: status.update(escape(localised(text, zone)))
            plan.run(items)
    except (Stop, CantTell, Refused) as error:
        if getattr(error, "code", None) != INTERRUPTED:
            err.print(f"{stands()}; {go_on}", markup=False)
        raise
    if as_json:
        times, left = [_made_json(each) for each in plan.made], [stamp(at) for at in plan.left]
        print_json(plan.stage, job=job, ok=not plan.failures, times=times, left=left)
    elif not plan.failures:
        out.print(stands(), markup=False)
    if plan.failures:
        err.print(f"{stands()}; {go_on}", markup=False)
        raise typer.Exit(NOT_RUN)


def span_of(begin: str, end: str | None, zone: ZoneInfo, now: datetime) -> tuple[datetime, datetime]:
    """The first and the last moment (UTC), both included, up to now. Raises `Stop`."""
    first = moment(begin, zone, "--from")
    last = now
    if end is not None:
        last = moment(end, zone, "--to")
        with suppress(ValueError):
            after = datetime.combine(date.fromisoformat(end) + timedelta(days=1), time(), zone)
            last = after.astimezone(UTC) - timedelta(minutes=1)  # the zone's day, be it 23 hours
        if last < first:
            raise Stop(f"--to {end} is before --from {begin}")
    if first > now:
        raise Stop(f"--from {begin}: {local(first, zone)} has not come yet, and its schedule will start it")
    return first, min(last, now).replace(second=0, microsecond=0)


def times_of(job: Job, first: datetime, last: datetime, zone: ZoneInfo) -> list[datetime]:
    """The scheduled times in the range, by the jobs file. Raises `Stop` if there are none, or too many."""
    times = schedule.between(job.schedules, job.timezone, first - _TICK, last, limit=MOST + 1)
    if len(times) > MOST:
        raise Stop(f"more than {MOST} scheduled times until {local(times[-1], zone)} already: go in parts, with --to")
    if not times:
        after = next(iter(schedule.upcoming(job.schedules, job.timezone, last, limit=1)), None)
        next_one = f"; the next one is {local(after, zone)}" if after else ""
        raise Stop(f"{job.name} has no scheduled time from {local(first, zone)} to {local(last, zone)}{next_one}")
    return times


_WOULD = {
    "done": "leave out",
    "left to its schedule": "leave out",
    "under way": "wait for",
    "to do": "start",
}


def head(job: Job, items: Sequence[Item], zone: ZoneInfo, *, listed: bool) -> None:
    """Say what will be done, and, `listed`, of each time why."""
    counts = Counter(_WOULD[item.standing] for item in items)
    first, last = (local(item.at, zone) for item in (items[0], items[-1]))
    told = ", ".join(f"{count} to {what}" for what, count in counts.items())
    if old := sum(item.standing == "to do" and item.entry.outcome == "forgotten" for item in items):
        told += f"; of {old} nobody knows any more whether they ran"
    times = f"{len(items)} times by the jobs file, {first} to {last}" if items[1:] else f"{first}, by the jobs file"
    out.print(f"{job.name}: {times}: {told}", markup=False)
    if listed:
        for item in items:
            entry = item.entry
            why = f"{entry.outcome}{f' as {entry.run_told}' if entry.run else ''}"
            reason = f": {localised(entry.reason, zone)}" if entry.reason else ""
            out.print(f"  {local(item.at, zone)}  {_WOULD[item.standing]:<9}  {why}{reason}", markup=False)


def _stands(made: Sequence[Made], left: Sequence[datetime], zone: ZoneInfo) -> str:
    """Where it stands."""
    counts = Counter(each.outcome for each in made)
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or (
        "none done" if left else "nothing to do"
    )
    return f"{told}, {len(left)} left, from {local(left[0], zone)} on" if left else told


def _item_json(item: Item) -> dict[str, Any]:
    return {
        "scheduled_at": stamp(item.at),
        "would_be": _WOULD[item.standing],
        "outcome": item.entry.outcome,
        "reason": item.entry.reason,
        "run_arn": item.entry.arn,
    }


def _made_json(each: Made) -> dict[str, Any]:
    return {"scheduled_at": stamp(each.at), "outcome": each.outcome, "reason": each.reason, "run_arn": each.run}
