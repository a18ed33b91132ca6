"""The search step against the original DARTS's: seconds, launches, memory, and how near the machine's limit it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from medarts_ops.bench.launches import count_launches
from medarts_ops.bench.memory import peak_bytes
from medarts_ops.bench.reference import ReferenceSupernet
from medarts_ops.bench.reference_step import Order, reference_step
from medarts_ops.config import ResolvedSearchConfig, StageConfig
from medarts_ops.data.dataset import ImageShape
from medarts_ops.networks.layout import SupernetSpec
from medarts_ops.strategies.darts import DartsSettings
from medarts_ops.training.made_up import made_up_batch
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.trial_steps import step_of_search, time_interleaved
from medarts_ops.value import Value

PASSES_OF_NEEDED_WORK = {"first": 5, "second": 13}
"""Forward passes' worth of work in a step; a pass with input gradients is 2, one with weight gradients too is 3.

First order: the α step 2, the weight step 3. Second order: the virtual step 3, the gradients at w' 3, α's gradients
at w⁺ and w⁻ 2 each, the weight step 3.
"""


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
    config: ResolvedSearchConfig, stage: StageConfig, size: ImageShape, repeats: int, order: Order = "first"
) -> StepTiming:
    """Product and reference on the same work, in the given order, whatever the config's is."""
    config = config.model_copy(update={"strategy": DartsSettings(order=order)})
    runtime = Runtime.from_config(config.runtime)
    train, valid = (made_up_batch(stage.batch, size, runtime, seed) for seed in (0, 1))
    steps = {
        "": step_of_search(config, stage, size),
        "reference_": reference_step(config, stage, (train, valid), size.n_classes, order),
    }
    found = race(steps, repeats, runtime.device)
    needed = PASSES_OF_NEEDED_WORK[order] * forward_flop(config, stage, size) / 1e9
    work = stage.model_dump(include={"cells", "channels", "batch"})
    return StepTiming(needed_gflop=needed, gflops=needed / found["seconds"], **work, **found)


def measure_stack(
    config: ResolvedSearchConfig, stage: StageConfig, size: ImageShape, repeats: int, individuals: int
) -> StackTiming:
    """`individuals` stacked and one alone, in turn."""
    device = Runtime.from_config(config.runtime).device
    steps = {"stacked": step_of_search(config, stage, size, individuals), "alone": step_of_search(config, stage, size)}
    seconds = time_interleaved(steps, repeats, device)
    each = seconds["stacked"] / individuals
    return StackTiming(
        cells=stage.cells,
        individuals=individuals,
        seconds_per_individual=each,
        launches_per_individual=sum(count_launches(steps["stacked"]).values()) / individuals,
        ratio=seconds["alone"] / each,
    )


def forward_flop(config: ResolvedSearchConfig, stage: StageConfig, size: ImageShape) -> int:
    """Multiplications and additions of one forward pass of a batch through the plain supernet."""
    spec = SupernetSpec.full(config.space.search_space())
    with torch.device("meta"):
        sizes = {"cells": stage.cells, "channels": stage.channels, "n_classes": size.n_classes}
        network = ReferenceSupernet(spec, **sizes, in_channels=size.in_channels, stem=config.stem)
        images = torch.empty(stage.batch, size.in_channels, size.height, size.width)
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
