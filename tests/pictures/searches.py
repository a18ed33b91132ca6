"""A made-up search of three stages, ranked and bred by the real functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from factories import Outcome, make_search_config_tiny, make_stages

from medarts_ops.config import ChildrenConfig, StageConfig
from medarts_ops.individual import SearchResult
from medarts_ops.space.zoo import zoo

SIZE = {"cells": 3, "channels": 2, "epochs": 1, "images": 80, "batch": 20}
STAGES = (
    StageConfig(name="init", population=9, **SIZE),
    StageConfig(name="mid", survivors=4, children=4, **SIZE),
    StageConfig(name="final", survivors=1, **SIZE),
)


def make_search(seed: int = 1) -> SearchResult:
    """Eight random individuals and a failed one; four survivors and four children; the one that is found."""
    return _made(STAGES, (8, 8, 1), seed)


def make_large_search() -> SearchResult:
    """Fourteen random individuals, then as many as `make_search` has."""
    return _made(STAGES, (14, 8, 1), seed=1)


def make_search_with_all_operators() -> SearchResult:
    """The same with five children: two by cell swap, and one each by the other operators."""
    children = ChildrenConfig(swap=2, nodewise=1, mutation=1, consensus=1)
    mid = STAGES[1].model_copy(update={"children": children})
    return _made((STAGES[0], mid, STAGES[2]), (8, 9, 1), seed=1)


def _made(stages: Sequence[StageConfig], sizes: Sequence[int], seed: int) -> SearchResult:
    rng = np.random.default_rng(seed)
    genotypes = [entry.genotype for entry in zoo().values()]

    def outcome() -> Outcome:
        accuracy, genotype = float(rng.uniform(0.3, 0.6)), genotypes[int(rng.integers(len(genotypes)))]
        return Outcome(accuracy, float(rng.uniform(2e6, 5e6)), genotype)

    outcomes = [[outcome() for _ in range(number)] for number in sizes]
    config = make_search_config_tiny().model_copy(update={"stages": tuple(stages)})
    return SearchResult(
        search_id="search-test", stages=make_stages(config, [[*outcomes[0], "loss is NaN"], *outcomes[1:]])
    )
