"""A whole search and evaluations through the command line, on a real MLflow store and a real Optuna storage."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
import pytest
import yaml
from click.testing import CliRunner, Result
from factories import make_search_config_tiny
from mlflow import MlflowClient
from mlflow.entities import Run
from PIL import Image
from refusals import VARIABLES

from medarts_ops.cli.main import medarts
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.tracking.stores.study_storage import open_study_storage

RUN_MAIN = "from medarts_ops.cli.main import main; main()"
SMALL = ("--set", "cells=3", "--set", "channels=2", "--set", "epochs=1", "--set", "runtime.threads=1")
SECTIONS = ("space", "stages", "para_aug", "runtime")


class Place(NamedTuple):
    """A folder with a store, a study storage, a work directory and a tiny config in it."""

    folder: Path

    @property
    def uri(self) -> str:
        return f"sqlite:///{(self.folder / 'mlflow.db').as_posix()}"

    @property
    def storage(self) -> str:
        return f"sqlite:///{(self.folder / 'optuna.db').as_posix()}"

    def invoke(self, *words: str) -> Result:
        places = ["--tracking-uri", self.uri]
        if words[0] in ("search", "evaluate"):
            places += ["--work-dir", str(self.folder / "work")]
        if words[0] == "search":
            places += ["--storage", self.storage, "--config", str(self.folder / "tiny.yaml")]
        result = CliRunner(env=dict.fromkeys(VARIABLES)).invoke(medarts, [*words, *places])
        assert result.exit_code == 0, result.output
        return result

    def json(self, *words: str) -> Any:
        return json.loads(self.invoke(*words, "--json").stdout)


def make_place(folder: Path, template_database: Path) -> Place:
    shutil.copy(template_database, folder / "mlflow.db")
    settings = make_search_config_tiny().model_dump(mode="json", include=set(SECTIONS))
    settings["proposals"] = {"generations": 2}
    (folder / "tiny.yaml").write_text(yaml.safe_dump({"search": settings}), encoding="utf-8")
    return Place(folder)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Place:
    return make_place(tmp_path_factory.mktemp("end-to-end"), template_database)


@pytest.fixture(scope="module")
def searched(place: Place) -> Result:
    """One search on digits; the tests below look at what it said and left behind."""
    return place.invoke("search", "--name", "digits-1")


@pytest.fixture(scope="module")
def runs(place: Place, searched: Result) -> dict[str, Run]:
    """All runs of that search by name, as MLflow's own client gives them."""
    client = MlflowClient(place.uri)
    experiment = client.get_experiment_by_name("medarts")
    assert experiment is not None
    found = client.search_runs([experiment.experiment_id], "tags.`medarts.search_id`='digits-1'")
    return {run.info.run_name: run for run in found}


def artifact(place: Place, run: Run, path: str) -> Any:
    return json.loads(Path(MlflowClient(place.uri).download_artifacts(run.info.run_id, path)).read_text("utf-8"))


def test_results_are_on_stdout_and_progress_on_stderr(searched: Result, runs: dict[str, Run]) -> None:
    for stage in ("init", "mid", "final"):
        assert f"Stage {stage}: " in searched.stdout
        assert f"stage {stage} finished" in searched.stderr
    assert "Genotype(normal=[" in searched.stdout
    assert f"medarts evaluate {runs['digits-1'].info.run_id} --tracking-uri" in searched.stdout
    assert "epoch 1/1: accuracy" in searched.stderr and "epoch 1/1" not in searched.stdout
    assert "Traceback" not in searched.output


def test_the_store_holds_a_finished_tree_of_search_stages_and_individuals(runs: dict[str, Run]) -> None:
    kinds = {name: run.data.tags["medarts.kind"] for name, run in runs.items()}
    stages = {f"stage-{name}": "stage" for name in ("init", "mid", "final")}
    born = [f"init-0{number}" for number in range(6)] + ["mid-00", "mid-01", "mid-02", "final-00"]
    assert kinds == {"digits-1": "search", **stages, **dict.fromkeys(born, "individual")}
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for name in born:
        stage = runs[f"stage-{name.partition('-')[0]}"]
        assert runs[name].data.tags["mlflow.parentRunId"] == stage.info.run_id
        assert stage.data.tags["mlflow.parentRunId"] == runs["digits-1"].info.run_id


