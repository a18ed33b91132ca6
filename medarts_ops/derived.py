"""What the short training of a genotype's own network came to: what the genotype can do, rather than its supernet."""

from __future__ import annotations

from collections.abc import Sequence

from medarts_ops.errors import FailureCause
from medarts_ops.space.genotype import Genotype
from medarts_ops.value import Value


class DerivedEpoch(Value):
    """One epoch of a short training. Losses are means over images, accuracies lie in 0…1.

    `valid_*` are of images of D_sample that this training does not see, never of the test set.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    valid_loss: float
    valid_accuracy: float
    lr: float
    seconds: float
    images_per_second: float


class DerivedTraining(Value):
    """A genotype whose network of `parameters` weights was trained shortly, from scratch, by the search's `derived`."""

    genotype: Genotype
    parameters: int
    history: tuple[DerivedEpoch, ...]

    @property
    def accuracy(self) -> float:
        """Top-1 on the images that its training did not see, after the last epoch, 0…1."""
        return self.history[-1].valid_accuracy

    @property
    def loss(self) -> float:
        """Mean cross-entropy on the same images."""
        return self.history[-1].valid_loss

    @property
    def seconds(self) -> float:
        return sum(record.seconds for record in self.history)


class FailedDerivedTraining(Value):
    """A short training that did not finish. What diverged does so again; `seconds` are of its finished epochs."""

    genotype: Genotype
    reason: str
    cause: FailureCause
    seconds: float = 0.0


DerivedOutcome = DerivedTraining | FailedDerivedTraining


def after_equal_epochs(outcomes: Sequence[DerivedOutcome]) -> list[DerivedOutcome]:
    """All as they were after as many epochs as the shortest training has, whose time was over first."""
    epochs = min((len(each.history) for each in outcomes if isinstance(each, DerivedTraining)), default=0)
    return [
        each.model_copy(update={"history": each.history[:epochs]}) if isinstance(each, DerivedTraining) else each
        for each in outcomes
    ]
