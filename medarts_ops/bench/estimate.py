"""What a whole search will cost in time and memory, from a few steps of each stage."""

from __future__ import annotations

from math import ceil

from medarts_ops.bench.memory import peak_bytes
from medarts_ops.bench.search_step import ImageSize, product_step, time_interleaved
from medarts_ops.config import ResolvedSearchConfig
from medarts_ops.training.runtime import Runtime
from medarts_ops.value import Value

VALIDATION_SHARE = 0.2  # of an epoch's steps: one forward pass to their five


class StageEstimate(Value):
    """One stage: steps of all its individuals, seconds of an individual's step, hours of training on one device.

    `images` is D_sample's size. `step_bytes` is the most that a step, of a whole stack where individuals are stacked,
    holds at once beside weights and images.
    """

    name: str
    individuals: int
    images: int
    steps: int
    step_seconds: float
    step_bytes: int
    hours: float


class SearchEstimate(Value):
    """A whole search: its stages, and the hours of training that they come to."""

    stages: tuple[StageEstimate, ...]
    hours: float


def estimate_search(
    config: ResolvedSearchConfig, images: tuple[int, ...], size: ImageSize, repeats: int
) -> SearchEstimate:
    """Time `repeats` steps of each stage and multiply; `images` is D_sample's size in each, `size` its images'."""
    device = Runtime.from_config(config.runtime).device
    estimates: list[StageEstimate] = []
    for index, (stage, n) in enumerate(zip(config.stages, images, strict=True)):
        stack = min(stage.size, config.runtime.stack)
        step = product_step(config, stage, size, stack)
        seconds = time_interleaved({"step": step}, repeats, device)["step"] / stack
        individuals = stage.size * (config.proposals.generations if index == 0 else 1)
        steps = individuals * stage.epochs * ceil(n / 2 / stage.batch)
        estimates.append(
            StageEstimate(
                name=stage.name,
                individuals=individuals,
                images=n,
                steps=steps,
                step_seconds=seconds,
                step_bytes=peak_bytes(step, device),
                hours=steps * seconds * (1 + VALIDATION_SHARE) / 3600,
            )
        )
    return SearchEstimate(stages=tuple(estimates), hours=sum(estimate.hours for estimate in estimates))
