"""One machine for jobs: a third kind is its events and what it does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pytest
from factories import make_dataset_summary
from pydantic import Field, TypeAdapter

from medarts_ops.errors import DataError, SearchError, TrainingDiverged
from medarts_ops.journal.evaluation_folder import STARTED
from medarts_ops.journal.job import (
    check_images,
    is_finished,
    is_unfinished,
    kind_in,
    new_folder,
    new_job,
    read_journal,
    resumed_job,
    tell_again,
)
from medarts_ops.journal.journal import JOURNAL_NAME, Journal
from medarts_ops.journal.kinds import KINDS, SEARCH, JobKind
from medarts_ops.journal.lock import job_lock
from medarts_ops.observers import JobEvent, JobStopped


class CountingStarted(JobEvent):
    kind: Literal["counting_started"] = "counting_started"
    up_to: int


class Counted(JobEvent):
    place = ("number",)
    kind: Literal["counted"] = "counted"
    number: int


class CountingFinished(JobEvent):
    job_state = "finished"
    kind: Literal["counting_finished"] = "counting_finished"


class CountingStopped(JobStopped):
    kind: Literal["counting_stopped"] = "counting_stopped"


CountingEvent = Annotated[CountingStarted | Counted | CountingFinished | CountingStopped, Field(discriminator="kind")]
COUNTING: JobKind[CountingEvent, CountingStarted] = JobKind(
    "counting", "a counting", TypeAdapter(CountingEvent), CountingStarted, CountingStopped
)


class Listener:
    """Remembers keys; raises at one of them."""

    def __init__(self, stop_at: str = "") -> None:
        self.keys: list[str] = []
        self.stop_at = stop_at

    def notify(self, event: JobEvent) -> None:
        self.keys.append(event.key)
        if event.key == self.stop_at:
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def known_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "counting", COUNTING)


def count(folder: Path | None, *observers: Listener) -> None:
    with new_job(COUNTING, folder, observers) as job:
        job.begin(CountingStarted(up_to=3))
        for number in range(3):
            job.notify(Counted(number=number))
        job.notify(CountingFinished())


def count_on(folder: Path, *observers: Listener) -> None:
    with resumed_job(COUNTING, folder, observers) as job:
        started = job.journal.started
        job.begin(started)
        for number in range(started.up_to):
            job.notify(Counted(number=number))
        job.notify(CountingFinished())


KEYS = ["counting_started", "counted/0", "counted/1", "counted/2", "counting_finished"]


def stopped(folder: Path, at: str) -> Listener:
    listener = Listener(at)
    with pytest.raises(KeyboardInterrupt):
        count(folder, listener)
    return listener


def test_a_job_without_a_folder_is_told_and_leaves_nothing() -> None:
    listener = Listener()
    count(None, listener)
    assert listener.keys == KEYS


def test_a_stopped_job_goes_on_and_tells_all_again(tmp_path: Path) -> None:
    assert stopped(tmp_path, "counted/1").keys == [*KEYS[:3], "counting_stopped"]
    assert kind_in(tmp_path) == "counting" and is_unfinished(tmp_path)
    listener = Listener()
    count_on(tmp_path, listener)
    assert listener.keys == KEYS and not is_unfinished(tmp_path)
    held = [event.key for _, event in Journal.open(tmp_path, COUNTING).events()]
    assert held == [*KEYS[:3], "counting_stopped", *KEYS[3:]]


def test_what_ends_a_job_while_its_end_is_told_leaves_it_finished(tmp_path: Path) -> None:
    assert stopped(tmp_path, "counting_finished").keys == [*KEYS, "counting_stopped"]  # who lacks its end may know that
    assert [event.key for _, event in Journal.open(tmp_path, COUNTING).events()] == KEYS
    assert is_finished(tmp_path) and not is_unfinished(tmp_path)


def test_what_is_told_again_leaves_out_the_stops_that_the_job_went_on_after(tmp_path: Path) -> None:
    stopped(tmp_path, "counted/1")
    listener = Listener()
    tell_again(read_journal(tmp_path, COUNTING), tmp_path, [listener])
    assert listener.keys == [*KEYS[:3], "counting_stopped"]
    count_on(tmp_path)
    again = Listener()
    tell_again(read_journal(tmp_path, COUNTING), tmp_path, [again])
    assert again.keys == KEYS


def test_what_ends_a_job_before_it_began_is_told_to_nobody(tmp_path: Path) -> None:
    listener = Listener()
    with pytest.raises(ValueError, match="no"), new_job(COUNTING, tmp_path, [listener]):
        raise ValueError("no")
    assert listener.keys == [] and kind_in(tmp_path) is None and not is_unfinished(tmp_path)


def test_an_error_without_words_is_a_stop_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), new_job(COUNTING, tmp_path, []) as job:
        job.begin(CountingStarted(up_to=1))
        raise ZeroDivisionError
    stop = Journal.open(tmp_path, COUNTING).find(CountingStopped)
    assert stop is not None and (stop.reason, stop.interrupted, stop.cause) == ("ZeroDivisionError", False, None)


def test_the_stop_of_a_training_that_diverged_says_so(tmp_path: Path) -> None:
    with pytest.raises(TrainingDiverged), new_job(COUNTING, tmp_path, []) as job:
        job.begin(CountingStarted(up_to=1))
        raise TrainingDiverged("the loss became NaN")
    stop = Journal.open(tmp_path, COUNTING).find(CountingStopped)
    assert stop is not None and stop.cause == "diverged"


def test_a_folder_has_one_job_and_one_process(tmp_path: Path) -> None:
    count(tmp_path)
    with pytest.raises(SearchError, match="holds a counting already; resume it instead"):
        count(tmp_path)
    with pytest.raises(SearchError, match="of a job of kind 'counting': expected is a search"):
        read_journal(tmp_path, SEARCH)
    with job_lock(tmp_path), pytest.raises(SearchError, match="is at work in process"):
        count_on(tmp_path)


def test_a_job_is_written_whole_with_how_it_began_or_not_at_all(tmp_path: Path) -> None:
    listener = Listener("counting_started")
    with pytest.raises(KeyboardInterrupt):
        count(tmp_path, listener)
    assert len((tmp_path / JOURNAL_NAME).read_text().splitlines()) == 3  # header, start, stop


def test_a_renamed_folder_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    stopped(tmp_path / "mine", "counted/0")
    (tmp_path / "mine").rename(tmp_path / "yours")
    with pytest.raises(SearchError, match="is the folder of counting 'mine': give it that name again"):
        count_on(tmp_path / "yours")


@pytest.mark.parametrize("content", [b"", b"torn", b"[]\n", b'{"format":"medarts-journal","version":9}\n'])
def test_a_journal_that_cannot_be_read_is_a_searchs_and_resuming_says_what_is_wrong(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / JOURNAL_NAME).write_bytes(content)
    assert kind_in(tmp_path) == "search" and is_unfinished(tmp_path)


def test_other_images_are_refused_by_name() -> None:
    began = make_dataset_summary()
    check_images("search 'mine'", began, began)
    with pytest.raises(DataError, match="search 'mine' began with other images: .*or start a new search"):
        check_images("search 'mine'", began, began.model_copy(update={"fingerprint": "f"}))


def test_the_folder_of_a_new_job_is_made_where_it_is_missing(tmp_path: Path) -> None:
    with new_job(SEARCH, tmp_path / "deep" / "mine", ()):
        assert (tmp_path / "deep" / "mine").is_dir()


def test_the_folder_of_a_job_that_never_began_is_gone_again(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match="stop"), new_folder(tmp_path, "mine") as folder:
        (folder / "lock").touch()
        raise SearchError("stop")
    assert list(tmp_path.iterdir()) == []


def test_an_evaluation_whose_journal_can_not_be_read_is_told_by_the_file_beside_it(tmp_path: Path) -> None:
    (tmp_path / JOURNAL_NAME).write_bytes(b"\0\xff torn")
    assert kind_in(tmp_path) == "search"
    (tmp_path / STARTED).write_text("{}")
    assert kind_in(tmp_path) == "evaluation"
