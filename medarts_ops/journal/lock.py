"""One process at a time works on a search: a lock that ends with its process, whatever ends that."""

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


@contextmanager
def search_lock(folder: Path) -> Iterator[None]:
    """Hold the search of `folder` for this process.

    The kernel drops the lock with the process that holds it, so a crash leaves nothing locked. The file says who holds
    it, for people.

    Raises:
        SearchError: another process holds it, named by pid and host; or the folder can't be written.
    """
    path = folder / LOCK_NAME
    try:
        file = path.open("a+")
    except OSError as error:
        raise SearchError(f"{str(path)!r} can't be written: {error.strerror or error}; mend the folder") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SearchError(
                f"search {folder.name!r} is at work in {_holder(path)}: wait for it, or end it and resume"
            ) from error
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        file.flush()
        yield


def _holder(path: Path) -> str:
    try:
        said = json.loads(path.read_text())
        return f"process {int(said['pid'])} on {str(said['host'])!r}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
