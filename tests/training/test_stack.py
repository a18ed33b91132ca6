"""A stack of individuals trains as each of them alone would."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from factories import make_search_config_tiny
from made_up_strategy import NAME, registered_strategy

from medarts_ops.alpha import Mixtures
from medarts_ops.config import SearchConfig
from medarts_ops.data.batches import Batch
from medarts_ops.data.search_data import prepare_search_data
from medarts_ops.errors import GenotypeError
from medarts_ops.individual import (
    FailedIndividual,
    Hyperparameters,
    Individual,
    Outcome,
    TrainedIndividual,
)
from medarts_ops.networks.same_weights import same_weights
from medarts_ops.populations import random_individual
from medarts_ops.space.genotype import Genotype
from medarts_ops.strategies.darts import Darts
from medarts_ops.strategies.registry import STRATEGIES
from medarts_ops.tasks import TrainingTask, stacks_of
from medarts_ops.training import bilevel
from medarts_ops.training.bilevel import SearchTraining
from medarts_ops.training.carry_out import carry_out
from medarts_ops.training.placed_images import StageTensors
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.workplace import Workplace

CONFIG = make_search_config_tiny()
RATES = (0.025, 0.1, 0.01)
WIDER = tuple(stage.model_copy(update={"channels": 4}) for stage in CONFIG.stages)


@pytest.fixture
def double() -> Iterator[None]:
    """Everything made inside is float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def individual(number: int, weights_lr: float, config: SearchConfig = CONFIG) -> Individual:
    more = {"alpha_lr": 3e-4 * (number + 1), "alpha_weight_decay": 1e-3 * (number + 1), "alpha_init_std": 1.0}
    usual = Hyperparameters.from_config(config)
    return random_individual(config, number, usual.model_copy(update={"weights_lr": weights_lr} | more))


GROUP = tuple(individual(number, rate) for number, rate in enumerate(RATES))


def task_of(individuals: Sequence[Individual], config: SearchConfig = CONFIG) -> TrainingTask:
    return TrainingTask(individuals=tuple(individuals), stage=config.stages[0], config=config, stage_data="unused")


def training_of(individuals: Sequence[Individual], config: SearchConfig = CONFIG) -> SearchTraining:
    runtime = Runtime.from_config(config.runtime)
    runtime.apply_to_process()
    tensors = StageTensors.place(prepare_search_data(config).stages[0], runtime)
    return SearchTraining(task_of(individuals, config), tensors, runtime)


def trained(individuals: Sequence[Individual], config: SearchConfig = CONFIG) -> list[Outcome]:
    runtime = Runtime.from_config(config.runtime)
    runtime.apply_to_process()
    tensors = StageTensors.place(prepare_search_data(config).stages[0], runtime)
    return list(
        carry_out(task_of(individuals, config), Workplace(runtime, tensors, "unused"), lambda who, record: None)
    )


def with_order(order: str) -> SearchConfig:
    return CONFIG.model_copy(update={"strategy": CONFIG.strategy.model_copy(update={"order": order})})


SECOND_ORDER = [("darts", {"order": "second"}), (NAME, {"order": "second"})]


@pytest.mark.parametrize(
    ("name", "settings"),
    [*((name, {}) for name in (*STRATEGIES.names(), NAME)), *SECOND_ORDER, ("dr-nas", {"kl": 0.1})],
)
def test_stacked_steps_equal_single_ones_in_double_precision(double, name, settings):
    with registered_strategy():
        strategy = STRATEGIES.get(name).model_validate({"name": name} | settings)
        stages = CONFIG.stages if name == "darts" else WIDER
        check_stacked_steps(CONFIG.model_copy(update={"strategy": strategy, "stages": stages}))


