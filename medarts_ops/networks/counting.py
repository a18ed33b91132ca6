"""Parameters and multiply-adds of a derived network, counted without allocating it."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from medarts_ops.networks.derived import DerivedNetwork
from medarts_ops.space.genotype import Genotype


@lru_cache(maxsize=1024)
def count_parameters(
    genotype: Genotype, *, cells: int, channels: int, n_classes: int, in_channels: int, auxiliary: bool = False
) -> int:
    """Number of trainable weights; 3,349,342 for DARTS_V2 at 20 cells, 36 channels, 10 classes.

    With the defaults of the config this is the paper's para_aug (III.C.3).
    """
    network = _on_meta(genotype, cells, channels, n_classes, in_channels, auxiliary)
    return sum(parameter.numel() for parameter in network.parameters())


@lru_cache(maxsize=1024)
def count_macs(
    genotype: Genotype, *, cells: int, channels: int, n_classes: int, in_channels: int, resolution: tuple[int, int]
) -> int:
    """Multiply-adds of one image's forward pass without auxiliary head, convolutions and linear layers."""
    network = _on_meta(genotype, cells, channels, n_classes, in_channels, False).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty(1, in_channels, *resolution, device="meta"))
    # The counter takes a multiply-add for two operations.
    return int(counter.get_total_flops()) // 2


def _on_meta(
    genotype: Genotype, cells: int, channels: int, n_classes: int, in_channels: int, auxiliary: bool
) -> DerivedNetwork:
    with torch.device("meta"):
        return DerivedNetwork(
            genotype, cells=cells, channels=channels, n_classes=n_classes, in_channels=in_channels, auxiliary=auxiliary
        )
