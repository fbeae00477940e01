"""``guardctl iam``."""

import re
import sys
from typing import Annotated

import typer

from chalicelib.names import STAGE
from guardctl import people
from guardctl import template as templates
from guardctl.acceptance import permissions
from guardctl.console import StageOption, command
from guardctl.errors import Stop
from guardctl.stage import Stage

_ROLES = (*people.ROLES, "acceptance")


@command(example="guardctl iam operator --stage prod > operator.json")
def iam(
    role: Annotated[str, typer.Argument(help=f"For whom: {', '.join(_ROLES)}.")],
    stage: StageOption = "dev",
) -> None:
    """Print the least policy for a person. Asks nothing of AWS.

    A viewer looks; an operator also runs, pauses and stops jobs; a deployer also deploys and destroys the stage.
    acceptance is for guardctl acceptance, with the same --stage, and needs no jobs file.
    """
    if role == "acceptance":
        if not re.fullmatch(STAGE, stage):
            raise Stop(f'"{stage}" is not a stage name: it has lower case letters and digits, a letter first')
        found = permissions.policy(stage)
    elif role in people.ROLES:
        found = people.policy(Stage(stage).file, role)
    else:
        raise Stop(f"{role!r} is none of {', '.join(_ROLES)}")
    sys.stdout.write(templates.render(found) + "\n")
