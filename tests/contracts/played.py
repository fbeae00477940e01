"""A stage in play with the present definitions, and what every job of these tests has in common."""

from lab.play import Play
from tests.contracts.keys import definition

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
    return Play(jobs, {name: definition(name) for name in ("guard", "batch")})
