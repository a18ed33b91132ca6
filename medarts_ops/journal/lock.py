"""One process at a time works on a job: a lock that ends with its process, whatever ends that."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medarts_ops.errors import SearchError

LOCK_NAME = "lock"
_LONGEST_NOTE = 1000


@contextmanager
def job_lock(folder: Path) -> Iterator[None]:
    """Hold the job of `folder`, a search or an evaluation, for this process.

    The kernel drops the lock with the process that holds it, so a crash leaves nothing locked. The file says who holds
    it, for people.

    Raises:
        SearchError: another process holds it, named by pid and host; or the folder can't be written, or is on a
            file system without locks.
    """
    path = folder / LOCK_NAME
    try:
        file = path.open("ab", buffering=0)
    except OSError as error:
        raise _unwritable(path, error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SearchError(
                f"{folder.name!r} is at work in {_holder(path)}: wait for it, or end it and resume"
            ) from error
        except OSError as error:
            raise SearchError(
                f"{str(path)!r} can't be locked: {error.strerror or error}; move the work directory to a file system "
                "with locks (flock), for example a local disk"
            ) from error
        try:
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
        except OSError as error:
            raise _unwritable(path, error) from error
        yield


def _unwritable(path: Path, error: OSError) -> SearchError:
    return SearchError(f"{str(path)!r} can't be written: {error.strerror or error}; free some space or mend the folder")


def _holder(path: Path) -> str:
    try:
        with path.open() as file:
            said = json.loads(file.read(_LONGEST_NOTE))
        return f"process {int(said['pid'])} on {str(said['host'])!r}"
    except (OSError, ValueError, OverflowError, RecursionError, KeyError, TypeError):
        return "another process"
