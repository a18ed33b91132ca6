"""How long a derived network takes for one image on this machine."""

from __future__ import annotations

import statistics
import time

import torch

from medarts_ops.networks.derived import DerivedNetwork
from medarts_ops.space.genotype import Genotype

WARM_UP, REPEATS = 2, 7


def forward_milliseconds(
    genotype: Genotype, *, cells: int, channels: int, n_classes: int, in_channels: int, resolution: tuple[int, int]
) -> float:
    """Median milliseconds of a batch-1 forward pass in eval mode on the CPU, without auxiliary head."""
    with torch.random.fork_rng(devices=[]):  # random weights do for timing; the global state is left alone
        network = DerivedNetwork(
            genotype, cells=cells, channels=channels, n_classes=n_classes, in_channels=in_channels, auxiliary=False
        ).eval()
    images = torch.zeros(1, in_channels, *resolution)
    times: list[float] = []
    with torch.inference_mode():
        for _ in range(WARM_UP + REPEATS):
            started = time.perf_counter()
            network(images)
            times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times[WARM_UP:])
