"""A made-up search of three stages, ranked and bred by the real functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from factories import make_evaluated, make_failed, make_individual, make_trained

from medarts_ops.config import ResolvedObjective
from medarts_ops.evolution.crossover import crossover
from medarts_ops.evolution.inheritance import inherit
from medarts_ops.evolution.ranking import rank, survivors
from medarts_ops.individual import Individual, SearchResult, StageResult
from medarts_ops.space.zoo import zoo

OBJECTIVES = (
    ResolvedObjective(name="accuracy", direction="maximize"),
    ResolvedObjective(name="params", direction="maximize"),
)


def make_search(seed: int = 1) -> SearchResult:
    """Eight random individuals and a failed one; four survivors and four children; the one that is found."""
    rng = np.random.default_rng(seed)
    first = _stage(rng, 0, "init", [make_individual(number) for number in range(8)])
    first = first.model_copy(update={"failed": (make_failed(8),)})
    chosen = survivors(first.ranked, 4)
    second = _stage(rng, 1, "mid", [*inherit(chosen, 1, "mid"), *crossover(chosen, 4, 1, "mid", 4)])
    third = _stage(rng, 2, "final", inherit(survivors(second.ranked, 1), 2, "final"))
    return SearchResult(search_id="search-test", stages=(first, second, third))


def _stage(rng: np.random.Generator, index: int, name: str, individuals: Sequence[Individual]) -> StageResult:
    genotypes = [entry.genotype for entry in zoo().values()]
    evaluated = []
    for individual in individuals:
        accuracy = float(rng.uniform(0.3, 0.6))
        genotype = genotypes[int(rng.integers(len(genotypes)))]
        trained = make_trained(individual, valid_accuracy=accuracy, genotype=genotype)
        evaluated.append(make_evaluated(accuracy, float(rng.uniform(2e6, 5e6)), trained=trained))
    return StageResult(index=index, name=name, ranked=rank(evaluated, OBJECTIVES), failed=(), seconds=9.0)
