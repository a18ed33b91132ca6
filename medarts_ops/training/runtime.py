"""Device, precision, memory layout, threads and generators: the only file that says "cuda"."""

from __future__ import annotations

import logging
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medarts_ops.config_runtime import ResolvedRuntime
from medarts_ops.errors import ConfigError
from medarts_ops.provenance import nvidia_driver_version
from medarts_ops.training.kept_memory import give_back
from medarts_ops.training.ranks import ALONE, Ranks
from medarts_ops.value import Value

_logger = logging.getLogger(__name__)

Module = TypeVar("Module", bound=nn.Module)
Device = torch.device  # for rooms that pass devices on and compute nothing
StaticStep = Callable[..., tuple[Tensor, ...]]  # a step on tensors of static shapes that never waits for the device
AMPERE = (8, 0)  # the first compute capability with fast bf16; `torch.cuda.is_bf16_supported()` would count emulation
RESIDENT_SHARE = 0.5  # images stay on the GPU if they take less than this part of its free memory
EAGER_STEPS = 3
"""Steps before one is captured: they choose algorithms and make the states of optimizers (torch's advice)."""

CUBLAS_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
REPEATABLE_WORKSPACES = (":4096:8", ":16:8")
"""The environment variable and its values with which cuBLAS gives the same bits each time (NVIDIA's documentation)."""

_AMP_TYPES = {"off": None, "fp16": torch.float16, "bf16": torch.bfloat16}


def make_cublas_repeatable() -> None:
    """Choose cuBLAS's workspace, which is read once, at the first matrix product; ConfigError if it is settled."""
    got = os.environ.get(CUBLAS_WORKSPACE)
    if got in REPEATABLE_WORKSPACES:
        return
    if got is None and not torch.cuda.is_initialized():
        os.environ[CUBLAS_WORKSPACE] = REPEATABLE_WORKSPACES[0]
        return
    found = "this process began to use CUDA without it" if got is None else f"it is {got!r}"
    raise ConfigError(
        f"runtime.deterministic needs the environment variable {CUBLAS_WORKSPACE} and {found}: allowed are "
        f"{' and '.join(REPEATABLE_WORKSPACES)}; set it before the process starts"
    )


def resolve_device(name: str, asked: str | None = None) -> torch.device:
    """The device that `auto`, `cpu`, `cuda` or `cuda:N` means here; a ConfigError if it is not there.

    `asked` is the whole setting, where that names several.
    """
    asked = name if asked is None else asked
    available = torch.cuda.is_available()
    device = torch.device(("cuda" if available else "cpu") if name == "auto" else name)
    if device.type != "cuda":
        return device
    if not available:
        raise ConfigError(
            f"runtime.device is {asked!r} and no CUDA device is usable here: allowed are auto and cpu; "
            "check the driver with nvidia-smi, and in Docker pass --gpus all"
        )
    index, n_devices = device.index or 0, torch.cuda.device_count()
    if index >= n_devices:
        raise ConfigError(f"runtime.device is {name!r}: this machine has {n_devices} CUDA device(s), numbered from 0")
    return torch.device("cuda", index)


def resolve_devices(names: tuple[str, ...], most: int | None = 1) -> tuple[torch.device, ...]:
    """The devices that names mean here: of `auto` and `cuda` as many cards as there are, up to `most`.

    Raises:
        ConfigError: one is not there, or is named twice.
    """
    devices = tuple(resolve_device(name, ",".join(names)) for name in names)
    if len(set(devices)) < len(devices):
        raise ConfigError(f"runtime.device is {','.join(names)!r}: allowed is each card once")
    if devices[0].type != "cuda" or names not in (("auto",), ("cuda",)):
        return devices
    there = torch.cuda.device_count()
    return tuple(torch.device("cuda", index) for index in range(there if most is None else min(most, there)))


