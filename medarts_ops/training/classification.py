"""What a trained network's answers on a test set say of it, and how its loss weighs classes of unequal size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from medarts_ops.class_report import ClassReport, ClassScores, Mistake
from medarts_ops.data.dataset import LabelledImages
from medarts_ops.data.thumbnails import png_thumbnail
from medarts_ops.visible import visible

CALIBRATION_BINS = 15  # as Guo et al. 2017
MOST_MISTAKES = 24  # a contact sheet of six by four


def balanced_class_weights(labels: NDArray[np.int64], n_classes: int) -> NDArray[np.float64]:
    """n / (classes · images of the class) of `labels [image]`, [class]; every class has an image."""
    from sklearn.utils.class_weight import compute_class_weight

    weights: NDArray[np.float64] = compute_class_weight("balanced", classes=np.arange(n_classes), y=labels)
    return weights


def class_report(logits: Tensor, test: LabelledImages, class_names: Sequence[str]) -> ClassReport:
    """The report of `logits [image, class]`, float32, of the whole test set."""
    from sklearn.metrics import confusion_matrix

    labels = torch.from_numpy(test.labels)
    logits = logits.cpu().double()
    probabilities = logits.softmax(dim=1).numpy()
    # As training counts hits: of equal logits the first.
    predicted = logits.argmax(dim=1).numpy()
    classes = _scores(test.labels, predicted, class_names)
    recalls = [one.recall for one in classes if one.recall is not None]
    confusion = confusion_matrix(test.labels, predicted, labels=np.arange(len(class_names)))
    return ClassReport(
        classes=classes,
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        accuracy=float((predicted == test.labels).mean()),
        balanced_accuracy=float(np.mean(recalls)),
        calibration_error=expected_calibration_error(probabilities.max(axis=1), predicted == test.labels),
        loss=float(F.cross_entropy(logits, labels)),
        mistakes=_worst_mistakes(probabilities, predicted, test),
    )


def expected_calibration_error(confidences: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """How far `confidences [image]` in 0…1 are from the share that is `right [image]`, in 0…1.

    The mean over bins of equal width, each weighed by its images; a bin has its upper end. Guo et al. 2017, eq. 3.
    """
    bins = np.clip(np.ceil(confidences * CALIBRATION_BINS).astype(np.int64) - 1, 0, CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=confidences - right, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidences))


def _scores(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], class_names: Sequence[str]
) -> tuple[ClassScores, ...]:
    from sklearn.metrics import precision_recall_fscore_support

    precision, recall, f1, images = precision_recall_fscore_support(
        labels, predicted, labels=np.arange(len(class_names)), zero_division=np.nan
    )
    known = [[None if np.isnan(value) else float(value) for value in values] for values in (recall, precision, f1)]
    return tuple(
        ClassScores(name=name, images=int(images[place]), recall=values[0], precision=values[1], f1=values[2])
        for place, (name, values) in enumerate(zip(class_names, zip(*known, strict=True), strict=True))
    )


def _worst_mistakes(
    probabilities: NDArray[np.float64], predicted: NDArray[np.int64], test: LabelledImages
) -> tuple[Mistake, ...]:
    """The wrong answers of the highest probability, the highest first; of equal ones the first image."""
    wrong = np.flatnonzero(predicted != test.labels)
    confidences = probabilities.max(axis=1)
    worst = wrong[np.argsort(-confidences[wrong], kind="stable")][:MOST_MISTAKES]
    return tuple(
        Mistake(
            index=index,
            label=int(test.labels[index]),
            predicted=int(predicted[index]),
            probability=float(confidences[index]),
            file=visible(test.files[index]) if test.files else None,
            png=png_thumbnail(test.images[index]),
        )
        for index in worst.tolist()
    )
