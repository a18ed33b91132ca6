"""Which one is found: on fronts drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest
from factories import make_derived, make_evaluated, make_individual, make_ranked, make_stage_result, make_trained

from medarts_ops.config import ResolvedObjective, ResultConfig
from medarts_ops.evolution.choice import chosen_one, deciding_objective, found_in, weighted_sums, weights_of
from medarts_ops.individual import EvaluatedIndividual, StageResult

OBJECTIVES = (
    ResolvedObjective(name="accuracy", direction="maximize"),
    ResolvedObjective(name="params", direction="maximize"),
)
WEIGHTED = ResultConfig(rule="weighted")


def drawn(*points: tuple[float, float]) -> list[EvaluatedIndividual]:
    return [make_evaluated(accuracy, params, number) for number, (accuracy, params) in enumerate(points)]


def chosen(
    *points: tuple[float, float],
    result: ResultConfig = WEIGHTED,
    objectives: tuple[ResolvedObjective, ...] = OBJECTIVES,
) -> int:
    return chosen_one(drawn(*points), objectives, result).trained.individual.number


def test_the_highest_weighted_sum_of_scaled_objectives_is_found() -> None:
    # Accuracy 0, 0.8, 1 and parameters 1, 0.5, 0 of their ranges: 0.5, 1.05, 1.
    assert chosen((0.40, 4e6), (0.48, 3e6), (0.50, 2e6)) == 1
    assert chosen((0.40, 4e6), (0.48, 3e6), (0.50, 2e6), result=ResultConfig(rule="accuracy")) == 2
    only_size = ResultConfig(rule="weighted", weights={"params": 1.0})
    assert chosen((0.40, 4e6), (0.48, 3e6), (0.50, 2e6), result=only_size) == 0


@pytest.mark.parametrize("scale", [1e-6, 7.0])
@pytest.mark.parametrize("shift", [0.0, 0.25])
def test_rescaling_or_shifting_an_objective_changes_nothing(scale: float, shift: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        points = rng.random((8, 2))
        moved = points * [1.0, scale] + [shift, 0.0]
        assert chosen(*map(tuple, points)) == chosen(*map(tuple, moved))


def test_eq_6_which_divides_by_the_range_alone_chooses_the_same() -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        points = rng.random((8, 2))
        eq_6 = points / (points.max(axis=0) - points.min(axis=0)) @ [1.0, 0.5]
        assert chosen(*map(tuple, points)) == int(eq_6.argmax())


def test_a_dominated_point_is_never_found_even_where_its_only_weighted_objective_is_as_good() -> None:
    only_accuracy = ResultConfig(rule="weighted", weights={"accuracy": 1.0})
    assert chosen((0.5, 2e6), (0.5, 3e6), result=only_accuracy) == 1
    rng = np.random.default_rng(2)
    for _ in range(50):
        points = rng.random((8, 2))
        one = points[chosen(*map(tuple, points))]
        assert not (np.all(points >= one, axis=1) & np.any(points > one, axis=1)).any()


def test_an_objective_that_is_equal_for_all_adds_nothing() -> None:
    assert chosen((0.4, 3e6), (0.5, 3e6)) == 1
    assert weighted_sums(np.array([[0.4, 3.0], [0.5, 3.0]]), [1.0, 0.5]).tolist() == [0.0, 1.0]


def test_ties_go_to_the_first_objective_and_then_to_the_first_born() -> None:
    equal_weights = ResultConfig(rule="weighted", weights={"accuracy": 1.0, "params": 1.0})
    assert chosen((0.4, 4e6), (0.5, 2e6), result=equal_weights) == 1
    assert chosen((0.5, 4e6), (0.5, 4e6)) == 0


def test_one_point_is_found() -> None:
    assert chosen((0.5, 2e6)) == 0


def test_minimised_objectives_are_the_mirror_of_maximised_ones() -> None:
    mirrored = tuple(one.model_copy(update={"direction": "minimize"}) for one in OBJECTIVES)
    points = ((0.40, 4e6), (0.48, 3e6), (0.50, 2e6))
    assert chosen(*((1 - a, 9e6 - p) for a, p in points), objectives=mirrored) == chosen(*points)


def test_without_weights_the_first_objective_has_one_and_every_other_half_of_it() -> None:
    assert weights_of(WEIGHTED, OBJECTIVES) == {"accuracy": 1.0, "params": 0.5}
    assert weights_of(ResultConfig(weights={"params": 2.0}), OBJECTIVES) == {"accuracy": 0.0, "params": 2.0}


@pytest.mark.parametrize(
    ("result", "deciding"),
    [
        (ResultConfig(), "accuracy"),
        (WEIGHTED, "accuracy"),
        (ResultConfig(rule="weighted", weights={"params": 1.0}), "params"),
        (ResultConfig(rule="weighted", weights={"params": 0.5, "accuracy": 0.5}), "accuracy"),
    ],
)
def test_the_objective_that_decides_is_acc_valid_or_that_of_the_highest_weight(
    result: ResultConfig, deciding: str
) -> None:
    assert deciding_objective(result, OBJECTIVES) == deciding


def stage_of(number: int, accuracy: float, short_epochs: int) -> StageResult:
    """A stage of one individual, whose genotype was trained by itself for so many epochs."""
    derived = make_derived(epochs=short_epochs) if short_epochs else None
    trained = make_trained(make_individual(number), valid_accuracy=accuracy, derived=derived)
    return make_stage_result([make_ranked(number, accuracy, trained=trained)])


@pytest.mark.parametrize(
    "short_epochs, found",
    [((4, 4, 4), 1), ((4, 2, 4), 2), ((2, 1, 1), 0), ((0, 0, 0), 1)],
)
def test_of_all_stages_those_are_compared_whose_genotypes_were_trained_equally_long(
    short_epochs: tuple[int, int, int], found: int
) -> None:
    stages = [stage_of(number, (0.5, 0.9, 0.6)[number], epochs) for number, epochs in enumerate(short_epochs)]
    of_all = ResultConfig(rule="weighted", stages="all")
    assert found_in(stages, OBJECTIVES, of_all).trained.individual.number == found
