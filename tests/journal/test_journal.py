"""The journal gives back what it was told, through crashes too."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from factories import make_alpha, make_epoch_record, make_individual, make_search_events
from journals import new_journal, without_digests

import medarts_ops.journal.journal
from medarts_ops.errors import SearchError
from medarts_ops.journal.journal import JOURNAL_NAME, MAX_BYTES, Journal
from medarts_ops.journal.kinds import SEARCH
from medarts_ops.observers import (
    EpochFinished,
    PopulationBorn,
    ProcessStarted,
    SearchEvent,
    SearchStarted,
    SearchStopped,
    StageFinished,
    StageStarted,
)

SearchJournal = Journal[SearchEvent, SearchStarted]
EVENTS = make_search_events()
STOPPED = SearchStopped(reason="Ctrl-C", interrupted=True)


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands still, so that equal events are equal lines."""
    monkeypatch.setattr(medarts_ops.journal.journal.time, "time_ns", lambda: 1_700_000_000_123_456_789)


@pytest.fixture
def journal(tmp_path: Path) -> SearchJournal:
    """A journal with all events of a search."""
    made = new_journal(tmp_path, "search-test")
    for event in EVENTS:
        made.record(event)
    return made


@pytest.fixture
def older(journal: SearchJournal, tmp_path: Path) -> Path:
    """The same as a release before digests left it."""
    path = tmp_path / JOURNAL_NAME
    path.write_bytes(without_digests(path.read_bytes()))
    return path


def read(folder: Path) -> list[SearchEvent]:
    return [event for _, event in Journal.open(folder, SEARCH).events()]


def replace_line(folder: Path, index: int, line: bytes) -> None:
    path = folder / JOURNAL_NAME
    lines = path.read_bytes().splitlines(keepends=True)
    lines[index] = line
    path.write_bytes(b"".join(lines))


@pytest.mark.usefixtures("journal")
def test_every_event_comes_back_equal_and_in_order(tmp_path: Path) -> None:
    assert read(tmp_path) == list(EVENTS)
    assert Journal.open(tmp_path, SEARCH).name == "search-test"


def test_alphas_come_back_bit_for_bit(tmp_path: Path) -> None:
    alpha = make_alpha(5, edges_weighted=True)
    born = PopulationBorn(stage=0, round=0, individuals=(make_individual(alpha=alpha),))
    new_journal(tmp_path, "s").record(born)
    found = Journal.open(tmp_path, SEARCH).find(PopulationBorn, 0, 0)
    assert isinstance(found, PopulationBorn)
    assert found.individuals[0].alpha.normal.arrays["op_logits"].tobytes() == alpha.normal.arrays["op_logits"].tobytes()
    assert found.individuals[0].alpha == alpha


@pytest.mark.usefixtures("journal")
def test_infinite_crowding_distances_come_back(tmp_path: Path) -> None:
    stage = Journal.open(tmp_path, SEARCH).find(StageFinished, 0)
    assert isinstance(stage, StageFinished)
    assert [ranked.crowding_distance for ranked in stage.result.ranked] == [float("inf")] * 2


def test_numbers_count_from_zero_and_an_absent_key_finds_nothing(journal: SearchJournal) -> None:
    assert [n for n, _ in journal.events()] == list(range(len(EVENTS)))
    assert journal.find(StageStarted, 0) == EVENTS[1]
    assert journal.find(StageStarted, 1) is None


def test_every_line_is_json_under_a_header(journal: SearchJournal, tmp_path: Path) -> None:
    header, *lines = map(json.loads, (tmp_path / JOURNAL_NAME).read_text().splitlines())
    named = {"format": "medarts-journal", "version": 3, "kind": "search", "name": "search-test"}
    assert header == named | {"digest": header["digest"]}
    assert [(line["n"], line["key"]) for line in lines] == [(n, event.key) for n, event in journal.events()]


def test_a_held_key_is_not_written_again(journal: SearchJournal, tmp_path: Path) -> None:
    before = (tmp_path / JOURNAL_NAME).read_bytes()
    assert journal.record(EVENTS[3]) == 3
    assert Journal.open(tmp_path, SEARCH).record(EVENTS[3]) == 3
    assert (tmp_path / JOURNAL_NAME).read_bytes() == before


TORN = [b'{"n": 9, "key', b'{"n": 9}', b"\0" * 64 + b"\n", b'{"n": 9' + b"\0" * 64 + b"\n", b"a\rb", b"x" * 4096]


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize("tail", TORN)
def test_a_torn_tail_is_dropped_and_the_next_event_takes_its_place(tmp_path: Path, tail: bytes) -> None:
    _drops_the_tail(tmp_path, tail)


