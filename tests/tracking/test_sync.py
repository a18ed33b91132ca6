"""A search's journal told to stores again."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from factories import make_search_config_tiny
from journals import held_of, make_proposed_events, write_journal

from medarts_ops.config import SearchConfig
from medarts_ops.errors import SearchError, StoreError
from medarts_ops.individual import SearchResult
from medarts_ops.journal import journal
from medarts_ops.journal.lock import job_lock
from medarts_ops.observers import SearchEvent, SearchFinished, SearchObserver, SearchStopped
from medarts_ops.tracking import search
from medarts_ops.tracking.runs.search_runs import MlflowSearchObserver
from medarts_ops.tracking.stores.run_store import RunStore
from medarts_ops.tracking.stores.study_storage import open_study_storage
from medarts_ops.tracking.sync import SyncedJob, sync_job

NAME = "search-test"
EVENTS = make_proposed_events(NAME)
STOPPED = SearchStopped(reason="Ctrl-C", interrupted=True)


@pytest.fixture(scope="session")
def template_studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with Optuna's tables."""
    file = tmp_path_factory.mktemp("optuna-template") / "optuna.db"
    open_study_storage(f"sqlite:///{file}")
    return file


class Place:
    """A work directory and two stores."""

    def __init__(self, folder: Path, store: RunStore) -> None:
        self.work_dir, self.store = folder / "work", store
        self.storage = f"sqlite:///{folder / 'optuna.db'}"

    def sync(self) -> SyncedJob:
        return sync_job(self.work_dir, NAME, tracking_uri=self.store.uri, storage=self.storage, pictures=False)

    def statuses(self) -> dict[str, str]:
        return {name: run["status"] for name, run in held_of(self.store, NAME).items()}

    def all_held(self) -> tuple[Any, ...]:
        """What both stores hold, ends included."""
        runs = self.store.runs_of_search(self.store.experiment_id(), NAME)
        summaries = optuna.get_all_study_summaries(open_study_storage(self.storage))
        studies = {each.study_name: each.n_trials for each in summaries}
        return held_of(self.store, NAME), [(run.run_id, run.status, run.ended) for run in runs], studies


@pytest.fixture
def place(tmp_path: Path, store: RunStore, template_studies: Path) -> Place:
    shutil.copy(template_studies, tmp_path / "optuna.db")
    return Place(tmp_path, store)


