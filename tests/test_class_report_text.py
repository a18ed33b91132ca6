"""What is said of a network class by class."""

from __future__ import annotations

import pytest
from class_reports import make_class_report
from pydantic import ValidationError

from medarts_ops.class_report import ClassReport
from medarts_ops.class_report_text import class_rows, facts_of, mistake_line


def test_the_class_that_is_found_worst_is_named_with_how_many_are_found():
    balanced, worst, calibration = dict(facts_of(make_class_report())).items()
    assert worst == ("class found worst", "viral: 53 of 124 found (42.74 %)")
    assert balanced[1].startswith("70.25 % (the mean of the classes' recalls: they have 124 to 500 test images")
    assert calibration[1].startswith("3.25 % ")


def test_balanced_accuracy_is_only_named_where_classes_are_of_unequal_size():
    report = make_class_report()
    equal = [one.model_copy(update={"images": images}) for one, images in zip(report.classes, (2, 3, 3), strict=True)]
    assert not report.model_copy(update={"classes": tuple(equal)}).is_unequal
    assert len(facts_of(report.model_copy(update={"classes": tuple(equal)}))) == 2


def test_the_table_has_a_row_a_class_or_the_worst_ones():
    report = make_class_report()
    assert class_rows(report)[0].cells == ("viral", "124", "53", "42.74 %", "63.86 %", "51.21 %", "bacterial (41)")
    assert [row.place for row in class_rows(report, 2)] == [0, 2]


def test_a_mistake_is_told_by_names():
    report = make_class_report()
    lines = [mistake_line(report, mistake) for mistake in report.mistakes]
    assert lines == [
        "viral/17.png: viral taken for bacterial, 98.00 % sure",
        "image 3: normal taken for viral, 91.00 % sure",
    ]


def test_a_class_that_the_test_set_lacks_is_not_the_worst_and_has_no_recall():
    report = make_class_report()
    viral = report.classes[0].model_copy(update={"images": 0, "recall": None, "f1": None})
    report = report.model_copy(
        update={"classes": (viral, *report.classes[1:]), "confusion": ((0, 0, 0), *report.confusion[1:])}
    )
    assert report.classes[report.worst].name == "normal" and report.is_unequal
    assert class_rows(report)[0].cells[3:] == ("-", "63.86 %", "-", "-")


@pytest.mark.parametrize(
    "update",
    [{"confusion": ((1, 2), (3, 4))}, {"mistakes": ({"index": 0, "label": 3, "predicted": 0, "probability": 1.0},)}],
)
def test_what_does_not_fit_together_is_refused(update):
    with pytest.raises(ValidationError, match="confusion is not 3 × 3|a mistake is of a class beyond the 3"):
        ClassReport.model_validate(make_class_report().model_dump() | update)
