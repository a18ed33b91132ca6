"""What is computed from weights alone, computed once for both passes of a search step, which see the same weights.

What the first pass computes is kept until the second asks for it. It is known by the tensors that it was computed from
and how often autograd saw them change in place: at other weights, or those that changed in between, everything is
computed anew. Fused optimizers and `.data` change weights unseen: a step with more than one first pass keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class _Kept:
    passes: int = 0
    recording: bool = False
    found: dict[Hashable, tuple[Sequence[Tensor], Tensor]] = field(default_factory=dict)


_KEPT: ContextVar[_Kept | None] = ContextVar("same_weights", default=None)


@contextmanager
def same_weights() -> Iterator[None]:
    """Passes inside may take what the `first_pass` inside computed from weights; beyond it nothing is kept."""
    token = _KEPT.set(_Kept())
    try:
        yield
    finally:
        _KEPT.reset(token)


@contextmanager
def first_pass() -> Iterator[None]:
    """What is computed from weights inside is kept for one pass more, if `same_weights` is around it."""
    kept = _KEPT.get() or _Kept()
    kept.passes += 1
    kept.found.clear()
    kept.recording = kept.passes == 1
    try:
        yield
    finally:
        kept.recording = False


def from_weights(what: Hashable, weights: Sequence[Tensor], compute: Callable[[], Tensor]) -> Tensor:
    """`compute()`, which depends on nothing but `what` and `weights`: or what it gave the first pass.

    To be called where no gradient is recorded. Nobody may change what comes back.
    """
    kept = _KEPT.get()
    if kept is None or weights[0].is_meta:
        return compute()
    key = (what, *map(_known_by, weights))
    if not kept.recording and key in kept.found:
        return kept.found.pop(key)[1].detach()
    computed = compute()
    if kept.recording:
        # With the weights: their memory must not be given to others as long as it is known by them.
        kept.found[key] = weights, computed
    return computed


def _known_by(weight: Tensor) -> Hashable:
    return weight.data_ptr(), weight._version, weight.dtype, weight.shape, weight.stride()