def test_a_new_store_has_the_times_that_the_journal_keeps(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = 1_700_000_000_000  # the nth event is n minutes later
    minutes = iter(range(len(EVENTS)))
    monkeypatch.setattr(journal.time, "time_ns", lambda: (begun + 60_000 * next(minutes)) * 1_000_000)
    write_journal(place.work_dir, NAME, EVENTS)
    monkeypatch.undo()
    place.sync()
    kinds = [event.kind for event in EVENTS]

    def at(kind: str) -> float:
        return begun / 1000 + 60 * kinds.index(kind)

    search, individual = place.store.find_run(NAME), place.store.find_run(f"{NAME}/init-00")
    assert search.ended is not None and individual.ended is not None
    assert (search.started.timestamp(), search.ended.timestamp()) == (at("search_started"), at("search_finished"))
    assert (individual.started.timestamp(), individual.ended.timestamp()) == (
        at("population_born"),
        at("individual_finished"),
    )
    (point,) = place.store._client.get_metric_history(individual.run_id, "valid_accuracy")
    assert point.timestamp == 1000 * at("epoch_finished")


def told(store: RunStore, events: Sequence[SearchEvent]) -> MlflowSearchObserver:
    observer = MlflowSearchObserver(store)
    for event in events:
        observer.notify(event)
    return observer


def test_empty_stores_are_filled_as_the_search_would_have(
    place: Place, template_database: Path, tmp_path: Path
) -> None:
    write_journal(place.work_dir, NAME, EVENTS)
    synced = place.sync()
    assert (synced.events, synced.state) == (9, "finished")
    assert place.store.find_run(synced.run_id).name == NAME
    other = RunStore(f"sqlite:///{shutil.copy(template_database, tmp_path / 'other.db')}", tmp_path / "other")
    told(other, EVENTS)
    assert held_of(place.store, NAME) == held_of(other, NAME)
    assert place.all_held()[2] == {f"{NAME}/proposals": 3, f"{NAME}/init": 3}


@pytest.mark.parametrize(
    "events", [EVENTS, (*EVENTS[:5], STOPPED), EVENTS[:5]], ids=["finished", "stopped", "unfinished"]
)
def test_a_second_sync_changes_nothing(place: Place, events: Sequence[SearchEvent]) -> None:
    write_journal(place.work_dir, NAME, events)
    first, held = place.sync(), place.all_held()
    assert first.written["runs"] == 5
    assert (place.sync(), place.all_held()) == (first._replace(written={}), held)


def test_syncing_what_the_store_was_told_changes_no_run(place: Place) -> None:
    write_journal(place.work_dir, NAME, EVENTS)
    told(place.store, EVENTS)
    before = place.store.runs_of_search(place.store.experiment_id(), NAME)
    place.sync()
    assert place.store.runs_of_search(place.store.experiment_id(), NAME) == before


def test_runs_of_a_search_that_did_not_end_stay_open(place: Place) -> None:
    write_journal(place.work_dir, NAME, EVENTS[:5])
    assert place.sync().state == "unfinished"
    assert place.statuses() == {
        NAME: "RUNNING",
        "stage-init": "RUNNING",
        "init-00": "FINISHED",
        "init-01": "RUNNING",
        "init-02": "RUNNING",
    }


def test_runs_that_a_stop_ended_are_completed_and_stay_stopped(place: Place) -> None:
    write_journal(place.work_dir, NAME, (*EVENTS[:6], STOPPED))
    told(place.store, (*EVENTS[:5], STOPPED))
    assert place.statuses()["init-01"] == "KILLED"
    assert place.sync().state == "stopped"
    statuses = place.statuses()
    assert (statuses[NAME], statuses["init-01"], statuses["init-02"]) == ("KILLED", "FINISHED", "KILLED")
    assert "medarts.stopped" not in held_of(place.store, NAME)["init-01"]["tags"]


def test_a_stop_after_which_the_search_went_on_is_no_end(place: Place) -> None:
    write_journal(place.work_dir, NAME, (*EVENTS[:5], STOPPED, *EVENTS[5:]))
    assert place.sync().state == "finished"
    assert place.statuses()[NAME] == "FINISHED"


def test_a_search_whose_end_the_store_was_not_told_is_finished_there(place: Place) -> None:
    write_journal(place.work_dir, NAME, EVENTS)
    told(place.store, (*EVENTS[:-1], STOPPED))
    assert place.statuses()[NAME] == "KILLED"
    assert place.sync().state == "finished"
    assert set(place.statuses().values()) <= {"FINISHED", "FAILED"}
    assert "medarts.stopped" not in held_of(place.store, NAME)[NAME]["tags"]


def test_an_event_that_was_written_in_part_doubles_no_metric(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    write_journal(place.work_dir, NAME, EVENTS)
    observer = told(place.store, EVENTS[:4])
    with monkeypatch.context() as patched, pytest.raises(StoreError):
        patched.setattr(place.store, "finish", _away)
        observer.notify(EVENTS[4])
    place.sync()
    for name, run in held_of(place.store, NAME).items():
        for key, points in run["points"].items():
            assert len({step for step, _ in points}) == len(points), (name, key)


def _away(*_: object, **__: object) -> None:
    raise StoreError("away")


def test_a_search_that_is_at_work_is_left_to_itself(place: Place) -> None:
    write_journal(place.work_dir, NAME, EVENTS[:5])
    with job_lock(place.work_dir / NAME), pytest.raises(SearchError, match="is at work"):
        place.sync()


def test_an_unknown_search_is_refused_with_the_near_miss(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match="no search has a journal"):
        sync_job(tmp_path, "mine")
    write_journal(tmp_path, "mine", EVENTS[:1])
    with pytest.raises(SearchError, match="unknown search 'mina'.*did you mean 'mine'"):
        sync_job(tmp_path, "mina")


def test_a_journal_without_events_is_refused(tmp_path: Path) -> None:
    write_journal(tmp_path, "mine", ())
    with pytest.raises(SearchError, match="never began"):
        sync_job(tmp_path, "mine")


def test_a_search_whose_store_goes_away_gives_its_result_and_can_be_synced(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def searched(config: SearchConfig, folder: Path, *, observers: Sequence[SearchObserver], **_: Any) -> SearchResult:
        folder.rmdir()
        write_journal(folder.parent, folder.name, EVENTS)
        with monkeypatch.context() as patched:
            for event in EVENTS:
                for observer in observers:
                    observer.notify(event)
                if event is EVENTS[1]:
                    patched.setattr(RunStore, "create_run", _away)
        last = EVENTS[-1]
        assert isinstance(last, SearchFinished)
        return last.result

    monkeypatch.setattr(search, "run_search", searched)
    found = search.tracked_search(
        make_search_config_tiny(),
        name=NAME,
        tracking_uri=place.store.uri,
        storage=place.storage,
        work_dir=place.work_dir,
        pictures=False,
    )
    assert (found.waiting, found.run_ids) == (len(EVENTS) - 2, {})
    assert place.sync().run_id == found.run_id
    assert place.statuses()["init-01"] == "FINISHED"
