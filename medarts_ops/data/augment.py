"""Batches for training and measuring: crop, flip, normalise, cutout, all samples at once and on the device.

DARTS augments each PIL image in a worker process; here every sample of a batch draws its own offsets and
the batch is indexed once. The order is DARTS's: crop and flip of the raw image, normalise, cutout.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

from medarts_ops.config import AugmentConfig

DEFAULT_PADDING_DIVISOR = 8
"""DARTS pads 32×32 by 4."""

CROP_RATIO = 4 / 3
"""The widest crop of random size, width to height; the narrowest is as narrow (torchvision's RandomResizedCrop)."""

CROP_ATTEMPTS = 10


@dataclass(frozen=True)
class Augmentation:
    """What is done to a training image: sizes in pixels, 0 is off.

    `crop_padding` black pixels are put around the raw image before a crop of its own size; `flip` mirrors
    left and right with probability 0.5; `cutout` is the side of the blanked square. With a `smallest_crop`, a share of
    the area, images are cropped at random sizes instead, and brought back to their own.
    """

    crop_padding: int
    flip: bool
    cutout: int
    smallest_crop: float | None = None

    @classmethod
    def from_config(cls, config: AugmentConfig, resolution: tuple[int, int]) -> Augmentation:
        """Resolve an empty `crop_padding` to an eighth of the shorter side of `resolution`, (height, width)."""
        padding, smallest = config.crop_padding, config.random_resized_crop
        if padding is None:
            padding = min(resolution) // DEFAULT_PADDING_DIVISOR if smallest is None else 0
        return cls(crop_padding=padding, flip=config.flip, cutout=config.cutout, smallest_crop=smallest)


@dataclass(frozen=True)
class Draws:
    """The random part of augmenting a batch, each [image]; what is off was not drawn and is None.

    `top` and `left` are where crops begin in the padded image, `is_flipped` which images are mirrored, `rows` and
    `columns` the centres of cutout; `boxes [image, 4]` are crops of random size, as `random_boxes` draws them.
    """

    top: Tensor | None
    left: Tensor | None
    is_flipped: Tensor | None
    rows: Tensor | None
    columns: Tensor | None
    boxes: Tensor | None = None

    @classmethod
    def make(cls, n: int, size: tuple[int, int], augmentation: Augmentation, generator: torch.Generator) -> Draws:
        """For `n` images of `size` (height, width), on the generator's device."""

        def integers(high: int, is_on: bool) -> Tensor | None:
            return torch.randint(high, (n,), generator=generator, device=generator.device) if is_on else None

        offsets, cropping = 2 * augmentation.crop_padding + 1, augmentation.crop_padding > 0
        top, left = integers(offsets, cropping), integers(offsets, cropping)
        flipped = integers(2, augmentation.flip)
        rows, columns = (integers(side, augmentation.cutout > 0) for side in size)
        smallest = augmentation.smallest_crop
        boxes = None if smallest is None else random_boxes(n, size, smallest, generator)
        return cls(top, left, None if flipped is None else flipped.bool(), rows, columns, boxes)

    @classmethod
    def join(cls, draws: Sequence[Draws]) -> Draws:
        """Those of several batches, one after the other."""
        if len(draws) == 1:
            return draws[0]

        def joined(name: str) -> Tensor | None:
            parts = [getattr(each, name) for each in draws]
            return None if parts[0] is None else torch.cat(parts)

        return cls(*(joined(field.name) for field in fields(cls)))

    def part(self, own: slice) -> Draws:
        """Those of a part of the images."""
        drawn = (getattr(self, field.name) for field in fields(self))
        return Draws(*(None if each is None else each[own] for each in drawn))


def training_batch(
    images: Tensor, mean: Tensor, std: Tensor, augmentation: Augmentation, draws: Draws, *, channels_last: bool = True
) -> Tensor:
    """Augment and normalise `images [image, height, width, channel]` uint8 into `[image, channel, height, width]`.

    `mean` and `std` `[channel]` are in 0…1, `draws` every random number, drawn for this augmentation; all are on the
    device of `images`.
    """
    if draws.top is not None and draws.left is not None:
        images = crop(images, draws.top, draws.left, augmentation.crop_padding, draws.is_flipped)
    elif draws.is_flipped is not None:
        images = flip(images, draws.is_flipped)
    batch = normalise(images, mean, std, channels_last=channels_last)
    if draws.boxes is not None:
        batch = resized_crop(batch, draws.boxes)
    if draws.rows is not None and draws.columns is not None:
        batch = cutout(batch, draws.rows, draws.columns, augmentation.cutout)
    return batch


def crop(images: Tensor, top: Tensor, left: Tensor, padding: int, is_flipped: Tensor | None = None) -> Tensor:
    """Pad `images [image, height, width, channel]` with black and cut each back to its size.

    `top [image]` and `left [image]` are where the cut begins in the padded image, 0…2·padding: what
    torchvision's `RandomCrop(size, padding)` draws. Cuts for which `is_flipped [image]` are mirrored as by `flip`.
    """
    n, height, width, channels = images.shape
    padded = functional.pad(images, (0, 0, padding, padding, padding, padding))
    sample, row, column = (torch.arange(length, device=images.device) for length in (n, height, width))
    if is_flipped is not None:
        column = torch.where(is_flipped[:, None], width - 1 - column, column)
    rows = sample[:, None] * padded.shape[1] + top[:, None] + row
    pixels = rows[:, :, None] * padded.shape[2] + (left[:, None] + column)[:, None, :]
    # Whole pixels by one number each: four times as fast as an index for each axis.
    return padded.reshape(-1, channels).index_select(0, pixels.view(-1)).view(images.shape)


def random_boxes(n: int, size: tuple[int, int], smallest: float, generator: torch.Generator) -> Tensor:
    """Draw `n` crops of images of `size` (height, width): [image, 4], of top, left, height and width, whole numbers.

    Area uniform from the share `smallest` to 1, the logarithm of the ratio uniform, the first of ten that fits, else
    the largest in the middle (Szegedy et al. 2015, as torchvision's RandomResizedCrop). All are drawn at once, so that
    nothing waits for the device.
    """
    height, width = size

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, device=generator.device)

    area = height * width * (smallest + (1 - smallest) * uniform(n, CROP_ATTEMPTS))
    ratio = torch.exp(math.log(CROP_RATIO) * (2 * uniform(n, CROP_ATTEMPTS) - 1))
    heights, widths = (area / ratio).sqrt().round(), (area * ratio).sqrt().round()
    fits = (heights >= 1) & (heights <= height) & (widths >= 1) & (widths <= width)
    first, one_fits = fits.int().argmax(dim=1, keepdim=True), fits.any(dim=1)
    starts, parts = [], []
    for drawn, side, other in ((heights, height, width), (widths, width, height)):
        part = torch.where(one_fits, drawn.gather(1, first).squeeze(1), min(side, round(other * CROP_RATIO)))
        free = side - part
        anywhere = (uniform(n) * (free + 1)).floor().minimum(free)
        starts.append(torch.where(one_fits, anywhere, (free / 2).floor()))
        parts.append(part)
    return torch.stack([*starts, *parts], dim=1)


