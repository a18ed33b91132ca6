"""What an evaluation would train and cost, from a few timed steps."""

from __future__ import annotations

from typing import Any, NamedTuple

from rich.console import Console

from medarts_ops.bench.estimate import EvaluationEstimate
from medarts_ops.bench.within_budget import time_evaluation
from medarts_ops.cli.output import print_facts
from medarts_ops.config import EvaluateConfig, ResolvedEvaluateConfig, ResolvedSearchConfig
from medarts_ops.data.evaluation_images import images_of_epoch
from medarts_ops.fitting import fitted_evaluation, shape_of
from medarts_ops.networks.counting import count_parameters
from medarts_ops.observers import DatasetSummary
from medarts_ops.quantities import SECONDS_PER_HOUR, byte_size, counted, duration, millions
from medarts_ops.resolving import resolve_evaluate_config
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.random_genotype import random_genotypes

TIMED_STEPS = 2


class PlannedEvaluation(NamedTuple):
    """An evaluation before it begins; an epoch trains on the first of `images`, and is measured by the others."""

    config: ResolvedEvaluateConfig
    dataset: DatasetSummary
    images: tuple[int, int]
    parameters: int
    estimate: EvaluationEstimate

    def as_json(self) -> dict[str, Any]:
        """Plain data for other programs."""
        return {
            "estimate": self.estimate.model_dump(),
            "memory_bytes": self.estimate.memory_bytes,
            "parameters": self.parameters,
            "images": {"train": self.images[0], "test": self.dataset.n_test},
            "classes": list(self.dataset.class_names),
            "config": self.config.model_dump(mode="json"),
        }


def plan_evaluation(config: ResolvedEvaluateConfig, genotype: Genotype, dataset: DatasetSummary) -> PlannedEvaluation:
    """Time a few steps of the network of `genotype`; ConfigError where it won't fit into memory."""
    fitted = fitted_evaluation(config, genotype, dataset)
    return planned_evaluation(fitted, genotype, dataset, time_evaluation(fitted, genotype, dataset, TIMED_STEPS))


def planned_evaluation(
    config: ResolvedEvaluateConfig, genotype: Genotype, dataset: DatasetSummary, estimate: EvaluationEstimate
) -> PlannedEvaluation:
    """The plan of an evaluation that was timed already."""
    shape = shape_of(dataset)
    shaped = {"n_classes": shape.n_classes, "in_channels": shape.in_channels, "stem": config.stem}
    return PlannedEvaluation(
        config=config,
        dataset=dataset,
        images=images_of_epoch(config, dataset),
        parameters=count_parameters(genotype, cells=config.cells, channels=config.channels, **shaped),
        estimate=estimate,
    )


def plan_after_search(
    config: EvaluateConfig, search: ResolvedSearchConfig, dataset: DatasetSummary
) -> PlannedEvaluation:
    """The same for what a search would find, which is taken to be like a random genotype; whether it fits or not."""
    (genotype,) = random_genotypes(1, seed=0, nodes=search.space.nodes)
    resolved = resolve_evaluate_config(config, dataset.resolution)
    return planned_evaluation(resolved, genotype, dataset, time_evaluation(resolved, genotype, dataset, TIMED_STEPS))


def print_planned_evaluation(console: Console, planned: PlannedEvaluation) -> None:
    """The plan, a fact a line."""
    config, (to_train, measured) = planned.config, planned.images
    height, width = planned.dataset.resolution
    classes, measuring = planned.dataset.class_names, "validate" if config.validation_share else "test"
    devices = config.runtime.devices
    where = (
        config.runtime.device
        if devices == 1
        else f"{devices} devices ({config.runtime.device}), if they waited for nothing"
    )
    each = f", {config.batch // devices} on each of {devices} devices" if devices > 1 else ""
    facts = [
        ("network", f"{config.cells} cells, {config.channels} channels, stem {config.stem}"),
        ("parameters", millions(planned.parameters)),
        ("images", f"{to_train:,} to train, {measured:,} to {measuring}, {height}×{width}, {len(classes)} classes"),
        ("training", f"{counted(config.epochs, 'epoch')} in batches of {config.batch}{each}{_per_step(config)}"),
        ("a batch", f"{planned.estimate.step_seconds:.3g} s"),
        ("time", f"about {duration(SECONDS_PER_HOUR * planned.estimate.hours)} on {where}"),
        ("memory", f"about {byte_size(planned.estimate.memory_bytes)}{' each' if devices > 1 else ''}"),
    ]
    print_facts(console, facts)


def _per_step(config: ResolvedEvaluateConfig) -> str:
    return f", {config.accumulate} for a step of the weights" if config.accumulate > 1 else ""
