"""Which one of many a search found: the paper's highest accuracy, or the highest weighted sum of the objectives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from medarts_ops.config import ResolvedObjective, ResolvedSearchConfig, ResultConfig
from medarts_ops.evolution.ranking import non_dominated_fronts, oriented_values
from medarts_ops.individual import EvaluatedIndividual, StageResult

OTHER_WEIGHT = 0.5
"""The default weight of every objective after the first (ours, by rankings of networks that were really trained)."""


def chosen_one(
    evaluated: Sequence[EvaluatedIndividual], objectives: Sequence[ResolvedObjective], result: ResultConfig
) -> EvaluatedIndividual:
    """The one that `result` chooses, of one or more individuals that stand in the order of their birth.

    Only non-dominated ones are candidates. `accuracy` takes the highest acc_valid (the paper's final choice), and
    of equal ones the first; `weighted` the highest sum of `weighted_sums`, of equal ones the better in the first
    objective, then the first.

    Raises:
        SearchError: an individual lacks one of the objectives.
    """
    values = oriented_values(evaluated, objectives)
    front = non_dominated_fronts(values)[0]
    if result.rule == "accuracy":
        return evaluated[max(front, key=lambda place: (evaluated[place].trained.valid_accuracy, -place))]
    sums = weighted_sums(values, list(weights_of(result, objectives).values()))
    return evaluated[max(front, key=lambda place: (sums[place], values[place, 0], -place))]


def found_in(
    stages: Sequence[StageResult], objectives: Sequence[ResolvedObjective], result: ResultConfig
) -> EvaluatedIndividual:
    """What a search of one or more finished stages found: the last stage's best, or the one of all stages.

    Of all stages those are left out whose genotypes' short trainings a budget ended earlier than another stage's: what
    was trained less is no worse for that.
    """
    if result.stages == "last":
        return stages[-1].best.evaluated
    longest = max(stage.short_epochs for stage in stages)
    born = [
        ranked.evaluated
        for stage in stages
        if stage.short_epochs == longest
        for ranked in sorted(stage.ranked, key=lambda ranked: ranked.trained.individual.number)
    ]
    return chosen_one(born, objectives, result)


def weighted_sums(values: np.ndarray, weights: Sequence[float]) -> NDArray[np.float64]:
    """Σ weight · f [individual], where f = (x - min) / (max - min) of each objective over all individuals given.

    `values [individual, objective]` are finite and maximised. An objective that is equal for all adds nothing.

    ME-DARTS, Eq. 6, whose x / (max - min) differs by a constant, and so gives the same order.
    """
    points = np.asarray(values, dtype=np.float64)
    low, spread = points.min(axis=0), np.ptp(points, axis=0)
    shares = np.divide(points - low, spread, out=np.zeros_like(points), where=spread > 0)
    # Sums of rounded shares would tell equal candidates apart by the order of their objectives.
    sums: NDArray[np.float64] = np.round(shares @ np.asarray(weights, dtype=np.float64), 12)
    return sums


def weights_of(result: ResultConfig, objectives: Sequence[ResolvedObjective]) -> Mapping[str, float]:
    """The weight of each objective, by its name and in their order: 0 where weights are given and leave it out."""
    names = [objective.name for objective in objectives]
    if result.weights:
        return {name: result.weights.get(name, 0.0) for name in names}
    return {name: OTHER_WEIGHT if place else 1.0 for place, name in enumerate(names)}


def deciding_objective(result: ResultConfig, objectives: Sequence[ResolvedObjective]) -> str:
    """The objective that says most about who is chosen: acc_valid, or the first one of the highest weight.

    `accuracy` under rule `accuracy` is acc_valid, whether or not it is among the objectives.
    """
    if result.rule == "accuracy":
        return "accuracy"
    weights = weights_of(result, objectives)
    return max(weights, key=lambda name: weights[name])


def deciding_value(one: EvaluatedIndividual, deciding: str) -> float:
    """What an individual has of the objective that `deciding_objective` gave."""
    return one.trained.valid_accuracy if deciding == "accuracy" else one.objectives[deciding]


def rule_in_words(config: ResolvedSearchConfig) -> str:
    """By which rule a search chooses the one that it found, as a clause."""
    of = "the last stage" if config.result.stages == "last" else "all stages"
    if config.result.rule == "accuracy":
        return f"highest accuracy among the non-dominated of {of}"
    weights = weights_of(config.result, config.objectives)
    terms = " + ".join(name if weight == 1 else f"{weight:g} · {name}" for name, weight in weights.items() if weight)
    return f"highest {terms} among the non-dominated of {of}, each scaled by its range"
