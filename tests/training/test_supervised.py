"""Full-size training of a genotype, and its events."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from factories import make_evaluation_runtime, make_genotype

from medarts_ops.config import AugmentConfig, AuxiliaryConfig, DatasetConfig, EvaluateConfig
from medarts_ops.data.evaluation_images import evaluation_images, training_images
from medarts_ops.data.registry import load_dataset
from medarts_ops.errors import ConfigError, DataError, TrainingDiverged
from medarts_ops.evaluation import run_evaluation
from medarts_ops.export.network import read_trained_network
from medarts_ops.journal.evaluation_folder import WEIGHTS
from medarts_ops.networks.counting import count_parameters
from medarts_ops.networks.derived import DerivedNetwork
from medarts_ops.observers import EvaluationEvent

TINY = EvaluateConfig(
    dataset=DatasetConfig(name="digits", low_resolution=False),
    cells=3,
    channels=4,
    epochs=2,
    batch=96,
    augment=AugmentConfig(flip=False, cutout=4),
    runtime=make_evaluation_runtime(),
)
GENOTYPE = make_genotype("max_pool_3x3", nodes=2)


class Listener:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.events: list[EvaluationEvent] = []

    def notify(self, event: EvaluationEvent) -> None:
        self.events.append(event)


def test_an_evaluation_learns_and_tells_every_epoch():
    listener = Listener()
    result = run_evaluation(TINY.model_copy(update={"epochs": 4}), GENOTYPE, observers=[listener])
    assert result.history[-1].train_loss < result.history[0].train_loss
    assert result.test_error == result.history[-1].test_error
    assert result.best_test_error == min(record.test_error for record in result.history)
    kinds = [event.kind for event in listener.events]
    assert kinds == ["evaluation_started", "process_started", *["evaluation_epoch_finished"] * 4, "evaluation_finished"]


def test_the_parameters_are_those_without_the_auxiliary_head():
    result = run_evaluation(TINY.model_copy(update={"epochs": 1}), GENOTYPE)
    assert result.parameters == count_parameters(GENOTYPE, cells=3, channels=4, n_classes=10, in_channels=1)


def test_photos_are_trained_behind_three_convolutions_and_exported_so(tmp_path):
    dataset = {"name": "digits", "resolution": 64}
    sizes = {"epochs": 1, "images": 60, "batch": 20, "stem": "imagenet", "channels": 2}
    config = EvaluateConfig.model_validate(TINY.model_dump() | sizes | {"dataset": dataset | {"low_resolution": False}})
    result = run_evaluation(config, GENOTYPE, folder=tmp_path / "photos")
    counted = {"cells": 3, "channels": 2, "n_classes": 10, "in_channels": 1}
    assert result.parameters == count_parameters(GENOTYPE, **counted, stem="imagenet")
    assert result.parameters != count_parameters(GENOTYPE, **counted)
    network = read_trained_network(tmp_path / "photos")
    assert network.description.stem == "imagenet"
    images = load_dataset(config.dataset).test
    logits = network.module(torch.from_numpy(images.images).permute(0, 3, 1, 2).float())
    assert (logits.argmax(1).numpy() != images.labels).mean() == pytest.approx(result.test_error)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dataset": DatasetConfig(resolution=32, low_resolution=False)}, "stem is imagenet and the images are 32×32"),
        ({"channels": 5}, "channels is 5 and stem imagenet.* or set stem=cifar"),
    ],
)
def test_a_stem_that_the_images_or_channels_are_too_few_for_is_refused_and_nothing_made(changes, said, tmp_path):
    dataset = DatasetConfig(resolution=64, low_resolution=False)
    config = TINY.model_copy(update={"stem": "imagenet", "dataset": dataset} | changes)
    with pytest.raises(ConfigError, match=said):
        run_evaluation(config, GENOTYPE)


def test_drop_path_rises_linearly_and_the_rate_falls_to_zero_as_a_cosine():
    history = run_evaluation(TINY, GENOTYPE).history
    assert [record.drop_path for record in history] == [0.0, pytest.approx(0.1)]
    assert [record.lr for record in history] == [0.025, pytest.approx(0.0125)]


def test_same_seed_gives_the_same_history_twice():
    first, second = (run_evaluation(TINY, GENOTYPE) for _ in range(2))
    assert [r.test_loss for r in first.history] == [r.test_loss for r in second.history]


@pytest.mark.parametrize("amp", ["fp16", "bf16"])
def test_mixed_precision_evaluates(amp):
    config = TINY.model_copy(
        update={
            "epochs": 1,
            "runtime": make_evaluation_runtime(amp=amp),
            "dataset": DatasetConfig(name="digits", low_resolution=False, test_share=0.9),
        }
    )
    assert 0 <= run_evaluation(config, GENOTYPE).test_error <= 1


def test_no_auxiliary_weight_builds_no_head():
    config = TINY.model_copy(update={"auxiliary": AuxiliaryConfig(weight=0), "epochs": 1})
    assert 0 <= run_evaluation(config, GENOTYPE).test_error <= 1


def test_a_diverged_loss_ends_the_evaluation_and_is_told():
    listener = Listener()
    weights = TINY.weights.model_copy(update={"lr": 1e30, "grad_clip": 1e30})
    with pytest.raises(TrainingDiverged, match="epoch 0"):
        run_evaluation(TINY.model_copy(update={"weights": weights}), GENOTYPE, observers=[listener])
    assert listener.events[-1].kind == "evaluation_stopped"


def test_the_weights_that_are_kept_are_those_of_the_trained_network(tmp_path):
    run_evaluation(TINY.model_copy(update={"epochs": 1}), GENOTYPE, folder=tmp_path)
    network = DerivedNetwork(GENOTYPE, cells=3, channels=4, n_classes=10, in_channels=1, auxiliary=True)
    network.load_state_dict(torch.load(tmp_path / WEIGHTS, weights_only=True))
    assert network.stem[1].running_mean.abs().sum() > 0


def with_images(images: int | None, **more: object) -> EvaluateConfig:
    return TINY.model_copy(update={"images": images, "epochs": 1, **more})


def test_fewer_images_are_drawn_by_class_with_the_seed_and_lie_within_more():
    dataset = load_dataset(TINY.dataset)
    few, many, other = (
        evaluation_images(dataset, config) for config in (with_images(100), with_images(205), with_images(100, seed=1))
    )
    assert np.bincount(few.labels).tolist() == [10] * 10 and np.bincount(many.labels).tolist() == [20] * 10
    in_many = {image.tobytes() for image in many.images}
    assert all(image.tobytes() in in_many for image in few.images)
    assert not np.array_equal(few.images, other.images)
    assert evaluation_images(dataset, with_images(None)) is dataset.train


def test_an_evaluation_on_fewer_images_is_normalised_by_them_and_tested_on_all():
    listener = Listener()
    result = run_evaluation(with_images(200), GENOTYPE, observers=[listener])
    dataset, begun = load_dataset(TINY.dataset), listener.events[0]
    pixels = evaluation_images(dataset, with_images(200)).images / 255
    assert begun.mean == pytest.approx([pixels.mean()]) and begun.std == pytest.approx([pixels.std()])
    errors = result.test_error * len(dataset.test)
    assert errors == pytest.approx(round(errors))
    assert result.history[0].train_accuracy * 200 == pytest.approx(round(result.history[0].train_accuracy * 200))


def test_how_many_images_an_evaluation_trains_on_is_what_it_draws():
    dataset = load_dataset(TINY.dataset)
    stratified = TINY.dataset.model_copy(update={"sampling": "stratified"})
    for config in (with_images(None), with_images(205), with_images(205, dataset=stratified)):
        assert training_images(config, dataset.summary(None)) == len(evaluation_images(dataset, config))


def test_more_images_than_there_are_name_the_setting_and_what_works():
    with pytest.raises(DataError, match=r"D_sample of 2,000 images .* works is 1,3\d0; set images to that or less"):
        run_evaluation(with_images(2000), GENOTYPE)
    with pytest.raises(DataError, match="allowed are 20 images or more; raise images"):
        run_evaluation(with_images(19), GENOTYPE)
