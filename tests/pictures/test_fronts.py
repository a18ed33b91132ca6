"""The plane of objectives: all individuals, their fronts, who survives, who is a child."""

from __future__ import annotations

import io
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
from factories import make_failed, make_pruned, make_ranked, make_stage_result
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from pictures.searches import make_search, make_search_with_all_operators
from PIL import Image

from medarts_ops.errors import SearchError
from medarts_ops.individual import RankedIndividual, StageResult, Yardstick
from medarts_ops.pictures.figures import INK, PALE, colour, png_bytes
from medarts_ops.pictures.fronts import front_figure, front_html
from medarts_ops.space.formats import format_darts

SEARCH = make_search()
MID = SEARCH.stages[1]


def dots(figure: Figure, gid: str | None = None) -> list[PathCollection]:
    return [one for one in figure.axes[0].collections if isinstance(one, PathCollection) and one.get_gid() == gid]


def places(collections: list[PathCollection]) -> set[tuple[float, float]]:
    return {(round(x, 6), round(y, 6)) for one in collections for x, y in np.asarray(one.get_offsets())}


def place(one: RankedIndividual) -> tuple[float, float]:
    values = one.evaluated.objectives
    return round(values["params"] / 1e6, 6), round(100 * values["accuracy"], 6)


def with_objectives(*objectives: dict[str, float]) -> StageResult:
    ranked = []
    for number, values in enumerate(objectives):
        made = make_ranked(number)
        ranked.append(made.model_copy(update={"evaluated": made.evaluated.model_copy(update={"objectives": values})}))
    return make_stage_result(ranked)


def test_every_individual_is_a_point_in_its_units():
    figure = front_figure(MID, "search-test")
    assert places(dots(figure)) == {place(one) for one in MID.ranked}
    axes = figure.axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("params (M)", "accuracy (%)")
    assert figure.get_suptitle() == "Pareto fronts of stage mid of search-test"


def test_survivors_are_ringed_and_nobody_else():
    figure = front_figure(SEARCH.stages[0], "search-test", {one.id for one in SEARCH.stages[0].ranked[:4]})
    assert places(dots(figure, "ring")) == {place(one) for one in SEARCH.stages[0].ranked[:4]}
    assert dots(front_figure(MID, "search-test"), "ring") == []


def test_crossover_children_have_a_marker_of_their_own():
    figure = front_figure(MID, "search-test")
    by_corners: Counter[int] = Counter()
    for one in dots(figure):
        by_corners[len(one.get_paths()[0].vertices)] += len(one.get_offsets())
    triangle, square = 4, 5
    assert by_corners == {triangle: 4, square: 4}


def test_every_front_is_a_line_of_its_own_colour_through_its_members():
    figure = front_figure(MID, "search-test")
    lines = {line.get_color(): line for line in figure.axes[0].lines if line.get_gid() == "front"}
    fronts = {one.front for one in MID.ranked}
    assert set(lines) == {colour(front) for front in fronts}
    for front in fronts:
        found = [(round(x, 6), round(y, 6)) for x, y in np.asarray(lines[colour(front)].get_xydata())]
        assert found == sorted(place(one) for one in MID.ranked if one.front == front)


def test_every_individual_has_its_id_beside_it():
    texts = {text.get_text() for text in front_figure(MID, "search-test").axes[0].texts}
    assert {one.id for one in MID.ranked} <= texts


def test_a_late_front_is_grey():
    stage = make_stage_result([make_ranked(number, 0.9 - 0.1 * number, front=number) for number in range(7)])
    colours = {line.get_color() for line in front_figure(stage, "s").axes[0].lines}
    assert PALE in colours
    assert len(colours) == 6


def test_of_three_objectives_two_are_shown_and_the_picture_says_so():
    stage = with_objectives(
        {"accuracy": 0.5, "params": 3e6, "macs": 5e8},
        {"accuracy": 0.6, "params": 2e6, "macs": 6e8},
    )
    figure = front_figure(stage, "s")
    assert "the first two of 3 objectives (accuracy, params, macs)" in figure.axes[0].get_title()
    assert not figure.axes[0].lines
    assert "the first two of 3 objectives" in front_html(stage, "s")
    assert "multiply-adds (M): 600" in front_html(stage, "s")


def test_a_single_objective_stands_over_the_individuals_numbers():
    figure = front_figure(with_objectives({"accuracy": 0.5}, {"accuracy": 0.25}), "s")
    assert places(dots(figure)) == {(0, 50), (1, 25)}
    assert figure.axes[0].get_xlabel() == "number of the individual"


def test_who_was_pruned_is_counted():
    stage = make_stage_result([make_ranked(0)]).model_copy(update={"pruned": (make_pruned(1), make_pruned(2))})
    assert front_figure(stage, "s").axes[0].get_title() == "2 pruned: init-01, init-02"


