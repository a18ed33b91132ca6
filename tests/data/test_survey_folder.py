"""What a look at a folder finds: sizes, kinds, copies, and whatever is wrong, without ever failing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medarts_ops.config import DatasetConfig
from medarts_ops.data.survey import Survey
from medarts_ops.data.survey_folder import survey_folder

SIDEWAYS = 6
"""EXIF's number for an image that lies on its side."""


def noise(seed: int, width: int, height: int, mode: str = "RGB") -> Image.Image:
    channels = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.default_rng(seed).integers(256, size=(height, width, channels), dtype=np.uint8)
    return Image.fromarray(pixels.squeeze(axis=2) if channels == 1 else pixels, mode)


def surveyed(root: Path, **settings: int) -> Survey:
    return survey_folder(str(root), DatasetConfig(name="folder", **settings))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two cats and three dogs to train on, one of each to test on, in five kinds of files."""
    for part in ("train", "test"):
        for name in ("cat", "dog"):
            (tmp_path / part / name).mkdir(parents=True)
    exif = Image.Exif()
    exif[0x0112] = SIDEWAYS
    noise(0, 300, 100).save(tmp_path / "train/cat/lying.jpg", exif=exif)
    noise(1, 40, 40, "L").save(tmp_path / "train/cat/grey.png")
    noise(2, 80, 60, "RGBA").save(tmp_path / "train/dog/alpha.png")
    Image.fromarray(np.full((50, 70), 40_000, np.uint16)).save(tmp_path / "train/dog/deep.png")
    noise(3, 200, 90).save(tmp_path / "train/dog/wide.bmp")
    noise(4, 30, 20).save(tmp_path / "test/cat/0.png")
    noise(5, 50, 50).save(tmp_path / "test/dog/0.png")
    return tmp_path


def test_images_are_counted_by_class_part_kind_and_format_and_measured_as_people_see_them(photos: Path) -> None:
    (photos / "train/dog/notes.txt").touch()
    found = surveyed(photos)
    assert found.counts == {"train": {"cat": 2, "dog": 3}, "test": {"cat": 1, "dog": 1}}
    assert found.roles == {"train": "training", "test": "test"} and found.n_images == 7
    assert found.kinds == {"colour": 4, "grey": 1, "colour with alpha": 1, "grey 16 bit": 1}
    assert found.formats == {"PNG": 5, "JPEG": 1, "BMP": 1}
    assert found.n_bytes == sum(path.stat().st_size for path in photos.rglob("*.*") if path.suffix != ".txt")
    assert found.passed_over == {".txt": 1} and not found.problems and not found.unreadable and not found.copies
    shapes = found.shapes
    assert shapes is not None and not shapes.are_equal
    # widths 30 40 50 70 80 100 200 once the one that lies is upright, heights 20 40 50 50 60 90 300
    assert (shapes.widths.smallest, shapes.widths.median, shapes.widths.largest) == (30, 70, 200)
    assert (shapes.heights.smallest, shapes.heights.median, shapes.heights.largest) == (20, 50, 300)
    assert shapes.short_sides.quartile == 45  # of 20 40 50 50 60 90 100
    assert (shapes.aspects.smallest, shapes.aspects.largest) == pytest.approx((1 / 3, 200 / 90))
    assert shapes.elongated == 2  # 30×20 is just as long as that
    assert shapes.sides == {"below 32": 1, "32 to 63": 4, "64 to 95": 1, "96 to 127": 1}


def test_copies_are_told_by_where_they_are(photos: Path) -> None:
    shutil.copy(photos / "train/dog/wide.bmp", photos / "train/dog/again.bmp")
    shutil.copy(photos / "train/cat/grey.png", photos / "test/dog/grey.png")
    several, both, within = surveyed(photos).copies
    assert (several.place, several.groups, several.images) == ("in several classes", 1, 2)
    assert both.place == "in training and test set"
    assert several.named == both.named == (("train/cat/grey.png", "test/dog/grey.png"),)
    assert (within.place, within.named) == ("within a class", (("train/dog/again.bmp", "train/dog/wide.bmp"),))
    assert within.in_words == (
        "equal images within a class (2 images, 1 group): train/dog/again.bmp = train/dog/wide.bmp"
    )


def test_images_that_can_not_be_read_are_named_with_the_reason_and_not_counted(photos: Path) -> None:
    torn = photos / "train/cat/grey.png"
    torn.write_bytes(torn.read_bytes()[:400])
    (photos / "train/cat/empty.jpg").touch()
    Image.fromarray(np.zeros((9, 9), np.float32)).save(photos / "test/dog/float.tif")
    found = surveyed(photos, max_pixels=200 * 90 - 1)
    reasons = {image.name: image.reason for image in found.unreadable}
    assert list(reasons) == [
        "train/cat/empty.jpg",
        "train/cat/grey.png",
        "train/cat/lying.jpg",
        "train/dog/wide.bmp",
        "test/dog/float.tif",
    ]
    assert reasons["train/cat/empty.jpg"] == "cannot identify image file"
    assert "truncated" in reasons["train/cat/grey.png"] and "'F' has no 8-bit meaning" in reasons["test/dog/float.tif"]
    assert "18000 pixels" in reasons["train/dog/wide.bmp"]
    assert found.counts == {"train": {"cat": 0, "dog": 2}, "test": {"cat": 1, "dog": 1}}


def an_empty_folder(root: Path) -> str:
    shutil.rmtree(root / "train")
    shutil.rmtree(root / "test")
    return "holds no images in class folders"


def no_training_part(root: Path) -> str:
    shutil.rmtree(root / "train")
    return "no train/ with class folders"


def one_class(root: Path) -> str:
    shutil.rmtree(root / "train/dog")
    return "holds one class, 'cat'"


def a_link_into_another_class(root: Path) -> str:
    (root / "train/dog/more").symlink_to(root / "train/cat")
    return "are one folder, in two places"


def a_folder_that_is_gone(root: Path) -> str:
    shutil.rmtree(root)
    return "can't be read: No such file"


@pytest.mark.parametrize(
    "spoil", [an_empty_folder, no_training_part, one_class, a_link_into_another_class, a_folder_that_is_gone]
)
def test_what_keeps_a_folder_from_being_searched_is_a_problem(photos: Path, spoil: Callable[[Path], str]) -> None:
    message = spoil(photos)
    assert any(message in problem for problem in surveyed(photos).problems)


def test_all_classes_without_images_are_problems(photos: Path) -> None:
    for name in ("emu", "fox"):
        (photos / "train" / name).mkdir()
    assert [problem.split()[1] for problem in surveyed(photos).problems] == ["'emu'", "'fox'"]


def test_val_is_tested_on_where_there_is_no_test(photos: Path) -> None:
    (photos / "test").rename(photos / "val")
    found = surveyed(photos)
    assert found.roles == {"train": "training", "val": "test"}
    assert (found.of_class("dog"), found.of_class("dog", "training"), found.of_class("dog", "test")) == (4, 3, 1)


@pytest.mark.parametrize("part_left", [0.5, 0.97])
def test_a_photo_that_lacks_its_end_is_told_though_it_is_decoded_small(photos: Path, part_left: float) -> None:
    torn = photos / "train/cat/lying.jpg"
    torn.write_bytes(torn.read_bytes()[: int(part_left * torn.stat().st_size)])
    (image,) = surveyed(photos).unreadable
    assert image.name == "train/cat/lying.jpg" and "truncated" in image.reason
