"""What an import says of itself: what was taken, what changes for it, and what was left. Pure."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from guardctl.importing.old import Account
from guardctl.importing.settle import Settled
from guardctl.wording import listed

_NAMES = 6
"""Jobs that a line names; the file has each note beside its job."""


def lines(found: Settled, account: Account) -> Iterator[str]:
    """For a person: jobs and where they came from, then each kind of note once, then what was left and why."""
    if found.new:
        width = max(len(job.name) for job in found.new)
        yield "jobs, and what they come from:"
        yield from (f"  {job.name:<{width}}  {job.carried.origin}{_pool(job.pool)}" for job in found.new)
        yield from _notes(found)
    if found.left:
        yield "left where they are:"
        for left in found.left:
            yield f"  {left.origin}"
            for reason in left.reasons:
                yield f"    {reason.wrong}"
                yield f"    → {reason.instead}"
    if account.others:
        counted = ", ".join(f"{number} of {service}" for service, number in sorted(account.others.items()))
        yield f"passed over, as no ECS tasks: {counted}"


def summary(found: Settled, account: Account, seconds: float) -> str:
    """``97 of 100 schedules become jobs, 3 left where they are; 212 calls in 9 s``."""
    there = f", {len(found.kept)} in the file already" if found.kept else ""
    return (
        f"{len(found.new)} of {len(account.olds)} schedules become jobs{there}, {len(found.left)} left where they are; "
        f"{account.calls} calls in {seconds:.0f} s"
    )


def as_json(found: Settled, account: Account) -> dict[str, Any]:
    return {
        "imported": [
            {
                "job": job.name,
                "imported_from": job.carried.origin,
                "pool": job.pool,
                "notes": [asdict(note) for note in job.carried.notes],
            }
            for job in found.new
        ],
        "kept": [*found.kept],
        "left": [
            {"origin": left.origin, "reasons": [asdict(reason) for reason in left.reasons]} for left in found.left
        ],
        "others": dict(account.others),
        "calls": account.calls,
    }


def _pool(pool: str | None) -> str:
    return f" (pool {pool}: the same batch)" if pool else ""


def _notes(found: Settled) -> Iterator[str]:
    """A line a kind, in its first job's words where they are the same for all."""
    kinds: dict[str, dict[str, list[str]]] = {}
    for job in found.new:
        for note in job.carried.notes:
            kinds.setdefault(note.kind, {}).setdefault(note.text, []).append(job.name)
    if kinds:
        yield "what is not as it was, or good to know:"
    for kind, texts in sorted(kinds.items()):
        for text, names in texts.items():
            yield f"  {kind}: {text} ({listed(names, _NAMES)})"
