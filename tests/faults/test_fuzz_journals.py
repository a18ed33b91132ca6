"""Journals that were changed after they were written: 2,000 cases each."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import make_search_events
from fuzzing import FUZZED, mutated, read_or_refused
from hypothesis import given
from hypothesis import strategies as st
from journals import new_journal, without_digests

from medarts_ops.journal.journal import JOURNAL_NAME, Journal
from medarts_ops.journal.kinds import SEARCH
from medarts_ops.observers import SearchEvent, SearchStopped

BORN = make_search_events()[2].model_copy(update={"individuals": make_search_events()[2].individuals[:1]})  # type: ignore[union-attr]
EVENTS: tuple[SearchEvent, ...] = (make_search_events()[1], BORN, SearchStopped(reason="Ctrl-C", interrupted=True))


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of three events, one of which holds α."""
    folder = tmp_path_factory.mktemp("journal")
    made = new_journal(folder, "s")
    for event in EVENTS:
        made.record(event)
    return folder / JOURNAL_NAME


def read(folder: Path, content: bytes) -> tuple[SearchEvent, ...] | None:
    (folder / JOURNAL_NAME).write_bytes(content)
    opened = read_or_refused(lambda: Journal.open(folder, SEARCH))
    return None if opened is None else tuple(event for _, event in opened.events())


@FUZZED
@given(data=st.data())
def test_a_changed_journal_is_refused_or_cut_short_and_never_says_something_else(
    data: st.DataObject, journal: Path, tmp_path: Path
) -> None:
    changed = data.draw(mutated(journal.read_text())).encode(errors="surrogatepass")
    found = read(tmp_path, changed)
    assert found is None or found == EVENTS[: len(found)]


@FUZZED
@given(data=st.data())
def test_a_changed_journal_without_digests_is_read_or_refused_in_a_line(
    data: st.DataObject, journal: Path, tmp_path: Path
) -> None:
    older = without_digests(journal.read_bytes()).decode()
    read(tmp_path, data.draw(mutated(older)).encode(errors="surrogatepass"))
