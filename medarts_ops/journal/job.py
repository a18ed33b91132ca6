"""One job, of whatever kind, in this process: its folder, its journal, its lock and who is told of it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Generic, Self

from medarts_ops.errors import DataError, MedartsError, SearchError, TrainingDiverged
from medarts_ops.journal.folder import create_job_folder, using_work_dir
from medarts_ops.journal.journal import JOURNAL_NAME, Journal, kind_of_journal
from medarts_ops.journal.kinds import KINDS, JobKind, Started
from medarts_ops.journal.lock import job_lock
from medarts_ops.observers import (
    DatasetSummary,
    Event,
    FanOut,
    Observer,
    ProcessStarted,
    SearchEvent,
    SearchFinished,
    SearchStarted,
)
from medarts_ops.whole_file import remove_partial_files

_logger = logging.getLogger(__name__)


class Job(Generic[Event, Started]):
    """A job at work: what happens goes into its journal, then to its observers; without a `folder` it keeps nothing."""

    def __init__(
        self, journal: Journal[Event, Started], folder: Path | None, observers: Sequence[Observer[Event]]
    ) -> None:
        self.journal, self.folder, self._observers = journal, folder, FanOut(observers)
        self._is_at_work = False

    def begin(self, started: Event) -> None:
        """Tell how it begins, and who worked on it: as the journal has it where it went on from one."""
        if self.journal.find(self.journal.kind.started) is None:
            self.journal.record(started)
            if self.folder is not None:
                self.journal.keep_in(self.folder)
        self._is_at_work = True
        self._tell(self.journal.started)
        for _, event in self.journal.events():
            if isinstance(event, ProcessStarted):
                self._tell(event)

    def notify(self, event: Event) -> None:
        """Record an event, once, and tell it."""
        self.journal.record(event)
        self._tell(event)

    def _tell(self, event: Any) -> None:
        self._observers.notify(event.seen_from(self.folder))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Tell that it ended early, if it had begun; that a full disk, say, keeps this out hides nothing else.

        A finished one, whose end was still being told, stays finished in its journal.
        """
        if error is None or not self._is_at_work:
            return
        interrupted = isinstance(error, KeyboardInterrupt | SystemExit)
        reason = str(error) or ("interrupted" if interrupted else type(error).__name__)  # Ctrl-C has no message
        cause = "diverged" if isinstance(error, TrainingDiverged) else None
        states = [event.job_state for _, event in self.journal.events()]
        number = states.count("stopped")
        stop = self.journal.kind.stopped(reason=reason, interrupted=interrupted, number=number, cause=cause)
        try:
            if "finished" not in states:
                self.journal.record(stop)
            self._tell(stop)
        except MedartsError as second:
            _logger.warning("that the %s stopped could not be told: %s", self.journal.kind.name, second)


@contextmanager
def new_job(
    kind: JobKind[Event, Started], folder: Path | None, observers: Sequence[Observer[Event]]
) -> Iterator[Job[Event, Started]]:
    """A job that is to begin in `folder`, this process's alone meanwhile; SearchError if that is not possible.

    The folder is made where it is missing.
    """
    if folder is not None:
        with using_work_dir(folder.parent):
            folder.mkdir(parents=True, exist_ok=True)
    with nullcontext() if folder is None else job_lock(folder):
        held = None if folder is None else kind_in(folder)
        if held is not None:
            raise SearchError(f"{str(folder)!r} holds {KINDS[held].with_article} already; resume it instead")
        if folder is not None:
            remove_partial_files(folder)  # of a process that was killed before its job began here
        with Job(Journal(kind, "" if folder is None else folder.name), folder, observers) as job:
            yield job


@contextmanager
def resumed_job(
    kind: JobKind[Event, Started], folder: Path, observers: Sequence[Observer[Event]]
) -> Iterator[Job[Event, Started]]:
    """The job that began in `folder`, this process's alone meanwhile; SearchError if there is none to be read."""
    with job_lock(folder):
        journal = read_journal(folder, kind)
        remove_partial_files(folder)
        if not (folder / JOURNAL_NAME).exists():
            journal.keep_in(folder)
        with Job(journal, folder, observers) as job:
            yield job


@contextmanager
def new_folder(work_dir: Path, name: str) -> Iterator[Path]:
    """The folder that `create_job_folder` makes; gone again if the block fails before a job began in it."""
    folder = create_job_folder(work_dir, name)
    try:
        yield folder
    except BaseException:
        if kind_in(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def kind_in(folder: Path) -> str | None:
    earlier = (kind.name for kind in KINDS.values() if kind.has_earlier_file(folder))
    return kind_of_journal(folder) or next(earlier, None)


def read_journal(folder: Path, kind: JobKind[Event, Started]) -> Journal[Event, Started]:
    """What a folder says of its job; of a release that kept no journal, it is in memory. Raises as `Journal.open`."""
    if kind.earlier_file is None or (folder / JOURNAL_NAME).exists():
        return Journal.open(folder, kind)
    return Journal(kind, folder.name, kind.earlier_events(folder))


def is_unfinished(folder: Path) -> bool:
    """Whether a folder holds a job that can be resumed; one that can't be read is: resuming says what is wrong."""
    try:
        return kind_in(folder) is not None and not is_finished(folder)
    except MedartsError:
        return True


def is_finished(folder: Path) -> bool:
    """Whether a folder holds a job that came to its end. Raises as `Journal.open`."""
    held = kind_in(folder)
    events = [] if held is None else read_journal(folder, KINDS[held]).events()
    return any(event.job_state == "finished" for _, event in events)


def check_search_goes_on(journal: Journal[SearchEvent, SearchStarted]) -> None:
    """Refuse, by a SearchError, to go on with a search that is finished."""
    if journal.find(SearchFinished) is not None:
        remedy = f"see `medarts show`, and if a store lacks its end, `medarts sync {journal.name}` tells it"
        raise SearchError(f"search {journal.name!r} is finished: there is nothing to resume; {remedy}")


def tell_again(journal: Journal[Event, Started], folder: Path, observers: Sequence[Observer[Event]]) -> None:
    """Tell all that a journal holds, but for stops that the job went on after; observers bear what they know."""
    *earlier, last = [event for _, event in journal.events()]
    for event in (*(each for each in earlier if each.job_state != "stopped"), last):
        FanOut(observers).notify(event.seen_from(folder))


def check_images(job: str, began_with: DatasetSummary, found: DatasetSummary) -> None:
    """Refuse, by a DataError, to go on with other images; `job` is such as `search 'mine'`."""
    if found.fingerprint != began_with.fingerprint:
        raise DataError(
            f"{job} began with other images: dataset {began_with.name!r} had fingerprint {began_with.fingerprint} and "
            f"has {found.fingerprint}; restore them, or start a new {job.partition(' ')[0]}"
        )
