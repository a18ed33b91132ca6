"""How many individuals are trained at a time: in worker processes on a CPU, stacked into one network on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil

import torch

from medarts_ops.config import SearchConfig, StageConfig
from medarts_ops.data.batches import Batch
from medarts_ops.data.stage_data import StageData
from medarts_ops.individual import Hyperparameters, Individual
from medarts_ops.seeds import Stream, random_generator
from medarts_ops.strategies.registry import build_strategy
from medarts_ops.tasks import TrainingTask
from medarts_ops.training.bilevel import SearchTraining
from medarts_ops.training.placed_images import StageTensors
from medarts_ops.training.runtime import (
    Runtime,
    available_cores,
    free_bytes,
    peak_bytes_on_gpu,
    resolve_device,
)

SPEED_OF_TWO_THREADS = 1.68
"""One process of two threads against one of one: two of one thread gave 1.19 times its speed (measured)."""

USED_SHARE = 0.8
"""Part of a GPU's free memory that stacked steps may fill: the rest is the allocator's loss and validation."""

LARGEST_STACK = 16
"""Beyond it launches no longer cost anything beside the work."""


def resolve_workers(config: SearchConfig) -> SearchConfig:
    """The config with `runtime.workers` as a number: 1 on CUDA, what finishes the stages first on a CPU."""
    runtime = config.runtime
    if runtime.workers != "auto":
        return config
    if resolve_device(runtime.device).type != "cpu":
        return config.model_copy(update={"runtime": runtime.model_copy(update={"workers": 1})})
    cores = available_cores()
    if isinstance(runtime.threads, int):
        workers = max(1, min(cores // runtime.threads, max(stage.size for stage in config.stages)))
    else:
        workers = quickest_workers(config.stages, cores)
    return config.model_copy(update={"runtime": runtime.model_copy(update={"workers": workers})})


def quickest_workers(stages: Sequence[StageConfig], cores: int) -> int:
    """How many processes, each of an equal share of the cores, train all stages in the least time; the fewest if equal.

    A last stage of one individual keeps a single process busy, and may cost more than the others gain.
    """

    def hours(workers: int) -> float:
        threads = cores // workers
        speed = SPEED_OF_TWO_THREADS ** (threads.bit_length() - 1)
        return sum(ceil(stage.size / workers) * _work(stage) for stage in stages) / speed

    return min(range(1, cores + 1), key=hours)


def _work(stage: StageConfig) -> float:
    """The work of one individual, in a unit that only compares stages (a share of images counts as of 50,000)."""
    images = stage.images if isinstance(stage.images, int) else stage.images * 50_000
    return stage.epochs * images * stage.cells * stage.channels


def resolve_stack(config: SearchConfig, stages: Sequence[StageData]) -> SearchConfig:
    """The config with `runtime.stack` as a number: 1 on a CPU, on CUDA as many as a stage has and memory holds."""
    runtime = config.runtime
    if runtime.stack != "auto":
        return config
    device = resolve_device(runtime.device)
    stack = 1
    if device.type != "cpu":
        stack = _stack_that_fits(config, stages, device)
    return config.model_copy(update={"runtime": runtime.model_copy(update={"stack": stack})})


def _stack_that_fits(config: SearchConfig, stages: Sequence[StageData], device: torch.device) -> int:
    largest = max(stage.size for stage in config.stages)
    for stage, data in zip(config.stages, stages, strict=True):
        if stage.size == 1:
            continue
        runtime = Runtime.from_config(config.runtime)
        runtime.apply_to_process()
        step = one_step(config, stage, data, runtime)
        step()  # the first makes states of optimizers
        largest = min(largest, individuals_that_fit(free_bytes(device), peak_bytes_on_gpu(step, device)))
    return min(largest, LARGEST_STACK)


def individuals_that_fit(free: int, needed: int) -> int:
    """How many individuals of `needed` bytes a step go into `free` bytes; at least the one that was measured."""
    return max(1, int(USED_SHARE * free) // max(1, needed))


def one_step(
    config: SearchConfig, stage: StageConfig, data: StageData, runtime: Runtime, stack: int = 1
) -> Callable[[], object]:
    """An iteration of `stack` random individuals on the stage's first images, to be timed and measured."""
    training = SearchTraining(
        TrainingTask(
            individuals=tuple(sample_individual(config, place) for place in range(stack)),
            stage=stage,
            config=config,
            stage_data="none",
        ),
        StageTensors.place(data, runtime),
        runtime,
    )
    placed = training.tensors.placed
    batches: list[Batch] = []
    for half in (data.weight_indices, data.alpha_indices):
        batch = placed.plain(torch.from_numpy(half[: stage.batch]))
        images, labels = (torch.cat([each] * stack).unflatten(0, (stack, -1)) for each in (batch.images, batch.labels))
        batches.append(Batch(images, labels))
    training.supernet.train()
    return lambda: training.iterate(*batches)


def sample_individual(config: SearchConfig, number: int) -> Individual:
    """A random individual with the config's own hyperparameters, of no stage in particular."""
    rng = random_generator(config.seed, 0, number, Stream.ALPHA)
    alpha = build_strategy(config).initial_alpha(config.alpha.init_std, rng)
    return Individual(
        id=f"sample-{number:02d}",
        stage=0,
        number=number,
        origin="random",
        parents=(),
        alpha=alpha,
        hyperparameters=Hyperparameters.from_config(config.alpha, config.weights),
    )
