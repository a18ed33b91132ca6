"""What strategies make of noise: Gumbel draws, and the one operation that is drawn."""

from __future__ import annotations

import torch
from torch import Tensor

from medarts_ops.strategies.alpha_tensors import masked_softmax

SMALLEST_UNIFORM = 1e-7
"""Uniform draws keep so far from 0 and 1, where a Gumbel draw would be infinite."""


def gumbel(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Standard Gumbel draws -log(-log U), float32, on the CPU."""
    uniform = torch.rand(shape, generator=generator).clamp(SMALLEST_UNIFORM, 1 - SMALLEST_UNIFORM)
    return -torch.log(-torch.log(uniform))


def drawn_operation(logits: Tensor, mask: Tensor, noise: Tensor | None) -> Tensor:
    """One-hot [individual, edge, op] of the operation drawn with the probabilities softmax(logits).

    The largest of logits plus Gumbel noise among those that `mask` has (of equal ones the first); without noise the
    most likely. Has no gradient.
    """
    noisy = logits.detach() if noise is None else logits.detach() + noise
    best = noisy.masked_fill(~mask, torch.finfo(noisy.dtype).min).argmax(dim=-1, keepdim=True)
    return torch.zeros_like(noisy).scatter_(-1, best, 1.0)


def concrete(logits: Tensor, noise: Tensor, temperature: Tensor, mask: Tensor) -> Tensor:
    """A draw of the concrete distribution, softmax((logits + Gumbel) / τ) [individual, edge, op]."""
    return masked_softmax((logits + noise) / temperature, mask)


def geometric(first: float, last: float, progress: Tensor) -> Tensor:
    """From `first` to `last`, by equal factors, as progress goes from 0 to 1."""
    return first * (last / first) ** progress


def linear(first: float, last: float, progress: Tensor) -> Tensor:
    """From `first` to `last`, by equal steps, as progress goes from 0 to 1."""
    return first + (last - first) * progress
