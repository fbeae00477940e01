"""``guardctl package``."""

from typing import Annotated

import typer

from guardctl import deploy as deployment
from guardctl import limits, project
from guardctl.console import StageOption, command, out
from guardctl.stage import Stage


@command(example="make package STAGE=dev")
def package(
    directory: Annotated[str, typer.Argument(help="Where to leave the templates and deployment.zip.")] = "build",
    stage: StageOption = "dev",
) -> None:
    """Write a template for a pipeline.

    It has the functions, and nests the stage's stacks. Leaves DIRECTORY/sam.json, the nested templates beside it, and
    DIRECTORY/deployment.zip.
    """
    target = Stage(stage)
    project.require_block(target)
    limits.require(target)
    project.require_all(target)
    deployment.write_project(target, out.print)
    with out.status("packaging…"):
        written = deployment.package(target, directory, lambda _line: None)
    out.print(f"wrote {', '.join(f'{directory}/{name}' for name in written)}")
    out.print(
        f"next: aws cloudformation package --template-file {directory}/sam.json --s3-bucket BUCKET "
        f"--use-json --output-template-file {directory}/packaged.json"
    )
