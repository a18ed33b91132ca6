"""ME-DARTS (paper Table I): for each stage train, measure, rank; then survivors, inheritance and crossover.

Given the same config, proposals and outcomes, a search asks for the same work and tells the same events: there is
no clock and no global random state in here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medarts_ops.config import SearchConfig, StageConfig
from medarts_ops.data.search_data import SearchData, prepare_search_data
from medarts_ops.errors import SearchError
from medarts_ops.evolution.crossover import crossover
from medarts_ops.evolution.inheritance import inherit
from medarts_ops.evolution.ranking import rank, survivors
from medarts_ops.executors.protocol import Executor
from medarts_ops.executors.registry import build_executor
from medarts_ops.individual import (
    EpochRecord,
    EvaluatedIndividual,
    FailedIndividual,
    Hyperparameters,
    Individual,
    Outcome,
    RankedIndividual,
    SearchResult,
    StageResult,
    TrainedIndividual,
    TrainingTask,
    individual_id,
)
from medarts_ops.journal.journal import Journal, JournalObserver
from medarts_ops.objectives.registry import MeasuringContext, check_objectives, evaluate_individual
from medarts_ops.observers import (
    EpochFinished,
    FanOut,
    IndividualFinished,
    PopulationBorn,
    SearchFinished,
    SearchObserver,
    SearchStarted,
    SearchStopped,
    StageFinished,
    StageStarted,
    how_it_stopped,
)
from medarts_ops.proposers import FixedProposer, Proposer
from medarts_ops.seeds import Stream, random_generator
from medarts_ops.strategies.registry import build_strategy
from medarts_ops.training.runtime import resolve_runtime
from medarts_ops.training.side_by_side import resolve_stack, resolve_workers

Measured = EvaluatedIndividual | FailedIndividual


def resolve_config(config: SearchConfig) -> SearchConfig:
    """Replace every `auto` but `runtime.stack`, which needs the data, and refuse names that nobody registered.

    Raises:
        ConfigError: an unknown strategy or objective, or a device that is not there.
    """
    build_strategy(config.strategy)
    check_objectives(config.objectives)
    config = resolve_workers(config)
    return config.model_copy(update={"runtime": resolve_runtime(config.runtime)})


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
        folder: an existing, empty folder whose name is the search's id; journal and stage data are written there.
        data: what `prepare_search_data(config)` gave, where the caller has it already.
        proposer: where initial hyperparameters come from; the config's own values for all by default.
        executor: where individuals are trained; by the config's `runtime.workers` by default. Closed at the end.
        observers: told of every event, after the journal.

    Raises:
        MedartsError: bad settings, bad data, or a stage without any survivor.
    """
    config = resolve_config(config)
    data = prepare_search_data(config) if data is None else data
    config = resolve_stack(config, data.stages)
    proposer = proposer or FixedProposer(Hyperparameters.from_config(config.alpha, config.weights))
    executor = executor or build_executor(config.runtime)
    journal = Journal.create(folder, folder.name)
    observer = FanOut([JournalObserver(journal), *observers])
    try:
        observer.notify(SearchStarted(search_id=folder.name, config=config, dataset=data.summary))
        result = _Search(config, folder, data, proposer, executor, observer).run()
        observer.notify(SearchFinished(result=result))
    except BaseException as error:
        reason, interrupted = how_it_stopped(error)
        observer.notify(SearchStopped(reason=reason, interrupted=interrupted))
        raise
    finally:
        executor.close()
    return result