def test_genetic_parents_are_named_by_run_id(runs: dict[str, Run]) -> None:
    names = {run.info.run_id: name for name, run in runs.items()}
    parents = {name: run.data.tags.get("medarts.parents", "").split(",") for name, run in runs.items()}
    assert parents["init-00"] == [""]
    mother, father = (names[parents[heir][0]] for heir in ("mid-00", "mid-01"))
    assert mother.startswith("init-") and father.startswith("init-") and mother != father
    assert [names[parent] for parent in parents["mid-02"]] == [mother, father]
    assert names[parents["final-00"][0]].startswith("mid-")


def test_an_individual_has_metrics_for_each_epoch_and_alpha_with_names(place: Place, runs: dict[str, Run]) -> None:
    client, run = MlflowClient(place.uri), runs["final-00"]
    for metric in ("train_loss", "alpha_loss", "valid_accuracy", "normal_skips", "reduce_skips", "lr"):
        assert [point.step for point in client.get_metric_history(run.info.run_id, metric)] == [0]
    space = make_search_config_tiny().space
    for file in ("alpha.json", "alpha_initial.json"):
        alpha = artifact(place, run, file)["normal"]
        assert tuple(alpha["operations"]) == space.primitives
        assert np.shape(alpha["op_logits"]) == (SearchSpace(n_nodes=space.nodes).n_edges, len(space.primitives))
    assert Genotype.model_validate(artifact(place, run, "genotype.json"))


def test_alpha_is_inherited_bit_for_bit_through_the_store(place: Place, runs: dict[str, Run]) -> None:
    parent = MlflowClient(place.uri).get_run(runs["final-00"].data.tags["medarts.parents"])
    assert artifact(place, runs["final-00"], "alpha_initial.json") == artifact(place, parent, "alpha.json")


def test_optuna_holds_proposals_and_stages_whose_best_trials_are_front_0(place: Place, runs: dict[str, Run]) -> None:
    storage = open_study_storage(place.storage)
    names = optuna.get_all_study_names(storage)
    assert set(names) == {f"digits-1/{name}" for name in ("proposals", "init", "mid", "final")}
    for name in names:
        study = optuna.load_study(study_name=name, storage=storage)
        assert {trial.state.name for trial in study.trials} == {"COMPLETE"}
        if not name.endswith("proposals"):
            front = {trial.user_attrs["individual"] for trial in study.trials if trial.user_attrs["front"] == 0}
            assert {trial.user_attrs["individual"] for trial in study.best_trials} == front
            run_ids = {trial.user_attrs["individual"]: trial.user_attrs["mlflow_run_id"] for trial in study.trials}
            assert run_ids == {each: runs[each].info.run_id for each in run_ids}


def test_runs_and_show_tell_of_the_search(place: Place, runs: dict[str, Run]) -> None:
    row = next(row for row in place.json("runs") if row["name"] == "digits-1")
    assert row["best_run_id"] == runs["final-00"].info.run_id
    for name in ("digits-1", runs["stage-mid"].info.run_id, runs["final-00"].info.run_id):
        lineage = place.json("show", name)["lineage"]
        assert (lineage[-1]["origin"], lineage[-1]["parents"]) == ("random", [])
        assert "Lineage, " in place.invoke("show", name).stdout


@pytest.mark.parametrize(
    ("given", "individual"), [("digits-1", "final-00"), ("stage-mid", None), ("init-01", "init-01")]
)
def test_evaluate_takes_a_search_a_stage_and_an_individual(
    given: str, individual: str | None, place: Place, runs: dict[str, Run]
) -> None:
    trained = place.json("evaluate", given if given == "digits-1" else runs[given].info.run_id, *SMALL)
    run = MlflowClient(place.uri).get_run(trained["run_id"])
    chosen = runs[individual].info.run_id if individual else runs[given].data.tags["medarts.best_run_id"]
    assert run.data.tags["medarts.evaluates"] == chosen
    assert run.data.tags["mlflow.parentRunId"] == runs["digits-1"].info.run_id
    assert (run.info.status, run.data.metrics["test_error"]) == ("FINISHED", trained["test_error"])
    assert place.json("show", trained["run_id"])["search_run_id"] == runs["digits-1"].info.run_id
    assert trained["run_id"] in place.invoke("show", "digits-1").stdout


