"""Nothing starts that can't fit: what a job will hold at once, against the memory that is free.

A kernel that runs out of memory kills whoever asked for it without a word, so that this is found out before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil

from medarts_ops.config import ResolvedEvaluateConfig, ResolvedSearchConfig, StageConfig
from medarts_ops.config_runtime import ResolvedRuntime
from medarts_ops.data.dataset import ImageShape
from medarts_ops.data.search_data import SearchData
from medarts_ops.errors import ConfigError
from medarts_ops.networks.ends import least_batch
from medarts_ops.observers import DatasetSummary, EvaluationStarted
from medarts_ops.quantities import byte_size
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.random_genotype import random_genotypes
from medarts_ops.tasks import derived_settings
from medarts_ops.training.free_memory import free_bytes
from medarts_ops.training.placed_images import measured_batch
from medarts_ops.training.step_memory import StepMemory, evaluation_memory, search_memory

_logger = logging.getLogger(__name__)

LOSS_ON_CPU, LOSS_ON_CUDA = 1.12, 1.25
"""How many times the bytes of its tensors a training takes from the machine: what the allocator can't use again.

On a CPU measured (`medarts bench memory`); on CUDA the share that stacks leave free, not measured."""

WORKER_BYTES = 300 * 2**20
"""What a worker process takes for itself before it trains: measured, nearly all of it torch (libraries are shared)."""

LEAST_SEARCH_BATCH = 2
"""Images that a supernet's batch norm can tell apart."""

BYTES_AN_EDGE = 100
"""More than a step holds for each image, cell, channel, pixel and edge: of a supernet with all of DARTS's operations
about 50 were measured, of a genotype's network 10."""


@dataclass(frozen=True)
class Training:
    """What is trained at a time: `at_a_time` networks, in `processes`, with batches of `batch`.

    `setting` is the batch's dotted path, `least` the smallest that can be trained, `images` the bytes of images that
    each process loads for itself, `surely` more bytes than a network holds. `devices` share the setting's batch, of
    which `batch` is the part of one.
    `memory` is what one network takes in batches of a given size, `checkpointed` the same if `runtime.checkpoint_cells`
    were set, where it isn't and can be.
    """

    what: str
    setting: str
    batch: int
    least: int
    at_a_time: int
    processes: int
    images: int
    surely: int
    runtime: ResolvedRuntime
    memory: Callable[[int], StepMemory]
    devices: int = 1
    checkpointed: Callable[[int], StepMemory] | None = None

    def needed(self, memory: StepMemory) -> int:
        """Bytes beyond what this process has already."""
        return self._around(int(self.at_a_time * held(self.runtime, memory)))

    def surely_fits(self, free: int) -> bool:
        """Whether a glance tells: looking closely takes up to seconds."""
        return self._around(self.surely) < free

    def fitting_batch(self, free: int) -> int:
        """The largest batch, up to the training's own, that `free` bytes hold; 0 if none does."""
        if self.needed(self.memory(self.least)) > free:
            return 0
        batch = self.batch
        while (too_much := self.needed(memory := self.memory(batch)) - free) > 0:
            # A step holds a little that no image adds to: the next guess may still be too large.
            batch = max(self.least, batch - ceil(too_much / (self.at_a_time * LOSS_ON_CPU * memory.per_image)))
        return batch

    def _around(self, of_networks: int) -> int:
        return of_networks + (self.processes * (WORKER_BYTES + self.images) if self.processes > 1 else 0)


def search_bytes(config: ResolvedSearchConfig, stage: StageConfig, shape: ImageShape) -> int:
    """What the training of one individual takes from the machine or the GPU, beyond images."""
    return int(held(config.runtime, search_memory(config, stage, shape)))


def evaluation_bytes(config: ResolvedEvaluateConfig, genotype: Genotype, shape: ImageShape) -> int:
    """What the training of a genotype's network takes from the machine or the GPU, beyond images."""
    return int(held(config.runtime, evaluation_memory(config, genotype, shape)))


