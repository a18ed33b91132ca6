"""Archives of arrays: good ones, and each kind of bad one."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medarts_ops.config import DatasetConfig
from medarts_ops.data.dataset import ImageDataset
from medarts_ops.data.registry import load_dataset
from medarts_ops.errors import ConfigError, DataError

SHARED = Path(os.environ.get("MEDARTS_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))

X = np.random.default_rng(0).integers(256, size=(20, 8, 10, 3), dtype=np.uint8)
Y = np.arange(20) % 2


def _load(path: Path, **arrays: Any) -> ImageDataset:
    np.savez(path / "images.npz", **{"x_train": X, "y_train": Y, **arrays})
    return load_dataset(DatasetConfig(name="npz", data=str(path / "images.npz")))


def test_a_test_set_in_the_file_is_used_as_it_is(tmp_path: Path) -> None:
    dataset = _load(tmp_path, x_test=X[:4], y_test=Y[:4], label_names=np.array(["cat", "dog"]))
    assert np.array_equal(dataset.train.images, X)
    assert np.array_equal(dataset.test.images, X[:4])
    assert (dataset.test_source, dataset.class_names) == ("x_test", ("cat", "dog"))


def test_without_a_test_set_some_of_each_class_is_held_out(tmp_path: Path) -> None:
    dataset = _load(tmp_path)
    assert np.bincount(dataset.test.labels).tolist() == [2, 2]
    assert dataset.class_names == ("0", "1")


def test_images_without_a_channel_axis_are_grayscale(tmp_path: Path) -> None:
    assert _load(tmp_path, x_train=X[..., 0]).train.images.shape == (16, 8, 10, 1)


def test_labels_may_be_a_column_of_small_integers_and_names_bytes(tmp_path: Path) -> None:
    names = np.array(["Käfer".encode(), b"ant", b"spare"])
    dataset = _load(tmp_path, y_train=Y[:, np.newaxis].astype(np.uint8), label_names=names)
    assert dataset.class_names == ("Käfer", "ant")
    assert dataset.train.labels.dtype == np.int64


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": X / 255}, "x_train .* is float64 .*allowed is uint8"),
        ({"x_train": X[0]}, "one for each image|integers"),
        ({"x_train": X[0, 0]}, r"allowed is \[image, height, width\]"),
        ({"x_train": X.transpose(0, 3, 1, 2)}, "looks channels-first"),
        ({"x_train": X[..., :2]}, "allowed are 1 or 3 channels"),
        ({"x_train": X[:, :7]}, "7×10 images: allowed are 8×8"),
        ({"x_train": X[:0], "y_train": Y[:0]}, "one image at least"),
        ({"y_train": Y / 1}, "y_train .* float64 .*allowed are integers"),
        ({"y_train": Y == 1}, "y_train .* bool"),
        ({"y_train": Y[:-1]}, r"allowed are integers \[20\]"),
        ({"y_train": Y - 1}, "labels go down to -1"),
        ({"y_train": Y * 2}, "up to 2 but none is 1:"),
        ({"y_train": Y * 2, "label_names": np.array(["a", "b", "c"])}, r"none is 1 \('b'\)"),
        ({"y_train": Y * 10**12}, "none is 1:"),
        ({"y_train": Y * 0}, "one class"),
        ({"y_train": np.array([1] + [0] * 19)}, "class '1' has 1 image: to hold out"),
        ({"label_names": np.array(["a"])}, "has 1 names and y_train 2 classes"),
        ({"label_names": np.arange(2)}, "allowed are strings"),
        ({"x_test": X}, "lacks y_test: it holds x_test, x_train, y_train"),
        ({"x_test": X, "y_test": Y + 1}, "label is 2: allowed are 0 to 1"),
        ({"x_test": X[:, :, :9], "y_test": Y}, "both must be equal"),
        ({"label_names": np.array(["a", "b"], dtype=object)}, "label_names.npy holds pickled Python objects"),
        ({"y_train": Y.astype(object)}, "holds pickled Python objects"),
    ],
)
def test_a_bad_array_is_one_clear_line(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        _load(tmp_path, **arrays)
    assert "\n" not in str(caught.value)


def test_missing_arrays_are_named_beside_those_that_are_there(tmp_path: Path) -> None:
    np.savez(tmp_path / "images.npz", train_images=X, train_labels=Y)
    with pytest.raises(DataError, match="lacks x_train, y_train: it holds train_images, train_labels; needed"):
        load_dataset(DatasetConfig(name="npz", data=str(tmp_path / "images.npz")))


def test_large_images_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    large = np.zeros((2, 65, 64), np.uint8)
    with pytest.raises(ConfigError, match="65×64.*--resolution N"):
        _load(tmp_path, x_train=large, y_train=Y[:2])


def _npz_bytes(save: Any = np.savez) -> bytes:
    buffer = io.BytesIO()
    save(buffer, x_train=X, y_train=Y)
    return buffer.getvalue()


def _single_array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, X)
    return buffer.getvalue()


def _foreign_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x_train.npy", "no array")
    return buffer.getvalue()


def _bomb() -> bytes:
    buffer, header = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (2**30, 32, 32, 3)})
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x_train.npy", header.getvalue())
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        pickle.dumps({"x_train": X}),
        _single_array(),
        _foreign_zip(),
        _bomb(),
        _npz_bytes()[:3000],
        _npz_bytes().replace(X[3].tobytes(), X[4].tobytes(), 1),
        _npz_bytes(np.savez_compressed)[:-300],
    ],
    ids=["empty", "text", "pickle", "npy", "foreign zip", "bomb", "torn", "bytes changed", "torn compressed"],
)
def test_a_torn_or_foreign_file_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "images.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"torn or no .npz file .*numpy.savez") as caught:
        load_dataset(DatasetConfig(name="npz", data=str(path)))
    assert "\n" not in str(caught.value)


def test_a_pickle_in_an_archive_is_never_run(tmp_path: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    with pytest.raises(DataError, match="never read"):
        _load(tmp_path, label_names=np.array([Harmful(), Harmful()], dtype=object))
    assert not (tmp_path / "ran").exists()


def test_a_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere.npz', which does not exist"):
        load_dataset(DatasetConfig(name="npz", data=str(tmp_path / "nowhere.npz")))


def test_real_cifar_images_load() -> None:
    path = SHARED / "data" / "cifar10-tiny.npz"
    if not path.exists():
        pytest.skip("cifar10-tiny.npz is not at hand; MEDARTS_SHARED names the folder that holds data/")
    dataset = load_dataset(DatasetConfig(name="npz", data=str(path)))
    assert (len(dataset.train), len(dataset.test), dataset.resolution) == (1000, 500, (32, 32))
    assert dataset.class_names[0] == "airplane"