def check_stacked_steps(config: SearchConfig) -> None:
    group = tuple(individual(number, rate, config) for number, rate in enumerate(RATES))
    batches = [(torch.randn(3, 5, 1, 8, 8), torch.randint(10, (3, 5))) for _ in range(4)]
    stack, singles = training_of(group, config), [training_of([each], config) for each in group]
    for train, valid in (batches[:2], batches[2:]):
        together = stack.iterate(Batch(*train), Batch(*valid))
        for place, single in enumerate(singles):
            alone = single.iterate(*(Batch(*(each[place : place + 1] for each in batch)) for batch in (train, valid)))
            torch.testing.assert_close([each[place] for each in together], [each[0] for each in alone])
    for place, single in enumerate(singles):
        for ours, theirs in zip(stack.alpha.leaves(), single.alpha.leaves(), strict=True):
            torch.testing.assert_close(ours[place], theirs[0], rtol=1e-9, atol=1e-12)
        theirs_by_name = dict(single.supernet.named_parameters())
        for name, ours in stack.supernet.named_parameters():
            torch.testing.assert_close(ours[place], theirs_by_name[name][0], rtol=1e-9, atol=1e-11)


def test_clipping_is_each_individuals_own(double):
    weights = CONFIG.weights.model_copy(update={"grad_clip": 1e-3, "weight_decay": 0.0, "momentum": 0.0})
    stack = training_of(GROUP, CONFIG.model_copy(update={"weights": weights}))
    before = {name: weight.detach().clone() for name, weight in stack.supernet.named_parameters()}
    stack.step(*(Batch(torch.randn(3, 5, 1, 8, 8), torch.randint(10, (3, 5))) for _ in range(2)))
    moved = [
        torch.stack([(w.detach()[place] - before[name][place]).norm() for name, w in stack.supernet.named_parameters()])
        for place in range(3)
    ]
    assert [each.norm().item() for each in moved] == pytest.approx([1e-3 * rate for rate in RATES], rel=1e-3)


def test_a_trained_group_equals_individuals_trained_alone():
    together, alone = trained(GROUP), [trained([each])[0] for each in GROUP]
    for ours, theirs in zip(together, alone, strict=True):
        assert isinstance(ours, TrainedIndividual) and isinstance(theirs, TrainedIndividual)
        assert ours.individual == theirs.individual
        np.testing.assert_allclose(
            ours.alpha.normal.arrays["op_logits"], theirs.alpha.normal.arrays["op_logits"], atol=2e-4
        )
        assert ours.history[-1].train_loss == pytest.approx(theirs.history[-1].train_loss, abs=2e-3)
        assert ours.history[-1].lr == theirs.history[-1].lr


def test_a_member_that_diverges_takes_no_one_with_it():
    weights = CONFIG.weights.model_copy(update={"grad_clip": 1e30})
    stages = tuple(stage.model_copy(update={"epochs": 2}) for stage in CONFIG.stages)
    config = CONFIG.model_copy(update={"weights": weights, "stages": stages})
    wild = individual(1, weights_lr=1e30)
    first, failed, last = trained([GROUP[0], wild, GROUP[2]], config)
    assert isinstance(failed, FailedIndividual) and "init-01" in failed.reason
    for ours, who in ((first, GROUP[0]), (last, GROUP[2])):
        (alone,) = trained([who], config)
        assert isinstance(ours, TrainedIndividual) and isinstance(alone, TrainedIndividual)
        np.testing.assert_allclose(
            ours.alpha.reduce.arrays["op_logits"], alone.alpha.reduce.arrays["op_logits"], atol=2e-4
        )


@pytest.mark.parametrize("amp", ["fp16", "bf16"])
def test_stacks_train_in_mixed_precision(amp):
    runtime = CONFIG.runtime.model_copy(update={"amp": amp})
    stages = tuple(stage.model_copy(update={"images": 20, "batch": 10}) for stage in CONFIG.stages)
    outcomes = trained(GROUP, CONFIG.model_copy(update={"runtime": runtime, "stages": stages}))
    assert all(isinstance(outcome, TrainedIndividual) for outcome in outcomes)


