"""``guardctl template``."""

import sys

from guardctl import limits
from guardctl import template as templates
from guardctl.console import StageOption, command
from guardctl.stage import Stage


@command(example="python -m guardctl template --stage dev > machines.json")
def template(stage: StageOption = "dev") -> None:
    """Print the state machines' CloudFormation template. Asks nothing of AWS."""
    sys.stdout.write(templates.render(templates.template(limits.require(Stage(stage)))) + "\n")
