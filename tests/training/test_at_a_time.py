"""How many individuals are trained at a time."""

from __future__ import annotations

import os

import pytest
import torch
from factories import make_search_config_tiny, make_search_runtime

from medarts_ops.config import StageConfig
from medarts_ops.config_runtime import SearchRuntimeConfig
from medarts_ops.config_stages import TABLE_II
from medarts_ops.data.search_data import prepare_search_data
from medarts_ops.errors import ConfigError
from medarts_ops.training import at_a_time
from medarts_ops.training.at_a_time import (
    available_cores,
    individuals_that_fit,
    quickest_workers,
    share_of_cores,
    stack_that_fits,
    workers_for,
)
from medarts_ops.training.step_memory import search_memory

POPULATION = StageConfig(name="init", epochs=5, images=10_000, population=8)
LONG_LAST = StageConfig(name="final", cells=8, epochs=15, images=20_000, survivors=1)


CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def nobody_limits_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_a_time, "available_cores", lambda: 2)


def test_a_population_is_trained_by_two_processes_of_one_thread():
    assert quickest_workers([POPULATION], cores=2) == 2


def test_a_long_last_stage_of_one_individual_wants_all_threads_in_one_process():
    assert quickest_workers([POPULATION, LONG_LAST], cores=2) == 1


def test_one_core_is_one_worker():
    assert quickest_workers([POPULATION], cores=1) == 1


def test_more_workers_than_individuals_gain_nothing():
    assert quickest_workers([POPULATION.model_copy(update={"population": 3})], cores=16) <= 3


@pytest.mark.parametrize(("limit", "threads"), [("3", 3), ("3,1", 3), ("16", 8), ("0", 8), ("many", 8), ("", 8)])
def test_the_environment_may_limit_the_threads_of_a_process(monkeypatch, limit, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", limit)
    assert share_of_cores(cores=16, processes=2) == threads
    assert share_of_cores(cores=1, processes=2) == 1


def test_processes_of_one_thread_by_the_environment_are_as_many_as_cores(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert quickest_workers([POPULATION], cores=4) == 4


def test_cores_are_those_that_this_process_may_use(monkeypatch):
    """joblib's own limit stands for a container's, which a test can't set."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    assert available_cores() == 1
    monkeypatch.delenv("LOKY_MAX_CPU_COUNT")
    assert 1 <= available_cores() <= len(os.sched_getaffinity(0))


def test_given_threads_leave_the_other_cores_to_other_workers(two_cores):
    assert workers_for(SearchRuntimeConfig(threads=1), TABLE_II, (CPU,)) == 2
    assert workers_for(SearchRuntimeConfig(threads=2), TABLE_II, (CPU,)) == 1


def test_a_number_of_workers_is_kept():
    assert workers_for(SearchRuntimeConfig(workers=7), TABLE_II, (CPU,)) == 7


def test_this_process_is_one_worker(two_cores):
    assert workers_for(SearchRuntimeConfig(threads=1, executor="local"), TABLE_II, (CPU,)) == 1
    with pytest.raises(ConfigError, match="runtime.workers is 2: this process is one: set --workers 1 "):
        workers_for(SearchRuntimeConfig(workers=2, executor="local"), TABLE_II, (CPU,))


def test_on_a_cpu_a_stack_is_one_individual():
    config = make_search_config_tiny()
    assert stack_that_fits(config, prepare_search_data(config).stages) == 1


def test_on_a_gpu_a_stack_is_what_fits_and_no_more_than_a_stage_has(monkeypatch):
    config = make_search_config_tiny()
    data = prepare_search_data(config).stages
    population = config.stages[0].size
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    config = config.model_copy(update={"runtime": make_search_runtime(device="cuda:0", amp="off")})
    needed = search_memory(config, config.stages[0], data[0].shape).most
    found = []
    for free in (10, int(2 * needed * 1.3), 10**9 * needed):
        monkeypatch.setattr(at_a_time, "free_bytes", lambda device, free=free: free)
        found.append(stack_that_fits(config, data))
    assert found == [1, 2, population]
    config = config.model_copy(update={"runtime": make_search_runtime(device="cuda:0", amp="off", workers=2)})
    assert stack_that_fits(config, data) == -(-population // 2)  # else one of them would have nothing to do


def test_at_least_one_individual_fits():
    assert individuals_that_fit(free=1, needed=100) == 1
    assert individuals_that_fit(free=1000, needed=100) == 8
