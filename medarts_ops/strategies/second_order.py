"""Second-order architecture gradients (DARTS, Eq. 5 to 8), for any strategy whose mixture has a gradient."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from medarts_ops.data.batches import Batch
from medarts_ops.networks.frozen import frozen_statistics
from medarts_ops.strategies.problem import ArchitectureGradient, BilevelProblem


def second_order_gradient(
    problem: BilevelProblem, train: Batch, valid: Batch, finite_difference: float
) -> ArchitectureGradient:
    """∇α Lval(w', α) − ξ [∇α Ltrain(w⁺, α) − ∇α Ltrain(w⁻, α)] / (2R), R = `finite_difference` / ‖∇w' Lval‖.

    ξ is the current learning rate and w' one virtual step of w. Everything runs in float32: the finite difference of
    two close gradients is lost in half precision. The passes at w', w⁺ and w⁻ leave the running statistics alone,
    which describe w (ours). All passes share the step's noise: the difference of two draws would be noise. The
    penalty has no part in the correction: it does not depend on w. `train` is the batch that w will be stepped on,
    `valid` the one whose loss α descends.
    """
    weights = dict(problem.supernet.named_parameters())
    alphas = problem.alpha.leaves()
    with frozen_statistics(problem.supernet):
        virtual = _virtual_weights(problem, weights, train)
        losses = problem.losses(valid, virtual)
        gradients = torch.autograd.grad(
            problem.penalized(losses).sum(), [*alphas, *virtual.values()], materialize_grads=True
        )
        direction = dict(zip(weights, gradients[len(alphas) :], strict=True))
        radius = finite_difference / _norms(direction)
        ahead = _shifted_gradient(problem, weights, direction, radius, train)
        behind = _shifted_gradient(problem, weights, direction, -radius, train)
    correction = problem.weight_step.lr / (2 * radius)
    corrected = tuple(
        g - _for_each(correction, g) * (plus - minus)
        for g, plus, minus in zip(gradients[: len(alphas)], ahead, behind, strict=True)
    )
    return ArchitectureGradient(corrected, losses.detach(), scaled=False)


def _virtual_weights(problem: BilevelProblem, weights: Mapping[str, Tensor], train: Batch) -> dict[str, Tensor]:
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
    problem: BilevelProblem, weights: Mapping[str, Tensor], direction: dict[str, Tensor], radius: Tensor, train: Batch
) -> tuple[Tensor, ...]:
    """∇α Ltrain at w + radius · direction."""
    with torch.no_grad():
        shifted = {
            name: torch.addcmul(weight, _for_each(radius, weight), direction[name]) for name, weight in weights.items()
        }
    return problem.gradients(problem.losses(train, shifted).sum())


def _for_each(values: Tensor, like: Tensor) -> Tensor:
    """`values [individual]` in a shape that multiplies `like [individual, …]`."""
    return values.view(-1, *[1] * (like.dim() - 1)).to(like.dtype)


def _norms(tensors: Mapping[str, Tensor]) -> Tensor:
    """The norm [individual] over all `tensors`, each [individual, …]."""
    norms = [torch.linalg.vector_norm(tensor.flatten(1), dim=1) for tensor in tensors.values()]
    over_all: Tensor = torch.linalg.vector_norm(torch.stack(norms), dim=0)
    return over_all
