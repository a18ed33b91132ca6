"""A search's journal in its run: kept whenever something ends, and enough to go on from on another machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import make_search_events
from journals import write_journal

from medarts_ops.errors import SearchError
from medarts_ops.journal.journal import JOURNAL_NAME, Journal
from medarts_ops.journal.kinds import SEARCH
from medarts_ops.tracking.reading import kept_journal
from medarts_ops.tracking.reading.kept_journal import restore_journal
from medarts_ops.tracking.runs.journal_copy import WORTH_COPYING, JournalCopy
from medarts_ops.tracking.stores.run_store import RunStore

EVENTS = make_search_events("mine")


@pytest.fixture
def run_id(store: RunStore) -> str:
    return store.create_run(experiment_id=store.experiment_id(), kind="search", name="mine", tags={}, params={})


def kept(store: RunStore, run_id: str, folder: Path) -> bytes:
    return store.download(run_id, JOURNAL_NAME, folder, 10**6).read_bytes()


def test_the_copy_is_as_new_as_the_last_end_of_an_individual_stage_or_search(
    store: RunStore, run_id: str, tmp_path: Path
) -> None:
    write_journal(tmp_path / "work", "mine", ())
    folder = tmp_path / "work" / "mine"
    journal, copy = Journal.open(folder, SEARCH), JournalCopy(store, folder, lambda: run_id)
    (tmp_path / "fetched").mkdir()
    expected = b""
    for event in EVENTS:
        journal.record(event)
        copy.notify(event)
        if isinstance(event, WORTH_COPYING):
            expected = (folder / JOURNAL_NAME).read_bytes()
        if expected:
            assert kept(store, run_id, tmp_path / "fetched") == expected


def test_a_copy_that_failed_is_made_when_it_is_told_again(
    store: RunStore, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_journal(tmp_path / "work", "mine", EVENTS)
    copy = JournalCopy(store, tmp_path / "work" / "mine", lambda: run_id)
    with monkeypatch.context() as patched:
        patched.setattr(store, "log_file", failing)
        with pytest.raises(SearchError, match="away"):
            copy.notify(EVENTS[-1])
    copy.notify(EVENTS[-1])
    assert kept(store, run_id, tmp_path)


def failing(run_id: str, file: Path) -> None:
    raise SearchError("the store is away")


def test_a_restored_journal_is_the_one_that_was_kept(store: RunStore, run_id: str, tmp_path: Path) -> None:
    write_journal(tmp_path / "work", "mine", EVENTS[:-1])
    original = tmp_path / "work" / "mine" / JOURNAL_NAME
    store.log_file(run_id, original)
    folder = restore_journal(store, run_id, tmp_path / "elsewhere", "mine")
    assert folder == tmp_path / "elsewhere" / "mine"
    assert [path.name for path in folder.iterdir()] == [JOURNAL_NAME]
    assert (folder / JOURNAL_NAME).read_bytes() == original.read_bytes()


def test_a_run_that_keeps_no_journal_says_what_to_do_and_leaves_nothing(
    store: RunStore, run_id: str, tmp_path: Path
) -> None:
    with pytest.raises(SearchError, match="its run keeps no journal to go on from: --work-dir names"):
        restore_journal(store, run_id, tmp_path / "elsewhere", "mine")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no header"),
        (b'{"format": "other"}\n', "is no journal of a search"),
        (
            b'{"format": "medarts-journal", "version": 9, "search_id": "mine"}\n',
            "with the release that wrote it",
        ),
        (b'{"format": "medarts-journal", "version": 1, "search_id": "../../etc"}\n', "keeps the journal of search"),
        (b'{"format": "medarts-journal", "version": 1, "search_id": "mine"}\n{"n": 0}\n', "line 2 is corrupt"),
    ],
)
def test_a_journal_that_somebody_spoilt_is_refused_and_no_folder_made(
    store: RunStore, run_id: str, tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / JOURNAL_NAME).write_bytes(content)
    store.log_file(run_id, tmp_path / JOURNAL_NAME)
    with pytest.raises(SearchError, match=message):
        restore_journal(store, run_id, tmp_path / "elsewhere", "mine")
    assert not (tmp_path / "elsewhere").exists()


def test_a_journal_above_the_limit_is_not_fetched(
    store: RunStore, run_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_journal, "MAX_JOURNAL_BYTES", 10)
    (tmp_path / JOURNAL_NAME).write_bytes(b"x" * 11)
    store.log_file(run_id, tmp_path / JOURNAL_NAME)
    with pytest.raises(SearchError, match="keeps no journal to go on from"):
        restore_journal(store, run_id, tmp_path / "elsewhere", "mine")


def test_a_finished_search_is_not_restored_to_go_on(store: RunStore, run_id: str, tmp_path: Path) -> None:
    assert EVENTS[-1].job_state == "finished"
    write_journal(tmp_path / "work", "mine", EVENTS)
    store.log_file(run_id, tmp_path / "work" / "mine" / JOURNAL_NAME)
    with pytest.raises(SearchError, match="'mine' is finished: there is nothing to resume"):
        restore_journal(store, run_id, tmp_path / "elsewhere", "mine")
    assert not (tmp_path / "elsewhere").exists()
