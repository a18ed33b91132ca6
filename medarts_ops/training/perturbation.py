"""Reading by worth: the loss of a trained supernet without each operation, and without each edge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medarts_ops.alpha import Mixtures
from medarts_ops.data.batches import Batch
from medarts_ops.errors import GenotypeError
from medarts_ops.individual import FailedIndividual, Outcome, TrainedIndividual
from medarts_ops.networks.frozen import frozen_statistics
from medarts_ops.seeds import Stream, random_generator
from medarts_ops.strategies.problem import mean_losses
from medarts_ops.strategies.skip_repair import read_genotype
from medarts_ops.training.afterwards import found_afterwards
from medarts_ops.training.placed_images import measured_batch, whole_batches
from medarts_ops.worth import CellWorth, Worth, weights_by_worth

if TYPE_CHECKING:
    from medarts_ops.training.bilevel import SearchTraining


def read_by_perturbation(training: SearchTraining, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The outcomes of a finished training with the genotype that their worth says, and the mixture's beside it.

    The loss is cross-entropy on `reading.images` validation images, the same for all individuals of a stage, at
    batch statistics, which leaves running ones alone. A weight that is taken away is set to 0, and the others of its
    row stay. All individuals of a stack are measured in one pass for each part of a cell; the passes' number is edges ·
    (operations + 1) for each kind.

    Wang et al. 2021, sections 3 and 4, with cross-entropy in place of accuracy, and all decisions from one supernet.
    """
    return found_afterwards(outcomes, partial(_worths, training), partial(_read, training))


def _read(training: SearchTraining, trained: TrainedIndividual, worth: Worth) -> Outcome:
    try:
        weights = Mixtures(*weights_by_worth(worth))
        genotype, set_aside = read_genotype(training.strategy, weights, training.task.config.max_skips)
    except GenotypeError as error:
        last = trained.history[-1].epoch
        return FailedIndividual(
            individual=trained.individual, reason=str(error), cause="crashed", epoch=last, seconds=trained.seconds
        )
    read = {"genotype": genotype, "mixture_genotype": trained.genotype, "skips_set_aside": set_aside}
    return trained.model_copy(update=read | {"worth": worth})


@torch.no_grad()
def _worths(training: SearchTraining) -> list[Worth]:
    """Each individual's own, in order; waits for the device at its beginning and its end."""
    mixtures = training.reading_mixtures()
    weighed = [(mixture > 0).cpu().numpy() & training.strategy.space.in_genotypes for mixture in mixtures]
    parts = [list(_parts(each)) for each in weighed]
    batches = _images(training)
    training.supernet.train()
    with frozen_statistics(training.supernet):
        whole = _losses(training, batches, mixtures)
        rises = [
            torch.stack([_losses(training, batches, _without(mixtures, kind, *part)) - whole for part in of_kind])
            for kind, of_kind in enumerate(parts)
        ]
    # A loss may overflow; then the part is worth more than all others, and a difference of two such says nothing.
    found = [torch.nan_to_num(rise, nan=0.0).cpu().numpy() for rise in rises]
    return [
        Worth(normal=normal, reduce=reduce) for normal, reduce in zip(*map(_cells, parts, found, weighed), strict=True)
    ]


def _parts(weighed: NDArray[np.bool_]) -> Iterator[tuple[int, int | None]]:
    """(edge, operation) of all that any individual weighs in `[individual, edge, op]`; None is the whole edge."""
    by_any: NDArray[np.bool_] = np.logical_or.reduce(weighed)
    for edge, operations in enumerate(by_any):
        yield edge, None
        yield from ((edge, int(operation)) for operation in np.flatnonzero(operations))


def _without(mixtures: Sequence[Tensor], kind: int, edge: int, operation: int | None) -> list[Tensor]:
    changed = list(mixtures)
    changed[kind] = mixtures[kind].clone()
    changed[kind][:, edge, slice(None) if operation is None else operation] = 0.0
    return changed


def _losses(training: SearchTraining, batches: Sequence[Batch], mixtures: Sequence[Tensor]) -> Tensor:
    """Mean cross-entropy [individual]; in full precision, since differences are small."""
    normal, reduce = mixtures
    losses = []
    for batch in batches:
        logits = training.supernet.of_shared(batch.images, normal, reduce)
        losses.append(mean_losses(logits, batch.labels.expand(logits.shape[:2])))
    return torch.stack(losses).mean(dim=0)


def _images(training: SearchTraining) -> list[Batch]:
    config, tensors = training.task.config, training.tensors
    rng = random_generator(config.seed, training.place.index, 0, Stream.READING)
    drawn = torch.from_numpy(rng.permutation(tensors.data.valid_indices)[: config.reading.images])
    size = measured_batch(training.task.stage.batch, tensors.placed.size)
    return [tensors.placed.plain(each) for each in whole_batches(drawn, size)]


def _cells(
    parts: Sequence[tuple[int, int | None]], rises: NDArray[np.float32], weighed: NDArray[np.bool_]
) -> Iterator[CellWorth]:
    """Each individual's, of `rises [part, individual]` and what it weighs, `[individual, edge, op]`."""
    for rise, measured in zip(rises.T, weighed, strict=True):
        operations, edges = np.zeros(measured.shape, np.float32), np.zeros(len(measured), np.float32)
        for (edge, operation), value in zip(parts, rise, strict=True):
            if operation is None:
                edges[edge] = value
            elif measured[edge, operation]:
                operations[edge, operation] = value
        yield CellWorth(operations=operations, edges=edges, measured=measured)
