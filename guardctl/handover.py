"""The work of an old rule or schedule, moved to its jobs and back: what stands against it, and each step of it.

The order is what keeps two from starting: whoever is to stop is stopped first, and seen to be. A rule is switched with
all its targets, so all its jobs move together.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from botocore.exceptions import ClientError

from chalicelib.config.jobs import DIRECTORY, Job
from chalicelib.decide.facts import CantTell, Refused, stamp
from chalicelib.decide.schedule import Schedule, ScheduleRefused, between, parse_schedule
from chalicelib.names import scheduled_name
from chalicelib.read.aws import NotDeployed
from chalicelib.trigger import LATE
from chalicelib.values import dataclass
from guardctl.errors import AWS, NOT_RUN, Stop
from guardctl.importing.old import rule_of
from guardctl.importing.switch import NotThere, Snapshot, Switch, differences, refused_again
from guardctl.importing.write import toml
from guardctl.records import Reader
from guardctl.stage import Stage
from guardctl.wording import local

UNKNOWN = "somebody who could not be asked for (no permission to read its tags and its stack)"


BEFORE = timedelta(minutes=2)
"""No time may be due so soon: the job could not be deployed by then."""
AFTER = timedelta(minutes=1)
"""Nor may one have been due so recently: a rule starts its target anywhere within its minute (EventBridge guide)."""

_HOUR = timedelta(hours=1)
_OFTEN = int(_HOUR / (BEFORE + AFTER))
"""With so many times an hour there is no better moment to wait for."""


@dataclass(frozen=True, kw_only=True)
class Move:
    """Everything that was read before anything is changed."""

    jobs: tuple[Job, ...]
    """All the jobs of the old one, in the order of the file."""
    old: Snapshot
    owner: str | None
    deployed: Mapping[str, Job]
    """By name, with the schedule that is deployed."""

    @property
    def names(self) -> str:
        return ", ".join(job.name for job in self.jobs)

    @property
    def off(self) -> bool:
        """Whether no job of it is enabled, as deployed."""
        return all(job.enabled is not True for job in self.deployed.values())

    @property
    def changed(self) -> str | None:
        """How the old one's times differ from the jobs', in words."""
        for job in self.jobs:
            ours = [schedule.expression for schedule in job.schedules]
            if ours != [self.old.expression] or (job.timezone != self.old.timezone and "rate(" not in ours[0]):
                theirs = f"{self.old.expression} in {self.old.timezone}"
                return f"note: {self.old.origin} has {theirs}, and {job.name} {', '.join(ours)} in {job.timezone}"
        return None

    def near(self, now: datetime) -> datetime | None:
        """A time of the old one or of a job that is too near."""
        theirs = schedules_of(self.old)
        for job in self.jobs:
            for schedules, zone in ((theirs, self.old.timezone), (job.schedules, job.timezone)):
                if time := in_the_way(schedules, zone, now):
                    return time
        return None


def schedules_of(old: Snapshot) -> tuple[Schedule, ...]:
    """The old schedule, as far as it can be read here."""
    try:
        ZoneInfo(old.timezone)
        return (parse_schedule(old.expression),)
    except (ScheduleRefused, KeyError, ValueError, OSError):
        return ()


def in_the_way(schedules: Sequence[Schedule], timezone: str, now: datetime) -> datetime | None:
    """A scheduled time too near for a switch; None also where there is never a better moment.

    When a rate comes is not known: it counts from its creation.
    """
    crons = [schedule for schedule in schedules if schedule.every is None]
    often = len(between(crons, timezone, now, now + _HOUR, limit=_OFTEN)) >= _OFTEN
    near = between(crons, timezone, now - AFTER, now + BEFORE, limit=1)
    return near[0] if near and not often else None


def look(stage: Stage, switch: Switch, job: str) -> Move:
    """Read what there is. Raises `Stop` where it can't be moved at all."""
    asked = stage.job(job)
    if asked.imported_from is None:
        right = f'write imported_from = "rule/default/NAME" (or "schedule/GROUP/NAME") into [jobs.{job}]'
        raise Stop(f"{job} does not say what started it before: {right}")
    origin = rule_of(asked.imported_from)
    jobs = tuple(
        each for each in stage.file.jobs.values() if each.imported_from and rule_of(each.imported_from) == origin
    )
    try:
        old = switch.look(origin)
    except NotThere as error:
        raise Stop(f"{error}: there is nothing to switch", NOT_RUN) from error
    try:
        owner = switch.owner(origin)
    except ClientError as error:
        if "AccessDenied" not in error.response.get("Error", {}).get("Code", ""):
            raise
        owner = UNKNOWN
    reader = Reader(stage)
    try:
        deployed = {each.name: reader.deployed(each)[0] for each in jobs}
    except NotDeployed as error:
        raise Stop(str(error), NOT_RUN) from error
    return Move(jobs=jobs, old=old, owner=owner, deployed=deployed)


def require_movable(move: Move, *, force: bool) -> None:
    """Raise `Stop` for what a person has to settle, or to know and `--force`."""
    ids = {str(target["Id"]) for target in move.old.targets}
    ours = {(job.imported_from or "").partition("#")[2] for job in move.jobs} if len(ids) > 1 else ids
    if (others := sorted(ids - ours)) and not force:
        raise Stop(
            f"{move.old.origin} has targets that no job stands for: {', '.join(others)}. They would be switched with "
            "it; import them, give them a rule of their own, or say --force",
            NOT_RUN,
        )
    if managed := move.old.told.get("ManagedBy"):
        raise Stop(f"{move.old.origin} is {managed}'s own rule, which nobody else may switch", NOT_RUN)
    if move.owner and not force:
        raise Stop(
            f"{move.old.origin} belongs to {move.owner}, whose next apply would set it back: then both would start "
            "the batch. Switch it there, or say --force and switch it there soon",
            NOT_RUN,
        )


