"""The order of a stage's individuals: non-dominated fronts, crowding distance, survivors (NSGA-II)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from medarts_ops.config import ResolvedObjective, SearchConfig
from medarts_ops.errors import SearchError
from medarts_ops.individual import EvaluatedIndividual, RankedIndividual, StageResult


def rank(
    evaluated: Sequence[EvaluatedIndividual], objectives: Sequence[ResolvedObjective]
) -> tuple[RankedIndividual, ...]:
    """All individuals from best to worst, whatever order they come in.

    By front, then by crowding distance (larger first), then by the first objective (better first), then by individual
    number (lower first). Both ends of a front are infinitely far, so the first of all is front 0's individual with the
    best first objective: one survivor is the most accurate, never the one that merely has the most parameters.

    ME-DARTS divides objectives by their range (Eq. 6): a positive rescale, which changes no front and which crowding
    distance does by itself, so values stay in their own units. Individuals with equal genotypes all stay, since their
    α differ. The order within and between fronts is NSGA-II's (Deb et al. 2002), the last two ties are ours.

    Raises:
        SearchError: an individual lacks one of the objectives.
    """
    by_number = sorted(evaluated, key=lambda one: one.trained.individual.number)
    values = oriented_values(by_number, objectives)
    ranked: list[RankedIndividual] = []
    for front, members in enumerate(non_dominated_fronts(values)):
        distances = crowding_distances(values[members])
        order = sorted(
            range(len(members)), key=lambda place: (-distances[place], -values[members[place], 0], members[place])
        )
        ranked += [
            RankedIndividual(
                evaluated=by_number[members[place]], front=front, crowding_distance=float(distances[place])
            )
            for place in order
        ]
    return tuple(ranked)


def survivors(ranked: Sequence[RankedIndividual], n: int) -> tuple[RankedIndividual, ...]:
    """The first `n` ≥ 0 of `rank`'s order, fewer when fewer were ranked: whole fronts, the last cut by crowding."""
    return tuple(ranked[:n])


def chosen_from(stage: StageResult, config: SearchConfig) -> frozenset[str]:
    """Ids of those that go on from a finished stage; none if none was ranked.

    Of the last one that which the search finds, unless it finds it among all stages, of which no stage knows.
    """
    following = config.stages[stage.index + 1 :]
    if not stage.ranked or (not following and config.result.stages == "all"):
        return frozenset()
    if not following:
        return frozenset({stage.best.id})
    return frozenset(ranked.id for ranked in survivors(stage.ranked, following[0].survivors or 0))


def dominates(one: np.ndarray, other: np.ndarray) -> NDArray[np.bool_]:
    """Whether `one [..., objective]` is no worse than `other [..., objective]` in all and better in one objective.

    All objectives are maximised; a NaN counts as worst. Equal points do not dominate each other. Leading axes
    broadcast.

    Deb et al. 2002, section III-A. Eq. 7 of ME-DARTS asks for strict gain in every objective; we follow NSGA-II,
    which the paper says it follows. The two differ on ties only.
    """
    better, worse = _without_nan(one), _without_nan(other)
    dominance: NDArray[np.bool_] = np.all(better >= worse, axis=-1) & np.any(better > worse, axis=-1)
    return dominance


def non_dominated_fronts(values: np.ndarray) -> list[list[int]]:
    """Sort individuals, `values [individual, objective]`, into fronts; front 0 is the non-dominated one.

    All objectives are maximised. Equal individuals share a front. A NaN counts as worst, as -inf does; +inf is
    best. Each front lists its individuals ascending; no individuals give no fronts.

    Deb et al. 2002, section III-A, with the dominance of `dominates`.
    """
    points = np.asarray(values)
    dominance = dominates(points[:, None, :], points[None, :, :])  # [individual, individual that it dominates]
    remaining = np.ones(len(points), dtype=bool)
    fronts: list[list[int]] = []
    while remaining.any():
        front = remaining & ~dominance[remaining].any(axis=0)
        fronts.append([int(index) for index in np.flatnonzero(front)])
        remaining &= ~front
    return fronts


def crowding_distances(values: np.ndarray) -> NDArray[np.float64]:
    """How far each individual of one front, `values [individual, objective]`, is from its neighbours; ≥ 0.

    The sum over objectives of the gap between the next lower and the next higher neighbour, as a share of the front's
    range. The lowest and the highest of each objective are infinitely far; of equal ones the first is the end. One or
    two individuals are both infinitely far. An objective that is equal for the whole front adds nothing and has no
    ends. Infinite values (a NaN is -inf) widen no range; a gap to an infinite neighbour is infinite.

    Deb et al. 2002, section III-B; the rules for equal and infinite values are ours (as in Optuna's NSGA-II).
    """
    points = _without_nan(values)
    if len(points) <= 2:
        return np.full(len(points), np.inf)
    distances: NDArray[np.float64] = np.sum([_gaps(column) for column in points.T], axis=0)
    return distances


def _gaps(column: NDArray[np.float64]) -> NDArray[np.float64]:
    """One objective's share of the crowding distances, `[individual]`."""
    lowest, highest = column.min(), column.max()
    if lowest == highest:
        return np.zeros(len(column))
    finite = column[np.isfinite(column)]
    spread = float(np.ptp(finite)) if len(finite) else 0.0
    # Equal values stand in order, but at the top in reverse, so that the first individual is the end on both sides.
    index = np.arange(len(column))
    order = np.lexsort((np.where(column == highest, -index, index), column))
    gaps = np.full(len(column), np.inf)
    for left, middle, right in zip(order, order[1:], order[2:], strict=False):
        equal = column[left] == column[right]  # also keeps inf - inf out
        gaps[middle] = 0.0 if equal else (column[right] - column[left]) / (spread or 1.0)
    return gaps


def oriented_values(
    evaluated: Sequence[EvaluatedIndividual], objectives: Sequence[ResolvedObjective]
) -> NDArray[np.float64]:
    """The objectives, all to be maximised, [individual, objective]; a NaN is -inf. SearchError if one is missing."""
    values = np.empty((len(evaluated), len(objectives)))
    for row, one in enumerate(evaluated):
        for column, objective in enumerate(objectives):
            if objective.name not in one.objectives:
                raise SearchError(
                    f"individual {one.id} has no objective {objective.name!r}: got {', '.join(one.objectives)}; "
                    "measure it before ranking"
                )
            value = one.objectives[objective.name]
            values[row, column] = value if objective.direction == "maximize" else -value
    return _without_nan(values)


def _without_nan(values: np.ndarray) -> NDArray[np.float64]:
    points = np.array(values, dtype=np.float64)
    points[np.isnan(points)] = -np.inf
    return points
