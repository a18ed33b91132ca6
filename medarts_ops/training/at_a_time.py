"""How many individuals are trained at a time: in worker processes on a CPU, stacked into one network on a GPU."""

from __future__ import annotations

import os
from collections.abc import Sequence
from math import ceil

import torch

from medarts_ops.config import ResolvedSearchConfig, StageConfig
from medarts_ops.config_runtime import SearchRuntimeConfig
from medarts_ops.data.stage_data import StageData
from medarts_ops.errors import ConfigError
from medarts_ops.training.free_memory import free_bytes
from medarts_ops.training.step_memory import search_memory

SPEED_OF_TWO_THREADS = 1.68
"""One process of two threads against one of one: two of one thread gave 1.19 times its speed (measured)."""

USED_SHARE = 0.8
"""Part of a GPU's free memory that stacked steps may fill: the rest is the allocator's loss and validation."""

LARGEST_STACK = 16  # beyond it launches no longer cost anything beside the work


def available_cores() -> int:
    """The cores that this process may use: by its affinity, and by the share of the machine that its container has."""
    from joblib import cpu_count

    return int(cpu_count())


def share_of_cores(cores: int, processes: int) -> int:
    """Threads of each of several processes on a CPU: its share, at least one, and no more than OMP_NUM_THREADS says."""
    asked = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()  # a list is of nested levels
    limit = int(asked) if asked.isdecimal() and int(asked) else cores
    return max(1, min(cores // processes, limit))


def speed_of_each(cores: int, processes: int) -> float:
    """How fast each of so many processes is, of which each has its share of the cores, against one of one thread."""
    return float(SPEED_OF_TWO_THREADS ** (share_of_cores(cores, processes).bit_length() - 1))


def workers_for(runtime: SearchRuntimeConfig, stages: Sequence[StageConfig], devices: Sequence[torch.device]) -> int:
    """`runtime.workers` as a number; auto is 1 in this process alone, one for each card, and what is quickest on a CPU.

    Cards beyond the largest stage's individuals get none.
    """
    if runtime.executor == "local" and runtime.workers not in ("auto", 1):
        raise ConfigError(
            f"runtime.executor is 'local' and runtime.workers is {runtime.workers}: this process is one: set "
            "--workers 1 (runtime.workers=1 or auto), or take another executor"
        )
    if runtime.workers != "auto":
        return runtime.workers
    most = max(stage.size for stage in stages)
    if devices[0].type != "cpu" or runtime.executor == "local":
        return 1 if runtime.executor == "local" else min(len(devices), most)
    cores = available_cores()
    if runtime.threads == "auto":
        return quickest_workers(stages, cores)
    return max(1, min(cores // runtime.threads, most))


def quickest_workers(stages: Sequence[StageConfig], cores: int) -> int:
    """How many processes, each of an equal share of the cores, train all stages in the least time; the fewest if equal.

    A last stage of one individual keeps a single process busy, and may cost more than the others gain.
    """

    def hours(workers: int) -> float:
        work = sum(ceil(stage.size / workers) * work_of(stage) for stage in stages)
        return work / speed_of_each(cores, workers)

    return min(range(1, cores + 1), key=hours)


def work_of(stage: StageConfig) -> float:
    """The work of one individual, in a unit that only compares stages (a share of images counts as of 50,000)."""
    images = stage.images if isinstance(stage.images, int) else stage.images * 50_000
    return stage.epochs * images * stage.cells * stage.channels


def stack_that_fits(config: ResolvedSearchConfig, stages: Sequence[StageData]) -> int:
    """How many individuals are stacked: 1 on a CPU, on CUDA a worker's part of a stage, if free memory holds it.

    1 as well where proposals give each individual numbers of the strategy's own.
    """
    if config.runtime.device == "cpu" or config.proposals.strategy:
        return 1
    largest = min(LARGEST_STACK, ceil(max(stage.size for stage in config.stages) / config.runtime.workers))
    for stage, data in zip(config.stages, stages, strict=True):
        if stage.size > 1:
            needed = search_memory(config, stage, data.shape).most
            largest = min(largest, individuals_that_fit(free_bytes(*config.runtime.device_names), needed))
    return largest


def individuals_that_fit(free: int, needed: int) -> int:
    """How many individuals of `needed` bytes go into `free` bytes; at least one, which may have to be tried."""
    return max(1, int(USED_SHARE * free) // max(1, needed))
