"""What networks need to know of mixed precision: which type it computes in, and how to stay out of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from medarts_ops.networks.same_weights import from_weights


def in_autocast_type(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors as autocast would cast them: an autograd function has to see the types that it computes in."""
    wanted = autocast_type(tensors[0].device)
    return tensors if wanted is None else tuple(tensor.to(wanted) for tensor in tensors)


def autocast_type(device: torch.device) -> torch.dtype | None:
    """What autocast computes in on `device` now; None if it is off."""
    available = torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)
    return torch.get_autocast_dtype(device.type) if available else None


def cast_together(weights: Mapping[str, Tensor], wanted: torch.dtype) -> dict[str, Tensor]:
    """The same weights in another type, by one cast of all instead of one of each; so are their gradients."""
    return dict(zip(weights, _CastTogether.apply(wanted, *weights.values()), strict=True))


def convolution_weights(network: nn.Module) -> dict[str, Tensor]:
    """The weights of a network's convolutions by name, without the few in channels-last memory: they are to stay in it.

    They are the network's own as long as nobody replaces its parameters.
    """
    convolutions = [(name, each) for name, each in network.named_modules() if isinstance(each, nn.Conv2d)]
    return {f"{name}.weight": each.weight for name, each in convolutions if each.weight.is_contiguous()}


def with_weights_cast(network: nn.Module, weights: Mapping[str, Tensor], *given: object) -> Any:
    """`network(*given)`, for which autocast, if it is on, casts these `weights` of it at once."""
    wanted = autocast_type(next(iter(weights.values())).device) if weights else None
    if wanted is None:
        return network(*given)
    return functional_call(network, cast_together(weights, wanted), given, tie_weights=False)


class _CastTogether(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, wanted: torch.dtype, *weights: Tensor) -> tuple[Tensor, ...]:
        context.kept = weights[0].dtype
        context.set_materialize_grads(False)
        return _split_like(weights, from_weights(wanted, weights, lambda: flat(weights).to(wanted)))

    @staticmethod
    def backward(context: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        # What has no part in a loss has no gradient, which is not the same as zeros: a decay would shrink it.
        there = [gradient for gradient in gradients if gradient is not None]
        cast = iter(_split_like(there, flat(there).to(context.kept)))
        return None, *(None if gradient is None else next(cast) for gradient in gradients)


def flat(tensors: Iterable[Tensor]) -> Tensor:
    """All numbers of several tensors, one after another."""
    return torch.cat([tensor.flatten() for tensor in tensors])


def _split_like(tensors: Sequence[Tensor], numbers: Tensor) -> tuple[Tensor, ...]:
    parts = numbers.split([tensor.numel() for tensor in tensors])
    return tuple(part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True))


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Inside, operations on `device` compute in the types that they are given."""
    available = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if available else nullcontext()
