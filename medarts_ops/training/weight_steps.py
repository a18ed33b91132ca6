"""How weights are stepped, in bilevel and in supervised training alike: their learning rate, and the clipped step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from medarts_ops.config_training import Schedule
from medarts_ops.training.ranks import ALONE, Ranks


def cosine_rate(first: float, least: float, epoch: int, epochs: int) -> float:
    """The learning rate of an epoch, from 0: a cosine from exactly `first` towards `least`, as DARTS anneals."""
    return least + (first - least) * (1 + math.cos(math.pi * epoch / epochs)) / 2


def linear_rate(first: float, least: float, epoch: int, epochs: int) -> float:
    """The same as a line: P-DARTS's and PC-DARTS's on ImageNet, but for the smaller slope of their last 5 epochs."""
    return least + (first - least) * (1 - epoch / epochs)


SCHEDULES: dict[Schedule, Callable[[float, float, int, int], float]] = {"cosine": cosine_rate, "linear": linear_rate}


def warmed_up(rate: float, first: float, epoch: int, warmup_epochs: int) -> float:
    """`rate`, but in the first `warmup_epochs` equal steps up to `first`, from one of them on (P-DARTS, PC-DARTS)."""
    return first * (epoch + 1) / warmup_epochs if epoch < warmup_epochs else rate


class StepPart(NamedTuple):
    """One batch of a step of the weights: its `indices [image]`, the `own` ones of this process, and their share.

    The share, in 0…1, is of what the step's images count, times the number of processes, over which is averaged.
    """

    indices: Tensor
    own: slice
    share: float
    is_last: bool


def accumulated(batches: Sequence[Tensor], per_step: int, counts: Tensor, ranks: Ranks = ALONE) -> Iterator[StepPart]:
    """Batches in groups of `per_step`, whose gradients make one step; the epoch's last group may be smaller.

    `counts [image]` is what each image counts in the loss. A group's losses, each times its share, come to the mean
    over the images of the group, so weighed; those of several processes do in their mean.
    """
    for first in range(0, len(batches), per_step):
        group = batches[first : first + per_step]
        owns = [ranks.part(len(indices)) for indices in group]
        counted = sum(float(counts[indices].sum()) for indices in group)
        for number, (indices, own) in enumerate(zip(group, owns, strict=True)):
            share = ranks.of * float(counts[indices[own]].sum()) / counted
            yield StepPart(indices, own, share, number + 1 == len(group))


def set_rate(optimizer: torch.optim.Optimizer, value: float) -> None:
    """Set the learning rate of all weights; one on the device stays where it is, where a captured step reads it."""
    group = optimizer.param_groups[0]
    if isinstance(group["lr"], Tensor):
        group["lr"].fill_(value)
    else:
        group["lr"] = value


def clipped_update(optimizer: torch.optim.Optimizer, scaler: torch.amp.GradScaler, grad_clip: float) -> None:
    """Unscale, clip the norm over all of the optimizer's weights, step; the scaler's turn ends here."""
    scaler.unscale_(optimizer)
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    torch.nn.utils.clip_grad_norm_(weights, grad_clip)
    scaler.step(optimizer)
    scaler.update()
