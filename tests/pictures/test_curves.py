"""Curves over epochs hold the records' numbers in the axes' units."""

from __future__ import annotations

import numpy as np
import pytest
from class_reports import make_validated_epoch
from factories import make_epoch_record, make_evaluation_epoch
from matplotlib.axes import Axes

from medarts_ops.errors import RunError
from medarts_ops.individual import Yardstick
from medarts_ops.pictures.curves import evaluation_curves, search_curves
from medarts_ops.pictures.figures import png_bytes


def lines(axes: Axes) -> dict[str, list[tuple[float, float]]]:
    return {
        str(line.get_label()): [(float(x), float(y)) for x, y in np.asarray(line.get_xydata()).round(9)]
        for line in axes.lines
    }


def test_a_search_training_has_accuracy_losses_skips_and_how_decided_alpha_is():
    history = [make_epoch_record(epoch, 0.25 * epoch) for epoch in range(3)]
    history[0] = history[0].model_copy(update={"alpha_loss": None})
    accuracy, losses, skips, decided = search_curves(history, "init-03").axes
    assert lines(accuracy)["accuracy"] == [(0, 0), (1, 25), (2, 50)]
    assert lines(losses)["w steps"] == [(0, 2), (1, 1), (2, pytest.approx(2 / 3))]
    assert lines(losses)["α steps"] == [(1, 1.9), (2, 1.9)]
    assert lines(skips) == {"normal cell": [(0, 1), (1, 1), (2, 1)], "reduction cell": [(0, 0), (1, 0), (2, 0)]}
    assert lines(decided)["reduction cell"] == [(0, 0.14), (1, 0.14), (2, 0.14)]


def test_every_axis_has_a_name_and_the_title_says_whose_curves_these_are():
    for figure in (
        search_curves([make_epoch_record()], "init-03"),
        evaluation_curves([make_evaluation_epoch(0)], "init-03"),
    ):
        assert "init-03" in figure.get_suptitle()
        for axes in figure.axes:
            assert axes.get_xlabel() == "epoch (from 0)"
            assert "(" in axes.get_ylabel()
            assert axes.get_title()


def test_an_evaluation_marks_the_last_error_not_the_best():
    history = [make_evaluation_epoch(epoch, error) for epoch, error in enumerate((0.5, 0.25, 0.375))]
    losses, errors = evaluation_curves(history, "DARTS_V2").axes
    assert lines(losses)["test"] == [(0, 1.5), (1, 1.5), (2, 1.5)]
    assert lines(errors)["test"] == [(0, 50), (1, 25), (2, 37.5)]
    (ring,) = [one for one in errors.collections if one.get_gid() == "last"]
    assert np.asarray(ring.get_offsets()).tolist() == [[2, 37.5]]
    assert errors.get_title() == "test error: 37.50 % after the last epoch"


def test_an_evaluation_with_validation_shows_that_and_marks_the_chosen_epoch():
    history = [make_validated_epoch(epoch, accuracy) for epoch, accuracy in enumerate((0.5, 0.75, 0.625))]
    losses, errors = evaluation_curves(history, "DARTS_V2", chosen=1).axes
    assert lines(losses)["validation"] == [(0, 1), (1, 1), (2, 1)]
    assert lines(errors)["validation"] == [(0, 50), (1, 25), (2, 37.5)] and "test" not in lines(errors)
    (ring,) = [one for one in errors.collections if one.get_gid() == "chosen"]
    assert np.asarray(ring.get_offsets()).tolist() == [[1, 25]]
    assert errors.get_title() == "validation error: 25.00 % after the chosen epoch"


def test_alpha_that_never_left_its_warm_up_has_no_line():
    record = make_epoch_record().model_copy(update={"alpha_loss": None})
    figure = search_curves([record], "x")
    assert set(lines(figure.axes[1])) == {"w steps", "validation"}
    assert png_bytes(figure)


def test_no_epoch_is_refused():
    for draw in (search_curves, evaluation_curves):
        with pytest.raises(RunError, match="init-03 has no finished epoch"):
            draw([], "init-03")


def test_chance_is_a_line_among_the_accuracies():
    figure = search_curves([make_epoch_record()], "init-03", Yardstick(images=200, chance=0.25, steps=8))
    assert lines(figure.axes[0])["chance"] == [(0, 25), (1, 25)]
    assert "chance" in [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
