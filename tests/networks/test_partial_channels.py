"""A share of the channels goes through operations: it fits, it is shuffled, and it saves memory."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from medarts_ops.bench.reference import ReferenceSupernet
from medarts_ops.errors import ConfigError
from medarts_ops.networks.layout import SupernetSpec
from medarts_ops.networks.planes import shuffled
from medarts_ops.networks.supernet import Supernet
from medarts_ops.space.search_space import SearchSpace

SPACE = SearchSpace()


def sharing(share: int) -> SupernetSpec:
    return replace(SupernetSpec.full(SPACE), channel_share=share)


@pytest.mark.parametrize("share", [2, 3, 4])
@pytest.mark.parametrize("individuals", [1, 3])
def test_the_shuffle_is_the_librarys_on_each_individual(share, individuals):
    mixed = torch.randn(individuals * 2, 5, 4, 3)
    passing = torch.randn(individuals * 2 * (share - 1), 5, 4, 3)
    parts = [part.view(individuals, -1, 5, 4, 3).transpose(1, 2) for part in (mixed, passing)]
    expected = [torch.channel_shuffle(torch.cat(each, dim=1), share) for each in zip(*parts, strict=True)]
    got = shuffled([mixed, passing], individuals).view(individuals, -1, 5, 4, 3).transpose(1, 2)
    assert torch.equal(got, torch.stack(expected))


def test_without_passing_channels_a_node_stays_as_it_is():
    mixed = torch.randn(4, 2, 3, 3)
    assert shuffled([mixed], 2) is mixed


@pytest.mark.parametrize("kind", [Supernet, ReferenceSupernet])
def test_channels_that_cannot_be_shared_out_are_refused(kind):
    sharing(4).check_channels(12)
    message = "a supernet's channels are 6: allowed are multiples of 4, .*; change the stage's channels"
    with pytest.raises(ConfigError, match=message):
        sharing(4).check_channels(6)
    with pytest.raises(ConfigError, match=message):
        kind(sharing(4), cells=3, channels=6, n_classes=3, in_channels=1)


@pytest.mark.parametrize("share", [0, -2])
def test_a_share_is_a_part_of_the_channels(share):
    with pytest.raises(ConfigError, match=rf"channel_share is {share}: allowed are whole numbers from 1"):
        sharing(share)


def test_operations_are_built_at_their_share_of_the_channels():
    sizes = {"cells": 4, "channels": 16, "n_classes": 10, "in_channels": 3}
    with torch.device("meta"):
        counts = []
        for share in (1, 4):
            cells = Supernet(sharing(share), **sizes).cells
            counts.append(sum(weight.numel() for cell in cells for weight in cell.states.parameters()))
    assert counts[1] < counts[0] / 8  # 1×1 convolutions have a sixteenth, depthwise ones a quarter


def saved_bytes(share: int) -> int:
    """What a forward pass keeps for the backward pass, each memory once, without weights."""
    torch.manual_seed(0)
    network = Supernet(sharing(share), cells=4, channels=16, n_classes=10, in_channels=3)
    mixture = torch.rand(1, SPACE.n_edges, SPACE.n_primitives, requires_grad=True)
    weights = {weight.untyped_storage().data_ptr() for weight in network.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = network(torch.randn(1, 16, 3, 16, 16), mixture, mixture)
    assert logits.requires_grad
    return sum(storage.nbytes() for storage in kept.values())


def test_a_quarter_of_the_channels_keeps_at_most_half_of_the_activations():
    assert 0 < saved_bytes(4) <= saved_bytes(1) / 2
