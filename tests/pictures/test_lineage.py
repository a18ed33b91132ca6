"""The family tree: everybody, in columns of stages, with lines to the parents."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from factories import make_failed, make_pruned, make_ranked, make_stage_result
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.patches import PathPatch
from pictures.searches import make_search, make_search_with_all_operators

from medarts_ops.individual import SearchResult, lineage_of
from medarts_ops.pictures.figures import ORIGINS, png_bytes
from medarts_ops.pictures.lineage import HIGHLIGHT, lineage_figure, relatives

SEARCH = make_search()
PEOPLE = relatives(SEARCH)


def ancestry(result: SearchResult) -> set[str]:
    return {individual.id for individual in lineage_of(result.stages, result.best.id)}


def test_the_ancestry_leads_from_the_found_one_to_random_individuals():
    kin = ancestry(SEARCH)
    assert SEARCH.best.id in kin
    for name in kin:
        individual = PEOPLE[name].individual
        assert set(individual.parents) <= kin
        assert individual.origin != "random" or not individual.parents
    assert {PEOPLE[name].individual.stage for name in kin} == {0, 1, 2}
    assert len(kin) < len(PEOPLE)


def test_everybody_stands_in_the_column_of_the_stage_and_the_row_of_the_rank():
    axes = lineage_figure(SEARCH).axes[0]
    found = {
        str(dots.get_gid()): [(float(x), float(y)) for x, y in np.asarray(dots.get_offsets())]
        for dots in axes.collections
        if isinstance(dots, PathCollection) and dots.get_gid()
    }
    for origin in ("random", "inherited", "crossover"):
        expected = [
            (stage.index, row)
            for stage in SEARCH.stages
            for row, one in enumerate(stage.ranked)
            if one.trained.individual.origin == origin
        ]
        assert found[origin] == expected
    assert found["failed"] == [(0, 8)]


def test_a_pruned_individual_is_a_dash_behind_the_ranked_ones():
    stage = make_stage_result([make_ranked()], [make_failed(1)]).model_copy(update={"pruned": (make_pruned(2),)})
    figure = lineage_figure(SearchResult(search_id="s", stages=(stage,)))
    places = {dots.get_gid(): np.asarray(dots.get_offsets()).tolist() for dots in figure.axes[0].collections}
    assert (places["pruned"], places["failed"]) == ([[0, 1]], [[0, 2]])
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"pruned", "failed"} <= set(labels)
    assert "pruned" not in [text.get_text() for text in lineage_figure(SEARCH).legends[0].get_texts()]


def test_colour_is_accuracy_in_percent():
    axes, bar = lineage_figure(SEARCH).axes
    values = np.concatenate([np.asarray(dots.get_array()) for dots in axes.collections if dots.get_gid() in (
        "random", "inherited", "crossover")])  # fmt: skip
    expected = [100 * one.accuracy for one in PEOPLE.values() if one.accuracy is not None]
    np.testing.assert_allclose(sorted(values), sorted(expected))
    assert bar.get_ylabel() == "accuracy (%)"


def test_lines_join_children_with_their_parents_and_the_found_ones_ancestry_stands_out():
    axes = lineage_figure(SEARCH).axes[0]
    lines = {str(one.get_gid()): one for one in axes.patches if isinstance(one, PathPatch)}
    pairs = {
        f"{one.individual.id} from {parent}": (one, number)
        for one in PEOPLE.values()
        for number, parent in enumerate(one.individual.parents)
    }
    assert set(lines) == {*pairs, f"found: {SEARCH.best.id}"}
    kin = ancestry(SEARCH)
    for name, (child, number) in pairs.items():
        bright = to_hex(lines[name].get_edgecolor()) == HIGHLIGHT.lower()
        assert bright == (child.individual.id in kin)
        assert lines[name].get_linestyle() == ("--" if number else "-")
        x, y = lines[name].get_path().vertices[-1]
        assert (x, y) == (child.individual.stage, child.row)


def test_the_line_to_what_was_found_begins_at_it_and_passes_over_the_stages_behind_it():
    last = lineage_figure(SEARCH).axes[0]
    earlier = SEARCH.model_copy(update={"chosen": SEARCH.stages[0].ranked[2].id})
    first = lineage_figure(earlier).axes[0]
    for axes, result, stage, row in ((last, SEARCH, 2, 0), (first, earlier, 0, 2)):
        (line,) = [one for one in axes.patches if one.get_gid() == f"found: {result.best.id}"]
        places = line.get_path().vertices
        assert (tuple(places[0]), tuple(places[-1])) == ((stage, row), (3, row))
        between = [y for x, y in line.get_path().interpolated(20).vertices if 0.6 <= x <= 2.4]
        assert stage == 2 or (between and max(between) < 0)


def test_names_of_all_and_the_genotype_stand_beside_and_not_on_each_other():
    axes = lineage_figure(SEARCH).axes[0]
    texts = {text.get_text(): text.get_window_extent() for text in axes.texts}
    assert set(texts) == {*PEOPLE, f"genotype\n{SEARCH.best.trained.genotype.identity}"}
    assert not any(one.overlaps(other) for one, other in combinations(texts.values(), 2))
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels == ["stage 0: init", "stage 1: mid", "stage 2: final", "found"]


def test_a_search_of_one_stage_and_one_individual_can_be_drawn():
    alone = SearchResult(search_id="s", stages=(make_stage_result([make_ranked()]),))
    assert ancestry(alone) == {"init-00"}
    figure = lineage_figure(alone)
    assert png_bytes(figure)
    (dots,) = [one for one in figure.axes[0].collections if one.get_gid() == "random"]
    assert dots.get_clim() == figure.axes[1].get_ylim() == (49.5, 50.5)


def test_of_a_crowd_only_the_ancestry_keeps_its_names():
    ranked = [make_ranked(number, 0.5, front=min(number, 1)) for number in range(150)]
    crowd = SearchResult(search_id="s", stages=(make_stage_result(ranked, [make_failed(150)]),))
    texts = [text.get_text() for text in lineage_figure(crowd).axes[0].texts]
    assert texts == ["init-00", f"genotype\n{crowd.best.trained.genotype.identity}"]


def test_every_origin_has_a_shape_of_its_own_and_the_legend_names_those_that_are_there():
    figure = lineage_figure(make_search_with_all_operators())
    dots = {str(each.get_gid()): each for each in figure.axes[0].collections if isinstance(each, PathCollection)}
    shapes = [dots[name].get_paths()[0].vertices.tobytes() for name in ORIGINS if len(dots[name].get_offsets())]
    assert len(set(shapes)) == len(ORIGINS) == 6
    assert set(ORIGINS.values()) <= {text.get_text() for text in figure.legends[0].texts}
    papers = {text.get_text() for text in lineage_figure(SEARCH).legends[0].texts}
    assert papers & set(ORIGINS.values()) == {"random", "inherited", "crossover child"}


def test_a_consensus_has_a_line_to_each_of_its_parents():
    result = make_search_with_all_operators()
    (child,) = (one.individual for one in relatives(result).values() if one.individual.origin == "consensus")
    lines = {str(one.get_gid()) for one in lineage_figure(result).axes[0].patches}
    assert len(child.parents) == 4
    assert {f"{child.id} from {parent}" for parent in child.parents} <= lines
