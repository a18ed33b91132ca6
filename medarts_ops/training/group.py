"""The search training of a group of individuals, from the first epoch, or from its last checkpoint, to the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from medarts_ops.data.stage_data import StageData
from medarts_ops.individual import EpochRecord, Individual, Outcome
from medarts_ops.tasks import TrainingTask
from medarts_ops.training.bilevel import SearchTraining
from medarts_ops.training.checkpoint import TrainingCheckpoint
from medarts_ops.training.discretized import measure_discretized
from medarts_ops.training.perturbation import read_by_perturbation
from medarts_ops.training.placed_images import StageTensors
from medarts_ops.training.time_limit import TimeLimit
from medarts_ops.training.workplace import Workplace

EpochCallback = Callable[[Individual, EpochRecord], None]


def read_stage(task: TrainingTask) -> StageData:
    """The stage's images; raises a DataError if they can't be read."""
    return StageData.load(Path(task.stage_data))


def train_group(
    task: TrainingTask, workplace: Workplace, tensors: StageTensors, on_epoch: EpochCallback
) -> Sequence[Outcome]:
    """Train fresh supernets with the individuals' α (weights are never inherited), or go on with a checkpoint's.

    A NaN or infinite loss or α ends in a `FailedIndividual`, which names individual, stage and epoch; the others of the
    group go on. Seconds are an individual's share of the group's. Epochs of a checkpoint are told again: whoever
    listens may have missed them. Of a task that ends before its stage, outcomes are as after its last epoch, and have
    nothing that is found out afterwards.
    """
    training = _trained(task, workplace, tensors, on_epoch)
    outcomes = list(training.outcomes())
    if task.until is not None:
        return outcomes
    if task.config.reading.name == "perturbation":
        outcomes = read_by_perturbation(training, outcomes)
    return measure_discretized(training, outcomes)


def _trained(
    task: TrainingTask, workplace: Workplace, tensors: StageTensors, on_epoch: EpochCallback
) -> SearchTraining:
    """The training after the task's last epoch, from its checkpoint, or as `begun` left it, or from the beginning."""
    limit = TimeLimit(task.seconds)
    training = SearchTraining(task, tensors, workplace.runtime)
    checkpoint = TrainingCheckpoint(workplace.files, task.checkpoint, task.identity)
    done = checkpoint.restore(training)
    if task.begun is not None and not done:
        begun = _trained(task.begun, workplace, tensors, lambda individual, record: None)
        training.load_state(begun.state_of(task.names))
        done = task.begun.last_epoch
    for member in training.members:
        for record in member.history:
            on_epoch(member.individual, record)
    for epoch in range(done, task.last_epoch):
        if not training.living or not limit.allows(epoch):
            break
        for member in training.run_epoch(epoch):
            on_epoch(member.individual, member.history[-1])
        checkpoint.save(training, epoch + 1)
    return training
