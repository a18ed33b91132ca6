"""What a pass through a network must leave alone: running statistics, or its weights' gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


def norms_of(network: nn.Module) -> list[nn.BatchNorm2d]:
    """All batch norms of a network, in the order of its modules."""
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


@contextmanager
def frozen_statistics(network: nn.Module) -> Iterator[None]:
    """Normalise by the batch without moving running statistics, which describe w: for passes at other weights."""
    norms = norms_of(network)
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


@contextmanager
def unmoved_statistics(network: nn.Module) -> Iterator[None]:
    """For the same pass again: running statistics move by nothing, and are saved for a backward pass as before."""
    norms = norms_of(network)
    held = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, held, strict=True):
            norm.momentum = momentum


@contextmanager
def kept_statistics(network: nn.Module) -> Iterator[None]:
    """Passes inside may move running statistics, and their momentum be set: both are put back, where they are."""
    norms = norms_of(network)
    held = [(norm.momentum, [buffer.clone() for buffer in norm.buffers()]) for norm in norms]
    try:
        yield
    finally:
        for norm, (momentum, values) in zip(norms, held, strict=True):
            norm.momentum = momentum
            for buffer, value in zip(norm.buffers(), values, strict=True):
                buffer.copy_(value)


@contextmanager
def frozen_weights(network: nn.Module) -> Iterator[None]:
    """Passes inside compute no gradient of a weight, and keep nothing that only such a gradient would need."""
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)
