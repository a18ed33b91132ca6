"""What networks need to know of mixed precision: which type it computes in, and how to stay out of it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def in_autocast_type(*tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors as autocast would cast them: an autograd function has to see the types that it computes in."""
    device = tensors[0].device.type
    if not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
        return tensors
    return tuple(tensor.to(torch.get_autocast_dtype(device)) for tensor in tensors)


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Inside, operations on `device` compute in the types that they are given."""
    available = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if available else nullcontext()
