"""Estimates, paired differences, correlations and lines, against SciPy and against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from medarts_ops.experiments.statistics import correlation, estimate, least_squares_line, paired_difference

ERRORS = [0.10, 0.13, 0.12, 0.17, 0.11]


def test_an_estimate_is_the_mean_with_students_interval():
    found = estimate(ERRORS)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(ERRORS), scale=stats.sem(ERRORS))
    assert (found.mean, found.n) == (pytest.approx(0.126), 5)
    assert (found.std, found.sem) == (pytest.approx(stats.tstd(ERRORS)), pytest.approx(stats.sem(ERRORS)))
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_three_values_by_hand():
    found = estimate([1.0, 2.0, 3.0])
    assert (found.mean, found.std, found.sem) == (2.0, 1.0, pytest.approx(1 / math.sqrt(3)))
    assert found.high == pytest.approx(2 + 4.302652730 / math.sqrt(3))  # t of 2 degrees of freedom, from a table


def test_one_value_has_neither_deviation_nor_interval():
    found = estimate([0.25])
    assert (found.mean, found.n) == (0.25, 1)
    assert found.std is found.sem is found.low is found.high is None


def test_equal_values_have_an_interval_without_width():
    found = estimate([0.25, 0.25])
    assert (found.std, found.low, found.high) == (0.0, 0.25, 0.25)


def test_a_paired_difference_is_of_common_seeds_alone():
    first, second = {0: 0.30, 1: 0.32, 2: 0.29, 7: 0.90}, {2: 0.27, 1: 0.31, 0: 0.26, 3: 0.10}
    found = paired_difference(first, second)
    assert found is not None
    difference, p = found
    oracle = stats.ttest_rel([0.26, 0.31, 0.27], [0.30, 0.32, 0.29])
    assert (difference.mean, difference.n) == (pytest.approx(-0.07 / 3), 3)
    assert p == pytest.approx(oracle.pvalue)
    assert (difference.low, difference.high) == pytest.approx(tuple(oracle.confidence_interval(0.95)))


@pytest.mark.parametrize("second", [{}, {0: 0.2}, {8: 0.2, 9: 0.3}])
def test_fewer_than_two_common_seeds_have_no_paired_difference(second):
    assert paired_difference({0: 0.1, 1: 0.2}, second) is None


def test_differences_that_are_all_equal_have_no_p():
    found = paired_difference({0: 0.25, 1: 0.5}, {0: 0.5, 1: 0.75})
    assert found is not None
    assert (found[0].mean, found[0].std) == (0.25, 0.0) and math.isnan(found[1])


def pairs_of_networks(networks: int = 8, pairs: int = 3):
    """Noisy pairs; those of a network lie together."""
    rng = np.random.default_rng(1)
    skill = rng.normal(size=networks).repeat(pairs)
    x, y = (skill + 0.5 * rng.normal(size=len(skill)) for _ in range(2))
    names = tuple(f"net-{index}" for index in range(networks) for _ in range(pairs))
    return tuple(x.tolist()), tuple(y.tolist()), names


@pytest.mark.parametrize(
    ("kind", "oracle"),
    [("Pearson", stats.pearsonr), ("Spearman", stats.spearmanr), ("Kendall", stats.kendalltau)],
)
def test_a_correlation_is_scipys_with_the_bootstrap_interval_of_networks(kind, oracle):
    x, y, names = pairs_of_networks()
    found = correlation(kind, x, y, names)
    assert (found.value, found.n) == (pytest.approx(oracle(x, y).statistic), 24)
    rng = np.random.default_rng(5)
    by_network = [np.array(part).reshape(8, 3) for part in (x, y)]
    drawn = []
    for _ in range(1000):
        networks = rng.integers(8, size=8)
        drawn.append(oracle(*(part[networks].ravel() for part in by_network)).statistic)
    low, high = np.quantile(drawn, (0.025, 0.975))
    assert (found.low, found.high) == (pytest.approx(low, abs=0.08), pytest.approx(high, abs=0.08))


def test_pairs_of_one_network_are_drawn_together():
    # Each network's pairs are copies of one: as many networks as pairs would give a narrower interval.
    x, y, _ = pairs_of_networks(6, 1)
    names = tuple(f"net-{index}" for index in range(6))
    thrice = tuple(np.repeat(x, 3).tolist()), tuple(np.repeat(y, 3).tolist()), tuple(np.repeat(names, 3).tolist())
    once, copied = correlation("Pearson", x, y, names), correlation("Pearson", *thrice)
    assert copied.value == pytest.approx(once.value)
    assert (copied.low, copied.high) == (pytest.approx(once.low), pytest.approx(once.high))


def test_equal_input_gives_equal_intervals():
    x, y, names = pairs_of_networks()
    correlation.cache_clear()
    first = correlation("Kendall", x, y, names)
    correlation.cache_clear()
    assert correlation("Kendall", x, y, names) == first


def test_resamples_without_a_correlation_are_left_out():
    # Of three networks two agree in x, so that some resamples have one x alone.
    found = correlation("Spearman", (1.0, 1.0, 2.0), (1.0, 2.0, 3.0), ("a", "b", "c"))
    assert found.value == pytest.approx(math.sqrt(3) / 2)
    assert found.low is not None and found.high == pytest.approx(1.0) and math.isfinite(found.low)


@pytest.mark.parametrize(
    ("x", "y"),
    [((), ()), ((1.0,), (2.0,)), ((1.0, 1.0, 1.0), (1.0, 2.0, 3.0)), ((0.1 + 0.2, 0.3, 0.3), (1.0, 2.0, 3.0))],
)
def test_a_correlation_that_is_not_defined_is_nan_without_an_interval(x, y):
    found = correlation("Pearson", x, y, ("a", "b", "c")[: len(x)])
    assert math.isnan(found.value) and found.n == len(x)
    assert found.low is found.high is None


def test_two_networks_have_a_correlation_without_an_interval():
    found = correlation("Pearson", (0.1, 0.2, 0.3), (0.2, 0.4, 0.3), ("a", "b", "b"))
    assert found.value == pytest.approx(0.5) and found.low is found.high is None


def test_the_line_is_that_of_least_squares():
    line = least_squares_line([0.0, 1.0, 2.0], [1.0, 3.0, 8.0])
    assert line == (pytest.approx(3.5), pytest.approx(0.5))  # by hand: Σ(x-1)(y-4) / Σ(x-1)² = 7 / 2
    x, y, _ = pairs_of_networks()
    assert least_squares_line(x, y) == pytest.approx(tuple(np.polyfit(x, y, 1)))


@pytest.mark.parametrize("x", [[], [1.0], [2.0, 2.0]])
def test_points_above_each_other_have_no_line(x):
    assert least_squares_line(x, x) is None
