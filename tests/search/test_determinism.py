"""Same seed, same threads, same bits: whatever the number of workers, and whether determinism was asked for or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from factories import make_evaluate_config_tiny, make_genotype, make_search_config_tiny

from medarts_ops.config import AuxiliaryConfig
from medarts_ops.evaluation import run_evaluation
from medarts_ops.individual import SearchResult
from medarts_ops.search import run_search


@pytest.fixture(autouse=True, scope="module")
def process_as_it_was() -> Iterator[None]:
    yield
    torch.use_deterministic_algorithms(False)


def found(result: SearchResult) -> list[Any]:
    """All that a search found, in order: α, objectives, fronts, histories; without what clocks say."""
    clocks = {"seconds", "images_per_second"}
    return [
        (
            ranked.trained.model_dump(mode="json", exclude={"seconds": True, "history": {"__all__": clocks}}),
            ranked.evaluated.objectives,
            ranked.front,
        )
        for stage in result.stages
        for ranked in stage.ranked
    ]


def search(folder: Path, seed: int = 0, **runtime: object) -> list[Any]:
    config = make_search_config_tiny(seed)
    folder.mkdir()
    return found(run_search(config.model_copy(update={"runtime": config.runtime.model_copy(update=runtime)}), folder))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    return search(tmp_path_factory.mktemp("plain") / "search")


@pytest.mark.parametrize("deterministic", [False, True])
def test_two_workers_find_what_one_finds(plain, tmp_path, deterministic):
    assert search(tmp_path / "search", workers=2, deterministic=deterministic) == plain


def test_a_deterministic_search_on_a_cpu_finds_what_any_finds(plain, tmp_path):
    assert search(tmp_path / "search", deterministic=True) == plain
    assert torch.are_deterministic_algorithms_enabled()


def test_another_seed_finds_something_else(plain, tmp_path):
    assert search(tmp_path / "search", seed=1) != plain


def test_a_deterministic_evaluation_on_a_cpu_trains_what_any_trains(tmp_path):
    trained = []
    for deterministic in (False, True):
        config = make_evaluate_config_tiny()
        runtime = config.runtime.model_copy(update={"deterministic": deterministic})
        config = config.model_copy(update={"runtime": runtime, "auxiliary": AuxiliaryConfig()})
        folder = tmp_path / str(deterministic)
        folder.mkdir()
        result = run_evaluation(config, make_genotype("sep_conv_3x3", nodes=2), folder=folder)
        assert torch.are_deterministic_algorithms_enabled() == deterministic
        history = [record.model_dump(exclude={"seconds", "images_per_second"}) for record in result.history]
        trained.append((history, torch.load(folder / "weights.pt", weights_only=True)))
    (history, weights), (deterministic_history, deterministic_weights) = trained
    assert deterministic_history == history
    assert weights.keys() == deterministic_weights.keys()
    assert all(torch.equal(weights[name], deterministic_weights[name]) for name in weights)