def check_can_compile(device: torch.device) -> None:
    """Raise a ConfigError if this machine lacks what torch.compile writes code for the device with."""
    variable, usual = ("CC", "gcc") if device.type == "cuda" else ("CXX", "g++")
    name = (os.environ.get(variable) or usual).split()[0]
    if shutil.which(name) is None:
        raise ConfigError(
            f"runtime.compile is true and this machine has no {name}: torch.compile needs a compiler; install one, "
            f"name it by the environment variable {variable}, or leave --compile out"
        )
    if device.type == "cuda" and find_spec("triton") is None:
        raise ConfigError(
            "runtime.compile is true and there is no triton, which torch.compile needs on CUDA: pip install triton, or "
            "leave --compile out"
        )


def broken(device: str) -> str | None:
    """Why a process can't compute on a card any more, which an error of CUDA's leaves so; None if it can."""
    if device == "cpu":
        return None
    try:
        torch.cuda.synchronize(device)
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return None


def fast_amp(*devices: torch.device) -> str:
    """The mixed precision that all of some devices are fast at."""
    if devices[0].type != "cuda":
        return "off"
    return "bf16" if all(torch.cuda.get_device_capability(each) >= AMPERE for each in devices) else "fp16"


@dataclass(frozen=True)
class Runtime:
    """A resolved runtime. Weights, α, statistics and optimizer states are float32; `amp_type` is for forward passes."""

    device: torch.device
    amp_type: torch.dtype | None
    channels_last: bool
    threads: int
    tf32: bool
    cuda_graphs: bool
    deterministic: bool
    ranks: Ranks = ALONE
    compiles: bool = False

    @classmethod
    def from_config(cls, config: ResolvedRuntime, ranks: Ranks = ALONE) -> Runtime:
        """Build, in whichever process is to compute; ConfigError if it has no such device, nor what that asks for.

        Of several cards each rank has its own, and each worker is given its own.
        """
        names = config.device_names
        device = resolve_device(names[ranks.rank % len(names)])
        if config.deterministic and device.type == "cuda":
            make_cublas_repeatable()
        if config.compiles:
            check_can_compile(device)
        return cls(
            device=device,
            amp_type=_AMP_TYPES[config.amp],
            channels_last=config.channels_last,
            threads=config.threads,
            tf32=config.tf32,
            cuda_graphs=config.captures,
            deterministic=config.deterministic,
            ranks=ranks,
            compiles=config.compiles,
        )

    def apply_to_process(self) -> None:
        """Set what torch holds per process: threads, TF32, determinism, and the choice of convolution algorithms.

        What an earlier runtime set is set back: a process may train under several, one after the other.
        """
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        if torch.are_deterministic_algorithms_enabled() != self.deterministic:  # the call takes a second of imports
            torch.use_deterministic_algorithms(self.deterministic)
        if self.device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = self.tf32
            torch.backends.cudnn.allow_tf32 = self.tf32
            # Shapes are static but for an epoch's last batch, so trying algorithms once pays; but who wins may change.
            torch.backends.cudnn.benchmark = not self.deterministic
            torch.backends.cudnn.deterministic = self.deterministic
            # Steps before the capture and those of other shapes run without a graph on purpose.
            warnings.filterwarnings("ignore", message="This instance was constructed with capturable=True")

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

    def rate(self, value: float) -> float | Tensor:
        """A learning rate as an optimizer wants it: a captured step reads it from the device."""
        return torch.tensor(value, device=self.device) if self.cuda_graphs else value

    def captured(self, step: StaticStep) -> StaticStep:
        """The step as one CUDA graph, if the runtime uses graphs; else itself."""
        return CapturedStep(step) if self.cuda_graphs else step

    def compiled(self, network: nn.Module) -> Callable[..., Any]:
        """The network, compiled at its first call for batches of that one size, if the runtime compiles."""
        if not self.compiles:
            return network
        _logger.warning("the first batch compiles the training step, which takes minutes once")
        return torch.compile(network, dynamic=False)

    def place(self, module: Module) -> Module:
        """Move a module to the device, in the runtime's memory layout."""
        if self.channels_last:
            return module.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
        return module.to(self.device)

    def free_cache(self) -> None:
        """Give back what the allocator keeps in reserve, after a network is gone."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        give_back(self.device)

    def generator(self, seed: int) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(seed)

    def place_images(self, images: NDArray[np.uint8]) -> Tensor:
        """`images [image, height, width, channel]` on the device; in pinned host memory if they don't fit there."""
        tensor = torch.from_numpy(np.ascontiguousarray(images))
        if self.device.type != "cuda":
            return tensor
        fits = tensor.nbytes < RESIDENT_SHARE * torch.cuda.mem_get_info(self.device)[0]
        return tensor.to(self.device) if fits else tensor.pin_memory()

    def take(self, images: Tensor, indices: Tensor) -> Tensor:
        """The images at `indices` (on the host), on the device."""
        if images.device == self.device:
            return images[indices.to(self.device, non_blocking=True)]
        return images[indices].to(self.device, non_blocking=True)


