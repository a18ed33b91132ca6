"""How many individuals are trained at a time: in worker processes on a CPU, stacked into one network on a GPU."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import ceil

import torch
from torch import Tensor

from medarts_ops.config import ResolvedSearchConfig, StageConfig
from medarts_ops.config_runtime import SearchRuntimeConfig
from medarts_ops.data.stage_data import StageData
from medarts_ops.errors import ConfigError
from medarts_ops.networks.supernet import Supernet
from medarts_ops.strategies.registry import build_strategy
from medarts_ops.strategies.strategy import StagePlace
from medarts_ops.training.runtime import Runtime, free_bytes

SPEED_OF_TWO_THREADS = 1.68
"""One process of two threads against one of one: two of one thread gave 1.19 times its speed (measured)."""

USED_SHARE = 0.8
"""Part of a GPU's free memory that stacked steps may fill: the rest is the allocator's loss and validation."""

LARGEST_STACK = 16  # beyond it launches no longer cost anything beside the work
BYTES_PER_ESTIMATED = 1.02
"""Steps held 0.95 to 1.01 times the estimate: measured on a CPU in float32, both orders, 3 to 8 cells, 8×8 to 32×32."""


def available_cores() -> int:
    """The cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every platform
        return os.cpu_count() or 1


def workers_for(runtime: SearchRuntimeConfig, stages: Sequence[StageConfig], device: torch.device) -> int:
    """`runtime.workers` as a number; auto is 1 on CUDA and in this process alone, and what is quickest on a CPU."""
    if runtime.executor == "local" and runtime.workers not in ("auto", 1):
        raise ConfigError(
            f"runtime.executor is 'local' and runtime.workers is {runtime.workers}: this process is one; allowed "
            "are 1 and auto, or another executor"
        )
    if runtime.workers != "auto":
        return runtime.workers
    if device.type != "cpu" or runtime.executor == "local":
        return 1
    cores = available_cores()
    if runtime.threads == "auto":
        return quickest_workers(stages, cores)
    return max(1, min(cores // runtime.threads, max(stage.size for stage in stages)))


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


def stack_that_fits(config: ResolvedSearchConfig, stages: Sequence[StageData]) -> int:
    """How many individuals are stacked: 1 on a CPU, on CUDA as many as a stage has and free memory holds.

    1 as well where proposals give each individual numbers of the strategy's own.
    """
    runtime = Runtime.from_config(config.runtime)
    if runtime.device.type == "cpu" or config.proposals.strategy:
        return 1
    largest = min(LARGEST_STACK, max(stage.size for stage in config.stages))
    for stage, data in zip(config.stages, stages, strict=True):
        if stage.size > 1:
            needed = individual_bytes(config, stage, data, runtime.amp_type or torch.float32)
            largest = min(largest, individuals_that_fit(free_bytes(runtime.device), needed))
    return largest


def individuals_that_fit(free: int, needed: int) -> int:
    """How many individuals of `needed` bytes go into `free` bytes; at least one, which may have to be tried."""
    return max(1, int(USED_SHARE * free) // max(1, needed))


def individual_bytes(config: ResolvedSearchConfig, stage: StageConfig, data: StageData, dtype: torch.dtype) -> int:
    """An estimate of what an individual holds in training, α aside: a step in `dtype`, weights and their momentum."""
    weights, step = weights_and_step_bytes(config, stage, data, dtype)
    return 2 * weights + step


def weights_and_step_bytes(
    config: ResolvedSearchConfig, stage: StageConfig, data: StageData, dtype: torch.dtype
) -> tuple[int, int]:
    """What weights take, and the most that a step holds beyond them and states of optimizers: saved and gradients.

    By a forward pass on torch's meta device, which has shapes and no memory: nothing is computed or trained.
    """
    space = config.space.search_space()
    # One that a bench made up stands in no search.
    index = config.stages.index(stage) if stage in config.stages else 0
    place = StagePlace(index, len(config.stages), stage)
    height, width, in_channels = data.images.shape[1:]
    with torch.device("meta"):
        spec, size = build_strategy(config).supernet_spec(place), {"cells": stage.cells, "channels": stage.channels}
        supernet = Supernet(spec, **size, n_classes=data.n_classes, in_channels=in_channels, stem=config.stem)
        images = torch.empty(1, stage.batch, in_channels, height, width, dtype=dtype)
        mixture = torch.empty(1, space.n_edges, space.n_primitives, dtype=dtype, requires_grad=True)
    weights = sum(parameter.nbytes for parameter in supernet.parameters())
    saved: dict[int, torch.UntypedStorage] = {}  # kept, so that no number is given twice

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage._cdata] = storage
        return tensor

    supernet.to(dtype).train()
    ours = {parameter.untyped_storage()._cdata for parameter in supernet.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        supernet(images, mixture, mixture)
    activations = sum(storage.nbytes() for key, storage in saved.items() if key not in ours)
    return weights, int(BYTES_PER_ESTIMATED * (activations + weights))
