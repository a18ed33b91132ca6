"""A search in MLflow: one run for the search, one for each stage below it, one for each individual below its stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medarts_ops.config import ResolvedSearchConfig
from medarts_ops.errors import RunError
from medarts_ops.evolution.hypervolume import relative_hypervolume
from medarts_ops.individual import EpochRecord, EvaluatedIndividual, FailedIndividual, Individual, StageResult
from medarts_ops.observers import (
    EpochFinished,
    IndividualFinished,
    PopulationBorn,
    SearchEvent,
    SearchFinished,
    SearchStarted,
    SearchStopped,
    StageFinished,
    StageStarted,
)
from medarts_ops.quantities import SECONDS_PER_HOUR
from medarts_ops.report.search_note import search_note
from medarts_ops.tracking import vocabulary
from medarts_ops.tracking.artifacts import shapes
from medarts_ops.tracking.runs.metric_log import MetricLog
from medarts_ops.tracking.runs.reproducibility_log import ReproducibilityLog
from medarts_ops.tracking.runs.runs_by_key import RunsByKey

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore


class MlflowSearchObserver:
    """Writes a search's events into a tracking store.

    An event may be told twice, to a new observer too: runs are found by the search's id, ended ones are left alone,
    and no metric is doubled. So a resumed search goes on in its own runs, stopped ones too: they are set to running
    again, unless `reopens` is off because the search does not go on.

    Raises (from `notify`):
        StoreError: the store failed; telling the event again makes up for it.
    """

    def __init__(self, store: RunStore, experiment: str = "medarts", *, reopens: bool = True) -> None:
        self._store = store
        self._experiment_id = store.experiment_id(experiment)
        self._search: tuple[ResolvedSearchConfig, RunsByKey] | None = None
        self._stage_images: dict[int, int] = {}
        self._first_stage: StageResult | None = None
        self._metrics = MetricLog(store)
        self._reopens = reopens
        self._reproducibility = ReproducibilityLog(store)

    @property
    def experiment_id(self) -> str:
        """The experiment that holds the runs."""
        return self._experiment_id

    @property
    def search_run_id(self) -> str:
        """The search's run id, once it has started."""
        return self._runs.id_of(vocabulary.SEARCH)

    def stage_run_id(self, index: int) -> str:
        """The run id of a stage that has started."""
        return self._runs.id_of(vocabulary.stage_key(index))

    def run_id_of(self, individual_id: str) -> str:
        """The run id of an individual that was born."""
        return self._runs.id_of(vocabulary.individual_key(individual_id))

    @property
    def run_ids(self) -> dict[str, str]:
        """The run ids of all individuals that were born, by the individuals' ids."""
        return self._runs.individuals()

    def notify(self, event: SearchEvent) -> None:
        """Take note of one event."""
        self._metrics.begin(event)
        match event:
            case SearchStarted():
                self._search_started(event)
            case StageStarted():
                self._stage_started(event)
            case PopulationBorn():
                for individual in event.individuals:
                    self._born(individual)
            case EpochFinished():
                self._epoch_finished(event)
            case IndividualFinished():
                self._individual_finished(event)
            case StageFinished():
                self._stage_finished(event.result)
            case SearchFinished():
                self._search_finished(event)
            case SearchStopped():
                self._search_stopped(event)

    @property
    def _runs(self) -> RunsByKey:
        return self._started[1]

    @property
    def _started(self) -> tuple[ResolvedSearchConfig, RunsByKey]:
        if self._search is None:
            raise RunError("no search has started: tell the event search_started first")
        return self._search

    def _search_started(self, event: SearchStarted) -> None:
        runs = RunsByKey(self._store, self._experiment_id, "search", event.search_id, reopens=self._reopens)
        self._metrics.looks_first = runs.were_there
        self._search = (event.config, runs)
        tags = {vocabulary.DATASET_TAG: event.dataset.name, vocabulary.FINGERPRINT_TAG: event.dataset.fingerprint}
        run_id = runs.start(
            vocabulary.SEARCH,
            kind="search",
            name=event.search_id,
            parent_run_id=None,
            tags=tags,
            params=shapes.flattened(event.config),
        )
        if runs.is_open(run_id):
            self._store.log_json(run_id, vocabulary.CONFIG, shapes.plain(event.config))
            self._store.log_json(run_id, vocabulary.DATASET, shapes.plain(event.dataset))
            self._store.log_dataset(run_id, event.dataset, "search-train")
            if self._reopens:  # whoever only tells what happened elsewhere did not make it
                self._reproducibility.log(run_id, event.config, event.dataset)

    def _stage_started(self, event: StageStarted) -> None:
        config, runs = self._started
        self._stage_images[event.index] = event.images
        survivors = [self.run_id_of(survivor) for survivor in event.survivors]
        params = shapes.flattened(config.stages[event.index]) | {"images": event.images}
        runs.start(
            vocabulary.stage_key(event.index),
            kind="stage",
            name=f"stage-{event.name}",
            parent_run_id=self.search_run_id,
            tags={vocabulary.STAGE_TAG: event.name, vocabulary.SURVIVORS_TAG: ",".join(survivors)},
            params=params,
        )
        for survivor in survivors:
            self._store.set_tags(survivor, {vocabulary.SELECTED_TAG: "true"})

    def _born(self, individual: Individual) -> None:
        config, runs = self._started
        stage = config.stages[individual.stage]
        sizes = {"cells": stage.cells, "channels": stage.channels, "epochs": stage.epochs, "batch": stage.batch}
        params = sizes | {"images": self._stage_images[individual.stage]} | individual.hyperparameters.model_dump()
        run_id = runs.start(
            vocabulary.individual_key(individual.id),
            kind="individual",
            name=individual.id,
            parent_run_id=self.stage_run_id(individual.stage),
            tags={
                vocabulary.INDIVIDUAL_TAG: individual.id,
                vocabulary.STAGE_TAG: stage.name,
                vocabulary.ORIGIN_TAG: individual.origin,
                vocabulary.PARENTS_TAG: ",".join(self.run_id_of(parent) for parent in individual.parents),
            },
            params=params,
        )
        if runs.is_open(run_id):
            alpha = shapes.alpha_json(individual.alpha, config.space.search_space())
            self._store.log_json(run_id, vocabulary.ALPHA_INITIAL, alpha)

    def _epoch_finished(self, event: EpochFinished) -> None:
        run_id, epoch = self.run_id_of(event.individual_id), event.record.epoch
        if self._runs.is_open(run_id) and self._runs.is_new_epoch(run_id, epoch):
            self._metrics.log(run_id, epoch_metrics(event.record), step=epoch)
            self._runs.epoch_logged(run_id, epoch)

    def _individual_finished(self, event: IndividualFinished) -> None:
        run_id = self.run_id_of(event.individual.id)
        if not self._runs.is_open(run_id):
            return
        match event.outcome:
            case FailedIndividual(epoch=epoch):
                at = {} if epoch is None else {vocabulary.FAILED_EPOCH_TAG: str(epoch)}
                self._store.set_tags(run_id, shapes.failure_tags(event.outcome) | at)
                self._runs.finish(run_id, "FAILED")
            case EvaluatedIndividual():
                self._trained(run_id, event.outcome)
                self._runs.finish(run_id, "FINISHED")

    def _trained(self, run_id: str, evaluated: EvaluatedIndividual) -> None:
        trained = evaluated.trained
        space = self._started[0].space.search_space()
        self._store.log_json(run_id, vocabulary.ALPHA, shapes.alpha_json(trained.alpha, space))
        self._store.log_json(run_id, vocabulary.GENOTYPE, shapes.genotype_json(trained.genotype))
        self._store.log_json(run_id, vocabulary.HISTORY, shapes.history_json(trained.history))
        self._store.log_json(run_id, vocabulary.ALPHA_EPOCHS, shapes.alpha_epochs_json(trained.history, space))
        self._metrics.log_missing(run_id, {**evaluated.objectives, vocabulary.SECONDS: trained.seconds})
        self._store.set_tags(run_id, {vocabulary.GENOTYPE_TAG: trained.genotype.identity})

    def _stage_finished(self, result: StageResult) -> None:
        if result.index == 0:
            self._first_stage = result
        run_id = self.stage_run_id(result.index)
        if not self._runs.is_open(run_id):
            return
        for ranked in result.ranked:
            member = self.run_id_of(ranked.id)
            # The ends of a front are infinitely far, which is no metric: most individuals would lack it.
            place = {vocabulary.FRONT_TAG: f"{ranked.front}", vocabulary.CROWDING_TAG: f"{ranked.crowding_distance:g}"}
            self._store.set_tags(member, place)
            self._metrics.log_missing(member, {vocabulary.FRONT: float(ranked.front)})
        self._store.log_json(run_id, vocabulary.POPULATION, shapes.population_json(result, self.run_id_of))
        metrics = stage_metrics(result) | self._hypervolume(result)
        hours = result.seconds / SECONDS_PER_HOUR
        self._metrics.log_missing(run_id, metrics | {vocabulary.HOURS: hours}, step=result.index)
        # On the search's run too, whose charts would be empty otherwise; its `hours` is the whole search's.
        self._metrics.log_missing(self.search_run_id, metrics | {"stage_hours": hours}, step=result.index)
        if result.ranked:
            self._store.set_tags(run_id, {vocabulary.BEST_TAG: self.run_id_of(result.best.id)})
            self._store.log_json(run_id, vocabulary.GENOTYPE, shapes.genotype_json(result.best.trained.genotype))
        self._runs.finish(run_id, "FINISHED")

    def _hypervolume(self, result: StageResult) -> dict[str, float]:
        first = self._first_stage
        found = None if first is None else relative_hypervolume(result, first, self._started[0].objectives)
        return {} if found is None else {vocabulary.HYPERVOLUME: found}

    def _search_finished(self, event: SearchFinished) -> None:
        (config, runs), run_id, result = self._started, self.search_run_id, event.result
        if not runs.is_open(run_id):
            return
        best, hours = result.best, result.seconds / SECONDS_PER_HOUR
        spent = vocabulary.GPU_HOURS if config.runtime.device.startswith("cuda") else vocabulary.CPU_HOURS
        last = len(result.stages) - 1
        self._metrics.log_missing(run_id, {vocabulary.HOURS: hours, spent: hours}, step=last)
        alpha = shapes.alpha_json(best.trained.alpha, config.space.search_space())
        lineage = shapes.lineage_json(result.stages, best.id, self.run_id_of)
        self._store.log_json(run_id, vocabulary.GENOTYPE, shapes.genotype_json(best.trained.genotype))
        self._store.log_json(run_id, vocabulary.ALPHA, alpha)
        self._store.log_json(run_id, vocabulary.LINEAGE, lineage)
        best_run = self.run_id_of(best.id)
        note = search_note(result, best_run, run_id)
        self._store.set_tags(run_id, {vocabulary.BEST_TAG: best_run, vocabulary.NOTE_TAG: note})
        runs.finish(run_id, "FINISHED")

    def _search_stopped(self, event: SearchStopped) -> None:
        if self._search is not None:
            self._runs.stop_all("KILLED" if event.interrupted else "FAILED", event.reason)


def epoch_metrics(record: EpochRecord) -> dict[str, float]:
    """An epoch's numbers under the names that MLflow shows; α's loss is absent while α warms up."""
    numbers: dict[str, float] = record.model_dump(exclude={"epoch", "seconds", "alpha"}, exclude_none=True)
    # First, since MLflow's page that compares runs draws the first metric of all.
    return {"valid_accuracy": record.valid_accuracy, **numbers, vocabulary.EPOCH_SECONDS: record.seconds}


def stage_metrics(result: StageResult) -> dict[str, float]:
    """What a stage came to, as metrics: the objectives are its best individual's, where one was ranked."""
    best = result.best.evaluated if result.ranked else None
    found = {} if best is None else {vocabulary.BEST_ACCURACY: best.trained.valid_accuracy, **best.objectives}
    return found | {
        "front_size": float(sum(ranked.front == 0 for ranked in result.ranked)),
        "n_failed": float(len(result.failed)),
    }
