"""Signals end the process whenever they come."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys

import pytest

from medarts_ops.cli.signals import Terminated, is_no_interrupt

# The signal comes in a finalizer, where Python can't let its exception out.
IN_A_FINALIZER = """
import gc, os, sys, time
from medarts_ops.cli.signals import Terminated, heed_signals

class Held:
    def __del__(self):
        os.kill(os.getpid(), int(sys.argv[1]))
        time.sleep(0)  # where the interpreter looks for signals

heed_signals()
try:
    for _ in range(int(sys.argv[2])):
        held = Held()
        del held
        time.sleep(0.5)
    time.sleep(5)
except Terminated as error:
    sys.exit(error.exit_code)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("times", [1, 2])
def test_a_signal_that_comes_in_a_finalizer_ends_the_process_all_the_same(
    number: signal.Signals, code: int, times: int
) -> None:
    words = [sys.executable, "-c", IN_A_FINALIZER, str(int(number)), str(times)]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=30)
    assert (ended.returncode, ended.stderr) == (code, "")


def test_what_else_a_finalizer_raises_is_printed_as_ever() -> None:
    code = IN_A_FINALIZER.replace("os.kill(os.getpid(), int(sys.argv[1]))", "raise ValueError('seen')")
    code = code.replace("time.sleep(5)", "pass")
    ended = subprocess.run([sys.executable, "-c", code, "2", "1"], capture_output=True, text=True, timeout=30)
    assert ended.returncode == 0 and "ValueError: seen" in ended.stderr


def test_a_library_that_logs_the_interrupt_is_not_shown_and_what_else_it_logs_is() -> None:
    def record(error: BaseException | None) -> logging.LogRecord:
        held = None if error is None else (type(error), error, None)
        return logging.LogRecord("pool", logging.ERROR, "", 0, "Exception closing connection", (), held)

    assert not is_no_interrupt(record(KeyboardInterrupt())) and not is_no_interrupt(record(Terminated()))
    assert is_no_interrupt(record(OSError())) and is_no_interrupt(record(None))


def test_what_fails_while_a_library_cleans_up_after_the_interrupt_is_not_shown_either() -> None:
    try:
        try:
            raise KeyboardInterrupt
        finally:
            [].pop()
    except IndexError as failure:
        held = (IndexError, failure, None)
    assert not is_no_interrupt(logging.LogRecord("pool", logging.ERROR, "", 0, "Error closing cursor", (), held))
