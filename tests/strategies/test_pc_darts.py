"""PC-DARTS: the published size of its supernet, its edges' weights, and what it is without either of its parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from strategy_problems import SPACE, make_alpha_of, make_moment, make_place, make_tensors

from medarts_ops.alpha import Mixtures
from medarts_ops.errors import ConfigError
from medarts_ops.networks.supernet import Supernet
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.strategies.pc_darts import PcDarts, PcDartsSettings


def test_its_supernet_has_the_published_number_of_parameters() -> None:
    spec = PcDarts(SearchSpace()).supernet_spec(make_place())
    with torch.device("meta"):
        network = Supernet(spec, cells=8, channels=16, n_classes=10, in_channels=3)
    assert sum(weight.numel() for weight in network.parameters()) == 299_578


def test_the_edges_of_a_node_share_a_weight_of_one() -> None:
    strategy = PcDarts(SPACE)
    mixture = strategy.mixture(make_tensors(strategy, make_alpha_of(strategy, 2, std=1.0)).normal, make_moment())
    edges = mixture.sum(dim=-1)
    assert torch.allclose(edges[:, :2].sum(1), torch.ones(2)) and torch.allclose(edges[:, 2:].sum(1), torch.ones(2))


def test_an_edge_of_little_weight_is_not_read_though_its_operation_is_sure() -> None:
    strategy = PcDarts(SPACE)
    (alpha,) = make_alpha_of(strategy, 1, std=0.0)
    cell = alpha.normal
    logits, edges = cell.arrays["op_logits"].copy(), cell.arrays["edge_logits"].copy()
    logits[2, 4], edges[2] = 0.5, -2.0  # the first edge of the second node
    weighed = cell.model_copy(update={"arrays": {"op_logits": logits, "edge_logits": edges}})
    tensors = make_tensors(strategy, [alpha.model_copy(update={"normal": weighed})])
    mixture = strategy.mixture(tensors.normal, make_moment("reading"))[0].detach().numpy().astype(np.float64)
    assert {source for _, source in strategy.genotype(Mixtures(mixture, mixture)).normal[2:]} == {1, 2}


@pytest.mark.parametrize(("share", "channels"), [(4, 6), (3, 16)])
def test_channels_that_the_share_does_not_divide_are_refused(share: int, channels: int) -> None:
    with pytest.raises(ConfigError, match="channels"):
        PcDartsSettings(channel_share=share).build(SPACE).supernet_spec(make_place()).check_channels(channels)
