"""What is said of an old schedule: what becomes of a thing in it, and why it can't be carried. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Note:
    """Something that is not as it was, or that a person should know."""

    kind: str
    """A word or two, the same for all of a kind: "rate"."""
    text: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a schedule can't be carried, and what to write instead, or to do."""

    wrong: str
    instead: str

    def __str__(self) -> str:
        return f"{self.wrong}; {self.instead}"
