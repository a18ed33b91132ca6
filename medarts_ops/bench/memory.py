"""Peak memory of a step: the bytes of tensors that it makes and that live at the same time."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Watcher(TorchDispatchMode):
    """Notes every storage that appears, and when it goes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = self._now = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, operation: Any, types: Any, arguments: Sequence[Any] = (), named: Any = None) -> Any:
        # What an operation reads and we have not seen was there before: weights, images, states of optimizers.
        self._note((arguments, named), are_new=False)
        result = operation(*arguments, **(named or {}))
        self._note(result, are_new=True)
        return result

    def _note(self, tree: Any, *, are_new: bool) -> None:
        for storage in (leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)):
            key, size = storage.data_ptr(), storage.nbytes() if are_new else 0
            if key and key not in self._seen:
                self._seen.add(key)
                self._now += size
                self.peak = max(self.peak, self._now)
                weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self._now -= size


def peak_bytes(step: Callable[[], object], device: torch.device) -> int:
    """The most bytes that one call of `step` holds beyond what there was before."""
    if device.type == "cpu":
        watcher = _Watcher()
        with watcher, torch.autograd.set_multithreading_enabled(False):
            step()
        return watcher.peak
    module = torch.get_device_module(device)
    module.synchronize(device)
    module.reset_peak_memory_stats(device)
    before = int(module.memory_allocated(device))
    step()
    module.synchronize(device)
    return int(module.max_memory_allocated(device)) - before
