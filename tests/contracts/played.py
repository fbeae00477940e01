"""A stage in play and what every job of these tests has in common."""

from lab.play import Play

DEFAULTS = """
[defaults]
timeout = "3h"
[defaults.ecs]
cluster = "batch"
container = "app"
launch_type = "EC2"
"""


def played(jobs: str) -> Play:
    """A stage with this jobs file."""
    return Play(jobs)
