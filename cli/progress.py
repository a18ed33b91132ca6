"""What a search or an evaluation is doing, on stderr: bars on a terminal, one line an event otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Column

from medarts_ops import observers
from medarts_ops.config import ChildrenConfig, ResolvedSearchConfig, SearchConfig
from medarts_ops.data.dataset import classes_in_words
from medarts_ops.data.evaluation_images import few_steps_warning, training_images
from medarts_ops.derived import DerivedEpoch, FailedDerivedTraining
from medarts_ops.evaluated import EvaluationResult
from medarts_ops.evolution.choice import deciding_objective, deciding_value
from medarts_ops.individual import EpochRecord, EvaluatedIndividual, FailedIndividual, StageResult
from medarts_ops.objectives.ranking_warnings import ranking_warnings, steps_warning
from medarts_ops.objectives.shown import objective
from medarts_ops.quantities import counted, duration, percent
from medarts_ops.time_left import WorkLeft

OWN_IMAGES = ("folder", "npz")
"""Datasets whose stages may be too short for them: nobody has tried the presets on those images."""

WIDE_ENOUGH = 72
"""Columns of a terminal from which there is room for bars, too."""


def of_own_images(dataset: str, warning: str | None) -> Iterator[str]:
    """The line of a warning that is for images of one's own alone: presets know how many others have."""
    if warning is not None and dataset in OWN_IMAGES:
        yield f"warning: {warning}"


class ProgressBoard:
    """Lines that stay, and on a terminal rows of bars below them. A context: the bars go when it ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: dict[str, TaskID] = {}
        bar = [BarColumn(bar_width=16)] if console.width >= WIDE_ENOUGH else []
        self._bars = Progress(
            TextColumn("{task.description}"),
            *bar,
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[note]}", table_column=Column(no_wrap=False)),  # breaks on a narrow terminal
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bars.stop()

    @property
    def is_terminal(self) -> bool:
        """Whether there are bars."""
        return self._console.is_terminal

    def say(self, line: str) -> None:
        """Writes a line that stays; never broken, so that a log holds an event a line."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def show(self, row: str, done: int, total: int, note: str) -> None:
        """Sets a row of the bars; without a terminal it is a line instead."""
        if not self.is_terminal:
            self.say(f"{row} {done}/{total}: {note}")
            return
        if row in self._rows:
            self._bars.update(self._rows[row], completed=done, total=total, note=note)
        else:
            self._rows[row] = self._bars.add_task(row, completed=done, total=total, note=note)

    def total(self, row: str, done: int, total: int, note: str) -> None:
        """Sets a row that sums up others: it is worth no line of its own without a terminal."""
        if self.is_terminal:
            self.show(row, done, total, note)

    def drop_all(self, beginning: str) -> None:
        """Takes all rows away whose names begin so."""
        for row in [row for row in self._rows if row.startswith(beginning)]:
            self.drop(row)

    def drop(self, row: str) -> None:
        """Takes a row away, if it is there."""
        if row in self._rows:
            self._bars.remove_task(self._rows.pop(row))


