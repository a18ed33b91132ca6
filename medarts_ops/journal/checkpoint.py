"""Checkpoint files: a payload that is whole or not there, with the one before it kept."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from medarts_ops.errors import SearchError, os_errors_as
from medarts_ops.whole_file import whole_file

VERSION = 1
_MAGIC = b"medarts-checkpoint"

_logger = logging.getLogger(__name__)


class CheckpointFile:
    """One checkpoint and its predecessor, `<name>` and `<name>.previous`.

    The file is a line with format, version, SHA-256 and length of what follows, then the payload. It is written under
    another name, put on disk (fsync) and renamed, so that a crash at any moment leaves a whole one behind.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._previous = path.with_name(f"{path.name}.previous")
        self._newest_is_broken = False

    def write(self, payload: bytes) -> None:
        """Make `payload` the checkpoint, and the one so far the previous, unless `payloads` found it broken.

        A SearchError if the disk is full or the folder can't be written; the earlier checkpoint is as it was then.
        """
        digest = hashlib.sha256(payload).hexdigest().encode()
        wrong = f"checkpoint {str(self._path)!r} can't be written"
        remedy = "what was saved earlier is whole: free some space or mend the folder, then resume"
        with os_errors_as(SearchError, wrong, remedy):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(self._path) as file:
                file.write(b"%s %d %s %d\n" % (_MAGIC, VERSION, digest, len(payload)))
                file.write(payload)
                file.flush()
                os.fsync(file.fileno())  # before the newest is moved: one of the two has to be whole
                if self._path.exists() and not self._newest_is_broken:
                    self._path.replace(self._previous)
            self._newest_is_broken = False

    def payloads(self) -> Iterator[tuple[Path, bytes]]:
        """What is whole, the newest first, with its file; a torn or foreign one is named in a warning and left out.

        A file is read when it is asked for: the previous one costs nothing where the newest is good. A SearchError if a
        newer release wrote one.
        """
        for path in (self._path, self._previous):
            broken = "is torn or foreign"
            try:
                payload = _read(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                payload, broken = None, f"can't be read ({error.strerror or error})"
            if payload is not None:
                yield path, payload
            else:
                self._newest_is_broken |= path == self._path
                _logger.warning("checkpoint %s %s; an earlier one is used, if there is one", path, broken)

    def delete(self) -> None:
        """Remove both files: what they held is finished."""
        for path in (self._path, self._previous):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _read(path: Path) -> bytes | None:
    """The payload; None if it is not whole. No more is read than the file's size and its header agree on."""
    with path.open("rb") as file:
        header = file.readline(200)  # no header of ours is longer
        words = header.removesuffix(b"\n").split(b" ")
        if len(words) != 4 or words[0] != _MAGIC or not words[1].isdigit():
            return None
        if int(words[1]) > VERSION:
            raise SearchError(
                f"checkpoint {str(path)!r} is of version {int(words[1])}: this release reads up to version {VERSION}; "
                "resume with the release that wrote it, or delete the file to go on from an earlier state"
            )
        rest = os.fstat(file.fileno()).st_size - len(header)
        if int(words[1]) != VERSION or words[3] != b"%d" % rest:
            return None
        payload = file.read(rest)
    return payload if hashlib.sha256(payload).hexdigest().encode() == words[2] else None
