"""How much of the objective space a stage's front dominates: one number to follow over the stages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from medarts_ops.config import ResolvedObjective
from medarts_ops.evolution.ranking import oriented_values
from medarts_ops.individual import StageResult

BEYOND_WORST = 0.1  # share of the first stage's range by which the corner lies beyond its worst values


def relative_hypervolume(
    stage: StageResult, first: StageResult, objectives: Sequence[ResolvedObjective]
) -> float | None:
    """The area that the stage's individuals dominate, beside that of a box that the search's `first` stage spans; ≥ 0.

    The box reaches from the first stage's best value of each objective to a tenth of its range beyond the worst, so
    that the ends of a front count, too. So the stages of a search compare: a single individual that has the first
    stage's best of both objectives has 1, a later stage may have more. None where there are not exactly two objectives,
    or the box has no area or no end. Ours: the paper names no such figure.
    """
    if len(objectives) != 2 or not first.ranked:
        return None
    values = oriented_values([ranked.evaluated for ranked in first.ranked], objectives)
    worst, best = values.min(axis=0), values.max(axis=0)
    corner = worst - BEYOND_WORST * (best - worst)
    box = float(np.prod(best - corner))
    if not np.isfinite(box) or box <= 0:
        return None
    return hypervolume(oriented_values([ranked.evaluated for ranked in stage.ranked], objectives), corner) / box


def hypervolume(values: np.ndarray, reference: np.ndarray) -> float:
    """The area that points dominate above a `reference [objective]` (Zitzler and Thiele 1998), in two objectives.

    `values [individual, objective]` are maximised; points that are not above the reference add nothing.
    """
    inside = values[np.all(values > reference, axis=1)]
    area, height = 0.0, float(reference[1])
    for first, second in inside[np.argsort(-inside[:, 0], kind="stable")]:
        if second > height:
            area += float(first - reference[0]) * float(second - height)
            height = float(second)
    return area
