"""The report of a search, gathered from its journal and from what the store holds of it."""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from medarts_ops.alpha import Alpha
from medarts_ops.errors import MedartsError, RunError, SearchError
from medarts_ops.evolution.stop_rule import Stop, darts_plus_stop
from medarts_ops.individual import EvaluatedIndividual
from medarts_ops.journal.evaluation_folder import RESULT, STARTED, read_evaluation
from medarts_ops.journal.journal import Journal
from medarts_ops.journal.kinds import SEARCH
from medarts_ops.observers import (
    IndividualFinished,
    SearchEvent,
    SearchFinished,
    SearchStarted,
    StageFinished,
    StageStarted,
)
from medarts_ops.report.values import ReportedEvaluation, SearchReport
from medarts_ops.tracking import vocabulary
from medarts_ops.tracking.artifacts.files import MAX_ARTIFACT_BYTES
from medarts_ops.tracking.artifacts.shapes import flattened
from medarts_ops.tracking.reading.jobs import Job, find_job, job_in, job_name, run_of_job
from medarts_ops.tracking.reading.kept_journal import copied_journal
from medarts_ops.tracking.reading.relations import search_of
from medarts_ops.tracking.stores.stored_run import LONGEST_PARAM, StoredRun

if TYPE_CHECKING:
    from medarts_ops.reproducibility import ReproducibilityRecord
    from medarts_ops.tracking.stores.run_store import RunStore

_logger = logging.getLogger(__name__)


def search_report(
    given: str | Job,
    *,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    work_dir: Path = Path("medarts-work"),
) -> tuple[SearchReport, RunStore]:
    """The report of a search, and the store that holds it.

    The journal in the work directory says what happened, or else the copy that the search's run keeps; evaluations come
    from the store.

    `given` is the name of the search or of an evaluation of it, the id of a run of either, or the job that was found.

    Raises:
        RunError: no such run, or an evaluation of a genotype that was given by hand.
        SearchError: neither the work directory nor the run has a journal, or a corrupt one.
        StoreError: the store can't be reached.
    """
    job = find_job(given, tracking_uri=tracking_uri, experiment=experiment, work_dir=work_dir)
    store = job.opened_store()
    run = run_of_job(store, job)
    search = search_of(store, run)
    if search is None:
        raise RunError(
            f"{run.kind} {run.name!r} is of a genotype that was given by hand and belongs to no search: "
            f"`medarts show {run.run_id}` tells what came of it"
        )
    return report_of(store, search, work_dir), store


def report_of(store: RunStore, run: StoredRun, work_dir: Path) -> SearchReport:
    """The report of the search whose run this is.

    Raises:
        SearchError: no journal, or one that is not a search's from its start on.
        RunError: the run's tags don't name the search.
    """
    name = job_name(run, vocabulary.SEARCH_TAG)
    journal = journal_of(store, run, name, work_dir)
    started, events = journal.started, [event for _, event in journal.events()]
    stages = tuple(event.result for event in events if isinstance(event, StageFinished))
    finished = journal.find(SearchFinished)
    found = None if finished is None else finished.result
    images = {event.index: event.images for event in events if isinstance(event, StageStarted)}
    known = images.keys() & set(range(len(started.config.stages)))
    if any(stage.index not in known for stage in stages):
        raise SearchError(f"the journal of search {name!r} has a stage that never began; restore it from a copy")
    run_ids = {
        each.tags[vocabulary.INDIVIDUAL_TAG]: each.run_id
        for each in store.runs_of_search(run.experiment_id, name)
        if vocabulary.INDIVIDUAL_TAG in each.tags
    }
    return SearchReport(
        search_id=name,
        state=events[-1].job_state,
        config=started.config,
        dataset=started.dataset,
        stages=stages,
        images=images,
        run_id=run.run_id,
        found=found,
        epoch_alphas=() if found is None else _epoch_alphas(journal, found.best.id),
        stops=_stops(started, events),
        run_ids=run_ids,
        evaluations=_evaluations(store, run, {run_id: individual for individual, run_id in run_ids.items()}),
        record=_first_record(store, run),
        evaluate=started.evaluate,
    )


