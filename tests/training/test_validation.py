"""A validation split chooses the epoch, and leaves the test set alone until the end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from factories import make_evaluate_config_tiny, make_genotype
from sklearn.metrics import balanced_accuracy_score

from medarts_ops.config import EvaluateConfig, ResolvedEvaluateConfig
from medarts_ops.data.dataset import ImageDataset, LabelledImages
from medarts_ops.data.evaluation_images import images_of_epoch, with_validation
from medarts_ops.data.registry import load_dataset
from medarts_ops.errors import ConfigError
from medarts_ops.evaluated import EvaluationResult, best_epoch
from medarts_ops.evaluation import resume_evaluation, run_evaluation
from medarts_ops.export.network import read_trained_network
from medarts_ops.journal.evaluation_folder import WEIGHTS
from medarts_ops.observers import EvaluationEvent
from medarts_ops.training.placed_images import PlacedImages
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.validation import Validation

CONFIG: ResolvedEvaluateConfig = make_evaluate_config_tiny().model_copy(
    update={
        "seed": 3,
        "validation_share": 0.25,
        "epochs": 4,
        "batch": 48,
        "images": 300,
        "drop_path": 0.0,
        # A rate that stays high, so that the last epoch is not the best.
        "weights": make_evaluate_config_tiny().weights.model_copy(update={"lr": 0.2, "lr_min": 0.2}),
    }
)
GENOTYPE = make_genotype("sep_conv_3x3", nodes=2)
CLOCKS = {"seconds", "images_per_second"}


class Interrupt:
    """Raises at the `at`-th event, as Ctrl-C would."""

    def __init__(self, at: int) -> None:
        self.left = at

    def notify(self, event: EvaluationEvent) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def told(result: EvaluationResult) -> object:
    return [record.model_dump(exclude=CLOCKS) for record in result.history], result.chosen_epoch, result.classes


@pytest.fixture(scope="module")
def dataset() -> ImageDataset:
    return load_dataset(CONFIG.dataset)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, dataset: ImageDataset) -> Path:
    folder = tmp_path_factory.mktemp("validated") / "whole"
    run_evaluation(CONFIG, GENOTYPE, dataset=dataset, folder=folder)
    return folder


@pytest.fixture(scope="module")
def whole(folder: Path) -> EvaluationResult:
    return resume_evaluation(folder)


def test_the_share_is_held_back_by_class_and_is_not_trained_on(dataset: ImageDataset) -> None:
    marked = np.arange(len(dataset.train), dtype=np.uint32).view(np.uint8).reshape(-1, 1, 4, 1)
    named = replace(
        dataset, train=LabelledImages(marked, dataset.train.labels), test=LabelledImages(marked, dataset.train.labels)
    )
    train, held_back = with_validation(named, CONFIG)
    assert held_back is not None
    assert np.bincount(held_back.labels).tolist() == [8] * 10 and np.bincount(train.labels).tolist() == [22] * 10
    both = [set(part.images.reshape(-1, 4).copy().view(np.uint32).ravel().tolist()) for part in (train, held_back)]
    assert len(both[0] | both[1]) == 300
    assert images_of_epoch(CONFIG, dataset.summary(None)) == (225, 75)
    for share in (0.0001, 0.9999):
        config = CONFIG.model_copy(update={"validation_share": share})
        parts = with_validation(dataset, config)
        assert images_of_epoch(config, dataset.summary(None)) == tuple(len(part or ()) for part in parts)


def test_without_a_share_the_images_are_all_trained_on(dataset: ImageDataset) -> None:
    train, held_back = with_validation(dataset, EvaluateConfig())
    assert train is dataset.train and held_back is None


def test_an_epoch_is_measured_by_the_mean_recall_of_the_classes_that_are_held_back() -> None:
    runtime, rng = Runtime.from_config(CONFIG.runtime), np.random.default_rng(0)
    labels, logits = rng.integers(0, 3, 300), torch.tensor(rng.normal(size=(300, 4))).float()
    images = np.zeros((300, 8, 8, 1), np.uint8)
    images[:, 0, 0, 0] = np.arange(300) % 256
    placed = PlacedImages.place(images, labels, np.zeros(1), np.ones(1), runtime)
    left = iter(logits.split(256))
    validation = Validation(placed, 4, balanced=True)
    measures = validation.measures(validation.sums(lambda _: next(left), 32).tolist())
    answers = logits.argmax(1).numpy()
    right, label = answers == labels, torch.tensor(labels)
    recalls = [right[labels == each].mean() for each in range(3)]
    assert measures["valid_balanced_accuracy"] == pytest.approx(np.mean(recalls))
    assert measures["valid_accuracy"] == pytest.approx(right.mean())
    assert measures["valid_loss"] == pytest.approx(float(torch.nn.functional.cross_entropy(logits, label)))
    known = np.isin(answers, [0, 1, 2])
    assert balanced_accuracy_score(labels[known], answers[known]) >= np.mean(recalls)


def test_the_weights_that_are_kept_and_tested_are_the_best_epochs(
    folder: Path, whole: EvaluationResult, dataset: ImageDataset
) -> None:
    assert whole.chosen_epoch == best_epoch(whole.history, balanced=False) < len(whole.history) - 1
    assert all(record.test_error is None and record.valid_accuracy is not None for record in whole.history)
    network = read_trained_network(folder).module
    answers = [
        network(torch.from_numpy(part.images).permute(0, 3, 1, 2).float()).argmax(1).numpy()
        for part in (dataset.test, with_validation(dataset, CONFIG)[1] or dataset.test)
    ]
    assert (answers[0] != dataset.test.labels).mean() == pytest.approx(whole.test_error)
    chosen = whole.history[whole.chosen_epoch]
    held_back = with_validation(dataset, CONFIG)[1]
    assert held_back is not None and (answers[1] == held_back.labels).mean() == pytest.approx(chosen.valid_accuracy)


def test_the_test_set_has_no_part_in_what_is_trained_and_chosen(
    folder: Path, whole: EvaluationResult, dataset: ImageDataset, tmp_path: Path
) -> None:
    other = replace(dataset, test=LabelledImages(255 - dataset.test.images[:50], dataset.test.labels[:50]))
    result = run_evaluation(CONFIG, GENOTYPE, dataset=other, folder=tmp_path)
    assert told(result)[:2] == told(whole)[:2]  # type: ignore[index]
    assert (tmp_path / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()
    assert result.test_error != whole.test_error


@pytest.mark.parametrize("at", [4, 6], ids=["before the best", "after it"])
def test_stopped_and_resumed_it_ends_with_the_same_weights(
    folder: Path, whole: EvaluationResult, tmp_path: Path, at: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run_evaluation(CONFIG, GENOTYPE, folder=tmp_path, observers=[Interrupt(at)])
    assert told(resume_evaluation(tmp_path)) == told(whole)
    assert (tmp_path / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()


def test_patience_ends_it_early_and_a_resumed_one_ends_there_too(whole: EvaluationResult, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"patience": 1, "epochs": 50})
    expected = next(
        n for n in range(1, 5) if best_epoch(whole.history[:n], balanced=False) < n - 1
    )  # the rate is constant, so epochs are the same
    with pytest.raises(KeyboardInterrupt):
        run_evaluation(config, GENOTYPE, folder=tmp_path, observers=[Interrupt(2 + expected)])
    result = resume_evaluation(tmp_path)
    assert len(result.history) == expected and result.chosen_epoch == expected - 2


def test_patience_without_a_share_is_refused_and_says_what_to_set() -> None:
    with pytest.raises(ConfigError, match="patience is 3 and validation_share 0: .* set validation_share=0.1"):
        EvaluateConfig(patience=3)


def test_without_a_share_the_last_epoch_is_tested_and_reported(dataset: ImageDataset) -> None:
    result = run_evaluation(make_evaluate_config_tiny(), GENOTYPE, dataset=dataset)
    assert result.classes is not None and result.chosen_epoch is None
    assert 1 - result.classes.accuracy == pytest.approx(result.history[-1].test_error)
    assert result.classes.loss == pytest.approx(result.history[-1].test_loss, rel=1e-5)
