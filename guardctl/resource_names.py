"""What a resource of a stage's stacks is, in a person's words: logical ID → the job, and what it is to the job. Pure.

CloudFormation knows logical IDs only. Those of a removed job are in no file any more; its name is read from the ID.
"""

import re
from collections.abc import Mapping

from chalicelib.config.jobs import JobsFile
from guardctl import template
from guardctl.wording import listed

_OF_THE_STAGE: Mapping[str, str] = {
    "GuardMachine": "the guard machine",
    "GuardMachineRole": "the guard machine's role",
    "WaitingMachine": "the machine of who waits for a pool",
    "TellingMachine": "the machine that tells people",
    "TellingMachineRole": "the role of the machine that tells people",
    "MachineLogs": "the machines' log group",
    "CheckRole": "the role of the function check",
    "TriggerRole": "the role of the function trigger",
    "TickMissing": "the alarm tick-missing",
    "TriggerFails": "the alarm trigger-fails",
    "CheckFails": "the alarm check-fails",
    "StartRefused": "the alarm start-refused",
    "RunStuck": "the alarm run-stuck",
    "CalendarEnded": "the alarm calendar-ended",
    "Dashboard": "the dashboard",
}

_OF_A_JOB: Mapping[str, str] = {
    "Batch": "the state machine of its runs",
    "BatchSchedule": "the record of its schedule",
    "Failed": "its alarm failed",
    "Skips": "its alarm skips",
    "Late": "its alarm late",
}
"""What follows a job's name, or a pool's, in a logical ID (`cloudformation.logical_id`); a slot's number may follow."""


class Names:
    """The resources of a stage as its jobs file has them."""

    def __init__(self, jobs: JobsFile) -> None:
        self._jobs = jobs
        self._members = {pool: [job.name for job in jobs.members(pool)] for pool in jobs.pools}
        self._of_role: dict[str, list[str]] = {}
        machines = template.machines(jobs)
        for each in template.batch_machines(jobs):
            role = machines[each.logical_id]["Properties"]["RoleArn"]["Fn::GetAtt"][0]
            self._of_role.setdefault(role, []).extend(job.name for job in each.jobs)

    def told(self, logical_id: str) -> str:
        """``nightly-report: the state machine of its runs``; what nobody knows is told by its logical ID."""
        if known := _OF_THE_STAGE.get(logical_id):
            return known
        if names := self._of_role.get(logical_id):
            return f"{listed(dict.fromkeys(names))}: the role of {'its' if len({*names}) == 1 else 'their'} runs"
        if logical_id.startswith("BatchRole"):
            return "a role of runs that no job here has"
        match = re.fullmatch(r"([a-z][a-z0-9]*(?:X[a-z0-9]+)*)([A-Z][A-Za-z]*)([2-9]?)", logical_id)
        if match is None or match[2] not in _OF_A_JOB:
            return logical_id
        slot = f", slot {match[3]}" if match[3] else ""
        return f"{self._whose(match[1].replace('X', '-'), match[2])}: {_OF_A_JOB[match[2]]}{slot}"

    def _whose(self, name: str, what: str) -> str:
        if what in {"Batch", "Failed"} and self._jobs.shared(name):
            return f"pool {name} ({listed(dict.fromkeys(self._members[name]))})"
        return name
