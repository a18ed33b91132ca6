"""The short training of a genotype's own network, from the first epoch, or from its last checkpoint, to the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from medarts_ops.data.dataset import ImageDataset, LabelledImages
from medarts_ops.data.stage_data import StageData
from medarts_ops.derived import DerivedEpoch, DerivedOutcome, DerivedTraining
from medarts_ops.errors import TrainingDiverged
from medarts_ops.individual import EvaluationEpoch
from medarts_ops.tasks import DerivedTask
from medarts_ops.training.checkpoint import TrainingCheckpoint, epochs_of
from medarts_ops.training.supervised import SupervisedTraining
from medarts_ops.training.time_limit import TimeLimit
from medarts_ops.training.workplace import Workplace


def read_derived_images(task: DerivedTask) -> ImageDataset:
    """Both parts of the search's D_sample as training and test set; raises a DataError if they can't be read."""
    return _parts(StageData.load(Path(task.data)))


def train_derived(
    task: DerivedTask, workplace: Workplace, images: ImageDataset, on_epoch: Callable[[str, DerivedEpoch], None]
) -> Sequence[DerivedOutcome]:
    """Train a genotype's network from scratch. Epochs of a checkpoint are told again."""
    limit = TimeLimit(task.seconds)
    training = SupervisedTraining(task.genotype, task.settings, images, workplace.runtime)
    checkpoint, (name,) = TrainingCheckpoint(workplace.files, task.checkpoint, task.identity), task.names
    try:
        for record in epochs_of(training, checkpoint, task.settings.epochs, limit):
            on_epoch(name, _derived_epoch(record))
    except TrainingDiverged as error:
        return task.failures("diverged", str(error))
    history = tuple(map(_derived_epoch, training.history))
    parameters = sum(weight.numel() for weight in training.network.parameters())
    return [DerivedTraining(genotype=task.genotype, parameters=parameters, history=history)]


def _derived_epoch(record: EvaluationEpoch) -> DerivedEpoch:
    assert record.test_loss is not None  # what is held back of D_sample is the test set here
    return DerivedEpoch(
        epoch=record.epoch,
        train_loss=record.train_loss,
        train_accuracy=record.train_accuracy,
        valid_loss=record.test_loss,
        valid_accuracy=1 - record.measured_error,
        lr=record.lr,
        seconds=record.seconds,
        images_per_second=record.images_per_second,
    )


def _parts(data: StageData) -> ImageDataset:
    sample = LabelledImages(data.images, data.labels)
    train, valid = sample.take(data.weight_indices), sample.take(data.valid_indices)
    names = tuple(str(label) for label in range(data.n_classes))
    return ImageDataset("D_sample", names, train, valid, "the part of D_sample that is not trained on")
