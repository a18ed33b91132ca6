"""What a trained network does on its test set, class by class: one value that pages, pictures and stores read."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from medarts_ops.value import Value

UNEQUAL = 1.5
"""How many times the images of the smallest class the largest has where an error alone misleads (ours)."""


class ClassScores(Value):
    """How well one class of `images` test images is told: recall, precision and F1 in 0…1.

    Recall is None where the test set has no image of the class, precision where the network never answers it, F1 where
    both are.
    """

    name: str
    images: int
    recall: float | None
    precision: float | None
    f1: float | None


class Mistake(Value):
    """A test image that is told wrong, at `index` of the test set, and the probability, in 0…1, that the network gave.

    `file` is its file's name below the dataset's folder; None where images have no files, or of earlier releases.
    `png` is the image, base64 of a PNG of at most `THUMBNAIL` pixels a side (`data/thumbnails.py`); None where only
    the numbers are kept.
    """

    index: int
    label: int
    predicted: int
    probability: float
    file: str | None = None
    png: str | None = Field(None, repr=False)

    @property
    def name(self) -> str:
        """What finds the image again: its file, or its place in the test set."""
        return self.file or f"image {self.index}"


class ClassReport(Value):
    """A trained network on its whole test set.

    `confusion` is images [class, predicted class]. `balanced_accuracy` is the mean recall of the classes that the test
    set has. `calibration_error` is how far probabilities are from shares that are right, in the mean (Guo et al. 2017,
    eq. 3, 15 bins). `loss` is the mean cross-entropy, unweighted. `mistakes` are the wrong answers that the network
    was surest of, the surest first.
    """

    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]
    accuracy: float
    balanced_accuracy: float
    calibration_error: float
    loss: float
    mistakes: tuple[Mistake, ...]

    @property
    def sizes(self) -> tuple[int, int]:
        """Test images of the smallest and of the largest class."""
        images = [one.images for one in self.classes]
        return min(images), max(images)

    @property
    def is_unequal(self) -> bool:
        """Whether the test set's classes differ so much in size that its error hides what becomes of the small ones."""
        smallest, largest = self.sizes
        return largest > UNEQUAL * smallest

    @property
    def worst(self) -> int:
        """The class of the lowest recall, the first of equal ones."""
        return min(
            (place for place, one in enumerate(self.classes) if one.recall is not None),
            key=lambda place: self.classes[place].recall or 0.0,
        )

    def without_images(self) -> ClassReport:
        """The same, with the numbers of its mistakes alone."""
        mistakes = tuple(mistake.model_copy(update={"png": None}) for mistake in self.mistakes)
        return self.model_copy(update={"mistakes": mistakes})

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        n = len(self.classes)
        if len(self.confusion) != n or any(len(row) != n for row in self.confusion):
            raise ValueError(f"confusion is not {n} × {n}, as the {n} classes want it")
        if not any(one.images and one.recall is not None for one in self.classes):
            raise ValueError("no class has a test image")
        if any(not (0 <= one.label < n and 0 <= one.predicted < n) for one in self.mistakes):
            raise ValueError(f"a mistake is of a class beyond the {n} that there are")
        return self
