"""α as a heat map: the softmax of each edge, and what it discretizes to."""

from __future__ import annotations

import numpy as np
import pytest
from factories import DARTS_SPACE, make_alpha, make_genotype
from matplotlib.patches import Rectangle

from medarts_ops.errors import GenotypeError
from medarts_ops.pictures.alphas import alpha_figure
from medarts_ops.pictures.figures import png_bytes
from medarts_ops.space.discretize import discretize
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.search_space import SearchSpace


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits.astype(float))
    result: np.ndarray = weights / weights.sum(axis=1, keepdims=True)
    return result


def test_both_cells_show_the_softmax_of_every_edge():
    alpha = make_alpha(3)
    normal, reduce, bar = alpha_figure(alpha, make_genotype(), DARTS_SPACE, "init-03").axes
    for axes, cell in ((normal, alpha.normal), (reduce, alpha.reduce)):
        (image,) = axes.images
        np.testing.assert_allclose(image.get_array(), softmax(cell.op_logits), rtol=1e-6)
        assert [label.get_text() for label in axes.get_xticklabels()] == list(DARTS_SPACE.primitives)
        assert len(axes.texts) == DARTS_SPACE.n_edges * DARTS_SPACE.n_primitives
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("operation", "edge")
    assert normal.images[0].get_clim() == reduce.images[0].get_clim()
    assert "softmax of α" in bar.get_ylabel()


def test_edges_have_the_names_of_the_states_that_they_join():
    space = SearchSpace(n_nodes=2)
    normal = alpha_figure(make_alpha(0, space), make_genotype(nodes=2), space, "x").axes[0]
    names = [label.get_text() for label in normal.get_yticklabels()]
    assert names == ["$c_{k-2}$ → 0", "$c_{k-1}$ → 0", "$c_{k-2}$ → 1", "$c_{k-1}$ → 1", "0 → 1"]


def test_frames_mark_the_genotype():
    alpha = make_alpha(5)
    expected = discretize(DARTS_SPACE, softmax(alpha.normal.op_logits), softmax(alpha.reduce.op_logits))
    normal, reduce, _ = alpha_figure(alpha, expected, DARTS_SPACE, "init-05").axes
    found = []
    for axes in (normal, reduce):
        frames = [one.get_center() for one in axes.patches if isinstance(one, Rectangle)]
        chosen = sorted((round(row), round(column)) for column, row in frames)
        found.append(tuple((DARTS_SPACE.primitives[column], DARTS_SPACE.edges[row][0]) for row, column in chosen))
    concat = (2, 3, 4, 5)
    assert Genotype(normal=found[0], normal_concat=concat, reduce=found[1], reduce_concat=concat) == expected


def test_weights_of_edges_sum_to_one_at_each_node():
    normal = alpha_figure(make_alpha(2, edges_weighted=True), make_genotype(), DARTS_SPACE, "x").axes[0]
    weights = np.array([float(label.get_text().split("β ")[1]) for label in normal.get_yticklabels()])
    nodes = np.array([node for _, node in DARTS_SPACE.edges])
    for node in set(nodes):
        assert weights[nodes == node].sum() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("nodes", [1, 16])
def test_the_smallest_and_the_largest_space_can_be_drawn(nodes: int):
    space = SearchSpace(n_nodes=nodes, primitives=("none", "skip_connect"))
    genotype = make_genotype("skip_connect", nodes)
    figure = alpha_figure(make_alpha(0, space), genotype, space, "x")
    assert len(figure.axes[0].texts) == (0 if nodes == 16 else space.n_edges * space.n_primitives)
    assert len(figure.axes[0].images[0].get_array()) == space.n_edges
    assert png_bytes(figure)


def test_alpha_of_another_space_is_refused():
    with pytest.raises(GenotypeError, match=r"normal cell .* shape \(14, 8\): allowed is \(5, 8\)"):
        alpha_figure(make_alpha(), make_genotype(nodes=2), SearchSpace(n_nodes=2), "x")
