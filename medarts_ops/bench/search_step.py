"""The search step against the original DARTS's: seconds, launches, memory, and how near the machine's limit it is."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from medarts_ops.bench.launches import count_launches
from medarts_ops.bench.made_up import made_up_images
from medarts_ops.bench.memory import peak_bytes
from medarts_ops.bench.reference import ReferenceSupernet
from medarts_ops.bench.reference_step import Order, reference_step
from medarts_ops.config import ResolvedSearchConfig, StageConfig
from medarts_ops.data.batches import Batch
from medarts_ops.data.search_data import SearchData
from medarts_ops.data.stage_data import StageData
from medarts_ops.networks.layout import SupernetSpec
from medarts_ops.populations import random_individual
from medarts_ops.strategies.darts import DartsSettings
from medarts_ops.tasks import TrainingTask
from medarts_ops.training.bilevel import SearchTraining
from medarts_ops.training.kept_memory import kept_memory
from medarts_ops.training.placed_images import StageTensors
from medarts_ops.training.runtime import EAGER_STEPS, Runtime
from medarts_ops.value import Value

PASSES_OF_NEEDED_WORK = {"first": 5, "second": 13}
"""Forward passes' worth of work in a step; a pass with input gradients is 2, one with weight gradients too is 3.

First order: the α step 2, the weight step 3. Second order: the virtual step 3, the gradients at w' 3, α's gradients
at w⁺ and w⁻ 2 each, the weight step 3.
"""


class ImageSize(Value):
    """The images that a bench makes up: side in pixels, channels, and the number of classes."""

    resolution: int
    in_channels: int
    n_classes: int

    @classmethod
    def of(cls, data: SearchData) -> ImageSize:
        """That of a search's images, as its supernets see them."""
        first = data.stages[0]
        return cls(resolution=first.images.shape[1], in_channels=first.images.shape[3], n_classes=first.n_classes)


class StepTiming(Value):
    """One size of search step, product and reference. Seconds are medians, memory is in bytes beyond the weights.

    `needed_gflop` is the arithmetic that such a step can't do without; `gflops` what the product's step
    achieves of it a second.
    """

    cells: int
    channels: int
    batch: int
    seconds: float
    reference_seconds: float
    ratio: float
    launches: int
    reference_launches: int
    peak_bytes: int
    reference_peak_bytes: int
    needed_gflop: float
    gflops: float


class StackTiming(Value):
    """A step of several individuals as one network, against a step of one. Seconds are medians.

    `ratio` is how many times as fast an individual is trained in the stack as alone.
    """

    cells: int
    individuals: int
    seconds_per_individual: float
    launches_per_individual: float
    ratio: float


def product_step(
    config: ResolvedSearchConfig, stage: StageConfig, size: ImageSize, stack: int = 1
) -> Callable[[], object]:
    """An iteration of search training of `stack` individuals, as `medarts search` runs it, on made-up images."""
    runtime = Runtime.from_config(config.runtime)
    runtime.apply_to_process()
    individuals = tuple(random_individual(config, number) for number in range(stack))
    task = TrainingTask(individuals=individuals, stage=stage, config=config, stage_data="none")
    data = made_up_data(stage.batch, size)
    training = SearchTraining(task, StageTensors.place(data, runtime), runtime)
    batches: list[Batch] = []
    for half in (data.weight_indices, data.alpha_indices):
        batch = training.tensors.placed.plain(torch.from_numpy(half[: stage.batch]))
        images, labels = (torch.cat([each] * stack).unflatten(0, (stack, -1)) for each in (batch.images, batch.labels))
        batches.append(Batch(images, labels))
    training.supernet.train()
    warming_up = not training.strategy.trains_alpha
    return lambda: training.iterate(*batches, warming_up=warming_up)


def time_interleaved(steps: dict[str, Callable[[], object]], repeats: int, device: torch.device) -> dict[str, float]:
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


