"""How weights are stepped: rates by the epoch, and several batches a step."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from factories import make_evaluate_config_tiny, make_genotype
from pydantic import ValidationError
from torch import nn
from torch.optim import SGD, Optimizer, lr_scheduler
from torch.optim.optimizer import register_optimizer_step_post_hook

from medarts_ops.config import AuxiliaryConfig, EvaluateConfig, WeightsConfig
from medarts_ops.config_parsing import parse_config
from medarts_ops.data.batches import Batch
from medarts_ops.data.registry import load_dataset
from medarts_ops.errors import ConfigError
from medarts_ops.training.classification import balanced_class_weights
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.supervised import SupervisedTraining
from medarts_ops.training.weight_steps import SCHEDULES, accumulated, warmed_up

GENOTYPE = make_genotype("sep_conv_3x3", nodes=2)
TINY = make_evaluate_config_tiny().model_copy(update={"images": 60, "epochs": 1})
DATASET = load_dataset(TINY.dataset)

BY_TORCH: dict[str, Callable[[Optimizer], lr_scheduler.LRScheduler]] = {
    "cosine": lambda optimizer: lr_scheduler.CosineAnnealingLR(optimizer, T_max=8, eta_min=0.001),
    "linear": lambda optimizer: lr_scheduler.LinearLR(optimizer, 1.0, 0.001 / 0.1, total_iters=8),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_fall_as_those_of_torch(name):
    optimizer = SGD([torch.zeros(1)], lr=0.1)
    theirs = BY_TORCH[name](optimizer)
    for epoch in range(8):
        assert SCHEDULES[name](0.1, 0.001, epoch, 8) == pytest.approx(theirs.get_last_lr()[0], rel=1e-12)
        optimizer.step()
        theirs.step()


def test_a_rate_warms_up_in_equal_steps_as_p_darts_writes_it_and_is_the_schedules_then():
    # P-DARTS, PC-DARTS: lr · (epoch + 1) / 5 for the first five epochs, from 0.5.
    assert [warmed_up(0.25, 0.5, epoch, 5) for epoch in range(7)] == pytest.approx(
        [0.1, 0.2, 0.3, 0.4, 0.5, 0.25, 0.25]
    )
    assert warmed_up(0.25, 0.5, 0, 0) == 0.25


def test_batches_of_a_step_share_its_images_and_the_last_step_has_what_is_left():
    batches = list(torch.arange(18).split(4))
    parts = list(accumulated(batches, 3, torch.ones(18)))
    assert [part.indices.tolist() for part in parts] == [batch.tolist() for batch in batches]
    assert [part.share for part in parts] == pytest.approx([4 / 12, 4 / 12, 4 / 12, 4 / 6, 2 / 6])
    assert [part.is_last for part in parts] == [False, False, True, False, True]
    assert all(part.share == 1 and part.is_last for part in accumulated(batches, 1, torch.rand(18)))


def test_batches_of_a_step_come_to_the_loss_of_the_whole_where_classes_have_weights_too():
    logits, labels = torch.randn(12, 3, generator=torch.Generator().manual_seed(0)), torch.arange(12) // 5
    weight = torch.tensor([0.5, 1.0, 4.0])
    parts = accumulated(torch.arange(12).split(4), 3, weight[labels])
    losses = [share * F.cross_entropy(logits[at], labels[at], weight=weight) for at, _, share, _ in parts]
    assert sum(losses).item() == pytest.approx(F.cross_entropy(logits, labels, weight=weight).item(), rel=1e-6)


def test_a_training_with_class_weights_shares_its_steps_by_them(monkeypatch):
    made = training(class_weights="balanced", images=None, accumulate=2)
    weights = torch.from_numpy(balanced_class_weights(DATASET.train.labels, 10))
    noted = []

    def step(batch: Batch, drop: float, share: float, *, is_last: bool) -> tuple[torch.Tensor, torch.Tensor]:
        noted.append((share, float(weights[batch.labels].sum())))
        return torch.zeros(()), torch.zeros(())

    monkeypatch.setattr(made, "step", step)
    made.network.float()
    made.run_epoch(0)
    for (first, counted), (second, others) in zip(noted[::2], noted[1::2], strict=True):
        assert (first, second) == pytest.approx((counted / (counted + others), others / (counted + others)))


def training(**changes: object) -> SupervisedTraining:
    """In float64, with batch norms at rest: the one layer that does see which images are in a batch."""
    config = TINY.model_copy(update={"auxiliary": AuxiliaryConfig(), **changes})
    made = SupervisedTraining(GENOTYPE, config, DATASET, Runtime.from_config(config.runtime))
    made.network.double().train()
    for norm in (each for each in made.network.modules() if isinstance(each, nn.BatchNorm2d)):
        norm.eval()
    return made


def batch_of(first: int, last: int) -> Batch:
    images = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    return Batch(images[first:last], torch.tensor([3, 1, 4, 1, 5, 9])[first:last])


def test_accumulated_batches_step_as_the_whole_batch_does():
    whole, parted, other = (training(label_smoothing=0.1) for _ in range(3))
    for _ in range(2):  # the second step begins without the gradients of the first, and has momentum
        whole.step(batch_of(0, 6))
        parted.step(batch_of(0, 4), share=4 / 6, is_last=False)
        parted.step(batch_of(4, 6), share=2 / 6)
        other.step(batch_of(0, 4))
    weights = [list(each.network.parameters()) for each in (whole, parted, other)]
    for ours, theirs in zip(*weights[:2], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
    assert not torch.allclose(weights[0][0], weights[2][0], rtol=1e-9)


def test_an_epoch_makes_one_step_of_so_many_batches_and_one_of_the_rest():
    steps: list[Optimizer] = []
    hook = register_optimizer_step_post_hook(lambda optimizer, *_: steps.append(optimizer))
    try:
        counts = []
        for per_step in (1, 2, 3, 99):
            config = TINY.model_copy(update={"batch": 8, "accumulate": per_step})  # 60 images, eight batches
            SupervisedTraining(GENOTYPE, config, DATASET, Runtime.from_config(config.runtime)).run_epoch(0)
            counts.append(len(steps))
            steps.clear()
    finally:
        hook.remove()
    assert counts == [8, 4, 3, 1]


def test_label_smoothing_spreads_a_share_of_the_target_over_all_classes():
    smoothed = training(label_smoothing=0.1)
    batch = batch_of(0, 6)
    logits = copy.deepcopy(smoothed.network)(batch.images)[0].log_softmax(dim=1)
    target = 0.9 * F.one_hot(batch.labels, 10) + 0.1 / 10
    loss, _ = smoothed.step(batch)
    assert loss.item() == pytest.approx(-(target * logits).sum(dim=1).mean().item(), rel=1e-6)


def test_an_evaluation_warms_up_and_falls_as_its_settings_say():
    weights = WeightsConfig(lr=0.4, lr_min=0.0, schedule="linear")
    config = TINY.model_copy(update={"weights": weights, "warmup_epochs": 2, "epochs": 4})
    made = SupervisedTraining(GENOTYPE, config, DATASET, Runtime.from_config(config.runtime))
    assert [made.run_epoch(epoch).lr for epoch in range(4)] == pytest.approx([0.2, 0.4, 0.2, 0.1])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"warmup_epochs": 6, "epochs": 5}, "warmup_epochs is 6 and epochs 5: allowed are 0 to 5"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"accumulate": 0}, "accumulate"),
        ({"weights": {"schedule": "linea"}}, "weights.schedule"),
    ],
)
def test_settings_that_train_nothing_sensible_are_refused_by_name(given, said):
    with pytest.raises((ConfigError, ValidationError), match=said):
        parse_config(EvaluateConfig, given)
