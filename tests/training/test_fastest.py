"""What is fastest, found by timing: which ways are tried, which one is taken, and what is left as it was."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from factories import make_evaluate_config_tiny, make_search_config_tiny, make_search_runtime

from medarts_ops.config import ResolvedEvaluateConfig, ResolvedSearchConfig, SpaceConfig, StageConfig
from medarts_ops.data.dataset import ImageShape
from medarts_ops.data.loading import LoadingProgress, told_of_loading
from medarts_ops.settings import MATRIX_SIDE
from medarts_ops.training import fastest
from medarts_ops.training.fastest import fastest_layout, fastest_side, other_sides

SIZE = ImageShape.square(16, in_channels=1, n_classes=10)
OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nof which 1 GiB")


@pytest.fixture(autouse=True)
def logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="medarts_ops")


@pytest.fixture(autouse=True)
def uncollected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collection takes longer than all else here, in a process of many tests."""
    monkeypatch.setattr(fastest.gc, "collect", lambda: 0)


def ways(
    stages: tuple[StageConfig, ...] | None = None, *, sides: Sequence[int] = (8, 0, 4, 16), stack: int = 1
) -> dict[int, ResolvedSearchConfig]:
    config = make_search_config_tiny()
    runtimes = {side: make_search_runtime(stack=stack, matrix_side=side) for side in sides}
    return {
        side: config.model_copy(update={"runtime": runtime, "stages": stages or config.stages})
        for side, runtime in runtimes.items()
    }


def taking(monkeypatch: pytest.MonkeyPatch, seconds: Mapping[Any, float]) -> list[tuple[int, StageConfig, int]]:
    """Steps that take so long with each `matrix_side`, and fail with others; what is built: side, stage and stack."""
    built: list[tuple[int, StageConfig, int]] = []

    def build(config: ResolvedSearchConfig, stage: StageConfig, size: ImageShape, stack: int) -> Callable[[], float]:
        side = config.runtime.matrix_side
        built.append((side, stage, stack))
        if side not in seconds:
            raise OUT_OF_MEMORY
        return lambda: seconds[side]

    monkeypatch.setattr(fastest, "step_of_search", build)
    monkeypatch.setattr(
        fastest, "time_interleaved", lambda steps, repeats, device: {way: step() for way, step in steps.items()}
    )
    return built


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        ({0: 2.0, 4: 2.0, 8: 1.0, 16: 3.0}, 8),
        ({0: 2.0, 4: 2.0, 8: 1.0, 16: 0.5}, 16),
        ({0: 0.8, 4: 0.7, 8: 1.0, 16: 0.9}, 4),
        ({0: 0.96, 4: 0.97, 8: 1.0, 16: 0.96}, 8),
    ],
)
def test_another_side_is_taken_where_it_is_clearly_the_fastest(monkeypatch, caplog, seconds, chosen):
    built = taking(monkeypatch, seconds)
    assert fastest_side(ways(), SIZE) == chosen
    assert [side for side, _, _ in built] == [8, 0, 4, 16, 8]
    assert f"runtime.matrix_side is {chosen}; a step takes with 8 {seconds[8]:g} s, 0 {seconds[0]:g}" in caplog.text


def test_what_can_not_be_timed_is_not_chosen_and_ends_no_search(monkeypatch, caplog):
    taking(monkeypatch, {0: 2.0, 4: 1.0, 8: 3.0})
    assert fastest_side(ways(), SIZE) == 4
    assert "runtime.matrix_side=16 could not be timed, and others are preferred: CUDA out of memory." in caplog.text
    assert "of which" not in caplog.text
    taking(monkeypatch, {0: 2.0, 4: 1.0})
    assert fastest_side(ways(), SIZE) == 4
    taking(monkeypatch, {})
    assert fastest_side(ways(), SIZE) == MATRIX_SIDE


def test_whoever_listens_is_told_how_far_the_timing_is(monkeypatch):
    taking(monkeypatch, {0: 2.0, 4: 1.0, 8: 3.0})
    told: list[LoadingProgress] = []
    with told_of_loading(told.append):
        fastest_side(ways(), SIZE)
    assert told == [LoadingProgress("memory layouts timed", done, 5) for done in range(6)]