def race(steps: dict[str, Callable[[], object]], repeats: int, device: torch.device) -> dict[str, Any]:
    """Two steps of the same work in turn: fields of a timing, each step's under its prefix, the product's being ""."""
    seconds = time_interleaved(steps, repeats, device)
    found: dict[str, Any] = {}
    for prefix, step in steps.items():
        found[f"{prefix}seconds"] = seconds[prefix]
        found[f"{prefix}launches"] = sum(count_launches(step).values())
        found[f"{prefix}peak_bytes"] = peak_bytes(step, device)
    product, rival = seconds.values()
    return {**found, "ratio": rival / product}


def measure_step(
    config: ResolvedSearchConfig, stage: StageConfig, size: ImageSize, repeats: int, order: Order = "first"
) -> StepTiming:
    """Product and reference on the same work, in the given order, whatever the config's is."""
    config = config.model_copy(update={"strategy": DartsSettings(order=order)})
    runtime = Runtime.from_config(config.runtime)
    train, valid = (made_up_batch(stage.batch, size, runtime, seed) for seed in (0, 1))
    steps = {
        "": product_step(config, stage, size),
        "reference_": reference_step(config, stage, (train, valid), size.n_classes, order),
    }
    found = race(steps, repeats, runtime.device)
    needed = PASSES_OF_NEEDED_WORK[order] * forward_flop(config, stage, size) / 1e9
    work = stage.model_dump(include={"cells", "channels", "batch"})
    return StepTiming(needed_gflop=needed, gflops=needed / found["seconds"], **work, **found)


def measure_stack(
    config: ResolvedSearchConfig, stage: StageConfig, size: ImageSize, repeats: int, individuals: int
) -> StackTiming:
    """`individuals` stacked and one alone, in turn."""
    device = Runtime.from_config(config.runtime).device
    steps = {"stacked": product_step(config, stage, size, individuals), "alone": product_step(config, stage, size)}
    seconds = time_interleaved(steps, repeats, device)
    each = seconds["stacked"] / individuals
    return StackTiming(
        cells=stage.cells,
        individuals=individuals,
        seconds_per_individual=each,
        launches_per_individual=sum(count_launches(steps["stacked"]).values()) / individuals,
        ratio=seconds["alone"] / each,
    )


def forward_flop(config: ResolvedSearchConfig, stage: StageConfig, size: ImageSize) -> int:
    """Multiplications and additions of one forward pass of a batch through the plain supernet."""
    spec = SupernetSpec.full(config.space.search_space())
    with torch.device("meta"):
        sizes = {"cells": stage.cells, "channels": stage.channels, "n_classes": size.n_classes}
        network = ReferenceSupernet(spec, **sizes, in_channels=size.in_channels, stem=config.stem)
        images = torch.empty(stage.batch, size.in_channels, size.resolution, size.resolution)
        mixture = torch.empty(spec.space.n_edges, spec.space.n_primitives)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(images, mixture, mixture)
    return int(counter.get_total_flops())


def peak_gflops(device: torch.device) -> float:
    """What a large float32 matrix product reaches on this device, with this process's threads."""
    side = 2048
    one, other = (torch.randn(side, side, device=device) for _ in range(2))
    seconds = time_interleaved({"product": lambda: one @ other}, 5, device)["product"]
    return 2 * side**3 / seconds / 1e9


def made_up_batch(n: int, size: ImageSize, runtime: Runtime, seed: int) -> Batch:
    """Random images and labels on the device, in the runtime's layout."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(n, size.in_channels, size.resolution, size.resolution, generator=generator)
    labels = torch.randint(size.n_classes, (n,), generator=generator)
    layout = torch.channels_last if runtime.channels_last else torch.contiguous_format
    return Batch(images.to(runtime.device).contiguous(memory_format=layout), labels.to(runtime.device))


def made_up_data(n: int, size: ImageSize) -> StageData:
    """A stage of `2n` random images, or as many as it takes to have every class in both halves."""
    n = max(n, size.n_classes)
    images = made_up_images(2 * n, size.resolution, size.in_channels).images
    labels = np.arange(2 * n) // 2 % size.n_classes
    even, odd = np.arange(0, 2 * n, 2), np.arange(1, 2 * n, 2)
    middle = np.full(size.in_channels, 0.5)
    return StageData(images, labels, even, odd, odd, middle, middle, n_classes=size.n_classes)
