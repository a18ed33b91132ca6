"""What progress says, on a terminal and without one."""

from __future__ import annotations

import io
import re

import pytest
from class_reports import make_validated_result
from factories import (
    make_dataset_summary,
    make_derived,
    make_epoch_record,
    make_genotype,
    make_pruned_events,
    make_search_events,
)
from rich.console import Console

from medarts_ops.cli.progress import EvaluationProgress, ProgressBoard, SearchProgress
from medarts_ops.config import ChildrenConfig, EvaluateConfig, ResolvedObjective, ResultConfig
from medarts_ops.individual import EvaluationEpoch, EvaluationResult, Yardstick
from medarts_ops.observers import (
    DerivedEpochFinished,
    EpochFinished,
    EvaluationEpochFinished,
    EvaluationFinished,
    EvaluationStarted,
    GenotypeTrained,
    SearchStarted,
    SearchStopped,
    StageFinished,
    StageStarted,
)
from medarts_ops.resolving import resolve_evaluate_config


def console(terminal: bool = False) -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(file=written, force_terminal=terminal, width=80, _environ={"TERM": "xterm"}), written


def test_without_a_terminal_every_event_is_one_line() -> None:
    made, written = console()
    with ProgressBoard(made) as board:
        progress = SearchProgress(board)
        for event in make_search_events():
            progress.notify(event)
    lines = written.getvalue().splitlines()
    assert lines == [
        "search search-test on digits: 1,438 images to search with, 8×8, 10 classes; 359 kept for the test "
        "(20 % of the images, by class); 3 stages on cpu",
        "stage init (1 of 3): 3 random individuals; 3 cells, 2 channels, 1 epoch, 80 images",
        "init-00 epoch 1/1: accuracy 50.00 %, 1,000 images/s, 10 s left in all",
        "init-00 finished in 3 s: accuracy 90.00 %, params 2.00 M",
        "init-01 finished in 3 s: accuracy 80.00 %, params 3.00 M",
        "init-02 failed in epoch 1: loss is NaN; the stage goes on without it",
        "stage init finished, 9 s of training: best is init-00, accuracy 90.00 %",
        "search finished: 9 s of training",
    ]


def test_a_pruned_individual_is_one_line_with_what_it_had_come_to() -> None:
    made, written = console()
    with ProgressBoard(made) as board:
        progress = SearchProgress(board)
        for event in make_pruned_events():
            progress.notify(event)
    (line,) = [line for line in written.getvalue().splitlines() if "pruned" in line]
    assert line == "init-03 pruned on front 1 of its population after 1 epoch: accuracy 40.00 %, params 1.00 M"


@pytest.mark.parametrize(
    ("names", "counts", "said"),
    [
        ("abc", (4, 2, 1_200), "b 2, a 4, c 1,200"),
        ("abcdefghij", tuple(range(50, 60)), "50 (a) to 59 (j), 10 classes"),
        ("a\n", (4, 2), r"\n 2, a 4"),
    ],
)
def test_a_search_says_how_many_images_each_class_has_or_the_smallest_and_the_largest_of_many(
    names: str, counts: tuple[int, ...], said: str
) -> None:
    made, written = console()
    started = make_search_events()[0]
    assert isinstance(started, SearchStarted)
    known = {"class_names": tuple(names), "class_counts": counts}
    with ProgressBoard(made) as board:
        SearchProgress(board).notify(started.model_copy(update={"dataset": started.dataset.model_copy(update=known)}))
    assert written.getvalue().splitlines()[1:] == [f"training images by class: {said}"]


@pytest.mark.parametrize(("dataset", "warned"), [("folder", True), ("digits", False)])
def test_a_stage_of_few_steps_is_warned_of_where_the_images_are_ones_own(dataset: str, warned: bool) -> None:
    made, written = console()
    started = make_search_events()[0]
    assert isinstance(started, SearchStarted)
    images = started.config.dataset.model_copy(update={"name": dataset})
    with ProgressBoard(made) as board:
        progress = SearchProgress(board)
        progress.notify(started.model_copy(update={"config": started.config.model_copy(update={"dataset": images})}))
        yardstick = Yardstick(images=40, chance=0.5, steps=2)
        progress.notify(StageStarted(index=0, name="init", survivors=(), images=80, yardstick=yardstick))
    assert ("warning: stage init trains for 2 steps in all" in written.getvalue()) is warned


