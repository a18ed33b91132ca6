"""DARTS (Liu et al. 2019): softmax mixtures, first- and second-order architecture gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from medarts_ops.individual import Alpha, CellAlpha
from medarts_ops.networks.layout import SupernetSpec
from medarts_ops.networks.statistics import frozen_statistics
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
        with problem.autocast():
            loss = problem.loss(valid)
        normal, reduce = torch.autograd.grad(problem.scale(loss), problem.alpha.all())
        return ArchitectureGradient((normal, reduce), loss.detach(), scaled=True)


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
        lr = float(problem.weights_optimizer.param_groups[0]["lr"])
        alphas = problem.alpha.all()
        with frozen_statistics(problem.supernet):
            virtual = self._virtual_weights(problem, weights, train)
            loss = problem.loss(valid, virtual)
            gradients = torch.autograd.grad(loss, [*alphas, *virtual.values()])
            direction = dict(zip(weights, gradients[len(alphas) :], strict=True))
            radius = self.finite_difference / torch.linalg.vector_norm(
                torch.stack([torch.linalg.vector_norm(g) for g in direction.values()])
            )
            ahead = self._shifted_gradient(problem, weights, direction, radius, train)
            behind = self._shifted_gradient(problem, weights, direction, -radius, train)
        normal, reduce = (
            g - lr * (plus - minus) / (2 * radius)
            for g, plus, minus in zip(gradients[: len(alphas)], ahead, behind, strict=True)
        )
        return ArchitectureGradient((normal, reduce), loss.detach(), scaled=False)

    def _virtual_weights(
        self, problem: BilevelProblem, weights: Mapping[str, Tensor], train: Batch
    ) -> dict[str, Tensor]:
        """w' = w − ξ (μ · momentum buffer + ∇w Ltrain + λ w), as leaves."""
        gradients = torch.autograd.grad(problem.loss(train), list(weights.values()))
        group = problem.weights_optimizer.param_groups[0]
        lr, momentum, decay = float(group["lr"]), float(group["momentum"]), float(group["weight_decay"])
        virtual: dict[str, Tensor] = {}
        with torch.no_grad():
            for (name, weight), gradient in zip(weights.items(), gradients, strict=True):
                step = gradient + decay * weight
                buffer = problem.weights_optimizer.state.get(weight, {}).get("momentum_buffer")
                if buffer is not None:
                    step = step + momentum * buffer
                virtual[name] = weight - lr * step
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
            shifted = {name: weight + radius * direction[name] for name, weight in weights.items()}
        return torch.autograd.grad(problem.loss(train, shifted), problem.alpha.all())
