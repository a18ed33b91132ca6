"""All children of a stage: what each operator makes of the survivors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medarts_ops.config_stages import ChildrenConfig
from medarts_ops.evolution.consensus import consensus
from medarts_ops.evolution.crossover import crossover
from medarts_ops.evolution.mutation import mutation
from medarts_ops.evolution.nodewise import nodewise_crossover
from medarts_ops.evolution.offspring import Offspring
from medarts_ops.individual import RankedIndividual
from medarts_ops.space.search_space import SearchSpace


def children_of(
    survivors: Sequence[RankedIndividual], planned: ChildrenConfig, space: SearchSpace, rng: np.random.Generator
) -> tuple[Offspring, ...]:
    """Children by cell swap, node-wise crossover, mutation and consensus, in this order; fewer where fewer survived.

    Survivors stand best first. Cell swap and consensus draw nothing.
    """
    possible = planned.possible_with(len(survivors))
    return (
        *crossover(survivors, possible.swap),
        *nodewise_crossover(survivors, possible.nodewise, space, rng),
        *mutation(survivors, possible.mutation, rng),
        *(consensus(survivors) for _ in range(possible.consensus)),
    )