def test_what_has_no_place_or_failed_is_counted():
    ranked = [make_ranked(0), make_ranked(1, float("nan"))]
    title = front_figure(make_stage_result(ranked, [make_failed(2)]), "s").axes[0].get_title()
    assert title == "1 without finite objectives not shown; 1 failed: init-02"


def test_a_stage_without_anybody_is_refused():
    for draw in (front_figure, front_html):
        with pytest.raises(SearchError, match="no ranked individual"):
            draw(make_stage_result([], [make_failed()]), "s")


def test_a_picture_has_the_stated_size():
    figure = front_figure(MID, "search-test")
    with Image.open(io.BytesIO(png_bytes(figure))) as image:
        assert image.size == tuple(figure.get_size_inches() * figure.dpi)


def test_a_page_tells_everything_of_an_individual_on_hovering():
    first = MID.ranked[0]
    page = plain(front_html(MID, "search-test", {MID.ranked[0].id}, {first.id: "run-0123"}))
    assert f"{first.id} ({first.trained.individual.origin}, survives)<br>run run-0123<br>parents " in page
    assert page.count("run run-") == 1
    for one in MID.ranked:
        assert one.id in page
        hover = next(text for text in re.findall(r'"([^"]*?crowding distance[^"]*)"', page) if text.startswith(one.id))
        assert f"crowding distance {one.crowding_distance:.4g}" in hover
        assert f"accuracy (%): {100 * one.evaluated.objectives['accuracy']:.5g}" in hover
        assert format_darts(one.trained.genotype) in hover.replace("<br>", " ")


def test_a_page_loads_nothing_from_elsewhere():
    page = front_html(MID, "search-test")
    assert page.lstrip().startswith(("<html", "<!DOCTYPE", "<!doctype"))
    assert not re.findall(r"<script[^>]*\ssrc\s*=", page)
    assert not re.findall(r"<link[^>]*\shref\s*=", page)


def test_a_name_cannot_break_out_of_a_page():
    wicked = "</script><script>alert(1)</script>"
    page = front_html(MID, wicked, (), {MID.ranked[0].id: wicked})
    assert "<script>alert(1)" not in page
    assert "<script>alert(1)" not in plain(page)


def test_survivors_have_a_dark_rim_on_a_page_too():
    page = front_html(MID, "search-test", {MID.ranked[0].id})
    assert page.count(f'"color":"{INK}","width":[2.5') + len(re.findall(r'"width":\[0[^\]]*2\.5', page)) == 1


def plain(page: str) -> Any:
    """The data of a page with their escapes undone."""
    data = page[page.rindex("Plotly.newPlot") :]
    return re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), data)


def test_every_origin_has_a_shape_of_its_own_and_the_page_names_it():
    stage = make_search_with_all_operators().stages[1]
    markers = {each.get_paths()[0].vertices.tobytes() for each in dots(front_figure(stage, "search-test"))}
    assert len(markers) == 5
    page = front_html(stage, "search-test")
    for named in (
        "square: inherited",
        "triangle-down: node-wise child",
        "diamond: mutant",
        "pentagon: consensus child",
    ):
        assert named in page


def at_chance(*accuracies: float) -> StageResult:
    ranked = [make_ranked(number, accuracy) for number, accuracy in enumerate(accuracies)]
    return make_stage_result(ranked).model_copy(update={"yardstick": Yardstick(images=90, chance=1 / 3, steps=8)})


def test_chance_is_a_line_where_accuracies_are_not_far_above_it():
    figure = front_figure(at_chance(0.34, 0.35), "s")
    (line,) = [each for each in figure.axes[0].lines if each.get_gid() == "chance"]
    assert np.allclose(line.get_ydata(), 100 / 3)
    assert "chance 33.3 %" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert "chance 33.3 %" in front_html(at_chance(0.34, 0.35), "s")


def test_far_above_chance_only_the_legend_says_what_it_is():
    figure = front_figure(at_chance(0.94, 0.95), "s")
    assert not [each for each in figure.axes[0].lines if each.get_gid() == "chance"]
    assert figure.axes[0].get_ylim()[0] > 90
    assert "chance 33.3 % (below)" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_chance_is_no_line_where_accuracy_is_no_axis():
    stage = with_objectives({"derived_loss": 0.5, "params": 3e6}, {"derived_loss": 0.6, "params": 2e6})
    figure = front_figure(stage.model_copy(update={"yardstick": Yardstick(images=90, chance=0.5, steps=8)}), "s")
    assert not [each for each in figure.axes[0].lines if each.get_gid() == "chance"]
