"""A small class report whose numbers can be checked by hand: the X-ray model that misses half of what matters."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from medarts_ops.class_report import ClassReport, ClassScores, Mistake
from medarts_ops.evaluated import EvaluationEpoch, EvaluationResult
from medarts_ops.space.genotype import Genotype

CONFUSION = ((53, 41, 30), (20, 440, 40), (10, 90, 400))
"""Of 124, 500 and 500 test images."""


def make_class_report() -> ClassReport:
    """Recalls are 53 / 124, 0.88 and 0.8; the two mistakes have images of 4 × 6 pixels."""
    names = ("viral", "bacterial", "normal")
    answers = np.sum(CONFUSION, axis=0)
    classes = []
    for place, name in enumerate(names):
        right, images = CONFUSION[place][place], sum(CONFUSION[place])
        recall, precision = right / images, right / int(answers[place])
        f1 = 2 * recall * precision / (recall + precision)
        classes.append(ClassScores(name=name, images=images, recall=recall, precision=precision, f1=f1))
    return ClassReport(
        classes=tuple(classes),
        confusion=CONFUSION,
        accuracy=893 / 1124,
        balanced_accuracy=(53 / 124 + 0.88 + 0.8) / 3,
        calibration_error=0.0325,
        loss=0.75,
        mistakes=(
            Mistake(index=17, label=0, predicted=1, probability=0.98, file="viral/17.png", png=png(40)),
            Mistake(index=3, label=2, predicted=0, probability=0.91, png=png(200)),
        ),
    )


def png(level: int) -> str:
    """A grey picture of 4 × 6 pixels as text."""
    content = io.BytesIO()
    Image.fromarray(np.full((4, 6), level, np.uint8)).save(content, format="PNG")
    return base64.b64encode(content.getvalue()).decode()


def make_validated_epoch(epoch: int, accuracy: float, *, balanced: float = 0.5, loss: float = 1.0) -> EvaluationEpoch:
    """An epoch that was measured by validation images."""
    return EvaluationEpoch(
        epoch=epoch,
        train_loss=1.0,
        train_accuracy=0.5,
        valid_loss=loss,
        valid_accuracy=accuracy,
        valid_balanced_accuracy=balanced,
        lr=0.025,
        drop_path=0.0,
        seconds=10.0,
        images_per_second=144.0,
    )


def make_validated_result(genotype: Genotype) -> EvaluationResult:
    """Three epochs, the second of which was chosen."""
    history = tuple(make_validated_epoch(epoch, accuracy) for epoch, accuracy in enumerate((0.5, 0.75, 0.625)))
    return EvaluationResult(
        genotype=genotype,
        parameters=1234,
        history=history,
        seconds=30.0,
        classes=make_class_report(),
        chosen_epoch=1,
    )
