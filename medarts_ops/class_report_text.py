"""What a network does class by class, in words: for a terminal, a page and a run's note alike."""

from __future__ import annotations

from typing import NamedTuple

from medarts_ops.class_report import ClassReport, Mistake
from medarts_ops.quantities import percent

COLUMNS = ("class", "test images", "found", "recall", "precision", "F1", "most often taken for")
NUMBERS = COLUMNS[1:6]


class ClassRow(NamedTuple):
    """A line of the table of classes, under `COLUMNS`; `place` is the class's number."""

    place: int
    cells: tuple[str, ...]


def class_rows(report: ClassReport, most: int | None = None) -> tuple[ClassRow, ...]:
    """The table of classes in their order; of more than `most` those of the lowest recall, the lowest first."""
    places = list(range(len(report.classes)))
    if most is not None and len(places) > most:
        known = [place for place in places if report.classes[place].recall is not None]
        places = sorted(known, key=lambda place: report.classes[place].recall or 0.0)[:most]
    return tuple(ClassRow(place, _cells(report, place)) for place in places)


def facts_of(report: ClassReport) -> tuple[tuple[str, str], ...]:
    """What stands beside a test error, as (label, value): balanced accuracy only where classes are of unequal size."""
    balanced = (_balanced(report),) if report.is_unequal else ()
    return (*balanced, _worst(report), _calibration(report))


def mistake_line(report: ClassReport, mistake: Mistake) -> str:
    """`cat/12.jpg: cat taken for dog, 98.00 % sure`; `image 17` where there is no file."""
    label, predicted = (report.classes[place].name for place in (mistake.label, mistake.predicted))
    return f"{mistake.name}: {label} taken for {predicted}, {percent(mistake.probability)} sure"


def _balanced(report: ClassReport) -> tuple[str, str]:
    """The balanced accuracy, and why it is worth a look."""
    smallest, largest = report.sizes
    why = f"the mean of the classes' recalls: they have {smallest:,} to {largest:,} test images"
    return "balanced accuracy", f"{percent(report.balanced_accuracy)} ({why})"


def _worst(report: ClassReport) -> tuple[str, str]:
    """Which class is found worst, and how many of its images are found."""
    one, found = report.classes[report.worst], report.confusion[report.worst][report.worst]
    return "class found worst", f"{one.name}: {found:,} of {one.images:,} found ({percent(one.recall or 0.0)})"


def _calibration(report: ClassReport) -> tuple[str, str]:
    """How far its probabilities are off."""
    return "calibration error", f"{percent(report.calibration_error)} (how far its probabilities are off, in the mean)"


def _cells(report: ClassReport, place: int) -> tuple[str, ...]:
    one, row = report.classes[place], report.confusion[place]
    shares = ("-" if value is None else percent(value) for value in (one.recall, one.precision, one.f1))
    return (one.name, f"{one.images:,}", f"{row[place]:,}", *shares, _most_taken_for(report, place))


def _most_taken_for(report: ClassReport, place: int) -> str:
    row = report.confusion[place]
    other = max((each for each in range(len(row)) if each != place), key=lambda each: row[each], default=place)
    return f"{report.classes[other].name} ({row[other]:,})" if other != place and row[other] else "-"
