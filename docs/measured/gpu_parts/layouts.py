"""One convolution, 1×1 or depthwise, in each memory layout and by matrix product, on maps of an evaluation's sizes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from gpu_parts.case import Asked, Case, Row, device
from torch import Tensor

from medarts_ops.config_runtime import EvaluationRuntimeConfig
from medarts_ops.networks.separable import separable_half
from medarts_ops.resolving import resolve_runtime
from medarts_ops.settings import MOST_MATRIX_SIDE
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.trial_steps import time_interleaved

MAPS = {32: 36, 16: 72, 8: 144}
"""Channels of DARTS_V2's evaluation by the side of its maps."""

TYPES = {"float32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
CALLS = 20
"""Of a way between two looks at the clock: one alone is as short as the look."""


def ways(asked: Asked) -> dict[str, Case]:
    return {
        f"{side}×{side}, {name}": partial(timed, asked, side, dtype) for side in MAPS for name, dtype in TYPES.items()
    }


def timed(asked: Asked, side: int, dtype: torch.dtype) -> Row:
    Runtime.from_config(resolve_runtime(EvaluationRuntimeConfig())).apply_to_process()
    images, channels, calls = (2, 4, 1) if asked.tiny else (96, MAPS[side], CALLS)
    found = time_interleaved(steps(images, channels, side, dtype, calls), asked.repeats, device())
    return {"channels": channels, **{way: 1000 * seconds / calls for way, seconds in found.items()}}


def steps(images: int, channels: int, side: int, dtype: torch.dtype, calls: int) -> dict[str, Callable[[], object]]:
    """Ways to compute the same three things, each with all its gradients, `calls` times."""

    def made(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=dtype, device=device()).requires_grad_()

    plain = made(images, channels, side, side)
    last = plain.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    planes = plain.detach().transpose(0, 1).contiguous().requires_grad_()
    mix, kernel = made(channels, channels), made(channels, 3, 3)
    matrices = made(channels, side * side, side * side)

    def by_library(batch: Tensor, *, depthwise: bool, mixed: bool) -> Tensor:
        if depthwise:
            batch = F.conv2d(batch, kernel[:, None], padding=1, groups=channels)
        return F.conv2d(batch, mix[:, :, None, None]) if mixed else batch

    def product(matrix_side: int) -> Tensor:
        return separable_half(planes, [kernel], [1], mix[None], 1, matrix_side)

    by_matrix = {
        "1×1: planes": (lambda: mix @ planes.flatten(1), (planes, mix)),
        "1×1: channels-last, product": (lambda: last.permute(0, 2, 3, 1) @ mix.t(), (last, mix)),
        "depthwise 3×3: planes, matrix": (lambda: planes.flatten(2) @ matrices, (planes, matrices)),
        "both: product by library": (partial(product, 0), (planes, kernel, mix)),
    }
    if side <= MOST_MATRIX_SIDE:
        by_matrix["both: product by matrix"] = (partial(product, side), (planes, kernel, mix))
    found = {way: partial(back_and_forth, *given, calls) for way, given in by_matrix.items()}
    for layout, batch in (("NCHW", plain), ("channels-last", last)):
        for what, depthwise, mixed in (("1×1", False, True), ("depthwise 3×3", True, False), ("both", True, True)):
            inputs = (batch, *[kernel] * depthwise, *[mix] * mixed)
            call = partial(by_library, batch, depthwise=depthwise, mixed=mixed)
            found[f"{what}: {layout}"] = partial(back_and_forth, call, inputs, calls)
    found |= input_gradients(last.detach(), calls)
    return dict(sorted(found.items()))


def input_gradients(gradient: Tensor, calls: int) -> dict[str, Callable[[], object]]:
    """Of a dilated depthwise 5×5, channels-last: by the kernel turned around, as on a CPU, and by its own call."""
    channels = gradient.shape[1]
    kernel = torch.randn(channels, 1, 5, 5, dtype=gradient.dtype, device=gradient.device)
    same = {"padding": 4, "dilation": 2, "groups": channels}

    def repeated(way: Callable[[], Tensor]) -> None:
        for _ in range(calls):
            way()

    return {
        "input gradient 5×5: turned around": lambda: repeated(lambda: F.conv2d(gradient, kernel.flip(2, 3), **same)),
        "input gradient 5×5: transposed": lambda: repeated(lambda: F.conv_transpose2d(gradient, kernel, **same)),
    }


def back_and_forth(call: Callable[[], Tensor], inputs: tuple[Tensor, ...], calls: int) -> None:
    for _ in range(calls):
        output = call()
        torch.autograd.grad(output, inputs, torch.ones_like(output))
