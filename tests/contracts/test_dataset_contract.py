"""Every registered dataset gives images as all others do, the same each time, and says what is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medarts_ops.config import DatasetConfig
from medarts_ops.data.dataset import ImageDataset, LabelledImages
from medarts_ops.data.registry import DATASETS, load_dataset
from medarts_ops.errors import ConfigError, DataError

N, SIDE = 20, 8


def make_cifar(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The loader's files are large: torchvision's classes are replaced by ones that hold a few images."""
    import torchvision.datasets

    class Fake:
        def __init__(self, root: str, train: bool, download: bool = False) -> None:
            rng = np.random.default_rng(int(train))
            self.data = rng.integers(0, 256, (2 * N, 32, 32, 3), dtype=np.uint8)
            self.targets = [number % 10 for number in range(2 * N)]
            self.classes = [str(number) for number in range(10)]

    for name in ("CIFAR10", "CIFAR100"):
        monkeypatch.setattr(torchvision.datasets, name, Fake)
    return str(folder)


def make_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two classes of grey images."""
    for label in ("a", "b"):
        (folder / label).mkdir(parents=True)
        for number in range(N):
            Image.new("L", (SIDE, SIDE), number).save(folder / label / f"{number}.png")
    return str(folder)


def make_npz(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two classes of grey images."""
    images = np.arange(N * SIDE * SIDE, dtype=np.int64).reshape(N, SIDE, SIDE) % 256
    np.savez(folder / "images.npz", x_train=images.astype(np.uint8), y_train=np.arange(N) % 2)
    return str(folder / "images.npz")


NEEDS: dict[str, Callable[[Path, pytest.MonkeyPatch], str]] = {
    "cifar10": make_cifar,
    "cifar100": make_cifar,
    "folder": make_folder,
    "npz": make_npz,
}
"""What has to be there before a dataset can be loaded, and where that is."""


@pytest.fixture(params=DATASETS.names())
def config(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DatasetConfig:
    name = str(request.param)
    data = NEEDS[name](tmp_path, monkeypatch) if name in NEEDS else None
    return DatasetConfig(name=name, data=data)


@pytest.fixture
def dataset(config: DatasetConfig) -> ImageDataset:
    return load_dataset(config)


def test_images_are_bytes_with_one_or_three_channels(dataset: ImageDataset) -> None:
    for part in (dataset.train, dataset.test):
        images, height, width, channels = part.images.shape
        assert images > 0 and min(height, width) >= 8 and channels in (1, 3)
        assert part.images.dtype == np.uint8
    assert dataset.train.images.shape[1:] == dataset.test.images.shape[1:]


def test_labels_are_places_in_the_list_of_classes(dataset: ImageDataset) -> None:
    for part in (dataset.train, dataset.test):
        assert part.labels.dtype == np.int64 and part.labels.shape == part.images.shape[:1]
        assert 0 <= part.labels.min() and part.labels.max() < dataset.n_classes
    assert dataset.n_classes == len(set(dataset.class_names)) >= 2


def test_loading_again_gives_the_same_images_and_the_same_fingerprint(config: DatasetConfig) -> None:
    one, other = load_dataset(config), load_dataset(config)
    assert np.array_equal(one.train.images, other.train.images) and np.array_equal(one.test.labels, other.test.labels)
    assert one.summary(None).fingerprint == other.summary(None).fingerprint


def test_a_changed_image_changes_the_fingerprint(dataset: ImageDataset) -> None:
    images = dataset.train.images.copy()
    images[0] ^= 255
    changed = replace(dataset, train=LabelledImages(images, dataset.train.labels))
    assert changed.summary(None).fingerprint != dataset.summary(None).fingerprint


def test_another_resolution_is_taken(config: DatasetConfig) -> None:
    assert load_dataset(config.model_copy(update={"resolution": 16})).train.images.shape[1:3] == (16, 16)


@pytest.mark.parametrize("name", [name for name in DATASETS.names() if name in NEEDS and "cifar" not in name])
def test_data_that_are_missing_are_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        load_dataset(DatasetConfig(name=name, data=str(tmp_path / "nowhere")))
    with pytest.raises(ConfigError, match=r"--data"):
        load_dataset(DatasetConfig(name=name))


def test_an_unknown_name_is_refused_with_its_path() -> None:
    with pytest.raises(ConfigError, match=r"^dataset.name: unknown dataset 'digit': .*did you mean 'digits'\?"):
        load_dataset(DatasetConfig(name="digit"))
