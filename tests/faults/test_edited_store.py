"""A store whose runs and artifacts somebody else has edited."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from medarts_ops.errors import RunError
from medarts_ops.tracking.artifacts.files import VERSION
from medarts_ops.tracking.reading.contents import objective_names
from medarts_ops.tracking.reading.relations import ancestry, chosen_individual, search_of
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.run_store import RunStore
from medarts_ops.tracking.vocabulary import BEST_TAG, CONFIG, PARENTS_TAG, RunKind


@pytest.fixture
def store(tmp_path: Path, template_database: Path) -> RunStore:
    shutil.copy(template_database, tmp_path / "mlflow.db")
    return open_store(f"sqlite:///{tmp_path / 'mlflow.db'}")


def start(store: RunStore, kind: RunKind, parent: str | None = None) -> str:
    return store.create_run(
        experiment_id=store.experiment_id(), kind=kind, name="edited", parent_run_id=parent, tags={}, params={}
    )


def test_runs_that_name_each_other_as_best_are_not_followed_for_ever(store: RunStore) -> None:
    first, second = start(store, "search"), start(store, "search")
    store.set_tags(first, {BEST_TAG: second})
    store.set_tags(second, {BEST_TAG: first})
    with pytest.raises(RunError, match="name each other in a circle: .*mend their tags"):
        chosen_individual(store, store.find_run(first))


def test_runs_that_are_each_others_parent_are_not_followed_for_ever(store: RunStore) -> None:
    first = start(store, "stage")
    second = start(store, "individual", first)
    store.set_tags(first, {"mlflow.parentRunId": second})
    with pytest.raises(RunError, match="in a circle"):
        search_of(store, store.find_run(second))


def test_ancestors_in_a_circle_are_each_found_once(store: RunStore) -> None:
    first, second = start(store, "individual"), start(store, "individual")
    store.set_tags(first, {PARENTS_TAG: f"{second},{first}"})
    store.set_tags(second, {PARENTS_TAG: f",{first},,"})
    found = ancestry(store, store.find_run(first), [])
    assert {name: entry.parents for name, entry in found.items()} == {first: (second, first), second: (first,)}


def test_a_parent_that_is_named_and_not_given_by_its_run_id_is_found_all_the_same(store: RunStore) -> None:
    search, child = start(store, "search"), start(store, "individual")
    store.set_tags(child, {PARENTS_TAG: "edited"})
    found = ancestry(store, store.find_run(child), [])
    assert (found[child].parents, list(found)) == ((search,), [child, search])


def test_an_artifact_of_a_newer_release_is_refused_with_its_run_and_both_versions(store: RunStore) -> None:
    run_id = start(store, "search")
    store.log_json(run_id, CONFIG, {"format": "medarts-config", "version": VERSION + 1})
    message = rf"artifact 'config.json' of run {run_id} is of version 2: this release reads up to version 1; read it"
    with pytest.raises(RunError, match=message):
        objective_names(store, store.find_run(run_id))


@pytest.mark.parametrize("config", [{}, [], None, {"preset": "digits", "dataset": {}, "objectives": []}, "x"])
def test_settings_that_no_search_logs_are_refused(store: RunStore, config: Any) -> None:
    run_id = start(store, "search")
    store.log_json(run_id, CONFIG, config)
    with pytest.raises(RunError, match=r"this is no config.json of a search"):
        objective_names(store, store.find_run(run_id))


def test_a_file_outside_the_download_folder_is_not_read(
    store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = start(store, "search")
    store.log_json(run_id, CONFIG, {})
    (tmp_path / "secret.json").write_text("{}", encoding="utf-8")
    monkeypatch.setattr(store._client, "download_artifacts", lambda *_: str(tmp_path / "secret.json"))
    with pytest.raises(RunError, match="is not the file that the store lists"):
        store.read_json_artifact(run_id, CONFIG)


def test_a_file_larger_than_listed_is_not_read(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def send(run_id: str, path: str, folder: str) -> str:
        (Path(folder) / path).write_text("[" + "1," * 100 + "1]", encoding="utf-8")
        return str(Path(folder) / path)

    run_id = start(store, "search")
    store.log_json(run_id, CONFIG, {})
    monkeypatch.setattr(store._client, "download_artifacts", send)
    with pytest.raises(RunError, match="is not the file that the store lists"):
        store.read_json_artifact(run_id, CONFIG, max_bytes=50)
