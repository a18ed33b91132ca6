"""Every registered objective measures a trained individual with a finite number and leaves it alone."""

from __future__ import annotations

import math

import pytest
import torch
from factories import make_genotype, make_trained

from medarts_ops.config import ObjectiveConfig, ParaAugConfig
from medarts_ops.errors import ConfigError
from medarts_ops.networks.counting import count_parameters
from medarts_ops.objectives.measuring import MeasuringContext
from medarts_ops.objectives.registry import OBJECTIVES, check_objectives, evaluate_individual
from medarts_ops.space.zoo import zoo_genotype

CONTEXT = MeasuringContext(ParaAugConfig(cells=3, channels=2), n_classes=10, in_channels=1, resolution=(8, 8))
FULL_SIZE = MeasuringContext(ParaAugConfig(), n_classes=10, in_channels=3, resolution=(32, 32))


@pytest.fixture(params=sorted(OBJECTIVES))
def objective(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def measured(objective: str, operation: str) -> float:
    trained = make_trained(genotype=make_genotype(operation), valid_accuracy=0.25)
    return evaluate_individual(trained, [ObjectiveConfig(name=objective)], CONTEXT).objectives[objective]


def test_a_measure_is_a_finite_number_that_is_not_negative(objective):
    value = measured(objective, "sep_conv_3x3")
    assert math.isfinite(value) and value >= 0


def test_measuring_leaves_the_global_random_state_alone(objective):
    before = torch.get_rng_state()
    measured(objective, "sep_conv_3x3")
    assert torch.equal(before, torch.get_rng_state())


def test_the_name_is_accepted_by_the_config(objective):
    check_objectives([ObjectiveConfig(name=objective)])


def test_an_unknown_name_is_refused_with_its_path():
    with pytest.raises(ConfigError, match=r"objectives.1.name.*did you mean 'latency'"):
        check_objectives([ObjectiveConfig(), ObjectiveConfig(name="latenci")])


def test_params_is_the_size_of_the_full_evaluation_network():
    trained = make_trained(genotype=zoo_genotype("DARTS_V2"))
    evaluated = evaluate_individual(trained, [ObjectiveConfig(name="params")], FULL_SIZE)
    assert evaluated.objectives == {"params": 3_349_342}
    assert count_parameters(trained.genotype, cells=20, channels=36, n_classes=10, in_channels=3) == 3_349_342


@pytest.mark.parametrize("objective", ["params", "macs"])
def test_a_5x5_convolution_costs_more_than_a_3x3_one(objective):
    assert (
        measured(objective, "sep_conv_5x5") > measured(objective, "sep_conv_3x3") > measured(objective, "max_pool_3x3")
    )
