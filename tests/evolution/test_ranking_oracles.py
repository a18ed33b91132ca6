"""Our fronts held to moocore's Pareto ranks and to Optuna's best trials."""

from __future__ import annotations

from typing import Literal

import moocore
import numpy as np
import optuna
import pytest
from factories import make_evaluated

from medarts_ops.config import ResolvedObjective
from medarts_ops.evolution.ranking import non_dominated_fronts, rank


def random_values(seed: int) -> np.ndarray:
    """Up to 40 individuals with 2 or 3 objectives on a coarse grid, so that many tie or are equal."""
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 40)), int(rng.integers(2, 4)))
    return rng.integers(0, rng.integers(2, 12), size=shape).astype(float)


@pytest.mark.parametrize("block", range(4))
def test_fronts_equal_the_pareto_ranks_of_moocore(block: int) -> None:
    for seed in range(30 * block, 30 * (block + 1)):
        values = random_values(seed)
        ranks = moocore.pareto_rank(values, maximise=True)
        expected = [np.flatnonzero(ranks == front).tolist() for front in range(ranks.max() + 1)]
        assert non_dominated_fronts(values) == expected, f"seed {seed}"


def test_front_zero_is_what_moocore_calls_non_dominated() -> None:
    for seed in range(30):
        values = random_values(seed)
        kept = moocore.is_nondominated(values, maximise=True, keep_weakly=True)
        assert non_dominated_fronts(values)[0] == np.flatnonzero(kept).tolist(), f"seed {seed}"


@pytest.fixture
def quiet_optuna() -> object:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)


@pytest.mark.usefixtures("quiet_optuna")
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_front_zero_is_what_optuna_calls_its_best_trials(direction: Literal["maximize", "minimize"]) -> None:
    objectives = (
        ResolvedObjective(name="accuracy", direction="maximize"),
        ResolvedObjective(name="params", direction=direction),
    )
    for seed in range(10):
        values = random_values(seed)[:, :2]
        study = optuna.create_study(directions=["maximize", direction])
        study.add_trials([optuna.trial.create_trial(values=row.tolist()) for row in values])
        ranked = rank(
            [make_evaluated(accuracy, params, number) for number, (accuracy, params) in enumerate(values.tolist())],
            objectives,
        )
        front = {one.trained.individual.number for one in ranked if one.front == 0}
        assert front == {trial.number for trial in study.best_trials}, f"seed {seed}"
