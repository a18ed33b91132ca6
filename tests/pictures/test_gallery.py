"""Which pictures there are, and what they need."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from factories import DARTS_SPACE, make_mixture, make_trained

from medarts_ops.alpha import Alpha, Mixtures
from medarts_ops.errors import ConfigError
from medarts_ops.pictures.gallery import pictures_of_individual, pictures_of_sizes
from medarts_ops.pictures.parameters import EvaluatedSize


def read_with_edge_weights(alphas: Sequence[Alpha]) -> list[Mixtures]:
    weights = np.linspace(0.1, 0.9, DARTS_SPACE.n_edges)[:, None]
    return [Mixtures(weights * make_mixture(0), weights * make_mixture(1)) for _ in alphas]


def read_without_the_strategy(alphas: Sequence[Alpha]) -> list[Mixtures]:
    raise ConfigError("strategy.name: unknown strategy 'theirs'")


def test_an_individuals_cells_show_how_much_its_edges_weigh():
    pictures = pictures_of_individual(make_trained(), [], DARTS_SPACE, read_with_edge_weights)
    assert "as wide as their edges' weights" in pictures["genotype"]().get_suptitle()


def test_cells_are_drawn_where_the_strategy_is_not_installed_but_its_alpha_is_not():
    pictures = pictures_of_individual(make_trained(), [], DARTS_SPACE, read_without_the_strategy)
    assert "wide" not in pictures["genotype"]().get_suptitle()
    with pytest.raises(ConfigError, match="unknown strategy"):
        pictures["alpha"]()


def test_one_point_alone_is_no_picture_of_error_against_size():
    alone, other = EvaluatedSize("mine", 3_300_000, 0.03), EvaluatedSize("larger", 4_300_000, 0.025)
    for says_nothing in ([], [alone], [alone, EvaluatedSize("again", 3_300_000, 0.03)]):
        assert pictures_of_sizes(says_nothing, "digits") == {}
    assert [*pictures_of_sizes([alone, other], "digits")] == ["parameters"]


def test_on_cifar_the_published_ones_stand_beside_a_point_alone():
    (draw,) = pictures_of_sizes([EvaluatedSize("mine", 3_300_000, 0.03)], "cifar10").values()
    assert "PC-DARTS" in [text.get_text() for text in draw().axes[0].texts]
