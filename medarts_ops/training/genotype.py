"""The full-size training of one genotype as a task, from the first epoch, or from its last checkpoint, to the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO

from medarts_ops.config_dataset import DatasetConfig
from medarts_ops.data.dataset import ImageDataset
from medarts_ops.data.registry import load_dataset
from medarts_ops.errors import TrainingDiverged
from medarts_ops.evaluated import Cut, EvaluationEpoch, EvaluationResult, best_epoch, has_stopped_improving
from medarts_ops.individual import FailureCause
from medarts_ops.observers import EvaluationStarted
from medarts_ops.tasks import Task
from medarts_ops.training.checkpoint import TrainingCheckpoint, epochs_of
from medarts_ops.training.classification import class_report
from medarts_ops.training.supervised import SupervisedTraining
from medarts_ops.training.time_limit import TimeLimit
from medarts_ops.training.workplace import Workplace
from medarts_ops.value import Value, identity_of


class EvaluationBegun(Value):
    """The network is built and fits; `mean` and `std` [channel] are what its images are normalised by."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


class TrainedGenotype(Value):
    """What came of the evaluation `name`."""

    name: str
    result: EvaluationResult


class FailedEvaluation(Value):
    """An evaluation whose training did not finish. What diverged does so again."""

    name: str
    reason: str
    cause: FailureCause


EvaluationOutcome = TrainedGenotype | FailedEvaluation
EvaluationProgress = EvaluationBegun | EvaluationEpoch
ProgressCallback = Callable[[str, EvaluationProgress], None]


class EvaluationTask(Task[str, EvaluationProgress, EvaluationOutcome]):
    """Full-size training as `started` says. Progress and outcome name it by `name`.

    `checkpoint` is the file that it is saved to after each epoch, and goes on from; `weights` gets the trained
    network's state dict. None saves nothing. `seconds` are how long it may train: it ends after the last epoch that
    fits, one at the least.
    """

    name: str
    started: EvaluationStarted
    checkpoint: str | None = None
    weights: str | None = None
    seconds: float | None = None

    @property
    def identity(self) -> str:
        """What a checkpoint must have been made of to be this task's."""
        return identity_of(self.started)

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def source(self) -> DatasetConfig:
        return self.started.config.dataset

    @property
    def work(self) -> float:
        return float(self.started.parameters) * self.started.config.epochs

    @property
    def checkpoints(self) -> tuple[str, ...]:
        return () if self.checkpoint is None else (self.checkpoint,)

    @property
    def remedy(self) -> str:
        config = self.started.config
        return f"batch {config.batch}, {config.cells} cells and {config.channels} channels; lower batch or channels"

    def failures(
        self, cause: FailureCause, what: str, known: Sequence[EvaluationOutcome] = ()
    ) -> list[EvaluationOutcome]:
        failed = FailedEvaluation(name=self.name, reason=f"evaluation {self.name}: {what}", cause=cause)
        return [] if known else [failed]


def read_images(task: EvaluationTask) -> ImageDataset:
    """The dataset; raises a DataError if it can't be read."""
    return load_dataset(task.started.config.dataset)


def train_genotype(
    task: EvaluationTask, workplace: Workplace, dataset: ImageDataset, on_progress: ProgressCallback
) -> Sequence[EvaluationOutcome]:
    """Train on the images that the settings name, and test what came of it. Epochs of a checkpoint are told again."""
    started, config = task.started, task.started.config
    balanced, limit = config.class_weights == "balanced", TimeLimit(task.seconds, workplace.runtime.ranks)
    training = SupervisedTraining(started.genotype, config, dataset, workplace.runtime)
    mean, std = (tuple(part.tolist()) for part in training.statistics)
    on_progress(task.name, EvaluationBegun(mean=mean, std=std))
    checkpoint = TrainingCheckpoint(workplace.files, task.checkpoint, task.identity)
    history: list[EvaluationEpoch] = []
    stopped = False
    try:
        for record in epochs_of(training, checkpoint, config.epochs, limit):
            on_progress(task.name, record)
            history.append(record)
            if stopped := has_stopped_improving(history, config.patience, balanced=balanced):
                break  # before a checkpoint of this epoch: a resumed training comes by here, too
        logits = training.test_logits()
    except TrainingDiverged as error:
        return [FailedEvaluation(name=task.name, reason=str(error), cause="diverged")]
    if task.weights is not None:
        content = BytesIO()  # torch's writer to a file raises a RuntimeError on a full disk
        training.save_weights(content)
        workplace.files.write(task.weights, content.getvalue())
    is_whole = stopped or len(history) == config.epochs
    result = EvaluationResult(
        genotype=started.genotype,
        parameters=started.parameters,
        history=tuple(history),
        seconds=sum(record.seconds for record in history),
        classes=class_report(logits, dataset.test, dataset.class_names),
        chosen_epoch=best_epoch(history, balanced=balanced) if config.validation_share else None,
        cut=None if is_whole else Cut(what="training", epochs=len(history), planned=config.epochs),
    )
    return [TrainedGenotype(name=task.name, result=result)]
