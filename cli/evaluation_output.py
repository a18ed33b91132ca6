"""What came of an evaluation, on stdout: its numbers, and what its network does class by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from medarts_ops.class_report import ClassReport
from medarts_ops.class_report_text import COLUMNS, NUMBERS, class_rows, facts_of, mistake_line
from medarts_ops.cli.output import print_facts, print_line, print_next, print_table, table
from medarts_ops.quantities import counted, duration, percent

if TYPE_CHECKING:
    from medarts_ops.tracking.evaluation import TrackedEvaluation

MOST_CLASSES = 30
MOST_MISTAKES = 5


def print_evaluation(console: Console, trained: TrackedEvaluation, tracking_uri: str | None) -> None:
    """A finished evaluation: test error, the class found worst, parameters, time, run id and what to do next."""
    result = trained.result
    facts = [("test error", f"{percent(result.test_error)} ({result.taken_from})")]
    facts += [] if result.classes is None else facts_of(result.classes)
    if result.best_test_error is not None:
        remark = "chosen on the test set: for comparison only"
        facts.append(("lowest test error", f"{percent(result.best_test_error)} ({remark})"))
    facts += [
        ("parameters", f"{result.parameters:,}"),
        ("time", f"{duration(result.seconds)} for {counted(len(result.history), 'epoch')}"),
        ("run id", trained.run_id),
    ]
    print_facts(console, facts)
    print_next(console, ["export", trained.run_id], ["show", trained.run_id], ["ui"], tracking_uri=tracking_uri)


def print_classes(console: Console, report: ClassReport, pictures: Sequence[str]) -> None:
    """Writes the table of classes, and the mistakes that the network was surest of; `pictures` are the run's."""
    more = len(report.classes) - MOST_CLASSES
    console.print(f"\nClasses{f' (the {MOST_CLASSES} found worst; --json has {more} more)' if more > 0 else ''}")
    made = table(*COLUMNS, numbers=NUMBERS)
    for row in class_rows(report, MOST_CLASSES):
        made.add_row(*row.cells)
    print_table(console, made)
    if report.mistakes:
        console.print("\nMistakes it was surest of, by their file or place in the test set")
        for mistake in report.mistakes[:MOST_MISTAKES]:
            print_line(console, f"  {mistake_line(report, mistake)}")
    if pictures:
        console.print("\nAmong its artifacts, which `medarts ui` shows")
        for picture in pictures:
            print_line(console, f"  {picture}")


def evaluation_json(trained: TrackedEvaluation) -> dict[str, Any]:
    """A finished evaluation as plain data; errors lie in 0…1."""
    result = trained.result
    return {
        "run_id": trained.run_id,
        "experiment_id": trained.experiment_id,
        "name": trained.name,
        "waiting": trained.waiting,
        "test_error": result.test_error,
        "best_test_error": result.best_test_error,
        "chosen_epoch": result.chosen_epoch,
        "cut": None if result.cut is None else str(result.cut),
        "parameters": result.parameters,
        "seconds": result.seconds,
        "epochs": len(result.history),
        "classes": None if result.classes is None else classes_json(result.classes),
        "genotype": result.genotype.model_dump(mode="json"),
    }


def classes_json(report: ClassReport) -> dict[str, Any]:
    """The report as plain data, without the images of its mistakes."""
    data: dict[str, Any] = report.without_images().model_dump(mode="json")
    return data
