"""Full-size training of one genotype, as events: the paper's architecture evaluation (IV.C)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medarts_ops.config import EvaluateConfig
from medarts_ops.data.dataset import ImageDataset
from medarts_ops.data.registry import load_dataset
from medarts_ops.individual import EvaluationEpoch, EvaluationResult
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
from medarts_ops.training.runtime import Runtime, resolve_runtime
from medarts_ops.training.supervised import SupervisedTraining


def run_evaluation(
    config: EvaluateConfig,
    genotype: Genotype,
    *,
    dataset: ImageDataset | None = None,
    weights_file: Path | None = None,
    observers: Sequence[EvaluationObserver] = (),
) -> EvaluationResult:
    """Train the network of `genotype` on all training images; the test error of the last epoch is the result.

    Args:
        config: all settings.
        genotype: the architecture.
        dataset: what `load_dataset(config.dataset)` gave, where the caller has it already.
        weights_file: where the trained weights go; `torch.load(weights_file, weights_only=True)` reads them.
        observers: told of the start, of every epoch and of the end.

    Raises:
        MedartsError: bad settings, bad data, or a loss that diverged.
    """
    config = config.model_copy(update={"runtime": resolve_runtime(config.runtime)})
    dataset = load_dataset(config.dataset) if dataset is None else dataset
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
    history: list[EvaluationEpoch] = []

    def tell(event: EvaluationEvent) -> None:
        for observer in observers:
            observer.notify(event)

    try:
        tell(EvaluationStarted(config=config, genotype=genotype, parameters=parameters, dataset=dataset.summary(None)))
        for epoch in range(config.epochs):
            history.append(training.run_epoch(epoch))
            tell(EvaluationEpochFinished(record=history[-1]))
        result = EvaluationResult(
            genotype=genotype,
            parameters=parameters,
            history=tuple(history),
            seconds=sum(record.seconds for record in history),
        )
        if weights_file is not None:
            training.save_weights(weights_file)
        tell(EvaluationFinished(result=result, weights_file=None if weights_file is None else str(weights_file)))
    except BaseException as error:
        reason, interrupted = how_it_stopped(error)
        tell(EvaluationStopped(reason=reason, interrupted=interrupted))
        raise
    return result
