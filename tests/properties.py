"""How many examples a property is tried with: all that are meant in `make test`, a few in `make unit`."""

from hypothesis import settings

QUICK = "quick"
"""The profile of `make unit`."""
A_FEW = 20


def register() -> None:
    """Make the profile known to pytest's ``--hypothesis-profile``; all but the number is as in the one in use."""
    settings.register_profile(QUICK, settings.get_profile(settings.get_current_profile_name()), max_examples=A_FEW)


def examples(number: int) -> int:
    """For a property's own `max_examples`."""
    return min(number, A_FEW) if settings.get_current_profile_name() == QUICK else number
