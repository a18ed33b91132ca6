"""What a network holds at once, found out without any memory."""

from __future__ import annotations

import pytest
import torch
from factories import OBJECTIVES, make_evaluation_runtime, make_search_config_tiny, make_search_runtime

from medarts_ops.bench.memory import peak_bytes
from medarts_ops.config import ResolvedEvaluateConfig, ResolvedSearchConfig, StageConfig, StrategyConfig
from medarts_ops.data.dataset import ImageShape
from medarts_ops.space.zoo import zoo_genotype
from medarts_ops.training.step_memory import evaluation_memory, search_memory
from medarts_ops.training.trial_steps import step_of_evaluation, step_of_search

CPU = torch.device("cpu")
RUNTIME = make_evaluation_runtime()
GENOTYPE = zoo_genotype("DARTS_V2")


@pytest.mark.parametrize("order", ["first", "second"])
@pytest.mark.parametrize(
    ("cells", "channels", "batch", "side", "stem"),
    [
        (3, 2, 20, 8, "cifar"),
        (4, 8, 16, 16, "cifar"),
        (6, 4, 8, 16, "cifar"),
        (3, 4, 8, 32, "cifar"),
        (4, 16, 4, 96, "imagenet"),
    ],
)
def test_a_search_step_holds_what_was_estimated_without_training(order, cells, channels, batch, side, stem):
    """Measured 0.96 to 1.0 of the estimate; a wrong term, such as a forgotten kind of edge, would be far off."""
    runtime = make_search_runtime()
    strategy = StrategyConfig(order=order)
    config = ResolvedSearchConfig(strategy=strategy, objectives=OBJECTIVES, runtime=runtime, stem=stem)
    stage = StageConfig(name="init", cells=cells, channels=channels, batch=batch, population=1)
    step = step_of_search(config, stage, ImageShape.square(side))
    step()  # the first makes states of optimizers
    estimated = search_memory(config, stage, ImageShape.square(side)).step
    least = 0.9 if stem == "cifar" else 0.8  # the stem is freed before the cells are through, and is a larger part
    assert least < peak_bytes(step, CPU) / estimated < 1.02


def test_a_search_of_photos_takes_the_memory_of_a_search_of_cifar():
    """At 224 pixels, cells see 28×28 behind the stem for photos: 1/64 of what they would see behind the other."""
    stage = StageConfig(name="final", cells=8, channels=16, batch=64, population=1)
    steps = {}
    for stem in ("cifar", "imagenet"):
        config = ResolvedSearchConfig(objectives=OBJECTIVES, runtime=make_search_runtime(), stem=stem)
        steps[stem] = search_memory(config, stage, ImageShape.square(224)).step
    assert steps["imagenet"] < 5e9 and 50 < steps["cifar"] / steps["imagenet"] < 64


@pytest.mark.parametrize(
    ("stem", "cells", "channels", "batch", "side"),
    [("cifar", 3, 4, 16, 16), ("cifar", 8, 8, 8, 32), ("imagenet", 5, 16, 8, 96)],
)
def test_a_training_step_of_a_genotype_holds_what_was_estimated(stem, cells, channels, batch, side):
    config = ResolvedEvaluateConfig(stem=stem, cells=cells, channels=channels, batch=batch, runtime=RUNTIME)
    step = step_of_evaluation(config, GENOTYPE, ImageShape.square(side))
    step()
    estimated = evaluation_memory(config, GENOTYPE, ImageShape.square(side)).step
    assert 0.8 < peak_bytes(step, CPU) / estimated < 1.06


def test_a_step_whose_paths_run_together_holds_what_was_estimated_and_hardly_more_than_apart():
    size, shape = ImageShape.square(32), ImageShape.square(32)
    apart, together = (
        ResolvedEvaluateConfig(
            cells=5, channels=16, batch=8, runtime=RUNTIME.model_copy(update={"paths_together": how})
        )
        for how in ("off", "on")
    )
    step = step_of_evaluation(together, GENOTYPE, size)
    step()
    estimated = evaluation_memory(together, GENOTYPE, shape).step
    assert 0.8 < peak_bytes(step, CPU) / estimated < 1.06
    assert estimated < 1.3 * evaluation_memory(apart, GENOTYPE, shape).step


@pytest.mark.parametrize(
    ("stem", "cells", "batch", "side", "share"), [("cifar", 8, 8, 32, 0.5), ("imagenet", 5, 8, 96, 0.75)]
)
def test_a_step_that_computes_cells_again_holds_what_was_estimated_and_so_much_less(stem, cells, batch, side, share):
    shape, size = ImageShape.square(side), ImageShape.square(side)
    runtimes = [RUNTIME.model_copy(update={"checkpoint_cells": again}) for again in (False, True)]
    plain, again = (
        ResolvedEvaluateConfig(stem=stem, cells=cells, channels=16, batch=batch, runtime=runtime)
        for runtime in runtimes
    )
    step = step_of_evaluation(again, GENOTYPE, size)
    step()
    estimated = evaluation_memory(again, GENOTYPE, shape).step
    assert 0.8 < peak_bytes(step, CPU) / estimated < 1.06
    assert estimated < share * evaluation_memory(plain, GENOTYPE, shape).step


def test_half_precision_halves_what_autograd_saves():
    config = make_search_config_tiny()
    stage, shape = config.stages[0], ImageShape(8, 8, 1, 10)
    full, half = (
        search_memory(config.model_copy(update={"runtime": make_search_runtime(amp=amp)}), stage, shape).step
        for amp in ("off", "bf16")
    )
    assert 0.45 < half / full < 0.6


def test_twice_the_batch_saves_nearly_twice_as_much_and_weighs_the_same():
    config = make_search_config_tiny()
    stage, shape = config.stages[0], ImageShape.square(16)
    one = search_memory(config, stage, shape)
    two = search_memory(config, stage.model_copy(update={"batch": 2 * stage.batch}), shape)
    assert two.weights == one.weights and 0.9 * one.per_image < two.per_image <= one.per_image


def test_measuring_large_images_takes_less_than_training_on_a_few():
    """256 images at a time, as of CIFAR's, would hold 98 times as much."""
    config = ResolvedEvaluateConfig(stem="imagenet", cells=5, channels=16, batch=16, runtime=RUNTIME)
    memory = evaluation_memory(config, GENOTYPE, ImageShape.square(224))
    assert memory.measuring < memory.step and memory.most == 2 * memory.weights + memory.step
