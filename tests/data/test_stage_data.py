"""What the individuals of a stage are given."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medarts_ops.config import DatasetConfig, SearchConfig, StageConfig
from medarts_ops.data.dataset import LabelledImages
from medarts_ops.data.proxy import channel_statistics, search_images
from medarts_ops.data.stage_data import StageData, prepare_stage_data
from medarts_ops.errors import DataError, SearchError
from medarts_ops.individual import Yardstick

NAMES = ("ant", "bee", "cat", "dog")
SMALL = StageConfig(name="init", images=40, population=2)
LARGE = StageConfig(name="final", images=80, survivors=1)


def _train() -> LabelledImages:
    """Class-sorted; every image is unlike the others."""
    images = np.random.default_rng(0).integers(256, size=(120, 8, 8, 3), dtype=np.uint8)
    return LabelledImages(images, np.repeat(np.arange(4), 30))


def _prepare(stage: StageConfig = SMALL, **settings: Any) -> StageData:
    train = _train()
    config = SearchConfig(**{"stages": (SMALL, LARGE), **settings})
    return prepare_stage_data(train, NAMES, stage, config, channel_statistics(train.images))


def _images(data: StageData, indices: np.ndarray) -> set[bytes]:
    return {data.images[index].tobytes() for index in indices}


def _counts(data: StageData, indices: np.ndarray) -> list[int]:
    return [int(count) for count in np.bincount(data.labels[indices], minlength=4)]


def test_the_halves_share_the_sample_and_hold_every_class() -> None:
    data = _prepare()
    assert _counts(data, data.weight_indices) == _counts(data, data.alpha_indices) == [5, 5, 5, 5]
    assert sorted([*data.weight_indices, *data.alpha_indices]) == list(range(40))
    assert np.array_equal(data.valid_indices, data.alpha_indices)


def test_images_keep_their_labels() -> None:
    train, data = _train(), _prepare()
    label_of = dict(zip([image.tobytes() for image in train.images], train.labels, strict=True))
    assert [label_of[image.tobytes()] for image in data.images] == data.labels.tolist()


def test_an_earlier_smaller_sample_lies_in_a_later_one_and_halves_differ() -> None:
    small, large = _prepare(SMALL), _prepare(LARGE)
    assert _images(small, np.arange(40)) < _images(large, np.arange(80))
    assert not _images(small, small.weight_indices) <= _images(large, large.weight_indices)


def test_the_sample_and_the_halves_follow_the_seed() -> None:
    first, again, other = _prepare(seed=1), _prepare(seed=1), _prepare(seed=2)
    assert np.array_equal(first.images, again.images)
    assert np.array_equal(first.weight_indices, again.weight_indices)
    assert not np.array_equal(first.images, other.images)


def test_a_holdout_is_seen_by_neither_half() -> None:
    data = _prepare(ranking_split="holdout")
    assert _counts(data, data.valid_indices) == [2, 2, 2, 2]
    assert _counts(data, data.weight_indices) == [4, 4, 4, 4]
    together = [*data.weight_indices, *data.alpha_indices, *data.valid_indices]
    assert sorted(together) == list(range(40))


def test_chance_is_the_share_of_the_largest_class_that_acc_valid_is_taken_on() -> None:
    assert _prepare().yardstick(batch=8) == Yardstick(images=20, chance=0.25, steps=3)
    unequal = LabelledImages(_train().images, np.repeat(np.arange(4), [60, 20, 20, 20]))
    config = SearchConfig(stages=(SMALL, LARGE), dataset=DatasetConfig(sampling="stratified"))
    drawn = prepare_stage_data(unequal, NAMES, SMALL, config, channel_statistics(unequal.images)).yardstick(batch=20)
    assert (drawn.images, drawn.steps) == (20, 1) and drawn.chance == pytest.approx(0.5, abs=0.06)


def test_statistics_are_of_all_training_images_and_not_of_the_sample() -> None:
    data, everything = _prepare(), channel_statistics(_train().images)
    assert np.array_equal(data.mean, everything.mean)
    assert not np.array_equal(data.mean, channel_statistics(data.images).mean)


def test_a_share_of_all_images_takes_them_all() -> None:
    stage = StageConfig(name="init", images=1.0, population=1)
    assert len(_prepare(stage, stages=(stage,)).images) == 120


def test_a_half_without_a_class_is_an_error_that_names_both() -> None:
    stage = StageConfig(name="init", images=8, population=1)
    with pytest.raises(DataError, match=r"stage 'init': the half that steps w has no image of class 'bee'; raise"):
        _prepare(stage, stages=(stage,), ranking_split="holdout")


def test_a_half_without_a_class_of_which_no_more_can_be_drawn_asks_for_images() -> None:
    stage = StageConfig(name="init", images=1.0, population=1)
    few = _train().take(np.r_[0:9, 30:32])  # nine ants, two bees
    config = SearchConfig(stages=(stage,), ranking_split="holdout")
    with pytest.raises(DataError, match=r"add images to class 'bee', which has 2 training images, to 2 a class"):
        prepare_stage_data(few, ("ant", "bee"), stage, config, channel_statistics(few.images))


def test_too_few_images_in_a_class_names_it() -> None:
    stage = StageConfig(name="init", images=10_000, population=1)
    with pytest.raises(DataError, match="class 'ant' has 30 .*largest that works is 120"):
        _prepare(stage, stages=(stage,))


def test_a_saved_stage_is_read_back_exactly(tmp_path: Path) -> None:
    data = _prepare(ranking_split="holdout")
    data.save(tmp_path / "stage.npz")
    loaded = StageData.load(tmp_path / "stage.npz")
    for field in fields(StageData):
        before, after = getattr(data, field.name), getattr(loaded, field.name)
        assert np.array_equal(before, after), field.name
        assert np.asarray(before).dtype == np.asarray(after).dtype
    assert [path.name for path in tmp_path.iterdir()] == ["stage.npz"]


def test_a_failed_save_leaves_the_file_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "stage.npz"
    path.write_bytes(b"the file before")

    def fail(file: Any, **_: Any) -> None:
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(SearchError, match="no space left; free some space"):
        _prepare().save(path)
    assert [each.read_bytes() for each in tmp_path.iterdir()] == [b"the file before"]


@pytest.mark.parametrize("content", [b"", b"torn", None])
def test_a_missing_or_torn_stage_file_says_what_to_do(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "stage.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match="stage.npz' can't be read .*delete the file and resume"):
        StageData.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha_indices": np.array([40])}, "alpha_indices go from 40 to 40: allowed are 0 to 39"),
        ({"valid_indices": np.empty(0, np.int64)}, "valid_indices .* not empty"),
        ({"weight_indices": np.array([1.0])}, "weight_indices are float64"),
        ({"n_classes": 3}, "label is 3: allowed are 0 to 2"),
        ({"std": np.zeros(3)}, "std > 0"),
        ({"mean": np.zeros(1)}, "each of 3 channels"),
    ],
)
def test_stage_data_refuse_what_does_not_fit(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        replace(_prepare(), **change)


def test_search_images_are_halved_only_when_low_resolution_is_on() -> None:
    train = LabelledImages(np.zeros((2, 32, 16, 1), np.uint8), np.arange(2))
    assert search_images(train, DatasetConfig()).images.shape == (2, 16, 8, 1)
    assert search_images(train, DatasetConfig(low_resolution=False)) is train