@pytest.mark.parametrize("amp", ["off", "bf16"])
@pytest.mark.parametrize("size", [1, 3])
def test_what_both_passes_share_changes_no_bit(monkeypatch, size, amp):
    runtime = CONFIG.runtime.model_copy(update={"amp": amp})
    config, ends = CONFIG.model_copy(update={"runtime": runtime}), []
    for shared in (same_weights, nullcontext):
        monkeypatch.setattr(bilevel, "same_weights", shared)
        training = training_of(GROUP[:size], config)
        for train, valid in itertools.islice(training._batches(), 2):
            training.iterate(train, valid)
        ends.append([*training.alpha.leaves(), *training.supernet.parameters()])
    assert all(torch.equal(*each) for each in zip(*ends, strict=True))


def test_seconds_of_a_group_are_shared_among_its_members():
    outcomes = trained(GROUP)
    seconds = {outcome.seconds for outcome in outcomes}
    assert len(seconds) == 1 and seconds.pop() > 0


def test_who_warms_up_for_another_number_of_epochs_is_not_stacked_together():
    shares = (0.5, None, 0.4, 0.0, 0.6)
    stage = CONFIG.stages[0].model_copy(update={"epochs": 4})
    config = CONFIG.model_copy(update={"stages": (stage, *CONFIG.stages[1:])})
    group = [
        each.model_copy(update={"hyperparameters": each.hyperparameters.model_copy(update={"alpha_warmup": share})})
        for share, each in zip(shares, (individual(number, 0.025, config) for number in range(5)), strict=True)
    ]
    stacks = stacks_of(config, stage, group, 2)  # 2, 0, 2, 0 and 2 epochs
    assert [[each.number for each in stack] for stack in stacks] == [[0, 2], [4], [1, 3]]
    assert [task_of(stack, config).warmup_epochs for stack in stacks] == [2, 2, 0]
    assert [len(stack) for stack in stacks_of(CONFIG, CONFIG.stages[0], GROUP, 2)] == [2, 1]
    with pytest.raises(ValueError, match=r"init-00, init-01 warm up for \[0, 2\] epochs: allowed in one stack is one"):
        training_of(group[:2], config)
    for together, alone in zip(trained(stacks[0], config), group[0:3:2], strict=True):
        (theirs,) = trained([alone], config)
        assert isinstance(together, TrainedIndividual) and isinstance(theirs, TrainedIndividual)
        assert [record.alpha_loss is None for record in together.history] == [True, True, False, False]
        ours = together.alpha.normal.arrays["op_logits"]
        np.testing.assert_allclose(ours, theirs.alpha.normal.arrays["op_logits"], atol=5e-4)


def test_whose_reading_is_no_architecture_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    expected, read = trained(GROUP), Darts.genotype
    assert isinstance(expected[1], TrainedIndividual)
    spoiled = expected[1].alpha.normal.arrays["op_logits"]

    def genotype(strategy: Darts, mixtures: Mixtures) -> Genotype:
        weights = np.exp(spoiled - spoiled.max(axis=1, keepdims=True))
        if np.allclose(mixtures.normal, weights / weights.sum(axis=1, keepdims=True), atol=1e-6):
            raise GenotypeError("no cell has two inputs")
        return read(strategy, mixtures)

    monkeypatch.setattr(Darts, "genotype", genotype)
    first, second, third = trained(GROUP)
    assert isinstance(second, FailedIndividual)
    last = CONFIG.stages[0].epochs - 1
    assert (second.cause, second.epoch, second.reason) == ("crashed", last, "no cell has two inputs")
    for got, want in ((first, expected[0]), (third, expected[2])):
        assert isinstance(got, TrainedIndividual) and isinstance(want, TrainedIndividual)
        assert (got.alpha, got.genotype) == (want.alpha, want.genotype)


@pytest.mark.parametrize("dropped", [1.0, -0.1, float("nan")])
def test_a_skip_dropout_that_is_no_probability_fails_the_group_and_says_so(
    monkeypatch: pytest.MonkeyPatch, dropped: float
) -> None:
    monkeypatch.setattr(Darts, "skip_dropout", lambda strategy, place, epoch: dropped)
    for outcome in trained(GROUP[:1]):
        assert isinstance(outcome, FailedIndividual)
        assert f"Darts gave {dropped} for the skip dropout of epoch 0: allowed is 0 ≤ p < 1" in outcome.reason
