"""Start a search, or go on with one: config, data, job and listeners around the algorithm of `stages.py`."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import MappingProxyType

from pydantic import JsonValue

from medarts_ops.config import SearchConfig
from medarts_ops.data.search_data import SearchData, prepare_search_data
from medarts_ops.deadline import SearchDeadline
from medarts_ops.evolution.choice import found_in, rule_in_words
from medarts_ops.executors.protocol import Executor
from medarts_ops.executors.registry import build_executor
from medarts_ops.individual import Hyperparameters, SearchResult
from medarts_ops.journal.job import Job, check_images, check_search_goes_on, new_job, resumed_job
from medarts_ops.journal.kinds import SEARCH
from medarts_ops.known_work import Known
from medarts_ops.observers import SearchEvent, SearchFinished, SearchObserver, SearchStarted
from medarts_ops.proposers import FixedProposer, Proposer
from medarts_ops.reproducibility import process_started
from medarts_ops.resolving import resolve_search_config
from medarts_ops.stages import multi_stage_search
from medarts_ops.strategies.registry import strategy_settings
from medarts_ops.training_rounds import TrainingRounds

_logger = logging.getLogger(__name__)


def run_search(
    config: SearchConfig,
    folder: str | Path,
    *,
    data: SearchData | None = None,
    proposer: Proposer | None = None,
    executor: Executor | None = None,
    observers: Sequence[SearchObserver] = (),
    evaluate: Mapping[str, JsonValue] = MappingProxyType({}),
) -> SearchResult:
    """Search an architecture. Nothing is written before the config and the data are known to be good.

    Args:
        folder: an empty folder, or one that is made, whose name is the search's id; journal, checkpoints and stage data
            are written there.
        data: what `prepare_search_data(config)` gave, where the caller has it already.
        proposer: where initial hyperparameters come from; the config's own values for all by default.
        executor: where individuals are trained; by the config's `runtime.executor` by default. Closed at the end.
        observers: told of every event, after the journal.
        evaluate: settings that evaluations of what it finds begin from, kept with the search.

    Raises:
        MedartsError: bad settings, bad data, or a stage without any survivor.
    """
    folder = Path(folder)
    resolved, data = resolve_search_config(config, data)
    started = SearchStarted(search_id=folder.name, config=resolved, dataset=data.summary, evaluate=dict(evaluate))
    with new_job(SEARCH, folder, observers) as job:
        return _carry_out(job, folder, started, data, proposer, executor)


def resume_search(
    folder: str | Path,
    *,
    proposer: Proposer | None = None,
    executor: Executor | None = None,
    observers: Sequence[SearchObserver] = (),
) -> SearchResult:
    """Go on with a search that was stopped or killed, with what its journal and its checkpoints hold.

    It is the same search run again: what the journal already has is answered from it, and told once more to the
    observers, who may have missed it; an individual in training goes on after its last finished epoch. On a CPU the
    result is that of a search that was never stopped, bit for bit.

    Arguments are those of `run_search`; the proposer is asked only for what the journal does not hold.

    Raises:
        SearchError: there is no journal, the search is finished, or another process works on it.
        DataError: the images are not those that the search began with.
        MedartsError: as for `run_search`.
    """
    folder = Path(folder)
    with resumed_job(SEARCH, folder, observers) as job:
        started = job.journal.started
        check_search_goes_on(job.journal)
        data = prepare_search_data(started.config)
        check_images(f"search {folder.name!r}", started.dataset, data.summary)
        return _carry_out(job, folder, started, data, proposer, executor)


def _carry_out(
    job: Job[SearchEvent, SearchStarted],
    folder: Path,
    started: SearchStarted,
    data: SearchData,
    proposer: Proposer | None,
    executor: Executor | None,
) -> SearchResult:
    # A journal has the strategy as it was recorded; what tasks are known by is its own settings.
    config = started.config.model_copy(update={"strategy": strategy_settings(started.config.strategy)})
    _logger.info("search %s in %s computes with %s", folder.name, folder, config.runtime)
    proposer = proposer or FixedProposer(Hyperparameters.from_config(config))
    with closing(executor or build_executor(config.runtime)) as executor:
        job.begin(started)
        job.notify(process_started(config, data.summary))
        known = Known.from_events([event for _, event in job.journal.events()])
        deadline = SearchDeadline.of(config, job.journal.seconds_at_work, data.summary.n_train)
        rounds = TrainingRounds(config, folder, data, executor, known, job.notify, deadline)
        stages = multi_stage_search(config, proposer, rounds, job.notify)
        found = found_in(stages, config.objectives, config.result)
        left_out = tuple(stage.name for stage in config.stages[len(stages) :])
        result = SearchResult(
            search_id=folder.name, stages=stages, chosen=found.id, rule=rule_in_words(config), left_out=left_out
        )
        job.notify(SearchFinished(result=result))
    return result