def require_quiet(move: Move, now: datetime, again: str, zone: ZoneInfo) -> None:
    if time := move.near(now):
        told, after = local(time, zone), local(time + AFTER, zone)
        raise Stop(f"nothing was changed: {told} is due, or just was; after {after}: {again}", NOT_RUN)


def switched(switch: Switch, move: Move, now: datetime, *, on: bool, force: bool) -> Snapshot:
    """Switch the old one, and make sure that nothing else of it has changed. Raises `Stop`."""
    before = move.old
    dropped = refused_again(before, now) if before.told.get("GroupName") else frozenset[str]()
    if dropped and before.expression.startswith("rate(") and not force:
        raise Stop(
            f"nothing was changed: {before.origin} has a StartDate in the past, which AWS takes from nobody again, and "
            "its rate counts from it. Switch it by hand, or say --force to lose the StartDate",
            NOT_RUN,
        )
    if before.on != on:
        switch.set(before, on=on, without=dropped)
    after = switch.look(before.origin)
    if after.on != on:
        raise Stop(f"{before.origin} is still switched {'on' if after.on else 'off'}: look at it in the console", AWS)
    if lost := [each for each in differences(before, after) if each.partition(" ")[0] not in dropped]:
        raise Stop(f"{before.origin} is switched, and has changed otherwise: {'; '.join(lost)}. Mend it by hand", AWS)
    return after


@dataclass(frozen=True)
class Edit:
    """The jobs file with another `enabled` in some jobs, not yet written."""

    file: Path
    text: str
    jobs: tuple[str, ...]
    """Those that had another."""

    def write(self) -> None:
        """Write it; line ends stay what they are."""
        if self.jobs:
            self.file.write_bytes(self.text.encode())


def edited(stage: Stage, move: Move, value: object) -> Edit:
    """What the jobs file is to be. Raises `Stop` where a person has to write it."""
    file = (stage.jobs_directory or DIRECTORY) / f"{stage.name}.toml"
    text, changed = file.read_bytes().decode(), []
    for job in move.jobs:
        after = enabled(text, job.name, value)
        if after is None:
            right = f"write enabled = {toml(value)} into [jobs.{job.name}] yourself, and then again"
            raise Stop(f"nothing was changed; {stage.place}: {right}", NOT_RUN)
        if after != text:
            text = after
            changed.append(job.name)
    return Edit(file, text, tuple(changed))


def to_make_up_for(stage: Stage, move: Move, since: datetime, until: datetime) -> list[str]:
    """The commands that start what nobody has seen to between `since` and `until`.

    Functions are deployed before the rest, so the guard may have started some of them. One that is so young that the
    trigger looks up no record may yet be started, or was the old functions' and is nobody's: its command looks.
    """
    reader = Reader(stage)

    def of(job: Job, time: datetime) -> str | None:
        why = stage.command("why", job.name, stamp(time))
        try:
            found = reader.guard(scheduled_name(job.name, time))
        except (CantTell, Refused) as error:  # the work has moved: the rest is told all the same
            return f"{why}  # nobody knows: {error}"
        if found is None and until - time <= LATE:
            return f"{why}  # it may yet start"
        seen_to = found is not None and found.output.get("outcome") != "shadow"
        return None if seen_to else stage.command("run", job.name, "--scheduled-at", stamp(time))

    times = ((job, time) for job in move.jobs for time in between(job.schedules, job.timezone, since, until))
    return [told for job, time in times if (told := of(job, time))]


# --- one word of a jobs file changed: a job's `enabled` ----------------------------------------------------

_WORD = r'(true|false|"[a-z]*")'


def enabled(text: str, job: str, value: Any) -> str | None:
    """The file with that value, and every other byte as it was: each place where the word may stand is tried.

    None if there is no such place, as in a job that is an inline table of many lines.
    """
    document = tomllib.loads(text)
    wanted = tomllib.loads(text)
    wanted["jobs"][job]["enabled"] = value
    if document == wanted:
        return text
    word = f'"{value}"' if isinstance(value, str) else str(value).lower()
    return next((each for each in _candidates(text, job, word) if _means(each, wanted)), None)


def _candidates(text: str, job: str, word: str) -> Iterator[str]:
    """The file with the word in each place where an `enabled` stands, and then with a new line of it."""
    for match in re.finditer(rf"\benabled\s*=\s*{_WORD}", text):
        yield f"{text[: match.start(1)]}{word}{text[match.end(1) :]}"
    header = rf'^[ \t]*\[[ \t]*jobs[ \t]*\.[ \t]*"?{re.escape(job)}"?[ \t]*\][^\n]*\n?'
    for match in re.finditer(header, text, re.MULTILINE):
        head = match[0] if match[0].endswith("\n") else f"{match[0]}\n"
        yield f"{text[: match.start()]}{head}enabled = {word}\n{text[match.end() :]}"
    for match in re.finditer(rf"^[ \t]*\"?{re.escape(job)}\"?[ \t]*=[ \t]*\{{", text, re.MULTILINE):
        yield f"{text[: match.end()]} enabled = {word},{text[match.end() :]}"


def _means(text: str, wanted: dict[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        return False
