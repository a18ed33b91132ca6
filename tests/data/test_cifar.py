"""torchvision's CIFAR folders, with small fakes: the official archives may not be copied into a repository."""

from __future__ import annotations

import pickle
import tarfile
import urllib.error
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torchvision.datasets.cifar as torchvision_cifar
import torchvision.datasets.utils as torchvision_utils
from torchvision.datasets import CIFAR10, CIFAR100

from medarts_ops.config import DatasetConfig
from medarts_ops.data.registry import load_dataset
from medarts_ops.errors import DataError

N_PER_FILE = 20


class _Python2Pickler(pickle.Pickler):
    """Writes dtypes as NumPy did in 2009, with align=0, of which NumPy 2.4 warns on reading."""

    def reducer_override(self, obj: Any) -> Any:
        return (np.dtype, (obj.str[1:], 0, 1)) if isinstance(obj, np.dtype) else NotImplemented


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        _Python2Pickler(file, protocol=2).dump(content)


def _write_fake(root: Path, source: Any, n_classes: int) -> np.ndarray:
    """Write a tiny dataset in torchvision's on-disk format; gives the first image as [height, width, channel]."""
    folder, rng = root / source.base_folder, np.random.default_rng(0)
    first: np.ndarray | None = None
    for name, _ in source.train_list + source.test_list:
        data = rng.integers(256, size=(max(N_PER_FILE, n_classes), 3, 32, 32), dtype=np.uint8)
        labels = [index % n_classes for index in range(len(data))]
        key = "labels" if n_classes == 10 else "fine_labels"
        _write(folder / name, {"data": data.reshape(len(data), -1), key: labels})
        first = data[0].transpose(1, 2, 0) if first is None else first
    _write(folder / source.meta["filename"], {source.meta["key"]: [f"class {i}" for i in range(n_classes)]})
    assert first is not None
    return first


def _is_there(path: str, md5: str | None = None) -> bool:
    return Path(path).exists()


@pytest.mark.parametrize(("name", "source", "n_classes"), [("cifar10", CIFAR10, 10), ("cifar100", CIFAR100, 100)])
def test_a_folder_that_holds_the_dataset_is_read_without_a_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, source: Any, n_classes: int
) -> None:
    monkeypatch.setattr(torchvision_cifar, "check_integrity", _is_there)
    first = _write_fake(tmp_path, source, n_classes)
    dataset = load_dataset(DatasetConfig(name=name, data=str(tmp_path)))
    assert np.array_equal(dataset.train.images[0], first)
    assert (dataset.n_classes, dataset.class_names[1], dataset.resolution) == (n_classes, "class 1", (32, 32))
    assert dataset.test_source == "the dataset's own test set"


def test_without_data_the_folder_is_data_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torchvision_cifar, "check_integrity", _is_there)
    monkeypatch.chdir(tmp_path)
    _write_fake(tmp_path / "data", CIFAR10, 10)
    assert len(load_dataset(DatasetConfig(name="cifar10")).train) == 5 * N_PER_FILE


def test_an_archive_in_the_folder_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (torchvision_cifar, torchvision_utils):
        monkeypatch.setattr(module, "check_integrity", _is_there)
    _write_fake(tmp_path / "unpacked", CIFAR10, 10)
    with tarfile.open(tmp_path / CIFAR10.filename, "w:gz") as archive:
        archive.add(tmp_path / "unpacked" / CIFAR10.base_folder, CIFAR10.base_folder)
        archive.add(__file__, "../outside.py")
    assert len(load_dataset(DatasetConfig(name="cifar10", data=str(tmp_path))).test) == N_PER_FILE
    assert not (tmp_path.parent / "outside.py").exists()


@pytest.mark.parametrize("error", [urllib.error.URLError("no route"), RuntimeError("File not found or corrupted.")])
def test_a_failed_download_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def make_folder_and_fail(_: str, root: Path, *__: Any) -> None:
        root.mkdir()
        raise error

    monkeypatch.setattr(torchvision_utils, "download_url", make_folder_and_fail)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"--data DIR with .*'cifar-10-batches-py' .*--dataset npz"):
        load_dataset(DatasetConfig(name="cifar10"))
    assert not list(tmp_path.iterdir())


def test_a_file_given_as_folder_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "images.npz").touch()
    with pytest.raises(DataError, match="--dataset npz --data FILE"):
        load_dataset(DatasetConfig(name="cifar10", data=str(tmp_path / "images.npz")))