class SearchProgress:
    """Tells a person what a search does. Epochs of several individuals may interleave."""

    def __init__(self, board: ProgressBoard) -> None:
        self._board = board
        # A search's first event, SearchStarted, sets both.
        self._config: ResolvedSearchConfig
        self._work: WorkLeft
        self._stage = 0

    def notify(self, event: observers.SearchEvent) -> None:
        """Shows one event."""
        match event:
            case observers.SearchStarted():
                self._config = event.config
                self._work = WorkLeft(event.config, event.dataset.n_train)
                self._board.say(_search_line(event))
                for remark in (*classes_in_words(event.dataset), *event.dataset.remarks):
                    self._board.say(remark)
            case observers.StageStarted():
                self._stage_started(event)
            case observers.PopulationBorn():
                self._work.born(event.stage, event.individuals)
            case observers.EpochFinished():
                self._epoch_finished(event)
            case observers.DerivedEpochFinished():
                self._genotype_epoch_finished(event)
            case observers.GenotypeTrained():
                self._genotype_trained(event)
            case observers.PopulationPruned():
                self._population_pruned(event)
            case observers.IndividualFinished():
                self._individual_finished(event)
            case observers.StageFinished(result=stage):
                self._work.stage_finished(stage.index)
                self._board.drop(self._stage_row())
                self._board.say(_stage_line(stage, self._config))
                for warning in ranking_warnings(stage):
                    self._board.say(f"warning: {warning}")
            case observers.SearchFinished(result=result):
                self._board.say(f"search finished: {duration(result.seconds)} of training")
            case observers.SearchStopped():
                pass  # the command's last line says why

    def _stage_row(self) -> str:
        stages = self._config.stages
        return f"stage {stages[self._stage].name} ({self._stage + 1} of {len(stages)})"

    def _stage_started(self, event: observers.StageStarted) -> None:
        self._stage = event.index
        self._work.stage_started(event.index, event.images)
        stage = self._config.stages[event.index]
        bred = _descendants(event.survivors, stage.planned_children)
        who = bred if event.survivors else _random_individuals(self._config)
        self._board.say(
            f"{self._stage_row()}: {who}; {stage.cells} cells, {stage.channels} channels, "
            f"{counted(stage.epochs, 'epoch')}, {event.images:,} images"
        )
        if event.yardstick is not None:
            warning = steps_warning(self._config, event.index, event.yardstick.steps)
            for line in of_own_images(self._config.dataset.name, warning):
                self._board.say(line)

    def _epoch_finished(self, event: observers.EpochFinished) -> None:
        self._work.epoch_finished(event.individual_id, event.record)
        self._show_epoch(event.individual_id, event.record, self._work.epochs_of(event.individual_id))

    def _show_epoch(self, who: str, record: EpochRecord | DerivedEpoch, epochs: int) -> None:
        note = f"accuracy {percent(record.valid_accuracy)}, {record.images_per_second:,.0f} images/s"
        time_left = f"{duration(self._work.seconds_left())} left in all"
        # A terminal has the time once, in the stage's row.
        shown = note if self._board.is_terminal else f"{note}, {time_left}"
        self._board.total(self._stage_row(), *self._work.stage_epochs(self._stage), time_left)
        self._board.show(f"{who} epoch", record.epoch + 1, epochs, shown)

    def _genotype_epoch_finished(self, event: observers.DerivedEpochFinished) -> None:
        self._work.genotype_epoch_finished(event.genotype, event.record)
        self._show_epoch(f"genotype {event.genotype}", event.record, self._config.derived.epochs)

    def _genotype_trained(self, event: observers.GenotypeTrained) -> None:
        name = event.outcome.genotype.identity
        self._work.genotype_trained(event.stage, name)
        self._board.drop(f"genotype {name} epoch")
        if isinstance(event.outcome, FailedDerivedTraining):
            self._board.say(f"genotype {name} failed: {event.outcome.reason}")

    def _population_pruned(self, event: observers.PopulationPruned) -> None:
        self._work.pruned(event.stage, [pruned.individual.id for pruned in event.pruned])
        for pruned in event.pruned:
            name = pruned.individual.id
            self._board.drop(f"{name} epoch")
            self._board.say(f"{name} pruned {pruned.reason}: {_values(pruned.objectives)}")

    def _individual_finished(self, event: observers.IndividualFinished) -> None:
        name = event.individual.id
        self._work.individual_finished(name)
        self._board.drop(f"{name} epoch")
        match event.outcome:
            case EvaluatedIndividual(trained=trained, objectives=objectives):
                self._board.say(f"{name} finished in {duration(trained.seconds)}: {_values(objectives)}")
            case FailedIndividual(reason=reason, epoch=epoch):
                where = "" if epoch is None else f" in epoch {epoch + 1}"
                self._board.say(f"{name} failed{where}: {reason}; the stage goes on without it")


