"""The hypervolume of fronts, held to moocore's."""

from __future__ import annotations

import moocore
import numpy as np
import pytest
from factories import make_ranked, make_stage_result

from medarts_ops.config import ResolvedObjective
from medarts_ops.evolution.hypervolume import hypervolume, relative_hypervolume
from medarts_ops.individual import StageResult

TWO = (ResolvedObjective(name="accuracy", direction="maximize"), ResolvedObjective(name="params", direction="minimize"))


@pytest.mark.parametrize("seed", range(60))
def test_it_is_moocores_with_ties_equal_points_and_points_outside(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 8, size=(int(rng.integers(1, 20)), 2)).astype(float)
    reference = np.array([2.0, 3.0])
    assert hypervolume(values, reference) == moocore.hypervolume(values, ref=reference, maximise=True)


def stage(*points: tuple[float, float]) -> StageResult:
    return make_stage_result(
        [make_ranked(number, accuracy, params) for number, (accuracy, params) in enumerate(points)]
    )


def test_the_box_of_the_first_stage_is_one() -> None:
    first = stage((0.5, 100.0), (0.7, 300.0))
    assert relative_hypervolume(stage((0.7, 100.0)), first, TWO) == pytest.approx(1.0)
    assert relative_hypervolume(stage((0.92, 100.0)), first, TWO) == pytest.approx(2.0)
    assert relative_hypervolume(stage((0.4, 50.0)), first, TWO) == 0.0


def test_the_ends_of_a_front_count() -> None:
    first = stage((0.5, 100.0), (0.7, 300.0))
    assert relative_hypervolume(first, first, TWO) == pytest.approx((0.1 * 1.1 + 1.0 * 0.1) / 1.1**2)


def test_without_two_objectives_or_an_area_there_is_none() -> None:
    first = stage((0.5, 100.0), (0.7, 300.0))
    assert relative_hypervolume(first, first, TWO[:1]) is None
    assert relative_hypervolume(first, stage((0.5, 100.0), (0.5, 300.0)), TWO) is None
    assert relative_hypervolume(first, make_stage_result([]), TWO) is None
