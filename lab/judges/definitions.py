"""The definitions as they are shipped, and every JSONata expression in them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chalicelib.values import dataclass

MACHINES = Path(__file__).resolve().parents[2] / "chalicelib" / "machines"


@dataclass(frozen=True)
class Expression:
    """One ``{% … %}`` of a definition."""

    machine: str
    state: str
    field: str
    """Where in the state: ``Choices[1].Condition``, ``Catch[0].Output.task``."""
    text: str
    """Without its marks."""
    given: str | None = None
    """The Condition, without its marks, under which alone it is evaluated: that of its own rule in a Choice."""

    def __str__(self) -> str:
        return f"{self.machine} / {self.state} / {self.field}"


def texts() -> dict[str, str]:
    """Machine (``batch``, ``guard``) → the text of its definition."""
    return {
        path.name.partition(".")[0]: path.read_text(encoding="utf-8") for path in sorted(MACHINES.glob("*.asl.json"))
    }


def expressions(machine: str, definition: Mapping[str, Any]) -> Iterator[Expression]:
    """Every expression of a definition, in its order."""
    for state, body in definition["States"].items():
        inside = dict(_inside(body, ""))
        for field, text in inside.items():
            rule, _, rest = field.partition(".")
            yield Expression(
                machine, state, field, text, inside.get(f"{rule}.Condition") if rest != "Condition" else None
            )


def all_expressions() -> list[Expression]:
    """Every expression of every definition."""
    return [found for machine, text in texts().items() for found in expressions(machine, json.loads(text))]


def _inside(value: Any, field: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _inside(inner, f"{field}.{key}" if field else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _inside(inner, f"{field}[{index}]")
    elif isinstance(value, str) and value.startswith("{%") and value.endswith("%}"):
        yield field, value[2:-2].strip()