def test_a_stage_that_is_at_chance_is_warned_of_and_its_line_names_the_objective_that_decided() -> None:
    made, written = console()
    started, *rest = make_search_events()
    assert isinstance(started, SearchStarted)
    by_size = {"result": ResultConfig(rule="weighted", weights={"params": 1.0})}
    with ProgressBoard(made) as board:
        progress = SearchProgress(board)
        progress.notify(started.model_copy(update={"config": started.config.model_copy(update=by_size)}))
        for event in rest:
            if isinstance(event, StageFinished):
                guesses = Yardstick(images=40, chance=1.0, steps=2)
                event = StageFinished(result=event.result.model_copy(update={"yardstick": guesses}))
            progress.notify(event)
    *_, stage, warning, last = written.getvalue().splitlines()
    assert stage.endswith("best is init-00, params 2.00 M")
    assert warning.startswith("warning: no individual of stage init beats chance: ")


def test_a_genotypes_short_training_is_told_with_the_time_that_is_left_of_all() -> None:
    made, written = console()
    derived = make_derived(epochs=2)
    name = derived.genotype.identity
    started, *rest = make_search_events()
    assert isinstance(started, SearchStarted)
    asked = {"objectives": (ResolvedObjective(name="derived_accuracy", direction="maximize"),)}
    started = started.model_copy(update={"config": started.config.model_copy(update=asked)})
    epoch = next(place for place, event in enumerate(rest) if isinstance(event, EpochFinished))
    with ProgressBoard(made) as board:
        progress = SearchProgress(board)
        for event in (
            started,
            *rest[: epoch + 1],
            *(DerivedEpochFinished(genotype=name, record=record) for record in derived.history),
            GenotypeTrained(stage=0, outcome=derived),
        ):
            progress.notify(event)
    lines = written.getvalue().splitlines()
    # Nine genotypes of 15 epochs could be asked for, half a second each; two epochs are over.
    assert lines[-1].startswith(f"genotype {name} epoch 2/15: accuracy 40.00 %, 100 images/s, ")
    assert lines[-1] != lines[-2]


@pytest.mark.parametrize(
    ("survivors", "said"),
    [
        (("init-00", "init-02"), "from init-00, init-02 with 1 crossover child; "),
        (("init-00",), "from init-00 alone, so without crossover; "),
    ],
)
def test_a_later_stage_says_whom_it_comes_from(survivors: tuple[str, ...], said: str) -> None:
    made, written = console()
    with ProgressBoard(made) as board:
        progress = SearchProgress(board)
        progress.notify(make_search_events()[0])
        progress.notify(StageStarted(index=1, name="mid", survivors=survivors, images=80))
    assert written.getvalue().splitlines()[-1].startswith(f"stage mid (2 of 3): {said}")


@pytest.mark.parametrize(
    ("survivors", "said"),
    [
        (
            ("init-00", "init-02"),
            "from init-00, init-02 with 2 of 3 planned crossover, 1 node-wise, 1 mutation children",
        ),
        (("init-00",), "from init-00 with 0 of 3 planned crossover, 0 of 1 planned node-wise, 1 mutation children"),
    ],
)
def test_a_later_stage_says_which_operators_made_its_children(survivors: tuple[str, ...], said: str) -> None:
    made, written = console()
    started = make_search_events()[0]
    assert isinstance(started, SearchStarted)
    stages = list(started.config.stages)
    stages[1] = stages[1].model_copy(update={"children": ChildrenConfig(swap=3, nodewise=1, mutation=1)})
    config = started.config.model_copy(update={"stages": tuple(stages)})
    with ProgressBoard(made) as board:
        progress = SearchProgress(board)
        progress.notify(started.model_copy(update={"config": config}))
        progress.notify(StageStarted(index=1, name="mid", survivors=survivors, images=80))
    assert f": {said}; " in written.getvalue().splitlines()[-1]


def test_epochs_of_several_individuals_may_interleave() -> None:
    made, written = console()
    events = make_search_events()
    with ProgressBoard(made) as board:
        progress = SearchProgress(board)
        for event in events[:3]:
            progress.notify(event)
        for number in (1, 0, 2):
            progress.notify(EpochFinished(individual_id=f"init-0{number}", record=make_epoch_record()))
    epochs = [line.split()[0] for line in written.getvalue().splitlines() if " epoch " in line]
    assert epochs == ["init-01", "init-00", "init-02"]


def shown_on_a_terminal(n_events: int) -> str:
    made, written = console(terminal=True)
    with ProgressBoard(made) as board:
        progress = SearchProgress(board)
        for event in make_search_events()[:n_events]:
            progress.notify(event)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written.getvalue())


def test_on_a_terminal_an_epoch_moves_bars() -> None:
    shown = shown_on_a_terminal(4)
    assert re.search(r"stage init \(1 of 3\) [━╸╺]+ 1/3 10 s left in all", shown)
    assert re.search(r"init-00 epoch +━+ 1/1 accuracy 50.00 %, 1,000 images/s", shown)


