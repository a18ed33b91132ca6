"""A cell's picture: every operation stands on its edge, and nothing lies on anything else."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import combinations, pairwise
from time import perf_counter

import numpy as np
import pytest
from factories import make_genotype
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, PathPatch

from medarts_ops.pictures.cells import (
    BROADEST,
    CELL_NAMES,
    INPUT_LABELS,
    LINE,
    NARROWEST,
    OUTPUT_LABEL,
    PILL,
    genotype_figure,
)
from medarts_ops.pictures.figures import png_bytes
from medarts_ops.pictures.layers import item_height, lay_out
from medarts_ops.space.genotype import CellKind, Genotype
from medarts_ops.space.zoo import zoo, zoo_genotype

CELLS: tuple[CellKind, CellKind] = ("normal", "reduce")
DEEPEST = Genotype(
    normal=tuple(("conv_7x1_1x7", source) for node in range(16) for source in (node, node + 1)),
    normal_concat=tuple(range(2, 18)),
    reduce=tuple(("sep_conv_7x7", source) for node in range(16) for source in (0, node + 1)),
    reduce_concat=(17,),
)


@cache
def drawn(name: str) -> Figure:
    """The picture of a published genotype, or of the deepest; for tests that only look at it."""
    return genotype_figure(DEEPEST if name == "deepest" else zoo_genotype(name), name)


def texts(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", sorted(zoo()))
def test_every_operation_of_a_published_cell_is_written_once_for_each_edge(name: str, cell: CellKind):
    genotype = zoo_genotype(name)
    axes = drawn(name).axes[CELLS.index(cell)]
    nodes = [str(2 + node) for node in range(genotype.n_nodes(cell))]  # as the genotype counts states
    operations = [operation for operation, _ in genotype.edges(cell)]
    assert Counter(texts(axes)) == Counter([*INPUT_LABELS, OUTPUT_LABEL, *nodes, *operations])


@pytest.mark.parametrize("name", [*sorted(zoo()), "deepest"])
def test_no_text_of_a_genotype_lies_on_another_or_leaves_the_picture(name: str):
    figure = drawn(name)
    written = [text for axes in figure.axes for text in [*axes.texts, axes.title]]
    boxes = [(text.get_text(), text.get_window_extent()) for text in written]
    for (one, box), (other, there) in combinations(boxes, 2):
        assert not box.overlaps(there), f"{one} lies on {other}"
    for text, box in boxes:
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1, text


@pytest.mark.parametrize("name", [*sorted(zoo()), "deepest"])
def test_every_operations_name_fits_its_box_and_boxes_stand_apart(name: str):
    for axes in drawn(name).axes:
        boxes = [patch.get_window_extent() for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
        assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
        for text in axes.texts:
            box, middle = text.get_window_extent(), text.get_transform().transform(text.get_position())
            around = [one for one in boxes if one.contains(*middle)]
            assert all(one.x0 < box.x0 and box.x1 < one.x1 for one in around), text.get_text()
            assert around or text.get_text().isdigit()


@pytest.mark.parametrize("name", [*sorted(zoo()), "deepest"])
def test_no_line_runs_through_the_name_of_an_operation(name: str):
    for axes in drawn(name).axes:
        boxes = [text.get_window_extent() for text in axes.texts]
        lines = [patch for patch in axes.patches if type(patch) is PathPatch]
        assert lines
        for line in lines:
            path = line.get_transform().transform_path(line.get_path())
            assert not any(path.intersects_bbox(box, filled=False) for box in boxes)


@pytest.mark.parametrize("name", sorted(zoo()))
def test_lines_lead_each_edge_from_its_input_to_its_node(name: str):
    genotype = zoo_genotype(name)
    for cell in CELLS:
        links = lay_out(genotype, cell).links
        found = {link.edge: (link.source.state, link.target.state) for link in links if link.edge is not None}
        assert found == {edge: (source, edge // 2 + 2) for edge, (_, source) in enumerate(genotype.edges(cell))}
        output = genotype.n_nodes(cell) + 2
        ends = {link.source.state for link in links if link.target.state == output}
        assert ends == set(genotype.concat(cell))
        for link in links:
            assert link.target.column == link.source.column + 1
            before = {one.target for one in links}
            assert not link.source.lane or link.source in before


@pytest.mark.parametrize("genotype", [zoo_genotype("PDARTS"), DEEPEST, make_genotype(nodes=1)])
def test_what_stands_in_a_column_has_its_room(genotype: Genotype):
    for cell in CELLS:
        layout = lay_out(genotype, cell)
        n_states = genotype.n_nodes(cell) + 2
        for column in layout.columns:
            for upper, lower in pairwise(column):
                room = (item_height(upper, n_states) + item_height(lower, n_states)) / 2
                assert layout.heights[upper] - layout.heights[lower] > room


def test_inputs_stand_left_and_the_output_right():
    axes = genotype_figure(zoo_genotype("PDARTS"), "PDARTS").axes[0]
    where = {text.get_text(): text.get_position()[0] for text in axes.texts}
    inner = [x for text, x in where.items() if text not in (*INPUT_LABELS, OUTPUT_LABEL)]
    assert max(where[label] for label in INPUT_LABELS) < min(inner) < max(inner) < where[OUTPUT_LABEL]


def test_a_genotypes_picture_has_both_cells_and_says_whose_they_are():
    figure = genotype_figure(zoo_genotype("DARTS_V2"), "DARTS_V2")
    assert [axes.get_title() for axes in figure.axes] == list(CELL_NAMES.values())
    assert figure.get_suptitle() == "genotype of DARTS_V2"


def test_cells_stand_side_by_side_until_that_gets_too_wide():
    shallow, deep = genotype_figure(zoo_genotype("DARTS_V2"), "a"), genotype_figure(DEEPEST, "b")
    normal, reduce = (axes.get_position() for axes in shallow.axes)
    assert normal.x1 == pytest.approx(reduce.x0)
    normal, reduce = (axes.get_position() for axes in deep.axes)
    assert normal.y0 > reduce.y1


def test_a_cell_is_drawn_in_inches():
    """Labels fit their boxes because an inch of the axes is an inch of the picture."""
    for figure in (genotype_figure(zoo_genotype("PDARTS"), "a"), genotype_figure(make_genotype(nodes=1), "b")):
        for axes in figure.axes:
            boxes = [patch for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
            widest = max(patch.get_window_extent().width for patch in boxes)
            assert widest / figure.dpi == pytest.approx(PILL)


def test_lines_are_as_wide_as_their_edges_weigh():
    genotype = zoo_genotype("PC_DARTS_cifar")
    weights = {"normal": [0.1 * (edge + 1) for edge in range(8)], "reduce": [0.4] * 8}
    figure = genotype_figure(genotype, "init-03", weights)
    assert figure.get_suptitle() == "genotype of init-03 (lines as wide as their edges' weights)"
    for axes, heavy in zip(figure.axes, weights.values(), strict=True):
        arrows = [patch.get_linewidth() for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
        np.testing.assert_allclose(arrows, [NARROWEST + (BROADEST - NARROWEST) * weight / 0.8 for weight in heavy])


def test_lines_of_edges_that_nobody_weighed_are_all_alike():
    figure = genotype_figure(zoo_genotype("DARTS_V2"), "x")
    arrows = [patch for axes in figure.axes for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    assert len(arrows) == 16 and {arrow.get_linewidth() for arrow in arrows} == {LINE}


def test_a_name_is_no_formula():
    assert png_bytes(genotype_figure(make_genotype(), r"$\frac{$ or ${}$"))


def test_a_published_genotype_is_drawn_at_once():
    png_bytes(genotype_figure(zoo_genotype("DARTS_V2"), "warm"))
    began = perf_counter()
    png_bytes(genotype_figure(zoo_genotype("PDARTS"), "PDARTS"))
    assert perf_counter() - began < 5  # under 1 s on an idle machine
