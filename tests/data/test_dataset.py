"""The dataset values, the registry, digits, resizing and the held-out test set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medarts_ops.config import DatasetConfig
from medarts_ops.data.dataset import ImageDataset, LabelledImages, LoadedDataset
from medarts_ops.data.registry import DATASETS, load_dataset
from medarts_ops.data.resolution import check_affordable
from medarts_ops.errors import ConfigError, DataError


def _part(n: int = 6, side: int = 8, channels: int = 1, classes: int = 2) -> LabelledImages:
    pixels = np.random.default_rng(n).integers(256, size=(n, side, side, channels), dtype=np.uint8)
    return LabelledImages(pixels, np.arange(n) % classes)


def _dataset() -> ImageDataset:
    return ImageDataset("digits", ("no", "yes"), _part(6), _part(4), "test/")


@pytest.fixture(scope="module")
def digits() -> ImageDataset:
    return load_dataset(DatasetConfig(name="digits"))


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((2, 8, 8, 1)), np.zeros(2, np.int64), "images are float64"),
        (np.zeros((2, 8, 8), np.uint8), np.zeros(2, np.int64), r"uint8 \[2, 8, 8\]"),
        (np.zeros((2, 8, 8, 2), np.uint8), np.zeros(2, np.int64), "2 channels"),
        (np.zeros((0, 8, 8, 1), np.uint8), np.zeros(0, np.int64), "one image at least"),
        (np.zeros((2, 8, 8, 1), np.uint8), np.zeros(2, np.int32), "labels are int32"),
        (np.zeros((2, 8, 8, 1), np.uint8), np.zeros(3, np.int64), r"allowed is int64 \[2\]"),
        (np.zeros((2, 8, 8, 1), np.uint8), np.array([0, -1]), "go down to -1"),
    ],
)
def test_labelled_images_refuse_what_does_not_fit(images: np.ndarray, labels: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        LabelledImages(images, labels)


@pytest.mark.parametrize(
    ("names", "train", "test", "message"),
    [
        (("a",), _part(classes=1), None, "one class"),
        (("a", "b"), _part(classes=3), None, "label is 2: allowed are 0 to 1"),
        (("a", "b"), _part(), _part(classes=3), "label is 2"),
        (("a", "b", "c"), _part(), None, "class 'c' has no training image"),
        (("a", "b"), _part(side=8), _part(side=9), r"test images are \[9, 9, 1\] and training images \[8, 8, 1\]"),
    ],
)
def test_a_dataset_refuses_classes_that_do_not_fit(
    names: tuple[str, ...], train: LabelledImages, test: LabelledImages | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        LoadedDataset(names, train, test, "")


def test_equal_data_share_a_fingerprint_whatever_their_memory_layout() -> None:
    dataset = _dataset()
    strided = LabelledImages(np.asfortranarray(dataset.train.images), dataset.train.labels)
    assert replace(dataset, train=strided, name="npz").fingerprint == dataset.fingerprint
    assert len(dataset.fingerprint) == 16


def test_one_pixel_label_or_name_changes_the_fingerprint() -> None:
    dataset = _dataset()
    pixels, labels = dataset.test.images.copy(), dataset.test.labels[::-1].copy()
    pixels[0, 0, 0, 0] ^= 1
    others = [
        replace(dataset, test=LabelledImages(pixels, dataset.test.labels)),
        replace(dataset, test=LabelledImages(dataset.test.images, labels)),
        replace(dataset, class_names=("no", "perhaps")),
        replace(dataset, train=dataset.test, test=dataset.train),
    ]
    assert len({dataset.fingerprint, *(other.fingerprint for other in others)}) == 5


def test_the_summary_says_what_a_reader_needs() -> None:
    dataset = _dataset()
    summary = dataset.summary(search_resolution=(4, 4))
    assert (summary.n_train, summary.n_test, summary.in_channels, summary.resolution) == (6, 4, 1, (8, 8))
    assert (summary.search_resolution, summary.test_source) == ((4, 4), "test/")
    assert summary.fingerprint == dataset.fingerprint
    assert summary.class_counts == tuple(np.bincount(dataset.train.labels).tolist()) and sum(summary.class_counts) == 6


def test_an_unknown_dataset_is_answered_with_the_near_miss() -> None:
    with pytest.raises(ConfigError, match="unknown dataset 'cifar-10'.*did you mean 'cifar10'"):
        load_dataset(DatasetConfig(name="cifar-10"))
    assert DATASETS.names() == ("cifar10", "cifar100", "digits", "folder", "npz")


@pytest.mark.parametrize("name", ["folder", "npz"])
def test_a_dataset_of_ones_own_needs_data(name: str) -> None:
    with pytest.raises(ConfigError, match="give --data"):
        load_dataset(DatasetConfig(name=name))


def test_digits_refuse_data_that_they_would_ignore(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="reads no file; leave --data out"):
        load_dataset(DatasetConfig(name="digits", data=str(tmp_path)))


def test_digits_are_1797_gray_images_using_the_whole_range(digits: ImageDataset) -> None:
    assert len(digits.train) + len(digits.test) == 1797
    assert (digits.resolution, digits.in_channels, digits.n_classes) == ((8, 8), 1, 10)
    assert (digits.train.images.min(), digits.train.images.max()) == (0, 255)
    assert digits.class_names == tuple("0123456789")


def test_a_fifth_of_each_class_is_held_out_and_the_summary_says_so(digits: ImageDataset) -> None:
    train, test = np.bincount(digits.train.labels), np.bincount(digits.test.labels)
    np.testing.assert_allclose(test / (train + test), 0.2, atol=0.003)
    said = digits.summary(None).test_source
    assert "20 % of each class, held out" in said and "search" not in said  # an experiment may have none


def test_search_and_evaluation_hold_the_same_images_out(digits: ImageDataset) -> None:
    again = load_dataset(DatasetConfig(name="digits", low_resolution=False))
    assert again.fingerprint == digits.fingerprint


def test_another_test_share_holds_others_out() -> None:
    dataset = load_dataset(DatasetConfig(name="digits", test_share=0.5))
    assert abs(len(dataset.test) - len(dataset.train)) <= 10


def test_a_resolution_resizes_every_image_as_pil_does(digits: ImageDataset) -> None:
    larger = load_dataset(DatasetConfig(name="digits", resolution=16))
    expected = Image.fromarray(digits.test.images[5, :, :, 0]).resize((16, 16), Image.Resampling.LANCZOS)
    assert np.array_equal(larger.test.images[5, :, :, 0], np.asarray(expected))
    assert larger.train.images.shape[1:] == (16, 16, 1)


def test_large_images_are_asked_about_with_their_memory() -> None:
    with pytest.raises(ConfigError, match=r"96×128.*--resolution N.* 10,000 images take 352 MiB .* 117 MiB"):
        check_affordable(10_000, 96, 128, 3)
    check_affordable(10_000, 64, 64, 3)