def test_export_takes_the_newest_evaluation_of_what_a_search_or_an_individual_found(
    place: Place, runs: dict[str, Run], tmp_path: Path
) -> None:
    other = runs["init-00"].info.run_id
    place.json("evaluate", "digits-1", *SMALL, "--name", "first")
    place.json("evaluate", "digits-1", *SMALL, "--name", "newest")
    place.json("evaluate", other, *SMALL, "--name", "others")
    for given, name in (("digits-1", "newest"), (runs["stage-final"].info.run_id, "newest"), (other, "others")):
        exported = place.invoke("export", given, "--output", str(tmp_path / "net.pt2"), "--json")
        assert json.loads(exported.stdout)["evaluation"] == name
        assert f"exporting {name}, the newest finished evaluation of what " in exported.stderr
    words = ("export", runs["init-03"].info.run_id, "--tracking-uri", place.uri)
    refused = CliRunner(env=dict.fromkeys(VARIABLES)).invoke(medarts, words)
    assert (refused.exit_code, refused.stderr.count("\n")) == (1, 1)
    assert "is of kind individual, which trains no network to keep" in refused.stderr


@pytest.mark.parametrize("name", ["DARTS_V2", "AmoebaNet"])
def test_a_published_genotype_is_evaluated_on_its_own(name: str, place: Place) -> None:
    result = place.invoke("evaluate", "--genotype", name, "--dataset", "digits", *SMALL, "--json")
    run = MlflowClient(place.uri).get_run(json.loads(result.stdout)["run_id"])
    assert "mlflow.parentRunId" not in run.data.tags
    assert run.info.status == "FINISHED"
    assert "epoch 1/1: train accuracy" in result.stderr


@pytest.fixture
def images() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(0)
    yield rng.integers(0, 256, (60, 16, 16, 3), dtype=np.uint8), np.arange(60) % 3


def search_and_evaluate(place: Place, name: str, *data: str) -> None:
    stage = "{name: only, cells: 3, channels: 2, epochs: 1, images: 1.0, batch: 16, population: 2}"
    derived = "derived={cells: 3, channels: 2, epochs: 1, least_steps: 0, batch: 16}"
    found = place.json("search", "--name", name, *data, "--set", f"stages=[{stage}]", "--set", derived)
    assert found["stages"][-1]["ranked"][0]["genotype"] == found["best"]["genotype"]
    assert 0 <= place.json("evaluate", name, *SMALL, "--set", "batch=16")["test_error"] <= 1


def test_images_in_an_npz_file_are_searched_and_evaluated(
    place: Place, images: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    np.savez(tmp_path / "mine.npz", x_train=images[0], y_train=images[1])
    search_and_evaluate(place, "npz-1", "--dataset", "npz", "--data", str(tmp_path / "mine.npz"))


def test_images_of_mixed_sizes_in_a_folder_are_searched_and_evaluated(
    place: Place, images: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    for number, (pixels, label) in enumerate(zip(*images, strict=True)):
        folder = tmp_path / f"class-{label}"
        folder.mkdir(exist_ok=True)
        Image.fromarray(pixels).resize((16 + number % 5, 16)).save(folder / f"{number}.png")
    search_and_evaluate(place, "folder-1", "--dataset", "folder", "--data", str(tmp_path), "--resolution", "16")


@pytest.mark.slow
def test_two_workers_find_what_one_finds(place: Place, runs: dict[str, Run]) -> None:
    found = place.json("search", "--name", "digits-2", "--set", "runtime.workers=2")
    assert found["best"]["genotype"] == artifact(place, runs["digits-1"], "genotype.json")
    best = MlflowClient(place.uri).get_run(found["best"]["run_id"])
    assert artifact(place, best, "alpha.json") == artifact(place, runs["digits-1"], "alpha.json")


@pytest.mark.slow
def test_an_interrupted_process_leaves_killed_runs_and_no_trace(tmp_path: Path, template_database: Path) -> None:
    place = make_place(tmp_path, template_database)
    words = ["search", "--config", "tiny.yaml", "--name", "long", "--set", "stages.0.epochs=100000"]
    with subprocess.Popen(
        [sys.executable, "-c", RUN_MAIN, *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        begun = any("epoch 1/" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert (begun, process.returncode, stdout) == (True, 130, "")
    assert stderr.splitlines()[-2:] == [
        "interrupted: what was finished is in the store",
        "to go on: medarts resume long",
    ]
    assert "Traceback" not in stderr
    assert [row["status"] for row in place.json("runs")] == ["KILLED"]
    shown = place.json("show", "long")
    assert (shown["failure"], [stage["status"] for stage in shown["stages"]]) == ("interrupted", ["KILLED"])
