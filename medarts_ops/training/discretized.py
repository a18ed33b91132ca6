"""What discretizing costs: a trained supernet measured with its genotype's own paths alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from medarts_ops.individual import Outcome, TrainedIndividual
from medarts_ops.networks.frozen import kept_statistics, norms_of
from medarts_ops.seeds import Stream, random_generator
from medarts_ops.space.discretize import one_hot
from medarts_ops.training.afterwards import found_afterwards
from medarts_ops.training.placed_images import measured_batch, whole_batches

if TYPE_CHECKING:
    from medarts_ops.training.bilevel import SearchTraining

STATISTICS_IMAGES = 2048
"""Of the weight half, that statistics are taken anew from: enough for channels' moments, and little beside an epoch."""


def measure_discretized(training: SearchTraining, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes of a finished training with `discretized_accuracy` and `discretized_loss`, in one pass for all.

    Mixtures become the genotype's one-hot; batch norms, which were used to mixtures, take their statistics anew as
    plain averages over batches of the weight half; then the validation images are measured as acc_valid is. The
    training's own statistics are put back. Waits for the device once.

    The gap to acc_valid is what one-shot rankings leave open (ours; Zela et al. 2020 for the effect).
    """
    n = len(training.tensors.data.valid_indices)

    def find() -> list[tuple[float, float]]:
        losses, right = torch.stack(_losses_and_hits(training, outcomes)).tolist()
        return [(loss / n, hits / n) for loss, hits in zip(losses, right, strict=True)]

    return found_afterwards(outcomes, find, _with)


def _with(trained: TrainedIndividual, found: tuple[float, float]) -> TrainedIndividual:
    loss, accuracy = found
    kept = loss if math.isfinite(loss) else None
    return trained.model_copy(update={"discretized_accuracy": accuracy, "discretized_loss": kept})


@torch.no_grad()
def _losses_and_hits(training: SearchTraining, outcomes: Sequence[Outcome]) -> tuple[Tensor, Tensor]:
    """Sums [individual] over the validation images."""
    supernet, placed, batch = training.supernet, training.tensors.placed, training.task.stage.batch
    mixtures = _one_hots(training, outcomes)
    norms = norms_of(supernet)
    with kept_statistics(supernet):
        supernet.train()
        for number, indices in zip(count(1), _statistics_batches(training)):
            for norm in norms:
                norm.momentum = 1 / number  # the average of all batches so far
            with training.runtime.autocast():
                supernet.of_shared(placed.plain(indices).images, *mixtures)
        supernet.eval()
        valid = torch.from_numpy(training.tensors.data.valid_indices)
        return placed.measure(lambda images: supernet.of_shared(images, *mixtures), valid, batch)


def _one_hots(training: SearchTraining, outcomes: Sequence[Outcome]) -> tuple[Tensor, Tensor]:
    """Both mixtures [individual, edge, op]; zeros for who failed, which reach nobody else."""
    space = training.strategy.space
    nothing = (np.zeros((space.n_edges, space.n_primitives)),) * 2
    each = [one_hot(space, one.genotype) if isinstance(one, TrainedIndividual) else nothing for one in outcomes]
    normal, reduce = (
        torch.from_numpy(np.stack(kind)).to(training.runtime.device, torch.get_default_dtype())
        for kind in zip(*each, strict=True)
    )
    return normal, reduce


def _statistics_batches(training: SearchTraining) -> Sequence[Tensor]:
    """Images of the weight half, drawn once for all of a stage: the half itself may stand in order of classes."""
    task, size = training.task, measured_batch(training.task.stage.batch, training.tensors.placed.size)
    rng = random_generator(task.config.seed, training.place.index, 0, Stream.READING)
    drawn = rng.permutation(training.tensors.data.weight_indices)
    return whole_batches(torch.from_numpy(drawn[: max(STATISTICS_IMAGES, size)]), size)