@pytest.mark.usefixtures("older")
@pytest.mark.parametrize("tail", [*TORN, b'{"n": 9, "key\n'])
def test_of_an_older_journal_too_even_one_with_a_line_end(tmp_path: Path, tail: bytes) -> None:
    _drops_the_tail(tmp_path, tail)


def _drops_the_tail(tmp_path: Path, tail: bytes) -> None:
    with (tmp_path / JOURNAL_NAME).open("ab") as file:
        file.write(tail)
    reopened = Journal.open(tmp_path, SEARCH)
    assert len(reopened.events()) == len(EVENTS)
    later = EpochFinished(individual_id="init-09", record=make_epoch_record())
    assert [reopened.record(event) for event in (STOPPED, later)] == [len(EVENTS), len(EVENTS) + 1]
    assert read(tmp_path) == [*EVENTS, STOPPED, later]


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize("tail", [b'{"n": 9, "key\n', b"{}\n", b"\n"])
def test_a_last_line_that_was_written_whole_and_changed_later_is_corrupt(tmp_path: Path, tail: bytes) -> None:
    with (tmp_path / JOURNAL_NAME).open("ab") as file:
        file.write(tail)
    with pytest.raises(SearchError, match=f"line {len(EVENTS) + 2} is corrupt .its digest.*cut it before that line"):
        Journal.open(tmp_path, SEARCH)


def test_no_byte_of_a_journal_can_be_changed_unnoticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = new_journal(tmp_path, "s")
    events = (EVENTS[1], STOPPED)
    for event in events:
        made.record(event)
    path = tmp_path / JOURNAL_NAME
    whole = path.read_bytes()
    line_of = [whole[:at].count(b"\n") + 1 for at in range(len(whole))]
    content = bytearray(whole)
    monkeypatch.setattr(medarts_ops.journal.journal, "_read", lambda path: bytes(content))
    for at, byte in enumerate(whole[:-1]):
        for content[at] in {byte ^ 1, byte ^ 0x80, ord("0"), ord("1"), ord("\n"), 0} - {byte}:
            refused = f"line {line_of[at]} is corrupt" if line_of[at] > 1 else "is corrupt|no journal|of version"
            with pytest.raises(SearchError, match=refused):
                Journal.open(tmp_path, SEARCH)
        content[at] = byte
    content[-1] = ord(" ")  # without its end the last line is one that a crash cut
    assert read(tmp_path) == list(events[:-1])


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize(
    ("mixed", "first_wrong"),
    [
        (lambda lines: [*lines[:3], lines[4], lines[3], *lines[5:]], 4),
        (lambda lines: [*lines[:3], *lines[4:]], 4),
        (lambda lines: [*lines[:4], *lines[3:]], 5),
        (lambda lines: lines[1:], 1),
        (lambda lines: [*lines, lines[-1]], len(EVENTS) + 2),
    ],
    ids=["swapped", "removed", "doubled", "beheaded", "last-doubled"],
)
def test_lines_that_were_moved_removed_or_doubled_are_found(
    tmp_path: Path, mixed: Callable[[list[bytes]], list[bytes]], first_wrong: int
) -> None:
    path = tmp_path / JOURNAL_NAME
    path.write_bytes(b"".join(mixed(path.read_bytes().splitlines(keepends=True))))
    refused = "no journal" if first_wrong == 1 else f"line {first_wrong} is corrupt"
    with pytest.raises(SearchError, match=refused):
        Journal.open(tmp_path, SEARCH)


def test_events_come_back_with_the_time_at_which_they_were_recorded(journal: SearchJournal, tmp_path: Path) -> None:
    reopened = Journal.open(tmp_path, SEARCH)
    assert {reopened.moment_of(event) for event in EVENTS} == {1_700_000_000_123}
    assert reopened.moment_of(STOPPED) is None


def test_a_journal_of_an_earlier_release_has_no_times_and_gets_those_of_new_events(older: Path) -> None:
    Journal.open(older.parent, SEARCH).record(STOPPED)
    reopened = Journal.open(older.parent, SEARCH)
    assert {reopened.moment_of(event) for event in EVENTS} == {None}
    assert reopened.moment_of(STOPPED) == 1_700_000_000_123


