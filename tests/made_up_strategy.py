"""A strategy that uses every door of the contract at once; no search would: the proof that the doors open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from medarts_ops import registry
from medarts_ops.alpha import Alpha, CellAlpha, Mixtures
from medarts_ops.data.batches import Batch
from medarts_ops.networks.layout import SupernetSpec
from medarts_ops.settings import setting
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.strategies.alpha_tensors import AlphaTensors, CellTensors, masked_softmax
from medarts_ops.strategies.edges import softmax_by_node
from medarts_ops.strategies.problem import ArchitectureGradient, BilevelProblem, Moment
from medarts_ops.strategies.registry import STRATEGIES
from medarts_ops.strategies.second_order import second_order_gradient
from medarts_ops.strategies.strategy import AlphaStep, StagePlace, Strategy, StrategySettings

NAME = "everything"
FEWEST = 2
"""Operations that an edge keeps, `none` beside them."""


class EverythingSettings(StrategySettings):
    """Settings of the made-up strategy."""

    order: Literal["first", "second"] = setting("first", "ours", "order of the architecture gradient")
    share: int = setting(4, "ours", "a share of 1 / share of the channels", ge=1)
    noise_scale: float = setting(0.5, "ours", "size of the noise at the start", ge=0)
    strength: float = setting(0.1, "ours", "of the penalty", ge=0)
    dropped: float = setting(0.2, "ours", "share of skip-connections' elements that is dropped at first", ge=0, lt=1)

    def build(self, space: SearchSpace) -> Strategy:
        return Everything(space, self)


@dataclass(frozen=True)
class Everything(Strategy):
    """Edge weights, noise that fades, a growing mask, a share of the channels, skip dropout, a penalty, SGD on α."""

    settings: EverythingSettings

    draws_noise = True
    drops_skips = True

    def supernet_spec(self, place: StagePlace) -> SupernetSpec:
        return replace(SupernetSpec.full(self.space), channel_share=self.settings.share)

    def initial_alpha(self, std: float, rng: np.random.Generator) -> Alpha:
        return Alpha(normal=self._cell(std, rng), reduce=self._cell(std, rng))

    def _cell(self, std: float, rng: np.random.Generator) -> CellAlpha:
        shape = (self.space.n_edges, self.space.n_primitives)
        arrays = {"op_logits": std * rng.standard_normal(shape), "edge_logits": std * rng.standard_normal(shape[0])}
        return CellAlpha(arrays=arrays)

    def mixture(self, cell: CellTensors, moment: Moment) -> Tensor:
        logits = cell.arrays["op_logits"]
        if cell.noise is not None:
            logits = logits + self.settings.noise_scale * (1 - moment.progress) * cell.noise
        return softmax_by_node(cell.arrays["edge_logits"], self.space)[..., None] * masked_softmax(logits, cell.mask)

    def noise(self, generator: torch.Generator) -> Tensor:
        return torch.randn(self.space.n_edges, self.space.n_primitives, generator=generator)

    def skip_dropout(self, place: StagePlace, epoch: int) -> float:
        return self.settings.dropped / (1 + epoch)

    def penalty(self, alpha: AlphaTensors, moment: Moment) -> Tensor:
        return self.settings.strength * sum(
            cell.arrays["op_logits"].square().flatten(1).mean(dim=1) for cell in alpha.cells
        )

    def architecture_gradient(self, problem: BilevelProblem, train: Batch, valid: Batch) -> ArchitectureGradient:
        if self.settings.order == "second":
            return second_order_gradient(problem, train, valid, 0.01)
        return super().architecture_gradient(problem, train, valid)

    def alpha_optimizer(self, arrays: Sequence[Tensor], step: AlphaStep) -> torch.optim.Optimizer:
        return torch.optim.SGD(arrays, lr=100 * step.lr, weight_decay=step.weight_decay)

    def after_epoch(self, alpha: Alpha, mixtures: Mixtures, place: StagePlace, epoch: int) -> Alpha:
        """Every edge loses its weakest operation."""
        cells = zip(alpha.cells, mixtures, strict=True)
        normal, reduce = (cell.model_copy(update={"mask": self._without_weakest(cell, m)}) for cell, m in cells)
        return Alpha(normal=normal, reduce=reduce)

    def _without_weakest(self, cell: CellAlpha, mixture: np.ndarray) -> np.ndarray:
        mask = np.ones_like(mixture, dtype=bool) if cell.mask is None else cell.mask.copy()
        candidates = mask.copy()
        if "none" in self.space.primitives:
            candidates[:, self.space.primitives.index("none")] = False
        for edge in np.flatnonzero(candidates.sum(axis=1) > FEWEST):
            mask[edge, np.where(candidates[edge], mixture[edge], np.inf).argmin()] = False
        return mask

    def next_stage(self, survivors: Sequence[Alpha], place: StagePlace, rng: np.random.Generator) -> Sequence[Alpha]:
        """Masks and logits go on; the edges' weights are drawn anew."""
        return [
            Alpha(normal=self._redrawn(each.normal, rng), reduce=self._redrawn(each.reduce, rng)) for each in survivors
        ]

    def _redrawn(self, cell: CellAlpha, rng: np.random.Generator) -> CellAlpha:
        edges = 1e-3 * rng.standard_normal(cell.n_edges)
        return CellAlpha(arrays={**cell.arrays, "edge_logits": edges}, mask=cell.mask)


@contextmanager
def registered_strategy() -> Iterator[None]:
    """While this lasts, a search may name the strategy, in this process and in its workers."""
    STRATEGIES.register(NAME, EverythingSettings)
    try:
        yield
    finally:
        del registry._registered[STRATEGIES.group][NAME]
