"""The append-only file of a job's events: the truth that resuming, MLflow and Optuna are fed from."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from io import FileIO
from itertools import pairwise
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from pydantic import ValidationError

from medarts_ops.errors import MedartsError, SearchError, os_errors_as
from medarts_ops.journal.kinds import KINDS, SEARCH, JobKind, Started
from medarts_ops.journal.lines import is_json, sealed, unsealed, whole_lines
from medarts_ops.observers import Event, JobEvent, ProcessStarted
from medarts_ops.value import Value
from medarts_ops.whole_file import whole_file

JOURNAL_NAME = "journal.jsonl"
VERSION = 3
WITHOUT_DIGESTS = (1, 2)  # the versions of earlier releases
MAX_BYTES = 2**30  # a journal is read whole; an individual of 50 epochs takes about a third of a megabyte of it
Found = TypeVar("Found", bound=JobEvent)


class _SearchHeader(Value):
    """The header of the releases that knew searches alone."""

    format: Literal["medarts-journal"]
    version: Literal[1]
    search_id: str


class _Header(Value):
    format: Literal["medarts-journal"] = "medarts-journal"
    version: Literal[2, 3] = 3
    kind: str
    name: str


class _Entry(Value):
    """`at` is when it was recorded, in milliseconds since 1970; None in journals of earlier releases."""

    n: int
    key: str
    event: Any
    at: int | None = None


class Journal(Generic[Event, Started]):
    """One job's events, numbered from 0, each key once.

    `journal.jsonl` holds a header line and then a JSON line per event, each on disk (fsync) before `record` returns,
    and each with a digest of all so far: what comes back is what went in, α bit for bit, infinite crowding distances
    too, or an error. Only one process writes, and it notices when another one did. In memory alone until `keep_in`.

    A journal of an earlier release has no digests. It is read as it is, and written anew with them before the next
    event is: there is one form to write, and that release refuses it as of a newer version.
    """

    def __init__(
        self, kind: JobKind[Event, Started], name: str, events: Sequence[Event] = (), times: Sequence[int | None] = ()
    ) -> None:
        self.kind, self.name = kind, name
        self._events = list(events)
        self._times = list(times) or [None] * len(events)
        self._numbers = {event.key: n for n, event in enumerate(events)}
        self._path: Path | None = None
        self._digest: str | None = None  # the last line's; None while the file has none, or there is no file
        self._end = self._size = 0  # where the next line goes; of the file: beyond `_end` if its last line is torn

    def keep_in(self, folder: Path) -> None:
        """Write what is known so far, whole or not at all, and from now on whatever is recorded.

        A SearchError if the folder has a journal already, or can't be written.
        """
        path = folder / JOURNAL_NAME
        if path.exists():
            raise SearchError(f"{str(path)!r} exists: {self.kind.with_article} keeps one journal; resume it instead")
        self._write_whole(path)

    @classmethod
    def open(cls, folder: Path, kind: JobKind[Event, Started]) -> Journal[Event, Started]:
        """Read the journal of an earlier job. A torn last line, left by a crash, is dropped.

        A line that has its line end was written whole: where its digest is wrong, it was changed later.

        Raises:
            SearchError: there is no journal, it is another program's, a newer version's or of another kind, it has
                more than `MAX_BYTES`, or a line is corrupt; without digests, one before the last.
        """
        path = folder / JOURNAL_NAME
        with os_errors_as(SearchError, f"journal {str(path)!r} can't be read", "check the path and the disk"):
            content = _read(path)
        lines = whole_lines(content)
        version, name = _read_header(path, lines, kind.name)
        digest: str | None = None
        if version in WITHOUT_DIGESTS:
            lines = lines if is_json(lines[-1]) else lines[:-1]
            told = lines
        else:
            told, digest = _unsealed(path, lines)
        read = [_read_event(path, n, line, kind) for n, line in enumerate(told[1:])]
        journal = cls(kind, name, [event for event, _ in read], [at for _, at in read])
        journal._path, journal._digest = path, digest
        journal._end, journal._size = sum(map(len, lines)), len(content)
        return journal

    @property
    def started(self) -> Started:
        """How the job began; a SearchError if the journal ends before that, or lies in another job's folder."""
        kind, folder = self.kind.name, None if self._path is None else self._path.parent
        if folder is not None and folder.name != self.name:
            raise SearchError(f"{str(folder)!r} is the folder of {kind} {self.name!r}: give it that name again")
        started = self.find(self.kind.started)
        if started is None:
            raise SearchError(f"{kind} {self.name!r} never began: start it anew under another name")
        return started

    def record(self, event: Event) -> int:
        """Append an event, once (resume repeats them); returns its number. SearchError if it can't be written."""
        if event.key in self._numbers:
            return self._numbers[event.key]
        n, at = len(self._events), time.time_ns() // 1_000_000
        if self._path is not None:
            self._append(self._path, _Entry(n=n, key=event.key, event=event, at=at))
        self._events.append(event)
        self._times.append(at)
        self._numbers[event.key] = n
        return n

    def moment_of(self, event: Event) -> int | None:
        """When an event was recorded, in milliseconds since 1970; None where an earlier release did not keep it."""
        n = self._numbers.get(event.key)
        return None if n is None else self._times[n]

    @property
    def seconds_at_work(self) -> float:
        """What processes spent on the job so far: each from its start to the last event; 0 where no times were kept."""
        moments = [(at, event) for at, (_, event) in zip(self._times, self.events(), strict=True) if at is not None]
        gaps = ((later - at, event) for (at, _), (later, event) in pairwise(moments))
        return sum(max(0, gap) for gap, event in gaps if not isinstance(event, ProcessStarted)) / 1000

    def events(self) -> tuple[tuple[int, Event], ...]:
        return tuple(enumerate(self._events))

    def find(self, kind: type[Found], *place: object) -> Found | None:
        """The event of that kind at that place in the job, if it happened."""
        n = self._numbers.get(kind.key_at(*place))
        found = None if n is None else self._events[n]
        return found if isinstance(found, kind) else None

    def _write_whole(self, path: Path) -> None:
        lines, digest = [], ""
        entries = [_Entry(n=n, key=event.key, event=event, at=self._times[n]) for n, event in self.events()]
        for value in (_Header(kind=self.kind.name, name=self.name), *entries):
            line, digest = sealed(value, digest)
            lines.append(line)
        with _writing(path), whole_file(path) as file:
            file.writelines(lines)
        self._path, self._digest = path, digest
        self._end = self._size = sum(map(len, lines))

    def _append(self, path: Path, entry: _Entry) -> None:
        if self._digest is None:
            with _writing(path):
                self._check_size(path, path.stat().st_size)
            self._write_whole(path)
        line, digest = sealed(entry, self._digest or "")
        with _writing(path), path.open("r+b", buffering=0) as file:
            self._check_size(path, os.fstat(file.fileno()).st_size)
            try:
                file.truncate(self._end)
                file.seek(self._end)
                _write_through(file, line)
            except BaseException:
                # A full disk or an interrupt may leave half a line, which must not count as another's writing.
                with suppress(OSError):
                    os.truncate(path, self._end)
                self._size = self._end
                raise
        self._end += len(line)
        self._size, self._digest = self._end, digest

    def _check_size(self, path: Path, size: int) -> None:
        if size != self._size:
            raise SearchError(
                f"{str(path)!r} has {size} bytes where this process left {self._size}: another process "
                f"writes this {self.kind.name}; end one of the two, then resume"
            )


