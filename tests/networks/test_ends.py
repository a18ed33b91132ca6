"""What stands before and behind the cells pools and counts as DARTS's does."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from medarts_ops.networks.ends import AuxiliaryHead, least_batch, quarters


def test_the_auxiliary_head_for_photos_pools_a_7x7_map_as_darts_does_and_takes_batches_of_one():
    head = AuxiliaryHead(4, 3, "imagenet").train()
    images = torch.randn(1, 4, 7, 7)
    pooled = F.avg_pool2d(F.relu(images), 5, stride=2, count_include_pad=False)
    torch.testing.assert_close(head(images), head.classifier(head.features(pooled).flatten(1)))
    assert head(torch.randn(1, 4, 9, 5)).shape == (1, 3)
    assert least_batch(auxiliary=True, stem="imagenet") == 1 and least_batch(auxiliary=True) == 2


def test_auxiliary_head_of_100_classes_adds_69210_parameters():
    with torch.device("meta"):
        ten, hundred = (AuxiliaryHead(576, n) for n in (10, 100))
    assert sum(p.numel() for p in hundred.parameters()) - sum(p.numel() for p in ten.parameters()) == 69_210


def test_auxiliary_head_pools_an_8x8_map_exactly_as_darts_does():
    head = AuxiliaryHead(4, 3)
    images = torch.randn(2, 4, 8, 8)
    expected = F.avg_pool2d(images.relu(), 5, stride=3)
    seen = []
    head.features.register_forward_hook(lambda module, args, output: seen.append(args[0]))
    head(images)
    torch.testing.assert_close(seen[0], expected)


@pytest.mark.parametrize("sides", [(2, 2), (3, 5), (4, 7), (9, 12), (16, 16)])
def test_quarters_are_what_adaptive_pooling_gives(sides):
    images = torch.randn(2, 3, *sides, dtype=torch.float64)
    assert torch.allclose(quarters(images), F.adaptive_avg_pool2d(images, 2), rtol=1e-14)
