"""Every registered objective measures a trained individual with a finite number and leaves it alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from factories import make_derived, make_genotype, make_trained
from torch import nn

from medarts_ops.config import ObjectiveConfig, ResolvedParaAugConfig
from medarts_ops.errors import ConfigError
from medarts_ops.individual import FailedIndividual
from medarts_ops.networks.counting import count_parameters
from medarts_ops.objectives import shown
from medarts_ops.objectives.measuring import MeasuringContext, Objective
from medarts_ops.objectives.registry import OBJECTIVES, evaluate_individual, resolve_objectives
from medarts_ops.objectives.shown import axis
from medarts_ops.space.zoo import zoo_genotype

CONTEXT = MeasuringContext(ResolvedParaAugConfig(cells=3, channels=2), n_classes=10, in_channels=1, resolution=(8, 8))
FULL_SIZE = MeasuringContext(ResolvedParaAugConfig(), n_classes=10, in_channels=3, resolution=(32, 32))


@pytest.fixture(params=OBJECTIVES.names())
def objective(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def measured(objective: str, operation: str) -> float:
    genotype = make_genotype(operation)
    trained = make_trained(genotype=genotype, valid_accuracy=0.25, derived=make_derived(genotype))
    return evaluate_individual(trained, [ObjectiveConfig(name=objective)], CONTEXT).objectives[objective]


def test_a_measure_is_a_finite_number_that_is_not_negative(objective):
    value = measured(objective, "sep_conv_3x3")
    assert math.isfinite(value) and value >= 0


def test_measuring_leaves_the_global_random_state_alone(objective):
    before = torch.get_rng_state()
    measured(objective, "sep_conv_3x3")
    assert torch.equal(before, torch.get_rng_state())


def test_the_name_is_accepted_by_the_config(objective):
    resolve_objectives([ObjectiveConfig(name=objective)])


def test_its_natural_direction_is_taken_unless_the_config_has_another(objective):
    (natural,) = resolve_objectives([ObjectiveConfig(name=objective)])
    assert natural.direction == OBJECTIVES.get(objective).direction
    for direction in ("maximize", "minimize"):
        (given,) = resolve_objectives([ObjectiveConfig(name=objective, direction=direction)])
        assert given.direction == direction


def test_what_it_is_is_said_in_a_sentence_and_values_have_their_unit(objective):
    data = OBJECTIVES.get(objective)
    assert data.description and axis(objective)[0].startswith(data.label)
    assert data.unit in shown.objective(objective, 123_456_789) and shown.objective(objective, math.nan) == "nan"


def test_costs_are_minimized_and_merits_maximized_where_nothing_is_said():
    natural = {name: OBJECTIVES.get(name).direction for name in ("accuracy", "params", "macs", "latency")}
    assert natural == {"accuracy": "maximize", "params": "maximize", "macs": "minimize", "latency": "minimize"}


def test_an_unknown_name_is_refused_with_its_path():
    with pytest.raises(ConfigError, match=r"objectives.1.name.*did you mean 'latency'"):
        resolve_objectives([ObjectiveConfig(), ObjectiveConfig(name="latenci")])


def test_params_is_the_size_of_the_full_evaluation_network():
    trained = make_trained(genotype=zoo_genotype("DARTS_V2"))
    evaluated = evaluate_individual(trained, [ObjectiveConfig(name="params")], FULL_SIZE)
    assert evaluated.objectives == {"params": 3_349_342}
    assert count_parameters(trained.genotype, cells=20, channels=36, n_classes=10, in_channels=3) == 3_349_342


def test_params_of_a_network_for_photos_are_counted_with_its_stem():
    photos = ResolvedParaAugConfig(cells=14, channels=48, stem="imagenet")
    context = replace(FULL_SIZE, para_aug=photos, n_classes=1000)
    trained = make_trained(genotype=zoo_genotype("DARTS_V2"))
    evaluated = evaluate_individual(trained, [ObjectiveConfig(name="params")], context)
    assert evaluated.objectives == {"params": 4_718_752}


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("breaks_off", [False, True])
def test_latency_is_one_threads_and_the_process_has_its_own_number_again(breaks_off):
    threads: list[int] = []

    def look(module: nn.Module, inputs: object) -> None:
        threads.append(torch.get_num_threads())
        if breaks_off:
            raise MemoryError("the network does not fit")

    with nn.modules.module.register_module_forward_pre_hook(look):
        outcome = evaluate_individual(
            make_trained(genotype=make_genotype()), [ObjectiveConfig(name="latency")], CONTEXT
        )
    assert isinstance(outcome, FailedIndividual) == breaks_off
    assert set(threads) == {1} and torch.get_num_threads() == 2


@pytest.mark.parametrize("objective", ["params", "macs"])
def test_a_5x5_convolution_costs_more_than_a_3x3_one(objective):
    assert (
        measured(objective, "sep_conv_5x5") > measured(objective, "sep_conv_3x3") > measured(objective, "max_pool_3x3")
    )


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (math.nan, "objective 'odd' gave nan: allowed are finite numbers from 0"),
        (-1.0, "objective 'odd' gave -1.0: allowed are finite numbers from 0"),
        ("much", "objective 'odd' broke off (TypeError: must be real number"),
    ],
)
def test_an_individual_that_an_objective_can_not_measure_has_failed(monkeypatch, value, reason):
    odd = Objective(lambda trained, context: value, "minimize", "gives what it must not")
    monkeypatch.setattr(OBJECTIVES, "built_in", {**OBJECTIVES.built_in, "odd": odd})
    configs = [ObjectiveConfig(), ObjectiveConfig(name="odd")]
    outcome = evaluate_individual(make_trained(), configs, CONTEXT)
    assert isinstance(outcome, FailedIndividual) and outcome.cause == "crashed" and reason in outcome.reason


def test_a_direction_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="direction is 'sideways': allowed are maximize and minimize"):
        Objective(lambda trained, context: 1.0, "sideways", "gives one")  # type: ignore[arg-type]
