"""What a network holds at once, in training and when it is measured: on torch's meta device, which has no memory."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from medarts_ops.config import ResolvedEvaluateConfig, ResolvedSearchConfig, StageConfig
from medarts_ops.config_runtime import ResolvedRuntime
from medarts_ops.data.dataset import ImageShape
from medarts_ops.networks.device_kind import as_on_a_card
from medarts_ops.networks.supernet import Supernet
from medarts_ops.space.genotype import Genotype
from medarts_ops.strategies.registry import build_strategy, is_second_order, strategy_settings
from medarts_ops.strategies.strategy import StagePlace
from medarts_ops.training.placed_images import measured_batch
from medarts_ops.training.runtime import Runtime
from medarts_ops.training.supervised import network_to_train

BYTES_PER_ESTIMATED = 1.02
"""Steps held 0.95 to 1.01 times the estimate: measured on a CPU in float32, both orders, 3 to 8 cells, 8×8 to 32×32."""


@dataclass(frozen=True)
class StepMemory:
    """Bytes that a network takes: of its `weights`, and beyond them and the states of its optimizer at once.

    `step` is a training step's: what the forward pass saves, and gradients; of it `per_image` each image of the batch.
    `measuring` is that of a pass without gradients over as many images as are measured at a time.
    """

    weights: int
    step: int
    per_image: float
    measuring: int

    @property
    def most(self) -> int:
        """Weights, their momentum, and the larger of the two passes."""
        return 2 * self.weights + max(self.step, self.measuring)


def search_memory(config: ResolvedSearchConfig, stage: StageConfig, shape: ImageShape) -> StepMemory:
    """Of an individual's supernet in this stage; α aside, which is small."""
    dtype = _computing_in(config.runtime)
    space = config.space.search_space()
    # One that a bench made up stands in no search.
    index = config.stages.index(stage) if stage in config.stages else 0
    place = StagePlace(index, len(config.stages), stage)
    with torch.device("meta"):
        spec, size = build_strategy(config).supernet_spec(place), {"cells": stage.cells, "channels": stage.channels}
        images = {"n_classes": shape.n_classes, "in_channels": shape.in_channels}
        supernet = Supernet(spec, **size, **images, stem=config.stem, matrix_side=config.runtime.matrix_side)
        mixture = torch.empty(1, space.n_edges, space.n_primitives, dtype=dtype, requires_grad=True)

    def run(batch: int) -> Tensor:
        logits: Tensor = supernet(_meta_images(shape, dtype, 1, batch), mixture, mixture)
        return logits.sum()

    with nullcontext() if config.runtime.device == "cpu" else as_on_a_card():
        ahead = is_second_order(strategy_settings(config.strategy))
        return _memory(supernet, run, stage.batch, shape, dtype, sets_of_weights=2 if ahead else 1)


def evaluation_memory(config: ResolvedEvaluateConfig, genotype: Genotype, shape: ImageShape) -> StepMemory:
    """Of the network that an evaluation trains."""
    dtype = _computing_in(config.runtime)
    with torch.device("meta"):
        network = network_to_train(genotype, config, shape.n_classes, shape.in_channels)

    def run(batch: int) -> Tensor:
        paths = torch.empty(network.n_paths, batch, dtype=dtype, device="meta") if config.drop_path > 0 else None
        logits, auxiliary = network(_meta_images(shape, dtype, batch), paths)
        loss: Tensor = logits.sum() if auxiliary is None else logits.sum() + auxiliary.sum()
        return loss

    return _memory(network, run, config.batch, shape, dtype, checkpointed=network.checkpoint_cells)


def _computing_in(runtime: ResolvedRuntime) -> torch.dtype:
    return Runtime.from_config(runtime).amp_type or torch.float32


def _meta_images(shape: ImageShape, dtype: torch.dtype, *batch: int) -> Tensor:
    return torch.empty(*batch, shape.in_channels, shape.height, shape.width, dtype=dtype, device="meta")


def _memory(
    network: nn.Module,
    run: Callable[[int], Tensor],
    batch: int,
    shape: ImageShape,
    dtype: torch.dtype,
    *,
    checkpointed: bool = False,
    sets_of_weights: int = 1,
) -> StepMemory:
    weights = sum(parameter.nbytes for parameter in network.parameters())
    network.to(dtype).train()
    if checkpointed:
        saved = peak_of_step(lambda: run(batch)) - weights
    else:
        saved = saved_bytes(lambda: run(batch), network)
    network.eval()
    live = LiveBytes()
    with torch.no_grad(), live:
        run(measured_batch(batch, (shape.height, shape.width)))
    # Of a step's own: the gradients, and the weights a step ahead.
    step = int(BYTES_PER_ESTIMATED * (saved + sets_of_weights * weights))
    return StepMemory(weights, step, BYTES_PER_ESTIMATED * saved / batch, live.peak)


def peak_of_step(loss: Callable[[], Tensor]) -> int:
    """The most that a forward and a backward pass hold at once, with the gradients of weights, the weights aside."""
    live = LiveBytes()
    with live:
        loss().backward()
    return live.peak


def saved_bytes(forward: Callable[[], object], network: nn.Module) -> int:
    """What a forward pass keeps for its backward pass, the network's weights aside."""
    saved: dict[int, torch.UntypedStorage] = {}  # kept, so that no number is given twice

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage._cdata] = storage
        return tensor

    ours = {parameter.untyped_storage()._cdata for parameter in network.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        forward()
    return sum(storage.nbytes() for key, storage in saved.items() if key not in ours)


class LiveBytes(TorchDispatchMode):
    """Inside, notes every storage that an operation makes, and when it goes; `peak` is the most bytes at once."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak: int = 0
        self._now = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, operation: Any, types: Any, arguments: Sequence[Any] = (), named: Any = None) -> Any:
        # What an operation reads and we have not seen was there before: weights, images, states of optimizers.
        self._note((arguments, named), are_new=False)
        result = operation(*arguments, **(named or {}))
        self._note(result, are_new=True)
        return result

    def _note(self, tree: Any, *, are_new: bool) -> None:
        for storage in (leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)):
            # On the meta device no storage has an address.
            key, size = storage.data_ptr() or storage._cdata, storage.nbytes() if are_new else 0
            if key not in self._seen:
                self._seen.add(key)
                self._now += size
                self.peak = max(self.peak, self._now)
                weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self._now -= size