class _Search:
    """The algorithm, with its collaborators at hand."""

    def __init__(
        self,
        config: SearchConfig,
        folder: Path,
        data: SearchData,
        proposer: Proposer,
        executor: Executor,
        observer: SearchObserver,
    ) -> None:
        self._config, self._folder, self._data = config, folder, data
        self._proposer, self._executor, self._observer = proposer, executor, observer
        self._strategy = build_strategy(config.strategy)
        self._context = MeasuringContext(
            para_aug=config.para_aug,
            n_classes=len(data.summary.class_names),
            in_channels=data.summary.in_channels,
            resolution=data.summary.resolution,
        )

    def run(self) -> SearchResult:
        """All stages, each fed by the one before."""
        results: list[StageResult] = []
        for index, stage in enumerate(self._config.stages):
            chosen = survivors(results[-1].ranked, stage.survivors or 0) if results else ()
            results.append(self._run_stage(index, stage, chosen))
        return SearchResult(search_id=self._folder.name, stages=tuple(results))

    def _run_stage(self, index: int, stage: StageConfig, chosen: Sequence[RankedIndividual]) -> StageResult:
        self._observer.notify(
            StageStarted(
                index=index,
                name=stage.name,
                survivors=tuple(ranked.id for ranked in chosen),
                images=len(self._data.stages[index].images),
            )
        )
        self._data.stages[index].save(self._stage_data(index))
        if chosen:
            children = crossover(chosen, stage.children, index, stage.name, first_number=len(chosen))
            measured = self._train(index, stage, 0, [*inherit(chosen, index, stage.name), *children])
        else:
            measured = self._train_generations(index, stage)
        result = self._rank(index, stage, measured)
        self._observer.notify(StageFinished(result=result))
        return result

    def _train_generations(self, index: int, stage: StageConfig) -> list[Measured]:
        """The random individuals of the first stage, in rounds of proposals."""
        size = stage.population or 0
        measured: list[Measured] = []
        for generation in range(self._config.proposals.generations):
            proposed = self._proposer.propose(generation, size)
            population = [
                self._random_individual(index, stage, generation * size + place, hyperparameters)
                for place, hyperparameters in enumerate(proposed)
            ]
            outcomes = self._train(index, stage, generation, population)
            self._proposer.tell(generation, outcomes)
            measured += outcomes
        return measured

    def _random_individual(
        self, index: int, stage: StageConfig, number: int, hyperparameters: Hyperparameters
    ) -> Individual:
        rng = random_generator(self._config.seed, index, number, Stream.ALPHA)
        space = self._config.space.search_space()
        return Individual(
            id=individual_id(stage.name, number),
            stage=index,
            number=number,
            origin="random",
            parents=(),
            alpha=self._strategy.initial_alpha(space, hyperparameters.alpha_init_std, rng),
            hyperparameters=hyperparameters,
        )

    def _train(
        self, index: int, stage: StageConfig, generation: int, population: Sequence[Individual]
    ) -> list[Measured]:
        """Train and measure a population; in its own order, whatever the order in which outcomes came."""
        self._observer.notify(PopulationBorn(stage=index, round=generation, individuals=tuple(population)))
        stack = self._config.runtime.stack
        assert isinstance(stack, int)
        tasks = [
            TrainingTask(
                individuals=tuple(population[first : first + stack]),
                stage=stage,
                config=self._config,
                stage_data=str(self._stage_data(index)),
            )
            for first in range(0, len(population), stack)
        ]
        measured: dict[int, Measured] = {}
        for outcome in self._executor.run(tasks, self._on_epoch):
            finished = IndividualFinished(outcome=self._measure(outcome))
            measured[finished.individual.number] = finished.outcome
            self._observer.notify(finished)
        return [measured[individual.number] for individual in population]

    def _on_epoch(self, individual: Individual, record: EpochRecord) -> None:
        self._observer.notify(EpochFinished(individual_id=individual.id, record=record))

    def _measure(self, outcome: Outcome) -> Measured:
        if isinstance(outcome, TrainedIndividual):
            return evaluate_individual(outcome, self._config.objectives, self._context)
        return outcome

    def _rank(self, index: int, stage: StageConfig, measured: Sequence[Measured]) -> StageResult:
        evaluated = [each for each in measured if isinstance(each, EvaluatedIndividual)]
        failed = tuple(each for each in measured if isinstance(each, FailedIndividual))
        if not evaluated:
            raise SearchError(
                f"stage {stage.name!r}: all {len(failed)} individuals failed, so nothing can go on; "
                f"the first says: {failed[0].reason}"
            )
        return StageResult(
            index=index,
            name=stage.name,
            ranked=rank(evaluated, self._config.objectives),
            failed=failed,
            seconds=sum(each.trained.seconds for each in evaluated) + sum(each.seconds for each in failed),
        )

    def _stage_data(self, index: int) -> Path:
        return self._folder / f"stage-{index}.npz"