class CapturedStep:
    """A step that is captured into a CUDA graph after a few calls, and replayed from then on.

    The shapes of the first call are those that are captured; others (an epoch's last, smaller batch) run without a
    graph. What is returned is overwritten by the next call.
    """

    def __init__(self, step: StaticStep) -> None:
        self._step = step
        self._shapes: list[torch.Size] | None = None
        self._eager_steps = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._inputs: list[Tensor] = []
        self._outputs: tuple[Tensor, ...] = ()

    def __call__(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        shapes = [tensor.shape for tensor in tensors]
        self._shapes = self._shapes or shapes
        if shapes != self._shapes:
            return self._step(*tensors)
        if self._eager_steps < EAGER_STEPS:
            self._eager_steps += 1
            stream = torch.cuda.Stream()  # where torch wants the steps before a capture to run
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                outputs = self._step(*tensors)
            torch.cuda.current_stream().wait_stream(stream)
            return outputs
        if self._graph is None:
            self._inputs, graph = [tensor.clone() for tensor in tensors], torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):  # records the step without running it: nothing is trained twice
                self._outputs = self._step(*self._inputs)
            self._graph = graph
        for mine, given in zip(self._inputs, tensors, strict=True):
            mine.copy_(given, non_blocking=True)
        self._graph.replay()
        return self._outputs


class Numerics(Value):
    """What decides the bits of a process's results, as torch has it now."""

    threads: int
    interop_threads: int
    cpu_capability: str
    deterministic_algorithms: bool
    cudnn_deterministic: bool
    cudnn_benchmark: bool
    cudnn_tf32: bool
    matmul_tf32: bool
    float32_matmul_precision: str

    @classmethod
    def of_process(cls) -> Numerics:
        return cls(
            threads=torch.get_num_threads(),
            interop_threads=torch.get_num_interop_threads(),
            cpu_capability=torch.backends.cpu.get_cpu_capability(),
            deterministic_algorithms=torch.are_deterministic_algorithms_enabled(),
            cudnn_deterministic=torch.backends.cudnn.deterministic,
            cudnn_benchmark=torch.backends.cudnn.benchmark,
            cudnn_tf32=torch.backends.cudnn.allow_tf32,
            matmul_tf32=torch.backends.cuda.matmul.allow_tf32,
            float32_matmul_precision=torch.get_float32_matmul_precision(),
        )


class Gpu(Value):
    """A CUDA device and the versions of what drives it; None where they can't be found out."""

    name: str
    capability: tuple[int, int]
    cuda: str | None
    cudnn: int | None
    driver: str | None

    @classmethod
    def of_device(cls, device: torch.device) -> Gpu | None:
        """The card behind a CUDA device; None for a CPU."""
        if device.type != "cuda":
            return None
        return cls(
            name=torch.cuda.get_device_name(device),
            capability=torch.cuda.get_device_capability(device),
            cuda=torch.version.cuda,
            cudnn=torch.backends.cudnn.version(),
            driver=nvidia_driver_version(),
        )


@contextmanager
def initial_weights(seed: int) -> Iterator[None]:
    """Modules built inside draw their weights from `seed`, on the CPU; the global random state is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