def resized_crop(batch: Tensor, boxes: Tensor) -> Tensor:
    """Cut `boxes [image, 4]` (`random_boxes`) out of `batch [image, channel, height, width]`, enlarged to its size.

    Bilinear, as torchvision's `resized_crop` of tensors; of normalised images it differs from that of raw ones by the
    rounding to whole numbers alone.
    """
    height, width = batch.shape[2:]
    top, left, heights, widths = boxes[:, :, None].unbind(dim=1)
    rows, columns = (
        start + ((torch.arange(side, device=batch.device) + 0.5) * part / side - 0.5).clamp(min=0).minimum(part - 1)
        for start, part, side in ((top, heights, height), (left, widths, width))
    )
    # From −1 at the first pixel to 1 at the last.
    y, x = (2 * place / max(side - 1, 1) - 1 for place, side in ((rows, height), (columns, width)))
    grid = torch.stack([x[:, None, :].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)], dim=3)
    resized = functional.grid_sample(batch, grid.to(batch.dtype), mode="bilinear", align_corners=True)
    is_last = batch.is_contiguous(memory_format=torch.channels_last)
    return resized.contiguous(memory_format=torch.channels_last if is_last else torch.contiguous_format)


def flip(images: Tensor, is_flipped: Tensor) -> Tensor:
    """Mirror those of `images [image, height, width, channel]` left and right for which `is_flipped [image]`."""
    return torch.where(is_flipped[:, None, None, None], images.flip(2), images)


def normalise(images: Tensor, mean: Tensor, std: Tensor, *, channels_last: bool = True) -> Tensor:
    """`images [image, height, width, channel]` uint8 to `[image, channel, height, width]`: (v/255 − mean) / std.

    float32, in the order of torchvision's ToTensor and Normalize, so equal to them bit for bit.
    """
    # Mean and std as long as an image: loops over three channels at a time are slow.
    means, stds = (values.float().repeat(images.shape[1] * images.shape[2]) for values in (mean, std))
    pixels = images.flatten(1).float().div_(255).sub_(means).div_(stds)
    batch = pixels.view(images.shape).permute(0, 3, 1, 2)
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
