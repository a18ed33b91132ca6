"""Made-up summaries: bars beside published figures, bars without any, and ordered pairs."""

from __future__ import annotations

import numpy as np
from scipy import stats

from medarts_ops.summary import Bar, Bars, Column, Estimate, Pairs, Point, Statistic, Summary

CAPTION = "Mean ± standard deviation over seeds 0 to 2 (n = 3); 600 epochs on 50,000 images of CIFAR-10 at 32×32."
COLUMNS = (
    Column("subject", "network"),
    Column("error", "test error", "share", "measured here"),
    Column("parameters", "parameters", "millions", "measured here"),
    Column("published", "test error", "percent", "published"),
)


def make_estimate(values: tuple[float, ...]) -> Estimate:
    """By SciPy."""
    mean, n = float(np.mean(values)), len(values)
    if n == 1:
        return Estimate(mean, 1)
    sem = float(stats.sem(values))
    low, high = stats.t.interval(0.95, n - 1, mean, sem)
    return Estimate(mean, n, float(np.std(values, ddof=1)), sem, float(low), float(high))


def make_bar(label: str, values: tuple[float, ...], published: float | None = None) -> Bar:
    """A bar of what was measured, if anything was."""
    return Bar(label, make_estimate(values) if values else None, values, published)


def make_summary(*bars: Bar, figure: Bars | Pairs | None = None, statistics: tuple[Statistic, ...] = ()) -> Summary:
    """A summary whose table and figure have a row each for these bars; a figure may be given instead."""
    rows = tuple(
        {
            "subject": bar.label,
            "error": bar.estimate,
            "parameters": 3_349_342,
            "published": None if bar.published is None else 100 * bar.published,
        }
        for bar in bars
    )
    return Summary(
        name="table4-1",
        kind="table4",
        scale="small",
        title="Along the line of descent",
        caption=CAPTION,
        columns=COLUMNS,
        rows=rows,
        statistics=statistics,
        figure=figure or Bars("test error (%)", bars),
    )


def make_table4() -> Summary:
    """Three networks of three seeds each, a third one's last seed missing."""
    return make_summary(
        make_bar("g_init", (0.033, 0.035, 0.036), 0.0332),
        make_bar("g_mid", (0.028, 0.029, 0.031), 0.0282),
        make_bar("g_best", (0.026, 0.027), 0.026),
    )


def make_sweep(n: int) -> Summary:
    """`n` settings with long names, all much alike; every fifth has no result."""
    rng = np.random.default_rng(0)
    bars = [
        make_bar(
            f"strategy.order=second weights.lr=0.{number:03d} proposals.study=of-mine",
            () if number % 5 == 4 else tuple(float(value) for value in rng.normal(0.95, 0.002, 3)),
        )
        for number in range(n)
    ]
    return make_summary(*bars)


def make_pairs(networks: int = 10, groups: int = 4) -> Summary:
    """Networks at growing samples: a point for each network and each two neighbouring sizes."""
    rng = np.random.default_rng(0)
    names = [f"{10 * (group + 1)},000 → {10 * (group + 2)},000 images" for group in range(groups)]
    quality = rng.normal(0, 0.02, networks)
    points = tuple(
        Point(
            float(0.70 + 0.04 * group + quality[number] + rng.normal(0, 0.003)),
            float(0.74 + 0.035 * group + quality[number] + rng.normal(0, 0.003)),
            f"random-{number:02d}",
            names[group],
        )
        for group in range(groups)
        for number in range(networks)
    )
    xs, ys = [one.x for one in points], [one.y for one in points]
    line = stats.linregress(xs, ys)
    statistics = (
        Statistic("pearson", "Pearson r", float(line.rvalue), len(points), 0.91, 0.995, published=0.9899),
        Statistic("spearman", "Spearman ρ", float(stats.spearmanr(xs, ys).statistic), len(points), 0.9, 0.99),
    )
    figure = Pairs(
        "accuracy on a sample (%)",
        "accuracy on the next larger one (%)",
        points,
        float(line.slope),
        float(line.intercept),
    )
    return make_summary(figure=figure, statistics=statistics)
