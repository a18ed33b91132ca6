"""A training that may take so long ends after the last epoch that fits."""

from __future__ import annotations

from pathlib import Path

import pytest
from clocks import StandInClock, stand_in_clock
from factories import make_evaluate_config_tiny, make_genotype

from medarts_ops.config_runtime import BudgetConfig
from medarts_ops.deadline import seconds_for
from medarts_ops.evaluation import resume_evaluation, run_evaluation
from medarts_ops.observers import EvaluationEpochFinished, EvaluationEvent
from medarts_ops.training.supervised import SupervisedTraining
from medarts_ops.training.time_limit import TimeLimit

GENOTYPE = make_genotype("skip_connect", nodes=2)


def epochs_within(limit: TimeLimit, clock: StandInClock, taking: list[float]) -> int:
    done = 0
    while done < len(taking) and limit.allows(done):
        clock.now += taking[done]
        done += 1
    return done


@pytest.mark.parametrize(
    ("seconds", "taking", "done"),
    [
        (None, [5.0] * 4, 4),
        (20.0, [5.0] * 4, 4),
        (19.0, [5.0] * 4, 3),
        (19.0, [2.0, 9.0, 2.0, 2.0], 2),  # one as long as the longest would no longer fit
        (0.0, [5.0] * 4, 1),
    ],
)
def test_an_epoch_is_begun_if_one_as_long_as_the_longest_fits_and_the_first_one_always(
    monkeypatch: pytest.MonkeyPatch, seconds: float | None, taking: list[float], done: int
) -> None:
    clock = stand_in_clock(monkeypatch)
    assert epochs_within(TimeLimit(seconds), clock, taking) == done


class Interrupt:
    """Raises after the first epoch, as Ctrl-C would."""

    def notify(self, event: EvaluationEvent) -> None:
        if isinstance(event, EvaluationEpochFinished):
            raise KeyboardInterrupt


def test_an_evaluation_of_which_the_time_is_over_is_tested_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, run_epoch = stand_in_clock(monkeypatch), SupervisedTraining.run_epoch

    def slow(self: SupervisedTraining, epoch: int) -> object:
        clock.now += 40
        return run_epoch(self, epoch)

    monkeypatch.setattr(SupervisedTraining, "run_epoch", slow)
    config = make_evaluate_config_tiny()
    budget = {"budget": BudgetConfig(seconds=seconds_for(95), scale=1.0)}
    config = config.model_copy(update={"runtime": config.runtime.model_copy(update=budget)})
    result = run_evaluation(config, GENOTYPE, folder=tmp_path / "whole")
    assert len(result.history) == 2 and result.classes is not None
    assert result.taken_from == "last epoch; ended after 2 of 3 epochs, since the time was over"
    assert result.cut is not None and result.cut.epochs == 2

    with pytest.raises(KeyboardInterrupt):
        run_evaluation(config, GENOTYPE, folder=tmp_path / "stopped", observers=[Interrupt()])
    again = resume_evaluation(tmp_path / "stopped")
    assert [one.train_loss for one in again.history[:2]] == [one.train_loss for one in result.history]
