"""What is fastest on a card, where ways differ in speed and last digits alone: a step of each is timed before a job.

Which way wins depends on the card, its precision and its library. One step to be trained is built, timed and dropped
after the other, captured where the job's are; on a machine that has no card nothing is timed.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Mapping
from functools import partial
from math import inf, isqrt
from typing import NamedTuple, TypeVar

from medarts_ops.config import ResolvedEvaluateConfig, ResolvedSearchConfig
from medarts_ops.config_runtime import ResolvedEvaluationRuntime
from medarts_ops.data.dataset import ImageShape
from medarts_ops.data.loading import telling
from medarts_ops.networks.layout import map_sizes
from medarts_ops.networks.operations import OPERATION_TABLE, Separable
from medarts_ops.settings import MATRIX_SIDE, MOST_MATRIX_SIDE
from medarts_ops.space.zoo import zoo_genotype
from medarts_ops.training.at_a_time import work_of
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.trial_steps import RACED_GENOTYPE, step_of_evaluation, step_of_search, time_interleaved

_logger = logging.getLogger(__name__)

Way = TypeVar("Way")
Step = Callable[[], object]

CLEARLY = 0.95
"""Part of the usual way's time that another may take to be taken (ours): below it noise would choose."""

TIMED_STEPS = 10
TIMED_CELLS, TIMED_IMAGES = 6, 128
"""Most cells of an evaluation's network, two of each width, and images of its batch: enough to compare, and quick."""


class Trial(NamedTuple):
    """A step to be built and timed, which trains so many individuals."""

    build: Callable[[], Step]
    individuals: int = 1


def other_sides(config: ResolvedSearchConfig, shape: ImageShape) -> list[int]:
    """What `runtime.matrix_side` may be instead of `MATRIX_SIDE` that makes a difference: 0, and the sides of maps.

    Of maps that are no squares those of squares with as many pixels. None where nothing is convolved so.
    """
    if not any(isinstance(OPERATION_TABLE[name], Separable) for name in config.space.search_space().primitives):
        return []
    sizes = map_sizes(shape.height, shape.width, config.stem)
    sides = [0, *sorted(side for side in map(_side, sizes) if side <= MOST_MATRIX_SIDE)]
    sides.remove(max(side for side in sides if side <= MATRIX_SIDE))
    return sides


def _side(size: tuple[int, int]) -> int:
    """Of the smallest square with as many pixels, or more."""
    return isqrt(size[0] * size[1] - 1) + 1


def fastest_side(ways: Mapping[int, ResolvedSearchConfig], shape: ImageShape) -> int:
    """Of a search's settings by `runtime.matrix_side`, the usual one's among them, the one that is fastest.

    Timed is a step of the stage with most work, for each individual of the stack that a way has.
    """
    usual = ways[MATRIX_SIDE]
    stage = max(usual.stages, key=lambda stage: stage.size * work_of(stage))

    def trial(config: ResolvedSearchConfig) -> Trial:
        stack = min(config.runtime.stack, stage.size)
        return Trial(partial(step_of_search, config, stage, shape, stack), stack)

    trials = {side: trial(config) for side, config in ways.items()}
    return _fastest("runtime.matrix_side", trials, MATRIX_SIDE, Runtime.from_config(usual.runtime))


def fastest_layout(
    config: ResolvedEvaluateConfig, ways: Mapping[bool, ResolvedEvaluationRuntime], shape: ImageShape
) -> ResolvedEvaluationRuntime:
    """Of an evaluation's runtimes, by whether they are channels-last, the faster, by the step of a shorter network.

    Its cells are a published genotype's. On several devices one is timed, with its part of a batch.
    """
    batch = min(config.batch // config.runtime.devices, TIMED_IMAGES)
    alone = config.model_copy(update={"cells": min(config.cells, TIMED_CELLS), "batch": batch})

    def trial(runtime: ResolvedEvaluationRuntime) -> Trial:
        changed = alone.model_copy(update={"runtime": runtime.model_copy(update={"devices": 1})})
        return Trial(partial(step_of_evaluation, changed, zoo_genotype(RACED_GENOTYPE), shape))

    trials = {layout: trial(runtime) for layout, runtime in ways.items()}
    return ways[_fastest("runtime.channels_last", trials, True, Runtime.from_config(config.runtime))]


def _fastest(setting: str, trials: Mapping[Way, Trial], usual: Way, runtime: Runtime) -> Way:
    """The way whose step is clearly faster, by individual, than the usual one's, or that.

    The usual one is timed first and last, for a card's clock moves meanwhile.
    """
    if len(trials) == 1:
        return usual
    seconds: dict[Way, float] = {}
    order = (*trials, usual)
    timings = ((way, _seconds(trials[way], runtime, f"{setting}={way}")) for way in order)
    for way, found in telling("memory layouts timed", timings, len(order)):
        if found is not None:
            seconds[way] = min(found, seconds.get(way, found))
    if not seconds:
        return usual
    best = min(seconds, key=seconds.__getitem__)
    chosen = best if seconds[best] < CLEARLY * seconds.get(usual, inf) else usual
    timed = ", ".join(f"{way} {taken:.4g} s" for way, taken in seconds.items())
    _logger.info("%s is %s; a step takes with %s", setting, chosen, timed)
    return chosen


def _seconds(trial: Trial, runtime: Runtime, way: str) -> float | None:
    """Median seconds of a step by individual; None, and a word of it, if it can't be run, as where memory is short."""
    try:
        return time_interleaved({way: trial.build()}, TIMED_STEPS, runtime.device)[way] / trial.individuals
    except (RuntimeError, ValueError, MemoryError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        _logger.warning("%s could not be timed, and others are preferred: %s", way, reason)
        return None
    finally:
        gc.collect()  # a training and the step that is captured of it hold each other
        runtime.free_cache()
