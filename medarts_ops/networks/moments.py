"""A 1×1 convolution and its batch norm as one product, by the moments of what goes in: the convolution is never stored.

At every pixel y = W x. So y's mean is W m and its variance diag(W S Wᵀ), with the mean m and the covariance S of x's
channels over all pixels of a batch, and what the norm makes of y is a product with W, scaled row by row. Exact, and
ours. On large maps of few channels, which memory holds up rather than arithmetic, x is read twice instead of y written,
read for its moments, read again and written normalised; on small ones of many channels the products cost more than
that. A node's norms add up in place, so that nothing but x is kept for the backward pass.

Everywhere x are blocks of branches, each [branch, channel, pixel], W is [branch, out channel, channel].
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from medarts_ops.networks.device_kind import on_cpu
from medarts_ops.networks.planes import PlaneNorm
from medarts_ops.networks.separable import as_matrices, channels_last_like

Runs = tuple[tuple[int, int, int], ...]
"""First branch, first row and number of branches that follow each other."""

LEAST_PIXELS, LEAST_CHANNELS, MOST_CHANNELS = 8 * 8 + 1, 16, 32
"""On smaller maps, and with fewer or more channels, a stored product and the library's norm are as fast or faster.

Measured on a CPU with 4, 8, 16, 32 and 64 channels on maps of 16×16, 32 on 8×8 and 64 on 4×4.
"""


def pays(height: int, width: int, channels: int, like: Tensor) -> bool:
    """Whether to norm maps of that size so, computed from a tensor `like` that.

    On a CPU alone: a card, which would have half as many launches more, was not at hand. Never in half precision, which
    is too coarse for moments.
    """
    fits = height * width >= LEAST_PIXELS and LEAST_CHANNELS <= channels <= MOST_CHANNELS
    return fits and on_cpu(like) and like.dtype in (torch.float32, torch.float64)


class Mixed(NamedTuple):
    """1×1 convolutions and the scale of their norm: not computed before they are normed.

    `images` are each kind's, channels-last [image, branch · channel, height, width], in the order of W's branches;
    `scale` is [branch · out channel].
    """

    images: Sequence[Tensor]
    weight: Tensor
    scale: Tensor

    @property
    def n_values(self) -> int:
        """Pixels of all images, which a row's statistics are of."""
        n, _, height, width = self.images[0].shape
        return n * height * width

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """W, the scale by branch, and the images."""
        return self.weight, self.scale.view(self.weight.shape[:2]), *self.images


class Receivers(NamedTuple):
    """The edges that branches belong to.

    `routing [edge, block]` is 1 where a block of branches, one of each individual, belongs to an edge; `runs` has for
    each kind what `runs_of` gives.
    """

    routing: Tensor
    runs: Sequence[Runs]

    def sums_of(self, branches: Tensor) -> Tensor:
        """Of each row [edge · individual] the sum over its `branches [branch, channel]`."""
        return (self.routing @ branches.view(self.routing.shape[1], -1)).view(-1, branches.shape[1])

    def of_branches(self, rows: Tensor) -> Tensor:
        """Each branch's of `rows [edge · individual, channel]`."""
        return (self.routing.t() @ rows.view(len(self.routing), -1)).view(-1, rows.shape[1])


def runs_of(edges: Sequence[int], individuals: int) -> Runs:
    """Of a kind's branches [edge, individual] those whose rows [edge · individual] follow each other, too."""
    runs: list[tuple[int, int, int]] = []
    for place, edge in enumerate(edges):
        if place and edges[place - 1] == edge - 1:
            branch, row, number = runs.pop()
            runs.append((branch, row, number + individuals))
        else:
            runs.append((place * individuals, edge * individuals, individuals))
    return tuple(runs)


def normed(mixed: Mixed, norm: PlaneNorm) -> tuple[Tensor, ...]:
    """What the norm's first rows make of 1×1 convolutions: each kind's, in the layout and order of `mixed.images`."""
    *images, mean, variance = _Normed.apply(norm.eps, *mixed.tensors)
    norm.move(0, mean, variance, mixed.n_values)
    return tuple(images)


