"""Judges from outside: what AWS and others have written to judge state machines, expressions and policies, of ours.

They run in `make check`. Each is pinned; Node comes from PyPI and its packages from npm, so Python is all it takes.
"""

from chalicelib.values import dataclass


@dataclass(frozen=True)
class Finding:
    """What a judge has against us."""

    where: str
    """Such as ``guard / Check failed / Cause``."""
    what: str
    """What is wrong, and an example; may have several lines."""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"
