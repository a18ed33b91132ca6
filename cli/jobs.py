"""What the commands do with each kind of job: how it goes on, and how what it came to is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from medarts_ops.cli import evaluation_output, output
from medarts_ops.cli.budget_output import evaluation_budget_json, search_budget_json
from medarts_ops.cli.experiment_output import show_experiment
from medarts_ops.cli.next_command import tell_what_waits
from medarts_ops.cli.options import Places
from medarts_ops.cli.progress import EvaluationProgress, ProgressBoard, SearchProgress
from medarts_ops.cli.ui import print_link
from medarts_ops.tracking.vocabulary import JobKind

if TYPE_CHECKING:
    from medarts_ops.tracking.evaluation import TrackedEvaluation
    from medarts_ops.tracking.experiment import TrackedExperiment
    from medarts_ops.tracking.reading.jobs import Job
    from medarts_ops.tracking.search import TrackedSearch


def resume_search(job: Job, places: Places, board: ProgressBoard) -> TrackedSearch:
    """Go on with a search to its end."""
    from medarts_ops.tracking.resume import resumed_search

    return resumed_search(
        job,
        storage=places.storage,
        pictures=places.pictures,
        system_metrics=places.system_metrics,
        observers=(SearchProgress(board),),
    )


def resume_evaluation(job: Job, places: Places, board: ProgressBoard, devices: int | None = None) -> TrackedEvaluation:
    """Go on with an evaluation to its end."""
    from medarts_ops.tracking.resume import resumed_evaluation

    return resumed_evaluation(
        job,
        pictures=places.pictures,
        system_metrics=places.system_metrics,
        observers=(EvaluationProgress(board),),
        devices=devices,
    )


def resume_experiment(job: Job, places: Places, board: ProgressBoard) -> TrackedExperiment:
    """Go on with an experiment to its end."""
    from medarts_ops.cli.experiment_progress import ExperimentProgress
    from medarts_ops.tracking.resume import resumed_experiment

    progress = ExperimentProgress(board)
    return resumed_experiment(
        job,
        storage=places.storage,
        pictures=places.pictures,
        system_metrics=places.system_metrics,
        observers=(progress,),
        on_training=progress.on_training,
    )


def show_search(found: TrackedSearch, places: Places, as_json: bool) -> None:
    """A finished search on stdout; JSON says how it came to its plan, too."""
    from medarts_ops.tracking.reading.links import individuals_link

    tell_what_waits(places, found.result.search_id, found.waiting)
    if as_json:
        budget = {} if found.fitted is None else {"budget": search_budget_json(found.fitted)}
        output.print_json(output.search_json(found) | budget)
        return
    console = output.results_console()
    output.print_search(console, found, places.named_store)
    link = partial(
        individuals_link,
        experiment_id=found.experiment_id,
        search_id=found.result.search_id,
        objective=found.first_objective,
    )
    print_link(console, "All individuals", link, places)


def show_evaluation(trained: TrackedEvaluation, places: Places, as_json: bool) -> None:
    """A finished evaluation on stdout, as a search."""
    tell_what_waits(places, trained.name, trained.waiting)
    if as_json:
        budget = {} if trained.fitted is None else {"budget": evaluation_budget_json(trained.fitted)}
        output.print_json(evaluation_output.evaluation_json(trained) | budget)
    else:
        evaluation_output.print_evaluation(output.results_console(), trained, places.named_store)


class JobCommands(NamedTuple):
    """What the commands do with a kind of job: go on with one, and show what it came to, as JSON or for people."""

    resume: Callable[..., Any]  # of the job, places and the progress board; an evaluation takes its devices, too
    show: Callable[[Any, Places, bool], None]


JOB_COMMANDS: Mapping[JobKind, JobCommands] = {
    "search": JobCommands(resume_search, show_search),
    "evaluation": JobCommands(resume_evaluation, show_evaluation),
    "experiment": JobCommands(resume_experiment, show_experiment),
}
