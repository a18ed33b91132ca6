"""What progress says of an experiment, on a terminal and without one."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence

import pytest
from experiment_plans import make_arm, make_plan, make_short_search
from factories import make_epoch_record, make_evaluation_epoch, make_genotype
from rich.console import Console

from medarts_ops.cli.experiment_progress import ExperimentProgress
from medarts_ops.cli.progress import ProgressBoard
from medarts_ops.experiment import (
    ExperimentFinished,
    ExperimentPlan,
    ExperimentStarted,
    ExperimentStopped,
    FailedTraining,
    FinishedTraining,
    Training,
    TrainingFinished,
)
from medarts_ops.observers import EpochFinished, EvaluationEpochFinished, JobEvent


def console(terminal: bool = False, width: int = 80) -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(file=written, force_terminal=terminal, width=width, _environ={"TERM": "xterm"}), written


def finished(key: str, error: float = 0.25, taken_from: str | None = None) -> TrainingFinished:
    measures = {"test_error": error, "best_test_error": error, "parameters": 1234.0}
    outcome = FinishedTraining(
        key=key, measures=measures, seconds=20.0, genotype=make_genotype(nodes=2), taken_from=taken_from
    )
    return TrainingFinished(outcome=outcome)


def epoch(number: int) -> EvaluationEpochFinished:
    return EvaluationEpochFinished(record=make_evaluation_epoch(number))


def told(
    plan: ExperimentPlan, events: Sequence[TrainingFinished | ExperimentFinished | tuple[str, JobEvent]], **how: int
) -> list[str]:
    made, written = console(bool(how.get("terminal")), how.get("width", 80))
    trainings: dict[str, Training] = {training.key: training for training in plan.trainings}
    with ProgressBoard(made) as board:
        progress = ExperimentProgress(board)
        progress.notify(ExperimentStarted(plan=plan))
        for event in events:
            if isinstance(event, tuple):
                progress.on_training(trainings[event[0]], event[1])
            else:
                progress.notify(event)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written.getvalue()).splitlines()


def test_without_a_terminal_every_event_is_one_line() -> None:
    failed = FailedTraining(key="two.s0", reason="loss is NaN", cause="diverged")
    lines = told(
        make_plan(workers=2),
        [
            finished("two.s1", 0.125, taken_from="0123"),
            ("one.s0", epoch(0)),
            ("two.s0", epoch(0)),
            ("one.s0", epoch(1)),
            finished("one.s0"),
            TrainingFinished(outcome=failed),
            finished("one.s1"),
            ExperimentFinished(),
        ],
    )
    assert lines == [
        "sweep on digits: 4 evaluations, seeds 0, 1, 2 evaluations at a time",
        "4 of 4: arm two, seed 1 was trained before (run 0123): test error 12.50 %",
        "1 of 4: arm one, seed 0 epoch 1/2: test error 12.50 %, 144 images/s, 25 s left in all",
        "2 of 4: arm two, seed 0 epoch 1/2: test error 12.50 %, 144 images/s, 20 s left in all",
        "1 of 4: arm one, seed 0 epoch 2/2: test error 12.50 %, 144 images/s, 15 s left in all",
        "1 of 4: arm one, seed 0 finished in 20 s: test error 25.00 %",
        "2 of 4: arm two, seed 0 failed: loss is NaN; the others go on",
        "3 of 4: arm one, seed 1 finished in 20 s: test error 25.00 %",
        "experiment finished: 4 trainings, 1 failed",
    ]


def test_searches_are_told_apart_from_their_evaluations_and_the_time_is_a_lower_bound() -> None:
    plan = make_plan([make_arm("found", search=make_short_search())], seeds=(0,))
    record = EpochFinished(individual_id="init-00", record=make_epoch_record(0))
    search = FinishedTraining(
        key="found.s0.search", measures={"accuracy": 0.9, "params": 2e6}, seconds=3.0, genotype=make_genotype(nodes=2)
    )
    lines = told(plan, [("found.s0.search", record), TrainingFinished(outcome=search)])
    assert lines == [
        "sweep on digits: 1 search and 1 evaluation, seed 0",
        "1 of 2: arm found, seed 0, search init-00 epoch 1/1: accuracy 50.00 %, 1,000 images/s, more than 2 s left "
        "in all",
        "1 of 2: arm found, seed 0, search finished in 3 s: accuracy 90.00 %, params 2.00 M",
    ]


def test_a_terminal_has_a_bar_for_the_whole_and_one_for_each_training_at_work() -> None:
    shown = "\n".join(told(make_plan(workers=2), [("one.s0", epoch(0)), ("two.s0", epoch(0))], terminal=1, width=100))
    assert re.search(r"all trainings +[━╸╺]+ 0/4 30 s left in all", shown)
    assert re.search(r"1/4 arm one, seed 0 epoch [━╸╺]+ +1/2 test error 12.50 %, 144 images/s", shown)
    assert re.search(r"2/4 arm two, seed 0 epoch [━╸╺]+ +1/2 test error", shown)


def test_on_a_terminal_a_finished_training_becomes_a_line_and_its_bar_goes() -> None:
    lines = told(make_plan(), [("one.s0", epoch(0)), finished("one.s0"), ("two.s0", epoch(0))], terminal=1, width=100)
    assert "1 of 4: arm one, seed 0 finished in 20 s: test error 25.00 %" in lines
    last = lines[-3:]
    assert not any("arm one" in line and "epoch" in line for line in last)
    assert any(re.search(r"all trainings +[━╸╺]+ 1/4", line) for line in last)


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_terminal_of_any_width_shows_which_of_how_many_and_the_time(width: int) -> None:
    lines = told(make_plan(), [("one.s0", epoch(0))], terminal=1, width=width)
    words = " ".join(lines).split()
    assert {"0/4", "1/4", "1/2", "12.50", "left"} <= set(words) and "…" not in " ".join(lines)


def test_remarks_on_the_images_are_told_once() -> None:
    plan = make_plan()
    (fingerprint, dataset), *_ = plan.datasets.items()
    noted = dataset.model_copy(update={"remarks": ("2 files were left out",)})
    lines = told(plan.model_copy(update={"datasets": {fingerprint: noted}}), [])
    assert lines[1:] == ["2 files were left out"]


def test_a_long_subject_gives_way_to_the_arms_name() -> None:
    arm = make_arm("short").model_copy(update={"subject": "a subject that nobody would want to read twice"})
    lines = told(make_plan([arm], seeds=(3,)), [("short.s3", epoch(0))])
    assert lines[1].startswith("1 of 1: short, seed 3 epoch 1/2: ")


def test_a_condition_stands_behind_the_subject() -> None:
    arm = make_arm("one").model_copy(update={"condition": "16×16"})
    assert told(make_plan([arm], seeds=(0,)), [("one.s0", epoch(0))])[1].startswith("1 of 1: arm one 16×16, seed 0 ")


def test_why_an_experiment_stopped_is_left_to_the_commands_last_line() -> None:
    made, written = console()
    with ProgressBoard(made) as board:
        ExperimentProgress(board).notify(ExperimentStopped(reason="interrupted", interrupted=True))
    assert written.getvalue() == ""
