"""The supernet equals the plain reference, in float64, in everything that training sees."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from equivalence import copy_weights, parameter_pairs

from medarts_ops.bench.reference import ReferenceSupernet
from medarts_ops.networks.frozen import frozen_statistics
from medarts_ops.networks.layout import SupernetSpec
from medarts_ops.networks.supernet import Supernet
from medarts_ops.space import SearchSpace


def thinned(space: SearchSpace, seed: int) -> SupernetSpec:
    """Random masks; one edge keeps nothing but `none`, one loses all but its skip."""
    rng = np.random.default_rng(seed)
    masks = rng.random((2, space.n_edges, space.n_primitives)) < 0.5
    masks[:, 3] = False
    masks[:, 3, 0] = True
    masks[:, 5] = np.arange(space.n_primitives) == space.primitives.index("skip_connect")
    return SupernetSpec(space, masks[0], masks[1])


SPACE = SearchSpace()
SPECS = {
    "full": SupernetSpec.full(SPACE),
    "thinned": thinned(SPACE, 1),
    "thinned otherwise": thinned(SPACE, 2),
    "three nodes": SupernetSpec.full(SearchSpace(n_nodes=3)),
    "no convolutions": SupernetSpec.full(SearchSpace(primitives=("none", "max_pool_3x3", "skip_connect"))),
}


def in_a_stack_of_one(network: Supernet | ReferenceSupernet) -> Callable[..., torch.Tensor]:
    """Both kinds with the reference's arguments."""
    if isinstance(network, ReferenceSupernet):
        return network
    return lambda *arguments: network(*(argument[None] for argument in arguments))[0]


@pytest.fixture(params=SPECS, scope="module")
def pair(request: pytest.FixtureRequest) -> tuple[Supernet, ReferenceSupernet, list[torch.Tensor]]:
    """Both supernets with the same weights after a training step of each, and the α that was used."""
    torch.manual_seed(0)
    spec = SPECS[request.param]
    sizes = {"cells": 4, "channels": 4, "n_classes": 5, "in_channels": 3}
    supernet, reference = Supernet(spec, **sizes).double(), ReferenceSupernet(spec, **sizes).double()
    copy_weights(supernet, reference)
    alphas = [torch.randn(spec.space.n_edges, spec.space.n_primitives).double() for _ in range(2)]
    images, labels = torch.randn(6, 3, 9, 8).double(), torch.tensor([0, 1, 2, 3, 4, 0])
    for network in (supernet, reference):
        mine = [alpha.clone().requires_grad_() for alpha in alphas]
        logits = in_a_stack_of_one(network)(images, *(alpha.softmax(-1) for alpha in mine))
        F.cross_entropy(logits, labels).backward()
        network.seen = (logits.detach(), [alpha.grad for alpha in mine])
    return supernet, reference, alphas


def test_logits_and_alpha_gradients_equal_the_reference(pair):
    supernet, reference, _ = pair
    torch.testing.assert_close(supernet.seen[0], reference.seen[0], rtol=1e-10, atol=1e-12)
    for ours, theirs in zip(supernet.seen[1], reference.seen[1], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_weight_gradients_equal_the_reference(pair):
    supernet, reference, _ = pair
    pairs = list(parameter_pairs(supernet, reference, lambda module: module.weight.grad))
    seen = sum(ours.numel() for ours, _ in pairs) + supernet.stem.shift.numel() + supernet.classifier.bias.numel()
    assert seen == sum(parameter.numel() for parameter in supernet.parameters())
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("statistic", ["running_mean", "running_var"])
def test_running_statistics_equal_the_reference(pair, statistic):
    supernet, reference, _ = pair
    for ours, theirs in parameter_pairs(supernet, reference, lambda module: getattr(module, statistic)):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


def test_eval_mode_equals_the_reference(pair):
    supernet, reference, alphas = pair
    images = torch.randn(3, 3, 9, 8).double()
    mixtures = [alpha.softmax(-1) for alpha in alphas]
    with torch.no_grad():
        ours = in_a_stack_of_one(supernet.eval())(images, *mixtures)
        theirs = reference.eval()(images, *mixtures)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("cells", "parameters"), [(4, 1_133_882), (6, 1_322_490), (8, 1_930_618)])
def test_supernet_has_the_published_number_of_parameters(cells, parameters):
    with torch.device("meta"):
        for kind in (Supernet, ReferenceSupernet):
            network = kind(SPECS["full"], cells=cells, channels=16, n_classes=10, in_channels=3)
            assert sum(p.numel() for p in network.parameters()) == parameters


def test_supernet_of_100_classes_has_the_published_number_of_parameters():
    with torch.device("meta"):
        network = Supernet(SPECS["full"], cells=8, channels=16, n_classes=100, in_channels=3)
    assert sum(p.numel() for p in network.parameters()) == 1_953_748


def test_grouped_weights_start_as_wide_as_single_ones():
    torch.manual_seed(0)
    sizes = {"cells": 3, "channels": 16, "n_classes": 10, "in_channels": 3}
    supernet, reference = Supernet(SPECS["full"], **sizes), ReferenceSupernet(SPECS["full"], **sizes)
    for ours, theirs in parameter_pairs(supernet, reference, lambda module: module.weight):
        if ours.numel() > 500:
            assert ours.std().item() == pytest.approx(theirs.std().item(), rel=0.15)


def test_frozen_statistics_stay_where_they_are():
    supernet = Supernet(SPECS["full"], cells=3, channels=2, n_classes=3, in_channels=1)
    before = {name: buffer.clone() for name, buffer in supernet.named_buffers()}
    mixture = torch.full((1, 14, 8), 1 / 8)
    with frozen_statistics(supernet):
        supernet(torch.randn(1, 2, 1, 8, 8), mixture, mixture)
    assert all(torch.equal(before[name], buffer) for name, buffer in supernet.named_buffers())
    supernet(torch.randn(1, 2, 1, 8, 8), mixture, mixture)
    assert not torch.equal(before["stem.norm.running_mean"], supernet.stem.norm.running_mean)


@pytest.mark.parametrize("side", [8, 28, 33])
@pytest.mark.parametrize("channels", [1, 3])
def test_odd_sizes_give_logits(side, channels):
    supernet = Supernet(SPECS["full"], cells=3, channels=3, n_classes=4, in_channels=channels)
    mixture = torch.full((1, 14, 8), 1 / 8)
    assert supernet(torch.randn(1, 2, channels, side, side), mixture, mixture).shape == (1, 2, 4)
