"""``guardctl iam``."""

import sys
from typing import Annotated

import typer

from guardctl import people
from guardctl import template as templates
from guardctl.console import StageOption, command
from guardctl.errors import Stop
from guardctl.stage import Stage


@command(example="guardctl iam operator --stage prod > operator.json")
def iam(
    role: Annotated[str, typer.Argument(help=f"For whom: {', '.join(people.ROLES)}.")],
    stage: StageOption = "dev",
) -> None:
    """Print the least policy for a person. Asks nothing of AWS.

    A viewer looks; an operator also runs, pauses and stops jobs; a deployer also deploys and destroys the stage.
    """
    found = next((known for known in people.ROLES if known == role), None)
    if found is None:
        raise Stop(f"{role!r} is none of {', '.join(people.ROLES)}")
    sys.stdout.write(templates.render(people.policy(Stage(stage).file, found)) + "\n")
