"""What a whole search, or an evaluation, will cost in time and memory, from a few steps of it."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from medarts_ops.bench.memory import peak_bytes
from medarts_ops.config import ResolvedEvaluateConfig, ResolvedSearchConfig
from medarts_ops.data.dataset import ImageShape
from medarts_ops.data.search_data import SearchData
from medarts_ops.deadline import time_of_stage
from medarts_ops.fitting import held
from medarts_ops.quantities import SECONDS_PER_HOUR
from medarts_ops.shrinking import DrawnImages
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.random_genotype import random_genotypes
from medarts_ops.tasks import derived_settings
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.step_memory import evaluation_memory
from medarts_ops.training.trial_steps import step_of_evaluation, step_of_search, time_interleaved
from medarts_ops.value import Value

VALIDATION_SHARE = 0.2  # of an epoch's steps: one forward pass to their five

TIMED_STEPS = 3
"""Of each size of network, for a plan."""

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


class StepTime(Value):
    """Seconds of an individual's step, or of a genotype's batch, and the bytes that it holds at most."""

    seconds: float
    bytes: int


class SearchTimes(Value):
    """What was timed of a search, once: a step of each stage, and of a genotype's short training, if it has any."""

    stages: tuple[StepTime, ...]
    genotypes: StepTime | None = None


def drawn_images(data: SearchData) -> DrawnImages:
    """How many images a search has really drawn."""
    derived = 0 if data.derived is None else len(data.derived.images)
    return DrawnImages(tuple(len(stage.images) for stage in data.stages), derived, len(data.summary.class_names))


def estimate_search(
    config: ResolvedSearchConfig,
    images: DrawnImages,
    size: ImageShape,
    repeats: int,
    on_timing: Callable[[str], None] = lambda _: None,
) -> SearchEstimate:
    """Time `repeats` steps of each stage and multiply; as `time_steps` and `search_estimate`."""
    return search_estimate(config, images, time_steps(config, images, size, repeats, on_timing))


def time_steps(
    config: ResolvedSearchConfig,
    images: DrawnImages,
    size: ImageShape,
    repeats: int,
    on_timing: Callable[[str], None] = lambda _: None,
) -> SearchTimes:
    """Time `repeats` steps of each stage, on images that are made up.

    `size` is the images'. `on_timing` is told what is timed, before it is.
    """
    device = Runtime.from_config(config.runtime).device
    timed: list[StepTime] = []
    for index, stage in enumerate(config.stages):
        on_timing(f"stage {stage.name}, {index + 1} of {len(config.stages)}")
        stack = min(stage.size, config.runtime.stack)
        step = step_of_search(config, stage, size, stack)
        seconds = time_interleaved({"step": step}, repeats, device)["step"] / stack
        timed.append(StepTime(seconds=seconds, bytes=peak_bytes(step, device)))
    if not config.trains_genotypes:
        return SearchTimes(stages=tuple(timed))
    on_timing("the short training of a genotype")
    (genotype,) = random_genotypes(1, seed=0, nodes=config.space.nodes)
    one = estimate_evaluation(derived_settings(config), genotype, config.derived.parts(images.derived), size, repeats)
    trained = StepTime(seconds=one.step_seconds, bytes=one.step_bytes)
    return SearchTimes(stages=tuple(timed), genotypes=trained)


def search_estimate(config: ResolvedSearchConfig, images: DrawnImages, times: SearchTimes) -> SearchEstimate:
    """What a search costs whose steps take these `times`. Nothing is measured."""
    estimates: list[StageEstimate] = []
    for index, (stage, n, time) in enumerate(zip(config.stages, images.stages, times.stages, strict=True)):
        individuals = stage.size * config.populations_of(index)
        steps = config.epochs_of(index) * ceil(n * config.weight_share / stage.batch)
        estimates.append(
            StageEstimate(
                name=stage.name,
                individuals=individuals,
                images=n,
                steps=steps,
                step_seconds=time.seconds,
                step_bytes=time.bytes,
                hours=steps * time.seconds * (1 + VALIDATION_SHARE) / 3600,
            )
        )
    genotypes = None
    if times.genotypes is not None:
        genotypes = _genotypes_estimate(config, images, times.genotypes)
    hours = sum(estimate.hours for estimate in estimates) + (genotypes.hours if genotypes else 0.0)
    return SearchEstimate(stages=tuple(estimates), genotypes=genotypes, hours=hours)


def planned_seconds(config: ResolvedSearchConfig, images: DrawnImages, times: SearchTimes) -> list[tuple[float, float]]:
    """How long each stage takes until it ends, with the search's workers and stacks: supernets, short trainings."""
    estimate, workers, found = search_estimate(config, images, times), config.runtime.workers, []
    genotypes = estimate.genotypes
    for index, of_stage in enumerate(estimate.stages):
        each = SECONDS_PER_HOUR * of_stage.hours / of_stage.individuals
        alone = 0.0
        if genotypes is not None:
            rounds = ceil(config.most_candidates_of(index) / workers)
            alone = SECONDS_PER_HOUR * genotypes.hours / genotypes.genotypes * rounds
        found.append((each * time_of_stage(config, index), alone))
    return found


def _genotypes_estimate(config: ResolvedSearchConfig, images: DrawnImages, time: StepTime) -> GenotypesEstimate:
    settings, parts = derived_settings(config), config.derived.parts(images.derived)
    genotypes = sum(map(config.most_candidates_of, range(len(config.stages))))
    return GenotypesEstimate(
        genotypes=genotypes,
        images=parts[0],
        steps=genotypes * settings.epochs * ceil(parts[0] / settings.batch),
        step_seconds=time.seconds,
        step_bytes=time.bytes,
        hours=genotypes * evaluation_hours(settings, parts, time.seconds),
    )


class EvaluationEstimate(Value):
    """A whole evaluation: hours of training and testing on its devices, seconds of a batch.

    A batch takes its part of the weights' update, too, which may be one for several (`accumulate`).
    `step_bytes` is about what a step holds at once beside weights and images, `memory_bytes` what training takes from
    the machine or the GPU beyond images, for each of several devices. That these exchange gradients, and wait for each
    other, is not in the time.
    """

    step_seconds: float
    step_bytes: int
    memory_bytes: int
    hours: float


def estimate_evaluation(
    config: ResolvedEvaluateConfig, genotype: Genotype, images: tuple[int, int], size: ImageShape, repeats: int
) -> EvaluationEstimate:
    """Time `repeats` steps and multiply; `images` are those to train and to test, `size` is theirs.

    One that compiles its step is timed without, since compiling takes minutes: it will take less than told.
    """
    config = config.model_copy(update={"runtime": config.runtime.model_copy(update={"compile": False})})
    device = Runtime.from_config(config.runtime).device
    share = config.batch // config.runtime.devices
    timed = min(share, TIMED_IMAGES) if device.type == "cpu" else share
    parts = step_of_evaluation(config.model_copy(update={"batch": timed}), genotype, size)
    seconds = time_interleaved({"batch": parts.batch, "update": parts.update}, repeats, device)
    step_seconds = seconds["batch"] * share / timed + seconds["update"] / config.accumulate
    memory = evaluation_memory(config.model_copy(update={"batch": share}), genotype, size)
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
