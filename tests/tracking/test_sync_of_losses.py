"""What a store lost of a job is written again by sync, and nothing else: all is as it was, and once more nothing."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest
from factories import (
    FIRST_STAGE,
    Outcome,
    make_dataset_summary,
    make_evaluate_config_tiny,
    make_evaluation_epoch,
    make_events,
    make_genotype,
    make_pruned,
    make_stages,
    make_two_stages_config,
)
from journals import make_process_started, write_journal

from medarts_ops.individual import EvaluationResult
from medarts_ops.journal.evaluation_folder import WEIGHTS, write_result, write_started
from medarts_ops.journal.journal import Journal
from medarts_ops.journal.kinds import EVALUATION
from medarts_ops.observers import EvaluationEpochFinished, EvaluationFinished, EvaluationStarted
from medarts_ops.tracking.place import Place as Placed
from medarts_ops.tracking.place import write_place
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.run_store import RunStore
from medarts_ops.tracking.stores.study_storage import open_study_storage
from medarts_ops.tracking.sync import SyncedJob, sync_job

NAME = "mine"


class Place:
    """A finished search of two stages in its folder, and stores that hold all of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.database = folder, folder / "mlflow.db"
        self.store: RunStore = open_store(f"sqlite:///{self.database}")
        self.storage = f"sqlite:///{folder / 'optuna.db'}"
        config = make_two_stages_config()
        last = [Outcome(0.91, 2e6), Outcome(0.85, 3e6), Outcome(0.95, 4e6)]
        first, second = make_stages(config, [FIRST_STAGE, last])
        stages = (first.model_copy(update={"pruned": (make_pruned(3),)}), second)
        started, *others = make_events(config, stages, NAME, epochs=2)
        write_journal(folder / "work", NAME, (started, make_process_started(), *others))
        self.sync()
        self.undisturbed = self.whole()

    def sync(self) -> SyncedJob:
        return sync_job(self.folder / "work", NAME, tracking_uri=self.store.uri, storage=self.storage, pictures=False)

    def ids(self) -> dict[str, str]:
        runs = self.store.runs_of_search(self.store.experiment_id(), NAME)
        assert len({run.name for run in runs}) == len(runs), "a run is doubled"
        return {run.name: run.run_id for run in runs}

    def whole(self) -> dict[str, Any]:
        """All that the stores hold of the search; run ids are names in it, times are left out."""
        ids = self.ids()
        named = {run_id: name for name, run_id in ids.items()}
        held = {name: self._held(run_id) for name, run_id in ids.items()}
        studies = {
            study.study_name: sorted(
                (str(trial.user_attrs), trial.state.name, trial.values) for trial in study.get_trials()
            )
            for study in self.studies()
        }
        return _replaced({"runs": held, "studies": studies}, named)

    def studies(self) -> list[optuna.Study]:
        storage = open_study_storage(self.storage)
        return [optuna.load_study(study_name=name, storage=storage) for name in optuna.get_all_study_names(storage)]

    def _held(self, run_id: str) -> dict[str, Any]:
        client = self.store._client
        run = client.get_run(run_id)
        points = {key: client.get_metric_history(run_id, key) for key in run.data.metrics}
        root = Path(run.info.artifact_uri.removeprefix("file://"))
        return {
            "status": run.info.status,
            "params": run.data.params,
            "tags": run.data.tags,
            "points": {key: sorted((each.step, each.value) for each in found) for key, found in points.items()},
            "inputs": [each.dataset.digest for each in run.inputs.dataset_inputs],
            "artifacts": {str(file.relative_to(root)): file.read_text() for file in root.rglob("*") if file.is_file()},
        }

    def execute(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.database)) as database, database:
            for statement in statements:
                database.execute(statement)


def _replaced(value: Any, names: Mapping[str, str]) -> Any:
    match value:
        case dict():
            return {key: _replaced(each, names) for key, each in value.items()}
        case list() | tuple():
            return [_replaced(each, names) for each in value]
        case str():
            for run_id, name in names.items():
                value = value.replace(run_id, name)
    return value


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Place:
    folder = tmp_path_factory.mktemp("losses")
    shutil.copy(template_database, folder / "mlflow.db")
    return Place(folder)


def lose_artifacts(place: Place) -> None:
    shutil.rmtree(place.folder / "mlruns")


def spoil_artifacts(place: Place) -> None:
    files = [next((place.folder / "mlruns").rglob(name)) for name in ("population.json", "history.json")]
    files[0].write_text(files[0].read_text()[:-9])
    files[1].write_text(files[1].read_text().replace("0", "1"))


def lose_runs(*names: str) -> Callable[[Place], None]:
    def lose(place: Place) -> None:
        for name in names:
            place.store._client.delete_run(place.ids()[name])

    return lose


def lose_runs_for_good(*names: str) -> Callable[[Place], None]:
    def lose(place: Place) -> None:
        for name in names:
            place.store._client._tracking_client.store._hard_delete_run(place.ids()[name])

    return lose


def lose_epochs(place: Place) -> None:
    place.execute(
        "DELETE FROM metrics WHERE key = 'train_loss' AND step = 0",
        "DELETE FROM metrics WHERE key IN ('valid_accuracy', 'hours')",
        "DELETE FROM latest_metrics WHERE key IN ('valid_accuracy', 'hours')",
    )


def lose_words(place: Place) -> None:
    place.execute(
        "DELETE FROM params WHERE key = 'cells'",
        "DELETE FROM tags WHERE key IN ('medarts.best_run_id', 'medarts.genotype_hash')",
        "UPDATE tags SET value = 'elsewhere' WHERE key = 'medarts.parents'",
        "UPDATE runs SET status = 'RUNNING', end_time = NULL WHERE name = 'stage-init'",
    )


