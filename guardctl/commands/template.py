"""``guardctl template``."""

import sys
from typing import Annotated

import typer

from guardctl import limits
from guardctl import template as templates
from guardctl.console import StageOption, command
from guardctl.errors import Stop
from guardctl.stage import Stage


@command(example="guardctl template --stage dev > machines.json")
def template(
    stage: StageOption = "dev",
    part: Annotated[str, typer.Option("--part", help=f"Which stack: {', '.join(templates.PARTS)}.")] = "machines",
) -> None:
    """Print the template of one of the stacks. Asks nothing of AWS."""
    found = templates.stacks(limits.require(Stage(stage)))
    if part not in found:
        raise Stop(f"stage {stage} has no stack {part!r}; it has {', '.join(found)}")
    sys.stdout.write(templates.render(found[part]) + "\n")
