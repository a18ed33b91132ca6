"""Full-size training of one genotype, as events: the paper's architecture evaluation (IV.C)."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

from medarts_ops.config import EvaluateConfig, ResolvedEvaluateConfig
from medarts_ops.data.dataset import ImageDataset
from medarts_ops.data.registry import load_dataset
from medarts_ops.errors import DataError, SearchError
from medarts_ops.individual import EvaluationResult
from medarts_ops.journal.checkpoint import CheckpointFile
from medarts_ops.journal.evaluation_folder import (
    CHECKPOINT,
    STARTED,
    WEIGHTS,
    read_evaluation,
    unwritable,
    write_result,
    write_started,
)
from medarts_ops.journal.lock import job_lock
from medarts_ops.networks.counting import count_parameters
from medarts_ops.observers import (
    EvaluationEpochFinished,
    EvaluationEvent,
    EvaluationFinished,
    EvaluationObserver,
    EvaluationStarted,
    EvaluationStopped,
    how_it_stopped,
)
from medarts_ops.resolving import resolve_evaluate_config
from medarts_ops.space.genotype import Genotype
from medarts_ops.training.checkpoint import TrainingCheckpoint
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.supervised import SupervisedTraining
from medarts_ops.whole_file import whole_file

_logger = logging.getLogger(__name__)


def run_evaluation(
    config: EvaluateConfig,
    genotype: Genotype,
    *,
    dataset: ImageDataset | None = None,
    folder: Path | None = None,
    observers: Sequence[EvaluationObserver] = (),
) -> EvaluationResult:
    """Train the network of `genotype` on all training images; the test error of the last epoch is the result.

    Args:
        config: all settings.
        genotype: the architecture.
        dataset: what `load_dataset(config.dataset)` gave, where the caller has it already.
        folder: an existing folder of the evaluation's own, for a checkpoint after each epoch, and for the result and
            the trained weights (`weights.pt`) at the end; None keeps none of them.
        observers: told of the start, of every epoch and of the end.

    Raises:
        MedartsError: bad settings, bad data, or a loss that diverged.
    """
    resolved = resolve_evaluate_config(config)
    dataset = load_dataset(config.dataset) if dataset is None else dataset
    started = _started(resolved, genotype, dataset)
    if folder is None:
        return _carry_out(started, dataset, None, observers)
    with job_lock(folder):
        if (folder / STARTED).exists():
            raise SearchError(f"{str(folder)!r} holds an evaluation already; resume it instead")
        return _carry_out(started, dataset, folder, observers)


def resume_evaluation(folder: Path, *, observers: Sequence[EvaluationObserver] = ()) -> EvaluationResult:
    """Go on with an evaluation after its last whole epoch; the start and the epochs so far are told once more.

    One that is finished is only told again.

    Args:
        folder: the one that `run_evaluation` was given.
        observers: as for `run_evaluation`; they bear an event that is told twice.

    Raises:
        SearchError: there is no evaluation in the folder, or another process works on it.
        DataError: the images are not those that it began with.
        MedartsError: as for `run_evaluation`.
    """
    with job_lock(folder):
        started, result = read_evaluation(folder)
        if result is not None:
            return _tell_again(started, result, folder, observers)
        dataset = load_dataset(started.config.dataset)
        fingerprint = dataset.summary(None).fingerprint
        if fingerprint != started.dataset.fingerprint:
            raise DataError(
                f"evaluation {folder.name!r} began with other images: dataset {started.config.dataset.name!r} had "
                f"fingerprint {started.dataset.fingerprint} and has {fingerprint}; restore them, or start a new "
                "evaluation"
            )
        return _carry_out(started, dataset, folder, observers)


def _started(config: ResolvedEvaluateConfig, genotype: Genotype, dataset: ImageDataset) -> EvaluationStarted:
    parameters = count_parameters(
        genotype,
        cells=config.cells,
        channels=config.channels,
        n_classes=dataset.n_classes,
        in_channels=dataset.in_channels,
    )
    return EvaluationStarted(config=config, genotype=genotype, parameters=parameters, dataset=dataset.summary(None))


def _carry_out(
    started: EvaluationStarted, dataset: ImageDataset, folder: Path | None, observers: Sequence[EvaluationObserver]
) -> EvaluationResult:
    config = started.config
    _logger.info("the evaluation computes with %s", config.runtime)
    runtime = Runtime.from_config(config.runtime)
    runtime.apply_to_process()
    training = SupervisedTraining(started.genotype, config, dataset, runtime)
    if folder is None or not (folder / STARTED).exists():
        started = _with_statistics(started, training)
        if folder is not None:
            write_started(folder, started)  # not before the network is known to fit
    checkpoint = TrainingCheckpoint(None if folder is None else folder / CHECKPOINT, _identity(started))
    try:
        done = checkpoint.restore(training)
        _tell(started, observers)
        for record in training.history:
            _tell(EvaluationEpochFinished(record=record), observers)
        for epoch in range(done, config.epochs):
            _tell(EvaluationEpochFinished(record=training.run_epoch(epoch)), observers)
            checkpoint.save(training, epoch + 1)
        result = EvaluationResult(
            genotype=started.genotype,
            parameters=started.parameters,
            history=tuple(training.history),
            seconds=sum(record.seconds for record in training.history),
        )
        if folder is not None:
            _save_weights(training, folder / WEIGHTS)
            write_result(folder, result)
            CheckpointFile(folder / CHECKPOINT).delete()
        _tell(_finished(result, folder), observers)
    except BaseException as error:
        reason, interrupted = how_it_stopped(error)
        _tell(EvaluationStopped(reason=reason, interrupted=interrupted), observers)
        raise
    return result


def _with_statistics(started: EvaluationStarted, training: SupervisedTraining) -> EvaluationStarted:
    mean, std = (tuple(part.tolist()) for part in training.statistics)
    return started.model_copy(update={"mean": mean, "std": std})


def _identity(started: EvaluationStarted) -> str:
    # Mean and std follow from the images, whose fingerprint is in it; and the checkpoints of evaluations that began
    # without them must stay theirs.
    return hashlib.sha256(started.model_dump_json(exclude={"mean", "std"}).encode()).hexdigest()


def _tell_again(
    started: EvaluationStarted, result: EvaluationResult, folder: Path, observers: Sequence[EvaluationObserver]
) -> EvaluationResult:
    _tell(started, observers)
    for record in result.history:
        _tell(EvaluationEpochFinished(record=record), observers)
    CheckpointFile(folder / CHECKPOINT).delete()  # a crash may have come between the result and this
    _tell(_finished(result, folder), observers)
    return result


def _finished(result: EvaluationResult, folder: Path | None) -> EvaluationFinished:
    return EvaluationFinished(result=result, weights_file=None if folder is None else str(folder / WEIGHTS))


def _tell(event: EvaluationEvent, observers: Sequence[EvaluationObserver]) -> None:
    for observer in observers:
        observer.notify(event)


def _save_weights(training: SupervisedTraining, path: Path) -> None:
    try:
        with whole_file(path) as file:
            training.save_weights(file)
    except (OSError, RuntimeError) as error:  # torch's writer raises the second on a full disk
        raise unwritable(path, error) from error
