"""What somebody may have meant: the known word that is spelt almost like theirs. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], *, alike: float = 0.6) -> str | None:
    """The known word that looks most like `word`, if they are at least so much `alike` (1 is the same)."""
    import difflib  # noqa: PLC0415 takes as long to import as all of this; only a fault needs it

    return next(iter(difflib.get_close_matches(word, sorted(known), 1, alike)), None)
