"""Start a search, or go on with one: config, data, journal, lock and listeners around the algorithm of `stages.py`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from medarts_ops.config import ResolvedSearchConfig, SearchConfig
from medarts_ops.data.search_data import SearchData, prepare_search_data
from medarts_ops.errors import DataError, MedartsError, SearchError
from medarts_ops.executors.protocol import Executor
from medarts_ops.executors.registry import build_executor
from medarts_ops.individual import Hyperparameters, SearchResult
from medarts_ops.journal.journal import Journal, JournalObserver
from medarts_ops.journal.lock import job_lock
from medarts_ops.observers import (
    FanOut,
    SearchEvent,
    SearchFinished,
    SearchObserver,
    SearchStarted,
    SearchStopped,
    how_it_stopped,
)
from medarts_ops.proposers import FixedProposer, Proposer
from medarts_ops.resolving import resolve_search_config
from medarts_ops.stages import MultiStageSearch

_logger = logging.getLogger(__name__)


def run_search(
    config: SearchConfig,
    folder: Path,
    *,
    data: SearchData | None = None,
    proposer: Proposer | None = None,
    executor: Executor | None = None,
    observers: Sequence[SearchObserver] = (),
) -> SearchResult:
    """Search an architecture. Nothing is written before the config and the data are known to be good.

    Args:
        config: all settings.
        folder: an existing, empty folder whose name is the search's id; journal, checkpoints and stage data are
            written there.
        data: what `prepare_search_data(config)` gave, where the caller has it already.
        proposer: where initial hyperparameters come from; the config's own values for all by default.
        executor: where individuals are trained; by the config's `runtime.executor` by default. Closed at the end.
        observers: told of every event, after the journal.

    Raises:
        MedartsError: bad settings, bad data, or a stage without any survivor.
    """
    resolved, data = resolve_search_config(config, data)
    with job_lock(folder):
        return _carry_out(Journal.create(folder, folder.name), resolved, folder, data, proposer, executor, observers)


def resume_search(
    folder: Path,
    *,
    proposer: Proposer | None = None,
    executor: Executor | None = None,
    observers: Sequence[SearchObserver] = (),
) -> SearchResult:
    """Go on with a search that was stopped or killed, with what its journal and its checkpoints hold.

    It is the same search run again: what the journal already has is answered from it, and told once more to the
    observers, who may have missed it; an individual in training goes on after its last finished epoch. On a CPU the
    result is that of a search that was never stopped, bit for bit.

    Args:
        folder: the search's.
        proposer: as it was given to `run_search`; asked only for what the journal does not hold.
        executor: as for `run_search`.
        observers: likewise.

    Raises:
        SearchError: there is no journal, the search is finished, or another process works on it.
        DataError: the images are not those that the search began with.
        MedartsError: as for `run_search`.
    """
    with job_lock(folder):
        journal = Journal.open(folder)
        started = journal.started
        if journal.find("search_finished") is not None:
            raise SearchError(f"search {folder.name!r} is finished: there is nothing to resume; see `medarts show`")
        data = prepare_search_data(started.config)
        if data.summary.fingerprint != started.dataset.fingerprint:
            raise DataError(
                f"search {folder.name!r} began with other images: dataset {started.dataset.name!r} had fingerprint "
                f"{started.dataset.fingerprint} and has {data.summary.fingerprint}; restore them, or start a new search"
            )
        return _carry_out(journal, started.config, folder, data, proposer, executor, observers)


def _carry_out(
    journal: Journal,
    config: ResolvedSearchConfig,
    folder: Path,
    data: SearchData,
    proposer: Proposer | None,
    executor: Executor | None,
    observers: Sequence[SearchObserver],
) -> SearchResult:
    _logger.info("search %s in %s computes with %s", folder.name, folder, config.runtime)
    proposer = proposer or FixedProposer(Hyperparameters.from_config(config))
    executor = executor or build_executor(config.runtime)
    observer = FanOut[SearchEvent]([JournalObserver(journal), *observers])
    stops = sum(isinstance(event, SearchStopped) for _, event in journal.events())
    try:
        observer.notify(SearchStarted(search_id=folder.name, config=config, dataset=data.summary))
        result = MultiStageSearch(config, folder, data, proposer, executor, observer, journal).run()
        observer.notify(SearchFinished(result=result))
    except BaseException as error:
        reason, interrupted = how_it_stopped(error)
        try:
            observer.notify(SearchStopped(reason=reason, interrupted=interrupted, number=stops))
        except MedartsError as second:  # a full disk, say, must not hide what ended the search
            _logger.warning("that the search stopped could not be told: %s", second)
        raise
    finally:
        executor.close()
    return result
