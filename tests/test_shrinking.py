"""Plans made smaller by one factor."""

from __future__ import annotations

from itertools import pairwise

import pytest
from factories import make_evaluate_config_tiny, make_search_config_tiny

from medarts_ops.config import ChildrenConfig, DerivedConfig, ObjectiveConfig, SearchConfig, StageConfig
from medarts_ops.config_stages import check_stages, check_warmup
from medarts_ops.shrinking import DrawnImages, largest_scale, smaller_evaluation, smaller_search

PAPER = SearchConfig()
IMAGES = DrawnImages((10_000, 10_000, 20_000), 0, 10)


def sizes(config: SearchConfig) -> list[tuple[int, int, int | float]]:
    return [(stage.epochs, stage.size, stage.images) for stage in config.stages]


def with_stages(*stages: StageConfig, **more: object) -> SearchConfig:
    return SearchConfig.model_validate({"stages": stages, **more})


def test_half_of_table_two_is_half_of_its_epochs_individuals_and_images():
    config, images = smaller_search(PAPER, IMAGES, 0.5)
    assert sizes(config) == [(3, 4, 5000), (3, 4, 5000), (8, 1, 10_000)]
    assert images.stages == (5000, 5000, 10_000)
    middle = config.stages[1]
    assert (middle.survivors, middle.children) == (2, 2)


def test_cells_channels_batches_and_the_number_of_stages_stay():
    config, _ = smaller_search(PAPER, IMAGES, 0.2)
    kept = [(stage.cells, stage.channels, stage.batch, stage.name) for stage in config.stages]
    assert kept == [(stage.cells, stage.channels, stage.batch, stage.name) for stage in PAPER.stages]


def test_a_factor_of_one_changes_nothing():
    assert smaller_search(PAPER, IMAGES, 1.0) == (PAPER, IMAGES)
    evaluation = make_evaluate_config_tiny()
    assert smaller_evaluation(evaluation, 1.0) == evaluation


def test_nothing_falls_below_its_least():
    config, _ = smaller_search(PAPER, IMAGES, 0.0)
    # 100 of each half, by which acc_valid is measured; two parents have two children.
    assert sizes(config) == [(1, 2, 200), (1, 3, 200), (1, 1, 200)]
    large = tuple(stage.model_copy(update={"batch": 128}) for stage in PAPER.stages)
    assert sizes(smaller_search(PAPER.model_copy(update={"stages": large}), IMAGES, 0.0)[0])[0] == (1, 2, 256)
    classes = IMAGES._replace(n_classes=100)
    assert sizes(smaller_search(PAPER, classes, 0.0)[0])[0] == (1, 2, 500)
    assert smaller_evaluation(make_evaluate_config_tiny(), 0.0).epochs == 1


def test_what_is_less_than_the_least_stays_as_it_was():
    config = make_search_config_tiny()
    smaller, images = smaller_search(config, DrawnImages((240, 240, 240), 0, 10), 0.0)
    assert sizes(smaller) == [(1, 2, 200), (1, 3, 200), (1, 1, 200)] and images.stages == (200, 200, 200)
    few, _ = smaller_search(config, DrawnImages((30, 30, 30), 0, 10), 0.0)
    assert [stage.images for stage in few.stages] == [30, 30, 30]


@pytest.mark.parametrize("scale", [0.0, 0.1, 0.35, 0.6, 0.9])
def test_smaller_stages_can_follow_each_other(scale):
    stages = (
        StageConfig(name="init", epochs=6, images=500, population=9),
        StageConfig(
            name="mid",
            epochs=6,
            images=500,
            survivors=5,
            children=ChildrenConfig(swap=3, nodewise=2, mutation=2, consensus=1),
            warmup=0.5,
        ),
        StageConfig(name="final", epochs=6, images=500, survivors=4, children=2),
    )
    config, _ = smaller_search(with_stages(*stages), DrawnImages((500, 500, 500), 0, 10), scale)
    check_stages(config.stages)
    check_warmup(config.stages, config.alpha.warmup, config.alpha.warmup_epochs)
    SearchConfig.model_validate(config.model_dump())


def test_a_larger_factor_never_makes_anything_smaller():
    plans = [sizes(smaller_search(PAPER, IMAGES, number / 20)[0]) for number in range(21)]
    for smaller, larger in pairwise(plans):
        for before, after in zip(smaller, larger, strict=True):
            assert all(low <= high for low, high in zip(before, after, strict=True))


def test_epochs_leave_one_to_train_alpha_and_the_steps_that_a_stage_takes_at_least():
    stage = StageConfig(epochs=20, images=1000, batch=50, population=2, least_steps=40)
    config, _ = smaller_search(with_stages(stage), DrawnImages((1000,), 0, 10), 0.1)
    # 100 images would be a step an epoch, and 20 steps in all.
    assert sizes(config) == [(20, 2, 200)]
    warming = with_stages(stage.model_copy(update={"least_steps": 0}), alpha={"warmup_epochs": 3})
    assert smaller_search(warming, DrawnImages((1000,), 0, 10), 0.0)[0].stages[0].epochs == 4


def test_a_share_of_the_images_stays_a_share():
    config = with_stages(StageConfig(images=0.5, population=2))
    smaller, images = smaller_search(config, DrawnImages((1000,), 0, 10), 0.25)
    assert smaller.stages[0].images == pytest.approx(0.125) and images.stages == (250,)


def test_short_trainings_of_genotypes_shrink_too():
    config = SearchConfig(
        objectives=(ObjectiveConfig(name="derived_accuracy"),), derived=DerivedConfig(epochs=10, images=1.0, batch=32)
    )
    smaller, images = smaller_search(config, IMAGES._replace(derived=1000), 0.5)
    assert (smaller.derived.epochs, smaller.derived.images, images.derived) == (5, 0.5, 500)
    # 400 of 500 images are trained on, in 13 steps an epoch.
    derived = config.derived.model_copy(update={"least_steps": 100})
    enough, _ = smaller_search(config.model_copy(update={"derived": derived}), IMAGES._replace(derived=1000), 0.5)
    assert enough.derived.epochs == 8


def test_the_largest_factor_is_found_that_fits():
    found = largest_scale(30.0, lambda scale: 10 + 100 * scale**3)
    assert found == pytest.approx(0.2 ** (1 / 3))
    assert largest_scale(110.0, lambda scale: 10 + 100 * scale**3) == 1.0
    assert largest_scale(9.0, lambda scale: 10 + 100 * scale**3) is None