def fits(config: ResolvedSearchConfig, data: SearchData) -> bool:
    """Whether all that a search trains at a time fits into the memory that is free."""
    if config.runtime.elsewhere:
        return True
    free = free_bytes(*config.runtime.device_names)
    return all(_batch_within(training, free) == training.batch for training in _of_search(config, data))


def fitted_search(config: ResolvedSearchConfig, data: SearchData) -> ResolvedSearchConfig:
    """A search that fits: with `runtime.memory` refuse or ignore as it is, with fit in smaller batches where it must.

    Raises:
        ConfigError: it doesn't fit; with fit, in no batch.
    """
    if not _is_checked(config.runtime):
        return config
    free = free_bytes(*config.runtime.device_names)
    batches = [_checked_batch(training, free, config.runtime) for training in _of_search(config, data)]
    stages = tuple(
        stage.model_copy(update={"batch": batch}) for stage, batch in zip(config.stages, batches, strict=False)
    )
    derived = config.derived.model_copy(update={"batch": batches[-1]}) if config.trains_genotypes else config.derived
    return config.model_copy(update={"stages": stages, "derived": derived})


def _is_checked(runtime: ResolvedRuntime) -> bool:
    """A cluster's memory is its own matter: `runtime.ray.memory` says what a task takes of it."""
    return runtime.memory != "ignore" and not runtime.elsewhere


