"""What every experiment says of how it was measured, what failed and what was taken over."""

from __future__ import annotations

from experiment_outcomes import make_networks, make_result, make_setting
from factories import make_dataset_summary, make_search_config_tiny

from medarts_ops.experiments.network import plan_networks
from medarts_ops.experiments.protocol import caption, failure_lines, measured, notes_of
from medarts_ops.experiments.sweep import SweepArm, plan_sweep


def make_plan(seeds=(0, 1), **config):
    return plan_networks(
        "table3", make_networks("a", "b"), {"": make_setting(**config)}, seeds=seeds, scale="small", workers=1
    )


def test_a_caption_says_scale_seeds_network_epochs_images_and_resolution():
    assert caption(make_plan(images=1005)) == (
        "Scale small; seeds 0, 1. 2 networks of 3 cells and 2 channels, trained for 3 epochs on 1,000 images of digits "
        "at 8×8 in batches of 256; tested on 359 images (20 % of the images, by class)."
    )


def test_one_seed_is_said_as_one():
    assert caption(make_plan(seeds=[7])).startswith("Scale small; seed 7. ")
    assert measured(make_plan(seeds=[7], epochs=1)) == "measured here (1 seed, 1 epoch, 1,438 images)"


def make_sweep(*epochs):
    setting, config = make_setting(), make_search_config_tiny()
    stages = [
        tuple(stage.model_copy(update={"epochs": number, "images": 0.5}) for stage in config.stages)
        for number in epochs
    ]
    arms = [
        SweepArm(
            f"a{at}",
            f"a{at}",
            config.model_copy(update={"stages": each}),
            setting.config.model_copy(update={"epochs": epochs[at]}),
            None,
            make_dataset_summary(),
        )
        for at, each in enumerate(stages)
    ]
    return plan_sweep(arms, seeds=[0], workers=1)


def test_settings_that_differ_are_a_range():
    plan = make_sweep(2, 5)
    assert measured(plan) == "measured here (1 seed, 2 to 5 epochs, 1,438 images)"
    assert "Own settings; seed 0. Searches on digits of different stages" in caption(plan)
    assert "trained for 2 to 5 epochs" in caption(plan)


def test_searches_of_equal_stages_are_said_stage_by_stage():
    said = caption(make_sweep(2))
    assert "Searches on digits of init: 3 × 3 cells, 2 channels, 2 epochs, 50 % of the images; mid: 3 × 3" in said


def test_what_failed_is_named():
    result = make_result(make_plan(), lambda training: "a loss is NaN" if training.key == "b.s1" else 0.3)
    assert failure_lines(result) == ("b.s1 diverged: a loss is NaN",)
    assert notes_of(result) == ()


def test_what_was_taken_over_from_before_is_named_by_arm_and_seed():
    result = make_result(make_plan(), lambda training: 0.3, taken=("a.s0", "a.s1", "b.s1"))
    assert notes_of(result) == ("3 of 4 trainings taken over from before: a, seed 0, 1; b, seed 1",)


def test_an_unfinished_experiment_says_how_much_is_done():
    plan = make_plan().model_copy(update={"notes": ("read this",)})
    result = make_result(plan, lambda training: 0.3 if training.seed == 0 else None)
    assert notes_of(result) == ("read this", "unfinished: 2 of 4 trainings are done")
