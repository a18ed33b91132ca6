"""The append-only file of a search's events: the truth that resuming, MLflow and Optuna are fed from."""

from __future__ import annotations

import contextlib
import json
import os
from io import FileIO
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from medarts_ops.errors import MedartsError, SearchError
from medarts_ops.observers import SearchEvent, SearchStarted
from medarts_ops.value import Value

JOURNAL_NAME = "journal.jsonl"
VERSION = 1
MAX_BYTES = 2**30
"""A journal is read whole; an individual of 50 epochs takes about a third of a megabyte of it."""


class _Header(Value):
    format: Literal["medarts-journal"] = "medarts-journal"
    version: Literal[1] = 1
    search_id: str


class _Entry(Value):
    n: int
    key: str
    event: SearchEvent


class Journal:
    """One search's events, numbered from 0, each key once.

    `journal.jsonl` holds a header line and then a JSON line per event, each on disk (fsync) before `record` returns.
    Events come back exactly as they went in: α bit for bit, infinite crowding distances too. Made by `create` or
    `open`; only one process writes, and it notices when another one did.
    """

    def __init__(self, path: Path, search_id: str, events: tuple[SearchEvent, ...], end: int, size: int) -> None:
        self._path = path
        self._search_id = search_id
        self._events = list(events)
        self._numbers = {event.key: n for n, event in enumerate(events)}
        self._end = end  # where the next line goes
        self._size = size  # of the file: beyond `_end` if its last line is torn

    @classmethod
    def create(cls, folder: Path, search_id: str) -> Journal:
        """Start the journal of a new search in its folder.

        Raises:
            SearchError: the folder has a journal already, or can't be written.
        """
        path = folder / JOURNAL_NAME
        line = _line(_Header(search_id=search_id))
        try:
            with path.open("xb", buffering=0) as file:
                _write_through(file, line)
        except FileExistsError as error:
            raise SearchError(f"{str(path)!r} exists: a search keeps one journal; resume it instead") from error
        except OSError as error:
            with contextlib.suppress(OSError):
                path.unlink()  # half a header is no journal, and would keep the next one out
            raise _failed(path, "written", error) from error
        return cls(path, search_id, (), len(line), len(line))

    @classmethod
    def open(cls, folder: Path) -> Journal:
        """Read the journal of an earlier search. A torn last line, left by a crash, is dropped.

        Raises:
            SearchError: there is no journal, it is another program's or a newer version's, it has more than
                `MAX_BYTES`, or a line before the last is corrupt.
        """
        path = folder / JOURNAL_NAME
        try:
            content = _read(path)
        except OSError as error:
            raise _failed(path, "read", error) from error
        lines = _whole_lines(content)
        search_id = _read_header(path, lines)
        events = tuple(_read_event(path, n, line) for n, line in enumerate(lines[1:]))
        return cls(path, search_id, events, sum(map(len, lines)), len(content))

    @property
    def search_id(self) -> str:
        """The search whose events these are."""
        return self._search_id

    @property
    def started(self) -> SearchStarted:
        """How the search began.

        Raises:
            SearchError: the journal ends before that, or lies in another search's folder.
        """
        folder = self._path.parent
        if self._search_id != folder.name:
            raise SearchError(f"{str(folder)!r} is the folder of search {self._search_id!r}: give it that name again")
        started = self.find("search_started")
        if not isinstance(started, SearchStarted):
            raise SearchError(f"search {folder.name!r} never began: start it anew under another name")
        return started

    def record(self, event: SearchEvent) -> int:
        """Append an event and return its number; one whose key is held is not written again (resume repeats them).

        Raises:
            SearchError: the file can't be written, or another process wrote to it.
        """
        if event.key in self._numbers:
            return self._numbers[event.key]
        n = len(self._events)
        line = _line(_Entry(n=n, key=event.key, event=event))
        self._append(line)
        self._end += len(line)
        self._size = self._end
        self._events.append(event)
        self._numbers[event.key] = n
        return n

    def events(self) -> tuple[tuple[int, SearchEvent], ...]:
        """All events with their numbers, in order."""
        return tuple(enumerate(self._events))

    def find(self, key: str) -> SearchEvent | None:
        """The event of that key, if it happened."""
        n = self._numbers.get(key)
        return None if n is None else self._events[n]

    def _append(self, line: bytes) -> None:
        try:
            with self._path.open("r+b", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                if size != self._size:
                    raise SearchError(
                        f"{str(self._path)!r} has {size} bytes where this process left {self._size}: another process "
                        "writes this search; end one of the two, then resume"
                    )
                try:
                    file.truncate(self._end)
                    file.seek(self._end)
                    _write_through(file, line)
                except BaseException:
                    # A full disk or an interrupt may leave half a line, which must not count as another's writing.
                    with contextlib.suppress(OSError):
                        os.truncate(self._path, self._end)
                    self._size = self._end
                    raise
        except OSError as error:
            raise _failed(self._path, "written", error) from error


class JournalObserver:
    """Records every event of a search in its journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def notify(self, event: SearchEvent) -> None:
        """Record the event, once."""
        self._journal.record(event)


def _line(value: Value) -> bytes:
    return value.model_dump_json().encode() + b"\n"


def _write_through(file: FileIO, line: bytes) -> None:
    """Unbuffered: on a full disk a buffer would keep the rest of the line and write it when the file is closed."""
    rest = memoryview(line)
    while rest:
        rest = rest[file.write(rest) :]
    os.fsync(file.fileno())


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_BYTES:
            raise SearchError(
                f"journal {str(path)!r} has {size} bytes: allowed are up to {MAX_BYTES}, and no search writes as many; "
                "restore the file from a copy"
            )
        return file.read(size)


def _whole_lines(content: bytes) -> list[bytes]:
    """Lines with their line ends, without a torn last one: one without line end, or one that is no JSON."""
    *whole, _ = content.split(b"\n")
    if whole and not _is_json(whole[-1]):
        whole.pop()
    return [line + b"\n" for line in whole]


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _read_header(path: Path, lines: list[bytes]) -> str:
    if not lines:
        raise SearchError(f"{str(path)!r} has no header: its search never began; start it anew under another name")
    header = json.loads(lines[0]) if _is_json(lines[0]) else None
    if not isinstance(header, dict) or header.get("format") != "medarts-journal":
        raise SearchError(f"{str(path)!r} is no journal of a search; check the path")
    if header.get("version") != VERSION:
        raise SearchError(
            f"{str(path)!r} is of version {header.get('version')!r:.40}: this release reads version {VERSION}; "
            "resume with the release that wrote it"
        )
    try:
        return _Header.model_validate(header).search_id
    except ValidationError as error:
        raise _corrupt(path, 1, error) from error


def _read_event(path: Path, n: int, line: bytes) -> SearchEvent:
    number = n + 2  # line 1 is the header
    try:
        entry = _Entry.model_validate_json(line)
    except (ValidationError, MedartsError) as error:
        raise _corrupt(path, number, error) from error
    if entry.n != n or entry.key != entry.event.key:
        raise SearchError(
            f"{str(path)!r} line {number} is corrupt: got event {entry.n!r:.40} ({entry.key!r:.100}), expected event "
            f"{n}; restore the file from a copy"
        )
    return entry.event


def _corrupt(path: Path, number: int, error: ValidationError | MedartsError) -> SearchError:
    reason = str(error)
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        reason = f"{'.'.join(map(str, first['loc'])) or 'JSON'}: {first['msg']}"
    return SearchError(
        f"{str(path)!r} line {number} is corrupt ({' '.join(reason.split())[:200]}); restore the file from a copy, "
        "or cut it before that line to repeat what follows"
    )


def _failed(path: Path, verb: Literal["read", "written"], error: OSError) -> SearchError:
    remedy = {
        "read": "check the path and the disk",
        "written": "what it holds is whole: free some space or mend the folder, then resume",
    }[verb]
    return SearchError(f"journal {str(path)!r} can't be {verb}: {error.strerror or error}; {remedy}")
