"""Device, precision, memory layout, threads and generators: the only file that says "cuda"."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medarts_ops.config import RuntimeConfig
from medarts_ops.errors import ConfigError

Module = TypeVar("Module", bound=nn.Module)

AMPERE = (8, 0)
"""The first compute capability with fast bf16; `torch.cuda.is_bf16_supported()` would count emulation."""

RESIDENT_SHARE = 0.5
"""Images stay on the GPU if they take less than this part of its free memory."""

_AMP_TYPES = {"off": None, "fp16": torch.float16, "bf16": torch.bfloat16}


def resolve_runtime(config: RuntimeConfig) -> RuntimeConfig:
    """The same settings with every `auto` replaced by what this machine gives; recorded with the run.

    Raises:
        ConfigError: CUDA or a card that is not there.
    """
    device = _resolve_device(config.device)
    amp = _amp_for(device) if config.amp == "auto" else config.amp
    threads = max(1, _available_cores() // config.workers) if config.threads == "auto" else config.threads
    return config.model_copy(update={"device": str(device), "amp": amp, "threads": threads})


def _resolve_device(name: str) -> torch.device:
    available = torch.cuda.is_available()
    if name == "auto":
        name = "cuda" if available else "cpu"
    device = torch.device(name)
    if device.type != "cuda":
        return device
    if not available:
        raise ConfigError(
            f"runtime.device is {name!r} and no CUDA device is usable here: allowed are auto and cpu; "
            "check the driver with nvidia-smi, and in Docker pass --gpus all"
        )
    index = device.index or 0
    if index >= torch.cuda.device_count():
        raise ConfigError(
            f"runtime.device is {name!r}: this machine has {torch.cuda.device_count()} CUDA device(s), numbered from 0"
        )
    return torch.device("cuda", index)


def _amp_for(device: torch.device) -> str:
    if device.type != "cuda":
        return "off"
    return "bf16" if torch.cuda.get_device_capability(device) >= AMPERE else "fp16"


def _available_cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every platform
        return os.cpu_count() or 1


@dataclass(frozen=True)
class Runtime:
    """A resolved runtime. Weights, α, statistics and optimizer states are float32; `amp_type` is for forward passes."""

    device: torch.device
    amp_type: torch.dtype | None
    channels_last: bool
    threads: int
    tf32: bool

    @classmethod
    def from_config(cls, config: RuntimeConfig) -> Runtime:
        """Resolve what is still `auto`, and build."""
        resolved = resolve_runtime(config)
        assert isinstance(resolved.threads, int)
        return cls(
            device=torch.device(resolved.device),
            amp_type=_AMP_TYPES[resolved.amp],
            channels_last=resolved.channels_last,
            threads=resolved.threads,
            tf32=resolved.tf32,
        )

    def apply_to_process(self) -> None:
        """Set what torch holds per process: threads, TF32, and the choice of convolution algorithms."""
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        if self.device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = self.tf32
            torch.backends.cudnn.allow_tf32 = self.tf32
            # Shapes are static but for an epoch's last batch, so trying algorithms once pays.
            torch.backends.cudnn.benchmark = True

    def autocast(self) -> torch.autocast:
        """The context of a forward pass; does nothing when mixed precision is off."""
        return torch.autocast(self.device.type, dtype=self.amp_type, enabled=self.amp_type is not None)

    def gradient_scaler(self) -> torch.amp.GradScaler:
        """A loss scaler for fp16; a pass-through otherwise."""
        return torch.amp.GradScaler(self.device.type, enabled=self.amp_type is torch.float16)

    def fused_optimizers(self) -> bool:
        """Whether an optimizer steps all tensors by one kernel, which on CUDA spares the scaler a synchronisation.

        Not under fp16 on a CPU: there the fused kernels step even where the scaler found an infinite gradient.
        """
        return self.device.type == "cuda" or self.amp_type is not torch.float16

    def place(self, module: Module) -> Module:
        """Move a module to the device, in the runtime's memory layout."""
        if self.channels_last:
            return module.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
        return module.to(self.device)

    def generator(self, seed: int) -> torch.Generator:
        """A generator on the device."""
        return torch.Generator(self.device).manual_seed(seed)

    def place_images(self, images: NDArray[np.uint8]) -> Tensor:
        """`images [image, height, width, channel]` on the device; in pinned host memory if they don't fit there."""
        tensor = torch.from_numpy(np.ascontiguousarray(images))
        if self.device.type != "cuda":
            return tensor
        free, _ = torch.cuda.mem_get_info(self.device)
        if tensor.nbytes < RESIDENT_SHARE * free:
            return tensor.to(self.device)
        return tensor.pin_memory()

    def take(self, images: Tensor, indices: Tensor) -> Tensor:
        """The images at `indices` (on the host), on the device."""
        if images.device == self.device:
            return images[indices.to(self.device, non_blocking=True)]
        return images[indices].to(self.device, non_blocking=True)


@contextmanager
def initial_weights(seed: int) -> Iterator[None]:
    """Modules built inside draw their weights from `seed`, on the CPU; the global random state is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