def lose_studies(place: Place) -> None:
    for study in place.studies():
        optuna.delete_study(study_name=study.study_name, storage=study._storage)


def lose_parts(place: Place) -> None:
    for lose in (spoil_artifacts, lose_epochs, lose_words, lose_studies):
        lose(place)


GONE = {"runs", "ended_runs", "tags", "metric_points", "artifacts"}
LOSSES: dict[str, tuple[Callable[[Place], None], set[str]]] = {
    "artifacts": (lose_artifacts, {"artifacts"}),
    "parts": (lose_parts, {"artifacts", "metric_points", "params", "tags", "ended_runs", "trials"}),
    "some-deleted": (lose_runs(NAME, "stage-final", "init-01"), {"restored_runs"}),
    "all-deleted": (lambda place: lose_runs(*place.ids())(place), {"restored_runs"}),
    "search-gone": (lose_runs_for_good(NAME), GONE),
    "individual-gone": (lose_runs_for_good("init-00"), GONE | {"trials"}),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_what_was_lost_is_written_again_and_nothing_else(place: Place, loss: str) -> None:
    lose, lacking = LOSSES[loss]
    ids = place.ids()
    lose(place)
    assert set(place.sync().written) == lacking
    assert "gone" in loss or place.ids() == ids
    assert place.sync().written == {}
    assert place.whole() == place.undisturbed


def test_a_note_that_somebody_wrote_stays(place: Place) -> None:
    run_id = place.ids()[NAME]
    written = place.store.find_run(run_id).tags["mlflow.note.content"]
    place.store.set_tags(run_id, {"mlflow.note.content": "look at init-01"})
    assert place.sync().written == {}
    place.store.set_tags(run_id, {"mlflow.note.content": written})


def test_the_records_of_its_processes_came_from_the_journal(place: Place) -> None:
    process = make_process_started()
    assert json.loads(place.undisturbed["runs"][NAME]["artifacts"][f"reproducibility/{process.name}"]) == process.record


def test_a_deleted_run_of_an_older_search_of_that_name_stays_deleted(place: Place) -> None:
    ids = place.ids()
    lose_runs(*ids)(place)
    place.execute("UPDATE params SET value = '9' WHERE key = 'seed'")
    assert place.sync().written["runs"] == len(ids)
    assert place.whole() == place.undisturbed and not set(place.ids().values()) & set(ids.values())


@pytest.fixture(scope="module")
def evaluation(place: Place) -> Callable[[], SyncedJob]:
    """Syncs the finished evaluation `net` of what the search found."""
    folder = place.folder / "work" / "net"
    folder.mkdir()
    result = EvaluationResult(
        genotype=make_genotype(), parameters=3_000_000, history=(make_evaluation_epoch(0),), seconds=20.0
    )
    started = EvaluationStarted(
        config=make_evaluate_config_tiny(),
        genotype=make_genotype(),
        parameters=3_000_000,
        dataset=make_dataset_summary(),
    )
    journal = Journal(EVALUATION, "net")
    journal.keep_in(folder)
    epochs = [EvaluationEpochFinished(record=record) for record in result.history]
    for event in (started, make_process_started(), *epochs, EvaluationFinished(result=result, weights_file=WEIGHTS)):
        journal.record(event)
    write_started(folder, started)
    write_result(folder, result)
    (folder / WEIGHTS).write_bytes(b"weights")
    ids = place.ids()
    write_place(folder, Placed(evaluates=ids["final-02"], parent_run_id=ids[NAME], search=NAME, individual="final-02"))

    def sync() -> SyncedJob:
        return sync_job(place.folder / "work", "net", tracking_uri=place.store.uri, pictures=False)

    sync()
    return sync


def test_what_an_evaluation_lost_is_written_again(place: Place, evaluation: Callable[[], SyncedJob]) -> None:
    run_id = evaluation().run_id
    place.store._client.delete_run(run_id)
    assert evaluation().written == {"restored_runs": 1}
    for file in (place.folder / "mlruns").rglob(f"{run_id}/artifacts/*t*"):  # weights, result, history, dataset …
        file.unlink() if file.is_file() else shutil.rmtree(file)
    assert set(evaluation().written) == {"artifacts"}
    assert evaluation()._replace(run_id="") == SyncedJob("evaluation", "net", "", "1", 4, "finished", {}, ())


def test_weights_that_nobody_has_are_named(place: Place, evaluation: Callable[[], SyncedJob]) -> None:
    run_id, weights = evaluation().run_id, place.folder / "work" / "net" / WEIGHTS
    weights.unlink()
    assert evaluation().lost == ()
    next((place.folder / "mlruns").rglob(f"{run_id}/artifacts/{WEIGHTS}")).unlink()
    assert evaluation().lost == (f"{WEIGHTS} of run {run_id}",)
    weights.write_bytes(b"weights")
    assert evaluation().written == {"artifacts": 1}


def test_stages_and_evaluations_lie_below_a_search_that_was_made_anew(
    place: Place, evaluation: Callable[[], SyncedJob]
) -> None:
    evaluation()
    lose_runs_for_good(NAME, "final-02")(place)
    place.sync()
    assert evaluation().written == {}  # the search brought it along
    search = place.store.find_run(NAME)
    assert [run.name for run in place.store.children(search, "stage")] == ["stage-init", "stage-final"]
    run = place.store.find_run("net")
    assert (run.parent_run_id, run.tags["medarts.evaluates"]) == (place.ids()[NAME], place.ids()["final-02"])
