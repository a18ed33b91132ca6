"""DARTS (Liu et al. 2019): softmax mixtures, first- and second-order architecture gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from medarts_ops.individual import Alpha, CellAlpha
from medarts_ops.networks.frozen import frozen_statistics, frozen_weights
from medarts_ops.networks.layout import SupernetSpec
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.strategies.protocol import ArchitectureGradient, Batch, BilevelProblem


class _Darts:
    """What both orders share."""

    def supernet_spec(self, space: SearchSpace) -> SupernetSpec:
        """All operations on all edges."""
        return SupernetSpec.full(space)

    def initial_alpha(self, space: SearchSpace, std: float, rng: np.random.Generator) -> Alpha:
        """std · N(0, 1) for both cells (DARTS: 1e-3)."""
        shape = (space.n_edges, space.n_primitives)
        return Alpha(
            normal=CellAlpha(op_logits=std * rng.standard_normal(shape)),
            reduce=CellAlpha(op_logits=std * rng.standard_normal(shape)),
        )

    def mixture(self, op_logits: Tensor) -> Tensor:
        """Softmax over the operations (Eq. 2)."""
        return torch.softmax(op_logits, dim=-1)


class FirstOrderDarts(_Darts):
    """ξ = 0: the gradient of the validation loss at the current weights."""

    def architecture_gradient(self, problem: BilevelProblem, train: Batch, valid: Batch) -> ArchitectureGradient:
        """∇α Lval(w, α). Weight gradients are not computed."""
        with frozen_weights(problem.supernet), problem.autocast():
            losses = problem.losses(valid)
        normal, reduce = torch.autograd.grad(problem.scaled_sum(losses), problem.alpha.all())
        return ArchitectureGradient((normal, reduce), losses.detach(), scaled=True)


@dataclass(frozen=True)
class SecondOrderDarts(_Darts):
    """ξ = the current learning rate: the gradient through one virtual step of w (DARTS, Eq. 5 to 8).

    Everything runs in float32: the finite difference of two close gradients is lost in half precision. The passes
    at w', w⁺ and w⁻ leave the running statistics alone, which describe w (ours).

    Attributes:
        finite_difference: length of the step to w⁺ and w⁻, R · ‖∇w' Lval‖ (DARTS: 0.01).
    """

    finite_difference: float

    def architecture_gradient(self, problem: BilevelProblem, train: Batch, valid: Batch) -> ArchitectureGradient:
        """∇α Lval(w', α) − ξ [∇α Ltrain(w⁺, α) − ∇α Ltrain(w⁻, α)] / (2R), R = `finite_difference` / ‖∇w' Lval‖."""
        weights = dict(problem.supernet.named_parameters())
        alphas = problem.alpha.all()
        with frozen_statistics(problem.supernet):
            virtual = self._virtual_weights(problem, weights, train)
            losses = problem.losses(valid, virtual)
            gradients = torch.autograd.grad(losses.sum(), [*alphas, *virtual.values()])
            direction = dict(zip(weights, gradients[len(alphas) :], strict=True))
            radius = self.finite_difference / _norms(direction)
            ahead = self._shifted_gradient(problem, weights, direction, radius, train)
            behind = self._shifted_gradient(problem, weights, direction, -radius, train)
        correction = problem.weight_step.lr / (2 * radius)
        normal, reduce = (
            g - _for_each(correction, g) * (plus - minus)
            for g, plus, minus in zip(gradients[: len(alphas)], ahead, behind, strict=True)
        )
        return ArchitectureGradient((normal, reduce), losses.detach(), scaled=False)

    def _virtual_weights(
        self, problem: BilevelProblem, weights: Mapping[str, Tensor], train: Batch
    ) -> dict[str, Tensor]:
        """w' = w − ξ (μ · momentum buffer + ∇w Ltrain + λ w), as leaves."""
        gradients = torch.autograd.grad(problem.losses(train).sum(), list(weights.values()))
        step = problem.weight_step
        virtual: dict[str, Tensor] = {}
        with torch.no_grad():
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True):
                direction = gradient + step.weight_decay * weight + step.momentum * step.momentum_buffers[name]
                virtual[name] = weight - _for_each(step.lr, weight) * direction
        return {name: weight.requires_grad_() for name, weight in virtual.items()}

    def _shifted_gradient(
        self,
        problem: BilevelProblem,
        weights: Mapping[str, Tensor],
        direction: dict[str, Tensor],
        radius: Tensor,
        train: Batch,
    ) -> tuple[Tensor, ...]:
        """∇α Ltrain at w + radius · direction."""
        with torch.no_grad():
            shifted = {
                name: torch.addcmul(weight, _for_each(radius, weight), direction[name])
                for name, weight in weights.items()
            }
        return torch.autograd.grad(problem.losses(train, shifted).sum(), problem.alpha.all())


def _for_each(values: Tensor, like: Tensor) -> Tensor:
    """`values [individual]` in a shape that multiplies `like [individual, …]`."""
    return values.view(-1, *[1] * (like.dim() - 1)).to(like.dtype)


def _norms(tensors: Mapping[str, Tensor]) -> Tensor:
    """The norm [individual] over all `tensors`, each [individual, …]."""
    norms = [torch.linalg.vector_norm(tensor.flatten(1), dim=1) for tensor in tensors.values()]
    over_all: Tensor = torch.linalg.vector_norm(torch.stack(norms), dim=0)
    return over_all
