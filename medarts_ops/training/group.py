"""The search training of a group of individuals, from the first epoch, or from its last checkpoint, to the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from medarts_ops.data.stage_data import StageData
from medarts_ops.individual import EpochRecord, Individual, Outcome
from medarts_ops.tasks import TrainingTask
from medarts_ops.training.bilevel import SearchTraining
from medarts_ops.training.checkpoint import TrainingCheckpoint
from medarts_ops.training.placed_images import StageTensors
from medarts_ops.training.workplace import Workplace

EpochCallback = Callable[[Individual, EpochRecord], None]


def group_training(task: TrainingTask, workplace: Workplace) -> Callable[[EpochCallback], Sequence[Outcome]]:
    """Load the stage's images; what comes back trains.

    It trains fresh supernets with the individuals' α (weights are never inherited), or goes on with a checkpoint's. A
    NaN or infinite loss or α ends in a `FailedIndividual`, which names individual, stage and epoch; the others of the
    group go on. Seconds are an individual's share of the group's. Epochs of a checkpoint are told again: whoever
    listens may have missed them.

    Raises:
        DataError: the images can't be read.
    """

    def load() -> StageTensors:
        return StageTensors.place(StageData.load(Path(task.stage_data)), workplace.runtime)

    return partial(_train, task, workplace, workplace.data_of(task.stage_data, load))


def _train(
    task: TrainingTask, workplace: Workplace, tensors: StageTensors, on_epoch: EpochCallback
) -> Sequence[Outcome]:
    training = SearchTraining(task, tensors, workplace.runtime)
    checkpoint = TrainingCheckpoint(task.checkpoint, task.identity)
    done = checkpoint.restore(training)
    for member in training.members:
        for record in member.history:
            on_epoch(member.individual, record)
    for epoch in range(done, task.stage.epochs):
        if not training.living:
            break
        for member in training.run_epoch(epoch):
            on_epoch(member.individual, member.history[-1])
        checkpoint.save(training, epoch + 1)
    return list(training.outcomes())
