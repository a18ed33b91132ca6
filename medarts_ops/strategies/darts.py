"""DARTS (Liu et al. 2019): softmax mixtures, α stepped by first- or second-order gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from medarts_ops.settings import setting
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.strategies.strategy import AlphaStep, Strategy, StrategySettings

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from medarts_ops.data.batches import Batch
    from medarts_ops.strategies.alpha_tensors import CellTensors
    from medarts_ops.strategies.problem import ArchitectureGradient, BilevelProblem, Moment


class DartsSettings(StrategySettings):
    """DARTS (Liu et al., 2019), in first or second order."""

    added_later = frozenset({"beta"})

    order: Literal["first", "second"] = setting(
        "first", "ours", "first (ξ=0) or second order; the cost that the paper compares with is first-order DARTS"
    )
    finite_difference: float = setting(
        0.01, "DARTS", "second order: length of the step to w± along the validation gradient", gt=0
    )

    beta: float = setting(
        0.0, "ours", "Beta-DARTS's decay of large weights, which grows over the search; 0 is none (published: 50)", ge=0
    )

    def build(self, space: SearchSpace) -> Strategy:
        """DARTS in the order that the settings ask for."""
        return Darts(space, self)

    @property
    def numbers(self) -> tuple[str, ...]:
        """First order takes no finite differences."""
        return tuple(name for name in super().numbers if self.order == "second" or name != "finite_difference")


@dataclass(frozen=True)
class Darts(Strategy):
    """Softmax mixtures, and α's gradient at the current weights (ξ = 0), or through one virtual step of w."""

    settings: DartsSettings = DartsSettings()

    def mixture(self, cell: CellTensors, moment: Moment) -> Tensor:
        """Softmax over the operations (Eq. 2)."""
        from medarts_ops.strategies.alpha_tensors import masked_softmax

        return masked_softmax(cell.arrays["op_logits"], cell.mask)

    def architecture_gradient(self, problem: BilevelProblem, train: Batch, valid: Batch) -> ArchitectureGradient:
        """Second order: ξ = the current learning rate (`second_order_gradient`)."""
        if self.settings.order == "first":
            return super().architecture_gradient(problem, train, valid)
        from medarts_ops.strategies.second_order import second_order_gradient

        return second_order_gradient(problem, train, valid, self.settings.finite_difference)

    def alpha_optimizer(self, arrays: Sequence[Tensor], step: AlphaStep) -> torch.optim.Optimizer:
        """Adam, with the decoupled decay of Beta-DARTS where it is asked for."""
        if not self.settings.beta:
            return super().alpha_optimizer(arrays, step)
        from medarts_ops.strategies.beta_decay import BetaAdam

        return BetaAdam(arrays, strength=self.settings.beta, progress=step.progress, **step.adam)
