"""Counting launches: the calls of a training step that do work, a proxy for its CUDA kernels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import ceil
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from medarts_ops.networks.device_kind import as_on_a_card

FREE = frozenset(
    """
    _local_scalar_dense _reshape_alias _unsafe_view alias as_strided chunk detach diagonal empty empty_like
    empty_strided expand expand_as is_same_size item lift_fresh narrow new_empty new_empty_strided permute record_stream
    reshape select set_ slice split split_with_sizes squeeze sym_size sym_stride t transpose unbind unfold
    unsafe_chunk unsafe_split unsafe_split_with_sizes unsqueeze view view_as
    """.split()
)
"""Calls that only look at a tensor in another way, or reserve memory."""


class _Counter(TorchDispatchMode):
    """Sees every operation that reaches a device, those of the backward pass too."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, operation: Any, types: Any, arguments: Sequence[Any] = (), named: Any = None) -> Any:
        name = str(operation.overloadpacket.__name__)
        kernels = 1
        if name == "convolution_backward":
            kernels = sum(arguments[10])  # one for each gradient that is asked for
        elif name.startswith(("_foreach_", "_fused_")) or name in ("cat", "stack"):
            kernels = ceil(len(arguments[0]) / 100)  # one takes about as many tensors
        if name not in FREE:
            self.counts[name] += kernels
        return operation(*arguments, **(named or {}))


def count_launches(step: Callable[[], object]) -> Counter[str]:
    """Launches of one call of `step` by operation, on the CPU (the count is the same on a GPU, up to fused kernels).

    The step is computed as on a card, where a CPU has a way of its own.

    Views, empty tensors and metadata are not counted; a convolution's backward counts once for each gradient that it
    computes, a foreach or fused call and a concatenation once for each hundred tensors.
    """
    counter = _Counter()
    with as_on_a_card(), counter, torch.autograd.set_multithreading_enabled(False):
        step()
    return counter.counts
