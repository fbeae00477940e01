"""Who belongs to which pool is the one thing on which machines and functions must agree: so the guard is told, too."""

from chalicelib.config.jobs import JobsFile


def pool_rows(jobs: JobsFile) -> str:
    """A JSONata object with a row for each job whose pool is shared: what the guard tells the checker of its machines.

    Names are lower case letters, digits and hyphens, so nothing has to be escaped.
    """
    rows = [
        f"'{job.name}': {{'pool': '{job.pool}', 'slots': {jobs.slots_of(job.pool)}}}"
        for job in jobs.jobs.values()
        if jobs.shared(job.pool)
    ]
    return f"{{{', '.join(rows)}}}"
