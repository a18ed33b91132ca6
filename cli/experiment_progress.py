"""What an experiment is doing, on stderr: which training of how many, and the time that is left in all."""

from __future__ import annotations

from medarts_ops import experiment, observers
from medarts_ops.cli.progress import ProgressBoard
from medarts_ops.experiment import ExperimentPlan, FailedTraining, Training, TrainingOutcome
from medarts_ops.experiments.time_left import ExperimentLeft
from medarts_ops.quantities import counted, duration, percent

WHOLE = "all trainings"
"""The row that sums up the others."""

LONGEST_LABEL = 30
"""Characters of what is compared, beyond which a row has the arm's shorter name."""


class ExperimentProgress:
    """Tells a person what an experiment does; its trainings may interleave."""

    def __init__(self, board: ProgressBoard) -> None:
        self._board = board
        # An experiment's first event, ExperimentStarted, sets both.
        self._plan: ExperimentPlan
        self._left: ExperimentLeft
        self._numbers: dict[str, int] = {}
        self._trainings: dict[str, Training] = {}
        self._failed = 0

    def notify(self, event: experiment.ExperimentEvent) -> None:
        """Shows one event of the experiment."""
        match event:
            case experiment.ExperimentStarted(plan=plan):
                self._started(plan)
            case experiment.TrainingFinished(outcome=outcome) | experiment.TrainingUnreadable(outcome=outcome):
                self._finished(outcome)
            case experiment.ExperimentFinished():
                self._board.drop(WHOLE)
                failed = f", {self._failed} failed" if self._failed else ""
                self._board.say(f"experiment finished: {counted(self._left.all, 'training')}{failed}")
            case experiment.ExperimentStopped() | observers.ProcessStarted():
                pass  # the command's last line says why; how numbers are computed is in the store

    def on_training(self, training: Training, event: observers.JobEvent) -> None:
        """Shows one event of a training: of all that it tells, its epochs."""
        match event:
            case observers.EvaluationEpochFinished(record=record):
                measured = f"{record.measured_by} error {percent(record.measured_error)}"
                note = f"{measured}, {record.images_per_second:,.0f} images/s"
                self._left.epoch_finished(training, record.epoch, record.seconds)
                self._epoch(training, "epoch", record.epoch + 1, training.evaluate_config.epochs, note)
            case observers.EpochFinished(individual_id=individual, record=record):
                note = f"accuracy {percent(record.valid_accuracy)}, {record.images_per_second:,.0f} images/s"
                self._left.epoch_finished(training, record.epoch, record.seconds, individual)
                stages = {stage.name: stage.epochs for stage in training.search_config.stages}
                epochs = stages.get(individual.rpartition("-")[0], record.epoch + 1)
                self._epoch(training, f"{individual} epoch", record.epoch + 1, epochs, note)
            case observers.DerivedEpochFinished(genotype=genotype, record=record):
                note = f"accuracy {percent(record.valid_accuracy)}, {record.images_per_second:,.0f} images/s"
                epochs = training.search_config.derived.epochs
                self._left.genotype_epoch_finished(training, genotype, record.epoch, record.seconds)
                self._epoch(training, f"genotype {genotype} epoch", record.epoch + 1, epochs, note)

    def _started(self, plan: ExperimentPlan) -> None:
        self._plan, self._left = plan, ExperimentLeft(plan)
        self._trainings = {training.key: training for training in plan.trainings}
        self._numbers = {key: number for number, key in enumerate(self._trainings, start=1)}
        kinds = [training.kind for training in plan.trainings]
        what = [counted(kinds.count(kind), kind) for kind in ("search", "evaluation") if kind in kinds]
        names = sorted({dataset.name for dataset in plan.datasets.values()})
        at_once = f", {plan.workers} evaluations at a time" if plan.workers > 1 else ""
        seeds = f"seed {plan.seeds[0]}" if len(plan.seeds) == 1 else f"seeds {', '.join(map(str, plan.seeds))}"
        self._board.say(f"{plan.kind} on {', '.join(names)}: {' and '.join(what)}, {seeds}{at_once}")
        for remark in plan.remarks:
            self._board.say(remark)

    def _epoch(self, training: Training, row: str, done: int, total: int, note: str) -> None:
        left = self._time_left()
        # A terminal has the time once, in the row of the whole, and no room for more than one word to each number.
        shown = note if self._board.is_terminal else f"{note}, {left}"
        self._board.total(WHOLE, self._left.over, self._left.all, left)
        where = f"{self._numbers[training.key]}/{self._left.all}" if self._board.is_terminal else self._place(training)
        self._board.show(f"{where} {_label(training)} {row}", done, total, shown)

    def _place(self, training: Training) -> str:
        return f"{self._numbers[training.key]} of {self._left.all}:"

    def _finished(self, outcome: TrainingOutcome) -> None:
        training = self._trainings[outcome.key]
        self._left.training_finished(outcome.key)
        self._failed += isinstance(outcome, FailedTraining)
        self._board.drop_all(f"{self._numbers[outcome.key]}/{self._left.all} ")
        self._board.say(f"{self._place(training)} {_label(training)} {_what_came(outcome)}")
        self._board.total(WHOLE, self._left.over, self._left.all, self._time_left())

    def _time_left(self) -> str:
        seconds = self._left.seconds_left()
        more = "" if self._left.is_whole else "more than "
        return f"{more if seconds < float('inf') else ''}{duration(seconds)} left in all"


def _label(training: Training) -> str:
    """`g_init, seed 0`; a search is said to be one where its arm is evaluated, too."""
    arm = training.arm
    subject = f"{arm.subject} {arm.condition}".rstrip()
    subject = subject if len(subject) <= LONGEST_LABEL else arm.name
    is_ambiguous = training.kind == "search" and arm.evaluation is not None
    return f"{subject}, seed {training.seed}{', search' if is_ambiguous else ''}"


def _what_came(outcome: TrainingOutcome) -> str:
    if isinstance(outcome, FailedTraining):
        return f"failed: {outcome.reason}; the others go on"
    from medarts_ops.objectives.shown import objectives

    if experiment.TEST_ERROR in outcome.measures:
        came = f"test error {percent(outcome.measures[experiment.TEST_ERROR])}"
    else:
        came = objectives(outcome.measures)
    if outcome.same_as is not None:
        return f"is equal to {outcome.same_as}: {came}"
    if outcome.taken_from is not None:
        return f"was trained before (run {outcome.taken_from}): {came}"
    return f"finished in {duration(outcome.seconds)}: {came}"
