"""ASAP: the temperature's ends, and what is pruned."""

from __future__ import annotations

import numpy as np
import torch
from strategy_problems import SPACE, make_alpha_of, make_moment, make_place, make_tensors

from medarts_ops.alpha import Mixtures
from medarts_ops.strategies.asap import AsapSettings

STRATEGY = AsapSettings().build(SPACE)
NONE = SPACE.primitives.index("none")


def test_mixtures_sharpen_from_the_first_temperature_to_the_last() -> None:
    cell = make_tensors(STRATEGY, make_alpha_of(STRATEGY, 1, std=1.0)).normal
    strongest = []
    for progress in (0.0, 0.25, 0.5, 1.0):
        mixture = STRATEGY.mixture(cell, make_moment(progress=progress))
        strongest.append(mixture.max(dim=-1).values.mean().item())
        if progress in (0.0, 1.0):
            temperature = 1.6 if progress == 0 else 0.13
            assert torch.allclose(mixture, torch.softmax(cell.arrays["op_logits"] / temperature, -1), atol=1e-6)
    assert strongest == sorted(strongest)


def pruned(mixture: np.ndarray, alpha=None):
    (one,) = make_alpha_of(STRATEGY) if alpha is None else (alpha,)
    return STRATEGY.after_epoch(one, Mixtures(mixture, mixture), make_place(), 0)


def test_every_edge_is_pruned_by_the_same_threshold_and_for_good() -> None:
    mixture = np.full((SPACE.n_edges, SPACE.n_primitives), 0.9 / (SPACE.n_primitives - 1))
    mixture[:, 3] = 0.049  # below 0.4 / 8
    mixture[0, 4] = 0.0501
    once = pruned(mixture)
    assert once.normal.mask is not None
    assert [list(np.flatnonzero(~row)) for row in once.normal.mask] == [[3]] * SPACE.n_edges
    mixture[:, 3], mixture[:, 5] = 0.3, 0.01
    twice = pruned(mixture, once)
    assert twice.normal.mask is not None
    assert [list(np.flatnonzero(~row)) for row in twice.normal.mask] == [[3, 5]] * SPACE.n_edges


def test_an_edge_keeps_its_strongest_operation_beside_none() -> None:
    mixture = np.full((SPACE.n_edges, SPACE.n_primitives), 0.001)
    mixture[:, NONE], mixture[:, 2] = 0.99, 0.002
    left = pruned(mixture).normal.mask
    assert left is not None
    assert [list(np.flatnonzero(row)) for row in left] == [[NONE, 2]] * SPACE.n_edges


def test_nothing_is_masked_before_anything_is_weak() -> None:
    assert pruned(np.full((SPACE.n_edges, SPACE.n_primitives), 1 / SPACE.n_primitives)).normal.mask is None
