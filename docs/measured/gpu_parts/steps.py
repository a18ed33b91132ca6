"""Parts that time or weigh steps on made-up images: a search's, an evaluation's, the input's, and memory."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from gpu_parts.case import MIB, NEEDS_CARD, Asked, Case, Row, device, on_card

from medarts_ops.bench.evaluation_step import plain_training_step, product_training_step
from medarts_ops.bench.input_pipeline import measure_input
from medarts_ops.bench.launches import count_launches
from medarts_ops.bench.memory import peak_bytes
from medarts_ops.bench.memory_estimate import SETTINGS, Setting, check_estimate
from medarts_ops.bench.reference_step import reference_step
from medarts_ops.config import EvaluateConfig, SearchConfig, StageConfig
from medarts_ops.config_runtime import EvaluationRuntimeConfig, SearchRuntimeConfig, Switch
from medarts_ops.data.dataset import ImageShape
from medarts_ops.resolving import resolve_config_alone, resolve_evaluate_config, resolve_runtime
from medarts_ops.training.made_up import made_up_batch
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.trial_steps import step_of_search, time_interleaved

EAGER: dict[str, Any] = {"amp": "off", "tf32": False, "channels_last": False, "cuda_graphs": "off"}
SWITCHES: dict[str, dict[str, Any]] = {
    "channels-last": {"channels_last": True},
    "TF32": {"tf32": True},
    "fp16": {"amp": "fp16"},
    "bf16": {"amp": "bf16"},
    "graph": {"cuda_graphs": "on"},
    "together": {"paths_together": "on"},
    "no matrices": {"matrix_side": 0},
    "matrices to 4": {"matrix_side": 4},
    "matrices to 16": {"matrix_side": 16},
    "stack 4": {"stack": 4},
    "stack 8": {"stack": 8},
    "compile": {"compile": True},
    "checkpoint": {"checkpoint_cells": True},
}
ALONE = ("original", "eager", "channels-last", "TF32", "fp16", "bf16", "graph")
MATRICES = ("no matrices", "matrices to 4", "matrices to 16")
FAST = "channels-last + TF32"
SEARCH = (
    *ALONE,
    *MATRICES,
    "stack 4",
    "stack 8",
    f"{FAST} + fp16 + graph",
    f"{FAST} + bf16 + graph",
    f"{FAST} + fp16 + graph + stack 4",
    f"{FAST} + fp16 + graph + stack 8",
    f"{FAST} + bf16 + graph + stack 8",
    *(f"{FAST} + {amp} + graph + stack 8 + {matrices}" for amp in ("fp16", "bf16") for matrices in MATRICES),
)
EVALUATION = (
    *ALONE,
    "compile",
    "checkpoint",
    "channels-last + fp16",
    "channels-last + together",
    "channels-last + fp16 + together",
    "TF32 + fp16 + graph",
    "TF32 + bf16 + graph",
    f"{FAST} + fp16 + graph",
    f"{FAST} + fp16 + graph + together",
    f"{FAST} + bf16 + graph",
    f"{FAST} + bf16 + graph + together",
    f"{FAST} + bf16 + graph + checkpoint",
    f"{FAST} + bf16 + compile",
    f"{FAST} + bf16 + compile + graph",
)
"""Names say what is switched on beside plain float32; `original` is DARTS's own code in that.

Without `matrices` small maps of supernets are matrix products up to 8×8, without `channels-last` networks are planes.
"""

GRAPHS: tuple[Switch, ...] = ("off", "on")
Step = Callable[[], object]


def settings_of(variant: str) -> dict[str, Any]:
    """The runtime's settings of a variant."""
    words = [] if variant in ("original", "eager") else variant.split(" + ")
    found = dict(EAGER)
    for word in words:
        found |= SWITCHES[word]
    return found


def measured(asked: Asked, build: Callable[[], Step], individuals: int = 1, *, compiled: bool = False) -> Row:
    """The step that `build` makes: seconds and launches by individual, and the most memory while it is made and run."""
    card = device()
    gc.collect()
    before = 0
    if on_card():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(card)
        before = torch.cuda.memory_allocated(card)
    step = build()
    seconds = time_interleaved({"step": step}, asked.repeats, card)["step"]
    # Of a captured step all is in its graph's own memory before it is replayed.
    peak = torch.cuda.max_memory_allocated(card) - before if on_card() else peak_bytes(step, card)
    row = {"seconds": seconds / individuals, "peak MiB": peak / MIB}
    # To count calls at dispatch keeps torch from running compiled ones.
    return row | ({} if compiled else {"launches": sum(count_launches(step).values()) / individuals})


