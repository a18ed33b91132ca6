"""What a whole search, or an evaluation, will cost in time and memory, from a few steps of it."""

from __future__ import annotations

from math import ceil

from medarts_ops.bench.evaluation_step import training_step
from medarts_ops.bench.memory import peak_bytes
from medarts_ops.bench.search_step import ImageSize, product_step, time_interleaved
from medarts_ops.config import ResolvedEvaluateConfig, ResolvedSearchConfig
from medarts_ops.space.genotype import Genotype
from medarts_ops.training.runtime import Runtime
from medarts_ops.value import Value

VALIDATION_SHARE = 0.2  # of an epoch's steps: one forward pass to their five

TEST_SHARE = 1 / 3  # what a tested image costs of a trained one: one forward pass to its three


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


class EvaluationEstimate(Value):
    """A whole evaluation: seconds of a step, hours of training and testing on one device.

    `step_bytes` is the most that a step holds at once beside weights and images.
    """

    step_seconds: float
    step_bytes: int
    hours: float


def estimate_evaluation(
    config: ResolvedEvaluateConfig, genotype: Genotype, images: tuple[int, int], size: ImageSize, repeats: int
) -> EvaluationEstimate:
    """Time `repeats` steps and multiply; `images` are those to train and to test, `size` is theirs."""
    device = Runtime.from_config(config.runtime).device
    step = training_step(config, genotype, size)
    seconds = time_interleaved({"step": step}, repeats, device)["step"]
    hours = evaluation_hours(config, images, seconds)
    return EvaluationEstimate(step_seconds=seconds, step_bytes=peak_bytes(step, device), hours=hours)


def evaluation_hours(config: ResolvedEvaluateConfig, images: tuple[int, int], step_seconds: float) -> float:
    """Hours of an evaluation whose step takes so long; `images` are those to train and to test."""
    to_train, to_test = images
    steps = config.epochs * (ceil(to_train / config.batch) + to_test / config.batch * TEST_SHARE)
    return steps * step_seconds / 3600
