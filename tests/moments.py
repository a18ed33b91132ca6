"""Every moment at which a process changes what outlives it: found by itself, counted, and died at."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import Any

CHANGING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
DATABASES = (".db", ".db-journal", ".db-wal", ".db-shm")
CHANGES = {"os.rename": 1, "os.remove": 0, "os.mkdir": 0, "os.rmdir": 0, "os.truncate": 0, "shutil.rmtree": 0}
"""Events of the file system that Python's audit tells before they happen, by the argument that is the path."""

WRITES_FOR_OTHERS = "medarts_ops.whole_file"


class Moments:
    """The moments of this process, in order; SIGKILL at the one with number `last`.

    A moment is before a file or folder in `folder` is opened to be written, renamed or removed, before and after
    lines are put on disk, before and after a database's commit, and before and after each of `calls`, such as
    `module:Class.function`. Its name says what happens and which function of ours does it.

    What is written survives a SIGKILL, so nothing waits for the disk in here.
    """

    def __init__(self, folder: Path, last: int | None = None, calls: Sequence[str] = ()) -> None:
        self.names: list[str] = []
        self._folder, self._last = str(folder), last
        sys.addaudithook(self._audited)
        self._watch_disk()
        self._watch_databases()
        for target in calls:
            self._watch_call(target)

    def _come(self, name: str) -> None:
        self.names.append(f"{name} in {_ours(sys._getframe(1))}")
        if len(self.names) - 1 == self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    def _audited(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if not (isinstance(flags, int) and flags & CHANGING):
                return
        elif event in CHANGES:
            path = arguments[CHANGES[event]]
        else:
            return
        if isinstance(path, str | os.PathLike):
            shown = os.fspath(path)
            if str(shown).startswith(self._folder) and not str(shown).endswith(DATABASES):
                self._come(f"{event} before")

    def _watch_disk(self) -> None:
        def fsync(descriptor: int) -> None:
            self._come("fsync before")
            self._come("fsync after")

        os.fsync = fsync  # type: ignore[assignment]

    def _watch_databases(self) -> None:
        from sqlalchemy import event
        from sqlalchemy.engine import Engine
        from sqlalchemy.engine.default import DefaultDialect

        def connected(connection: Any, record: object) -> None:
            connection.execute("PRAGMA synchronous=OFF")

        def committed(dialect: object, connection: Any) -> None:
            changes = connection.dbapi_connection.in_transaction
            if changes:
                self._come("commit before")
            connection.commit()
            if changes:
                self._come("commit after")

        event.listen(Engine, "connect", connected)
        DefaultDialect.do_commit = committed  # type: ignore[method-assign, assignment]

    def _watch_call(self, target: str) -> None:
        module_name, _, path = target.partition(":")
        holder: Any = importlib.import_module(module_name)
        *outer, name = path.split(".")
        for part in outer:
            holder = getattr(holder, part)
        original: Callable[..., Any] = getattr(holder, name)

        @wraps(original)
        def watched(*arguments: Any, **named: Any) -> Any:
            self._come(f"{name} before")
            result = original(*arguments, **named)
            self._come(f"{name} after")
            return result

        setattr(holder, name, watched)


def _ours(frame: FrameType | None) -> str:
    """The innermost function of the package on the way to a frame, and who called it there."""
    found: list[str] = []
    while frame is not None and len(found) < 2:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith("medarts_ops.") and module != WRITES_FOR_OTHERS:
            found.append(frame.f_code.co_qualname)
        frame = frame.f_back
    return " by ".join(found) or "nothing of ours"


def spread(names: Sequence[str], per_kind: int) -> list[int]:
    """Of each kind of moment so many numbers, the same ones each time.

    Before and after the same thing are one kind: which of the two, and which time, goes by the kind's place in the row.
    """
    kinds: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        kinds.setdefault(name.replace(" before ", " ").replace(" after ", " "), []).append(number)
    return sorted(
        {
            numbers[(7 * place + turn * len(numbers) // per_kind) % len(numbers)]
            for place, numbers in enumerate(kinds.values())
            for turn in range(per_kind)
        }
    )
