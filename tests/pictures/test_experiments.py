"""The figure of an experiment: every number at its place, what is published told apart, nothing on top of another."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from pictures.summaries import make_bar, make_pairs, make_summary, make_sweep, make_table4
from scipy import stats

from medarts_ops.errors import SearchError
from medarts_ops.pictures.bars import PUBLISHED
from medarts_ops.pictures.experiments import experiment_figure, experiment_html
from medarts_ops.pictures.figures import drawn_png
from medarts_ops.pictures.parameters import OURS, PAPER
from medarts_ops.summary import Bar, Bars, Estimate, Pairs, Point, Statistic, Summary


def texts(figure: Figure) -> list[Text]:
    """All that can be read in it: matplotlib keeps labels of ticks beyond the axes, too, and draws none."""
    drawn_png(lambda: figure)
    beyond = set()
    for axis in (figure.axes[0].xaxis, figure.axes[0].yaxis):
        low, high = sorted(axis.get_view_interval())
        beyond |= {tick.label1 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high}
    found = [one for one in figure.findobj(Text) if isinstance(one, Text) and one not in beyond]
    return [one for one in found if one.get_visible() and one.get_text().strip()]


def words(figure: Figure) -> str:
    return " ".join(" ".join(one.get_text().split()) for one in texts(figure))


def marks(figure: Figure, gid: str) -> list[tuple[float, float]]:
    dots = [one for one in figure.axes[0].collections if one.get_gid() == gid]
    return [(round(float(x), 6), round(float(y), 6)) for one in dots for x, y in np.asarray(one.get_offsets())]


def widths(figure: Figure) -> list[tuple[float, float]]:
    """Where each bar starts and how long it is."""
    return [(bar.get_x(), round(bar.get_width(), 6)) for bar in figure.axes[0].patches]  # type: ignore[attr-defined]


def traces(page: str) -> list[dict[str, Any]]:
    """What plotly draws."""
    data = page[page.rindex("Plotly.newPlot") :]
    found: list[dict[str, Any]] = json.JSONDecoder().raw_decode(data[data.index("[") :])[0]
    return found


def test_a_bar_starts_at_zero_and_ends_at_the_mean() -> None:
    figure = experiment_figure(make_table4())
    expected = [100 * np.mean(values) for values in ([0.033, 0.035, 0.036], [0.028, 0.029, 0.031], [0.026, 0.027])]
    assert widths(figure) == [(0, round(mean, 6)) for mean in expected]
    axes = figure.axes[0]
    assert axes.get_xlim()[0] == 0
    assert axes.get_xlabel() == "test error (%)"
    assert [one.get_text() for one in axes.get_yticklabels()] == ["g_init", "g_mid", "g_best"]


def test_the_whisker_is_the_means_interval_by_students_t() -> None:
    figure = experiment_figure(make_summary(make_bar("a", (0.033, 0.035, 0.036)), make_bar("b", (0.02, 0.021, 0.025))))
    whiskers = [one.get_segments()[0] for one in figure.axes[0].collections if hasattr(one, "get_segments")]
    for values, whisker in zip(([0.033, 0.035, 0.036], [0.02, 0.021, 0.025]), whiskers, strict=True):
        interval = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
        assert [x for x, _ in whisker] == pytest.approx([100 * end for end in interval])


def test_an_interval_of_a_share_ends_where_shares_end() -> None:
    figure = experiment_figure(make_summary(make_bar("a", (0.1, 0.9)), make_bar("b", (0.2, 0.3))))
    low, high = figure.axes[0].get_xlim()
    assert low == 0 and high < 105


def test_one_seed_has_neither_whisker_nor_deviation() -> None:
    figure = experiment_figure(make_summary(make_bar("a", (0.3,)), make_bar("b", (0.2,))))
    assert "30.00 %" in words(figure)
    assert "±" not in words(figure).replace(make_table4().caption, "") and "interval" not in words(figure)
    assert marks(figure, "seed") == []


def test_every_seed_is_a_dot() -> None:
    found = sorted(x for x, _ in marks(experiment_figure(make_table4()), "seed"))
    assert found == [2.6, 2.7, 2.8, 2.9, 3.1, 3.3, 3.5, 3.6]


def test_what_is_published_is_a_diamond_of_another_colour_that_hides_nothing() -> None:
    figure = experiment_figure(make_table4())
    assert [x for x, _ in marks(figure, "published")] == [3.32, 2.82, 2.6]
    assert PUBLISHED in words(figure) and OURS != PAPER
    for (_, y), bar in zip(marks(figure, "published"), figure.axes[0].patches, strict=True):
        assert y > bar.get_y() + bar.get_height()  # type: ignore[attr-defined]
    assert PUBLISHED not in words(experiment_figure(make_summary(make_bar("a", (0.3,)))))


def test_n_stands_where_a_seed_is_missing() -> None:
    assert words(experiment_figure(make_table4())).count("(n = 2)") == 1


def test_what_is_missing_leaves_a_gap_with_a_word() -> None:
    figure = experiment_figure(make_summary(make_bar("a", (0.3,)), make_bar("b", ()), make_bar("c", (), 0.0346)))
    assert len(widths(figure)) == 1
    assert "no result" in words(figure) and "not measured here" in words(figure)
    assert len(figure.axes[0].get_yticklabels()) == 3


def test_values_that_are_all_alike_are_dots_and_the_axis_says_that_it_does_not_start_at_zero() -> None:
    figure = experiment_figure(make_sweep(10))
    assert widths(figure) == []
    assert len(marks(figure, "mean")) == 8
    assert "the axis does not start at 0" in figure.axes[0].get_xlabel()
    assert figure.axes[0].get_xlim()[0] > 90
    assert "the axis does not start at 0" in experiment_html(make_sweep(10))


def test_an_axis_of_dots_that_a_wide_interval_draws_down_to_zero_does_not_say_that_it_starts_elsewhere() -> None:
    alike = make_summary(make_bar("a", (0.010, 0.014, 0.031)), make_bar("b", (0.012, 0.022, 0.025)))
    figure = experiment_figure(alike)
    assert widths(figure) == []
    assert figure.axes[0].get_xlim()[0] == 0
    assert "the axis does not start at 0" not in figure.axes[0].get_xlabel()
    assert "the axis does not start at 0" not in experiment_html(alike)


@pytest.mark.parametrize(
    "summary",
    [make_table4(), make_sweep(10), make_sweep(20), make_pairs(), make_pairs(10, 1)],
    ids=["table4", "10 arms", "20 arms", "40 pairs", "10 pairs"],
)
def test_no_text_lies_on_another_or_leaves_the_picture(summary: Summary) -> None:
    figure = experiment_figure(summary)
    boxes = [one.get_window_extent().padded(-1) for one in texts(figure)]
    assert not [(one, other) for one, other in combinations(boxes, 2) if one.overlaps(other)]
    frame = figure.bbox
    assert all(box.x0 >= 0 and box.x1 <= frame.x1 and box.y0 >= 0 and box.y1 <= frame.y1 for box in boxes)


def test_the_caption_stands_below_the_plot() -> None:
    for summary in (make_table4(), make_pairs()):
        figure = experiment_figure(summary)
        assert summary.caption in words(figure)


def test_a_pair_is_a_point_in_percent_and_a_group_has_a_colour_and_a_shape() -> None:
    summary = make_pairs()
    assert isinstance(summary.figure, Pairs)
    axes = experiment_figure(summary).axes[0]
    found = [np.asarray(one.get_offsets()) for one in axes.collections]
    expected = [(100 * one.x, 100 * one.y) for one in summary.figure.points]
    assert np.concatenate(found) == pytest.approx(np.array(expected))
    assert len({tuple(one.get_facecolor()[0]) for one in axes.collections}) == 4  # type: ignore[index,arg-type]
    assert len({len(one.get_paths()[0].vertices) for one in axes.collections}) >= 3
    assert (axes.get_xlabel(), axes.get_ylabel()) == (summary.figure.x_label, summary.figure.y_label)


@pytest.mark.parametrize("label", ["accuracy", "accuracy (%)"])
def test_an_axis_of_shares_says_percent_once(label: str) -> None:
    bars = make_summary(figure=Bars(label, (make_bar("a", (0.1,)),)))
    pairs = make_summary(figure=Pairs(label, label, (Point(0.5, 0.6, "s", "g"),), None, None))
    axes = experiment_figure(pairs).axes[0]
    assert {experiment_figure(bars).axes[0].get_xlabel(), axes.get_xlabel(), axes.get_ylabel()} == {"accuracy (%)"}
    numbers = replace(bars, figure=Bars("loss", (make_bar("a", (1.5,)),), is_share=False))
    assert experiment_figure(numbers).axes[0].get_xlabel() == "loss" and "1.5" in words(experiment_figure(numbers))


def test_the_trend_line_is_the_least_squares_line_and_dashed() -> None:
    summary = make_pairs()
    assert isinstance(summary.figure, Pairs)
    (line,) = experiment_figure(summary).axes[0].lines
    slope, intercept = np.polyfit(
        [100 * p.x for p in summary.figure.points], [100 * p.y for p in summary.figure.points], 1
    )
    for x, y in np.asarray(line.get_xydata()):
        assert y == pytest.approx(slope * x + intercept)
    assert line.get_linestyle() == "--"
    assert f"trend: y = {slope:.2f} x + {intercept:.1f} %" in words(experiment_figure(summary))


def test_a_percent_is_as_wide_as_it_is_high() -> None:
    axes = experiment_figure(make_pairs()).axes[0]
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    box = axes.get_window_extent()
    assert box.width / (right - left) == pytest.approx(box.height / (top - bottom))


def test_correlations_stand_in_the_figure_beside_the_papers() -> None:
    assert re.search(r"Pearson r = 0\.9\d\d \[0\.910, 0\.995\], n = 40; published 0\.9899", words(
        experiment_figure(make_pairs())))  # fmt: skip
    assert "Spearman ρ = 0.9" in words(experiment_figure(make_pairs()))


def test_a_few_pairs_have_their_subjects_beside_them() -> None:
    shown = words(experiment_figure(make_pairs(10, 1)))
    assert all(f"random-{number:02d}" in shown for number in range(10))


def test_more_statistics_than_there_is_room_for_are_cut_and_that_is_said() -> None:
    summary = replace(make_pairs(), statistics=tuple(Statistic(f"s{n}", f"tau {n}", 0.5, 10) for n in range(40)))
    assert "the rest stands in the report" in words(experiment_figure(summary))
    assert "tau 39" in experiment_html(summary)


def test_without_pairs_a_word_stands_there_and_what_is_not_finite_has_no_place() -> None:
    empty = Pairs("x (%)", "y (%)", (), None, None)
    assert "no pair yet" in words(experiment_figure(make_summary(figure=empty)))
    broken = replace(empty, points=(Point(math.nan, 0.5, "a", "g"), Point(0.5, 0.5, "b", "g")))
    (dots,) = experiment_figure(make_summary(figure=broken)).axes[0].collections
    assert np.asarray(dots.get_offsets()).tolist() == [[50, 50]]
    experiment_html(make_summary(figure=empty))


def test_of_a_bar_what_is_not_finite_is_left_out() -> None:
    nowhere, whole = Estimate(math.nan, 2, math.nan, math.nan, math.nan, math.nan), make_bar("b", (0.1, 0.2))
    without_interval = Bar("c", Estimate(0.1, 2, 0.0, 0.0, math.nan, math.nan), (0.1, math.nan), math.nan)
    summary = make_summary(figure=Bars("test error (%)", (Bar("a", nowhere), whole, without_interval)))
    assert len(widths(experiment_figure(summary))) == 2
    assert "no result" in words(experiment_figure(summary))
    assert len(traces(experiment_html(summary))[0]["x"]) == 2


def test_an_experiment_without_a_bar_has_a_figure_all_the_same() -> None:
    for draw in (experiment_figure, experiment_html):
        draw(make_summary(figure=Bars("test error (%)", ())))


def test_a_summary_without_a_figure_is_refused() -> None:
    for draw in (experiment_figure, experiment_html):
        with pytest.raises(SearchError, match=r"'table4-1' has no figure"):
            draw(replace(make_table4(), figure=None))


def test_no_text_is_taken_as_tex() -> None:
    bars = replace(
        make_table4(), title="$a$ of $b", caption="$x_1$ and $", figure=Bars("$%$ (", (make_bar("$_$", (0.1,)),))
    )
    points = (Point(0.5, 0.6, "$s$", "_$g_$"),)
    pairs = make_summary(
        figure=Pairs("$x$ $", "$y_$", points, 1.0, 0.0), statistics=(Statistic("s", "$r_$ $", 0.5, 1),)
    )
    assert "$x_1$ and $" in words(experiment_figure(bars)) and "$_$" in words(experiment_figure(bars))
    assert "$s$" in words(experiment_figure(pairs)) and "_$g_$" in words(experiment_figure(pairs))


def test_hovering_tells_everything_of_a_bar() -> None:
    measured, _, published = traces(experiment_html(make_table4()))
    low, high = stats.t.interval(0.95, 2, 0.0346666667, stats.sem([0.033, 0.035, 0.036]))
    assert measured["hovertext"][0].split("<br>") == [
        "g_init",
        "measured here: 3.47 ± 0.15 %, n = 3",
        f"95 % interval of the mean: {100 * low:.2f} % to {100 * high:.2f} %",
        "each seed: 3.30 %, 3.50 %, 3.60 %",
        "published (not measured here): 3.32 %",
    ]
    assert published["x"] == pytest.approx([3.32, 2.82, 2.6])
    assert measured["hovertext"] == published["hovertext"]


def test_hovering_tells_everything_of_a_pair() -> None:
    summary = make_pairs()
    assert isinstance(summary.figure, Pairs)
    first, point = traces(experiment_html(summary))[0], summary.figure.points[0]
    assert first["hovertext"][0].split("<br>") == [
        "random-00",
        "10,000 → 20,000 images",
        f"accuracy on a sample (%): {100 * point.x:.2f}",
        f"accuracy on the next larger one (%): {100 * point.y:.2f}",
    ]


@pytest.mark.parametrize("summary", [make_table4(), make_pairs()], ids=["bars", "pairs"])
def test_a_page_loads_nothing_from_elsewhere_and_no_name_breaks_out_of_it(summary: Summary) -> None:
    wicked = "</script><script>alert(1)</script><b>"
    figure = summary.figure
    if isinstance(figure, Bars):
        figure = replace(figure, unit=wicked, bars=(replace(figure.bars[0], label=wicked),))
    else:
        assert figure is not None
        figure = replace(figure, x_label=wicked, points=(Point(0.5, 0.5, wicked, wicked),))
    page = experiment_html(replace(summary, title=wicked, caption=wicked, figure=figure))
    assert not re.findall(r"<(?:script|link)[^>]*\s(?:src|href)\s*=", page)
    plain = re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), page[page.rindex("Plotly.newPlot") :])
    assert "<script>alert(1)" not in page and "<script>alert(1)" not in plain and "<b>" not in plain