def fitted_evaluation(
    config: ResolvedEvaluateConfig, genotype: Genotype, dataset: DatasetSummary
) -> ResolvedEvaluateConfig:
    """An evaluation on these images that fits, as `fitted_search`; several cards are taken to be equal."""
    runtime = config.runtime
    if not _is_checked(runtime):
        return config
    here = runtime.devices if runtime.device == "cpu" else 1  # processes that share the memory
    part = config.model_copy(update={"batch": config.batch // runtime.devices})
    shape = shape_of(dataset)
    training = _of_evaluation(part, genotype, shape, "the training", "batch", here)
    training = replace(training, devices=runtime.devices)
    if not runtime.checkpoint_cells:
        again = part.model_copy(update={"runtime": runtime.model_copy(update={"checkpoint_cells": True})})
        training = replace(training, checkpointed=partial(_memory_of_network, again, genotype, shape))
    batch = _checked_batch(training, free_bytes(*runtime.device_names), runtime)
    return config.model_copy(update={"batch": batch * runtime.devices})


def evaluations_at_a_time(evaluations: Sequence[EvaluationStarted], most: int) -> int:
    """How many processes, up to `most`, can train these side by side; at least one, which may have to be tried."""

    def fit(processes: int) -> bool:
        for each in evaluations:
            on_each = _on_one_device(each.config.runtime, processes)
            training = _of_evaluation(each.config, each.genotype, shape_of(each.dataset), "", "batch", on_each)
            if _batch_within(training, free_bytes(*each.config.runtime.device_names)) < training.batch:
                return False
        return True

    return next((processes for processes in range(most, 1, -1) if fit(processes)), 1)


def _of_search(config: ResolvedSearchConfig, data: SearchData) -> Iterator[Training]:
    """What each stage trains at a time, and the genotypes' short trainings last."""
    runtime = config.runtime
    for index, (stage, images) in enumerate(zip(config.stages, data.stages, strict=True)):
        stack = min(runtime.stack, stage.size)
        processes = _on_one_device(runtime, min(runtime.workers, ceil(stage.size / stack)))
        shape = images.shape
        yield Training(
            what=f"stage {stage.name!r}",
            setting=f"stages.{index}.batch",
            batch=stage.batch,
            least=LEAST_SEARCH_BATCH,
            at_a_time=stack * processes,
            processes=processes,
            images=images.images.nbytes,
            surely=stack * processes * stage.cells * stage.channels * _surely(config.space.nodes, shape, stage.batch),
            runtime=runtime,
            memory=partial(_memory_of_stage, config, stage, shape),
        )
    if data.derived is not None:
        (genotype,) = random_genotypes(1, seed=0, nodes=config.space.nodes)
        settings, shape = derived_settings(config), data.derived.shape
        processes = _on_one_device(runtime, runtime.workers)
        yield _of_evaluation(settings, genotype, shape, "a genotype's short training", "derived.batch", processes)


def _on_one_device(runtime: ResolvedRuntime, processes: int) -> int:
    """How many of so many processes are on this machine, or on that of several cards which has most of them."""
    return ceil(processes / len(runtime.device_names))


def _of_evaluation(
    config: ResolvedEvaluateConfig, genotype: Genotype, shape: ImageShape, what: str, setting: str, processes: int
) -> Training:
    surely = processes * config.cells * config.channels * _surely(genotype.n_nodes("normal"), shape, config.batch)
    return Training(
        what=what,
        setting=setting,
        batch=config.batch,
        least=least_batch(auxiliary=config.auxiliary.weight > 0, stem=config.stem),
        at_a_time=processes,
        processes=processes,
        images=0,
        surely=surely,
        runtime=config.runtime,
        memory=partial(_memory_of_network, config, genotype, shape),
    )


def _memory_of_network(config: ResolvedEvaluateConfig, genotype: Genotype, shape: ImageShape, batch: int) -> StepMemory:
    return evaluation_memory(config.model_copy(update={"batch": batch}), genotype, shape)


def _memory_of_stage(config: ResolvedSearchConfig, stage: StageConfig, shape: ImageShape, batch: int) -> StepMemory:
    resized = stage.model_copy(update={"batch": batch})
    stages = tuple(resized if each == stage else each for each in config.stages)
    return search_memory(config.model_copy(update={"stages": stages}), resized, shape)


def _batch_within(training: Training, free: int) -> int:
    """The largest batch up to the training's own that fits; 0 if none does."""
    return training.batch if training.surely_fits(free) else training.fitting_batch(free)


def _checked_batch(training: Training, free: int, runtime: ResolvedRuntime) -> int:
    fitting = _batch_within(training, free)
    if fitting == training.batch:
        return fitting
    if fitting and runtime.memory == "fit":
        _logger.warning(
            "%s: batch lowered from %d to %d, so that it fits into %s of memory",
            training.what,
            training.batch * training.devices,
            fitting * training.devices,
            byte_size(free),
        )
        return fitting
    needed = byte_size(training.needed(training.memory(training.batch)))
    of = f" on {training.devices} devices" if training.devices > 1 else ""
    batch = training.batch * training.devices
    wrong = f"{training.what} takes about {needed} of memory in batches of {batch}{of}: {byte_size(free)} free"
    others = "fewer channels or cells, or a lower dataset.resolution"
    if training.at_a_time > training.devices:
        others = f"fewer at a time (runtime.workers, runtime.stack), {others}"
    again = training.checkpointed
    if again is not None and training.needed(again(training.batch)) <= free:
        others = f"--checkpoint-cells, which fits and is slower, or {others}"
    if fitting:
        fitting *= training.devices
        remedy = f"a batch of {fitting} fits: set {training.setting}={fitting}, or --fit lowers it by itself"
        raise ConfigError(f"{wrong}; {remedy}, or take {others}")
    raise ConfigError(f"{wrong} and no batch fits; take {others}")


def shape_of(dataset: DatasetSummary) -> ImageShape:
    """What the size of an evaluation's network depends on."""
    return ImageShape(*dataset.resolution, dataset.in_channels, len(dataset.class_names))


def _surely(nodes: int, shape: ImageShape, batch: int) -> int:
    """More bytes than a step holds for a cell and a channel."""
    edges, size = nodes * (nodes + 3) // 2, (shape.height, shape.width)
    return BYTES_AN_EDGE * edges * measured_batch(batch, size) * shape.height * shape.width


def held(runtime: ResolvedRuntime, memory: StepMemory) -> float:
    """What the machine, or the GPU, gives for a network's tensors."""
    if runtime.device != "cpu":
        return LOSS_ON_CUDA * memory.most
    # What a process freed after its steps is in pieces that the pass that measures can't use.
    return 2 * memory.weights + LOSS_ON_CPU * (memory.step + memory.measuring)
