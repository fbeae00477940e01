"""``guardctl package``."""

from typing import Annotated

import typer

from guardctl import deploy as deployment
from guardctl import limits
from guardctl.console import StageOption, command, out
from guardctl.stage import Stage


@command(example="make package STAGE=dev")
def package(
    directory: Annotated[str, typer.Argument(help="Where to leave sam.json and deployment.zip.")] = "build",
    stage: StageOption = "dev",
) -> None:
    """Write one template for a pipeline.

    It has the functions and the state machines. Leaves DIRECTORY/sam.json and DIRECTORY/deployment.zip.
    """
    target = Stage(stage)
    deployment.chalice_knows(stage)
    limits.require(target)
    with out.status("packaging…"):
        deployment.package(target, directory, _quiet)
    out.print(f"wrote {directory}/sam.json and {directory}/deployment.zip")
    out.print(
        f"next: aws cloudformation package --template-file {directory}/sam.json --s3-bucket BUCKET "
        f"--use-json --output-template-file {directory}/packaged.json"
    )


def _quiet(_line: str) -> None:
    pass
