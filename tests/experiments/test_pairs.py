"""Fig. 5 and Fig. 6: their conditions, their ordered pairs, their correlations."""

from __future__ import annotations

import numpy as np
import pytest
from experiment_outcomes import make_networks, make_result, make_setting
from scipy import stats

from medarts_ops.config import AugmentConfig, EvaluateConfig
from medarts_ops.errors import ConfigError
from medarts_ops.experiments.network import Setting
from medarts_ops.experiments.pairs import low_config, plan_fig5, plan_fig6, summarize_pairs

NETWORKS = make_networks("a", "b", "c", "d")
SKILL = dict(zip("abcd", (0.02, 0.00, 0.07, 0.04), strict=True))


def fig5(sizes=None, networks=NETWORKS, setting=None, scale="small", seeds=(0, 1)):
    setting = make_setting() if setting is None else setting
    return plan_fig5(networks, setting, sizes, seeds=seeds, scale=scale, workers=1)


def conditions(plan):
    return list(dict.fromkeys(arm.condition for arm in plan.arms))


def images(plan):
    return list(dict.fromkeys(arm.evaluation.images for arm in plan.arms))


def of_images(n_train):
    setting = make_setting()
    return setting._replace(dataset=setting.dataset.model_copy(update={"n_train": n_train}))


def test_the_papers_sizes_are_five_equal_steps_of_cifar():
    plan = fig5(setting=of_images(50_000), scale="paper")
    assert images(plan) == [10_000, 20_000, 30_000, 40_000, None]
    assert conditions(plan) == [f"{n},000 images" for n in (10, 20, 30, 40, 50)]
    assert len(plan.trainings) == 4 * 5 * 2


def test_small_steps_go_up_to_what_the_setting_trains_on():
    sized = make_setting(images=605)
    assert conditions(fig5(setting=sized)) == ["200 images", "400 images", "600 images"]
    assert conditions(fig5()) == ["470 images", "950 images", "1,438 images"]  # whole classes, but all of all


def test_sizes_may_be_given_and_the_number_of_all_takes_all():
    assert images(fig5([100, 1438], setting=make_setting(images=500))) == [100, None]


@pytest.mark.parametrize("sizes", [[10, 1000], [100, 2000]])
def test_more_or_fewer_images_than_there_can_be_are_refused(sizes):
    with pytest.raises(ConfigError, match=r"fig5's sizes are .*: allowed are 20 images \(2 of each class\) to 1,438"):
        fig5(sizes)


@pytest.mark.parametrize("sizes", [[100], [], [200, 100], [100, 100], [100, 105]])
def test_sizes_that_do_not_rise_are_refused(sizes):
    with pytest.raises(ConfigError, match=r"two or more that rise, by one image of each class \(10\)"):
        fig5(sizes)


def test_too_few_images_for_the_smallest_step_are_refused():
    with pytest.raises(ConfigError, match=r"sizes are 16, 33, 50: allowed are 20"):
        fig5(setting=of_images(50))


def test_fewer_than_three_networks_are_refused():
    with pytest.raises(ConfigError, match="got 2, allowed are 3 or more"):
        fig5(networks=NETWORKS[:2])
    with pytest.raises(ConfigError, match="fig6 correlates .* got 2"):
        plan_fig6(NETWORKS[:2], make_setting(), make_setting(), seeds=[0], scale="small", workers=1)


def error_at(training):
    """Falls with more images by 0.1 a step, and with skill; a little by the seed."""
    step = conditions_of_fig5.index(training.arm.condition)
    swapped = 0.05 if (training.arm.subject, step) == ("b", 1) else 0.0
    return 0.5 - 0.1 * step - SKILL[training.arm.subject] - swapped + 0.01 * training.seed


conditions_of_fig5 = conditions(fig5())


def test_points_are_mean_accuracies_of_one_network_under_adjacent_conditions():
    figure = summarize_pairs(make_result(fig5(), error_at)).figure
    assert len(figure.points) == 8  # four networks, two pairs of sizes
    first = figure.points[0]
    assert (first.subject, first.group) == ("a", "470 images → 950 images")
    assert (first.x, first.y) == (pytest.approx(0.515), pytest.approx(0.615))
    slope, intercept = np.polyfit([p.x for p in figure.points], [p.y for p in figure.points], 1)
    assert (figure.slope, figure.intercept) == (pytest.approx(slope), pytest.approx(intercept))