def journal_of(store: RunStore, run: StoredRun, name: str, work_dir: Path) -> Journal[SearchEvent, SearchStarted]:
    """The journal in the work directory if it is this run's, or else the copy that the run keeps."""
    if job_in(work_dir, name) == "search":
        journal = Journal.open(work_dir / name, SEARCH)
        if is_run_of(journal.started, run):
            return journal
    with copied_journal(store, run.run_id, work_dir, name) as (journal, _):
        return journal


def is_run_of(started: SearchStarted, run: StoredRun) -> bool:
    """Whether a run is that of a search that began so; another store may have one of the same name.

    A run of an older release lacks settings that came later, so those that it has are compared; but it has as many
    stages, and as many of whatever else is numbered, as the search.
    """
    settings = {key: str(value)[:LONGEST_PARAM] for key, value in flattened(started.config).items()}
    of_run = _numbered(run.params)
    return (
        bool(run.params)
        and all(settings.get(key) == value for key, value in run.params.items())
        and {name: numbers for name, numbers in _numbered(settings).items() if name in of_run} == of_run
        and started.dataset.fingerprint == run.tags.get(vocabulary.FINGERPRINT_TAG)
    )


def _numbered(params: Mapping[str, str]) -> dict[str, set[str]]:
    """From each list of settings (`stages`) to the numbers that it has."""
    found: dict[str, set[str]] = {}
    for key in params:
        if match := re.match(r"(.+?)\.(\d+)\.", key):
            found.setdefault(match[1], set()).add(match[2])
    return found


def _epoch_alphas(journal: Journal[SearchEvent, SearchStarted], individual: str) -> tuple[Alpha, ...]:
    """α of an individual after each of its epochs."""
    event = journal.find(IndividualFinished, individual)
    if event is None or not isinstance(event.outcome, EvaluatedIndividual):
        return ()
    return tuple(record.alpha for record in event.outcome.trained.history if record.alpha is not None)


def _stops(started: SearchStarted, events: Sequence[SearchEvent]) -> dict[str, Stop]:
    """When DARTS+ would have stopped each individual: only the event of its end keeps α of its epochs."""
    outcomes = [event.outcome for event in events if isinstance(event, IndividualFinished)]
    histories = {each.id: each.trained.history for each in outcomes if isinstance(each, EvaluatedIndividual)}
    primitives = started.config.space.primitives
    stops = {name: darts_plus_stop(history, primitives) for name, history in histories.items()}
    return {name: stop for name, stop in stops.items() if stop is not None}


def _evaluations(store: RunStore, run: StoredRun, individuals: Mapping[str, str]) -> tuple[ReportedEvaluation, ...]:
    """The finished ones below the search; `individuals` are ids by run."""
    finished = [each for each in store.children(run, "evaluation") if each.status == "FINISHED"]
    return tuple(found for each in finished if (found := _evaluation(store, each, individuals)) is not None)


def _evaluation(store: RunStore, run: StoredRun, individuals: Mapping[str, str]) -> ReportedEvaluation | None:
    """One of them; None, and a warning, where its run does not keep what it came to, as those of the first releases."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        try:
            name = job_name(run, vocabulary.EVALUATION_TAG)
            for file in (STARTED, RESULT):
                store.download(run.run_id, file, folder, MAX_ARTIFACT_BYTES)
            started, result = read_evaluation(folder)
        except MedartsError as error:
            _logger.warning("evaluation %s is left out of the report: %s", run.run_id, error)
            return None
    if result is None or not result.history:
        _logger.warning("evaluation %s is left out of the report: it has no epoch", run.run_id)
        return None
    individual = individuals.get(run.tags.get(vocabulary.EVALUATES_TAG, ""))
    return ReportedEvaluation(name, run.run_id, individual, started, result)


def _first_record(store: RunStore, run: StoredRun) -> ReproducibilityRecord | None:
    """How the search's first process came to its numbers; None where the run has no record that can be read."""
    from medarts_ops.reproducibility import ReproducibilityRecord

    try:
        paths = sorted(store.artifacts_in(run.run_id, vocabulary.RECORDS))
        return ReproducibilityRecord.model_validate(store.read_json_artifact(run.run_id, paths[0])) if paths else None
    except (ValidationError, MedartsError):
        return None
