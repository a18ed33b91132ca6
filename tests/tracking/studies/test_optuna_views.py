"""Optuna's own plots of a search's studies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from factories import make_search_config_tiny
from optuna.storages import BaseStorage

from medarts_ops.config import ProposalsConfig, RangeConfig
from medarts_ops.tracking.search import TrackedSearch, tracked_search
from medarts_ops.tracking.stores.study_storage import open_study_storage


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> tuple[TrackedSearch, BaseStorage]:
    """A real search, and its Optuna storage, which keeps no connection."""
    folder = tmp_path_factory.mktemp("optuna-views")
    (folder / "mlflow.db").write_bytes(template_database.read_bytes())
    space = {"alpha_lr": RangeConfig(low=3e-4, high=6e-3), "weights_lr": RangeConfig(low=0.01, high=0.1)}
    config = make_search_config_tiny().model_copy(update={"proposals": ProposalsConfig(space=space)})
    storage = f"sqlite:///{folder / 'optuna.db'}"
    found = tracked_search(
        config,
        name="tiny",
        tracking_uri=f"sqlite:///{folder / 'mlflow.db'}",
        storage=storage,
        work_dir=folder / "work",
        pictures=False,
    )
    return found, open_study_storage(storage)


@pytest.mark.slow
def test_each_stages_front_is_plotted_with_the_names_of_its_objectives(
    searched: tuple[TrackedSearch, BaseStorage],
) -> None:
    found, storage = searched
    for stage in found.result.stages:
        study = optuna.load_study(study_name=f"tiny/{stage.name}", storage=storage)
        figure = optuna.visualization.plot_pareto_front(study)
        assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("accuracy", "params")
        points = {point for trace in figure.data for point in zip(trace.x, trace.y, strict=True)}
        assert points == {tuple(ranked.evaluated.objectives.values()) for ranked in stage.ranked}


@pytest.mark.slow
@pytest.mark.parametrize("study", ["proposals", "init"])
@pytest.mark.parametrize("plot", [optuna.visualization.plot_slice, optuna.visualization.plot_parallel_coordinate])
def test_the_first_stages_hyperparameters_are_plotted_against_accuracy(
    searched: tuple[TrackedSearch, BaseStorage], study: str, plot: Callable[..., Any]
) -> None:
    found, storage = searched
    loaded = optuna.load_study(study_name=f"tiny/{study}", storage=storage)
    figure = plot(loaded, target=lambda trial: trial.values[0], target_name="accuracy")
    text = figure.to_json()
    assert "alpha_lr" in text and "weights_lr" in text and "accuracy" in text
    assert len(loaded.trials) == len(found.result.stages[0].ranked)
