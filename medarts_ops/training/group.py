"""A group of individuals, trained from the first epoch, or from its last checkpoint, to the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from medarts_ops.individual import EpochRecord, Individual, Outcome, TrainingTask
from medarts_ops.training.bilevel import SearchTraining
from medarts_ops.training.group_checkpoint import GroupCheckpoint
from medarts_ops.training.placed_images import StageTensors
from medarts_ops.training.runtime import Runtime

EpochCallback = Callable[[Individual, EpochRecord], None]


def train_group(
    task: TrainingTask, tensors: StageTensors, runtime: Runtime, on_epoch: EpochCallback
) -> Iterator[Outcome]:
    """Train fresh supernets with the individuals' α (weights are never inherited), or go on with a checkpoint's.

    A NaN or infinite loss or α ends in a `FailedIndividual`, which names individual, stage and epoch; the others of
    the group go on. Seconds are an individual's share of the group's. Epochs of a checkpoint are told again: whoever
    listens may have missed them.

    Raises:
        SearchError: a checkpoint can't be written, or a newer release wrote it.
    """
    training = SearchTraining(task, tensors, runtime)
    checkpoint = GroupCheckpoint(task)
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
    yield from training.outcomes()
