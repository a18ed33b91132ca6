"""Steps of training as searches and evaluations run them, on made-up images: what is timed before either begins."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch

from medarts_ops.config import ResolvedEvaluateConfig, ResolvedSearchConfig, StageConfig
from medarts_ops.data.batches import Batch
from medarts_ops.data.dataset import ImageShape
from medarts_ops.populations import random_individual
from medarts_ops.space.genotype import Genotype
from medarts_ops.tasks import TrainingTask
from medarts_ops.training.bilevel import SearchTraining
from medarts_ops.training.kept_memory import kept_memory
from medarts_ops.training.made_up import made_up_batch, made_up_data, made_up_dataset
from medarts_ops.training.placed_images import StageTensors
from medarts_ops.training.runtime import EAGER_STEPS, Runtime
from medarts_ops.training.supervised import SupervisedTraining

RACED_GENOTYPE = "DARTS_V2"
"""The network that is timed where none is at hand: six of its eight normal operations are separable convolutions."""


def step_of_search(
    config: ResolvedSearchConfig, stage: StageConfig, shape: ImageShape, stack: int = 1
) -> Callable[[], object]:
    """An iteration of search training of `stack` individuals, as `medarts search` runs it, on made-up images."""
    runtime = Runtime.from_config(config.runtime)
    runtime.apply_to_process()
    individuals = tuple(random_individual(config, number) for number in range(stack))
    task = TrainingTask(individuals=individuals, stage=stage, config=config, stage_data="none")
    data = made_up_data(stage.batch, shape)
    training = SearchTraining(task, StageTensors.place(data, runtime), runtime)
    batches: list[Batch] = []
    for half in (data.weight_indices, data.alpha_indices):
        batch = training.tensors.placed.plain(torch.from_numpy(half[: stage.batch]))
        images, labels = (torch.cat([each] * stack).unflatten(0, (stack, -1)) for each in (batch.images, batch.labels))
        batches.append(Batch(images, labels))
    training.supernet.train()
    warming_up = not training.strategy.trains_alpha
    return lambda: training.iterate(*batches, warming_up=warming_up)


@dataclass(frozen=True)
class StepParts:
    """A training step in the two parts that it has: what each batch takes, and the weights' update."""

    batch: Callable[[], object]
    update: Callable[[], object]

    def __call__(self) -> None:
        """The whole step."""
        self.batch()
        self.update()


def step_of_evaluation(config: ResolvedEvaluateConfig, genotype: Genotype, shape: ImageShape) -> StepParts:
    """A step as `medarts evaluate` runs it, at the last epoch's drop path, on one made-up batch."""
    runtime = Runtime.from_config(config.runtime)
    runtime.apply_to_process()
    dataset = made_up_dataset(shape.n_classes, shape)
    every = config.model_copy(update={"images": None, "validation_share": 0.0})  # there are but few
    training = SupervisedTraining(genotype, every, dataset, runtime)
    training.network.train()
    training.set_epoch(config.epochs - 1)
    batch = made_up_batch(config.batch, shape, runtime, seed=0)
    return StepParts(lambda: training.iterate(batch, is_last=False), training.update)


def time_interleaved(steps: Mapping[str, Callable[[], object]], repeats: int, device: torch.device) -> dict[str, float]:
    """Median seconds of each step once it is warm; they take turns, so that all see the same machine.

    One call warms up on a CPU; elsewhere as many as it takes until a step that is captured is replayed.
    """
    warming_up = 1 if device.type == "cpu" else EAGER_STEPS + 1
    wait = (lambda: None) if device.type == "cpu" else partial(torch.get_device_module(device).synchronize, device)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    with kept_memory(device):  # as in a training
        for _ in range(warming_up):
            for step in steps.values():
                step()
        for _ in range(repeats):
            for name, step in steps.items():
                wait()
                started = time.perf_counter()
                step()
                wait()
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in seconds.items()}
