"""What an evaluation would train and cost, from a few timed steps."""

from __future__ import annotations

from typing import Any, NamedTuple

from rich.console import Console

from medarts_ops.bench.estimate import EvaluationEstimate, estimate_evaluation
from medarts_ops.bench.search_step import ImageSize
from medarts_ops.cli.output import print_facts
from medarts_ops.config import EvaluateConfig, ResolvedEvaluateConfig, ResolvedSearchConfig
from medarts_ops.data.evaluation_images import training_images
from medarts_ops.fitting import evaluation_bytes, fitted_evaluation, shape_of
from medarts_ops.networks.counting import count_parameters
from medarts_ops.observers import DatasetSummary
from medarts_ops.quantities import SECONDS_PER_HOUR, counted, duration, millions, size_in_memory
from medarts_ops.resolving import resolve_evaluate_config
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.random_genotype import random_genotypes

TIMED_STEPS = 2


class PlannedEvaluation(NamedTuple):
    """An evaluation before it begins: on `images` to train and to test, in `memory_bytes` of this machine."""

    config: ResolvedEvaluateConfig
    dataset: DatasetSummary
    images: tuple[int, int]
    parameters: int
    estimate: EvaluationEstimate
    memory_bytes: int

    def as_json(self) -> dict[str, Any]:
        """Plain data for other programs."""
        return {
            "estimate": self.estimate.model_dump(),
            "memory_bytes": self.memory_bytes,
            "parameters": self.parameters,
            "images": {"train": self.images[0], "test": self.images[1]},
            "classes": list(self.dataset.class_names),
            "config": self.config.model_dump(mode="json"),
        }


def plan_evaluation(
    config: ResolvedEvaluateConfig, genotype: Genotype, dataset: DatasetSummary, *, check: bool = True
) -> PlannedEvaluation:
    """Time a few steps of the network of `genotype`; ConfigError where it won't fit into memory, unless unchecked."""
    config = fitted_evaluation(config, genotype, dataset) if check else config
    shape, images = shape_of(dataset), (training_images(config, dataset), dataset.n_test)
    size = ImageSize(resolution=max(dataset.resolution), in_channels=shape.in_channels, n_classes=shape.n_classes)
    shaped = {"n_classes": shape.n_classes, "in_channels": shape.in_channels, "stem": config.stem}
    return PlannedEvaluation(
        config=config,
        dataset=dataset,
        images=images,
        parameters=count_parameters(genotype, cells=config.cells, channels=config.channels, **shaped),
        estimate=estimate_evaluation(config, genotype, images, size, TIMED_STEPS),
        memory_bytes=evaluation_bytes(config, genotype, shape),
    )


def plan_after_search(
    config: EvaluateConfig, search: ResolvedSearchConfig, dataset: DatasetSummary
) -> PlannedEvaluation:
    """The same for what a search would find, which is taken to be like a random genotype; whether it fits or not."""
    (genotype,) = random_genotypes(1, seed=0, nodes=search.space.nodes)
    resolved = resolve_evaluate_config(config, dataset.resolution)
    return plan_evaluation(resolved, genotype, dataset, check=False)


def print_planned_evaluation(console: Console, planned: PlannedEvaluation) -> None:
    """The plan, a fact a line."""
    config, (to_train, to_test) = planned.config, planned.images
    height, width = planned.dataset.resolution
    classes = planned.dataset.class_names
    facts = [
        ("network", f"{config.cells} cells, {config.channels} channels, stem {config.stem}"),
        ("parameters", millions(planned.parameters)),
        ("images", f"{to_train:,} to train, {to_test:,} to test, {height}×{width}, {len(classes)} classes"),
        ("training", f"{counted(config.epochs, 'epoch')} in batches of {config.batch}"),
        ("a step", f"{planned.estimate.step_seconds:.3g} s"),
        ("time", f"about {duration(SECONDS_PER_HOUR * planned.estimate.hours)} on {config.runtime.device}"),
        ("memory", f"about {size_in_memory(planned.memory_bytes)}"),
    ]
    print_facts(console, facts)
