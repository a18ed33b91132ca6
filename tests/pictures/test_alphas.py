"""α as a heat map: the softmax of each edge, and what it discretizes to."""

from __future__ import annotations

import numpy as np
import pytest
from factories import DARTS_SPACE, make_alpha, make_genotype
from matplotlib.patches import Rectangle

from medarts_ops.alpha import Alpha, Mixtures
from medarts_ops.errors import GenotypeError
from medarts_ops.pictures.alphas import alpha_figure, edge_weights
from medarts_ops.pictures.figures import png_bytes
from medarts_ops.space.discretize import discretize
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.space.zoo import zoo_genotype


def softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits.astype(float))
    result: np.ndarray = weights / weights.sum(axis=1, keepdims=True)
    return result


def softmax_mixtures(alpha: Alpha) -> Mixtures:
    """What DARTS reads."""
    return Mixtures(*(softmax(cell.arrays["op_logits"]) for cell in alpha.cells))


def test_both_cells_show_the_weight_of_every_operation_on_every_edge():
    mixtures = softmax_mixtures(make_alpha(3))
    normal, reduce, bar = alpha_figure(mixtures, make_genotype(), DARTS_SPACE, "init-03").axes
    for axes, mixture in ((normal, mixtures.normal), (reduce, mixtures.reduce)):
        (image,) = axes.images
        np.testing.assert_allclose(image.get_array(), mixture, rtol=1e-6)
        assert [label.get_text() for label in axes.get_xticklabels()] == list(DARTS_SPACE.primitives)
        assert len(axes.texts) == DARTS_SPACE.n_edges * DARTS_SPACE.n_primitives
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("operation", "edge")
    assert normal.images[0].get_clim() == reduce.images[0].get_clim()
    assert "weight of the operation" in bar.get_ylabel()


def test_edges_have_the_names_of_the_states_that_they_join():
    space = SearchSpace(n_nodes=2)
    normal = alpha_figure(softmax_mixtures(make_alpha(0, space)), make_genotype(nodes=2), space, "x").axes[0]
    names = [label.get_text() for label in normal.get_yticklabels()]
    assert names == ["0 → 2", "1 → 2", "0 → 3", "1 → 3", "2 → 3"]


def test_frames_mark_the_genotype():
    mixtures = softmax_mixtures(make_alpha(5))
    expected = discretize(DARTS_SPACE, mixtures.normal, mixtures.reduce)
    normal, reduce, _ = alpha_figure(mixtures, expected, DARTS_SPACE, "init-05").axes
    found = []
    for axes in (normal, reduce):
        frames = [one.get_center() for one in axes.patches if isinstance(one, Rectangle)]
        chosen = sorted((round(row), round(column)) for column, row in frames)
        found.append(tuple((DARTS_SPACE.primitives[column], DARTS_SPACE.edges[row][0]) for row, column in chosen))
    concat = (2, 3, 4, 5)
    assert Genotype(normal=found[0], normal_concat=concat, reduce=found[1], reduce_concat=concat) == expected


def test_edges_that_are_weighed_show_what_their_operations_weigh_together():
    weights = np.linspace(0.1, 1.5, DARTS_SPACE.n_edges)
    plain = softmax_mixtures(make_alpha(2))
    mixtures = Mixtures(plain.normal * weights[:, None], plain.reduce)
    normal = alpha_figure(mixtures, make_genotype(), DARTS_SPACE, "x").axes[0]
    shown = [float(label.get_text().split("Σ ")[1]) for label in normal.get_yticklabels()]
    np.testing.assert_allclose(shown, weights, atol=0.006)


def test_an_operation_that_was_masked_is_blank_and_no_end_of_the_scale():
    mixtures = softmax_mixtures(make_alpha(2))
    mixtures.normal[3, 4] = 0
    axes = alpha_figure(mixtures, make_genotype(), DARTS_SPACE, "x").axes[0]
    (image,) = axes.images
    assert np.argwhere(np.ma.getmaskarray(image.get_array())).tolist() == [[3, 4]]
    assert len(axes.texts) == DARTS_SPACE.n_edges * DARTS_SPACE.n_primitives - 1
    assert image.get_clim()[0] == min(mixture[mixture > 0].min() for mixture in mixtures)


def test_the_weights_of_a_genotypes_edges_are_what_their_rows_weigh():
    plain, genotype = softmax_mixtures(make_alpha(2)), zoo_genotype("PC_DARTS_cifar")
    assert edge_weights(plain, genotype, DARTS_SPACE) is None
    weights = np.linspace(0.1, 1.5, DARTS_SPACE.n_edges)
    found = edge_weights(Mixtures(plain.normal * weights[:, None], plain.reduce), genotype, DARTS_SPACE)
    assert found is not None and found["reduce"] == pytest.approx([1.0] * 8)
    chosen = [DARTS_SPACE.edges.index((source, place // 2 + 2)) for place, (_, source) in enumerate(genotype.normal)]
    assert found["normal"] == pytest.approx(weights[chosen])


@pytest.mark.parametrize("nodes", [1, 16])
def test_the_smallest_and_the_largest_space_can_be_drawn(nodes: int):
    space = SearchSpace(n_nodes=nodes, primitives=("none", "skip_connect"))
    genotype = make_genotype("skip_connect", nodes)
    figure = alpha_figure(softmax_mixtures(make_alpha(0, space)), genotype, space, "x")
    assert len(figure.axes[0].texts) == (0 if nodes == 16 else space.n_edges * space.n_primitives)
    assert len(figure.axes[0].images[0].get_array()) == space.n_edges
    assert png_bytes(figure)


def test_alpha_of_another_space_is_refused():
    with pytest.raises(GenotypeError, match=r"normal cell .* shape \(14, 8\): allowed is \(5, 8\)"):
        alpha_figure(softmax_mixtures(make_alpha()), make_genotype(nodes=2), SearchSpace(n_nodes=2), "x")
