"""The report of an experiment, gathered from its journal, or from its run's artifacts, and from its trainings' runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from medarts_ops.errors import RunError, named
from medarts_ops.experiment import ExperimentResult
from medarts_ops.experiments.run import result_of
from medarts_ops.experiments.summarize import summarize
from medarts_ops.journal.journal import Journal
from medarts_ops.journal.kinds import EXPERIMENT
from medarts_ops.observers import JobState
from medarts_ops.report.values import ExperimentReport
from medarts_ops.summary import Summary
from medarts_ops.tracking.artifacts.experiments import read_result
from medarts_ops.tracking.artifacts.files import unversioned
from medarts_ops.tracking.reading.jobs import Job, run_of_job
from medarts_ops.tracking.stores.stored_run import StoredRun
from medarts_ops.tracking.vocabulary import JOBS, OUTCOMES, PLAN

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore


def experiment_report(job: Job, store: RunStore) -> ExperimentReport:
    """The report of an experiment as far as it came: by its journal, or else by what its finished run holds.

    Raises:
        RunError: no such run, or one that is not finished and has no folder in the work directory.
        SearchError: a corrupt journal.
        StoreError: the store can't be reached.
    """
    run = run_of_job(store, job)
    if job.is_here:
        journal = Journal.open(job.folder, EXPERIMENT)
        *_, (_, last) = journal.events()
        return report_of_experiment(store, run, result_of(journal), last.job_state)
    plan, outcomes = (store.read_json_artifact(run.run_id, artifact) for artifact in (PLAN, OUTCOMES))
    result = read_result(job.name, plan, outcomes)
    try:
        return report_of_experiment(store, run, result, "finished")
    except (LookupError, ValueError, ArithmeticError, RuntimeError) as error:  # anybody can edit an artifact
        raise RunError(
            f"{PLAN} and {OUTCOMES} of run {run.run_id} make no table ({named(error)}): restore them"
        ) from error


def report_of_experiment(
    store: RunStore, run: StoredRun, result: ExperimentResult, state: JobState, summary: Summary | None = None
) -> ExperimentReport:
    """The report of the experiment whose run this is; `summary` is that of the result, where it is made already."""
    return ExperimentReport(
        summary=summarize(result) if summary is None else summary,
        result=result,
        state=state,
        run_id=run.run_id,
        run_ids=run_ids_of_trainings(store, run, result),
        command=result.plan.command,
    )


def run_ids_of_trainings(store: RunStore, run: StoredRun, result: ExperimentResult) -> Mapping[str, str]:
    """From each training's key to its run; those that no store holds are missing."""
    tags = [words.name_tag for words in JOBS.values()]
    names = {name: child.run_id for child in store.children(run) for tag in tags if (name := child.tags.get(tag))}
    keys = {key: f"{result.name}.{key}" for key in (training.key for training in result.plan.trainings)}
    found = {key: names[name] for key, name in keys.items() if name in names} | result.taken_over
    return found | {key: found[first] for key, first in result.plan.repeated.items() if first in found}


def taken_over_runs(store: RunStore, run: StoredRun) -> list[StoredRun]:
    """The runs of trainings that a finished experiment took over from before, as far as they are still there.

    Raises:
        RunError: its run does not say which these are.
    """
    data = unversioned(store.read_json_artifact(run.run_id, OUTCOMES), OUTCOMES)
    try:
        taken = [one["taken_from"] for one in data["outcomes"] if one.get("taken_from")]
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(f"this is no {OUTCOMES} of an experiment; allowed is what it logged") from error
    found = store.with_ids(each for each in taken if isinstance(each, str))
    return [found[each] for each in dict.fromkeys(taken) if each in found]
