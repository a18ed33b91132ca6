"""A group of individuals, trained from the first epoch, or from its last checkpoint, to the end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from medarts_ops.errors import MedartsError
from medarts_ops.individual import EpochRecord, FailedIndividual, Individual, Outcome, TrainingTask
from medarts_ops.training.bilevel import SearchTraining
from medarts_ops.training.checkpoint import TrainingCheckpoint
from medarts_ops.training.placed_images import StageTensors
from medarts_ops.training.runtime import Runtime

EpochCallback = Callable[[Individual, EpochRecord], None]

_logger = logging.getLogger(__name__)


def train_group(
    task: TrainingTask, tensors: StageTensors, runtime: Runtime, on_epoch: EpochCallback
) -> Iterator[Outcome]:
    """Train fresh supernets with the individuals' α (weights are never inherited), or go on with a checkpoint's.

    A failure is an outcome, not an error. A NaN or infinite loss or α ends in a `FailedIndividual`, which names
    individual, stage and epoch; the others of the group go on. A stack that runs out of memory is trained in two
    halves, which is the same work; an individual alone has failed. Whatever else breaks off, a mistake in the code
    too, fails the group. Seconds are an individual's share of the group's. Epochs of a checkpoint are told again:
    whoever listens may have missed them. What `on_epoch` raises is raised: it is not of the training.

    Raises:
        SearchError: a checkpoint can't be written, or a newer release wrote it.
    """
    try:
        outcomes = _train(task, tensors, runtime, _apart(on_epoch))
    except _ListenerError as error:
        raise error.cause from None
    except MedartsError:
        raise
    except (torch.OutOfMemoryError, MemoryError) as error:
        _logger.warning("%s: out of memory (%s)", _names(task), str(error).splitlines()[0] if str(error) else "")
        outcomes = None
    except Exception as error:
        what = f"{type(error).__name__}: {' '.join(str(error).split())}"
        _logger.warning("%s: %s", _names(task), what, exc_info=error)
        yield from _failed(task, "crashed", f"training broke off ({what}); `--debug` and the log show where")
        return
    if outcomes is not None:
        yield from outcomes
        return
    # Outside the handler, which keeps the frames that hold the memory.
    runtime.free_cache()
    if len(task.individuals) > 1:
        for half in _halves(task):
            yield from train_group(half, tensors, runtime, on_epoch)
        return
    stage = task.stage
    yield from _failed(
        task,
        "out_of_memory",
        f"out of memory with batch {stage.batch}, {stage.cells} cells and {stage.channels} channels; lower "
        f"stages.*.batch or stages.*.channels, or train fewer at a time (runtime.workers, runtime.stack)",
    )


class _ListenerError(Exception):
    """Carries what a listener raised past the handlers that are for the training's own errors."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _apart(on_epoch: EpochCallback) -> EpochCallback:
    def tell(individual: Individual, record: EpochRecord) -> None:
        try:
            on_epoch(individual, record)
        except Exception as error:
            raise _ListenerError(error) from error

    return tell


def _train(task: TrainingTask, tensors: StageTensors, runtime: Runtime, on_epoch: EpochCallback) -> list[Outcome]:
    training = SearchTraining(task, tensors, runtime)
    path = None if task.checkpoint is None else Path(task.checkpoint)
    checkpoint = TrainingCheckpoint(path, task.identity)
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


def _halves(task: TrainingTask) -> list[TrainingTask]:
    """The same individuals in two tasks, each with a checkpoint of its own beside the group's."""
    middle = len(task.individuals) // 2
    halves: list[TrainingTask] = []
    for part in (task.individuals[:middle], task.individuals[middle:]):
        path = None if task.checkpoint is None else str(Path(task.checkpoint).with_name(f"{part[0].id}-{len(part)}.pt"))
        halves.append(task.model_copy(update={"individuals": part, "checkpoint": path}))
    return halves


def _failed(task: TrainingTask, cause: str, what: str) -> Iterator[FailedIndividual]:
    for individual in task.individuals:
        reason = f"individual {individual.id}, stage {task.stage.name!r}: {what}"
        yield FailedIndividual.model_validate({"individual": individual, "reason": reason, "cause": cause})


def _names(task: TrainingTask) -> str:
    return ", ".join(individual.id for individual in task.individuals)