def test_correlations_are_over_all_pairs_and_ranks_also_of_each_pair_of_sizes():
    summary = summarize_pairs(make_result(fig5(), error_at))
    points = summary.figure.points
    found = {statistic.key: statistic for statistic in summary.statistics}
    pooled = stats.pearsonr([p.x for p in points], [p.y for p in points]).statistic
    assert found["pearson"].value == pytest.approx(pooled) and found["pearson"].published == 0.9899
    assert found["pearson"].n == 8 and "4 networks" in found["pearson"].method
    assert found["pearson"].low < pooled <= found["pearson"].high
    assert found["kendall"].published is None
    # By hand: b gains 0.05 at the second size, so it passes a and d of a, b, c, d.
    assert found["kendall_470_images_950_images"].value == pytest.approx((4 - 2) / 6)
    assert found["spearman_470_images_950_images"].n == 4
    assert list(found)[3:] == [
        f"{kind}_{pair}"
        for pair in ("470_images_950_images", "950_images_1438_images")
        for kind in ("spearman", "kendall")
    ]
    assert "which is what a search needs" in summary.notes[0]


def test_the_table_has_a_row_for_each_network_and_a_column_for_each_condition():
    summary = summarize_pairs(make_result(fig5(), error_at))
    assert [row["network"] for row in summary.rows] == list("abcd")
    assert summary.rows[2]["accuracy_1438_images"].mean == pytest.approx(0.765)
    assert summary.rows[2]["accuracy_1438_images"].n == 2 and summary.rows[2]["parameters"] == 12_345
    headings = [column.heading for column in summary.columns[2:]]
    assert headings[0] == "test accuracy, measured here (2 seeds, 3 epochs, 470 images)"


def test_what_failed_or_is_not_done_yet_leaves_its_point_out():
    def came(training):
        if training.arm.subject == "a" and training.arm.condition == "950 images":
            return "the loss became NaN"
        return None if training.arm.condition == "1,438 images" else error_at(training)

    summary = summarize_pairs(make_result(fig5(), came))
    assert [point.subject for point in summary.figure.points] == ["b", "c", "d"]
    assert summary.rows[0]["accuracy_950_images"] is None and len(summary.failures) == 2
    assert [statistic.key for statistic in summary.statistics] == ["pearson", "spearman", "kendall"]


def test_nothing_done_yet_has_correlations_that_are_not_defined():
    summary = summarize_pairs(make_result(fig5(), lambda training: None))
    assert all(np.isnan(statistic.value) for statistic in summary.statistics)
    assert summary.figure.slope is None and summary.rows[0]["parameters"] is None


def two_resolutions():
    full = make_setting()
    dataset = full.dataset.model_copy(update={"resolution": (16, 16), "fingerprint": "f" * 16})
    return full, Setting(full.config, dataset)


def test_fig6_pairs_half_the_resolution_with_the_full_one():
    low, full = two_resolutions()
    plan = plan_fig6(NETWORKS, low, full, seeds=[0, 1], scale="small", workers=1)
    assert conditions(plan) == ["8×8", "16×16"] and len(plan.datasets) == 2
    errors = {"8×8": 0.5, "16×16": 0.4}
    summary = summarize_pairs(
        make_result(plan, lambda training: errors[training.arm.condition] - SKILL[training.arm.subject])
    )
    assert [statistic.key for statistic in summary.statistics] == ["pearson", "spearman", "kendall"]
    assert summary.statistics[0].published == 0.8827 and summary.statistics[2].value == pytest.approx(1)
    assert (summary.figure.x_label, summary.figure.y_label) == ("test accuracy, 8×8", "test accuracy, 16×16")
    assert summary.columns[3].heading.startswith("test accuracy at 16×16, measured here (2 seeds")


def test_half_the_resolution_has_half_the_cutout_as_in_the_paper():
    low = low_config(EvaluateConfig(), (32, 32))
    assert (low.dataset.resolution, low.augment.cutout) == (16, 8)
    assert low_config(EvaluateConfig(augment=AugmentConfig(cutout=0)), (20, 20)).dataset.resolution == 10


def test_images_that_are_not_square_are_refused():
    with pytest.raises(ConfigError, match="fig6 halves square images, these are 16×24: give --resolution N"):
        low_config(EvaluateConfig(), (16, 24))


def test_images_too_small_to_be_halved_are_refused():
    with pytest.raises(ConfigError, match="halves images of 8×8: allowed are 16×16 or larger; .*resolution=16"):
        low_config(EvaluateConfig(), (8, 8))
