"""Signals that ask for the end, as exceptions that reach whoever cleans up."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from threading import Timer
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

SECONDS_UNTIL_ASKED_AGAIN = 0.1


class Terminated(KeyboardInterrupt):
    """A signal asked for the end; whoever cleans up after Ctrl-C cleans up after this."""

    def __init__(self, signal_number: int = signal.SIGTERM) -> None:
        super().__init__(f"terminated by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number
        self.exit_code = 128 + signal_number


def heed_signals() -> None:
    """From now on what a scheduler and a closed terminal send ends this process as Ctrl-C does, whenever it comes."""
    for name in ("SIGTERM", "SIGHUP"):  # not every platform has the second
        number = signal.Signals.__members__.get(name)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, _terminate)
    sys.unraisablehook = _asking_again(sys.unraisablehook)


def is_no_interrupt(record: logging.LogRecord) -> bool:
    """Whether a line is worth showing: libraries log the end that was asked for, with its traceback, and pass it on.

    They also log what fails while they clean up after it (a cursor of a database that is closed already, say).
    """
    error = record.exc_info[1] if record.exc_info else None
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is None


def _terminate(signal_number: int, frame: FrameType | None) -> NoReturn:
    # A second signal must not break the clean-up that the first one began; SIGKILL still can.
    signal.signal(signal_number, signal.SIG_IGN)
    raise Terminated(signal_number)


def _asking_again(otherwise: Callable[[UnraisableHookArgs], object]) -> Callable[[UnraisableHookArgs], object]:
    """A hook for exceptions that nobody can catch: Python only prints one that is raised in a finalizer or a callback.

    A signal that was lost in this way is sent again, a moment later, when that is over.
    """

    def hook(unraisable: UnraisableHookArgs) -> None:
        lost = unraisable.exc_value
        if not isinstance(lost, KeyboardInterrupt):
            otherwise(unraisable)
            return
        number: int = signal.SIGINT
        if isinstance(lost, Terminated):
            number = lost.signal_number
            signal.signal(number, _terminate)
        again = Timer(SECONDS_UNTIL_ASKED_AGAIN, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()

    return hook
