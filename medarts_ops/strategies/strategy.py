"""What a strategy is. All but the mixture has a default, which is first-order DARTS's.

Settings are read where nothing is trained, so nothing in here loads torch before it is called.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ConfigDict

from medarts_ops.alpha import Alpha, CellAlpha, Mixtures
from medarts_ops.config import AlphaConfig, StageConfig, StrategyConfig
from medarts_ops.networks.layout import SupernetSpec
from medarts_ops.space.discretize import discretize
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.search_space import SearchSpace

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from medarts_ops.data.batches import Batch
    from medarts_ops.strategies.alpha_tensors import AlphaTensors, CellTensors
    from medarts_ops.strategies.problem import ArchitectureGradient, BilevelProblem, Moment


@dataclass(frozen=True)
class StagePlace:
    """A stage within its search: `index` from 0 of `n_stages`."""

    index: int
    n_stages: int
    stage: StageConfig


@dataclass(frozen=True)
class AlphaStep:
    """How one individual's α is stepped: the config's numbers, with the individual's own rate and decay.

    `fused` and `capturable` are what the runtime asks of torch's optimizers. `progress` is the share of the search's
    epochs that are over, a number on the device that changes where it is.
    """

    lr: float
    weight_decay: float
    config: AlphaConfig
    fused: bool
    capturable: bool
    progress: Tensor

    @property
    def adam(self) -> dict[str, Any]:
        """The arguments of torch's Adam."""
        return {
            "lr": self.lr,
            "betas": (self.config.beta1, self.config.beta2),
            "weight_decay": self.weight_decay,
            "fused": self.fused,
            "capturable": self.capturable,
        }


class StrategySettings(StrategyConfig):
    """What is registered: a strategy's settings, each with `setting(default, origin, description)`; they build it."""

    model_config = ConfigDict(extra="forbid")

    def build(self, space: SearchSpace) -> Strategy:
        """The strategy of these settings over a space."""
        raise NotImplementedError

    @property
    def numbers(self) -> tuple[str, ...]:
        """The names of those that proposals may range over: fractional numbers that count as the others are set."""
        return tuple(name for name, field in type(self).model_fields.items() if field.annotation is float)


@dataclass(frozen=True)
class Strategy(ABC):
    """How α is improved within one individual, and what it says. `tests/contracts` holds every registered one to this.

    A strategy holds settings and no state: all that changes is in α, or is told with each call. Where tensors have an
    axis of individuals, an individual's results depend on its own part alone. Nothing waits for the device, and no
    number of the host that changes from step to step goes into a tensor operation: the step is captured once.

    Attributes:
        space: the searched cell.
        draws_noise: whether `noise` draws.
        drops_skips: whether `skip_dropout` is ever above 0.
        trains_alpha: whether α is stepped at all.
    """

    space: SearchSpace

    draws_noise = False
    drops_skips = False
    trains_alpha = True

    @abstractmethod
    def mixture(self, cell: CellTensors, moment: Moment) -> Tensor:
        """The weight ≥ 0 of each operation, [individual, edge, op]; a row's sum is the edge's weight (1 in DARTS).

        `cell.mask` says which operations there are; the others have no weight, and `masked_softmax` leaves them out.
        In the phase `reading` there is no noise. float32, outside of autocast.
        """

    def supernet_spec(self, place: StagePlace) -> SupernetSpec:
        """What the supernet of a stage has: operations of edges, share of channels, skip dropout.

        Operations that no individual of the stage has (their masks say so) are left out beside these.
        """
        return SupernetSpec.full(self.space)

    def initial_alpha(self, std: float, rng: np.random.Generator) -> Alpha:
        """A random α, drawn in NumPy so that it is the same on every device: `op_logits` of std · N(0, 1)."""
        shape = (self.space.n_edges, self.space.n_primitives)
        normal, reduce = (CellAlpha(arrays={"op_logits": std * rng.standard_normal(shape)}) for _ in range(2))
        return Alpha(normal=normal, reduce=reduce)

    def noise(self, generator: torch.Generator) -> Tensor:
        """What one forward pass of one individual needs for one kind of cell, drawn on the CPU in float32.

        It reaches `mixture` as `cell.noise [individual, …]`. The generator is the individual's own: the same draws on
        every device, in every stack, and in a resumed search.
        """
        raise AssertionError("a strategy that draws noise says what")

    def skip_dropout(self, place: StagePlace, epoch: int) -> float:
        """The probability ≥ 0 and < 1 with which an element of a stride-1 skip-connection is dropped in this epoch."""
        return 0.0

    def penalty(self, alpha: AlphaTensors, moment: Moment) -> Tensor | None:
        """What is added to the loss [individual] that α descends, and left out of the reported one."""
        return None

    def architecture_gradient(self, problem: BilevelProblem, train: Batch, valid: Batch) -> ArchitectureGradient:
        """The gradients that the α steps of a stack's individuals follow, at the w of now.

        First order by default (ξ = 0): ∇α Lval(w, α). Weight gradients are not computed, and the step of w takes over
        what was computed from weights alone. One that moves w for a while computes by `problem.first_order_gradient`.
        """
        from medarts_ops.networks.same_weights import first_pass

        with first_pass():
            return problem.first_order_gradient(valid)

    def alpha_optimizer(self, arrays: Sequence[Tensor], step: AlphaStep) -> torch.optim.Optimizer:
        """What steps one individual's arrays [edge, …], in the order of `AlphaTensors.leaves`; Adam."""
        import torch

        return torch.optim.Adam(arrays, **step.adam)

    def after_epoch(self, alpha: Alpha, mixtures: Mixtures, place: StagePlace, epoch: int) -> Alpha:
        """An individual's α after an epoch, from 0, and what it says; a mask may have grown, or an array changed."""
        return alpha

    def next_stage(self, survivors: Sequence[Alpha], place: StagePlace, rng: np.random.Generator) -> Sequence[Alpha]:
        """The survivors' α, best first, as they go into stage `place`, before crossover; as many as there are."""
        return survivors

    def genotype(self, mixtures: Mixtures) -> Genotype:
        """The architecture that a reading means."""
        return discretize(self.space, mixtures.normal, mixtures.reduce)
