"""A strategy: operations that don't compete."""

from dataclasses import dataclass

import torch
from torch import Tensor

from medarts_ops.settings import setting
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.strategies.alpha_tensors import AlphaTensors, CellTensors
from medarts_ops.strategies.problem import Moment
from medarts_ops.strategies.strategy import Strategy, StrategySettings


class SigmoidSettings(StrategySettings):
    """The settings of strategy `sigmoid`, and how it is built."""

    zero_one: float = setting(1.0, "ours", "weight of the loss that draws each weight to 0 or to 1", ge=0)

    def build(self, space: SearchSpace) -> Strategy:
        """The strategy over a space."""
        return Sigmoid(space, self.zero_one)


@dataclass(frozen=True)
class Sigmoid(Strategy):
    """First-order DARTS with a sigmoid for each operation instead of a softmax over them, as FairDARTS has it."""

    zero_one: float

    def mixture(self, cell: CellTensors, moment: Moment) -> Tensor:
        """Each operation's own weight, in 0…1."""
        return torch.sigmoid(cell.arrays["op_logits"])

    def penalty(self, alpha: AlphaTensors, moment: Moment) -> Tensor:
        """FairDARTS's zero-one loss: the further from one half, the better."""
        weights = torch.stack([torch.sigmoid(cell.arrays["op_logits"]) for cell in alpha.cells], dim=1)
        return -self.zero_one * (weights - 0.5).square().flatten(1).mean(dim=1)
