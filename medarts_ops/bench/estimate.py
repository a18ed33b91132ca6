"""What a whole search, or an evaluation, will cost in time and memory, from a few steps of it."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from medarts_ops.bench.evaluation_step import training_step
from medarts_ops.bench.memory import peak_bytes
from medarts_ops.bench.search_step import ImageSize, product_step, time_interleaved
from medarts_ops.config import ResolvedEvaluateConfig, ResolvedSearchConfig
from medarts_ops.fitting import held
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.random_genotype import random_genotypes
from medarts_ops.tasks import derived_settings
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.step_memory import ImageShape, evaluation_memory
from medarts_ops.value import Value

VALIDATION_SHARE = 0.2  # of an epoch's steps: one forward pass to their five

TIMED_IMAGES = 24
"""Images of an evaluation's timed step on a CPU, where time goes by the image: a whole batch may take a minute."""

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


class GenotypesEstimate(Value):
    """The short trainings of genotypes: as many as could be asked for, since equal ones are trained once.

    `images` are those that each is trained on; the rest is as of a stage.
    """

    genotypes: int
    images: int
    steps: int
    step_seconds: float
    step_bytes: int
    hours: float


class SearchEstimate(Value):
    """A whole search: its stages, its genotypes' short trainings, if it has any, and the hours that they come to."""

    stages: tuple[StageEstimate, ...]
    genotypes: GenotypesEstimate | None = None
    hours: float


def estimate_search(
    config: ResolvedSearchConfig,
    images: tuple[int, ...],
    derived_images: int,
    size: ImageSize,
    repeats: int,
    on_timing: Callable[[str], None] = lambda _: None,
) -> SearchEstimate:
    """Time `repeats` steps of each stage and multiply.

    `images` is D_sample's size in each stage, `derived_images` that of short trainings, `size` its images'.
    `on_timing` is told what is timed, before it is.
    """
    device = Runtime.from_config(config.runtime).device
    estimates: list[StageEstimate] = []
    for index, (stage, n) in enumerate(zip(config.stages, images, strict=True)):
        on_timing(f"stage {stage.name}, {index + 1} of {len(config.stages)}")
        stack = min(stage.size, config.runtime.stack)
        step = product_step(config, stage, size, stack)
        seconds = time_interleaved({"step": step}, repeats, device)["step"] / stack
        individuals = stage.size * config.populations_of(index)
        steps = individuals * stage.epochs * ceil(n * config.weight_share / stage.batch)
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
    genotypes = None
    if config.trains_genotypes:
        on_timing("the short training of a genotype")
        individuals = sum(estimate.individuals for estimate in estimates)
        genotypes = _estimate_genotypes(config, individuals, derived_images, size, repeats)
    hours = sum(estimate.hours for estimate in estimates) + (genotypes.hours if genotypes else 0.0)
    return SearchEstimate(stages=tuple(estimates), genotypes=genotypes, hours=hours)


def _estimate_genotypes(
    config: ResolvedSearchConfig, individuals: int, images: int, size: ImageSize, repeats: int
) -> GenotypesEstimate:
    settings, held_out = derived_settings(config), round(images * config.derived.held_out)
    to_train = images - held_out
    (genotype,) = random_genotypes(1, seed=0, nodes=config.space.nodes)
    timed = estimate_evaluation(settings, genotype, (to_train, held_out), size, repeats)
    populations = sum(config.populations_of(stage) for stage in range(len(config.stages)))
    genotypes = config.most_candidates_of(individuals, populations)
    return GenotypesEstimate(
        genotypes=genotypes,
        images=to_train,
        steps=genotypes * settings.epochs * ceil(to_train / settings.batch),
        step_seconds=timed.step_seconds,
        step_bytes=timed.step_bytes,
        hours=genotypes * timed.hours,
    )


class EvaluationEstimate(Value):
    """A whole evaluation: hours of training and testing on one device, seconds of a batch.

    A batch takes its part of the weights' update, too, which may be one for several (`accumulate`).
    `step_bytes` is about what a step holds at once beside weights and images, `memory_bytes` what training takes from
    the machine or the GPU beyond images.
    """

    step_seconds: float
    step_bytes: int
    memory_bytes: int
    hours: float


def estimate_evaluation(
    config: ResolvedEvaluateConfig, genotype: Genotype, images: tuple[int, int], size: ImageSize, repeats: int
) -> EvaluationEstimate:
    """Time `repeats` steps and multiply; `images` are those to train and to test, `size` is theirs."""
    device = Runtime.from_config(config.runtime).device
    timed = min(config.batch, TIMED_IMAGES) if device.type == "cpu" else config.batch
    parts = training_step(config.model_copy(update={"batch": timed}), genotype, size)
    seconds = time_interleaved({"batch": parts.batch, "update": parts.update}, repeats, device)
    step_seconds = seconds["batch"] * config.batch / timed + seconds["update"] / config.accumulate
    shape = ImageShape(size.resolution, size.resolution, size.in_channels, size.n_classes)
    memory = evaluation_memory(config, genotype, shape)
    return EvaluationEstimate(
        step_seconds=step_seconds,
        step_bytes=memory.step,
        memory_bytes=int(held(config.runtime, memory)),
        hours=evaluation_hours(config, images, step_seconds),
    )


def evaluation_hours(config: ResolvedEvaluateConfig, images: tuple[int, int], step_seconds: float) -> float:
    """Hours of an evaluation whose batches take so long; `images` are those to train and to test."""
    to_train, to_test = images
    steps = config.epochs * (ceil(to_train / config.batch) + to_test / config.batch * TEST_SHARE)
    return steps * step_seconds / 3600
