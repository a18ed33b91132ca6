"""D_sample, D_low, the halves and the statistics."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medarts_ops.data.proxy import (
    channel_statistics,
    limit_of_shares,
    low_resolution,
    sample_indices,
    single_image_class,
    stratified_halves,
    stratified_split,
)
from medarts_ops.errors import DataError

SHARED = Path(os.environ.get("MEDARTS_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))

UNEVEN = np.repeat(np.arange(4), [100, 37, 9, 2])
EVEN = np.repeat(np.arange(5), 40)
NAMES = ("ant", "bee", "cat", "dog")


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _counts(labels: np.ndarray, indices: np.ndarray) -> list[int]:
    return [int(count) for count in np.bincount(labels[indices], minlength=labels.max() + 1)]


def _balanced(labels: np.ndarray, images: int | float, seed: int = 0) -> np.ndarray:
    return sample_indices(labels, images, "balanced", _rng(seed), [f"c{i}" for i in range(labels.max() + 1)])


def _stratified(images: int | float, seed: int = 0) -> np.ndarray:
    return sample_indices(UNEVEN, images, "stratified", _rng(seed), NAMES)


def test_a_balanced_sample_takes_equally_many_of_each_class() -> None:
    assert _counts(EVEN, _balanced(EVEN, 100)) == [20] * 5


def test_a_remainder_that_classes_cannot_share_is_left_out() -> None:
    assert _counts(EVEN, _balanced(EVEN, 103)) == [20] * 5


def test_a_share_takes_that_part_of_the_largest_balanced_sample() -> None:
    assert _counts(UNEVEN, sample_indices(UNEVEN, 1.0, "balanced", _rng(), NAMES)) == [2, 2, 2, 2]
    assert _counts(EVEN, _balanced(EVEN, 0.35)) == [14] * 5


def test_a_share_of_29_percent_of_100_is_29() -> None:
    labels = np.repeat(np.arange(2), 100)
    assert _counts(labels, _balanced(labels, 0.29)) == [29, 29]


def test_a_smaller_balanced_sample_lies_within_a_larger_one() -> None:
    assert set(_balanced(EVEN, 50)) < set(_balanced(EVEN, 100)) < set(_balanced(EVEN, 1.0))


def test_the_sample_depends_on_the_seed_and_repeats_with_it() -> None:
    assert np.array_equal(_balanced(EVEN, 50), _balanced(EVEN, 50))
    assert not np.array_equal(_balanced(EVEN, 50), _balanced(EVEN, 50, seed=1))


def test_every_image_of_a_class_is_drawn_equally_often() -> None:
    drawn = np.bincount(np.concatenate([_balanced(EVEN, 50, seed) for seed in range(400)]), minlength=200)
    assert abs(drawn - 100).max() < 45  # expected 100, standard deviation 8.7


def test_a_class_with_too_few_images_is_named_with_the_largest_number_that_works() -> None:
    with pytest.raises(DataError, match=r"takes 10 of each of 4 classes: class 'dog' has 2 .* works is 8;"):
        sample_indices(UNEVEN, 40, "balanced", _rng(), NAMES)
    assert len(sample_indices(UNEVEN, 8, "balanced", _rng(), NAMES)) == 8


@pytest.mark.parametrize("sampling", ["balanced", "stratified"])
def test_fewer_than_two_images_a_class_are_refused(sampling: str) -> None:
    with pytest.raises(DataError, match="allowed are 8 images or more"):
        sample_indices(UNEVEN, 7, sampling, _rng(), NAMES)  # type: ignore[arg-type]


def test_a_share_that_leaves_less_than_two_of_a_class_is_refused() -> None:
    with pytest.raises(DataError, match="share of 0.5 .*'dog' has 2"):
        sample_indices(UNEVEN, 0.5, "balanced", _rng(), NAMES)


def test_a_class_without_images_is_named() -> None:
    with pytest.raises(DataError, match="'emu' has 0"):
        sample_indices(UNEVEN, 40, "balanced", _rng(), (*NAMES, "emu"))


def test_a_stratified_sample_keeps_the_proportions_and_two_of_each() -> None:
    assert _counts(UNEVEN, _stratified(74)) == [50, 18, 4, 2]  # of 50, 18.5, 4.5 and 1
    assert _counts(UNEVEN, _stratified(1.0)) == [100, 37, 9, 2]
    assert _counts(UNEVEN, _stratified(8)) == [2, 2, 2, 2]


def test_stratified_samples_of_all_sizes_are_nested_and_exact() -> None:
    samples = [set(_stratified(size)) for size in range(8, len(UNEVEN) + 1)]
    assert [len(sample) for sample in samples] == list(range(8, len(UNEVEN) + 1))
    assert all(smaller < larger for smaller, larger in zip(samples, samples[1:], strict=False))


def test_a_stratified_sample_larger_than_the_dataset_names_the_largest_that_works() -> None:
    with pytest.raises(DataError, match=r"more than the 148 .*'dog' has 2 .* works is 148;"):
        _stratified(149)


def test_a_stratified_sample_needs_two_images_of_each_class() -> None:
    labels = np.array([0, 0, 0, 1])
    with pytest.raises(DataError, match="class 'bee' has 1 training images: D_sample needs 2"):
        sample_indices(labels, 1.0, "stratified", _rng(), NAMES[:2])


@pytest.mark.parametrize("sampling", ["balanced", "stratified"])
def test_a_class_with_one_training_image_asks_for_images_and_not_for_a_larger_sample(sampling: str) -> None:
    with pytest.raises(DataError, match="class 'ant' has 1 training images: .*; add images to it") as refused:
        sample_indices(np.array([0, 1]), 1.0, sampling, _rng(), NAMES[:2])  # type: ignore[arg-type]
    assert "raise" not in str(refused.value)


def test_a_class_that_limits_shares_is_named_with_its_number_and_what_is_left_out() -> None:
    labels = np.repeat([0, 1], [160, 2])
    (said,) = limit_of_shares(labels, "balanced", NAMES[:2])
    assert said.startswith("class 'bee' has 2 training images") and ": 4 of 162 at most" in said
    assert said.endswith("add images to 'bee', or set dataset.sampling=stratified, which takes shares of all 162")
    assert limit_of_shares(labels, "stratified", NAMES[:2]) == ()
    assert limit_of_shares(np.repeat([0, 1], [100, 90]), "balanced", NAMES[:2]) == ()


def test_a_stratified_sample_of_a_very_uneven_set_has_every_class_in_both_halves() -> None:
    labels = np.repeat([0, 1], [160, 2])
    sample = sample_indices(labels, 0.5, "stratified", _rng(), NAMES[:2])
    assert _counts(labels, sample) == [79, 2]
    assert [_counts(labels[sample], half)[1] for half in stratified_halves(labels[sample], _rng())] == [1, 1]


def test_both_halves_hold_every_class_of_a_class_sorted_dataset() -> None:
    first, second = stratified_halves(EVEN, _rng())
    assert _counts(EVEN, first) == _counts(EVEN, second) == [20] * 5
    assert sorted([*first, *second]) == list(range(200))


def test_odd_classes_give_their_extra_image_to_the_halves_by_turns() -> None:
    labels = np.repeat(np.arange(5), [3, 5, 4, 7, 9])
    first, second = stratified_halves(labels, _rng())
    assert _counts(labels, first) == [2, 2, 2, 4, 4]
    assert _counts(labels, second) == [1, 3, 2, 3, 5]


def test_a_split_holds_its_share_of_each_class_and_never_all_or_none() -> None:
    labels = np.repeat(np.arange(5), [100, 10, 3, 2, 1])
    rest, held = stratified_split(labels, 0.2, _rng())
    assert _counts(labels, held) == [20, 2, 1, 1, 0]
    assert sorted([*rest, *held]) == list(range(len(labels)))
    assert _counts(labels, stratified_split(labels, 0.95, _rng())[0]) == [5, 1, 1, 1, 1]


def test_a_class_with_one_image_is_found() -> None:
    assert single_image_class(np.array([0, 0, 1, 2, 2])) == 1
    assert single_image_class(EVEN) is None


@pytest.mark.parametrize(("shape", "mode"), [((32, 32, 3), "RGB"), ((33, 19, 3), "RGB"), ((28, 28, 1), "L")])
def test_low_resolution_is_pixel_equal_to_pil(shape: tuple[int, int, int], mode: str) -> None:
    images = _rng().integers(256, size=(20, *shape), dtype=np.uint8)
    low = low_resolution(images)
    assert low.shape == (20, shape[0] // 2, shape[1] // 2, shape[2])
    for image, got in zip(images, low, strict=True):
        picture = Image.frombytes(mode, (shape[1], shape[0]), image.tobytes())
        picture = picture.resize((shape[1] // 2, shape[0] // 2), Image.Resampling.LANCZOS)
        assert picture.tobytes() == got.tobytes()


def test_low_resolution_below_eight_says_how_to_switch_it_off() -> None:
    with pytest.raises(DataError, match=r"4×4 images: allowed are 8×8 .* dataset.low_resolution=false"):
        low_resolution(np.zeros((2, 8, 8, 1), np.uint8))
    assert low_resolution(np.zeros((2, 16, 17, 1), np.uint8)).shape == (2, 8, 8, 1)


def test_channel_statistics_equal_numpy_in_float64() -> None:
    images = _rng().integers(256, size=(50, 9, 7, 3), dtype=np.uint8)
    mean, std = channel_statistics(images)
    np.testing.assert_allclose(mean, (images / 255).mean((0, 1, 2)), rtol=1e-13)
    np.testing.assert_allclose(std, (images / 255).std((0, 1, 2)), rtol=1e-13)


def test_channel_statistics_do_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    images = _rng().integers(256, size=(50, 9, 7, 3), dtype=np.uint8)
    whole = channel_statistics(images)
    monkeypatch.setattr("medarts_ops.data.proxy._PIXELS_PER_CHUNK", 9 * 7 * 3)
    assert np.array_equal(channel_statistics(images), whole)


def test_the_std_of_a_constant_channel_is_one_grey_level() -> None:
    mean, std = channel_statistics(np.full((3, 8, 8, 1), 51, np.uint8))
    assert (mean[0], std[0]) == (0.2, 1 / 255)


@pytest.mark.parametrize(
    ("file", "mean", "std"),
    [
        ("cifar10-20k.npz", (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
        ("cifar100-20k.npz", (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    ],
)
def test_channel_statistics_of_cifar_are_near_the_published_ones(
    file: str, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    path = SHARED / "data" / file
    if not path.exists():
        pytest.skip(f"{file} is not at hand; MEDARTS_SHARED names the folder that holds data/")
    with np.load(path, allow_pickle=False) as arrays:
        ours = channel_statistics(arrays["x_train"])
    np.testing.assert_allclose(ours.mean, mean, atol=3e-3)  # 20,000 of the 50,000 images
    np.testing.assert_allclose(ours.std, std, atol=3e-3)
