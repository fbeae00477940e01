"""Ctrl-C: a command that is interrupted says what is the case, above all what goes on."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from chalicelib.decide.facts import CantTell, Refused
from guardctl.errors import INTERRUPTED, Stop, explained


class Again(KeyboardInterrupt):
    """Ctrl-C for the second time: the answer to the call is not waited for."""


@contextmanager
def finishing() -> Iterator[None]:
    """Let a short block that changes something finish before Ctrl-C counts; a second Ctrl-C ends it at once.

    What AWS was asked to do it may do, whether or not anybody waits for the answer: so the answer is waited for.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:  # a shell's background job ignores it
        yield
        return
    pressed = False

    def press(_number: int, _frame: Any) -> None:
        nonlocal pressed
        if pressed:
            raise Again
        pressed = True

    signal.signal(signal.SIGINT, press)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if pressed:
        raise KeyboardInterrupt


@contextmanager
def interruptible(case: Callable[[], str], look: str) -> Iterator[None]:
    """On Ctrl-C raise `Stop` with what `case` finds to be the case; `look` is the command that shows it.

    `case` may ask AWS. A second Ctrl-C ends that at once.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        try:
            if isinstance(interrupt, Again):
                raise
            with explained():
                told = case()
        except KeyboardInterrupt:
            told = f"again, before it was clear what goes on; look: {look}"
        except (Stop, CantTell, Refused) as error:
            told = f"what goes on could not be asked ({error}); look: {look}"
        raise Stop(f"interrupted: {told}", INTERRUPTED) from None
