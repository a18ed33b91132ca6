"""The values of an evaluation: its epochs, which of them is chosen, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from pydantic import model_validator

from medarts_ops.class_report import ClassReport
from medarts_ops.quantities import counted
from medarts_ops.space.genotype import Genotype
from medarts_ops.value import Value


class EvaluationEpoch(Value):
    """One epoch of full-size training; errors and accuracies lie in 0…1, losses are means over images.

    An epoch is measured by the test set, or, where a validation split was held back, by that alone: then `test_*` are
    None, otherwise `valid_*` are.
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    test_loss: float | None = None
    test_error: float | None = None
    valid_loss: float | None = None
    valid_accuracy: float | None = None
    valid_balanced_accuracy: float | None = None
    lr: float
    drop_path: float
    seconds: float
    images_per_second: float

    @property
    def measured_error(self) -> float:
        """The error on what the epoch was measured by."""
        return self.test_error if self.test_error is not None else 1 - (self.valid_accuracy or 0.0)

    @property
    def measured_loss(self) -> float | None:
        """The loss on the same."""
        return self.valid_loss if self.test_error is None else self.test_loss

    @property
    def measured_by(self) -> str:
        """What that is, in a word: `test` or `validation`."""
        return "validation" if self.test_error is None else "test"


class Cut(Value):
    """Epochs of `what` ended early, since the time was over (`runtime.budget`): after `epochs` of `planned`.

    Which ones those are follows from a clock: another run of equal settings may come to another number.
    """

    what: str
    epochs: int
    planned: int

    @property
    def in_words(self) -> str:
        """`ended after 3 of 5 epochs`."""
        return f"ended after {self.epochs} of {counted(self.planned, 'epoch')}"

    def __str__(self) -> str:
        return f"{self.what} {self.in_words}"


class EvaluationResult(Value):
    """A trained genotype: that of the last epoch, or where images were held back for validation of `chosen_epoch`.

    `classes` is what it does on the test set; None in journals of releases that did not look. `cut` says that the time
    was over before the last epoch.
    """

    added_later = frozenset({"cut"})

    genotype: Genotype
    parameters: int
    history: tuple[EvaluationEpoch, ...]
    seconds: float
    classes: ClassReport | None = None
    chosen_epoch: int | None = None
    cut: Cut | None = None

    @property
    def test_error(self) -> float:
        """The result: of the last epoch, or of the chosen one's weights, the only ones that met the test set."""
        last = self.history[-1].test_error
        if last is not None:
            return last
        assert self.classes is not None  # checked on entry
        return 1 - self.classes.accuracy

    @property
    def best_test_error(self) -> float | None:
        """The lowest test error of any epoch: chosen on the test set, so no result, only a comparison.

        None where epochs were not measured by the test set.
        """
        return min((error for one in self.history if (error := one.test_error) is not None), default=None)

    @property
    def taken_from(self) -> str:
        """Whose weights were tested, in words."""
        cut = "" if self.cut is None else f"; {self.cut.in_words}, since the time was over"
        if self.chosen_epoch is None:
            return f"last epoch{cut}"
        return f"epoch {self.chosen_epoch + 1} of {len(self.history)}, chosen by validation images{cut}"

    @model_validator(mode="after")
    def _has_a_test_error(self) -> Self:
        if self.classes is None and any(one.test_error is None for one in self.history):
            raise ValueError("epochs have no test_error, and there is no report of the classes to take it from")
        return self


def best_epoch(history: Sequence[EvaluationEpoch], *, balanced: bool) -> int:
    """The place in `history` of the epoch that did best on validation images.

    By accuracy, or `balanced` by the mean recall of the classes; of equal ones that of the lower loss, then the first.
    """

    def worth(place: int) -> tuple[float, float]:
        record = history[place]
        score = record.valid_balanced_accuracy if balanced else record.valid_accuracy
        return score or 0.0, -(record.valid_loss or 0.0)

    return max(range(len(history)), key=worth)


def has_stopped_improving(history: Sequence[EvaluationEpoch], patience: int | None, *, balanced: bool) -> bool:
    """Whether the last `patience` epochs were all no better than one before; never without patience."""
    return patience is not None and len(history) - 1 - best_epoch(history, balanced=balanced) >= patience
