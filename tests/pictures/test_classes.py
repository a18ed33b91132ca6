"""The confusion matrix and the contact sheet of mistakes hold the report's numbers and images."""

from __future__ import annotations

import numpy as np
import pytest
from class_reports import CONFUSION, make_class_report
from factories import make_evaluation_epoch, make_genotype

from medarts_ops.class_report import ClassReport, ClassScores
from medarts_ops.evaluated import EvaluationResult
from medarts_ops.pictures.classes import confusion_figure, mistakes_figure
from medarts_ops.pictures.figures import drawn_png
from medarts_ops.pictures.gallery import pictures_of_evaluation


def test_every_count_stands_in_its_row_with_its_share_of_it():
    matrix, _ = confusion_figure(make_class_report(), "xray").axes
    written = {tuple(map(int, text.get_position())): text.get_text() for text in matrix.texts}
    assert written[0, 0] == "53\n43 %" and written[1, 0] == "41\n33 %" and written[1, 1] == "440\n88 %"
    (image,) = matrix.images
    rows = np.array(CONFUSION).sum(axis=1, keepdims=True)
    assert np.asarray(image.get_array()) == pytest.approx(CONFUSION / rows)
    names = ["viral", "bacterial", "normal"]
    assert [label.get_text() for label in matrix.get_yticklabels()] == names
    assert [label.get_text() for label in matrix.get_xticklabels()] == names


@pytest.mark.parametrize(("n", "named", "written"), [(2, 2, 4), (100, 100, 100), (250, 84, 0)])
def test_it_stays_readable_with_many_classes(n, named, written):
    # On the diagonal 99 of a class's 100 + n images: among 100 the ones beside it are below 5 % of a row.
    confusion = tuple(tuple(99 if row == column else 1 for column in range(n)) for row in range(n))
    scores = {"recall": 0.5, "precision": 0.5, "f1": 0.5, "images": 98 + n}
    names = [f"a class with quite a long name, number {place} $x_2$" for place in range(n)]
    shares = {"accuracy": 0.5, "balanced_accuracy": 0.5, "calibration_error": 0.1, "loss": 1.0}
    classes = tuple(ClassScores(name=name, **scores) for name in names)
    report = ClassReport(classes=classes, confusion=confusion, mistakes=(), **shares)
    figure = confusion_figure(report, "many")
    matrix = figure.axes[0]
    assert (len(matrix.get_yticks()), len(matrix.texts)) == (named, written)
    assert max(figure.get_size_inches()) < 26
    labels = [label.get_text() for label in matrix.get_yticklabels()]
    assert len(set(labels)) == len(labels) and max(map(len, labels)) <= 22
    for label in (labels := matrix.get_yticklabels())[:1] + labels[-1:]:
        assert label.get_window_extent().x0 > 0


def test_mistakes_are_shown_with_class_answer_probability_and_file_or_place():
    figure = mistakes_figure(make_class_report(), "xray")
    words = [axes.get_xlabel() for axes in figure.axes]
    assert words == ["viral\n→ bacterial\n98.00 %\n17.png", "normal\n→ viral\n91.00 %\nimage 3"]
    (image,) = figure.axes[1].images
    assert np.asarray(image.get_array()) == pytest.approx(np.full((4, 6), 200 / 255))
    assert drawn_png(lambda: figure).startswith(b"\x89PNG")


def test_an_evaluation_has_them_where_it_is_known_what_its_network_does():
    history = (make_evaluation_epoch(),)
    result = EvaluationResult(genotype=make_genotype(), parameters=1, history=history, seconds=1.0)
    assert set(pictures_of_evaluation(result, "old")) == {"genotype", "training"}
    new = result.model_copy(update={"classes": make_class_report()})
    assert set(pictures_of_evaluation(new, "new")) == {"genotype", "training", "confusion", "mistakes"}
    right = new.model_copy(update={"classes": make_class_report().model_copy(update={"mistakes": ()})})
    assert set(pictures_of_evaluation(right, "right")) == {"genotype", "training", "confusion"}
