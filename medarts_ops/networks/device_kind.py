"""Whether a CPU computes or a card: where both can, one way suits this one and another that one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from torch import Tensor

_FOR_A_CARD = ContextVar("for_a_card", default=False)


def on_cpu(tensor: Tensor) -> bool:
    """Whether what is computed from a tensor is for a CPU.

    Torch's meta device, which computes nothing, stands in for one, except in `as_on_a_card`.
    """
    return tensor.device.type in ("cpu", "meta") and not _FOR_A_CARD.get()


@contextmanager
def as_on_a_card() -> Iterator[None]:
    """Inside, everything is computed as on a card: for what is counted or estimated on behalf of one."""
    token = _FOR_A_CARD.set(True)
    try:
        yield
    finally:
        _FOR_A_CARD.reset(token)
