"""The bilevel problem that a strategy's architecture step is given (Eq. 3 and 4), for each individual of a stack."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from medarts_ops.data.batches import Batch
from medarts_ops.networks.frozen import frozen_weights
from medarts_ops.networks.skip_dropout import SkipDropout
from medarts_ops.strategies.alpha_tensors import AlphaTensors, CellTensors

if TYPE_CHECKING:
    from medarts_ops.strategies.strategy import Strategy

Phase = Literal["weights", "alpha", "reading"]
"""What a mixture is for: the step of w, the step of α, or to be read (validated, discretized, drawn)."""


@dataclass(frozen=True)
class Moment:
    """When a mixture is asked for.

    `progress` is the share of the search's epochs that are over, a number in 0…1 on the device: a captured step reads
    it where it is.
    """

    phase: Phase
    progress: Tensor


def mixtures_of(strategy: Strategy, alpha: AlphaTensors, moment: Moment) -> tuple[Tensor, Tensor]:
    """The weights [individual, edge, op] of both kinds of cell; what is masked has none, whatever the strategy says."""
    normal, reduce = (_masked_mixture(strategy, cell, moment) for cell in alpha.cells)
    return normal, reduce


def _masked_mixture(strategy: Strategy, cell: CellTensors, moment: Moment) -> Tensor:
    mixture = strategy.mixture(cell, moment)
    _check_shape(strategy, "mixture [individual, edge, op]", mixture, cell.mask.shape)
    return torch.where(cell.mask, mixture, 0.0)


def _check_shape(strategy: Strategy, what: str, got: Tensor, allowed: torch.Size) -> None:
    # Torch would spread another shape over this one without a word.
    if got.shape != allowed:
        raise ValueError(
            f"{type(strategy).__name__} gave a {what} of shape {list(got.shape)}: allowed is {list(allowed)}"
        )


@dataclass(frozen=True)
class WeightStep:
    """How SGD steps w, which the virtual step of second-order DARTS imitates.

    `lr` are learning rates of now, [individual]; buffers by parameter name, each [individual, …], zeros at first.
    """

    lr: Tensor
    momentum: float
    weight_decay: float
    momentum_buffers: Mapping[str, Tensor]


@dataclass(frozen=True)
class LossScales:
    """The loss scale of each individual (under fp16; elsewhere scalers pass through)."""

    scalers: Sequence[torch.amp.GradScaler]

    def sum(self, losses: Tensor) -> Tensor:
        """`losses [individual]` as the one number to differentiate, each times its individual's scale."""
        scaled = [scaler.scale(loss) for scaler, loss in zip(self.scalers, losses.unbind(), strict=True)]
        return torch.stack(scaled).sum()


@dataclass(frozen=True)
class ArchitectureGradient:
    """∇α of the validation loss, in the order of `AlphaTensors.leaves`, and the losses [individual] to report.

    The losses are unscaled, detached and without penalty. `scaled` says that the gradients carry the loss scales.
    """

    gradients: tuple[Tensor, ...]
    losses: Tensor
    scaled: bool


@dataclass(frozen=True)
class BilevelProblem:
    """One iteration's problem: supernet with weights w, α with its noise, and how w is stepped.

    The supernet is in training mode, every parameter [individual, …]. `autocast` opens the mixed-precision context of
    the ordinary forward passes; `dropout` is of this step's skip-connections, if the strategy asked for it.
    """

    supernet: nn.Module
    strategy: Strategy
    alpha: AlphaTensors
    moment: Moment
    weight_step: WeightStep
    scales: LossScales
    autocast: Callable[[], torch.autocast]
    dropout: SkipDropout | None = None

    def logits(self, images: Tensor, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """The supernet's output at its own weights, or at others given by parameter name."""
        dropout = () if self.dropout is None else (self.dropout,)
        given = (images, *mixtures_of(self.strategy, self.alpha, self.moment), *dropout)
        logits: Tensor
        logits = self.supernet(*given) if weights is None else functional_call(self.supernet, dict(weights), given)
        return logits

    def losses(self, batch: Batch, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """Mean cross-entropy [individual]. An individual's loss depends on its own weights and α alone."""
        return mean_losses(self.logits(batch.images, weights), batch.labels)

    def penalized(self, losses: Tensor) -> Tensor:
        """What the step of α differentiates: `losses [individual]` plus the penalty, which is not reported."""
        penalty = self.strategy.penalty(self.alpha, self.moment)
        if penalty is None:
            return losses
        _check_shape(self.strategy, "penalty [individual]", penalty, losses.shape)
        return losses + penalty

    def gradients(self, of: Tensor) -> tuple[Tensor, ...]:
        """∇α of one number, in the order of `AlphaTensors.leaves`; zeros for an array that it does not depend on."""
        return torch.autograd.grad(of, self.alpha.leaves(), materialize_grads=True)

    def first_order_gradient(self, valid: Batch) -> ArchitectureGradient:
        """∇α Lval(w, α) at the w of now; weight gradients are not computed."""
        with frozen_weights(self.supernet), self.autocast():
            losses = self.losses(valid)
        gradients = self.gradients(self.scales.sum(self.penalized(losses)))
        return ArchitectureGradient(gradients, losses.detach(), scaled=True)


def mean_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy [individual] of `logits [individual, image, class]`; autocast computes it in float32."""
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(labels.shape).mean(dim=1)
