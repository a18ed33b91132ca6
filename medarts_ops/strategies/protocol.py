"""What a strategy is, and the bilevel problem that its architecture step is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from medarts_ops.individual import Alpha
from medarts_ops.networks.layout import SupernetSpec
from medarts_ops.space.search_space import SearchSpace


@dataclass(frozen=True)
class Batch:
    """Network-ready images [image, channel, height, width] with their labels [image].

    For a stack of individuals both are [individual, image, …].
    """

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class AlphaTensors:
    """α while it is trained: leaves [individual, edge, op] with gradients, float32 (float64 in tests)."""

    normal: Tensor
    reduce: Tensor

    def all(self) -> tuple[Tensor, Tensor]:
        """Both, in the order of gradients and optimizer parameters."""
        return self.normal, self.reduce


@dataclass(frozen=True)
class WeightStep:
    """How SGD steps w, which the virtual step of second-order DARTS imitates.

    Attributes:
        lr: learning rates of now, [individual].
        momentum: SGD's.
        weight_decay: L2 penalty.
        momentum_buffers: by parameter name, each [individual, …]; zeros before the first step.
    """

    lr: Tensor
    momentum: float
    weight_decay: float
    momentum_buffers: Mapping[str, Tensor]


@dataclass(frozen=True)
class BilevelProblem:
    """Eq. 3 and 4 at one iteration, for each individual of a stack: supernet with weights w, α, and how w is stepped.

    Attributes:
        supernet: in training mode; every parameter is [individual, …].
        alpha: the α tensors.
        mixture: the strategy's map from α to mixture weights.
        weight_step: what the virtual step imitates.
        scaled_sum: the losses [individual] as the one number to differentiate, each times its loss scale (under fp16).
        autocast: opens the mixed-precision context of the ordinary forward passes.
    """

    supernet: nn.Module
    alpha: AlphaTensors
    mixture: Callable[[Tensor], Tensor]
    weight_step: WeightStep
    scaled_sum: Callable[[Tensor], Tensor]
    autocast: Callable[[], torch.autocast]

    def logits(self, images: Tensor, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """The supernet's output at its own weights, or at others given by parameter name."""
        mixtures = (self.mixture(self.alpha.normal), self.mixture(self.alpha.reduce))
        logits: Tensor
        if weights is None:
            logits = self.supernet(images, *mixtures)
        else:
            logits = functional_call(self.supernet, dict(weights), (images, *mixtures))
        return logits

    def losses(self, batch: Batch, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """Mean cross-entropy [individual]. An individual's loss depends on its own weights and α alone."""
        return mean_losses(self.logits(batch.images, weights), batch.labels)


def mean_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy [individual] of `logits [individual, image, class]`; autocast computes it in float32."""
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(labels.shape).mean(dim=1)


@dataclass(frozen=True)
class ArchitectureGradient:
    """∇α of the validation loss, in the order of `AlphaTensors.all`, and the losses [individual], unscaled, detached.

    `scaled` says that the gradients carry the problem's loss scales.
    """

    gradients: tuple[Tensor, Tensor]
    losses: Tensor
    scaled: bool


class Strategy(Protocol):
    """The promises of a strategy; `tests/contracts` holds every registered one to them."""

    def supernet_spec(self, space: SearchSpace) -> SupernetSpec:
        """Which operations the supernet has on each edge."""
        ...

    def initial_alpha(self, space: SearchSpace, std: float, rng: np.random.Generator) -> Alpha:
        """A random α, drawn in NumPy so that it is the same on every device."""
        ...

    def mixture(self, op_logits: Tensor) -> Tensor:
        """`op_logits […, edge, op]` → weights of that shape; a row's sum is the edge's weight (1 in DARTS)."""
        ...

    def architecture_gradient(self, problem: BilevelProblem, train: Batch, valid: Batch) -> ArchitectureGradient:
        """The gradients that the α steps of a stack's individuals follow, at the w of now."""
        ...
