"""The evaluation network's training step against the original DARTS's: seconds, images a second, launches, memory."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F

from medarts_ops.bench.reference_evaluation import ReferenceDerivedNetwork
from medarts_ops.bench.reference_step import plain_sgd, step_weights
from medarts_ops.bench.search_step import race
from medarts_ops.config import ResolvedEvaluateConfig
from medarts_ops.data.dataset import ImageShape
from medarts_ops.networks.derived import DerivedNetwork
from medarts_ops.space.zoo import zoo_genotype
from medarts_ops.training.kept_memory import kept_memory
from medarts_ops.training.made_up import made_up_batch
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.trial_steps import RACED_GENOTYPE, step_of_evaluation
from medarts_ops.value import Value


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
        genotype=RACED_GENOTYPE,
        resolution=resolution,
        images_per_second=config.batch / found["seconds"],
        plain_images_per_second=config.batch / found["plain_seconds"],
        **config.model_dump(include={"cells", "channels", "batch"}),
        **found,
    )


def product_training_step(config: ResolvedEvaluateConfig, resolution: int) -> Callable[[], object]:
    """A step of the raced network as `medarts evaluate` runs it."""
    return step_of_evaluation(config, zoo_genotype(RACED_GENOTYPE), ImageShape.square(resolution))


def plain_training_step(config: ResolvedEvaluateConfig, resolution: int) -> Callable[[], object]:
    """A step as the original's `train.py` runs it on the same work.

    Plain convolutions, NCHW, a ReLU for every reader, a per-tensor optimizer, full precision whatever
    `config.runtime.amp` says.
    """
    runtime = Runtime.from_config(config.runtime)
    weight = config.auxiliary.weight
    shape = ImageShape.square(resolution)
    images = {"n_classes": shape.n_classes, "in_channels": shape.in_channels}
    sizes = {"cells": config.cells, "channels": config.channels, **images}
    derived = DerivedNetwork(zoo_genotype(RACED_GENOTYPE), **sizes, auxiliary=weight > 0, stem=config.stem)
    network = ReferenceDerivedNetwork(derived).to(runtime.device).train()
    optimizer = plain_sgd(network, config.weights)
    batch = made_up_batch(config.batch, shape, runtime, seed=0)
    planes = batch.images.contiguous()
    drop_stream = runtime.generator(0)

    def back_propagate() -> None:
        logits, auxiliary = network(planes, config.drop_path, drop_stream)
        loss = F.cross_entropy(logits, batch.labels, label_smoothing=config.label_smoothing)
        if auxiliary is not None:
            loss = loss + weight * F.cross_entropy(auxiliary, batch.labels, label_smoothing=config.label_smoothing)
        loss.backward()

    return lambda: step_weights(optimizer, back_propagate, config.weights.grad_clip)
