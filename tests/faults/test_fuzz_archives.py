"""NumPy archives of images and of stages, good and bad: 2,000 cases each."""

from __future__ import annotations

import io
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzing import FUZZED, read_or_refused
from hypothesis import given
from hypothesis import strategies as st

from medarts_ops.config import DatasetConfig
from medarts_ops.data.registry import load_dataset
from medarts_ops.data.stage_data import StageData
from medarts_ops.errors import DataError

X = np.random.default_rng(0).integers(256, size=(12, 8, 8, 3), dtype=np.uint8)
Y = np.arange(12) % 2
IMAGES: dict[str, Any] = {
    "x_train": X,
    "y_train": Y,
    "x_test": X[:4],
    "y_test": Y[:4],
    "label_names": np.array(["a", "b"]),
}
HALVES = {"weight_indices": np.arange(6), "alpha_indices": np.arange(6, 12), "valid_indices": np.arange(6, 12)}
STAGE = {"images": X, "labels": Y, **HALVES, "mean": np.full(3, 0.5), "std": np.ones(3), "n_classes": np.array(2)}
DTYPES = st.sampled_from(
    ["u1", "i1", "i8", "u8", "f4", "f8", "?", "c16", "U3", "S3", "V0", "U0", "M8[s]", "m8[s]", "V4", "i4,f8"]
)
SHAPES = st.lists(st.integers(0, 13) | st.sampled_from([1, 3, 8, 12]), max_size=5).map(tuple)
HUGE = st.integers(-1, 13) | st.sampled_from([2**31, 2**40, 2**63, 2**64, 10**400])


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def saved(arrays: dict[str, Any], save: Any = np.savez) -> bytes:
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


def headed(header: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """An array file whose header is any text."""
    text = header.encode("latin1", "replace") + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + data


def read_both(content: bytes, folder: Path) -> None:
    """Read as images and as a stage, each of which must be whole or refused."""
    path = folder / "fuzzed.npz"
    path.write_bytes(content)
    dataset = read_or_refused(lambda: load_dataset(DatasetConfig(name="npz", data=str(path))))
    assert dataset is None or (dataset.train.images.dtype == np.uint8 and dataset.train.labels.min() >= 0)
    stage = read_or_refused(lambda: StageData.load(path))
    assert stage is None or all(getattr(stage, field.name) is not None for field in fields(stage))


GOOD = [saved(arrays, save) for arrays in (IMAGES, STAGE) for save in (np.savez, np.savez_compressed)]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good archive that is cut, or in which some bits are flipped or bytes are put in."""
    content = bytearray(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(1, 6))):
        # Mostly near an end: that is where headers and the directory are.
        near = draw(st.integers(0, 400)) if draw(st.booleans()) else draw(st.integers(0, len(content)))
        at = max(0, min(near if draw(st.booleans()) else len(content) - near, len(content) - 1))
        match draw(st.sampled_from(["flip", "flip", "cut", "insert", "number"])):
            case "flip" if content:
                content[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del content[at:]
            case "insert":
                content[at:at] = draw(st.binary(min_size=1, max_size=8))
            case "number":
                content[at : at + 4] = draw(st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f"]))
    return bytes(content)


@st.composite
def replaced(draw: st.DrawFn) -> bytes:
    """A good archive in which one or two arrays have another dtype and shape, or are left out."""
    arrays = dict(draw(st.sampled_from([IMAGES, STAGE])))
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.sampled_from(sorted(arrays)))
        if draw(st.booleans()):
            fill = draw(st.integers(-2, 13))
            arrays[name] = (
                np.full(draw(SHAPES), fill).astype("i8").astype(draw(DTYPES.filter(lambda kind: kind[0] in "uif?")))
            )
        elif draw(st.booleans()):
            arrays[name] = np.zeros(draw(SHAPES), draw(DTYPES))
        elif len(arrays) > 1:
            del arrays[name]
    return saved(arrays)


@st.composite
def lying(draw: st.DrawFn) -> bytes:
    """An archive whose arrays' headers say what is not so, or are no headers."""
    shape = tuple(draw(st.lists(HUGE, max_size=40)))
    kind = draw(st.sampled_from(["|u1", "<i8", "|O", "<U999999999", "|V0", "<U0"]) | st.text(max_size=5))
    declared = str({"descr": kind, "fortran_order": draw(st.booleans()), "shape": shape})
    header = draw(
        st.sampled_from([declared, declared[:-1], declared.replace("'", "", 1), "{'descr': [('a', 'O')]}"])
        | st.text(max_size=40)
    )
    lie = headed(
        header,
        draw(st.binary(max_size=20)),
        draw(st.sampled_from([b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x09"])),
    )
    good = {name: headed_array(array) for name, array in draw(st.sampled_from([IMAGES, STAGE])).items()}
    name = draw(st.sampled_from(sorted(good)))
    return zipped({**good, draw(st.sampled_from([name, f"../{name}", name.removesuffix(".npy")])): lie})


def headed_array(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@FUZZED
@given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda tail: GOOD[0][:60] + tail))
def test_any_bytes_are_an_archive_or_refused(tmp_path: Path, content: bytes) -> None:
    read_both(content, tmp_path)


@FUZZED
@given(damaged())
def test_a_damaged_archive_is_whole_or_refused(tmp_path: Path, content: bytes) -> None:
    read_both(content, tmp_path)


@FUZZED
@given(replaced())
def test_other_dtypes_and_shapes_fit_or_are_refused(tmp_path: Path, content: bytes) -> None:
    read_both(content, tmp_path)


@FUZZED
@given(lying())
def test_a_header_that_lies_is_refused(tmp_path: Path, content: bytes) -> None:
    read_both(content, tmp_path)


def declaring(descr: str, shape: tuple[int, ...]) -> bytes:
    return headed(str({"descr": descr, "fortran_order": False, "shape": shape}))


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (declaring("|u1", (2**33, 3)), "declares 24 GiB"),
        (declaring("<U99999999", (9, 9)), "declares 30.2 GiB"),
        (declaring("|u1", (0, 2**63)), "which no array has"),
        (declaring("|u1", (1,) * 40), "which no array has"),
        (declaring("|u1", (-1, 4)), "which no array has"),
        (declaring("|O", (2,)), "pickled Python objects"),
        (headed("("), "torn or no .npz"),
        (b"no array", "torn or no .npz"),
    ],
    ids=["large", "long strings", "empty but wide", "many axes", "negative", "objects", "half a header", "text"],
)
def test_an_array_that_can_not_be_is_refused_before_it_is_unpacked(member: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(zipped({"x_train.npy": member}))
    with pytest.raises(DataError, match=message):
        load_dataset(DatasetConfig(name="npz", data=str(tmp_path / "x.npz")))


def test_an_array_that_stands_twice_is_refused(tmp_path: Path) -> None:
    array = headed_array(X)
    (tmp_path / "x.npz").write_bytes(zipped({"x_train.npy": array, "x_train": array}))
    with pytest.raises(DataError, match="x_train stands twice"):
        load_dataset(DatasetConfig(name="npz", data=str(tmp_path / "x.npz")))


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_that_numpy_does_not_write_is_refused(compression: int, tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(zipped({"x_train.npy": headed_array(X)}, compression))
    with pytest.raises(DataError, match="allowed are stored and deflated"):
        load_dataset(DatasetConfig(name="npz", data=str(tmp_path / "x.npz")))