def kind_of_journal(folder: Path) -> str | None:
    """The kind of a folder's journal, if any.

    Where the header can't be read, of which opening says more, the files beside it tell; or else it is a search's.
    """
    try:
        with (folder / JOURNAL_NAME).open("rb") as file:
            header = json.loads(file.readline(10_000))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError):
        return next((kind.name for kind in KINDS.values() if kind.has_earlier_file(folder)), SEARCH.name)
    kind = header.get("kind") if isinstance(header, dict) else None
    return kind if isinstance(kind, str) and kind in KINDS else SEARCH.name


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
                f"journal {str(path)!r} has {size} bytes: allowed are up to {MAX_BYTES}, and no job writes as many; "
                "restore the file from a copy"
            )
        return file.read(size)


def _read_header(path: Path, lines: list[bytes], kind: str) -> tuple[int, str]:
    """The version of the journal and the name of the job."""
    if not lines:
        raise SearchError(f"{str(path)!r} has no header: its {kind} never began; start it anew under another name")
    header = json.loads(lines[0]) if is_json(lines[0]) else None
    if not isinstance(header, dict) or header.get("format") != "medarts-journal":
        raise SearchError(f"{str(path)!r} is no journal of {KINDS[kind].with_article}; check the path")
    version = header.get("version")
    if version not in (*WITHOUT_DIGESTS, VERSION):
        raise SearchError(
            f"{str(path)!r} is of version {version!r:.40}: this release reads versions 1 to {VERSION}; "
            "resume with the release that wrote it"
        )
    try:
        if version == 1:
            read = _Header(kind=SEARCH.name, name=_SearchHeader.model_validate(header).search_id)
        else:
            read = _Header.model_validate_json(lines[0] if version == 2 else _unsealed(path, lines[:1])[0][0])
    except ValidationError as error:
        raise _corrupt(path, 1, _named(error)) from error
    if read.kind != kind:
        raise SearchError(
            f"{str(path)!r} is of a job of kind {read.kind!r:.40}: expected is {KINDS[kind].with_article}"
        )
    return int(version), read.name


def _unsealed(path: Path, lines: list[bytes]) -> tuple[list[bytes], str]:
    """The lines without their digests, and the last of these."""
    found, digest = [], ""
    for number, line in enumerate(lines, start=1):
        opened = unsealed(line, digest)
        if opened is None:
            raise _corrupt(path, number, "its digest is wrong: it was changed, or lines were moved, doubled or removed")
        found.append(opened[0])
        digest = opened[1]
    return found, digest


def _read_event(path: Path, n: int, line: bytes, kind: JobKind[Event, Started]) -> tuple[Event, int | None]:
    number = n + 2  # line 1 is the header
    try:
        entry = _Entry.model_validate_json(line)
        event = kind.events.validate_python(entry.event)
    except (ValidationError, MedartsError) as error:
        raise _corrupt(path, number, _named(error)) from error
    if entry.n != n or entry.key != event.key:
        raise SearchError(
            f"{str(path)!r} line {number} is corrupt: got event {entry.n!r:.40} ({entry.key!r:.100}), expected event "
            f"{n}; restore the file from a copy"
        )
    return event, entry.at


def _named(error: ValidationError | MedartsError) -> str:
    if isinstance(error, MedartsError):
        return str(error)
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'JSON'}: {first['msg']}"


def _corrupt(path: Path, number: int, reason: str) -> SearchError:
    cut = ", or cut it before that line to repeat what follows" if number > 1 else ""
    return SearchError(
        f"{str(path)!r} line {number} is corrupt ({' '.join(reason.split())[:200]}); restore the file from a copy{cut}"
    )


def _writing(path: Path) -> AbstractContextManager[None]:
    remedy = "what it holds is whole: free some space or mend the folder, then resume"
    return os_errors_as(SearchError, f"journal {str(path)!r} can't be written", remedy)
