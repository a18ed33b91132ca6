"""Parameters and multiply-adds of a derived network, counted without allocating it; and how long it takes here."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch.utils.flop_counter import FlopCounterMode

from medarts_ops.networks.derived import DerivedNetwork
from medarts_ops.settings import StemKind
from medarts_ops.space.genotype import Genotype


@lru_cache(maxsize=1024)
def count_parameters(
    genotype: Genotype,
    *,
    cells: int,
    channels: int,
    n_classes: int,
    in_channels: int,
    auxiliary: bool = False,
    stem: StemKind = "cifar",
) -> int:
    """Number of trainable weights; with the config's defaults the paper's para_aug (III.C.3): 3,349,342 of DARTS_V2."""
    size = {"cells": cells, "channels": channels, "n_classes": n_classes, "in_channels": in_channels}
    network = _on_meta(genotype, size, stem, auxiliary=auxiliary)
    return sum(parameter.numel() for parameter in network.parameters())


@lru_cache(maxsize=1024)
def count_macs(
    genotype: Genotype,
    *,
    cells: int,
    channels: int,
    n_classes: int,
    in_channels: int,
    resolution: tuple[int, int],
    stem: StemKind = "cifar",
) -> int:
    """Multiply-adds of one image's forward pass without auxiliary head, convolutions and linear layers."""
    size = {"cells": cells, "channels": channels, "n_classes": n_classes, "in_channels": in_channels}
    network = _on_meta(genotype, size, stem).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.empty(1, in_channels, *resolution, device="meta"))
    # The counter takes a multiply-add for two operations.
    return int(counter.get_total_flops()) // 2


def forward_milliseconds(
    genotype: Genotype,
    *,
    cells: int,
    channels: int,
    n_classes: int,
    in_channels: int,
    resolution: tuple[int, int],
    stem: StemKind = "cifar",
) -> float:
    """Median milliseconds of a batch-1 forward pass in eval mode on one CPU thread, without auxiliary head."""
    warm_up, repeats = 2, 7
    size = {"cells": cells, "channels": channels, "n_classes": n_classes, "in_channels": in_channels}
    with torch.random.fork_rng(devices=[]):  # random weights do for timing; the global state is left alone
        network = DerivedNetwork(genotype, **size, auxiliary=False, stem=stem).eval()
    images = torch.zeros(1, in_channels, *resolution)
    times: list[float] = []
    with torch.inference_mode(), _one_thread():
        for _ in range(warm_up + repeats):
            started = time.perf_counter()
            network(images)
            times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times[warm_up:])


@contextmanager
def _one_thread() -> Iterator[None]:
    """Torch computes by one thread inside; the process has its own number again behind."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _on_meta(genotype: Genotype, size: dict[str, int], stem: StemKind, *, auxiliary: bool = False) -> DerivedNetwork:
    with torch.device("meta"):
        return DerivedNetwork(genotype, **size, auxiliary=auxiliary, stem=stem)
