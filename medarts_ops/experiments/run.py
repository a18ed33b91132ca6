"""An experiment as a job: each of its trainings is a job of its own, in a folder beside the experiment's.

Searches come first, one after the other, each with its own workers; then evaluations, several side by side. What is
finished is never trained again, what was cut off goes on from its own journal and checkpoint, and what fails leaves the
others alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from medarts_ops.data.registry import load_dataset
from medarts_ops.experiment import (
    ExperimentEvent,
    ExperimentFinished,
    ExperimentObserver,
    ExperimentPlan,
    ExperimentResult,
    ExperimentStarted,
    TrainingFinished,
    TrainingUnreadable,
)
from medarts_ops.experiments.tracker import TrainingTracker, Untracked
from medarts_ops.experiments.trainings import Trainings, job_name
from medarts_ops.journal.folder import check_name_is_free_in
from medarts_ops.journal.job import (
    Job,
    check_images,
    kind_in,
    new_job,
    resumed_job,
    tell_again,
)
from medarts_ops.journal.journal import Journal
from medarts_ops.journal.kinds import EXPERIMENT
from medarts_ops.reproducibility import process_started


def run_experiment(
    plan: ExperimentPlan,
    folder: str | Path,
    *,
    observers: Sequence[ExperimentObserver] = (),
    tracker: TrainingTracker | None = None,
) -> ExperimentResult:
    """Train all that a plan holds; a training that fails is an outcome like others.

    Args:
        folder: an empty folder, or one that is made, whose name is the experiment's: its journal is written there. Each
            training's own folder lies beside it, named `<experiment>.<key of the training>`.
        observers: told of every event, after the journal.
        tracker: who is told of the trainings, and knows equal ones of before.

    Raises:
        MedartsError: data that can't be read, a name that is taken, a full disk.
    """
    folder = Path(folder)
    for training in plan.trainings:
        check_name_is_free_in(folder.parent, job_name(folder.name, training))
    with new_job(EXPERIMENT, folder, observers) as job:
        return _carry_out(job, folder, plan, tracker or Untracked())


def resume_experiment(
    folder: str | Path, *, observers: Sequence[ExperimentObserver] = (), tracker: TrainingTracker | None = None
) -> ExperimentResult:
    """Go on with an experiment that was stopped or killed; what it finished is told once more, and not trained again.

    On a CPU what it measures is what one that was never stopped does, bit for bit. One that is finished is only told
    again. Arguments are those of `run_experiment`.

    Raises:
        SearchError: there is no experiment in the folder, or another process works on it; or, after all others are
            trained, a training's journal can't be read.
        DataError: the images are not those that it began with.
        MedartsError: as for `run_experiment`.
    """
    folder = Path(folder)
    with resumed_job(EXPERIMENT, folder, observers) as job:
        plan = job.journal.started.plan
        if job.journal.find(ExperimentFinished) is not None:
            tell_again(job.journal, folder, observers)
            return result_of(job.journal)
        _check_images(folder.name, plan)
        return _carry_out(job, folder, plan, tracker or Untracked())


def result_of(journal: Journal[ExperimentEvent, ExperimentStarted]) -> ExperimentResult:
    """What an experiment came to, or as far as it came."""
    plan = journal.started.plan
    keys = [training.key for training in plan.trainings]
    found = (journal.find(TrainingFinished, key) or journal.find(TrainingUnreadable, key) for key in keys)
    outcomes = tuple(event.outcome for event in found if event is not None)
    return ExperimentResult(name=journal.name, plan=plan, outcomes=outcomes)


def _carry_out(
    job: Job[ExperimentEvent, ExperimentStarted], folder: Path, plan: ExperimentPlan, tracker: TrainingTracker
) -> ExperimentResult:
    job.begin(ExperimentStarted(plan=plan))
    first = plan.trainings[0]
    config = first.search_config if first.kind == "search" else first.evaluate_config
    job.notify(process_started(config, plan.datasets[first.arm.fingerprint]))
    try:
        Trainings(job, folder, plan, tracker).carry_out()
    finally:
        _remove_folders_without_a_job(folder, plan)
    job.notify(ExperimentFinished())
    return result_of(job.journal)


def _check_images(name: str, plan: ExperimentPlan) -> None:
    """Refuse, by a DataError, to go on with other images than those that the experiment began with."""
    for fingerprint, config in {arm.fingerprint: arm.dataset for arm in plan.arms}.items():
        check_images(f"experiment {name!r}", plan.datasets[fingerprint], load_dataset(config).summary(None))


def _remove_folders_without_a_job(folder: Path, plan: ExperimentPlan) -> None:
    """Nothing half-made stays: a training that never began leaves no folder."""
    for training in plan.trainings:
        own = folder.parent / job_name(folder.name, training)
        if own.is_dir() and kind_in(own) is None:
            shutil.rmtree(own, ignore_errors=True)
