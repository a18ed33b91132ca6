"""Peak memory of a step: the bytes of tensors that it makes and that live at the same time."""

from __future__ import annotations

from collections.abc import Callable

import torch

from medarts_ops.training.step_memory import LiveBytes


def peak_bytes(step: Callable[[], object], device: torch.device) -> int:
    """The most bytes that one call of `step` holds beyond what there was before."""
    if device.type == "cpu":
        live = LiveBytes()
        with live, torch.autograd.set_multithreading_enabled(False):
            step()
        return live.peak
    module = torch.get_device_module(device)
    module.synchronize(device)
    module.reset_peak_memory_stats(device)
    before = int(module.memory_allocated(device))
    step()
    module.synchronize(device)
    return int(module.max_memory_allocated(device)) - before
