"""A 1×1 convolution and its batch norm as one product, by the moments of what goes in: the convolution is never stored.

At every pixel y = W x. So y's mean is W m and its variance diag(W S Wᵀ), with the mean m and the covariance S of x's
channels over all pixels of a batch, and what the norm makes of y is a product with W, scaled row by row. Exact, and
ours. On large maps of few channels, which memory holds up rather than arithmetic, x is read twice instead of y written,
read for its moments, read again and written normalised; on small ones of many channels the products cost more than
that. A node's norms add up in place, so that nothing but x is kept for the backward pass.

Everywhere x are blocks of branches, each [branch, channel, pixel], W is [branch, out channel, channel].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from medarts_ops.networks.planes import PlaneNorm
from medarts_ops.networks.separable import as_matrices, channels_last_like

Runs = tuple[tuple[int, int, int], ...]
"""First branch, first row and number of branches that follow each other."""

LEAST_PIXELS, LEAST_CHANNELS, MOST_CHANNELS = 8 * 8 + 1, 16, 32
"""On smaller maps, and with fewer or more channels, a stored product and the library's norm are as fast or faster.

Measured on a CPU with 4, 8, 16, 32 and 64 channels on maps of 16×16, 32 on 8×8 and 64 on 4×4.
"""


_LEFT_OUT = ContextVar("left_out", default=False)


def pays(height: int, width: int, channels: int, like: Tensor) -> bool:
    """Whether to norm maps of that size so, computed from a tensor `like` that.

    On a CPU alone: a card, which would have half as many launches more, was not at hand. Torch's meta device stands in
    for a CPU, except in `left_out`. Never in half precision, which is too coarse for moments.
    """
    fits = height * width >= LEAST_PIXELS and LEAST_CHANNELS <= channels <= MOST_CHANNELS
    on_cpu = like.device.type in ("cpu", "meta") and not _LEFT_OUT.get()
    return fits and on_cpu and like.dtype in (torch.float32, torch.float64)


@contextmanager
def left_out() -> Iterator[None]:
    """Inside, nothing is normed by moments: for what is counted or estimated on behalf of a card."""
    token = _LEFT_OUT.set(True)
    try:
        yield
    finally:
        _LEFT_OUT.reset(token)


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


def normed(mixed: Mixed, norm: PlaneNorm) -> Tensor:
    """What the norm's first rows make of 1×1 convolutions: planes [branch · out channel, image, height, width]."""
    applied: tuple[Tensor, Tensor, Tensor] = _Normed.apply(norm.eps, *mixed.tensors)
    planes, mean, variance = applied
    norm.move(0, mean, variance, mixed.n_values)
    return planes


def plus_normed(received: Tensor | None, mixed: Mixed, norm: PlaneNorm, receivers: Receivers, first: int = 0) -> Tensor:
    """What edges have received, [edge, individual · channel · pixel] or None for nothing, plus their branches, normed.

    The branches' rows of the norm begin at `first`.
    """
    applied: tuple[Tensor, Tensor, Tensor] = _PlusNormed.apply(norm.eps, receivers, received, *mixed.tensors)
    summed, mean, variance = applied
    norm.move(first, mean, variance, mixed.n_values)
    return summed


class _Norm(NamedTuple):
    """A batch's norm of y: all that both passes need beside x. Rows are [branch, out channel]."""

    weight: Tensor
    scale: Tensor
    mean: Tensor  # of x, [branch, channel]
    spread: Tensor  # W S, [branch, out channel, channel]
    inverse: Tensor  # of y's standard deviation

    @property
    def slope(self) -> Tensor:
        """What the norm multiplies y by."""
        return self.scale * self.inverse

    @property
    def matrix(self) -> Tensor:
        """The product that normalises, but for the shift."""
        return self.weight * self.slope[:, :, None]

    @property
    def mean_out(self) -> Tensor:
        """The mean of y."""
        return torch.bmm(self.weight, self.mean[:, :, None]).squeeze(2)

    @property
    def shift(self) -> Tensor:
        """What is added to the product."""
        return -self.slope * self.mean_out


def _norm_of(blocks: Sequence[Tensor], weight: Tensor, scale: Tensor, eps: float) -> tuple[_Norm, Tensor]:
    """The norm, and y's variance over the batch."""
    mean = torch.cat([block.mean(2) for block in blocks])
    squares = torch.cat([torch.bmm(block, block.transpose(1, 2)) for block in blocks])
    covariance = torch.baddbmm(squares, mean[:, :, None], mean[:, None], beta=1 / blocks[0].shape[2], alpha=-1)
    spread = torch.bmm(weight, covariance)
    variance = (spread * weight).sum(2).clamp_(min=0)  # rounding may take a channel that never changes below 0
    return _Norm(weight, scale, mean, spread, (variance + eps).rsqrt()), variance


