"""Fronts, crowding distance and the order of survivors, on fronts drawn by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from factories import make_evaluated

from medarts_ops.config import ResolvedObjective, ResultConfig, SearchConfig
from medarts_ops.errors import SearchError
from medarts_ops.evolution.ranking import (
    chosen_from,
    crowding_distances,
    dominates,
    non_dominated_fronts,
    rank,
    survivors,
)
from medarts_ops.individual import EvaluatedIndividual, StageResult

BOTH = (
    ResolvedObjective(name="accuracy", direction="maximize"),
    ResolvedObjective(name="params", direction="maximize"),
)
SMALL = (
    ResolvedObjective(name="accuracy", direction="maximize"),
    ResolvedObjective(name="params", direction="minimize"),
)
INF, NAN = math.inf, math.nan


def numbers(evaluated: list[EvaluatedIndividual], objectives: tuple[ResolvedObjective, ...] = BOTH) -> list[int]:
    return [one.trained.individual.number for one in rank(evaluated, objectives)]


def population(*points: tuple[float, float]) -> list[EvaluatedIndividual]:
    return [make_evaluated(accuracy, params, number) for number, (accuracy, params) in enumerate(points)]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((1, 1), (1, 1), False),
        ((1, 2), (1, 1), True),
        ((2, 0), (1, 1), False),
        ((2, 2), (1, 1), True),
        ((1, 0), (1, NAN), True),
        ((NAN, NAN), (1, 1), False),
        ((1, NAN), (1, -INF), False),
        ((INF, 1), (INF, 0), True),
    ],
)
def test_dominance_is_no_worse_in_all_and_better_in_one(
    one: tuple[float, float], other: tuple[float, float], expected: bool
) -> None:
    assert bool(dominates(np.array(one), np.array(other))) is expected


def test_a_drawing_of_three_fronts() -> None:
    """
    params
    3 |  0     .     .
    2 |  3     1     .
    1 |  5     4     2
      +--1-----2-----3-- accuracy
    """
    values = np.array([(1, 3), (2, 2), (3, 1), (1, 2), (2, 1), (1, 1)])
    assert non_dominated_fronts(values) == [[0, 1, 2], [3, 4], [5]]


def test_equal_individuals_share_a_front() -> None:
    assert non_dominated_fronts(np.ones((4, 2))) == [[0, 1, 2, 3]]


def test_no_individuals_have_no_fronts() -> None:
    assert non_dominated_fronts(np.empty((0, 2))) == []
    assert rank([], BOTH) == ()


def test_an_individual_with_nan_is_behind_every_other() -> None:
    assert non_dominated_fronts(np.array([(NAN, NAN), (0.1, 1), (NAN, 0)])) == [[1], [2], [0]]


def test_crowding_is_the_share_of_the_range_between_both_neighbours() -> None:
    values = np.array([(0, 10), (1, 9), (4, 4), (10, 0)])
    # 1: (4 - 0) / 10 + (10 - 4) / 10; 2: (10 - 1) / 10 + (9 - 0) / 10
    assert crowding_distances(values) == pytest.approx([INF, 1.0, 1.8, INF])


@pytest.mark.parametrize("n", [0, 1, 2])
def test_one_or_two_individuals_are_infinitely_far(n: int) -> None:
    assert crowding_distances(np.ones((n, 2))).tolist() == [INF] * n


def test_a_front_without_range_has_no_distance_and_no_nan() -> None:
    assert crowding_distances(np.full((3, 2), 7.0)).tolist() == [0, 0, 0]


def test_of_equal_ends_the_first_individual_is_the_end() -> None:
    values = np.array([(9, 0), (9, 0), (5, 5), (0, 9), (0, 9)])
    assert np.isinf(crowding_distances(values)).tolist() == [True, False, False, True, False]


def test_distances_are_the_same_in_every_unit() -> None:
    values = np.random.default_rng(0).normal(size=(9, 2))
    assert crowding_distances(values * [1e-3, 1e6]) == pytest.approx(crowding_distances(values))


def test_infinite_values_give_distances_without_nan() -> None:
    distances = crowding_distances(np.array([(INF, 0), (INF, 0), (1, 5), (-INF, 9), (2, 3), (NAN, 9)]))
    assert not np.isnan(distances).any()
    assert (distances >= 0).all()


def test_a_single_survivor_of_a_two_ended_front_is_the_most_accurate() -> None:
    evaluated = population((0.5, 9e6), (0.7, 5e6), (0.9, 1e6))
    assert survivors(rank(evaluated, BOTH), 1)[0].trained.individual.number == 2
    assert numbers(evaluated) == [2, 0, 1]


def test_a_front_that_does_not_fit_is_cut_by_crowding() -> None:
    evaluated = population((0.9, 0), (0.8, 1), (0.5, 5), (0.1, 9), (0.0, 10))
    kept = survivors(rank(evaluated, BOTH), 3)
    assert [one.trained.individual.number for one in kept] == [0, 4, 2]


def test_equal_individuals_are_ordered_by_number() -> None:
    assert numbers(population(*[(0.5, 1e6)] * 5)) == [0, 1, 2, 3, 4]


def test_the_order_of_arrival_changes_nothing() -> None:
    points = [(0.9, 1), (0.9, 1), (0.5, 5), (0.5, 5), (0.1, 9), (0.1, 9), (0.4, 4)]
    evaluated = population(*points)
    shuffled = [evaluated[index] for index in np.random.default_rng(1).permutation(len(points))]
    assert rank(shuffled, BOTH) == rank(evaluated, BOTH)


def test_a_minimised_objective_turns_the_front_round() -> None:
    evaluated = population((0.9, 1e6), (0.5, 9e6), (0.5, 1e5))
    assert [(one.trained.individual.number, one.front) for one in rank(evaluated, SMALL)] == [(0, 0), (2, 0), (1, 1)]


@pytest.mark.parametrize("objectives", [BOTH, SMALL])
def test_a_nan_is_worst_in_either_direction(objectives: tuple[ResolvedObjective, ...]) -> None:
    evaluated = population((0.5, NAN), (0.5, 1e6), (0.5, 2e6))
    assert rank(evaluated, objectives)[-1].trained.individual.number == 0


def test_one_objective_alone_gives_its_order() -> None:
    assert numbers(population((0.2, 0), (0.9, 0), (0.5, 0)), BOTH[:1]) == [1, 2, 0]


def test_fewer_ranked_than_wanted_all_survive() -> None:
    ranked = rank(population((0.2, 0), (0.9, 0)), BOTH)
    assert survivors(ranked, 8) == ranked


def test_an_individual_without_the_objective_is_an_error_that_names_it() -> None:
    with pytest.raises(SearchError, match="init-00 has no objective 'latency': got accuracy, params"):
        rank(
            population((0.5, 1)),
            (
                ResolvedObjective(name="accuracy", direction="maximize"),
                ResolvedObjective(name="latency", direction="maximize"),
            ),
        )


def test_who_goes_on_is_the_next_stages_number_and_after_the_last_the_best() -> None:
    ranked = rank(population((0.1, 5), (0.9, 1), (0.5, 3)), BOTH)
    stage = StageResult(index=0, name="init", ranked=ranked, failed=(), seconds=1.0)
    first, second, _ = SearchConfig().stages
    two = SearchConfig(stages=(first, second.model_copy(update={"survivors": 2, "children": 2})))
    assert chosen_from(stage, two) == {one.id for one in ranked[:2]}
    assert chosen_from(stage, SearchConfig(stages=(first,))) == {"init-01"}
    of_all = ResultConfig(rule="weighted", stages="all")  # what is found then may be of another stage
    assert chosen_from(stage, SearchConfig(stages=(first,), result=of_all)) == frozenset()
    assert chosen_from(stage.model_copy(update={"ranked": ()}), two) == frozenset()
