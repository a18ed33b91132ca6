"""The objectives by name, and how an individual is measured by those that the config names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from medarts_ops.config import ObjectiveConfig, ResolvedObjective
from medarts_ops.derived import DerivedTraining
from medarts_ops.errors import SearchError, named
from medarts_ops.individual import EvaluatedIndividual, FailedIndividual, Measured, TrainedIndividual
from medarts_ops.objectives.measuring import MeasuringContext, Objective
from medarts_ops.registry import Registry

PARA_AUG = "para_aug: weights of the full-size network (paper, where more count as better)"
MACS = "multiply-adds of one image through that network (ours)"
VALID_LOSS = "loss of the supernet on the images of acc_valid (ours: finer than accuracy)"
DERIVED_ACCURACY = "accuracy of the genotype's own network after a short training from scratch (ours)"
DERIVED_LOSS = "loss of that network on the same images, which its training does not see (ours)"
LATENCY = "milliseconds of one image through that network on one CPU thread, a median (ours)"

# What counts and times networks needs torch, which only a measurement loads: commands that show values do without.


def accuracy(trained: TrainedIndividual, context: MeasuringContext) -> float:
    """acc_valid of the supernet, 0…1 (paper III.C.3)."""
    return trained.valid_accuracy


def valid_loss(trained: TrainedIndividual, context: MeasuringContext) -> float:
    """Mean cross-entropy of the supernet on the images of acc_valid, after the individual's epoch."""
    return next(record.valid_loss for record in reversed(trained.history) if trained.epoch in (None, record.epoch))


def derived_accuracy(trained: TrainedIndividual, context: MeasuringContext) -> float:
    return _short_training(trained).accuracy


def derived_loss(trained: TrainedIndividual, context: MeasuringContext) -> float:
    return _short_training(trained).loss


def _short_training(trained: TrainedIndividual) -> DerivedTraining:
    if trained.derived is None:
        raise SearchError("its genotype was not trained")
    return trained.derived


def params(trained: TrainedIndividual, context: MeasuringContext) -> float:
    """para_aug: weights of the full-size network of the individual's genotype (paper III.C.3)."""
    from medarts_ops.networks.counting import count_parameters

    return float(count_parameters(trained.genotype, **_counted_network(context)))


def macs(trained: TrainedIndividual, context: MeasuringContext) -> float:
    from medarts_ops.networks.counting import count_macs

    return float(count_macs(trained.genotype, resolution=context.resolution, **_counted_network(context)))


def latency(trained: TrainedIndividual, context: MeasuringContext) -> float:
    """Milliseconds of one image through that network, on one CPU thread (ours); a measurement, so not repeatable."""
    from medarts_ops.networks.counting import forward_milliseconds

    return forward_milliseconds(trained.genotype, resolution=context.resolution, **_counted_network(context))


def _counted_network(context: MeasuringContext) -> dict[str, Any]:
    size = context.para_aug
    images = {"n_classes": context.n_classes, "in_channels": context.in_channels}
    return size.model_dump() | images


OBJECTIVES = Registry(
    "objective",
    "objectives.N.name",
    "medarts_ops.objectives",
    {
        "accuracy": Objective(accuracy, "maximize", "acc_valid of the supernet (paper)", unit="%"),
        "valid_loss": Objective(valid_loss, "minimize", VALID_LOSS, "validation loss"),
        "derived_accuracy": Objective(derived_accuracy, "maximize", DERIVED_ACCURACY, "accuracy trained alone", "%"),
        "derived_loss": Objective(derived_loss, "minimize", DERIVED_LOSS, "loss trained alone"),
        "params": Objective(params, "maximize", PARA_AUG, unit="M", is_count=True, of_counted_network=True),
        "macs": Objective(macs, "minimize", MACS, "multiply-adds", "M", of_counted_network=True),
        "latency": Objective(latency, "minimize", LATENCY, unit="ms", of_counted_network=True, is_timed=True),
    },
    part_type=Objective,
)


def resolve_objectives(configs: Sequence[ObjectiveConfig]) -> tuple[ResolvedObjective, ...]:
    """The same, each with its direction: its natural one where the config gives none. ConfigError if one is unknown."""
    known = [OBJECTIVES.get(config.name, f"objectives.{place}.name") for place, config in enumerate(configs)]
    return tuple(
        ResolvedObjective(name=config.name, direction=config.direction or objective.direction)
        for config, objective in zip(configs, known, strict=True)
    )


def are_timed(configs: Sequence[ObjectiveConfig]) -> bool:
    """Whether one of them is measured by a clock."""
    return any(OBJECTIVES.get(config.name).is_timed for config in configs)


def evaluate_individual(
    trained: TrainedIndividual, configs: Sequence[ObjectiveConfig], context: MeasuringContext
) -> Measured:
    """Measure by every objective; an individual of which one gives no finite number ≥ 0, or breaks off, has failed."""
    measured: dict[str, float] = {}
    for config in configs:
        try:
            value = measured[config.name] = OBJECTIVES.get(config.name).measure(trained, context)
            wrong = "" if math.isfinite(value) and value >= 0 else f"gave {value}: allowed are finite numbers from 0"
        except Exception as error:  # an objective may be anybody's code
            wrong = f"broke off ({named(error)})"
        if wrong:
            reason = f"individual {trained.individual.id}: objective {config.name!r} {wrong}"
            return FailedIndividual(
                individual=trained.individual, reason=reason, cause="crashed", seconds=trained.seconds
            )
    return EvaluatedIndividual(trained=trained, objectives=measured)
