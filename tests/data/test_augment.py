"""Crop, flip, cutout and normalise against PIL, torchvision and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.v2 import functional

from medarts_ops.config import AugmentConfig
from medarts_ops.data.augment import (
    Augmentation,
    Draws,
    crop,
    cutout,
    flip,
    normalise,
    random_boxes,
    resized_crop,
    training_batch,
)

OFF = Augmentation(crop_padding=0, flip=False, cutout=0)
FULL = Augmentation(crop_padding=2, flip=True, cutout=6)
SIZED = Augmentation(crop_padding=0, flip=True, cutout=2, smallest_crop=0.1)


def _images(n: int = 12, height: int = 9, width: int = 11, channels: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(256, (n, height, width, channels), dtype=torch.uint8, generator=generator)


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def augmented(
    images: Tensor,
    mean: Tensor,
    std: Tensor,
    augmentation: Augmentation,
    generator: torch.Generator,
    *,
    channels_last: bool = True,
) -> Tensor:
    draws = Draws.make(len(images), (images.shape[1], images.shape[2]), augmentation, generator)
    return training_batch(images, mean, std, augmentation, draws, channels_last=channels_last)


MEAN, STD = torch.tensor([0.5, 0.4, 0.3]), torch.tensor([0.2, 0.25, 0.3])


def test_crop_equals_pil_padding_and_cropping_at_every_offset() -> None:
    padding, offsets = 2, [(top, left) for top in range(5) for left in range(5)]
    images = _images(n=len(offsets))
    top, left = torch.tensor(offsets).T
    cropped = crop(images, top, left, padding)
    for image, (y, x), got in zip(images, offsets, cropped, strict=True):
        padded = ImageOps.expand(Image.fromarray(image.numpy()), padding, fill=0)
        assert np.array_equal(np.asarray(padded.crop((x, y, x + 11, y + 9))), got.numpy())


def test_a_crop_mirrors_as_flip_does() -> None:
    images = torch.randint(0, 256, (6, 9, 7, 3), dtype=torch.uint8)
    top, left, chosen = torch.randint(5, (6,)), torch.randint(5, (6,)), torch.tensor([True, False] * 3)
    assert torch.equal(crop(images, top, left, 2, chosen), flip(crop(images, top, left, 2), chosen))


def test_flip_mirrors_only_the_chosen_images() -> None:
    images = _images(n=2)
    flipped = flip(images, torch.tensor([True, False]))
    assert np.array_equal(flipped[0].numpy(), np.asarray(ImageOps.mirror(Image.fromarray(images[0].numpy()))))
    assert torch.equal(flipped[1], images[1])


def _darts_cutout(image: np.ndarray, y: int, x: int, length: int) -> np.ndarray:
    mask = np.ones(image.shape[1:], np.float32)
    y1, y2 = np.clip([y - length // 2, y + length // 2], 0, image.shape[1])
    x1, x2 = np.clip([x - length // 2, x + length // 2], 0, image.shape[2])
    mask[y1:y2, x1:x2] = 0
    return image * mask


@pytest.mark.parametrize("side", [1, 4, 5, 30])
def test_cutout_equals_the_one_of_darts_at_every_centre(side: int) -> None:
    centres = [(y, x) for y in range(9) for x in range(11)]
    batch = torch.randn((len(centres), 3, 9, 11), generator=_generator())
    rows, columns = torch.tensor(centres).T
    blanked = cutout(batch, rows, columns, side)
    for image, (y, x), got in zip(batch.numpy(), centres, blanked.numpy(), strict=True):
        np.testing.assert_array_equal(_darts_cutout(image, y, x, side), got)


@pytest.mark.parametrize("channels", [1, 3])
def test_normalise_equals_torchvision_bit_for_bit(channels: int) -> None:
    from torchvision import transforms

    mean, std = MEAN[:channels], STD[:channels]
    images = _images(n=3, channels=channels)
    theirs = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean.tolist(), std.tolist())])
    expected = torch.stack([theirs(image.numpy()) for image in images])
    assert torch.equal(normalise(images, mean, std), expected)


@pytest.mark.parametrize("augmentation", [OFF, FULL])
def test_batches_lie_channels_last_unless_told_otherwise(augmentation: Augmentation) -> None:
    batch = augmented(_images(), MEAN, STD, augmentation, _generator())
    assert batch.shape == (12, 3, 9, 11)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    assert augmented(_images(), MEAN, STD, augmentation, _generator(), channels_last=False).is_contiguous()


def test_a_training_batch_without_augmentation_is_a_plain_batch_and_draws_nothing() -> None:
    generator = _generator()
    before = generator.get_state()
    assert torch.equal(augmented(_images(), MEAN, STD, OFF, generator), normalise(_images(), MEAN, STD))
    assert torch.equal(generator.get_state(), before)


def test_random_draws_come_from_the_generator_alone() -> None:
    one = augmented(_images(), MEAN, STD, FULL, _generator(3))
    torch.manual_seed(99)
    assert torch.equal(one, augmented(_images(), MEAN, STD, FULL, _generator(3)))
    assert not torch.equal(one, augmented(_images(), MEAN, STD, FULL, _generator(4)))


def test_the_border_that_a_crop_brings_in_is_black_before_normalising() -> None:
    white = torch.full((200, 8, 8, 3), 255, dtype=torch.uint8)
    batch = augmented(white, MEAN, STD, Augmentation(crop_padding=1, flip=False, cutout=0), _generator())
    black, bright = (0 - 0.5) / 0.2, (1 - 0.5) / 0.2
    assert sorted(set(batch[:, 0].flatten().tolist())) == pytest.approx([black, bright])


def test_every_crop_offset_is_drawn_per_image_and_equally_often() -> None:
    spot = torch.zeros((9000, 9, 9, 1), dtype=torch.uint8)
    spot[:, 4, 4] = 255
    augmentation = Augmentation(crop_padding=1, flip=False, cutout=0)
    batch = augmented(spot, torch.zeros(1), torch.ones(1), augmentation, _generator())
    counts = batch.sum((0, 1))[3:6, 3:6]
    assert counts.sum() == 9000
    assert (counts - 1000).abs().max() < 150  # five standard deviations


def test_half_of_the_images_are_flipped() -> None:
    half_white = torch.zeros((4000, 8, 8, 1), dtype=torch.uint8)
    half_white[:, :, :4] = 255
    augmentation = Augmentation(crop_padding=0, flip=True, cutout=0)
    batch = augmented(half_white, torch.zeros(1), torch.ones(1), augmentation, _generator())
    assert abs(batch[:, 0, 0, 0].mean().item() - 0.5) < 0.04


def test_a_cutout_of_eight_blanks_a_square_that_borders_may_cut() -> None:
    white = torch.full((500, 16, 16, 1), 255, dtype=torch.uint8)
    augmentation = Augmentation(crop_padding=0, flip=False, cutout=8)
    batch = augmented(white, torch.zeros(1), torch.ones(1), augmentation, _generator())
    blanked = (batch == 0).sum((1, 2, 3))
    assert (blanked.min().item(), blanked.max().item()) == (16, 64)


@pytest.mark.parametrize(("resolution", "padding"), [((32, 32), 4), ((16, 16), 2), ((28, 30), 3), ((8, 8), 1)])
def test_an_empty_crop_padding_is_an_eighth_of_the_resolution(resolution: tuple[int, int], padding: int) -> None:
    assert Augmentation.from_config(AugmentConfig(), resolution) == Augmentation(padding, flip=True, cutout=0)


def test_a_given_crop_padding_is_kept_even_when_it_is_zero() -> None:
    assert Augmentation.from_config(AugmentConfig(crop_padding=0), (32, 32)).crop_padding == 0


@pytest.mark.parametrize("augmentation", [FULL, SIZED])
def test_joined_draws_augment_as_each_batch_alone(augmentation: Augmentation) -> None:
    images, size = _images(n=8), (9, 11)
    draws = [Draws.make(4, size, augmentation, _generator(seed)) for seed in (0, 1)]
    together = training_batch(images, MEAN, STD, augmentation, Draws.join(draws))
    pairs = zip(images.split(4), draws, strict=True)
    alone = [training_batch(part, MEAN, STD, augmentation, each) for part, each in pairs]
    torch.testing.assert_close(together, torch.cat(alone))


def test_a_crop_of_random_size_is_torchvisions_at_every_box() -> None:
    size = (23, 17)
    batch, boxes = normalise(_images(64, *size), MEAN, STD), random_boxes(64, size, 0.08, _generator())
    whole = torch.tensor([0.0, 0.0, *size])
    boxes = torch.cat([whole[None], boxes[1:]])
    for image, box, got in zip(batch, boxes, resized_crop(batch, boxes), strict=True):
        theirs = functional.resized_crop(image, *(int(number) for number in box), list(size), antialias=True)
        torch.testing.assert_close(got, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [(64, 64), (40, 90), (10, 90)])
def test_boxes_have_the_sizes_shapes_and_places_of_torchvisions(size: tuple[int, int]) -> None:
    ours = random_boxes(4000, size, 0.08, _generator())
    top, left, height, width = ours.unbind(dim=1)
    assert bool(((height >= 1) & (width >= 1) & (top >= 0) & (left >= 0)).all())
    assert bool(((top + height <= size[0]) & (left + width <= size[1])).all()) and torch.equal(ours, ours.round())
    torch.manual_seed(0)
    image = torch.empty(1, *size)
    theirs = torch.tensor([RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(4000)])
    for kind in (torch.Tensor.mean, torch.Tensor.std):
        torch.testing.assert_close(kind(ours, dim=0), kind(theirs.float(), dim=0), rtol=0.06, atol=0.3)


def test_a_batch_is_cropped_at_random_sizes_in_place_of_padding() -> None:
    asked = AugmentConfig(random_resized_crop=0.25)
    assert Augmentation.from_config(asked, (32, 32)) == Augmentation(0, flip=True, cutout=0, smallest_crop=0.25)
    batch = augmented(_images(), MEAN, STD, SIZED, _generator())
    assert batch.shape == (12, 3, 9, 11) and batch.is_contiguous(memory_format=torch.channels_last)
    assert not torch.allclose(batch, normalise(_images(), MEAN, STD))
    with pytest.raises(ValueError, match="crop_padding is 4 and random_resized_crop 0.08: allowed is one of the two"):
        AugmentConfig(crop_padding=4, random_resized_crop=0.08)
