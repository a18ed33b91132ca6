"""How many individuals are trained at a time."""

from __future__ import annotations

import pytest
import torch
from factories import make_search_config_tiny

from medarts_ops.config import SearchConfig, SearchRuntimeConfig, StageConfig
from medarts_ops.data.search_data import prepare_search_data
from medarts_ops.search import resolve_config
from medarts_ops.training import side_by_side
from medarts_ops.training.side_by_side import individuals_that_fit, quickest_workers, resolve_stack, resolve_workers

POPULATION = StageConfig(name="init", epochs=5, images=10_000, population=8)
LONG_LAST = StageConfig(name="final", cells=8, epochs=15, images=20_000, survivors=1)


def with_runtime(config: SearchConfig, **values: object) -> SearchConfig:
    return config.model_copy(update={"runtime": config.runtime.model_copy(update=values)})


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_by_side, "available_cores", lambda: 2)


def test_a_population_is_trained_by_two_processes_of_one_thread():
    assert quickest_workers([POPULATION], cores=2) == 2


def test_a_long_last_stage_of_one_individual_wants_all_threads_in_one_process():
    assert quickest_workers([POPULATION, LONG_LAST], cores=2) == 1


def test_one_core_is_one_worker():
    assert quickest_workers([POPULATION], cores=1) == 1


def test_more_workers_than_individuals_gain_nothing():
    assert quickest_workers([POPULATION.model_copy(update={"population": 3})], cores=16) <= 3


def test_given_threads_leave_the_other_cores_to_other_workers(two_cores):
    config = with_runtime(SearchConfig(), workers="auto", threads=1, device="cpu")
    assert resolve_workers(config).runtime.workers == 2
    assert resolve_workers(with_runtime(config, threads=2)).runtime.workers == 1


def test_a_number_of_workers_is_kept():
    assert resolve_workers(with_runtime(SearchConfig(), workers=7)).runtime.workers == 7


def test_every_auto_is_a_number_once_a_search_starts(two_cores):
    config = resolve_config(make_search_config_tiny().model_copy(update={"runtime": SearchRuntimeConfig(device="cpu")}))
    config = resolve_stack(config, prepare_search_data(config).stages)
    assert "auto" not in config.runtime.model_dump().values()
    assert config.runtime.stack == 1 and config.runtime.cuda_graphs == "off"


def test_on_a_gpu_a_stack_is_what_fits_and_no_more_than_a_stage_has(monkeypatch):
    config = with_runtime(make_search_config_tiny(), stack="auto")
    data = prepare_search_data(config).stages
    population = config.stages[0].size
    monkeypatch.setattr(side_by_side, "resolve_device", lambda name: torch.device("meta"))
    monkeypatch.setattr(side_by_side, "peak_bytes_on_gpu", lambda step, device: 100)
    found = []
    for free in (10, 2 * 100 * 1.3, 10**9):
        monkeypatch.setattr(side_by_side, "free_bytes", lambda device, free=free: int(free))
        found.append(resolve_stack(config, data).runtime.stack)
    assert found == [1, 2, population]


def test_at_least_one_individual_fits():
    assert individuals_that_fit(free=1, needed=100) == 1
    assert individuals_that_fit(free=1000, needed=100) == 8
