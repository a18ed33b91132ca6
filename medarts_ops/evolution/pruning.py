"""Who of a population goes on before its stage is over, and who is ended."""

from __future__ import annotations

from collections.abc import Sequence

from medarts_ops.config import ResolvedObjective
from medarts_ops.evolution.ranking import rank, survivors
from medarts_ops.individual import EvaluatedIndividual, PrunedIndividual, RankedIndividual, without_epoch_alphas


def pruned_population(
    evaluated: Sequence[EvaluatedIndividual], objectives: Sequence[ResolvedObjective], n: int
) -> tuple[tuple[str, ...], tuple[PrunedIndividual, ...]]:
    """Ids of the `n` that go on, chosen as a stage's survivors are, and the others, both from best to worst.

    Raises:
        SearchError: an individual lacks one of the objectives.
    """
    ranked = rank(evaluated, objectives)
    kept = survivors(ranked, n)
    return tuple(one.id for one in kept), tuple(_ended(one) for one in ranked[len(kept) :])


def _ended(ranked: RankedIndividual) -> PrunedIndividual:
    evaluated = without_epoch_alphas(ranked.evaluated)
    return PrunedIndividual(
        individual=evaluated.trained.individual,
        objectives=evaluated.objectives,
        front=ranked.front,
        history=evaluated.trained.history,
    )
