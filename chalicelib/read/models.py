"""botocore's data about the services that are asked, small enough to be read at every cold start.

botocore lists four hundred services to find one, and reads its table of every service's endpoints and models that are
mostly documentation: a fifth of a cold start (docs/decisions/0022-models-without-documentation.md). `write` makes the
same without all that, for the zip, from the botocore that deploys; what is not found there is taken from botocore.
"""

import json
from pathlib import Path
from typing import Any

from botocore.loaders import Loader

SERVICES = ("ecs", "ssm", "stepfunctions")
"""All that the functions ask. A client for another can't be made, here or in Lambda."""

DIRECTORY = Path(__file__).parent.parent.parent / "models"
"""At the root of the zip; nowhere else is there any."""


class Models(Loader):
    """botocore's loader, which looks into `DIRECTORY` first and knows `SERVICES` only."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        super().__init__(extra_search_paths=[str(directory)])
        self._own = str(directory)

    def list_available_services(self, type_name: str) -> list[str]:
        """What botocore would look for in four hundred directories."""
        return list(SERVICES)

    def is_builtin_path(self, path: str) -> bool:
        """What was made from botocore's data counts as such: else endpoints would be found in another way."""
        return path.startswith(self._own) or super().is_builtin_path(path)


def write(directory: Path) -> None:
    """The models of `SERVICES`, and the table of their endpoints; the same bytes from the same botocore."""
    known = Loader()
    prefixes = set()
    for service in SERVICES:
        name = f"{service}/{known.determine_latest_version(service, 'service-2')}/service-2"
        model = known.load_data(name)
        prefixes.add(model["metadata"]["endpointPrefix"])
        _write(directory / f"{name}.json", _undocumented(model))
    table = known.load_data("endpoints")
    for partition in table["partitions"]:
        partition["services"] = {name: at for name, at in partition["services"].items() if name in prefixes}
    _write(directory / "endpoints.json", table)


def _undocumented(value: Any) -> Any:
    """Documentation is a string; a member of that name is not."""
    if isinstance(value, dict):
        return {
            key: _undocumented(inner)
            for key, inner in value.items()
            if key != "documentation" or not isinstance(inner, str)
        }
    return [_undocumented(inner) for inner in value] if isinstance(value, list) else value


def _write(file: Path, value: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value, separators=(",", ":")), encoding="utf-8")
