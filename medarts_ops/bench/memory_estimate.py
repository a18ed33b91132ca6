"""What a training takes from the machine, each in a fresh process, against what it was estimated at before."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from threading import Event, Thread
from typing import Self

import psutil
import torch

from medarts_ops.config import ResolvedEvaluateConfig, ResolvedSearchConfig, StageConfig, StrategyConfig
from medarts_ops.data.dataset import ImageShape
from medarts_ops.fitting import evaluation_bytes, search_bytes
from medarts_ops.populations import random_individual
from medarts_ops.settings import StemKind
from medarts_ops.space.zoo import zoo_genotype
from medarts_ops.strategies.registry import check_strategy
from medarts_ops.tasks import TrainingTask
from medarts_ops.training.bilevel import SearchTraining
from medarts_ops.training.made_up import made_up_data, made_up_dataset
from medarts_ops.training.placed_images import StageTensors, measured_batch
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.supervised import SupervisedTraining
from medarts_ops.training.trial_steps import RACED_GENOTYPE
from medarts_ops.value import Value

SECONDS_BETWEEN_LOOKS = 0.003
EPOCHS, STEPS = 2, 6
"""Of each training: what an allocator can't use again grows over the first steps, and with the first measuring."""


class Setting(Value):
    """A training whose memory is measured: a search's by a `strategy`, or without one of a genotype's own network."""

    strategy: str | None = None
    stem: StemKind = "cifar"
    cells: int
    channels: int
    batch: int
    resolution: int


SETTINGS = (
    Setting(strategy="darts", cells=4, channels=16, batch=64, resolution=16),
    Setting(strategy="darts", cells=8, channels=16, batch=64, resolution=16),
    Setting(strategy="darts", cells=4, channels=16, batch=32, resolution=32),
    Setting(strategy="pc-darts", cells=6, channels=16, batch=64, resolution=32),
    Setting(strategy="darts", stem="imagenet", cells=6, channels=16, batch=32, resolution=128),
    Setting(cells=8, channels=16, batch=64, resolution=32),
    Setting(cells=20, channels=36, batch=16, resolution=32),
    Setting(cells=8, channels=16, batch=32, resolution=64),
    Setting(stem="imagenet", cells=8, channels=32, batch=32, resolution=128),
    Setting(stem="imagenet", cells=14, channels=48, batch=16, resolution=224),
)
"""Searches and networks of one genotype that two cores train in a minute or so each."""


class MemoryCheck(Value):
    """Bytes that a training was estimated to take, and those that it took at most; `ratio` is measured to estimated."""

    setting: Setting
    estimated: int
    measured: int
    ratio: float


def check_estimate(setting: Setting, search: ResolvedSearchConfig, evaluation: ResolvedEvaluateConfig) -> MemoryCheck:
    """The setting trained for two epochs of six steps in a process of its own, and measured; on made-up images.

    `search` and `evaluation` give all that the setting leaves open.
    """
    # Not forked: what this process has used before would count.
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        estimated, measured = process.submit(_measure, setting, search, evaluation).result()
    return MemoryCheck(setting=setting, estimated=estimated, measured=measured, ratio=measured / estimated)


def _measure(setting: Setting, search: ResolvedSearchConfig, evaluation: ResolvedEvaluateConfig) -> tuple[int, int]:
    runtime = Runtime.from_config((search if setting.strategy else evaluation).runtime)
    runtime.apply_to_process()
    training: SearchTraining | SupervisedTraining
    if setting.strategy:
        estimated, training = _search(setting, search, runtime)
    else:
        estimated, training = _evaluation(setting, evaluation, runtime)
    with _Peak(runtime) as peak:
        for epoch in range(EPOCHS):
            training.run_epoch(epoch)
    return estimated, peak.grown


def _search(setting: Setting, config: ResolvedSearchConfig, runtime: Runtime) -> tuple[int, SearchTraining]:
    given = setting.model_dump(include={"cells", "channels", "batch"})
    stage = StageConfig(name="bench", **given, epochs=EPOCHS, images=2 * STEPS * setting.batch, population=1)
    config = config.model_copy(
        update={"stages": (stage,), "strategy": StrategyConfig(name=setting.strategy or ""), "stem": setting.stem}
    )
    config = config.model_copy(update={"strategy": check_strategy(config)})
    size = ImageShape.square(setting.resolution)
    task = TrainingTask(individuals=(random_individual(config, 0),), stage=stage, config=config, stage_data="none")
    data = made_up_data(max(STEPS * setting.batch, measured_batch(setting.batch, (setting.resolution,) * 2)), size)
    estimated = search_bytes(config, stage, data.shape)
    return estimated, SearchTraining(task, StageTensors.place(data, runtime), runtime)


def _evaluation(setting: Setting, config: ResolvedEvaluateConfig, runtime: Runtime) -> tuple[int, SupervisedTraining]:
    given = setting.model_dump(include={"cells", "channels", "batch"}) | {"stem": setting.stem, "images": None}
    config, genotype = config.model_copy(update=given), zoo_genotype(RACED_GENOTYPE)
    shape = ImageShape.square(setting.resolution)
    dataset = made_up_dataset(STEPS * setting.batch, shape)
    return evaluation_bytes(config, genotype, shape), SupervisedTraining(genotype, config, dataset, runtime)


class _Peak:
    """The most bytes that are in use meanwhile, beyond those before: this process's, or torch's on the GPU.

    The process is looked at every few milliseconds: the system's own peak is inherited from whoever started it.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._device = runtime.device
        self._before = self._most = self._now()
        self._ended = Event()
        self._watch = Thread(target=self._look, daemon=True)

    @property
    def grown(self) -> int:
        return self._most - self._before

    def __enter__(self) -> Self:
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._watch.join()

    def _look(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN_LOOKS):
            self._most = max(self._most, self._now())

    def _now(self) -> int:
        if self._device.type != "cpu":
            return int(torch.get_device_module(self._device).memory_reserved(self._device))
        return int(psutil.Process().memory_info().rss)
