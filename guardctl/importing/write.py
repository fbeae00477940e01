"""Jobs as the text of a jobs file. Pure.

What most jobs have in common stands in the defaults. A file that is there keeps every byte: new jobs come after it, and
say themselves what its defaults would say otherwise.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.values import dataclass
from guardctl.importing.carry import Carried

Json = dict[str, Any]

NEUTRAL: Mapping[str, Any] = {"timezone": "UTC"}
NEUTRAL_ECS: Mapping[str, Any] = {
    "launch_type": "FARGATE",
    "subnets": [],
    "security_groups": [],
    "assign_public_ip": False,
    "pass_roles": [],
    "propagate_tags": True,
    "managed_tags": False,
}
"""Keys → what a job means that does not write them. A default for one of them can be taken back."""

_SHARED = ("timezone", "start_deadline")
_SHARED_ECS = (
    "cluster",
    "container",
    "launch_type",
    "platform_version",
    "subnets",
    "security_groups",
    "assign_public_ip",
    "pass_roles",
    "propagate_tags",
    "managed_tags",
)
"""What may stand in the defaults, in this order."""

_QUIET = frozenset({"rule in UTC", "time zone", "group"})
"""Notes that the report has, and that would only be noise beside each job."""


@dataclass(frozen=True, slots=True)
class Named:
    """A job with the name and the pool that it gets; no pool: one of its own."""

    name: str
    pool: str | None
    carried: Carried


def alone(job: Named) -> str:
    """A jobs file of this job, without defaults."""
    return "\n".join(_job(job, job.carried.table, job.carried.table["ecs"]))


def new_file(jobs: Sequence[Named], source: str) -> str:
    """A whole jobs file; `source` says where the jobs came from."""
    rows = [_without_neutral(job.carried.table) for job in jobs]
    defaults = _common(rows, _SHARED, NEUTRAL)
    of_ecs = _common([row["ecs"] for row in rows], _SHARED_ECS, NEUTRAL_ECS)
    lines = [
        f"# Imported with `guardctl import` from {source}.",
        "# In shadow until `guardctl handover JOB` moves their work here: what started them goes on meanwhile.",
    ]
    lines += ["", "[defaults]", *_pairs(defaults)] if defaults else []
    lines += ["", "[defaults.ecs]", *_pairs(of_ecs)] if of_ecs else []
    for job, row in zip(jobs, rows, strict=True):
        lines += _block(job, row, defaults, of_ecs)
    return "\n".join(lines) + "\n"


def added(existing: str, jobs: Sequence[Named], defaults: Mapping[str, Any]) -> str:
    """The file that is there, and these jobs after it; `defaults` is its table of that name."""
    inherited = {key: value for key, value in defaults.items() if key != "ecs"}
    of_ecs = defaults.get("ecs", {})
    lines = []
    for job in jobs:
        lines += _block(job, _without_neutral(job.carried.table), inherited, of_ecs)
    return existing.rstrip("\n") + "\n" + "\n".join(lines) + "\n" if jobs else existing


def _block(job: Named, row: Json, defaults: Mapping[str, Any], of_ecs: Mapping[str, Any]) -> list[str]:
    own = _beside(row, defaults, NEUTRAL)
    neutral = {key: value for key, value in NEUTRAL_ECS.items() if key != "launch_type" or not _chooses(row["ecs"])}
    ecs = _beside(row["ecs"], of_ecs, neutral)
    return ["", *_job(job, own, ecs)]


def _chooses(ecs: Json) -> bool:
    """Whether it says in another key than launch_type on what it runs."""
    return "capacity_provider" in ecs or "capacityProviderStrategy" in ecs.get("run_task", {})


def _beside(row: Json, defaults: Mapping[str, Any], neutral: Mapping[str, Any]) -> Json:
    """What a job has to write beside the defaults: not what they say already, but what they would say otherwise."""
    back = {key: neutral[key] for key in neutral if key not in row and defaults.get(key, neutral[key]) != neutral[key]}
    kept = {key: value for key, value in row.items() if key not in defaults or defaults[key] != value}
    return {**kept, **back}


def _without_neutral(table: Mapping[str, Any]) -> Json:
    ecs = {key: value for key, value in table["ecs"].items() if NEUTRAL_ECS.get(key) != value}
    return {**{key: value for key, value in table.items() if NEUTRAL.get(key) != value}, "ecs": ecs}


def _common(rows: Sequence[Json], keys: Sequence[str], neutral: Mapping[str, Any]) -> Json:
    """For each key that all jobs have (or can take back), the value that most have, if it spares lines."""
    found = {}
    for key in keys:
        values = [row.get(key, neutral.get(key)) for row in rows]
        if None in values:
            continue
        most, times = Counter(map(json.dumps, values)).most_common(1)[0]
        value = json.loads(most)
        if times > 1 and times * 2 > len(rows) and value != neutral.get(key):
            found[key] = value
    return found


# --- text -------------------------------------------------------------------------------------------------


def _job(job: Named, table: Mapping[str, Any], ecs: Mapping[str, Any]) -> list[str]:
    old = job.carried.old
    said = [old.told["Description"]] if old.told.get("Description") else []
    said += [note.text for note in job.carried.notes if note.kind not in _QUIET]
    lines = [f"# {_one_line(text)}" for text in said]
    first = {"pool": job.pool} if job.pool else {}
    own = {key: value for key, value in table.items() if key != "ecs"}
    lines += [f"[jobs.{job.name}]", *_pairs(own | first)]
    lines += ["", f"[jobs.{job.name}.ecs]", *_pairs({key: v for key, v in ecs.items() if key != "run_task"})]
    if ecs.get("run_task"):
        lines += ["", f"[jobs.{job.name}.ecs.run_task]", *_pairs(ecs["run_task"])]
    return lines


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text).strip()


def _pairs(table: Mapping[str, Any]) -> list[str]:
    return [f"{_key(key)} = {toml(value)}" for key, value in table.items()]


def _key(key: str) -> str:
    return key if re.fullmatch("[A-Za-z0-9_-]+", key) else toml(key)


def toml(value: Any) -> str:
    """A value as TOML writes it on one line. JSON's strings are TOML's, but for DEL (TOML 1.0, "String")."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(str(key))} = {toml(each)}" for key, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
