"""What all commands that carry out an experiment have in common: its name, its dry run, its training and its result."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from medarts_ops.cli.experiment_options import How
from medarts_ops.cli.next_command import given_line, resumable
from medarts_ops.cli.options import Places
from medarts_ops.journal.folder import check_name_is_free_in, fresh_name

if TYPE_CHECKING:
    from medarts_ops.bench.within_budget import FittedExperiment
    from medarts_ops.experiment import ExperimentPlan


def free_name(how: How, places: Places, kind: str, dataset: str) -> str:
    """The experiment's name, the given one or a fresh one; one that is taken is refused before anything is read."""
    name = fresh_name(kind, dataset) if how.name is None else how.name
    with resumable(places, name):
        check_name_is_free_in(places.work_dir, name)
    return name


def carry_out(
    plan: ExperimentPlan,
    name: str,
    how: How,
    places: Places,
    *,
    open_threads: Collection[str],
    as_csv: bool,
    as_json: bool,
) -> None:
    """Train all that a plan holds and print what came of it, or print what that would cost.

    `open_threads` are the arms whose threads nobody set.
    """
    from medarts_ops.experiments.side_by_side import with_workers

    plan = with_workers(plan, how.workers, open_threads).model_copy(update={"command": given_line()})
    fitted = None if how.budget is None else _within_budget(plan, how.budget)
    plan = plan if fitted is None else fitted.plan
    if how.dry_run:
        from medarts_ops.cli.experiment_dry_run import known_trainings, print_dry_run

        print_dry_run(plan, as_json, () if how.fresh else known_trainings(plan, places), fitted)
        return
    from medarts_ops.cli.experiment_output import show_experiment
    from medarts_ops.cli.experiment_progress import ExperimentProgress
    from medarts_ops.cli.loading import progress_board
    from medarts_ops.tracking.experiment import tracked_experiment

    with resumable(places, name), progress_board() as board:
        progress = ExperimentProgress(board)
        tracked = tracked_experiment(
            plan,
            name=name,
            tracking_uri=places.tracking_uri,
            experiment=places.experiment,
            storage=places.storage,
            work_dir=places.work_dir,
            pictures=places.pictures,
            system_metrics=places.system_metrics,
            fresh=how.fresh,
            observers=(progress,),
            on_training=progress.on_training,
        )
    show_experiment(tracked, places, as_json, as_csv)


def _within_budget(plan: ExperimentPlan, seconds: float) -> FittedExperiment:
    """The plan fitted to the time, which is said."""
    from medarts_ops.bench.within_budget import experiment_within_budget
    from medarts_ops.cli.budget_output import say_fitted_experiment
    from medarts_ops.cli.loading import say

    fitted = experiment_within_budget(plan, seconds, time.monotonic(), lambda what: say(f"timing {what}"))
    say_fitted_experiment(fitted, seconds)
    return fitted
