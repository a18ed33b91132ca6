"""Searches that begin at the same moment on stores that nobody has made yet, in processes of their own."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest
from at_once import at_once
from journals import held_of
from kills import exit_code_of, search_config, search_in, stores

from medarts_ops.config import SearchConfig
from medarts_ops.individual import SearchResult
from medarts_ops.journal.journal import Journal
from medarts_ops.journal.kinds import SEARCH
from medarts_ops.observers import SearchFinished
from medarts_ops.tracking.resume import resumed_search
from medarts_ops.tracking.search import tracked_search
from medarts_ops.tracking.stores.opening import open_store
from medarts_ops.tracking.stores.study_storage import open_study_storage
from medarts_ops.tracking.vocabulary import PROPOSAL

TIMED = ("seconds", "hours", "images_per_second", "mlflow.note.content")  # notes say hours
PRODUCTS = ("alpha.json", "genotype.json")
STEP = "medarts_ops.training.bilevel:SearchTraining.step"


def config_of(seed: int, study: str | None = None) -> SearchConfig:
    config = search_config()
    shared = config.proposals.model_copy(update={"study": study})
    return config.model_copy(update={"seed": seed, "proposals": shared})


def search(folder: Path, name: str, seed: int, study: str | None = None) -> Any:
    return partial(tracked_search, config_of(seed, study), name=name, **stores(folder))


def untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: untimed(each) for key, each in value.items() if not any(word in key for word in TIMED)}
    return [untimed(each) for each in value] if isinstance(value, list | tuple) else value


def result_of(folder: Path, name: str) -> SearchResult:
    finished = Journal.open(folder / "work" / name, SEARCH).find(SearchFinished)
    assert isinstance(finished, SearchFinished)
    return finished.result


def products_of(folder: Path, name: str) -> dict[str, Any]:
    """What the artifacts of each run say that its search found."""
    store = open_store(stores(folder)["tracking_uri"])
    return {
        f"{run.name}/{info.path}": store.read_json_artifact(run.run_id, info.path)
        for run in store.runs_of_search(store.experiment_id(), name)
        for info in store._client.list_artifacts(run.run_id)
        if info.path in PRODUCTS
    }


def trials_of(folder: Path, study: str) -> list[Any]:
    found = optuna.load_study(study_name=study, storage=open_study_storage(stores(folder)["storage"])).trials
    told = ("individual", "front", "genotype_hash", PROPOSAL)
    return [
        (trial.number, trial.state.name, trial.params, trial.values, {key: trial.user_attrs.get(key) for key in told})
        for trial in found
    ]


def studies_of(folder: Path) -> set[str]:
    return set(optuna.study.get_all_study_names(open_study_storage(stores(folder)["storage"])))


def everything_of(folder: Path, name: str) -> Any:
    """All that a search found and all that the stores hold of it, without its name, its run ids and its clocks."""
    held = {
        "result": result_of(folder, name).model_dump(mode="json"),
        "runs": held_of(open_store(stores(folder)["tracking_uri"]), name),
        "products": products_of(folder, name),
        "studies": {study: trials_of(folder, study) for study in studies_of(folder) if study.startswith(f"{name}/")},
    }
    return json.loads(json.dumps(untimed(held)).replace(name, "NAME"))


def assert_one_experiment_of(folder: Path, names: set[str]) -> None:
    store = open_store(stores(folder)["tracking_uri"])
    experiments = {experiment.name for experiment in store._client.search_experiments()}
    assert experiments == {"Default", "medarts"}
    assert sorted(run.name for run in store.all_of_kind("search")) == sorted(names)
    assert {study.partition("/")[0] for study in studies_of(folder)} == names
    states = {trial[1] for study in studies_of(folder) for trial in trials_of(folder, study)}
    assert states == {"COMPLETE"}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """All of the searches of seeds 0 and 1, each with stores of its own."""
    folders = [tmp_path_factory.mktemp(f"alone-{seed}") for seed in range(2)]
    ended = at_once([search(folder, "search-alone", seed) for seed, folder in enumerate(folders)])
    assert [each.exit_code for each in ended] == [0, 0]
    return [everything_of(folder, "search-alone") for folder in folders]


@pytest.mark.parametrize("n", [2, 4])
def test_searches_that_begin_at_once_on_new_stores_are_each_as_if_alone(tmp_path: Path, alone: Any, n: int) -> None:
    names = [f"search-{number}" for number in range(n)]
    ended = at_once([search(tmp_path, name, number % 2) for number, name in enumerate(names)])
    assert [(each.exit_code, each.refusal) for each in ended] == [(0, None)] * n
    assert_one_experiment_of(tmp_path, set(names))
    for number, name in enumerate(names):
        assert everything_of(tmp_path, name) == alone[number % 2]
    assert alone[0]["products"] != alone[1]["products"]  # what is mixed up would show


def test_of_two_that_begin_under_one_name_one_is_refused_and_the_other_untouched(tmp_path: Path, alone: Any) -> None:
    ended = at_once([search(tmp_path, "search-same", 0)] * 2)
    assert [each.exit_code for each in ended] == [0, 0]
    (refusal,) = [each.refusal for each in ended if each.refusal is not None]
    assert "name 'search-same' is taken" in refusal and "\n" not in refusal
    assert_one_experiment_of(tmp_path, {"search-same"})
    assert everything_of(tmp_path, "search-same") == alone[0]


def test_of_two_that_resume_one_search_the_second_is_told_who_is_at_work(tmp_path: Path, alone: Any) -> None:
    assert exit_code_of(search_in, tmp_path, STEP, 18, False) == -9
    ended = at_once([partial(resumed_search, "mine", **stores(tmp_path))] * 2)
    assert [each.exit_code for each in ended] == [0, 0]
    first, second = sorted(ended, key=lambda each: each.refusal is not None)
    assert first.refusal is None
    assert second.refusal == (
        f"'mine' is at work in process {first.pid} on '{os.uname().nodename}': wait for it, or end it and resume"
    )
    assert_one_experiment_of(tmp_path, {"mine"})
    assert everything_of(tmp_path, "mine") == alone[0]


def test_two_searches_that_share_a_proposal_study_keep_their_own_trials_in_it(tmp_path: Path) -> None:
    names = ("search-a", "search-b")
    ended = at_once([search(tmp_path, name, seed, study="shared") for seed, name in enumerate(names)])
    assert [(each.exit_code, each.refusal) for each in ended] == [(0, None)] * 2
    trials = trials_of(tmp_path, "shared")
    assert [number for number, *_ in trials] == list(range(len(trials)))
    assert {state for _, state, *_ in trials} == {"COMPLETE"}
    of_trials = sorted(
        (told[PROPOSAL].split("/")[0], params["alpha_lr"], *values) for *_, params, values, told in trials
    )
    of_searches = sorted(
        (name, each.trained.individual.hyperparameters.alpha_lr, *each.evaluated.objectives.values())
        for name in names
        for each in result_of(tmp_path, name).stages[0].ranked
    )
    assert of_trials == of_searches
