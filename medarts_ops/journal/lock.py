"""One process at a time works on a job: a lock that ends with its process, whatever ends that."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medarts_ops.errors import SearchError, os_errors_as


@contextmanager
def job_lock(folder: Path) -> Iterator[None]:
    """Hold the job of `folder` for this process.

    The kernel drops the lock with the process that holds it, so a crash leaves nothing locked. The file says who holds
    it, for people.

    Raises:
        SearchError: another process, named by pid and host, holds it; or the folder can't be written or locked.
    """
    path = folder / "lock"
    writing = (SearchError, f"{str(path)!r} can't be written", "free some space or mend the folder")
    elsewhere = "move the work directory to a file system with locks (flock), for example a local disk"
    with os_errors_as(*writing):
        file = path.open("ab", buffering=0)
    with file:
        with os_errors_as(SearchError, f"{str(path)!r} can't be locked", elsewhere):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise SearchError(
                    f"{folder.name!r} is at work in {holder_of(folder)}: wait for it, or end it and resume"
                ) from error
        with os_errors_as(*writing):
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
        yield


def is_at_work(folder: Path) -> bool:
    """Whether a process holds the job of `folder`; on a file system without locks nobody knows, and it is said to."""
    try:
        with (folder / "lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def holder_of(folder: Path) -> str:
    """Who works on the job of `folder`, by pid and host, as that process noted it."""
    try:
        with (folder / "lock").open() as file:
            said = json.loads(file.read(1000))  # no note of ours is longer
        return f"process {int(said['pid'])} on {str(said['host'])!r}"
    except (OSError, ValueError, OverflowError, RecursionError, KeyError, TypeError):
        return "another process"