class _Gradients(NamedTuple):
    """What a norm passes back: to W, to its scale, and to x, which gets `of_y`ᵀ g - `of_x` x + `constant`."""

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

    def to_images(self, branches: slice, matrix: Tensor, gradient: Tensor, block: Tensor, out: Tensor) -> None:
        """Write x's gradient of some branches."""
        torch.baddbmm(self.constant[branches].expand_as(block), matrix.transpose(1, 2), gradient, out=out)
        out.baddbmm_(self.of_x[branches], block, alpha=-1)


class _Normed(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, eps: float, weight: Tensor, scale: Tensor, *images: Tensor) -> tuple[Tensor, ...]:
        n, _, height, width = images[0].shape
        blocks = [as_matrices(each, weight.shape[2]) for each in images]
        norm, variance = _norm_of(blocks, weight, scale, eps)
        normed = images[0].new_empty(weight.shape[0] * weight.shape[1], n, height, width)
        sizes, matrix, shift = [len(block) for block in blocks], norm.matrix, norm.shift[:, :, None]
        outs = normed.view(*weight.shape[:2], -1).split(sizes)
        for block, part, of_part, out in zip(blocks, matrix.split(sizes), shift.split(sizes), outs, strict=True):
            torch.baddbmm(of_part.expand_as(out), part, block, out=out)
        context.save_for_backward(*norm, *images)
        moments = norm.mean_out, variance
        context.mark_non_differentiable(*moments)
        return normed, *moments

    @staticmethod
    @once_differentiable
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        norm, images = _Norm(*context.saved_tensors[:5]), context.saved_tensors[5:]
        blocks = [as_matrices(each, norm.weight.shape[2]) for each in images]
        sizes = [len(block) for block in blocks]
        of_normed = gradients[0].reshape(*norm.weight.shape[:2], -1)
        parts = of_normed.split(sizes)
        products = torch.cat([torch.bmm(g, block.transpose(1, 2)) for g, block in zip(parts, blocks, strict=True)])
        found, matrix = _Gradients.of(norm, products, of_normed.sum(2), of_normed.shape[2]), norm.matrix
        of_images, first = [], 0
        for gradient, block, image in zip(parts, blocks, images, strict=True):
            branches, of_image = slice(first, first + len(block)), channels_last_like(image)
            out = as_matrices(of_image, block.shape[1])
            found.to_images(branches, matrix[branches], gradient, block, out)
            of_images.append(of_image)
            first += len(block)
        return None, found.of_weight, found.of_scale, *of_images


class _PlusNormed(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        eps: float,
        receivers: Receivers,
        received: Tensor | None,
        weight: Tensor,
        scale: Tensor,
        *images: Tensor,
    ) -> tuple[Tensor, ...]:
        blocks = [as_matrices(each, weight.shape[2]) for each in images]
        norm, variance = _norm_of(blocks, weight, scale, eps)
        n_edges, n_blocks = receivers.routing.shape
        shift = receivers.routing @ norm.shift.view(n_blocks, -1)  # of all branches of an edge
        rows = shift.view(-1, weight.shape[1], 1)
        if received is None:
            summed = rows.repeat(1, 1, blocks[0].shape[2])
        else:
            summed = received.reshape(*rows.shape[:2], -1) + rows
        matrix, begin = norm.matrix, 0
        for block, runs in zip(blocks, receivers.runs, strict=True):
            for branch, row, number in runs:
                part = matrix[begin + branch : begin + branch + number]
                summed[row : row + number].baddbmm_(part, block[branch : branch + number])
            begin += len(block)
        context.save_for_backward(*norm, receivers.routing, *images)
        context.runs = receivers.runs
        moments = norm.mean_out, variance
        context.mark_non_differentiable(*moments)
        return summed.view(n_edges, -1), *moments

    @staticmethod
    @once_differentiable
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        norm, routing, images = _Norm(*context.saved_tensors[:5]), context.saved_tensors[5], context.saved_tensors[6:]
        blocks = [as_matrices(each, norm.weight.shape[2]) for each in images]
        out_channels = norm.weight.shape[1]
        of_summed = gradients[0].reshape(-1, out_channels, blocks[0].shape[2])
        products = torch.cat(
            [
                torch.bmm(of_summed[row : row + number], block[branch : branch + number].transpose(1, 2))
                for block, runs in zip(blocks, context.runs, strict=True)
                for branch, row, number in runs
            ]
        )
        sums = (routing.t() @ of_summed.sum(2).view(len(routing), -1)).view(-1, out_channels)
        found, matrix = _Gradients.of(norm, products, sums, of_summed.shape[2]), norm.matrix
        of_images, first = [], 0
        for block, image, runs in zip(blocks, images, context.runs, strict=True):
            of_image = channels_last_like(image)
            out = as_matrices(of_image, block.shape[1])
            for branch, row, number in runs:
                these, branches = slice(branch, branch + number), slice(first + branch, first + branch + number)
                found.to_images(branches, matrix[branches], of_summed[row : row + number], block[these], out[these])
            of_images.append(of_image)
            first += len(block)
        of_received = gradients[0] if context.needs_input_grad[2] else None
        return None, None, of_received, found.of_weight, found.of_scale, *of_images
