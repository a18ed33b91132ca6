"""The experiment that holds runs: by name or by id, made where it is new, and one that was deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from medarts_ops.errors import StoreError
from medarts_ops.tracking.stores.run_store import RunStore


def location(store: RunStore) -> str:
    return str(store._client.get_experiment(store.experiment_id()).artifact_location)


def test_an_experiment_is_found_by_name_and_by_id(store: RunStore) -> None:
    flowers = store.within("flowers").experiment_id()
    assert (
        store.within(flowers).experiment_names() == store.within("flowers").experiment_names() == {flowers: "flowers"}
    )
    assert store.within(flowers).experiment_id() == flowers != store.experiment_id()
    assert set(store.experiment_names().values()) == {"Default", "flowers", "medarts"}


def test_an_experiment_whose_name_is_a_number_is_found_where_no_id_is(store: RunStore) -> None:
    made = store._client.create_experiment("2026")
    assert store.within("2026").experiment_id() == made


def test_an_id_that_is_not_there_is_refused_with_the_names_that_are(store: RunStore) -> None:
    store.experiment_id()
    with pytest.raises(StoreError, match="no experiment has the id 77: allowed are .*medarts"):
        store.within("77").experiment_id()


def test_a_name_that_is_not_there_is_not_made_by_looking_for_runs(store: RunStore) -> None:
    store.within("flowers").experiment_id()
    with pytest.raises(StoreError, match="there is no experiment 'flower': .*did you mean 'flowers'"):
        store.within("flower").all_of_kind("search")
    assert "flower" not in store.experiment_names().values()


def test_a_new_experiment_is_for_training_models_and_says_what_lies_in_it(store: RunStore) -> None:
    made = store._client.get_experiment(store.experiment_id())
    assert made.tags["mlflow.experimentKind"] == "custom_model_development"
    assert "medarts ui" in made.tags["mlflow.note.content"]


def test_an_experiment_that_somebody_made_is_left_as_it_is(store: RunStore) -> None:
    theirs = store._client.create_experiment("theirs", tags={"mlflow.note.content": "ours"})
    assert store.within("theirs").experiment_id() == theirs
    assert store._client.get_experiment(theirs).tags.get("mlflow.note.content") == "ours"
    assert "mlflow.experimentKind" not in store._client.get_experiment(theirs).tags


@pytest.mark.parametrize("name", ["..", "../../outside", "/team/birds", "x" * 400, "wild flowers ☃"])
def test_artifacts_stay_beside_the_database_whatever_the_experiment_is_called(
    store: RunStore, name: str, tmp_path: Path
) -> None:
    named = store.within(name)
    run_id = named.create_run(experiment_id=named.experiment_id(), kind="search", name="a", tags={}, params={})
    named.log_json(run_id, "x.json", [])
    (folder,) = (tmp_path / "mlruns").iterdir()
    assert location(named) == folder.as_uri() and (folder / run_id).is_dir()


@pytest.mark.parametrize("name", ["medarts", "flowers"])
def test_a_deleted_experiment_is_named_with_the_way_back_by_whoever_looks_for_its_runs(
    store: RunStore, name: str
) -> None:
    given = store.within(name)
    experiment_id = given.experiment_id()
    run_id = given.create_run(experiment_id=experiment_id, kind="search", name="mine", tags={}, params={})
    store._client.delete_experiment(experiment_id)
    back = rf"experiment '{name}' was deleted: .*`mlflow experiments restore --experiment-id {experiment_id}`"
    for look in (
        lambda: store.find_run("mine"),
        lambda: store.find_run(run_id),
        store.check_none_is_deleted,
        lambda: given.all_of_kind("search"),
        given.experiment_id,
        store.within(experiment_id).experiment_id,
    ):
        with pytest.raises(StoreError, match=back):
            look()
    store._client.restore_experiment(experiment_id)
    assert store.find_run("mine").run_id == run_id


def test_a_deleted_experiment_of_others_is_none_of_our_business(store: RunStore) -> None:
    theirs = store._client.create_experiment("theirs")
    store._client.create_run(theirs)
    store._client.delete_experiment(theirs)
    store.check_none_is_deleted()
