"""Which epoch is chosen, when training stops for it, and what an evaluation's result is."""

from __future__ import annotations

import json

import pytest
from class_reports import make_validated_epoch, make_validated_result
from factories import make_evaluation_epoch, make_genotype
from pydantic import ValidationError

from medarts_ops.evaluated import EvaluationResult, best_epoch, has_stopped_improving

HISTORY = [
    make_validated_epoch(0, 0.5, balanced=0.75),
    make_validated_epoch(1, 0.75, balanced=0.5, loss=2.0),
    make_validated_epoch(2, 0.75, balanced=0.25, loss=1.5),
    make_validated_epoch(3, 0.75, balanced=0.5, loss=1.5),
    make_validated_epoch(4, 0.625, balanced=0.5),
]


@pytest.mark.parametrize(("balanced", "best"), [(False, 2), (True, 0)])
def test_the_best_epoch_has_the_highest_accuracy_then_the_lowest_loss_and_is_the_first_of_equals(balanced, best):
    assert best_epoch(HISTORY, balanced=balanced) == best


@pytest.mark.parametrize(("patience", "epochs"), [(1, 4), (2, 5), (3, None), (None, None)])
def test_training_stops_after_as_many_epochs_without_a_better_one_as_patience_says(patience, epochs):
    stops = [has_stopped_improving(HISTORY[:n], patience, balanced=False) for n in range(1, 6)]
    assert (stops.index(True) + 1 if True in stops else None) == epochs


def test_the_result_of_a_validated_evaluation_is_the_one_test_of_the_chosen_epoch():
    result = make_validated_result(make_genotype())
    assert result.test_error == pytest.approx(231 / 1124) and result.best_test_error is None
    assert result.taken_from == "epoch 2 of 3, chosen by validation images"
    assert EvaluationResult.model_validate_json(result.model_dump_json()) == result


def test_a_result_that_a_release_without_classes_wrote_is_read():
    result = EvaluationResult(genotype=make_genotype(), parameters=1, history=(make_evaluation_epoch(),), seconds=1.0)
    data = json.loads(result.model_dump_json())
    for key in ("classes", "chosen_epoch"):
        del data[key]
    for key in ("valid_loss", "valid_accuracy", "valid_balanced_accuracy"):
        del data["history"][0][key]
    assert EvaluationResult.model_validate_json(json.dumps(data)) == result
    assert (result.test_error, result.taken_from) == (0.125, "last epoch")


def test_a_result_without_any_test_is_refused():
    with pytest.raises(ValidationError, match="no report of the classes"):
        EvaluationResult(genotype=make_genotype(), parameters=1, history=(make_validated_epoch(0, 0.5),), seconds=1.0)