def plus_normed(received: Tensor | None, mixed: Mixed, norm: PlaneNorm, receivers: Receivers, first: int = 0) -> Tensor:
    """What edges have received, [edge, individual · channel · pixel] or None for nothing, plus their branches, normed.

    The branches' rows of the norm begin at `first`.
    """
    n_edges, n_blocks = receivers.routing.shape
    shape = (n_edges, len(mixed.scale) // n_blocks * mixed.n_values)
    applied: tuple[Tensor, Tensor, Tensor] = _Summed.apply(norm.eps, shape, receivers, received, *mixed.tensors)
    summed, mean, variance = applied
    norm.move(first, mean, variance, mixed.n_values)
    return summed


class _Norm(NamedTuple):
    """A batch's norm of y: all that both passes need beside x. Rows are [branch, out channel]."""

    weight: Tensor
    mean: Tensor  # of x, [branch, channel]
    spread: Tensor  # W S, [branch, out channel, channel]
    mean_out: Tensor  # of y
    inverse: Tensor  # of y's standard deviation
    slope: Tensor  # what the norm multiplies y by

    @property
    def matrix(self) -> Tensor:
        """The product that normalises, but for what is added to it."""
        return self.weight * self.slope[:, :, None]


def _norm_of(blocks: Sequence[Tensor], weight: Tensor, scale: Tensor, eps: float) -> tuple[_Norm, Tensor]:
    """The norm, and y's variance over the batch."""
    mean = torch.cat([block.mean(2) for block in blocks])
    squares = torch.cat([torch.bmm(block, block.transpose(1, 2)) for block in blocks])
    covariance = torch.baddbmm(squares, mean[:, :, None], mean[:, None], beta=1 / blocks[0].shape[2], alpha=-1)
    spread = torch.bmm(weight, covariance)
    variance = (spread * weight).sum(2).clamp_(min=0)  # rounding may take a channel that never changes below 0
    inverse = (variance + eps).rsqrt()
    mean_out = torch.bmm(weight, mean[:, :, None]).squeeze(2)
    return _Norm(weight, mean, spread, mean_out, inverse, scale * inverse), variance


class _Gradients(NamedTuple):
    """What a norm passes back: to W, to its scale, and to x, which gets matrixᵀ g - `of_x` x + `constant`."""

    of_weight: Tensor
    of_scale: Tensor
    of_x: Tensor
    constant: Tensor

    @classmethod
    def of(cls, norm: _Norm, products: Tensor, sums: Tensor, n: int) -> _Gradients:
        """From g xᵀ [branch, out channel, channel] and g's sums [branch, out channel] over n pixels."""
        weight, slope, mean_out = norm.weight, norm.slope, norm.mean_out
        of_scale = ((weight * products).sum(2) - mean_out * sums) * norm.inverse
        along = of_scale * norm.inverse  # how far g follows y, for which a norm passes nothing back
        of_weight = slope[:, :, None] * (
            products - sums[:, :, None] * norm.mean[:, None] - along[:, :, None] * norm.spread
        )
        share, transposed = slope * along / n, weight.transpose(1, 2)
        of_x = torch.bmm(transposed * share[:, None], weight)
        constant = torch.bmm(transposed, (share * mean_out - slope * sums / n)[:, :, None])
        return cls(of_weight, of_scale, of_x, constant)


class _Kind(NamedTuple):
    """Some branches, one after another: `block` has their images as matrices, [branch, channel, n].

    They are `branches` of all; `rows` are what they are added to, or its gradient, [row, out channel, n], in `runs`.
    """

    block: Tensor
    branches: slice
    rows: Tensor
    runs: Runs

    def add_to_rows(self, matrix: Tensor) -> None:
        own = matrix[self.branches]
        for branch, row, number in self.runs:
            self.rows[row : row + number].baddbmm_(own[branch : branch + number], self.block[branch : branch + number])

    def products(self) -> list[Tensor]:
        """Of each run g xᵀ [branch, out channel, channel]."""
        return [
            torch.bmm(self.rows[row : row + number], self.block[branch : branch + number].transpose(1, 2))
            for branch, row, number in self.runs
        ]

    def write_gradient(self, of_block: Tensor, transposed: Tensor, found: _Gradients) -> None:
        """The gradient of `block`: matrixᵀ g - `of_x` x + `constant`."""
        matrix, of_x, constant = (each[self.branches] for each in (transposed, found.of_x, found.constant))
        for branch, row, number in self.runs:
            these = slice(branch, branch + number)
            shift = constant[these].expand_as(self.block[these])
            torch.baddbmm(shift, matrix[these], self.rows[row : row + number], out=of_block[these])
            of_block[these].baddbmm_(of_x[these], self.block[these], alpha=-1)


def _kinds(images: Sequence[Tensor], channels: int, rows: Sequence[Tensor], runs: Sequence[Runs]) -> list[_Kind]:
    blocks = [as_matrices(each, channels) for each in images]
    starts = accumulate((len(block) for block in blocks), initial=0)
    return [
        _Kind(block, slice(start, start + len(block)), onto, own)
        for block, start, onto, own in zip(blocks, starts, rows, runs, strict=False)
    ]


def _of_images(kinds: Sequence[_Kind], images: Sequence[Tensor], norm: _Norm, found: _Gradients) -> list[Tensor]:
    of_images, transposed = [channels_last_like(each) for each in images], norm.matrix.transpose(1, 2)
    for kind, of_image in zip(kinds, of_images, strict=True):
        kind.write_gradient(as_matrices(of_image, norm.weight.shape[2]), transposed, found)
    return of_images


class _Normed(torch.autograd.Function):
    """Each kind's branches, normed, in channels-last memory, and y's moments."""

    @staticmethod
    def forward(context: Any, eps: float, weight: Tensor, scale: Tensor, *images: Tensor) -> tuple[Tensor, ...]:
        outs = [channels_last_like(each) for each in images]
        kinds = _kinds_alone(images, outs, weight.shape[2])
        norm, variance = _norm_of([kind.block for kind in kinds], weight, scale, eps)
        shift, matrix = (-norm.slope * norm.mean_out)[:, :, None], norm.matrix
        for kind in kinds:
            kind.rows.copy_(shift[kind.branches].expand_as(kind.rows))
            kind.add_to_rows(matrix)
        context.save_for_backward(*norm, *images)
        context.mark_non_differentiable(norm.mean_out, variance)
        return *outs, norm.mean_out, variance

    @staticmethod
    @once_differentiable
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        saved, n_norm = context.saved_tensors, len(_Norm._fields)
        norm, images = _Norm(*saved[:n_norm]), saved[n_norm:]
        of_outs = [each.contiguous(memory_format=torch.channels_last) for each in gradients[: len(images)]]
        kinds = _kinds_alone(images, of_outs, norm.weight.shape[2])
        products = torch.cat([product for kind in kinds for product in kind.products()])
        sums = torch.cat([kind.rows.sum(2) for kind in kinds])
        found = _Gradients.of(norm, products, sums, kinds[0].block.shape[2])
        return None, found.of_weight, found.of_scale, *_of_images(kinds, images, norm, found)


def _kinds_alone(images: Sequence[Tensor], outs: Sequence[Tensor], channels: int) -> list[_Kind]:
    """Kinds whose every branch is written by itself, into `outs` in channels-last memory."""
    rows = [as_matrices(each, channels) for each in outs]
    return _kinds(images, channels, rows, [((0, 0, len(each)),) for each in rows])


class _Summed(torch.autograd.Function):
    """Rows [edge · individual] of what was received plus their branches, normed, in a given shape; y's moments."""

    @staticmethod
    def forward(
        context: Any,
        eps: float,
        shape: tuple[int, ...],
        receivers: Receivers,
        received: Tensor | None,
        weight: Tensor,
        scale: Tensor,
        *images: Tensor,
    ) -> tuple[Tensor, ...]:
        channels = weight.shape[2]
        norm, variance = _norm_of([as_matrices(each, channels) for each in images], weight, scale, eps)
        shift, matrix = receivers.sums_of(-norm.slope * norm.mean_out)[:, :, None], norm.matrix
        summed = images[0].new_empty(shape)
        rows = summed.view(len(shift), weight.shape[1], -1)
        if received is None:
            rows.copy_(shift.expand_as(rows))
        else:
            torch.add(received.reshape(rows.shape), shift, out=rows)
        for kind in _kinds(images, channels, [rows] * len(images), receivers.runs):
            kind.add_to_rows(matrix)
        context.save_for_backward(receivers.routing, *norm, *images)
        context.runs = receivers.runs
        context.mark_non_differentiable(norm.mean_out, variance)
        return summed, norm.mean_out, variance

    @staticmethod
    @once_differentiable
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        routing, *saved = context.saved_tensors
        norm, images = _Norm(*saved[: len(_Norm._fields)]), saved[len(_Norm._fields) :]
        receivers = Receivers(routing, context.runs)
        n, _, height, width = images[0].shape
        of_rows = gradients[0].reshape(-1, norm.weight.shape[1], n * height * width)
        kinds = _kinds(images, norm.weight.shape[2], [of_rows] * len(images), receivers.runs)
        products = torch.cat([product for kind in kinds for product in kind.products()])
        found = _Gradients.of(norm, products, receivers.of_branches(of_rows.sum(2)), of_rows.shape[2])
        of_received = gradients[0] if context.needs_input_grad[3] else None
        of_images = _of_images(kinds, images, norm, found)
        return None, None, None, of_received, found.of_weight, found.of_scale, *of_images
