"""stdout and stderr that outlive what becomes of them: closed, full, without a reader, or short of letters."""

from __future__ import annotations

import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class LastingStream(io.TextIOWrapper):
    r"""A text stream that raises nothing: what can't be written is dropped, and its first reason kept.

    What its encoding lacks is written as an escape such as `\u221e`.
    """

    def __init__(self, stream: TextIO | None, descriptor: int) -> None:
        self._file = _LastingFile(descriptor, "wb", closefd=False)
        super().__init__(
            io.BufferedWriter(self._file),
            encoding="utf-8" if stream is None else stream.encoding,
            errors="backslashreplace",
            line_buffering=self._file.isatty() or descriptor == 2,
        )

    def failure(self) -> OSError | None:
        """Why not all could be written, once what is held back is; None for a reader that went away (`| head`)."""
        self.flush()
        return None if isinstance(self._file.failure, BrokenPipeError) else self._file.failure


class _LastingFile(io.FileIO):
    failure: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            while (written := super().write(data)) is None:  # a pipe that somebody made non-blocking is full
                select.select((), (self,), ())
        except OSError as error:
            self.failure = self.failure or error
            return memoryview(data).nbytes
        return written


def lasting_streams() -> LastingStream | None:
    """Makes this process's stdout and stderr lasting ones; gives stdout, or None where a caller has put its own there.

    In the place of a standard stream that is closed comes an empty one, which refuses to be written.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # Or else the next file that is opened, a database maybe, is where libraries and child processes print.
            os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)
    if sys.stderr is sys.__stderr__:
        sys.stderr = LastingStream(sys.stderr, 2)
    if sys.stdout is not sys.__stdout__:
        return None
    sys.stdout = lasting = LastingStream(sys.stdout, 1)
    return lasting
