"""Checkpoint files: a payload that is whole or not there, with the one before it kept."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from pathlib import Path

from medarts_ops.errors import SearchError

VERSION = 1
_MAGIC = b"medarts-checkpoint"
_HEADER_LIMIT = 200

_logger = logging.getLogger(__name__)


class CheckpointFile:
    """One checkpoint and its predecessor, `<name>` and `<name>.previous`.

    The file is a line with format, version, SHA-256 and length of what follows, then the payload. It is written under
    another name, put on disk (fsync) and renamed, so that a crash at any moment leaves a whole one behind.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._previous = path.with_name(f"{path.name}.previous")

    def write(self, payload: bytes) -> None:
        """Make `payload` the checkpoint, and the one so far the previous.

        Raises:
            SearchError: the disk is full or the folder can't be written; the earlier checkpoint is as it was.
        """
        partial = self._path.with_name(f".{self._path.name}.{os.getpid()}.partial")
        digest = hashlib.sha256(payload).hexdigest().encode()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                file.write(b"%s %d %s %d\n" % (_MAGIC, VERSION, digest, len(payload)))
                file.write(payload)
                file.flush()
                os.fsync(file.fileno())
            if self._path.exists():
                self._path.replace(self._previous)
            partial.replace(self._path)
            _sync_folder(self._path.parent)
        except OSError as error:
            raise SearchError(
                f"checkpoint {str(self._path)!r} can't be written: {error.strerror or error}; the one before it is "
                "whole: free some space or mend the folder, then resume"
            ) from error
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)

    def payloads(self) -> list[bytes]:
        """The payloads that are whole, the newest first; a torn or foreign file is named in a warning and left out.

        Raises:
            SearchError: a newer release wrote the checkpoint.
        """
        found: list[bytes] = []
        for path in (self._path, self._previous):
            try:
                content = path.read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                _logger.warning("checkpoint %s can't be read (%s); an earlier one is used", path, error)
                continue
            payload = _payload(path, content)
            if payload is None:
                _logger.warning("checkpoint %s is torn or foreign; an earlier one is used, if there is one", path)
            else:
                found.append(payload)
        return found

    def delete(self) -> None:
        """Remove both files: what they held is finished."""
        for path in (self._path, self._previous):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _payload(path: Path, content: bytes) -> bytes | None:
    header, _, payload = content.partition(b"\n")
    words = header[:_HEADER_LIMIT].split(b" ")
    if len(words) != 4 or words[0] != _MAGIC or not words[1].isdigit():
        return None
    if int(words[1]) > VERSION:
        raise SearchError(
            f"checkpoint {str(path)!r} is of version {int(words[1])}: this release reads up to version {VERSION}; "
            "resume with the release that wrote it"
        )
    whole = words[3] == b"%d" % len(payload) and hashlib.sha256(payload).hexdigest().encode() == words[2]
    return payload if whole and int(words[1]) == VERSION else None


def _sync_folder(folder: Path) -> None:
    """So that the renaming, too, outlives a loss of power; not every platform opens folders."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
