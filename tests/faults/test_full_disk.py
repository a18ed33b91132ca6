"""Disks that are full, read-only or closed, and clocks that go back: nothing is lost, and one line says what to do."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from factories import make_alpha, make_individual, make_search_config_tiny, make_search_events
from journals import new_journal

from medarts_ops.errors import SearchError
from medarts_ops.journal.checkpoint import CheckpointFile
from medarts_ops.journal.folder import create_job_folder
from medarts_ops.journal.journal import JOURNAL_NAME, Journal
from medarts_ops.journal.kinds import SEARCH
from medarts_ops.journal.lock import job_lock
from medarts_ops.observers import PopulationBorn, ProcessStarted, SearchEvent, SearchStopped
from medarts_ops.search import resume_search, run_search

PAGE = 4096
MEGABYTES = 2
TINY = make_search_config_tiny()
CONFIG = TINY.model_copy(update={"stages": tuple(stage.model_copy(update={"epochs": 2}) for stage in TINY.stages)})
EVENTS = make_search_events()
BORN = PopulationBorn(stage=7, round=0, individuals=tuple(make_individual(n, alpha=make_alpha(n)) for n in range(8)))
"""An event of several pages."""


class Disk:
    """A small file system in memory, with a file that takes up what is to be taken up."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"
        self._broken = False

    def fill(self, spare_pages: int = 0) -> None:
        """Take all but some pages."""
        with self._filler.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(PAGE))
            except OSError:
                file.truncate(file.tell() // PAGE * PAGE - spare_pages * PAGE)

    def free(self) -> None:
        self._filler.unlink()

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """For whoever opens a file from now on, as a disk that breaks does not ask who has one open."""
        self.break_down()
        try:
            yield
        finally:
            self.mend()

    def break_down(self) -> None:
        """Become read-only."""
        run("mount", "--bind", str(self.folder), str(self.folder))
        run("mount", "-o", "remount,ro,bind", str(self.folder))
        self._broken = True

    def mend(self) -> None:
        """The way back from `break_down`, if there was one."""
        if self._broken:
            run("umount", str(self.folder))
        self._broken = False


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        run("mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(folder))
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a file system in memory can't be mounted here: {getattr(error, 'stderr', '') or error}")
    disk = Disk(folder)
    try:
        yield disk
    finally:
        disk.mend()
        run("umount", str(folder))


def assert_says_what_to_do(error: SearchError, reason: str = "No space left on device") -> None:
    message = str(error)
    assert reason in message and "\n" not in message
    assert "free some space or mend the folder" in message


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# The journal


@pytest.mark.parametrize(("pages", "spare_pages"), [(n, spare) for n in (1, 2, 3, 8) for spare in range(n)])
def test_a_journal_on_a_full_disk_keeps_what_it_has_and_goes_on_when_there_is_space(disk, pages, spare_pages):
    journal = new_journal(disk.folder, "disk")
    for event in EVENTS:
        journal.record(event)
    before = (disk.folder / JOURNAL_NAME).read_bytes()
    large = SearchStopped(reason="x" * pages * PAGE, interrupted=False, number=7)
    disk.fill(spare_pages)
    for _ in range(3):
        with pytest.raises(SearchError) as caught:
            journal.record(large)
        assert_says_what_to_do(caught.value)
        assert (disk.folder / JOURNAL_NAME).read_bytes() == before
    assert [event for _, event in Journal.open(disk.folder, SEARCH).events()] == list(EVENTS)
    disk.free()
    assert journal.record(large) == len(EVENTS)
    assert [event for _, event in Journal.open(disk.folder, SEARCH).events()] == [*EVENTS, large]


def test_an_event_that_fits_is_recorded_after_one_that_did_not(disk):
    journal = new_journal(disk.folder, "disk")
    disk.fill(spare_pages=2)
    with pytest.raises(SearchError):
        journal.record(BORN)
    stopped = SearchStopped(reason="no space", interrupted=False)
    assert journal.record(stopped) == 0
    assert [event for _, event in Journal.open(disk.folder, SEARCH).events()] == [stopped]


def test_a_journal_that_could_not_begin_can_begin_later(disk):
    disk.fill()
    with pytest.raises(SearchError) as caught:
        new_journal(disk.folder, "disk")
    assert_says_what_to_do(caught.value)
    disk.free()
    assert new_journal(disk.folder, "disk").record(EVENTS[0]) == 0


# Checkpoints


@pytest.mark.parametrize("spare_pages", [0, 1, 2, 10, 23])
def test_a_checkpoint_on_a_full_disk_leaves_both_as_they_were(disk, spare_pages):
    first, second, third = (random.Random(n).randbytes(24 * PAGE) for n in range(3))
    file = CheckpointFile(disk.folder / "checkpoints" / "init-00.pt")
    file.write(first)
    file.write(second)
    before = files(disk.folder / "checkpoints")
    disk.fill(spare_pages)
    with pytest.raises(SearchError) as caught:
        file.write(third)
    assert_says_what_to_do(caught.value)
    assert files(disk.folder / "checkpoints") == before
    assert [payload for _, payload in file.payloads()] == [second, first]
    disk.free()
    file.write(third)
    assert [payload for _, payload in file.payloads()] == [third, second]


def test_a_first_checkpoint_on_a_full_disk_leaves_nothing(disk):
    disk.fill()
    file = CheckpointFile(disk.folder / "checkpoints" / "init-00.pt")
    with pytest.raises(SearchError) as caught:
        file.write(bytes(PAGE))
    assert_says_what_to_do(caught.value)
    assert files(disk.folder).keys() == {"filler"}
    assert list(file.payloads()) == []


# The lock


def test_a_lock_on_a_full_disk_says_so_and_is_free_again(disk):
    disk.fill()
    for _ in range(2):
        with pytest.raises(SearchError) as caught, job_lock(disk.folder):
            pass
        assert_says_what_to_do(caught.value)
    disk.free()
    with job_lock(disk.folder):
        pass


# Searches


class At:
    """Does something when it is told of an event."""

    def __init__(self, key: str, what: Any) -> None:
        self.key, self.what, self.done = key, what, False

    def notify(self, event: SearchEvent) -> None:
        if event.key == self.key and not self.done:
            self.done = True
            self.what()


def told(value: Any) -> Any:
    """A result without what was measured in seconds."""
    if isinstance(value, dict):
        timed = ("seconds", "images_per_second", "search_id")
        return {key: told(each) for key, each in value.items() if key not in timed}
    return [told(each) for each in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[str]]:
    """What an undisturbed search finds, and the keys of its events."""
    folder = tmp_path_factory.mktemp("whole")
    result = run_search(CONFIG, folder)
    return told(result.model_dump(mode="json")), keys_of(folder)


def search_folder(disk: Disk) -> Path:
    folder = disk.folder / "search"
    folder.mkdir()
    return folder


def checkpoints_of(folder: Path) -> dict[str, list[bytes]]:
    """By individual, the checkpoints that can be used."""
    paths = {path.with_name(path.name.removesuffix(".previous")) for path in (folder / "checkpoints").glob("*.pt*")}
    return {path.name: [payload for _, payload in CheckpointFile(path).payloads()] for path in sorted(paths)}


def keys_of(folder: Path) -> list[str]:
    """The keys of a search's events, but for those that each process on it leaves."""
    told_anyhow = (SearchStopped, ProcessStarted)
    return [event.key for _, event in Journal.open(folder, SEARCH).events() if not isinstance(event, told_anyhow)]


MOMENTS: Sequence[tuple[str, int]] = [
    ("search_started", 0),
    ("search_started", 1),
    ("stage_started/0", 0),
    ("stage_started/0", 2),
    ("population_born/0/0", 0),
    ("population_born/0/0", 5),
    ("epoch_finished/init-00/0", 0),
    ("epoch_finished/init-00/0", 3),
    ("epoch_finished/init-00/1", 10),
    ("individual_finished/init-00", 0),
    ("individual_finished/init-00", 25),
    ("epoch_finished/init-02/1", 1),
    ("stage_finished/0", 0),
    ("stage_started/1", 0),
    ("epoch_finished/mid-02/0", 20),
    ("stage_finished/1", 1),
    ("stage_finished/2", 0),
]


@pytest.mark.parametrize(("key", "spare_pages"), MOMENTS)
def test_a_search_whose_disk_fills_up_is_resumed_to_the_same_result(disk, whole, key, spare_pages):
    expected, keys = whole
    assert key in keys
    folder = search_folder(disk)
    with pytest.raises(SearchError) as caught:
        run_search(CONFIG, folder, observers=[At(key, lambda: disk.fill(spare_pages))])
    assert_says_what_to_do(caught.value)
    held, checkpoints = keys_of(folder), checkpoints_of(folder)
    assert held == keys[: len(held)] and key in held
    assert all(payloads for payloads in checkpoints.values())
    disk.fill()
    with pytest.raises(SearchError) as caught:  # and again while it is full
        resume_search(folder)
    assert_says_what_to_do(caught.value)
    assert keys_of(folder) == held and checkpoints_of(folder) == checkpoints
    disk.free()
    assert told(resume_search(folder).model_dump(mode="json")) == expected
    assert keys_of(folder) == keys


def test_a_search_that_could_not_begin_begins_in_the_same_folder_later(disk, whole):
    folder = search_folder(disk)
    disk.fill()
    with pytest.raises(SearchError) as caught:
        run_search(CONFIG, folder)
    assert_says_what_to_do(caught.value)
    disk.free()
    assert told(run_search(CONFIG, folder).model_dump(mode="json")) == whole[0]


@pytest.mark.parametrize("room_for_journal", [True, False])
def test_a_disk_that_only_just_suffices_suffices(disk, whole, room_for_journal):
    """Filled up and freed by a little, again and again, until the search is through."""
    folder = search_folder(disk)
    disk.fill(2)
    attempts = 0
    spare = 2
    while True:
        attempts += 1
        try:
            result = resume_search(folder) if (folder / JOURNAL_NAME).exists() else run_search(CONFIG, folder)
            break
        except SearchError as error:
            if "never began" in str(error):
                (folder / JOURNAL_NAME).unlink()
            else:
                assert_says_what_to_do(error)
            spare += 4 if room_for_journal else 9
            disk.free()
            disk.fill(spare)
    assert attempts > 5
    assert told(result.model_dump(mode="json")) == whole[0]


# Read-only and closed


@pytest.mark.parametrize(
    "key", ["search_started", "population_born/0/0", "epoch_finished/init-01/0", "stage_finished/1"]
)
def test_a_search_whose_disk_becomes_read_only_is_resumed_when_it_is_mended(disk, whole, key):
    folder = search_folder(disk)
    with pytest.raises(SearchError) as caught:
        run_search(CONFIG, folder, observers=[At(key, disk.break_down)])
    assert_says_what_to_do(caught.value, "Read-only file system")
    before = files(folder)
    with pytest.raises(SearchError) as caught:
        resume_search(folder)
    assert_says_what_to_do(caught.value, "Read-only file system")
    assert files(folder) == before
    disk.mend()
    assert told(resume_search(folder).model_dump(mode="json")) == whole[0]


def test_read_only_from_the_start_nothing_is_begun(disk):
    folder = search_folder(disk)
    with disk.read_only():
        with pytest.raises(SearchError) as caught:
            run_search(CONFIG, folder)
        assert_says_what_to_do(caught.value, "Read-only file system")
        with pytest.raises(
            SearchError, match="can't be used: Read-only file system; name a folder that can be written"
        ):
            create_job_folder(disk.folder / "work", "mine")
        with pytest.raises(SearchError) as caught:
            CheckpointFile(folder / "init-00.pt").write(b"payload")
        assert_says_what_to_do(caught.value, "Read-only file system")
        assert list(folder.iterdir()) == []


@pytest.mark.parametrize("key", ["search_started", "epoch_finished/init-01/0"])
def test_a_search_that_may_not_write_any_more_is_resumed_when_it_may(tmp_path, whole, key):
    tmp_path.chmod(0o555)
    if os.access(tmp_path, os.W_OK):
        pytest.skip("permissions do not bind this user (root): run as another one")
    tmp_path.chmod(0o755)
    closed: list[Path] = []

    def close() -> None:
        paths = [tmp_path, *tmp_path.rglob("*")]
        closed.extend(path for path in reversed(paths) if not path.is_symlink())
        for path in closed:
            path.chmod(0o555 if path.is_dir() else 0o444)

    try:
        with pytest.raises(SearchError) as caught:
            run_search(CONFIG, tmp_path, observers=[At(key, close)])
        assert_says_what_to_do(caught.value, "Permission denied")
        with pytest.raises(SearchError) as caught:
            resume_search(tmp_path)
        assert_says_what_to_do(caught.value, "Permission denied")
    finally:
        for path in reversed(closed):
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert told(resume_search(tmp_path).model_dump(mode="json")) == whole[0]


# Clocks


def move_clock(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """The wall clock of this process jumps, as it does when a machine is told the right time."""
    now, now_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: now() + seconds)
    monkeypatch.setattr(time, "time_ns", lambda: now_ns() + seconds * 10**9)


DAY = 24 * 60 * 60


@pytest.mark.parametrize("days", [-1, 1, -20_000])
@pytest.mark.parametrize("key", ["epoch_finished/init-01/0", "stage_finished/0"])
def test_a_clock_that_jumps_in_the_middle_changes_nothing(tmp_path, whole, monkeypatch, key, days):
    before = time.time()
    result = run_search(CONFIG, tmp_path, observers=[At(key, lambda: move_clock(monkeypatch, days * DAY))])
    assert abs(time.time() - before - days * DAY) < 600
    assert told(result.model_dump(mode="json")) == whole[0]
    assert keys_of(tmp_path) == whole[1]
    assert all(0 <= stage.seconds < 600 for stage in result.stages)


@pytest.mark.parametrize("days", [-1, 365, -20_000])
def test_files_of_another_time_are_resumed_to_the_same_result(tmp_path, whole, monkeypatch, days):
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_search(CONFIG, tmp_path, observers=[At("epoch_finished/init-01/1", stop)])
    # The newest is the oldest by its date.
    for age, path in enumerate(sorted(tmp_path.rglob("*"))):
        moment = max(0, time.time() + days * DAY - age * 3600)
        os.utime(path, (moment, moment))
    move_clock(monkeypatch, -DAY)
    with pytest.raises(SearchError, match="is at work"), job_lock(tmp_path):
        resume_search(tmp_path)
    assert told(resume_search(tmp_path).model_dump(mode="json")) == whole[0]
    assert keys_of(tmp_path) == whole[1]
