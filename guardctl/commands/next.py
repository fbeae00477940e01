"""``guardctl next``."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from chalicelib.config.jobs import Job
from chalicelib.decide.facts import span, stamp
from chalicelib.decide.usual import ENOUGH
from guardctl import crowds, durations
from guardctl.console import JsonOption, NamedJob, StageOption, TzOption, command, err, out, print_json
from guardctl.durations import Durations
from guardctl.meeting import known
from guardctl.outlook import Coming, Outlook, outlook, reach, summary
from guardctl.stage import Stage
from guardctl.wording import clock, localised

_LATE = timedelta(minutes=1)
_LONGEST = 31
_SHOWN = 20
_CROWDS = 10


@command(example="guardctl next nightly-report --days 7")
def next_(
    job: Annotated[str | None, NamedJob("One job; all of them when left out.")] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=_LONGEST, help="So far ahead.")] = 7,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show so many times of a job at most.")] = _SHOWN,
    stage: StageOption = "dev",
    tz: TzOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the coming times, and which will probably meet a run.

    By the jobs file, as it will be once it is deployed, and by how long the last runs took. Then the minutes in which
    more start than the quotas take.
    """
    target, now = Stage(stage, tz=tz), datetime.now(UTC)
    file, zone = target.file, target.zone
    reached = reach(file, now, days)
    until = now + timedelta(days=reached)
    asked = [target.job(job)] if job else [*file.jobs.values()]
    pools = {each.pool for each in asked}
    members = [each for each in file.jobs.values() if each.pool in pools]
    with err.status("asking how long runs take…") as status:
        found = durations.read(target, members, now, status.update)
        seen = outlook(file, members, target.session.region_name or "", now, until, found)
    if as_json:
        print_json(target, **as_data(asked, seen, found, until))
        return
    out.print(f"{stage}, until {clock(until, zone)} {until.astimezone(zone):%Z}, by the jobs file", markup=False)
    for line in lines(asked, seen, found, zone, limit):
        out.print(line, markup=False)
    if reached < days:
        err.print(f"only {reached} of {days} days, since the stage has so many times a day")
    for line in unknown(asked, members, found):
        err.print(line, markup=False)


def lines(asked: list[Job], seen: Outlook, found: Durations, zone: ZoneInfo, limit: int) -> Iterator[str]:
    """The times in order, what was left out of each job, and the crowds."""
    usual = known(found.usual)
    shown = [each for job in asked for each in seen.of(job.name)[:limit]]
    wide = max((len(each.job) for each in shown), default=0)
    for each in sorted(shown, key=lambda each: each.scheduled):
        notes = localised("; ".join(_notes(each, found)), zone, named=True)
        at = each.scheduled.astimezone(zone)
        yield f"{at:%a %Y-%m-%d %H:%M}  {each.job:<{wide}}  {notes}".rstrip()
    for job in asked:
        its = seen.of(job.name)
        if not its:
            yield f"{job.name}: {_why_none(job)}"
        elif len(its) > limit:
            more = f"{job.name}: {len(its) - limit} more, until {clock(its[-1].scheduled, zone)}"
            yield "; ".join((more, *summary(its, usual)))
        if job.name in found.paused:
            yield f"{job.name}: paused now, and its starts step back until that ends"
    told = [*crowds.lines(seen.crowds, zone)]
    if told:
        yield "more start than the quotas take:"
        yield from (f"  {line}" for line in told[:_CROWDS])
        if len(told) > _CROWDS:
            yield f"  and {len(told) - _CROWDS} more such minutes"


def _notes(each: Coming, found: Durations) -> Iterator[str]:
    yield from each.marks
    if each.held_back:
        yield each.held_back
    elif each.sent - each.scheduled >= _LATE:
        yield f"starts {span(each.sent - each.scheduled)} later: the quotas"
    if each.meeting:
        yield each.meeting.told(each.job, known(found.usual))


def _why_none(job: Job) -> str:
    if not job.enabled:
        return "disabled"
    return "no time in these days" if job.schedules else "by hand only"


def unknown(asked: list[Job], members: list[Job], found: Durations) -> Iterator[str]:
    """Of which runs it is not known how long they take, and why."""
    if found.refused:
        yield f"who meets whom is not known, since nobody could say how long runs take: {found.refused}"
        return
    pools = {job.pool for job in asked}
    for why in dict.fromkeys(found.missing.values()):
        alike = [pool for pool, reason in found.missing.items() if reason == why and pool in pools]
        if alike:
            yield f"nobody could say how long runs of {', '.join(alike)} take: {why}"
    enough = known(found.usual)
    rare = [job.name for job in members if job.name not in enough and job.pool not in found.missing]
    if rare:
        yield f"fewer than {ENOUGH} runs that succeeded are known, so who would meet it is not said: {', '.join(rare)}"


def as_data(asked: list[Job], seen: Outlook, found: Durations, until: datetime) -> dict[str, Any]:
    """All of it, for scripts: no time is left out."""
    enough = known(found.usual)
    return {
        "until": stamp(until),
        "times": [_time_json(each) for job in asked for each in seen.of(job.name)],
        "crowds": [
            {
                "minute": stamp(each.minute),
                "starts": each.starts,
                "late": [{"job": job, "seconds": late.total_seconds()} for job, late in each.late],
                "held_back": [*each.held_back],
            }
            for each in seen.crowds
        ],
        "durations": {
            name: {
                "median_seconds": each.median.total_seconds(),
                "p95_seconds": each.p95.total_seconds(),
                "runs": each.runs,
                "enough": name in enough,
            }
            for name, each in found.usual.items()
            if each
        },
        "paused": [job.name for job in asked if job.name in found.paused],
        "unknown": [{"pool": pool, "reason": why} for pool, why in found.missing.items()],
        "refused": found.refused or None,
    }


def _time_json(each: Coming) -> dict[str, Any]:
    met = each.meeting
    return {
        "job": each.job,
        "scheduled_at": stamp(each.scheduled),
        "sent_at": None if each.held_back else stamp(each.sent),
        "marks": [*each.marks],
        "held_back": each.held_back or None,
        "meets": [*met.others] if met else [],
        "probably": met.probably if met else None,
        "then": met.then if met else None,
    }
