"""Full-size training of one genotype, as events: the paper's architecture evaluation (IV.C)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from medarts_ops.config import EvaluateConfig
from medarts_ops.data.dataset import ImageDataset
from medarts_ops.data.registry import load_dataset
from medarts_ops.errors import DataError, MedartsError, SearchError
from medarts_ops.individual import EvaluationResult
from medarts_ops.journal.lock import search_lock
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
from medarts_ops.space.genotype import Genotype
from medarts_ops.training.checkpoint import TrainingCheckpoint
from medarts_ops.training.runtime import Runtime, resolve_runtime
from medarts_ops.training.supervised import SupervisedTraining
from medarts_ops.value import Value

STARTED = "evaluation.json"
CHECKPOINT = "checkpoint.pt"


class _Started(Value):
    """What an evaluation's folder says of it."""

    format: Literal["medarts-evaluation"] = "medarts-evaluation"
    version: Literal[1] = 1
    config: EvaluateConfig
    genotype: Genotype
    fingerprint: str


def run_evaluation(
    config: EvaluateConfig,
    genotype: Genotype,
    *,
    dataset: ImageDataset | None = None,
    folder: Path | None = None,
    weights_file: Path | None = None,
    observers: Sequence[EvaluationObserver] = (),
) -> EvaluationResult:
    """Train the network of `genotype` on all training images; the test error of the last epoch is the result.

    Args:
        config: all settings.
        genotype: the architecture.
        dataset: what `load_dataset(config.dataset)` gave, where the caller has it already.
        folder: an existing folder of the evaluation's own, for a checkpoint after each epoch; None keeps none.
        weights_file: where the trained weights go; `torch.load(weights_file, weights_only=True)` reads them.
        observers: told of the start, of every epoch and of the end.

    Raises:
        MedartsError: bad settings, bad data, or a loss that diverged.
    """
    config = config.model_copy(update={"runtime": resolve_runtime(config.runtime)})
    dataset = load_dataset(config.dataset) if dataset is None else dataset
    started = _Started(config=config, genotype=genotype, fingerprint=dataset.summary(None).fingerprint)
    if folder is None:
        return _carry_out(started, dataset, None, weights_file, observers)
    with search_lock(folder):
        _write(folder / STARTED, started)
        return _carry_out(started, dataset, folder / CHECKPOINT, weights_file, observers)


def resume_evaluation(
    folder: Path, *, weights_file: Path | None = None, observers: Sequence[EvaluationObserver] = ()
) -> EvaluationResult:
    """Go on with an evaluation after its last whole epoch; the start and the epochs so far are told once more.

    Args:
        folder: the one that `run_evaluation` was given.
        weights_file: as for `run_evaluation`.
        observers: likewise; they bear an event that is told twice.

    Raises:
        SearchError: there is no evaluation in the folder, or another process works on it.
        DataError: the images are not those that it began with.
        MedartsError: as for `run_evaluation`.
    """
    with search_lock(folder):
        started = _read(folder / STARTED)
        dataset = load_dataset(started.config.dataset)
        fingerprint = dataset.summary(None).fingerprint
        if fingerprint != started.fingerprint:
            raise DataError(
                f"evaluation {folder.name!r} began with other images: dataset {started.config.dataset.name!r} had "
                f"fingerprint {started.fingerprint} and has {fingerprint}; restore them, or start a new evaluation"
            )
        return _carry_out(started, dataset, folder / CHECKPOINT, weights_file, observers)


def _carry_out(
    started: _Started,
    dataset: ImageDataset,
    checkpoint_file: Path | None,
    weights_file: Path | None,
    observers: Sequence[EvaluationObserver],
) -> EvaluationResult:
    config, genotype = started.config, started.genotype
    runtime = Runtime.from_config(config.runtime)
    runtime.apply_to_process()
    parameters = count_parameters(
        genotype,
        cells=config.cells,
        channels=config.channels,
        n_classes=dataset.n_classes,
        in_channels=dataset.in_channels,
    )
    training = SupervisedTraining(genotype, config, dataset, runtime)
    checkpoint = TrainingCheckpoint(checkpoint_file, hashlib.sha256(started.model_dump_json().encode()).hexdigest())

    def tell(event: EvaluationEvent) -> None:
        for observer in observers:
            observer.notify(event)

    try:
        done = checkpoint.restore(training)
        tell(EvaluationStarted(config=config, genotype=genotype, parameters=parameters, dataset=dataset.summary(None)))
        for record in training.history:
            tell(EvaluationEpochFinished(record=record))
        for epoch in range(done, config.epochs):
            tell(EvaluationEpochFinished(record=training.run_epoch(epoch)))
            checkpoint.save(training, epoch + 1)
        result = EvaluationResult(
            genotype=genotype,
            parameters=parameters,
            history=tuple(training.history),
            seconds=sum(record.seconds for record in training.history),
        )
        if weights_file is not None:
            training.save_weights(weights_file)
        tell(EvaluationFinished(result=result, weights_file=None if weights_file is None else str(weights_file)))
    except BaseException as error:
        reason, interrupted = how_it_stopped(error)
        tell(EvaluationStopped(reason=reason, interrupted=interrupted))
        raise
    return result


def _write(path: Path, started: _Started) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(started.model_dump_json())
    except FileExistsError as error:
        raise SearchError(f"{str(path)!r} exists: an evaluation keeps its own folder; resume it instead") from error
    except OSError as error:
        raise SearchError(f"{str(path)!r} can't be written: {error.strerror or error}; mend the folder") from error


def _read(path: Path) -> _Started:
    try:
        return _Started.model_validate_json(path.read_bytes())
    except OSError as error:
        raise SearchError(
            f"{str(path)!r} can't be read ({error.strerror or error}): no evaluation began here"
        ) from error
    except (ValidationError, MedartsError) as error:
        raise SearchError(
            f"{str(path)!r} is not what this release writes ({str(error).splitlines()[0][:120]}); resume with the "
            "release that wrote it, or evaluate again"
        ) from error