def test_a_clock_that_rises_meanwhile_is_not_held_against_the_usual_side(monkeypatch):
    clock = iter([2.0, 1.2, 1.1, 1.0, 1.0])
    taking(monkeypatch, dict.fromkeys((8, 0, 4, 16), 1.0))
    monkeypatch.setattr(fastest, "time_interleaved", lambda steps, repeats, device: {way: next(clock) for way in steps})
    assert fastest_side(ways(), SIZE) == MATRIX_SIDE


@pytest.mark.parametrize(
    ("height", "width", "stem", "sides"),
    [
        (16, 16, "cifar", [0, 4, 16]),
        (32, 32, "cifar", [0, 16]),
        (28, 28, "cifar", [0, 14]),
        (224, 224, "imagenet", [0, 14]),
        (8, 8, "cifar", [0, 2, 4]),
        (48, 48, "cifar", [12]),
        (96, 96, "cifar", []),
        (8, 20, "cifar", [0, 4, 13]),
        (20, 8, "cifar", [0, 4, 13]),
    ],
)
def test_other_sides_are_those_of_a_supernets_maps_and_none(height, width, stem, sides):
    """Of 28 the last maps have 7×7, which 8 stands for; of 48 none has 8×8 or less, so that 0 is like 8."""
    config = make_search_config_tiny().model_copy(update={"stem": stem})
    assert other_sides(config, ImageShape(height, width, 3, 10)) == sides


def test_a_space_without_separable_convolutions_has_no_other_side():
    space = SpaceConfig(primitives=("none", "max_pool_3x3", "skip_connect"))
    assert other_sides(make_search_config_tiny().model_copy(update={"space": space}), SIZE) == []
    assert fastest_side(ways(sides=(8,)), SIZE) == MATRIX_SIDE


def test_the_step_is_that_of_the_stage_with_most_work_in_its_stack(monkeypatch):
    built = taking(monkeypatch, {0: 1.0, 4: 1.0, 8: 1.0, 16: 1.0})
    config = make_search_config_tiny()
    assert config.stages[0].size == 3
    fastest_side(ways(stack=8), SIZE)
    assert all(stage == config.stages[0] and stack == 3 for _, stage, stack in built)
    longer = config.stages[2].model_copy(update={"epochs": 9})
    built.clear()
    fastest_side(ways((*config.stages[:2], longer), stack=8), SIZE)
    assert all(stage == longer and stack == 1 for _, stage, stack in built)


def test_a_way_that_stacks_more_individuals_is_told_by_individual(monkeypatch):
    taking(monkeypatch, {8: 2.0, 16: 1.0})
    (usual,), (stacked,) = ways(sides=(8,), stack=3).values(), ways(sides=(16,), stack=1).values()
    assert fastest_side({8: usual, 16: stacked}, SIZE) == MATRIX_SIDE


def test_real_steps_are_timed_without_a_trace_on_what_is_drawn_later(monkeypatch, caplog):
    monkeypatch.setattr(fastest, "TIMED_STEPS", 2)
    before = torch.get_rng_state()
    wide = ImageShape(8, 20, 1, 10)
    assert fastest_side(ways(sides=(8, 13), stack=2), wide) in (8, 13)
    evaluation = make_evaluate_config_tiny()
    layouts = {last: evaluation.runtime.model_copy(update={"channels_last": last}) for last in (True, False)}
    assert fastest_layout(evaluation, layouts, wide) in layouts.values()
    assert "not be timed" not in caplog.text and caplog.text.count("a step takes with") == 2
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("planes", "chosen"), [(0.5, False), (0.97, True), (2.0, True)])
def test_an_evaluations_layout_is_the_faster_of_both(monkeypatch, planes, chosen):
    built: list[ResolvedEvaluateConfig] = []

    def build(config: ResolvedEvaluateConfig, genotype: object, size: ImageShape) -> Callable[[], float]:
        built.append(config)
        return lambda: 1.0 if config.runtime.channels_last else planes

    taking(monkeypatch, {})
    monkeypatch.setattr(fastest, "step_of_evaluation", build)
    config = make_evaluate_config_tiny()
    config = config.model_copy(
        update={"cells": 20, "batch": 96, "runtime": config.runtime.model_copy(update={"devices": 2})}
    )
    layouts = {last: config.runtime.model_copy(update={"channels_last": last}) for last in (True, False)}
    assert fastest_layout(config, layouts, SIZE) == layouts[chosen]
    assert [(each.cells, each.batch, each.runtime.devices) for each in built] == [(6, 48, 1)] * 3
