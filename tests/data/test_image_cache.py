"""Images that are kept between loadings: equal bits, nothing out of date, and no harm by whatever lies there."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medarts_ops.config import DatasetConfig, SearchConfig
from medarts_ops.data import image_files
from medarts_ops.data.dataset import ImageDataset
from medarts_ops.data.loading import LoadingProgress, told_of_loading
from medarts_ops.data.registry import load_dataset
from medarts_ops.value import identity_of


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five photos in each of two classes, of different sizes."""
    for label, name in enumerate(("cat", "dog")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(5):
            shape = (20 + number, 30 - number, 3)
            pixels = np.random.default_rng([label, number]).integers(256, size=shape, dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.png")
    return tmp_path / "photos"


def config_of(photos: Path, **changes: Any) -> DatasetConfig:
    cache = str(photos.parent / "cache")
    return DatasetConfig(**({"name": "folder", "data": str(photos), "resolution": 16, "cache": cache} | changes))


def loaded(photos: Path, **changes: Any) -> ImageDataset:
    return load_dataset(config_of(photos, **changes))


def files_read(photos: Path, **changes: Any) -> int:
    """How many image files a loading decodes."""
    told: list[LoadingProgress] = []
    with told_of_loading(told.append):
        loaded(photos, **changes)
    return sum(progress.done > 0 for progress in told if progress.step == "images read")


def cache_file(photos: Path) -> Path:
    (file,) = (photos.parent / "cache").iterdir()
    return file


def test_a_second_loading_decodes_nothing_and_gives_equal_bits(photos: Path) -> None:
    plain = loaded(photos, cache=None)
    assert (files_read(photos), files_read(photos)) == (10, 0)
    kept = loaded(photos)
    assert kept.fingerprint == plain.fingerprint and kept.summary(None) == plain.summary(None)
    for ours, theirs in ((kept.train, plain.train), (kept.test, plain.test)):
        assert np.array_equal(ours.images, theirs.images) and np.array_equal(ours.labels, theirs.labels)


def test_a_folder_that_is_moved_as_it_is_keeps_its_images(photos: Path) -> None:
    loaded(photos)
    moved = photos.rename(photos.parent / "moved")
    assert files_read(moved) == 0


def test_another_folder_whose_files_have_the_same_names_sizes_and_times_is_read_anew(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("first", "second")]
    for shade, folder in enumerate(folders):
        for name in ("cat", "dog"):
            (folder / name).mkdir(parents=True)
            for number in range(2):
                Image.new("L", (16, 16), shade).save(folder / name / f"{number}.bmp")
                os.utime(folder / name / f"{number}.bmp", ns=(0, 0))
    shades = [int(loaded(folder).train.images.max()) for folder in folders]
    assert shades == [0, 1] and files_read(folders[0]) == 0


@pytest.mark.parametrize(
    "changes", [{"resolution": 12}, {"fit": "crop"}, {"fit": "pad"}, {"max_pixels": 10_000}, {"skip_unreadable": True}]
)
def test_another_setting_reads_anew(photos: Path, changes: dict[str, Any]) -> None:
    loaded(photos)
    assert files_read(photos, **changes) == 10
    assert loaded(photos, **changes).fingerprint == loaded(photos, **changes, cache=None).fingerprint


def test_a_file_of_another_time_size_or_name_and_one_more_or_less_read_anew(photos: Path) -> None:
    loaded(photos)
    first = photos / "cat" / "0.png"
    os.utime(first, ns=(0, 1))
    assert files_read(photos) == 10
    Image.new("RGB", (40, 40), "red").save(first)
    os.utime(first, ns=(0, 1))  # as a copy from another machine may have it
    assert files_read(photos) == 10
    first.rename(photos / "dog" / "5.png")
    assert files_read(photos) == 10
    (photos / "dog" / "5.png").unlink()
    assert (files_read(photos), files_read(photos)) == (9, 0)


def torn(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def with_one_bit_changed(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def foreign(file: Path) -> None:
    file.write_text("no archive")


def of_other_images(file: Path) -> None:
    with np.load(file) as held:
        about = held["about"]
    with file.open("wb") as opened:
        np.savez(opened, about=about, images=np.zeros((3, 16, 16, 3), np.uint8))


@pytest.mark.parametrize("spoil", [torn, with_one_bit_changed, foreign, of_other_images])
def test_a_cache_that_is_torn_or_foreign_is_made_anew(photos: Path, spoil: Any) -> None:
    whole = loaded(photos)
    spoil(cache_file(photos))
    assert files_read(photos) == 10
    assert files_read(photos) == 0
    assert loaded(photos).fingerprint == whole.fingerprint


def test_what_changes_while_it_is_read_is_not_kept(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decode = image_files.decode

    def touching(path: Path, *words: Any) -> Any:
        os.utime(photos / "dog" / "4.png", ns=(0, 1))
        return decode(path, *words)

    monkeypatch.setattr(image_files, "decode", touching)
    loaded(photos)
    assert not (photos.parent / "cache").exists()


def test_what_a_killed_process_left_is_removed_and_what_others_write_is_not(photos: Path) -> None:
    (photos.parent / "cache").mkdir()
    left, written, others = (
        photos.parent / "cache" / f".{name}.1.partial" for name in ("images-a.npz", "images-b.npz", "c")
    )
    for file in (left, written, others):
        file.touch()
    for file in (left, others):
        os.utime(file, (0, 0))
    loaded(photos)
    assert [left.exists(), written.exists(), others.exists()] == [False, True, True]


def test_a_place_where_nothing_can_be_written_is_a_warning(photos: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    (photos.parent / "taken").write_text("a file")
    assert len(loaded(photos, cache=str(photos.parent / "taken" / "cache")).train) == 8
    (record,) = caplog.records
    assert "nothing can be written (" in record.getMessage() and "\n" not in record.getMessage()


def test_what_is_left_out_is_said_of_kept_images_too(photos: Path) -> None:
    whole = (photos / "dog" / "1.png").read_bytes()
    (photos / "dog" / "1.png").write_bytes(whole[: len(whole) // 2])
    remarks = loaded(photos, skip_unreadable=True).remarks
    assert "'dog/1.png'" in remarks[0]
    assert (files_read(photos, skip_unreadable=True), loaded(photos, skip_unreadable=True).remarks) == (0, remarks)


def test_a_failure_of_the_system_is_tried_again(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(path: Path, **words: Any) -> Any:
        if path.name == "1.png":
            raise OSError(5, "Input/output error")
        return header(path, **words)

    header = image_files.read_header
    monkeypatch.setattr(image_files, "read_header", failing)
    assert "2 images of 10 left out" in loaded(photos, skip_unreadable=True).remarks[0]
    monkeypatch.undo()
    assert loaded(photos, skip_unreadable=True).remarks == ()


def test_it_is_no_part_of_what_a_search_is() -> None:
    searches = [SearchConfig(dataset=DatasetConfig(cache=cache)) for cache in (None, "here")]
    assert len(set(map(identity_of, searches))) == 1


LOADING = """
import sys
from medarts_ops.config import DatasetConfig
from medarts_ops.data.registry import load_dataset

for _ in range(5):
    print(load_dataset(DatasetConfig.model_validate_json(sys.argv[1])).fingerprint)
"""


def test_several_processes_may_fill_and_read_it_at_once(photos: Path) -> None:
    words = [sys.executable, "-c", LOADING, config_of(photos).model_dump_json()]
    processes = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [line for process in processes for line in process.communicate(timeout=120)[0].split()]
    assert said == 10 * [loaded(photos, cache=None).fingerprint]
    assert cache_file(photos).suffix == ".npz"