def test_on_a_terminal_a_finished_individual_becomes_a_line() -> None:
    shown = shown_on_a_terminal(5)
    assert "init-00 finished in 3 s: accuracy 90.00 %, params 2.00 M" in shown.splitlines()
    assert shown.rstrip().splitlines()[-1].startswith("stage init")


def test_why_a_search_stopped_is_left_to_the_commands_last_line() -> None:
    made, written = console()
    with ProgressBoard(made) as board:
        SearchProgress(board).notify(SearchStopped(reason="interrupted", interrupted=True))
    assert written.getvalue() == ""


def test_an_evaluation_has_a_line_an_epoch_with_error_and_time_left() -> None:
    made, written = console()
    record = EvaluationEpoch(
        epoch=0,
        train_loss=1.0,
        train_accuracy=0.5,
        test_loss=1.0,
        test_error=0.25,
        lr=0.025,
        drop_path=0.0,
        seconds=10.0,
        images_per_second=144.0,
    )
    result = EvaluationResult(genotype=make_genotype(), parameters=12345, history=(record,), seconds=30.0)
    config = resolve_evaluate_config(EvaluateConfig(epochs=3), (8, 8))
    started = EvaluationStarted(
        config=config, genotype=make_genotype(), parameters=12345, dataset=make_dataset_summary()
    )
    with ProgressBoard(made) as board:
        progress = EvaluationProgress(board)
        progress.notify(started)
        progress.notify(EvaluationEpochFinished(record=record))
        progress.notify(EvaluationFinished(result=result))
    lines = written.getvalue().splitlines()
    assert "12,345 parameters, 3 epochs" in lines[0]
    assert lines[1] == "epoch 1/3: train accuracy 50.00 %, test error 25.00 %, 144 images/s, 20 s left"
    assert lines[2] == "evaluation finished in 30 s"


@pytest.mark.parametrize(
    ("epochs", "dataset", "warned"), [(14, "folder", False), (12, "folder", True), (12, "digits", False)]
)
def test_a_training_of_few_steps_on_own_images_is_warned_of(epochs: int, dataset: str, warned: bool) -> None:
    made, written = console()
    summary = make_dataset_summary().model_copy(update={"name": dataset})
    config = resolve_evaluate_config(EvaluateConfig(epochs=epochs, batch=96, cells=8), (8, 8))  # 1,438 images: 15 steps
    started = EvaluationStarted(config=config, genotype=make_genotype(), parameters=12345, dataset=summary)
    with ProgressBoard(made) as board:
        EvaluationProgress(board).notify(started)
    said = (
        "warning: 180 steps in all, 15 an epoch, hardly train a network of 8 cells: take a smaller batch or more epochs"
    )
    assert (said in written.getvalue()) == ("warning" in written.getvalue()) == warned


def test_an_evaluation_that_validates_says_so_and_that_it_stopped_early() -> None:
    made, written = console()
    genotype = make_genotype()
    config = resolve_evaluate_config(EvaluateConfig(epochs=9, validation_share=0.2, patience=1), (8, 8))
    started = EvaluationStarted(config=config, genotype=genotype, parameters=12345, dataset=make_dataset_summary())
    result = make_validated_result(genotype)
    with ProgressBoard(made) as board:
        progress = EvaluationProgress(board)
        progress.notify(started)
        progress.notify(EvaluationEpochFinished(record=result.history[1]))
        progress.notify(EvaluationFinished(result=result))
    lines = written.getvalue().splitlines()
    assert "1,438 images to train, 20 % of them to choose the epoch by, 359 to test" in lines[0]
    assert lines[1].startswith("epoch 2/9: train accuracy 50.00 %, validation error 25.00 %, ")
    assert lines[2] == "evaluation finished in 30 s, early, after epoch 3 of 9: the best was epoch 2"


@pytest.mark.parametrize("width", [40, 60, 100])
def test_a_terminal_of_any_width_shows_count_accuracy_and_time(width: int) -> None:
    written = io.StringIO()
    console = Console(file=written, width=width, force_terminal=True, color_system=None)
    with ProgressBoard(console) as board:
        board.total("stage init (1 of 3)", 3, 30, "1 min 5 s left in all")
        board.show("init-00", 2, 4, "accuracy 11.00 %, 606 images/s")
    words = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", " ", written.getvalue()).split()
    assert {"3/30", "2/4", "11.00", "606", "left"} <= set(words)
    assert "…" not in written.getvalue()
