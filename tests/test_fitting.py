"""Nothing starts that can't fit, and what is refused says what would fit."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from factories import make_evaluate_config_tiny, make_search_config_tiny

from medarts_ops import fitting
from medarts_ops.bench.memory_estimate import Setting, check_estimate
from medarts_ops.config import EvaluateConfig, ResolvedSearchConfig, SearchConfig, SpaceConfig, StageConfig
from medarts_ops.data.search_data import SearchData, prepare_search_data
from medarts_ops.errors import ConfigError
from medarts_ops.evaluation import run_evaluation
from medarts_ops.fitting import evaluations_at_a_time, fits, fitted_evaluation, fitted_search, search_bytes
from medarts_ops.observers import DatasetSummary, EvaluationStarted
from medarts_ops.resolving import resolve_config_alone, resolve_evaluate_config, resolve_search_config
from medarts_ops.space.zoo import zoo_genotype

GENOTYPE = zoo_genotype("DARTS_V2")
RUNTIME = {"device": "cpu", "threads": 1, "workers": 1}
PHOTOS = DatasetSummary(
    name="folder",
    class_names=("cat", "dog"),
    n_train=100,
    n_test=20,
    in_channels=3,
    resolution=(64, 64),
    search_resolution=None,
    test_source="test/",
    fingerprint="0" * 16,
)


@pytest.fixture(scope="module")
def data() -> SearchData:
    return prepare_search_data(make_search_config_tiny())


def search(**runtime: object) -> ResolvedSearchConfig:
    tiny = make_search_config_tiny()
    stages = (tiny.stages[0].model_copy(update={"batch": 256}), *tiny.stages[1:])
    asked = tiny.runtime.model_copy(update=runtime)
    return tiny.model_copy(update={"stages": stages, "runtime": asked})


def evaluation(**given: object) -> EvaluateConfig:
    return EvaluateConfig.model_validate({"cells": 5, "channels": 8, "batch": 64, "epochs": 1, **given})


def leave_free(monkeypatch: pytest.MonkeyPatch, n_bytes: float) -> None:
    monkeypatch.setattr(fitting, "free_bytes", lambda device: int(n_bytes))


def bytes_of_first_stage(config: ResolvedSearchConfig, data: SearchData, batch: int) -> int:
    stage = config.stages[0].model_copy(update={"batch": batch})
    return search_bytes(config, stage, data.stages[0].shape)


def test_a_stage_that_does_not_fit_is_refused_with_the_largest_batch_that_does(monkeypatch, data):
    config = search()
    leave_free(monkeypatch, bytes_of_first_stage(config, data, batch=200) + 1000)
    with pytest.raises(
        ConfigError,
        match="^stage 'init' takes about .* in batches of 256: .* free; a batch of 200 fits: set stages.0.batch=200,",
    ):
        fitted_search(config, data)
    assert not fits(config, data)
    stages = (config.stages[0].model_copy(update={"batch": 200}), *config.stages[1:])
    smaller = config.model_copy(update={"stages": stages})
    assert fitted_search(smaller, data) == smaller and fits(smaller, data)


def test_fit_takes_that_batch_says_so_and_records_it(monkeypatch, data, caplog):
    config = search(memory="fit")
    leave_free(monkeypatch, bytes_of_first_stage(config, data, batch=200) + 1000)
    with caplog.at_level(logging.WARNING):
        found = fitted_search(config, data)
    assert [stage.batch for stage in found.stages] == [200, *(stage.batch for stage in config.stages[1:])]
    assert re.search(r"stage 'init': batch lowered from 256 to 200, so that it fits into \S+ MiB", caplog.text)
    assert found == fitted_search(found, data), "what fits is left as it is"


def test_where_no_batch_fits_fewer_channels_or_pixels_are_advised(monkeypatch, data):
    leave_free(monkeypatch, 1000)
    for memory in ("refuse", "fit"):
        with pytest.raises(ConfigError, match="no batch fits; take fewer channels or cells, or a lower dataset.resol"):
            fitted_search(search(memory=memory), data)


def test_ignore_lets_anything_start(monkeypatch, data):
    leave_free(monkeypatch, 0)
    config = search(memory="ignore")
    assert fitted_search(config, data) == config


def test_processes_of_auto_are_fewer_before_anything_is_refused(monkeypatch, data):
    asked = SearchConfig.model_validate(
        make_search_config_tiny().model_dump(mode="json", exclude={"runtime"})
        | {"runtime": {"device": "cpu", "threads": 1, "workers": "auto"}}
    )
    monkeypatch.setattr("medarts_ops.training.at_a_time.available_cores", lambda: 2)
    assert resolve_config_alone(asked, (8, 8)).runtime.workers == 2
    leave_free(monkeypatch, 1.5 * fitting.WORKER_BYTES)
    assert resolve_search_config(asked, data)[0].runtime.workers == 1
    given = asked.model_copy(update={"runtime": asked.runtime.model_copy(update={"workers": 2})})
    with pytest.raises(ConfigError, match=r"fewer at a time \(runtime.workers, runtime.stack\)"):
        resolve_search_config(given, data)


def test_a_glance_never_takes_for_small_what_is_not(data):
    """The bound that spares a closer look is above it, for supernets and networks of any size."""
    sizes = ((3, 4, 4, 8, 8), (8, 16, 64, 8, 8), (20, 16, 8, 8, 8), (3, 16, 4, 16, 8), (3, 16, 4, 16, 16))
    for cells, channels, batch, side, matrix_side in sizes:
        stage = StageConfig(name="init", cells=cells, channels=channels, batch=batch, images=100, population=1)
        tiny = search(matrix_side=matrix_side)
        config = tiny.model_copy(update={"stages": (stage, *tiny.stages[1:]), "space": SpaceConfig()})
        images = np.zeros((80, side, side, 1), dtype=np.uint8)
        sized = replace(data, stages=(replace(data.stages[0], images=images), *data.stages[1:]))
        training = next(iter(fitting._of_search(config, sized)))
        assert training.surely > fitting.held(training.runtime, training.memory(training.batch))
    for stem, cells in (("cifar", 3), ("cifar", 8), ("imagenet", 5)):
        config = resolve_evaluate_config(evaluation(cells=cells, stem=stem), PHOTOS.resolution)
        training = fitting._of_evaluation(config, GENOTYPE, fitting.shape_of(PHOTOS), "", "batch", 1)
        assert training.surely > fitting.held(training.runtime, training.memory(training.batch))


def test_an_evaluation_that_does_not_fit_is_refused_before_it_leaves_anything(monkeypatch, tmp_path):
    leave_free(monkeypatch, 10 * 2**20)
    with pytest.raises(ConfigError, match="the training takes about .* in batches of 256: 10 MiB free; a batch of"):
        run_evaluation(make_evaluate_config_tiny(), GENOTYPE, folder=tmp_path / "job")
    assert not Path(tmp_path / "job").exists()


def test_an_evaluation_that_fits_is_left_as_it_is_and_with_fit_lowered(monkeypatch):
    config = resolve_evaluate_config(evaluation(runtime={"memory": "fit"}), PHOTOS.resolution)
    assert fitted_evaluation(config, GENOTYPE, PHOTOS) == config
    leave_free(monkeypatch, 600e6)
    lowered = fitted_evaluation(config, GENOTYPE, PHOTOS)
    assert 2 <= lowered.batch < config.batch
    assert lowered == config.model_copy(update={"batch": lowered.batch})


def test_an_evaluation_that_would_fit_if_cells_were_computed_again_is_told_so(monkeypatch):
    config = resolve_evaluate_config(evaluation(), PHOTOS.resolution)
    leave_free(monkeypatch, 600e6)
    with pytest.raises(ConfigError) as refused:
        fitted_evaluation(config, GENOTYPE, PHOTOS)
    again = config.model_copy(update={"runtime": config.runtime.model_copy(update={"checkpoint_cells": True})})
    needed = fitting.evaluation_bytes(again, GENOTYPE, fitting.shape_of(PHOTOS))
    assert needed < fitting.evaluation_bytes(config, GENOTYPE, fitting.shape_of(PHOTOS))
    assert ("--checkpoint-cells, which fits" in str(refused.value)) == (needed <= 600e6)
    leave_free(monkeypatch, needed)
    with pytest.raises(ConfigError, match="or take --checkpoint-cells, which fits and is slower, or fewer"):
        fitted_evaluation(config, GENOTYPE, PHOTOS)
    assert fitted_evaluation(again, GENOTYPE, PHOTOS) == again


def test_so_many_evaluations_are_trained_side_by_side_as_fit(monkeypatch):
    config = resolve_evaluate_config(evaluation(), PHOTOS.resolution)
    started = EvaluationStarted(config=config, genotype=GENOTYPE, parameters=1, dataset=PHOTOS)
    one = fitting.evaluation_bytes(config, GENOTYPE, fitting.shape_of(PHOTOS)) + fitting.WORKER_BYTES
    for free, processes in ((100 * one, 4), (3.1 * one, 3), (0, 1)):
        leave_free(monkeypatch, free)
        assert evaluations_at_a_time([started], most=4) == processes


@pytest.mark.parametrize(
    "setting",
    [
        Setting(strategy="darts", cells=4, channels=16, batch=32, resolution=16),
        Setting(cells=5, channels=16, batch=48, resolution=32),
    ],
    ids=["search", "network"],
)
def test_a_process_takes_what_was_estimated_within_a_fifth(setting):
    runtime = {"device": "cpu", "threads": 1}
    tiny = resolve_config_alone(SearchConfig.model_validate({"runtime": {**runtime, "workers": 1}}), (32, 32))
    network = resolve_evaluate_config(EvaluateConfig.model_validate({"runtime": runtime}), (32, 32))
    check = check_estimate(setting, tiny, network)
    assert 0.8 < check.ratio < 1.2, check
