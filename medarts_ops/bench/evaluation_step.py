"""The evaluation network's training step against the original DARTS's: seconds, images a second, launches, memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F

from medarts_ops.bench.made_up import IN_CHANNELS, N_CLASSES, made_up_images
from medarts_ops.bench.reference_evaluation import ReferenceDerivedNetwork
from medarts_ops.bench.reference_step import plain_sgd, step_weights
from medarts_ops.bench.search_step import ImageSize, made_up_batch, race
from medarts_ops.config import ResolvedEvaluateConfig
from medarts_ops.data.dataset import ImageDataset, LabelledImages
from medarts_ops.networks.derived import DerivedNetwork
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.zoo import zoo_genotype
from medarts_ops.training.kept_memory import kept_memory
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.supervised import SupervisedTraining
from medarts_ops.value import Value

GENOTYPE = "DARTS_V2"  # six of its eight normal operations are separable convolutions


class EvaluationTiming(Value):
    """One size of training step, product and plain. Seconds are medians, memory is in bytes beyond the weights."""

    genotype: str
    cells: int
    channels: int
    resolution: int
    batch: int
    seconds: float
    plain_seconds: float
    ratio: float
    images_per_second: float
    plain_images_per_second: float
    launches: int
    plain_launches: int
    peak_bytes: int
    plain_peak_bytes: int


def measure_evaluation(config: ResolvedEvaluateConfig, resolution: int, repeats: int) -> EvaluationTiming:
    """Product and plain step on the same work, `repeats` times in turn."""
    device = Runtime.from_config(config.runtime).device
    steps: dict[str, Callable[[], object]] = {
        "": product_training_step(config, resolution),
        "plain_": plain_training_step(config, resolution),
    }
    with kept_memory(device):
        for _ in range(3):  # until the allocator holds what both steps need, page faults can double a step's time
            for step in steps.values():
                step()
        found = race(steps, repeats, device)
    return EvaluationTiming(
        genotype=GENOTYPE,
        resolution=resolution,
        images_per_second=config.batch / found["seconds"],
        plain_images_per_second=config.batch / found["plain_seconds"],
        **config.model_dump(include={"cells", "channels", "batch"}),
        **found,
    )


def product_training_step(config: ResolvedEvaluateConfig, resolution: int) -> StepParts:
    """A step of the raced network as `medarts evaluate` runs it."""
    size = ImageSize(resolution=resolution, in_channels=IN_CHANNELS, n_classes=N_CLASSES)
    return training_step(config, zoo_genotype(GENOTYPE), size)


@dataclass(frozen=True)
class StepParts:
    """A training step in the two parts that it has: what each batch takes, and the weights' update."""

    batch: Callable[[], object]
    update: Callable[[], object]

    def __call__(self) -> None:
        """The whole step."""
        self.batch()
        self.update()


def training_step(config: ResolvedEvaluateConfig, genotype: Genotype, size: ImageSize) -> StepParts:
    """A step as `medarts evaluate` runs it, at the last epoch's drop path, on one made-up batch."""
    runtime = Runtime.from_config(config.runtime)
    runtime.apply_to_process()
    images = made_up_images(size.n_classes, size.resolution, size.in_channels).images
    labelled = LabelledImages(images, np.arange(size.n_classes))
    names = tuple(map(str, range(size.n_classes)))
    dataset = ImageDataset(name="made up", class_names=names, train=labelled, test=labelled, test_source="made up")
    every = config.model_copy(update={"images": None, "validation_share": 0.0})  # there are but few
    training = SupervisedTraining(genotype, every, dataset, runtime)
    training.network.train()
    training.set_epoch(config.epochs - 1)
    batch = made_up_batch(config.batch, size, runtime, seed=0)
    return StepParts(lambda: training.iterate(batch, is_last=False), training.update)


def plain_training_step(config: ResolvedEvaluateConfig, resolution: int) -> Callable[[], object]:
    """A step as the original's `train.py` runs it on the same work.

    Plain convolutions, NCHW, a ReLU for every reader, a per-tensor optimizer, full precision whatever
    `config.runtime.amp` says.
    """
    runtime = Runtime.from_config(config.runtime)
    weight = config.auxiliary.weight
    sizes = {"cells": config.cells, "channels": config.channels, "n_classes": N_CLASSES, "in_channels": IN_CHANNELS}
    derived = DerivedNetwork(zoo_genotype(GENOTYPE), **sizes, auxiliary=weight > 0, stem=config.stem)
    network = ReferenceDerivedNetwork(derived).to(runtime.device).train()
    size = ImageSize(resolution=resolution, in_channels=IN_CHANNELS, n_classes=N_CLASSES)
    optimizer = plain_sgd(network, config.weights)
    batch = made_up_batch(config.batch, size, runtime, seed=0)
    images = batch.images.contiguous()
    drop_stream = runtime.generator(0)

    def back_propagate() -> None:
        logits, auxiliary = network(images, config.drop_path, drop_stream)
        loss = F.cross_entropy(logits, batch.labels, label_smoothing=config.label_smoothing)
        if auxiliary is not None:
            loss = loss + weight * F.cross_entropy(auxiliary, batch.labels, label_smoothing=config.label_smoothing)
        loss.backward()

    return lambda: step_weights(optimizer, back_propagate, config.weights.grad_clip)