class EvaluationProgress:
    """Tells a person what an evaluation does."""

    def __init__(self, board: ProgressBoard) -> None:
        self._board = board
        self._epochs = 0
        self._seconds = 0.0

    def notify(self, event: observers.EvaluationEvent) -> None:
        """Shows one event."""
        match event:
            case observers.EvaluationStarted(config=config, dataset=dataset):
                self._epochs = config.epochs
                self._board.say(_evaluation_line(event))
                for remark in dataset.remarks:
                    self._board.say(remark)
                for line in of_own_images(dataset.name, few_steps_warning(config, dataset)):
                    self._board.say(line)
            case observers.EvaluationEpochFinished(record=record):
                self._seconds += record.seconds
                done = record.epoch + 1
                left = self._seconds / done * (self._epochs - done)
                measured = f"{record.measured_by} error {percent(record.measured_error)}"
                self._board.show(
                    "epoch",
                    done,
                    self._epochs,
                    f"train accuracy {percent(record.train_accuracy)}, {measured}, "
                    f"{record.images_per_second:,.0f} images/s, {duration(left)} left",
                )
            case observers.EvaluationFinished(result=result):
                self._board.say(f"evaluation finished in {duration(result.seconds)}{self._early(result)}")
            case observers.EvaluationStopped():
                pass  # the command's last line says why

    def _early(self, result: EvaluationResult) -> str:
        done, best = len(result.history), result.chosen_epoch
        if done == self._epochs or best is None:
            return ""
        return f", early, after epoch {done} of {self._epochs}: the best was epoch {best + 1}"


def _evaluation_line(event: observers.EvaluationStarted) -> str:
    config, dataset = event.config, event.dataset
    held_back = f", {100 * config.validation_share:g} % of them to choose the epoch by" * (config.validation_share > 0)
    return (
        f"evaluation on {dataset.name}: {training_images(config, dataset):,} images to train{held_back}, "
        f"{dataset.n_test:,} to test ({dataset.test_source}); {config.cells} cells, {config.channels} "
        f"channels, {event.parameters:,} parameters, {counted(config.epochs, 'epoch')} on {config.runtime.device}"
    )


def _search_line(event: observers.SearchStarted) -> str:
    dataset, config = event.dataset, event.config
    height, width = dataset.search_resolution or dataset.resolution
    return (
        f"search {event.search_id} on {dataset.name}: {dataset.n_train:,} images to search with, {height}×{width}, "
        f"{len(dataset.class_names)} classes; {dataset.n_test:,} kept for the test ({dataset.test_source}); "
        f"{counted(len(config.stages), 'stage')} on {config.runtime.device}"
    )


def _values(objectives: Mapping[str, float]) -> str:
    return ", ".join(f"{key} {objective(key, value)}" for key, value in objectives.items())


def _random_individuals(config: SearchConfig) -> str:
    who, rounds = counted(config.stages[0].size, "random individual"), config.proposals.generations
    return who if rounds == 1 else f"{rounds} rounds of {who}"


def _descendants(survivors: tuple[str, ...], planned: ChildrenConfig) -> str:
    possible = planned.possible_with(len(survivors))
    if len(survivors) == 1 and not possible.total:
        return f"from {survivors[0]} alone, so without crossover"
    # Fewer may have survived than planned, and give fewer children.
    names = {"swap": "crossover", "nodewise": "node-wise"}
    children = ", ".join(
        f"{count if count == wished else f'{count} of {wished} planned'} {names.get(operator, operator)}"
        for (operator, wished), (_, count) in zip(planned, possible, strict=True)
        if wished
    )
    return f"from {', '.join(survivors)} with {children or 'no'} {'child' if planned.total == 1 else 'children'}"


def _stage_line(stage: StageResult, config: ResolvedSearchConfig) -> str:
    line = f"stage {stage.name} finished, {duration(stage.seconds)} of training"
    if not stage.ranked:
        return f"{line}: no individual is left"
    deciding = deciding_objective(config.result, config.objectives)
    value = objective(deciding, deciding_value(stage.best.evaluated, deciding))
    return f"{line}: best is {stage.best.id}, {deciding} {value}"
