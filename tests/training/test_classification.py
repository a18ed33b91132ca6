"""What a network's answers say of it: scikit-learn and numbers by hand are the oracles."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from factories import make_evaluate_config_tiny, make_genotype
from PIL import Image
from sklearn.metrics import balanced_accuracy_score, classification_report, confusion_matrix

from medarts_ops.class_report import ClassReport
from medarts_ops.data.dataset import LabelledImages
from medarts_ops.data.registry import load_dataset
from medarts_ops.data.thumbnails import png_thumbnail
from medarts_ops.training.classification import balanced_class_weights, class_report, expected_calibration_error
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.supervised import SupervisedTraining

NAMES = ("ant", "bee", "cow")
RNG = np.random.default_rng(0)
LABELS = np.repeat([0, 1, 2], [40, 15, 5])
LOGITS = torch.tensor(RNG.normal(size=(60, 3)) + np.eye(3)[LABELS]).float()
FILES = tuple(f"{NAMES[label]}/\x1b{place}.png" for place, label in enumerate(LABELS))
IMAGES = LabelledImages(RNG.integers(0, 255, (60, 9, 7, 3)).astype(np.uint8), LABELS, FILES)


@pytest.fixture(scope="module")
def report() -> ClassReport:
    return class_report(LOGITS, IMAGES, NAMES)


def test_counts_and_scores_are_scikit_learns(report):
    answers = LOGITS.argmax(1).numpy()
    expected = classification_report(LABELS, answers, target_names=NAMES, output_dict=True)
    assert report.confusion == tuple(map(tuple, confusion_matrix(LABELS, answers).tolist()))
    assert report.balanced_accuracy == pytest.approx(balanced_accuracy_score(LABELS, answers))
    assert report.accuracy == pytest.approx(expected["accuracy"])
    for one in report.classes:
        scores = expected[one.name]
        assert (one.recall, one.precision, one.f1) == pytest.approx(
            (scores["recall"], scores["precision"], scores["f1-score"])
        )
        assert one.images == scores["support"]
    assert report.loss == pytest.approx(float(torch.nn.functional.cross_entropy(LOGITS, torch.tensor(LABELS))))


def test_mistakes_are_the_surest_first_and_carry_their_images(report):
    probabilities = LOGITS.softmax(1).numpy()
    wrong = [place for place in range(60) if probabilities[place].argmax() != LABELS[place]]
    surest = sorted(wrong, key=lambda place: -probabilities[place].max())[:24]
    assert [mistake.index for mistake in report.mistakes] == surest
    first = report.mistakes[0]
    assert first.name == first.file == f"{NAMES[first.label]}/\\x1b{surest[0]}.png"  # as it may be shown
    assert (first.label, first.predicted) == (LABELS[surest[0]], probabilities[surest[0]].argmax())
    assert first.probability == pytest.approx(probabilities[surest[0]].max())
    picture = Image.open(io.BytesIO(base64.b64decode(first.png or "")))
    assert np.array_equal(np.asarray(picture), IMAGES.images[first.index])


def test_a_large_image_is_shrunk_to_its_longer_side():
    grey = Image.open(io.BytesIO(base64.b64decode(png_thumbnail(np.full((192, 48, 1), 77, np.uint8)))))
    assert (grey.size, grey.mode, grey.getextrema()) == ((24, 96), "L", (77, 77))


def test_a_class_without_test_images_or_answers_has_no_scores_and_counts_for_none():
    logits = torch.tensor([[9.0, 0, 0], [0, 0, 9.0], [9.0, 0, 0]])
    some = LabelledImages(IMAGES.images[:3], np.array([0, 0, 1]))
    report = class_report(logits, some, NAMES)
    ant, bee, cow = report.classes
    assert (ant.recall, bee.recall, cow.recall) == (0.5, 0.0, None)
    assert (ant.precision, bee.precision, cow.precision) == (0.5, None, 0.0)
    assert report.balanced_accuracy == 0.25


def test_the_calibration_error_is_the_gap_of_each_bin_weighed_by_its_images():
    # Bins of a fifteenth: three of 0.95 of which one is right, two of 0.7 that are right, and one of exactly 1 / 15.
    confidences = np.array([0.95, 0.95, 0.95, 0.7, 0.7, 1 / 15])
    right = np.array([True, False, False, True, True, False])
    by_hand = 3 / 6 * abs(0.95 - 1 / 3) + 2 / 6 * abs(0.7 - 1) + 1 / 6 * abs(1 / 15 - 0)
    assert expected_calibration_error(confidences, right) == pytest.approx(by_hand)
    assert expected_calibration_error(np.ones(4), np.ones(4, bool)) == 0


def test_balanced_weights_are_all_images_shared_by_classes_and_their_images():
    assert balanced_class_weights(np.array([0, 1, 1, 1]), 2).tolist() == [4 / (2 * 1), 4 / (2 * 3)]


@pytest.mark.parametrize("amp", ["off", "bf16"])
def test_the_loss_of_a_step_is_weighed_by_class_and_divided_by_the_weights(amp):
    config = make_evaluate_config_tiny().model_copy(update={"class_weights": "balanced", "drop_path": 0.0})
    dataset = load_dataset(config.dataset)
    runtime = Runtime.from_config(config.runtime.model_copy(update={"amp": amp}))
    training = SupervisedTraining(make_genotype("skip_connect", nodes=2), config, dataset, runtime)
    batch = training._train.plain(torch.arange(32))
    training.network.train()
    with runtime.autocast():
        logits = training.network(batch.images)[0].detach().float()
    labels = dataset.train.labels
    weights = torch.tensor(len(labels) / (10 * np.bincount(labels)))[batch.labels]
    losses = -logits.double().log_softmax(1)[torch.arange(32), batch.labels]
    loss, _ = training.step(batch)
    assert float(loss) == pytest.approx(float((weights * losses).sum() / weights.sum()), rel=1e-4)
    assert float(loss) != pytest.approx(float(losses.mean()), rel=1e-6)
