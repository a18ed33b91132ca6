"""Convolutions and norms of several modules side by side, so that what reads alike runs as one. Exact, and ours.

What modules have stays theirs: by its names it is trained, decayed and saved. A pass in training puts it together for
all groups of modules at once, a call for each kind of tensor, and gives the running statistics back in one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medarts_ops.networks.autocast import flat, in_autocast_type
from medarts_ops.networks.batch_norm import BatchNorm


@dataclass(frozen=True)
class Group:
    """Modules that run as one: convolutions of one shape but for their number of outputs, each with its norm."""

    convolutions: tuple[nn.Conv2d, ...]
    norms: tuple[BatchNorm, ...]


@dataclass(frozen=True)
class Joint:
    """A group's modules as one, for one pass in training. Of the norms all is [channel].

    `weight` is flat, one convolution's behind the other's; statistics are None where none are read or moved.
    """

    weight: Tensor
    scale: Tensor
    shift: Tensor
    mean: Tensor | None
    variance: Tensor | None
    like: BatchNorm

    def normed(self, images: Tensor) -> Tensor:
        """[image, channel, height, width], normalised per channel as the norm `like` theirs does it."""
        norm, moving = self.like, (self.mean, self.variance)
        assert norm.momentum is not None
        return F.batch_norm(images, *moving, self.scale, self.shift, norm.training, norm.momentum, norm.eps)


class SideBySide:
    """One or more groups of modules, each as one, for a pass in training: `joints` has each group's.

    Their norms have weights, and work alike: in one mode, with one momentum, which is not None.
    """

    def __init__(self, groups: Sequence[Group]) -> None:
        every = [norm for group in groups for norm in group.norms]
        sizes = [sum(each.weight.numel() for each in group.convolutions) for group in groups]
        rows = [sum(norm.num_features for norm in group.norms) for group in groups]
        (weights,) = in_autocast_type(flat(each.weight for group in groups for each in group.convolutions))
        scales, shifts = (flat(each) for each in zip(*((norm.weight, norm.bias) for norm in every), strict=True))
        means, variances = zip(*(norm.moving_statistics() for norm in every), strict=True)
        self._of_norms = [each for each in (*means, *variances) if each is not None]
        self._moved = flat(self._of_norms) if self._of_norms else None
        of_groups = [None] * 2 * len(groups) if self._moved is None else self._moved.split(2 * rows)
        moving = of_groups[: len(groups)], of_groups[len(groups) :]
        parts = zip(weights.split(sizes), scales.split(rows), shifts.split(rows), *moving, strict=True)
        self.joints = {group: Joint(*each, like=every[0]) for group, each in zip(groups, parts, strict=True)}

    def give_back(self) -> None:
        """Take the statistics that the pass moved back to the norms."""
        if self._moved is not None:
            sizes = [each.numel() for each in self._of_norms]
            torch.split_with_sizes_copy(self._moved, sizes, out=self._of_norms)
