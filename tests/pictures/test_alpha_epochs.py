"""How α moved: a line for each operation of each edge, on one scale."""

from __future__ import annotations

import numpy as np
import pytest
from factories import DARTS_SPACE, make_alpha
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from medarts_ops.alpha import Alpha, Mixtures
from medarts_ops.errors import GenotypeError, RunError
from medarts_ops.pictures.alpha_epochs import GAP, HIGH, WIDE, alpha_epochs_figure
from medarts_ops.pictures.figures import png_bytes
from medarts_ops.space.search_space import SearchSpace


def softmax(alpha: Alpha) -> Mixtures:
    """What DARTS reads."""
    weights = [np.exp(cell.arrays["op_logits"].astype(float)) for cell in alpha.cells]
    return Mixtures(*(each / each.sum(axis=1, keepdims=True) for each in weights))


READINGS = [softmax(make_alpha(number)) for number in range(4)]


def lines(figure: Figure, cell: int, operation: str) -> LineCollection:
    (found,) = [one for one in figure.axes[cell].collections if one.get_gid() == operation]
    assert isinstance(found, LineCollection)
    return found


def test_every_operation_of_every_edge_has_a_line_from_birth_to_the_last_epoch() -> None:
    figure = alpha_epochs_figure(READINGS, DARTS_SPACE, "init-03")
    mixtures = [reading._asdict() for reading in READINGS]
    low = min(mixture[cell].min() for mixture in mixtures for cell in ("normal", "reduce"))
    high = max(mixture[cell].max() for mixture in mixtures for cell in ("normal", "reduce"))
    for place, cell in enumerate(("normal", "reduce")):
        for column, operation in enumerate(DARTS_SPACE.primitives):
            drawn = lines(figure, place, operation).get_segments()
            assert len(drawn) == DARTS_SPACE.n_edges
            for edge, line in enumerate(drawn):
                weights = [mixture[cell][edge, column] for mixture in mixtures]
                row = DARTS_SPACE.n_nodes + 1 - DARTS_SPACE.edges[edge][1]  # the first node is on top
                rises = (np.asarray(line)[:, 1] - row * (HIGH + GAP)) / HIGH
                np.testing.assert_allclose(low + rises * (high - low), weights, atol=1e-6)
                assert np.ptp(np.asarray(line)[:, 0]) == pytest.approx(WIDE)


def test_the_strongest_operation_that_a_genotype_may_hold_is_thick() -> None:
    space = SearchSpace(n_nodes=1, primitives=("none", "skip_connect", "sep_conv_3x3"))
    mixture = np.array([[0.8, 0.15, 0.05], [0.1, 0.2, 0.7]])
    figure = alpha_epochs_figure([Mixtures(mixture, mixture)] * 2, space, "x")
    thick = {name: [bool(width > 1) for width in lines(figure, 0, name).get_linewidth()] for name in space.primitives}
    assert thick == {"none": [False, False], "skip_connect": [True, False], "sep_conv_3x3": [False, True]}


def test_the_line_of_an_operation_that_was_masked_ends_there() -> None:
    space = SearchSpace(n_nodes=1, primitives=("none", "skip_connect", "sep_conv_3x3"))
    before, after = np.full((2, 3), 1 / 3), np.array([[0.5, 0.5, 0.0], [0.3, 0.3, 0.4]])
    figure = alpha_epochs_figure([Mixtures(mixture, mixture) for mixture in (before, before, after)], space, "x")
    # Segments leave out what is not finite.
    assert [len(line) for line in lines(figure, 0, "sep_conv_3x3").get_segments()] == [2, 3]


def test_alpha_that_does_not_move_and_prefers_nothing_is_drawn_too() -> None:
    mixture = np.full((14, 8), 1 / 8)
    figure = alpha_epochs_figure([Mixtures(mixture, mixture)] * 2, DARTS_SPACE, "x")
    assert png_bytes(figure).startswith(b"\x89PNG")


def test_an_operation_has_one_colour_in_every_space() -> None:
    small = SearchSpace(n_nodes=1, primitives=("none", "skip_connect"))
    whole = lines(alpha_epochs_figure(READINGS, DARTS_SPACE, "x"), 0, "skip_connect")
    few = lines(
        alpha_epochs_figure([softmax(make_alpha(seed, small)) for seed in range(2)], small, "x"), 0, "skip_connect"
    )
    assert np.array_equal(whole.get_color()[0], few.get_color()[0])


def test_no_epoch_and_another_space_are_refused() -> None:
    with pytest.raises(RunError, match="init-03 has no α of any epoch"):
        alpha_epochs_figure(READINGS[:1], DARTS_SPACE, "init-03")
    with pytest.raises(GenotypeError, match="give the space that α was trained in"):
        alpha_epochs_figure(READINGS, SearchSpace(n_nodes=2), "init-03")