def search_steps(asked: Asked) -> dict[str, Case]:
    stages = SearchConfig().stages
    if asked.tiny:
        smaller = {"cells": 3, "channels": 2, "batch": 4}
        stages = tuple(stage.model_copy(update=smaller) for stage in stages[:1])
    return {
        f"{stage.name}: {variant}": partial(search_step, asked, stage, variant)
        for stage in stages
        for variant in SEARCH
        if settings_of(variant).get("stack", 1) <= stage.size
    }


def search_step(asked: Asked, stage: StageConfig, variant: str) -> Row:
    settings = settings_of(variant)
    if "graph" in variant and not on_card():
        return NEEDS_CARD
    side = asked.side // 2
    runtime = SearchRuntimeConfig(**{"stack": 1, **settings}, workers=1)
    config = resolve_config_alone(SearchConfig(space=asked.space(), runtime=runtime), (side, side))
    size = ImageShape.square(side)

    def original() -> Step:
        of = Runtime.from_config(config.runtime)
        of.apply_to_process()
        batches = (made_up_batch(stage.batch, size, of, 0), made_up_batch(stage.batch, size, of, 1))
        return reference_step(config, stage, batches, size.n_classes, "first")

    stack = config.runtime.stack
    made = original if variant == "original" else partial(step_of_search, config, stage, size, stack)
    return measured(asked, made, stack)


def evaluation_steps(asked: Asked) -> dict[str, Case]:
    return {f"DARTS_V2: {variant}": partial(evaluation_step, asked, variant) for variant in EVALUATION}


def evaluation_step(asked: Asked, variant: str) -> Row:
    if "graph" in variant and not on_card():
        return NEEDS_CARD
    if "compile" in variant and asked.tiny:
        return {"skipped": "compiling takes minutes"}
    settings = {"paths_together": "off", **settings_of(variant)}
    asked_for = asked.evaluation(EvaluationRuntimeConfig(**settings))
    config = resolve_evaluate_config(asked_for, (asked.side, asked.side))

    def original() -> Step:
        Runtime.from_config(config.runtime).apply_to_process()
        return plain_training_step(config, asked.side)

    made = original if variant == "original" else partial(product_training_step, config, asked.side)
    row = measured(asked, made, compiled="compile" in variant)
    return {**row, "images a second": config.batch / row["seconds"]}


def input_passes(asked: Asked) -> dict[str, Case]:
    sides = (16,) if asked.tiny else (16, 32)
    return {f"{side}×{side}": partial(input_pass, asked, side) for side in sides}


def input_pass(asked: Asked, side: int) -> Row:
    smaller = {"images": 128, "workers": 0} if asked.tiny else {}
    found = measure_input(resolve_runtime(EvaluationRuntimeConfig()), side, 64, asked.repeats, **smaller)
    return {"here": found.images_per_second, "loader": found.loader_images_per_second, "ratio": found.ratio}


def memory(asked: Asked) -> dict[str, Case]:
    """The bench's settings, which two cores train, and the evaluation's own; with graphs, as by default, and without.

    Each is a training in one more process, which is the only one that is looked at.
    """
    settings = (*SETTINGS, Setting(cells=20, channels=36, batch=96, resolution=32))
    if asked.tiny:
        settings = (Setting(cells=3, channels=2, batch=4, resolution=16),)
    return {
        in_words(setting) + ", graph" * (graphs == "on"): partial(weighed, setting, graphs)
        for setting in settings
        for graphs in GRAPHS
    }


def in_words(setting: Setting) -> str:
    what = f"search, {setting.strategy}" if setting.strategy else "network"
    stem = ", stem imagenet" if setting.stem == "imagenet" else ""
    sizes = f"{setting.cells} cells, {setting.channels} channels, {setting.batch} images of {setting.resolution}"
    return f"{what}{stem}, {sizes}×{setting.resolution}"


def weighed(setting: Setting, graphs: Switch) -> Row:
    if graphs == "on" and not on_card():
        return NEEDS_CARD
    side = (setting.resolution, setting.resolution)
    runtimes = SearchRuntimeConfig(cuda_graphs=graphs, workers=1), EvaluationRuntimeConfig(cuda_graphs=graphs)
    search = resolve_config_alone(SearchConfig(runtime=runtimes[0]), side)
    evaluation = resolve_evaluate_config(EvaluateConfig(runtime=runtimes[1]), side)
    check = check_estimate(setting, search, evaluation)
    return {"estimated MiB": check.estimated / MIB, "measured MiB": check.measured / MIB, "ratio": check.ratio}
