"""The objectives by name, and how an individual is measured by those that the config names."""

from __future__ import annotations

from collections.abc import Sequence

from medarts_ops.config import ObjectiveConfig
from medarts_ops.errors import ConfigError, unknown_name
from medarts_ops.individual import EvaluatedIndividual, TrainedIndividual
from medarts_ops.networks.counting import count_macs, count_parameters
from medarts_ops.objectives.latency import forward_milliseconds
from medarts_ops.objectives.measuring import MeasuringContext, Objective


def accuracy(trained: TrainedIndividual, context: MeasuringContext) -> float:
    """acc_valid of the supernet, 0…1 (paper III.C.3)."""
    return trained.valid_accuracy


def params(trained: TrainedIndividual, context: MeasuringContext) -> float:
    """para_aug: weights of the full-size network of the individual's genotype (paper III.C.3)."""
    return float(
        count_parameters(
            trained.genotype,
            cells=context.para_aug.cells,
            channels=context.para_aug.channels,
            n_classes=context.n_classes,
            in_channels=context.in_channels,
        )
    )


def macs(trained: TrainedIndividual, context: MeasuringContext) -> float:
    """Multiply-adds of one image through that network (ours)."""
    return float(
        count_macs(
            trained.genotype,
            cells=context.para_aug.cells,
            channels=context.para_aug.channels,
            n_classes=context.n_classes,
            in_channels=context.in_channels,
            resolution=context.resolution,
        )
    )


def latency(trained: TrainedIndividual, context: MeasuringContext) -> float:
    """Milliseconds of one image through that network, on a CPU thread (ours); a measurement, so not repeatable."""
    return forward_milliseconds(
        trained.genotype,
        cells=context.para_aug.cells,
        channels=context.para_aug.channels,
        n_classes=context.n_classes,
        in_channels=context.in_channels,
        resolution=context.resolution,
    )


OBJECTIVES: dict[str, Objective] = {"accuracy": accuracy, "params": params, "macs": macs, "latency": latency}


def check_objectives(configs: Sequence[ObjectiveConfig]) -> None:
    """Refuse an objective that nobody registered, before anything is trained.

    Raises:
        ConfigError: with the dotted path and the near miss.
    """
    for index, config in enumerate(configs):
        if config.name not in OBJECTIVES:
            raise ConfigError(f"objectives.{index}.name: {unknown_name('objective', config.name, OBJECTIVES)}")


def evaluate_individual(
    trained: TrainedIndividual, configs: Sequence[ObjectiveConfig], context: MeasuringContext
) -> EvaluatedIndividual:
    """Measure every objective of the config, in its order."""
    measured = {config.name: OBJECTIVES[config.name](trained, context) for config in configs}
    return EvaluatedIndividual(trained=trained, objectives=measured)
