"""What is advised: resolution, sampling, batch and epochs for images of some sizes and numbers, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from medarts_ops.config import DatasetConfig, SearchConfig
from medarts_ops.configs.layers import with_setting
from medarts_ops.configs.loader import load_search_config
from medarts_ops.data.advice import Advice, advise, hindrances, problems
from medarts_ops.data.batches import batch_order
from medarts_ops.data.search_data import prepare_search_data
from medarts_ops.data.suitable import LEAST_STEPS, suitable_resolution, suitable_sampling
from medarts_ops.data.survey import Looked, Survey, Unreadable, surveyed
from medarts_ops.data.survey_arrays import survey_arrays

FOLDER = load_search_config("folder")


def made_up(counts: Mapping[str, int], sizes: Sequence[tuple[int, int]] = ((400, 300),), tested: int = 0) -> Survey:
    """A survey of so many images of each class; `sizes` are (width, height) by turns."""
    images = [
        Looked(name, part, name, *sizes[n % len(sizes)][::-1], "colour", "JPEG", 1, f"{part}{name}{n}".encode())
        for name, count in counts.items()
        for part, many in (("train", count), ("test", tested))
        for n in range(many)
    ]
    roles = {"train": "training"} | ({"test": "test"} if tested else {})
    return surveyed("folder", "photos", classes=list(counts), roles=roles, images=images)  # type: ignore[arg-type]


def advised(survey: Survey, config: SearchConfig = FOLDER) -> Advice:
    advice = advise(survey, config)
    assert advice is not None
    return advice


def value_of(advice: Advice, of: str) -> str | None:
    return next((choice.value for choice in advice.choices if choice.of == of), None)


@pytest.mark.parametrize(
    ("side", "n_images", "resolution"),
    [(500, 300, 96), (500, 5_000, 128), (500, 20_000, 224), (70, 20_000, 64), (20, 300, 32), (500, 500_000, 64)],
)
def test_the_resolution_is_one_that_images_have_and_that_their_number_is_worth(
    side: int, n_images: int, resolution: int
) -> None:
    shapes = made_up({"cat": 8}, sizes=[(side - 3, side), *3 * [(side + 10, side + 1)]]).shapes
    assert shapes is not None
    assert suitable_resolution(shapes, n_images, DatasetConfig(name="folder")) == resolution


@pytest.mark.parametrize(("side", "resolution"), [(64, None), (16, None), (12, 32), (65, 64)])
def test_small_images_of_one_size_keep_it_where_a_search_can(side: int, resolution: int | None) -> None:
    shapes = made_up({"cat": 1}, sizes=[(side, side)]).shapes
    assert shapes is not None
    assert suitable_resolution(shapes, 100, DatasetConfig(name="folder")) == resolution


@pytest.mark.parametrize(
    ("counts", "sampling"),
    [([150, 160], "balanced"), ([124, 500, 500], "stratified"), ([6_000, 60_000], "balanced"), ([1, 1], "balanced")],
)
def test_a_balanced_draw_is_advised_while_it_keeps_enough(counts: list[int], sampling: str) -> None:
    assert suitable_sampling(np.array(counts)) == sampling


def test_the_papers_own_setting_suits_cifar_10() -> None:
    survey = made_up({str(name): 5_000 for name in range(10)}, sizes=[(32, 32)], tested=1)
    advice = advised(survey, load_search_config("cifar10"))
    assert advice.settings == {}
    assert [plan.steps for plan in advice.stages] == [LEAST_STEPS, LEAST_STEPS, 15 * 157]


def test_few_photos_are_all_taken_in_small_batches_for_as_many_steps_as_the_papers_first_stage() -> None:
    # 160 and 158 are left to train on; each half of 316 has 10 batches of 16.
    advice = advised(made_up({"cat": 200, "dog": 198}))
    assert advice.settings == {
        "dataset.resolution": 96,
        "dataset.low_resolution": False,
        "stages.0.images": 1.0,
        "stages.0.batch": 16,
        "stages.0.epochs": 40,
        "stages.1.images": 1.0,
        "stages.1.batch": 16,
        "stages.1.epochs": 40,
        "stages.2.batch": 16,
        "stages.2.epochs": 119,
        "derived.batch": 16,  # 252 images, four fifths, are 15 batches
    }
    assert [(plan.images, plan.steps, plan.measured) for plan in advice.stages] == [
        (316, 400, 158),
        (316, 400, 158),
        (316, 1190, 158),
    ]
    assert value_of(advice, "stem") == "imagenet" and value_of(advice, "judge by") is None
    assert "3.98 points" not in advice.choices[-1].why and "up to 4.0 points" in advice.choices[-1].why


def test_what_is_planned_is_what_a_search_draws_and_steps() -> None:
    preset = load_search_config("digits")
    advice = advised(survey_arrays(preset.dataset), preset)
    settings = preset.model_dump(mode="json")
    for path, value in advice.settings.items():
        settings = with_setting(settings, path, value)
    config = SearchConfig.model_validate(settings)
    for plan, stage, data in zip(advice.stages, config.stages, prepare_search_data(config).stages, strict=True):
        import torch

        steps = len(batch_order(len(data.weight_indices), stage.batch, torch.Generator()))
        assert (plan.images, plan.measured) == (len(data.images), len(data.valid_indices))
        assert plan.steps == stage.epochs * steps >= LEAST_STEPS


@pytest.mark.parametrize(
    ("sizes", "fit"),
    [
        ([(400, 300), (300, 400)], "squash"),
        ([(640, 360)], "squash"),
        ([(640, 360), (360, 640), (300, 300)], "crop"),
        ([(900, 300), (300, 900), (300, 300)], "pad"),
    ],
)
def test_how_images_become_squares_goes_by_their_shapes(sizes: list[tuple[int, int]], fit: str) -> None:
    advice = advised(made_up({"cat": 60, "dog": 60}, sizes=sizes))
    assert value_of(advice, "fit") == fit and advice.settings.get("dataset.fit", "squash") == fit


def test_unequal_classes_are_judged_by_balanced_accuracy_and_sampled_by_what_is_lost() -> None:
    advice = advised(made_up({"sick": 124, "well": 500, "other": 500}, tested=1))
    assert value_of(advice, "judge by") == "balanced accuracy" and advice.settings["dataset.sampling"] == "stratified"
    why = {choice.of: choice.why for choice in advice.choices}
    assert "372 of 1,124 training images" in why["sampling"]
    assert "'well' has 4.0 times the images of 'sick'" in why["judge by"] and "44 %" in why["judge by"]


def test_mirroring_is_spoken_of_where_names_speak_against_it() -> None:
    flipped = load_search_config("digits", sets=["augment.flip=true"])
    survey = survey_arrays(flipped.dataset)
    assert value_of(advised(survey, flipped), "mirror") == "no, if digits"
    assert value_of(advised(survey, load_search_config("digits")), "mirror") is None
    assert value_of(advised(made_up({"turn left": 60, "turn right": 60})), "mirror") == "no, if sides count"
    assert value_of(advised(made_up({"cat": 60, "bright": 60})), "mirror") is None


@pytest.mark.parametrize(("tested", "enough"), [(0, 3), (1, 2)])
def test_a_class_with_too_few_images_is_a_problem_and_one_more_is_not(tested: int, enough: int) -> None:
    short = made_up({"cat": 60, "dog": enough - 1}, tested=tested)
    (problem,) = problems(short, FOLDER)
    assert f"'dog' has {enough - 1}, a search needs 2 of each class" in problem and advise(short, FOLDER) is None
    mended = made_up({"cat": 60, "dog": enough}, tested=tested)
    assert problems(mended, FOLDER) == () and advised(mended).settings["dataset.sampling"] == "stratified"


def test_a_class_of_whose_test_images_none_can_be_read_hinders_a_search_and_a_torn_one_beside_others_does_not() -> None:
    torn = {name: Unreadable(f"test/{name}/torn.png", "test", name, "truncated") for name in ("cat", "dog")}
    survey = made_up({"cat": 60, "dog": 60}, tested=1)
    untested = replace(survey, counts={**survey.counts, "test": {"cat": 1, "dog": 0}})
    assert hindrances(replace(survey, unreadable=(torn["dog"],)), FOLDER) == ()
    (hindrance,) = hindrances(replace(untested, unreadable=tuple(torn.values())), FOLDER)
    assert hindrance == "class 'dog' has test images, and none that can be read: replace or remove them"
