"""How images of any shape come to one size, against PIL."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from medarts_ops.config import DatasetConfig
from medarts_ops.data.registry import load_dataset
from medarts_ops.data.resolution import fitted
from medarts_ops.errors import ConfigError

LANCZOS = Image.Resampling.LANCZOS
SHAPES = [(90, 160), (160, 90), (33, 34), (48, 48), (20, 31), (301, 100)]


def photo(height: int, width: int, mode: str = "RGB") -> Image.Image:
    pixels = np.random.default_rng(height).integers(256, size=(height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("shape", SHAPES)
def test_each_way_of_fitting_is_pils(shape: tuple[int, int], mode: str) -> None:
    image = photo(*shape, mode)
    contained = np.asarray(ImageOps.contain(image, (48, 32), LANCZOS)).reshape(-1, len(mode)).astype(float)
    mean = tuple(np.rint(contained.mean(axis=0)).astype(int).tolist())
    expected = {
        "squash": image.resize((48, 32), LANCZOS),
        "crop": ImageOps.fit(image, (48, 32), LANCZOS),
        "pad": ImageOps.pad(image, (48, 32), LANCZOS, color=mean if mode == "RGB" else mean[0]),
    }
    for fit, theirs in expected.items():
        ours = fitted(image, 32, 48, fit)
        assert (ours.mode, ours.size) == (mode, (48, 32))
        assert np.array_equal(np.asarray(ours), np.asarray(theirs)), fit


def test_crop_cuts_the_sides_off_and_pad_keeps_them_between_margins_of_the_mean_colour() -> None:
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, :4], pixels[:, 12:] = (200, 0, 0), (0, 0, 100)  # a red and a blue side, black between
    image = Image.fromarray(pixels)
    assert not np.asarray(fitted(image, 8, 8, "crop")).any()
    padded = np.asarray(fitted(image, 16, 16, "pad"))
    assert np.array_equal(padded[4:12], pixels)
    assert (padded[:4] == (50, 0, 25)).all() and (padded[12:] == (50, 0, 25)).all()


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_an_image_of_that_size_stays_as_it_is_and_the_narrowest_strip_is_one(fit: str) -> None:
    image = photo(32, 32)
    assert fitted(image, 32, 32, fit) is image
    for strip in (photo(1, 5_000), photo(5_000, 1)):
        assert fitted(strip, 32, 32, fit).size == (32, 32)


def test_images_of_an_archive_are_fitted_too(tmp_path: Path) -> None:
    images = np.stack([np.asarray(photo(20, 30))] * 8)
    np.savez(tmp_path / "images.npz", x_train=images, y_train=np.arange(8) % 2)
    config = DatasetConfig(name="npz", data=str(tmp_path / "images.npz"), resolution=16, fit="crop")
    expected = np.asarray(ImageOps.fit(photo(20, 30), (16, 16), LANCZOS))
    assert np.array_equal(load_dataset(config).train.images[0], expected)


def test_without_a_resolution_there_is_nothing_to_fit_to() -> None:
    with pytest.raises(ConfigError, match="dataset.fit is 'crop' and dataset.resolution empty: .* give --resolution N"):
        DatasetConfig(name="folder", data="photos", fit="crop")
