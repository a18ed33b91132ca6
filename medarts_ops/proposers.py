"""Where the hyperparameters of the initial individuals come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from medarts_ops.individual import Ended, Hyperparameters


class Proposer(Protocol):
    """Proposes hyperparameters in rounds (generations) and is told what came of them."""

    def propose(self, round: int, n: int) -> tuple[Hyperparameters, ...]:
        """The hyperparameters of the `n` individuals of this round, in the individuals' order."""
        ...

    def tell(self, round: int, outcomes: Sequence[Ended]) -> None:
        """What came of a round, in the order that `propose` gave."""
        ...


class FixedProposer:
    """Gives every individual the same hyperparameters: the paper's one Θ."""

    def __init__(self, hyperparameters: Hyperparameters) -> None:
        self._hyperparameters = hyperparameters

    def propose(self, round: int, n: int) -> tuple[Hyperparameters, ...]:
        return (self._hyperparameters,) * n

    def tell(self, round: int, outcomes: Sequence[Ended]) -> None:
        """Learns nothing."""
