"""Search training of one individual."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from factories import make_search_config_tiny

from medarts_ops.config import SearchConfig
from medarts_ops.config_proposals import ProposalsConfig, RangeConfig
from medarts_ops.data.search_data import prepare_search_data
from medarts_ops.data.stage_data import StageData
from medarts_ops.individual import (
    EpochRecord,
    FailedIndividual,
    TrainedIndividual,
)
from medarts_ops.networks import separable
from medarts_ops.networks.supernet import PhotoStem
from medarts_ops.populations import random_individual
from medarts_ops.strategies.dr_nas import DrNasSettings
from medarts_ops.tasks import TrainingTask
from medarts_ops.training.bilevel import SearchTraining
from medarts_ops.training.carry_out import carry_out
from medarts_ops.training.placed_images import StageTensors
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.workplace import Workplace


def changed(config: SearchConfig, **sections: dict[str, object]) -> SearchConfig:
    """The config with some fields of its sections changed."""
    return config.model_copy(
        update={name: getattr(config, name).model_copy(update=values) for name, values in sections.items()}
    )


def with_stage(config: SearchConfig, **values: object) -> SearchConfig:
    """The config with some fields of its first stage changed."""
    return config.model_copy(update={"stages": (config.stages[0].model_copy(update=values), *config.stages[1:])})


def train(config: SearchConfig, data: StageData | None = None) -> TrainedIndividual | FailedIndividual:
    runtime = Runtime.from_config(config.runtime)
    runtime.apply_to_process()
    stage = prepare_search_data(config).stages[0] if data is None else data
    individual = random_individual(config, 0)
    task = TrainingTask(individuals=(individual,), stage=config.stages[0], config=config, stage_data="unused")
    seen: list[EpochRecord] = []
    tensors = StageTensors.place(stage, runtime)
    (outcome,) = carry_out(task, Workplace(runtime, tensors, "unused"), lambda who, record: seen.append(record))
    if isinstance(outcome, TrainedIndividual):
        assert tuple(seen) == outcome.history
    return outcome


def image_data(side: int, channels: int, classes: int, per_class: int = 4) -> StageData:
    """Random images, halves with every class."""
    n = classes * per_class
    images = np.random.default_rng(0).integers(0, 256, (n, side, side, channels), dtype=np.uint8)
    labels = np.repeat(np.arange(classes), per_class)
    weight, alpha = np.arange(0, n, 2), np.arange(1, n, 2)
    return StageData(
        images, labels, weight, alpha, alpha, np.full(channels, 0.5), np.full(channels, 0.3), n_classes=classes
    )


def test_the_first_epoch_runs_at_exactly_the_initial_rate_and_then_falls_as_a_cosine():
    outcome = train(with_stage(make_search_config_tiny(), epochs=4))
    rates = [record.lr for record in outcome.history]
    assert rates[0] == 0.025
    cosine = [0.001 + 0.024 * (1 + np.cos(np.pi * epoch / 4)) / 2 for epoch in range(4)]
    assert rates == pytest.approx(cosine, rel=1e-12)


def test_photos_are_searched_behind_the_stem_for_photos_at_a_rate_that_may_fall_as_a_line():
    tiny, photos = with_stage(make_search_config_tiny(), epochs=2, batch=4), image_data(64, 3, 2)
    weights = tiny.weights.model_copy(update={"schedule": "linear"})
    config = tiny.model_copy(update={"stem": "imagenet", "weights": weights})
    outcome = train(config, photos)
    assert [record.lr for record in outcome.history] == pytest.approx([0.025, 0.013])
    stage, runtime = config.stages[0], Runtime.from_config(config.runtime)
    task = TrainingTask(individuals=(outcome.individual,), stage=stage, config=config, stage_data="unused")
    training = SearchTraining(task, StageTensors.place(photos, runtime), runtime)
    assert isinstance(training.supernet.stem, PhotoStem)


def test_training_learns_the_digits():
    config = with_stage(make_search_config_tiny(), epochs=6, channels=4, images=600)
    outcome = train(config)
    assert outcome.history[-1].train_loss < outcome.history[0].train_loss - 0.5
    assert outcome.valid_accuracy > 0.4
    assert outcome.alpha != outcome.individual.alpha


def test_same_seed_and_threads_give_the_same_alpha_twice():
    first, second = (train(make_search_config_tiny()) for _ in range(2))
    assert first.alpha == second.alpha and first.genotype == second.genotype


def test_another_seed_gives_another_alpha():
    first, second = (train(make_search_config_tiny(seed)) for seed in (0, 1))
    assert first.alpha != second.alpha


def test_alpha_stands_still_while_it_warms_up():
    tiny = make_search_config_tiny()
    stages = tuple(stage.model_copy(update={"epochs": 2}) for stage in tiny.stages)
    outcome = train(changed(tiny.model_copy(update={"stages": stages}), alpha={"warmup_epochs": 1}))
    warm, trained = outcome.history
    born = (
        torch.from_numpy(outcome.individual.alpha.normal.arrays["op_logits"].copy())
        .softmax(-1)
        .max(dim=1)
        .values.mean()
    )
    assert warm.alpha_loss is None and warm.max_mixture_normal == pytest.approx(born.item(), abs=1e-7)
    assert trained.alpha_loss is not None and outcome.alpha != outcome.individual.alpha


def test_a_stages_share_of_warm_up_goes_before_all_others():
    config = with_stage(changed(make_search_config_tiny(), alpha={"warmup": 0.25}), epochs=4, warmup=0.5)
    assert [record.alpha_loss is None for record in train(config).history] == [True, True, False, False]


def test_a_stages_rate_of_alpha_multiplies_the_individuals():
    tiny = make_search_config_tiny()
    fast = train(with_stage(tiny, alpha_rate=4.0))
    faster = train(changed(tiny, alpha={"lr": 4 * tiny.alpha.lr}))
    assert fast.alpha == faster.alpha and fast.alpha != train(tiny).alpha


def test_second_order_trains_another_alpha_than_first_order():
    config = make_search_config_tiny()
    first, second = (train(changed(config, strategy={"order": order})) for order in ("first", "second"))
    assert first.alpha != second.alpha


def test_the_validation_images_move_no_weights():
    data = image_data(8, 1, 3)
    held_out = StageData(**{**vars(data), "valid_indices": data.weight_indices[:6]})
    assert train(make_search_config_tiny(), data).alpha == train(make_search_config_tiny(), held_out).alpha


@pytest.mark.parametrize(("side", "channels", "classes"), [(28, 1, 3), (33, 3, 3), (9, 3, 100)])
def test_odd_resolutions_one_channel_and_many_classes_train(side, channels, classes):
    outcome = train(make_search_config_tiny(), image_data(side, channels, classes))
    assert isinstance(outcome, TrainedIndividual)
    assert 0 <= outcome.valid_accuracy <= 1


@pytest.mark.parametrize("batch", [5, 1])
def test_halves_of_different_length_use_every_weight_image(batch):
    data = image_data(8, 1, 3)  # of the smallest size: a batch of one image has four values a channel
    uneven = StageData(**{**vars(data), "alpha_indices": data.alpha_indices[:5], "valid_indices": data.alpha_indices})
    assert isinstance(train(with_stage(make_search_config_tiny(), batch=batch), uneven), TrainedIndividual)


def test_a_diverging_loss_fails_the_individual_and_names_it():
    config = changed(make_search_config_tiny(), weights={"lr": 1e30, "grad_clip": 1e30})
    outcome = train(with_stage(config, epochs=3))
    assert isinstance(outcome, FailedIndividual)
    assert "init-00" in outcome.reason and "'init'" in outcome.reason and f"epoch {outcome.epoch}" in outcome.reason
    assert "lower one of weights.lr, alpha.lr, or set runtime.amp=off" in outcome.reason


def test_a_diverging_loss_names_the_strategys_numbers_that_proposals_range_over() -> None:
    proposals = ProposalsConfig(strategy={"kl": RangeConfig(low=0.1, high=1.0)})
    own = {"strategy": DrNasSettings(kl=0.5), "proposals": proposals}
    config = changed(make_search_config_tiny(), weights={"lr": 1e30, "grad_clip": 1e30}).model_copy(update=own)
    outcome = train(with_stage(config, epochs=3))
    assert isinstance(outcome, FailedIndividual) and "alpha.lr, strategy.kl (0.5), or" in outcome.reason


@pytest.mark.parametrize("amp", ["fp16", "bf16"])
def test_mixed_precision_trains_and_keeps_alpha_in_float32(amp):
    config = with_stage(changed(make_search_config_tiny(), runtime={"amp": amp}), images=20, batch=10)
    outcome = train(config)
    assert isinstance(outcome, TrainedIndividual)
    assert outcome.alpha.normal.arrays["op_logits"].dtype == np.float32
    assert outcome.alpha != outcome.individual.alpha


@pytest.mark.parametrize(("layout", "one", "other"), [("channels_last", True, False), ("matrix_side", 8, 0)])
def test_memory_layout_changes_no_result_beyond_rounding(layout, one, other):
    config = make_search_config_tiny()
    trained = [train(changed(config, runtime={layout: each})) for each in (one, other)]
    first, second = (each.alpha.normal.arrays["op_logits"] for each in trained)
    np.testing.assert_allclose(first, second, atol=2e-4)


def test_a_supernet_convolves_by_matrices_up_to_the_side_that_is_asked_for(monkeypatch):
    sides: list[int] = []
    original = separable._by_matrix
    monkeypatch.setattr(
        separable, "_by_matrix", lambda planes, *others: sides.append(planes.shape[2]) or original(planes, *others)
    )
    for side, expected in ((8, {8, 4, 2}), (4, {4, 2}), (0, set())):
        train(changed(make_search_config_tiny(), runtime={"matrix_side": side}))
        assert set(sides) == expected
        sides.clear()


def test_skip_counts_are_those_of_the_genotype():
    outcome = train(make_search_config_tiny())
    assert outcome.history[-1].normal_skips == outcome.genotype.skip_count("normal")
    assert outcome.history[-1].reduce_skips == outcome.genotype.skip_count("reduce")


def test_training_leaves_the_global_random_state_alone():
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    train(make_search_config_tiny())
    assert torch.equal(before[0], torch.get_rng_state()) and np.array_equal(before[1], np.random.get_state()[1])


def test_stage_data_is_read_from_its_file(tmp_path: Path):
    data = prepare_search_data(make_search_config_tiny()).stages[0]
    data.save(tmp_path / "stage-0.npz")
    assert train(make_search_config_tiny(), StageData.load(tmp_path / "stage-0.npz")).alpha == (
        train(make_search_config_tiny(), data).alpha
    )
