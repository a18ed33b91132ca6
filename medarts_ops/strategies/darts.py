"""DARTS (Liu et al. 2019): softmax mixtures, α stepped by first- or second-order gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from medarts_ops.settings import setting
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.strategies.strategy import Strategy, StrategySettings

if TYPE_CHECKING:
    from torch import Tensor

    from medarts_ops.data.batches import Batch
    from medarts_ops.strategies.alpha_tensors import CellTensors
    from medarts_ops.strategies.problem import ArchitectureGradient, BilevelProblem, Moment


class DartsSettings(StrategySettings):
    """DARTS (Liu et al., 2019), in first or second order."""

    order: Literal["first", "second"] = setting(
        "first", "ours", "first (ξ=0) or second order; the cost that the paper compares with is first-order DARTS"
    )
    finite_difference: float = setting(
        0.01, "DARTS", "second order: length of the step to w± along the validation gradient", gt=0
    )

    def build(self, space: SearchSpace) -> Strategy:
        """DARTS in the order that the settings ask for."""
        return FirstOrderDarts(space) if self.order == "first" else SecondOrderDarts(space, self.finite_difference)


@dataclass(frozen=True)
class FirstOrderDarts(Strategy):
    """ξ = 0: the gradient of the validation loss at the current weights."""

    def mixture(self, cell: CellTensors, moment: Moment) -> Tensor:
        """Softmax over the operations (Eq. 2)."""
        from medarts_ops.strategies.alpha_tensors import masked_softmax

        return masked_softmax(cell.arrays["op_logits"], cell.mask)


@dataclass(frozen=True)
class SecondOrderDarts(FirstOrderDarts):
    """ξ = the current learning rate: the gradient through one virtual step of w (`second_order_gradient`)."""

    finite_difference: float

    def architecture_gradient(self, problem: BilevelProblem, train: Batch, valid: Batch) -> ArchitectureGradient:
        from medarts_ops.strategies.second_order import second_order_gradient

        return second_order_gradient(problem, train, valid, self.finite_difference)
