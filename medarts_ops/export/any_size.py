"""A network that takes images of any size: brought to its own inside, as PIL's LANCZOS brings training images there.

An exported graph has no LANCZOS, and the antialiased cubic and linear resizing that it does have make other images. But
LANCZOS is linear in each direction: two products with matrices that the size of the image gives. With PIL's rounding to
8 bit after each of them it is the same image, but for single pixels that lie between two values and differ by one.
Pillow 13 takes the height first of many images that lose more height than width, earlier ones never did: between those
two, and so here, a sixth of a photo's pixels differ, by a level and where it is sharp by up to ten.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from medarts_ops.export.network import ClassifyingNetwork, NetworkDescription
from medarts_ops.settings import Fit

LOGITS, PROBABILITIES = "logits", "probabilities"
LOBES = 3.0
"""Of PIL's LANCZOS, on either side."""


class AnsweringNetwork(nn.Module):
    """A network that says probabilities, too, and takes images of any size if it is `any_size`."""

    def __init__(self, network: ClassifyingNetwork, description: NetworkDescription, *, any_size: bool) -> None:
        super().__init__()
        self.network = network
        self.resolution, self.fit, self.any_size = description.resolution, description.fit, any_size

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Logits and probabilities, both [image, class], of `images [image, channel, height, width]` in 0…255."""
        logits = self.network(resized(images, *self.resolution, self.fit) if self.any_size else images)
        return {LOGITS: logits, PROBABILITIES: logits.softmax(dim=1)}


def resized(images: Tensor, height: int, width: int, fit: Fit) -> Tensor:
    """Bring `images [image, channel, height, width]`, whole numbers in 0…255, to a size as `fitted` does (`data/`).

    It can be exported for any height and width: these are read from the images as numbers of the graph.
    """
    rows, columns = (torch.arange(images.shape[dim], dtype=torch.float64) for dim in (2, 3))
    placed = _placed(rows[-1] + 1, columns[-1] + 1, height, width, fit)
    across, down = _weights(columns, width, placed.across), _weights(rows, height, placed.down)
    small = _8_bit(down @ _8_bit(images @ across.T))
    if fit != "pad":
        return small
    inside = _is_inside(height, placed.down)[:, None] & _is_inside(width, placed.across)
    area = (placed.down.length * placed.across.length).float()
    mean = (small.sum(dim=(2, 3), keepdim=True) / area).round()
    return torch.where(inside, small, mean)


class _Span(NamedTuple):
    """In one direction: where what is seen of the image starts and how long it is, and the same in what comes of it."""

    from_start: Tensor
    from_length: Tensor
    start: Tensor
    length: Tensor


class _Placed(NamedTuple):
    down: _Span
    across: _Span


def _placed(rows: Tensor, columns: Tensor, height: int, width: int, fit: Fit) -> _Placed:
    """Which part of an image of `rows` × `columns` becomes which part of one of `height` × `width`."""
    zero, full_height, full_width = (torch.full_like(rows, value) for value in (0.0, height, width))
    match fit:
        case "squash":
            return _Placed(_Span(zero, rows, zero, full_height), _Span(zero, columns, zero, full_width))
        case "crop":
            seen_rows = torch.minimum(rows, columns / (width / height))
            seen_columns = torch.minimum(columns, rows * (width / height))
            return _Placed(
                _Span((rows - seen_rows) / 2, seen_rows, zero, full_height),
                _Span((columns - seen_columns) / 2, seen_columns, zero, full_width),
            )
        case "pad":
            small_height = (rows / columns * width).round().clamp(1, height)
            small_width = (columns / rows * height).round().clamp(1, width)
            return _Placed(
                _Span(zero, rows, ((height - small_height) / 2).round(), small_height),
                _Span(zero, columns, ((width - small_width) / 2).round(), small_width),
            )


def _weights(positions: Tensor, side: int, span: _Span) -> Tensor:
    """How much of each of the image's pixels is in each of `side` pixels, [new pixel, pixel]; 0 in margins."""
    scale = span.from_length / span.length
    places = torch.arange(side, dtype=torch.float64) - span.start
    centres = span.from_start + (places + 0.5) * scale
    distances = (positions + 0.5 - centres[:, None]) / scale.clamp(min=1.0)
    bells = torch.where(distances.abs() < LOBES, torch.sinc(distances) * torch.sinc(distances / LOBES), 0.0)
    weights = bells / bells.sum(dim=1, keepdim=True)
    return torch.where(_is_inside(side, span)[:, None], weights, 0.0).float()


def _is_inside(side: int, span: _Span) -> Tensor:
    places = torch.arange(side, dtype=torch.float64)
    return (places >= span.start) & (places < span.start + span.length)


def _8_bit(images: Tensor) -> Tensor:
    """Rounded as PIL rounds, half a step up."""
    return (images + 0.5).floor().clamp(0, 255)
