"""Estimates over seeds, paired differences, correlations with their intervals, lines: by SciPy."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np

from medarts_ops.summary import Estimate

CONFIDENCE = 0.95
RESAMPLES = 2000
LEAST_CLUSTERS = 3
"""Two networks' resamples are two points or one: no interval comes of that."""

CorrelationKind = Literal["Pearson", "Spearman", "Kendall"]


class Correlation(NamedTuple):
    """A correlation over `n` pairs with its 95 % interval; NaN where it is not defined, None without an interval."""

    value: float
    n: int
    low: float | None
    high: float | None


class Line(NamedTuple):
    """y = `slope` x + `intercept`."""

    slope: float
    intercept: float


def estimate(values: Sequence[float]) -> Estimate:
    """Mean, sample's standard deviation, standard error, and the mean's 95 % interval by Student's t.

    One value gives its mean alone. Equal values give an interval without width.
    """
    mean, n = float(np.mean(values)), len(values)
    if n == 1:
        return Estimate(mean, n)
    from scipy import stats

    std = float(np.std(values, ddof=1))
    sem = std / n**0.5
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * sem
    return Estimate(mean, n, std, sem, mean - reach, mean + reach)


def paired_difference(first: Mapping[int, float], second: Mapping[int, float]) -> tuple[Estimate, float] | None:
    """`second` minus `first`, both by seed, over the seeds that both have, and the p of the paired t-test (two-sided).

    None for fewer than two common seeds. p is NaN where all differences are equal: then the test is not defined.
    """
    common = [seed for seed in first if seed in second]
    if len(common) < 2:
        return None
    from scipy import stats

    difference = estimate([second[seed] - first[seed] for seed in common])
    if not difference.std:
        return difference, float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # it warns where differences are nearly equal, and is right
        test = stats.ttest_rel([second[seed] for seed in common], [first[seed] for seed in common])
    return difference, float(test.pvalue)


@lru_cache(maxsize=256)
def correlation(
    kind: CorrelationKind, x: tuple[float, ...], y: tuple[float, ...], clusters: tuple[str, ...]
) -> Correlation:
    """The correlation of pairs `x [pair]`, `y [pair]`, with a percentile bootstrap interval over clusters.

    `clusters [pair]` names what each pair belongs to, such as its network: pairs of one network are no independent
    observations, so networks are drawn, each with all of its pairs. Equal input gives equal output. Resamples in which
    the correlation is not defined are left out. Kendall's is tau-b.
    """
    first, second = np.array(x), np.array(y)
    value = _correlated(kind, first, second)
    names = sorted(set(clusters))
    if len(names) < LEAST_CLUSTERS or np.isnan(value):
        return Correlation(value, len(x), None, None)
    from scipy import stats

    members = [np.flatnonzero(np.array(clusters) == name) for name in names]

    def resampled(drawn: np.ndarray) -> float:
        pairs = np.concatenate([members[cluster] for cluster in drawn])
        return _correlated(kind, first[pairs], second[pairs])

    with warnings.catch_warnings():
        # SciPy's own interval is NaN where some resamples have no correlation, which it warns of.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        drawn = stats.bootstrap(
            (np.arange(len(names)),),
            resampled,
            n_resamples=RESAMPLES,
            vectorized=False,
            method="percentile",
            random_state=np.random.default_rng(0),
        ).bootstrap_distribution
    low, high = np.nanquantile(drawn, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))
    return Correlation(value, len(x), float(low), float(high))


def least_squares_line(x: Sequence[float], y: Sequence[float]) -> Line | None:
    """The line through the points `x [point]`, `y [point]`; None for fewer than two different x."""
    if _is_constant(np.array(x)):
        return None
    from scipy import stats

    fit = stats.linregress(x, y)
    return Line(float(fit.slope), float(fit.intercept))


def _correlated(kind: CorrelationKind, x: np.ndarray, y: np.ndarray) -> float:
    if _is_constant(x) or _is_constant(y):
        return float("nan")
    from scipy import stats

    measure = {"Pearson": stats.pearsonr, "Spearman": stats.spearmanr, "Kendall": stats.kendalltau}[kind]
    return float(measure(x, y).statistic)


def _is_constant(values: np.ndarray) -> bool:
    """Whether values are one, up to rounding; also of fewer than two."""
    return len(values) < 2 or bool(np.ptp(values) <= 1e-12 * np.abs(values).max())