def test_a_journal_that_is_cut_between_lines_goes_on_there(journal: SearchJournal, tmp_path: Path) -> None:
    path = tmp_path / JOURNAL_NAME
    whole = path.read_bytes()
    path.write_bytes(b"".join(whole.splitlines(keepends=True)[:6]))
    reopened = Journal.open(tmp_path, SEARCH)
    for event in EVENTS[5:]:
        reopened.record(event)
    assert path.read_bytes() == whole


def test_an_older_journal_is_read_and_gets_its_digests_with_the_next_event(older: Path, tmp_path: Path) -> None:
    before = older.read_bytes()
    reopened = Journal.open(tmp_path, SEARCH)
    assert [event for _, event in reopened.events()] == list(EVENTS) and older.read_bytes() == before
    reopened.record(STOPPED)
    (tmp_path / "fresh").mkdir()
    fresh = new_journal(tmp_path / "fresh", "search-test")
    for event in (*EVENTS, STOPPED):
        fresh.record(event)
    # But for the times, which nobody has, the same lines; opening it checks their digests.
    written = (tmp_path / "fresh" / JOURNAL_NAME).read_bytes()
    assert without_digests(older.read_bytes()) == without_digests(written)
    assert read(tmp_path) == [*EVENTS, STOPPED] and b'"digest"' in older.read_bytes().splitlines()[-1]


def test_an_older_journal_that_another_process_writes_is_left_alone(older: Path, tmp_path: Path) -> None:
    first, second = Journal.open(tmp_path, SEARCH), Journal.open(tmp_path, SEARCH)
    first.record(STOPPED)
    before = older.read_bytes()
    with pytest.raises(SearchError, match="another process"):
        second.record(STOPPED)
    assert older.read_bytes() == before


def test_a_crash_at_any_byte_loses_the_last_event_only(journal: SearchJournal, tmp_path: Path) -> None:
    path = tmp_path / JOURNAL_NAME
    whole = path.read_bytes()
    start = whole.rstrip(b"\n").rindex(b"\n") + 1
    for cut in range(start, len(whole), 97):
        path.write_bytes(whole[:cut])
        assert read(tmp_path) == list(EVENTS[:-1])


def test_opening_alone_leaves_a_torn_file_as_it_is(journal: SearchJournal, tmp_path: Path) -> None:
    path = tmp_path / JOURNAL_NAME
    torn = path.read_bytes()[:-10]
    path.write_bytes(torn)
    Journal.open(tmp_path, SEARCH)
    assert path.read_bytes() == torn


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize(
    "line",
    [
        b'{"n": 1, "key\n',
        b"\n",
        b'{"n": 1, "key": "x", "event": {"kind": "from_the_future"}}\n',
        b'{"n":1,"key":"search_stopped","event":{"kind":"search_stopped","reason":"","interrupted":true,"more":1}}\n',
        b'{"n":7,"key":"search_stopped","event":{"kind":"search_stopped","reason":"","interrupted":true}}\n',
        b'{"n":1,"key":"stage_started/0","event":{"kind":"search_stopped","reason":"","interrupted":true}}\n',
    ],
)
@pytest.mark.parametrize("form", ["journal", "older"])
def test_a_corrupt_line_in_the_middle_is_an_error_that_names_it(
    request: pytest.FixtureRequest, tmp_path: Path, form: str, line: bytes
) -> None:
    request.getfixturevalue(form)
    replace_line(tmp_path, 2, line)
    with pytest.raises(SearchError, match="line 3 is corrupt"):
        Journal.open(tmp_path, SEARCH)


@pytest.mark.usefixtures("older")
def test_an_impossible_genotype_in_the_file_is_a_corrupt_line_too(tmp_path: Path) -> None:
    content = (tmp_path / JOURNAL_NAME).read_bytes()
    (tmp_path / JOURNAL_NAME).write_bytes(content.replace(b'"sep_conv_3x3",0', b'"sep_conv_3x4",0'))
    with pytest.raises(SearchError, match="line 6 is corrupt .*sep_conv_3x4"):
        Journal.open(tmp_path, SEARCH)


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            b'{"format": "medarts-journal", "version": 4, "kind": "search", "name": "s"}\n',
            "version 4: this release reads versions 1 to 3; resume with the release that wrote it",
        ),
        (b'{"format": "medarts-journal", "version": 3, "kind": "search", "name": "s"}\n', "line 1 is corrupt"),
        (b'{"format": "medarts-journal", "version": 2, "search_id": "s"}\n', "line 1 is corrupt"),
        (b'{"format": "medarts-journal", "version": 2, "kind": "evaluation", "name": "s"}\n', "expected is a search"),
        (b'{"format": "other", "version": 1}\n', "no journal"),
        (b"[]\n", "no journal"),
        (b"torn\n", "no journal"),
        (b'{"format": "medarts-journal", "version": 1}\n', "line 1 is corrupt"),
    ],
)
def test_a_foreign_or_newer_file_is_refused(tmp_path: Path, header: bytes, message: str) -> None:
    replace_line(tmp_path, 0, header)
    with pytest.raises(SearchError, match=message):
        Journal.open(tmp_path, SEARCH)


