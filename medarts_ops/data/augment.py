"""Batches for training and measuring: crop, flip, normalise, cutout, all samples at once and on the device.

DARTS augments each PIL image in a worker process; here every sample of a batch draws its own offsets and
the batch is indexed once. The order is DARTS's: crop and flip of the raw image, normalise, cutout.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from medarts_ops.config import AugmentConfig

DEFAULT_PADDING_DIVISOR = 8
"""DARTS pads 32×32 by 4."""


@dataclass(frozen=True)
class Augmentation:
    """What is done to a training image: sizes in pixels, 0 is off.

    `crop_padding` black pixels are put around the raw image before a crop of its own size; `flip` mirrors
    left and right with probability 0.5; `cutout` is the side of the blanked square.
    """

    crop_padding: int
    flip: bool
    cutout: int

    @classmethod
    def from_config(cls, config: AugmentConfig, resolution: tuple[int, int]) -> Augmentation:
        """Resolve an empty `crop_padding` to an eighth of the shorter side of `resolution`, (height, width)."""
        padding = min(resolution) // DEFAULT_PADDING_DIVISOR if config.crop_padding is None else config.crop_padding
        return cls(crop_padding=padding, flip=config.flip, cutout=config.cutout)


def training_batch(
    images: Tensor,
    mean: Tensor,
    std: Tensor,
    augmentation: Augmentation,
    generator: torch.Generator,
    *,
    dtype: torch.dtype = torch.float32,
    channels_last: bool = True,
) -> Tensor:
    """Augment and normalise `images [image, height, width, channel]` uint8 into `[image, channel, height, width]`.

    Args:
        images: raw pixels.
        mean: `[channel]` in 0…1, on the device of `images`.
        std: `[channel]`, likewise.
        augmentation: what is done.
        generator: source of every random draw, on the device of `images`; what is off draws nothing.
        dtype: of the result.
        channels_last: memory layout of the result.
    """
    n, height, width, _ = images.shape
    if augmentation.crop_padding:
        top = _integers(2 * augmentation.crop_padding + 1, n, generator)
        left = _integers(2 * augmentation.crop_padding + 1, n, generator)
        images = crop(images, top, left, augmentation.crop_padding)
    if augmentation.flip:
        images = flip(images, _integers(2, n, generator).bool())
    batch = normalise(images, mean, std, dtype=dtype, channels_last=channels_last)
    if augmentation.cutout:
        rows, columns = _integers(height, n, generator), _integers(width, n, generator)
        batch = cutout(batch, rows, columns, augmentation.cutout)
    return batch


def plain_batch(
    images: Tensor,
    mean: Tensor,
    std: Tensor,
    *,
    dtype: torch.dtype = torch.float32,
    channels_last: bool = True,
) -> Tensor:
    """A batch to measure on: `training_batch` without augmentation."""
    return normalise(images, mean, std, dtype=dtype, channels_last=channels_last)


def crop(images: Tensor, top: Tensor, left: Tensor, padding: int) -> Tensor:
    """Pad `images [image, height, width, channel]` with black and cut each back to its size.

    `top [image]` and `left [image]` are where the cut begins in the padded image, 0…2·padding: what
    torchvision's `RandomCrop(size, padding)` draws.
    """
    n, height, width, _ = images.shape
    padded = functional.pad(images, (0, 0, padding, padding, padding, padding))
    sample = torch.arange(n, device=images.device)[:, None, None]
    rows = (top[:, None] + torch.arange(height, device=images.device))[:, :, None]
    columns = (left[:, None] + torch.arange(width, device=images.device))[:, None, :]
    return padded[sample, rows, columns]


def flip(images: Tensor, is_flipped: Tensor) -> Tensor:
    """Mirror those of `images [image, height, width, channel]` left and right for which `is_flipped [image]`."""
    return torch.where(is_flipped[:, None, None, None], images.flip(2), images)


def normalise(
    images: Tensor,
    mean: Tensor,
    std: Tensor,
    *,
    dtype: torch.dtype = torch.float32,
    channels_last: bool = True,
) -> Tensor:
    """`images [image, height, width, channel]` uint8 to `[image, channel, height, width]`: (v/255 − mean) / std.

    In the order of torchvision's ToTensor and Normalize, so equal to them bit for bit. Half precisions are
    computed in float32 and rounded once.
    """
    precise = torch.promote_types(dtype, torch.float32)
    pixels = images.to(precise).div_(255).sub_(mean.to(precise)).div_(std.to(precise))
    batch = pixels.to(dtype).permute(0, 3, 1, 2)
    return batch.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def cutout(batch: Tensor, rows: Tensor, columns: Tensor, side: int) -> Tensor:
    """Blank a square of each of `batch [image, channel, height, width]`, centred at (`rows`, `columns`) `[image]`.

    Blank is 0, the mean after normalising. The square reaches side // 2 to each side of the centre, the
    lower end included, the upper not (DARTS's Cutout: an odd side blanks one less), and is cut at borders.
    DeVries and Taylor 2017.
    """
    reach = side // 2
    row = torch.arange(batch.shape[2], device=batch.device)
    column = torch.arange(batch.shape[3], device=batch.device)
    in_rows = (row >= rows[:, None] - reach) & (row < rows[:, None] + reach)
    in_columns = (column >= columns[:, None] - reach) & (column < columns[:, None] + reach)
    blank = (in_rows[:, :, None] & in_columns[:, None, :])[:, None]
    return batch.clone().masked_fill_(blank, 0)  # out of place, masked_fill loses the channels-last layout


def _integers(high: int, n: int, generator: torch.Generator) -> Tensor:
    return torch.randint(high, (n,), generator=generator, device=generator.device)