@pytest.mark.parametrize("content", [b"", b'{"format": "medarts-jour'])
def test_a_file_without_a_whole_header_is_a_search_that_never_began(tmp_path: Path, content: bytes) -> None:
    (tmp_path / JOURNAL_NAME).write_bytes(content)
    with pytest.raises(SearchError, match="never began"):
        Journal.open(tmp_path, SEARCH)


def test_a_missing_journal_and_a_second_one_are_errors(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match="can't be read"):
        Journal.open(tmp_path, SEARCH)
    new_journal(tmp_path, "one")
    with pytest.raises(SearchError, match="resume it instead"):
        new_journal(tmp_path, "two")


def test_a_second_writer_is_noticed(journal: SearchJournal, tmp_path: Path) -> None:
    Journal.open(tmp_path, SEARCH).record(STOPPED)
    with pytest.raises(SearchError, match="another process"):
        journal.record(EpochFinished(individual_id="init-09", record=make_epoch_record()))


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_event_that_was_half_written_can_be_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    journal = new_journal(tmp_path, "s")

    def fail(descriptor: int) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises((SearchError, KeyboardInterrupt)):
            journal.record(STOPPED)
    assert journal.find(SearchStopped) is None
    assert journal.record(STOPPED) == 0
    assert read(tmp_path) == [STOPPED]


def test_an_event_is_on_disk_before_record_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = new_journal(tmp_path, "s")
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    journal.record(STOPPED)
    assert synced == [(tmp_path / JOURNAL_NAME).stat().st_size]


@pytest.mark.usefixtures("journal")
def test_a_file_that_no_search_writes_is_refused_before_it_is_read(tmp_path: Path) -> None:
    os.truncate(tmp_path / JOURNAL_NAME, MAX_BYTES + 1)  # sparse: it takes no space
    with pytest.raises(SearchError, match=f"has {MAX_BYTES + 1} bytes: allowed are up to {MAX_BYTES}.*from a copy"):
        Journal.open(tmp_path, SEARCH)


LONG = "a\n" * 10_000


@pytest.mark.usefixtures("journal")
@pytest.mark.parametrize(
    ("index", "line"),
    [
        (0, {"format": "medarts-journal", "version": LONG, "search_id": "s"}),
        (0, {"format": "medarts-journal", "version": 1, "search_id": "s", LONG: 1}),
        (2, {"n": 1, "key": LONG, "event": json.loads(STOPPED.model_dump_json())}),
        (2, {"n": 10**400, "key": "x", "event": json.loads(STOPPED.model_dump_json())}),
        (2, {"n": 1, "key": "x", LONG: 1}),
        (2, {"n": 1, "key": "x", "event": {"kind": LONG}}),
    ],
)
def test_a_message_is_one_short_line_whatever_the_file_says(
    tmp_path: Path, index: int, line: dict[str, object]
) -> None:
    replace_line(tmp_path, index, json.dumps(line).encode() + b"\n")
    with pytest.raises(SearchError) as caught:
        Journal.open(tmp_path, SEARCH)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000


def test_a_journal_that_could_not_begin_leaves_none_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(SearchError, match="No space left on device; .*free some space"):
            new_journal(tmp_path, "s")
    assert list(tmp_path.iterdir()) == []
    new_journal(tmp_path, "s")


def test_time_at_work_is_that_of_each_process_and_not_between_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, seconds = new_journal(tmp_path, "search-test"), 1000.0
    monkeypatch.setattr(medarts_ops.journal.journal.time, "time_ns", lambda: round(seconds * 1e9))
    begun, *rest = EVENTS
    journal.record(begun)
    for number, epochs in enumerate((rest[:2], rest[2:5])):
        journal.record(ProcessStarted(name=f"20260101T00000{number}Z.json", record={}))
        for event in epochs:
            seconds += 10
            journal.record(event)
        seconds += 5000
    assert journal.seconds_at_work == Journal.open(tmp_path, SEARCH).seconds_at_work == pytest.approx(50)
