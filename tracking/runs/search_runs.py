"""A search in MLflow: one run for the search, one for each stage below it, one for each individual below its stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from medarts_ops.derived import DerivedTraining
from medarts_ops.evolution.hypervolume import relative_hypervolume
from medarts_ops.evolution.ranking import chosen_from
from medarts_ops.individual import (
    EpochRecord,
    EvaluatedIndividual,
    FailedIndividual,
    Individual,
    PrunedIndividual,
    StageResult,
)
from medarts_ops.objectives.ranking_warnings import ranking_warnings
from medarts_ops.observers import (
    EpochFinished,
    IndividualFinished,
    PopulationBorn,
    PopulationPruned,
    SearchEvent,
    SearchFinished,
    SearchStarted,
    StageFinished,
    StageStarted,
)
from medarts_ops.quantities import SECONDS_PER_HOUR
from medarts_ops.report.search_note import search_note, stage_note
from medarts_ops.tracking import vocabulary
from medarts_ops.tracking.artifacts import shapes
from medarts_ops.tracking.runs.job_observer import JobObserver, epoch_metrics

if TYPE_CHECKING:
    from medarts_ops.tracking.runs.run_writer import RunWriter


class MlflowSearchObserver(JobObserver[SearchEvent, SearchStarted]):
    """Writes a search's events into a tracking store, as a `JobObserver` does.

    `parent_run_id` is the experiment that it is a training of, if it is; `tags` are more of its run.
    """

    def __init__(
        self,
        store: RunWriter,
        *,
        parent_run_id: str | None = None,
        tags: Mapping[str, str] = MappingProxyType({}),
        reopens: bool = True,
    ) -> None:
        super().__init__(store, "search", reopens=reopens)
        self._parent_run_id, self._tags = parent_run_id, tags
        self._stage_images: dict[int, int] = {}
        self._first_stage: StageResult | None = None

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

    def _write(self, event: SearchEvent) -> None:
        match event:
            case SearchStarted():
                self._search_started(event)
            case StageStarted():
                self._stage_started(event)
            case PopulationBorn():
                for individual in event.individuals:
                    self._born(individual)
            case EpochFinished():
                self._log_epoch(self.run_id_of(event.individual_id), event.record)
            case PopulationPruned():
                for pruned in event.pruned:
                    self._pruned(pruned)
            case IndividualFinished():
                self._individual_finished(event)
            case StageFinished():
                self._stage_finished(event.result)
            case SearchFinished():
                self._search_finished(event)

    def _search_started(self, event: SearchStarted) -> None:
        self._begin(
            event,
            event.search_id,
            dataset=event.dataset,
            dataset_is_for="search-train",
            parent_run_id=self._parent_run_id,
            tags={**self._tags, **shapes.evaluate_tags(event.evaluate)},
            params=shapes.flattened(event.config),
            artifacts={vocabulary.CONFIG: shapes.plain(event.config)},
        )

    def _stage_started(self, event: StageStarted) -> None:
        config = self.started.config
        self._stage_images[event.index] = event.images
        survivors = [self.run_id_of(survivor) for survivor in event.survivors]
        params = shapes.flattened(config.stages[event.index]) | {"images": event.images}
        self._runs.start(
            vocabulary.stage_key(event.index),
            kind="stage",
            name=f"stage-{event.name}",
            parent_run_id=self.run_id,
            tags={vocabulary.STAGE_TAG: event.name, vocabulary.SURVIVORS_TAG: ",".join(survivors)},
            params=params,
        )
        for survivor in survivors:
            self._store.set_tags(survivor, {vocabulary.SELECTED_TAG: "true"})

    def _born(self, individual: Individual) -> None:
        config = self.started.config
        stage = config.stages[individual.stage]
        sizes = {"cells": stage.cells, "channels": stage.channels, "epochs": stage.epochs, "batch": stage.batch}
        values = individual.hyperparameters.values.items()
        hyperparameters = {name: value for name, value in values if value is not None}
        params = sizes | {"images": self._stage_images[individual.stage]} | hyperparameters
        run_id = self._runs.start(
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
        if self._runs.is_open(run_id):
            alpha = shapes.alpha_json(individual.alpha, config.space.search_space())
            self._store.log_json(run_id, vocabulary.ALPHA_INITIAL, alpha)

    def _individual_finished(self, event: IndividualFinished) -> None:
        run_id = self.run_id_of(event.individual.id)
        if not self._runs.is_open(run_id):
            return
        match event.outcome:
            case FailedIndividual(epoch=epoch):
                self._runs.forget_the_stop(run_id)  # its reason is replaced
                at = {} if epoch is None else {vocabulary.FAILED_EPOCH_TAG: str(epoch)}
                self._store.set_tags(run_id, shapes.failure_tags(event.outcome) | at)
                self._runs.finish(run_id, "FAILED")
            case EvaluatedIndividual():
                self._trained(run_id, event.outcome)
                self._runs.finish(run_id, "FINISHED")

    def _pruned(self, pruned: PrunedIndividual) -> None:
        run_id = self.run_id_of(pruned.individual.id)
        if not self._runs.is_open(run_id):
            return
        self._store.log_json(run_id, vocabulary.HISTORY, shapes.history_json(pruned.history))
        self._log_objectives(run_id, pruned.objectives, pruned.history)
        self._log_missing(run_id, {vocabulary.SECONDS: pruned.seconds})
        self._store.set_tags(run_id, shapes.pruned_tags(pruned))
        self._runs.finish(run_id, "KILLED")

    def _trained(self, run_id: str, evaluated: EvaluatedIndividual) -> None:
        trained = evaluated.trained
        space = self.started.config.space.search_space()
        self._store.log_json(run_id, vocabulary.ALPHA, shapes.alpha_json(trained.alpha, space))
        self._store.log_json(run_id, vocabulary.GENOTYPE, shapes.genotype_json(trained.genotype))
        if trained.worth is not None and trained.mixture_genotype is not None:
            self._store.log_json(run_id, vocabulary.WORTH, shapes.worth_json(trained.worth, space))
            other = shapes.genotype_json(trained.mixture_genotype)
            self._store.log_json(run_id, vocabulary.MIXTURE_GENOTYPE, other)
        self._store.log_json(run_id, vocabulary.HISTORY, shapes.history_json(trained.history))
        self._store.log_json(run_id, vocabulary.ALPHA_EPOCHS, shapes.alpha_epochs_json(trained.history, space))
        self._log_objectives(run_id, evaluated.objectives, trained.history)
        discretized = {
            vocabulary.DISCRETIZED_ACCURACY: trained.discretized_accuracy,
            vocabulary.DISCRETIZED_LOSS: trained.discretized_loss,
        }
        measured = {name: value for name, value in discretized.items() if value is not None}
        self._log_missing(run_id, {**measured, vocabulary.SECONDS: trained.seconds})
        if trained.derived is not None:
            self._log_curve(run_id, trained.derived)
        self._store.set_tags(run_id, shapes.reading_tags(trained))

    def _log_objectives(self, run_id: str, objectives: Mapping[str, float], history: Sequence[EpochRecord]) -> None:
        """One of an epoch's own names (valid_loss) stands after the last epoch, if it is of an earlier one."""
        last = epoch_metrics(history[-1]) if history else {}
        self._log_missing(run_id, {name: value for name, value in objectives.items() if name not in last})
        earlier = {name: value for name, value in objectives.items() if name in last and last[name] != value}
        self._log_missing(run_id, earlier, step=len(history))

    def _log_curve(self, run_id: str, derived: DerivedTraining) -> None:
        """The short training of the individual's genotype, epoch by epoch."""
        self._log_missing(run_id, {vocabulary.DERIVED_SECONDS: derived.seconds})
        for record in derived.history:
            numbers = record.model_dump(include={"train_loss", "train_accuracy", "valid_loss", "valid_accuracy"})
            curve = {f"{vocabulary.DERIVED_CURVE}{name}": value for name, value in numbers.items()}
            self._log_missing(run_id, curve, step=record.epoch)

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
            self._log_missing(member, {vocabulary.FRONT: float(ranked.front)})
        self._store.log_json(run_id, vocabulary.POPULATION, shapes.population_json(result, self.run_id_of))
        metrics = stage_metrics(result) | self._hypervolume(result)
        hours = result.seconds / SECONDS_PER_HOUR
        self._log_missing(run_id, metrics | {vocabulary.HOURS: hours}, step=result.index)
        # On the search's run too, whose charts would be empty otherwise; its `hours` is the whole search's.
        self._log_missing(self.run_id, metrics | {"stage_hours": hours}, step=result.index)
        if result.cuts:
            self._store.set_tags(run_id, {vocabulary.CUT_TAG: "\n".join(map(str, result.cuts))})
        if warnings := ranking_warnings(result):
            self._store.set_tags(run_id, {vocabulary.WARNINGS_TAG: "\n".join(warnings)})
        best = self.run_id_of(result.best.id) if result.ranked else None
        note = stage_note(result, best, chosen_from(result, self.started.config))
        # At once: a note that names another run than the tag is renewed by sync.
        chosen = {} if best is None else {vocabulary.BEST_TAG: best}
        self._store.set_tags(run_id, {**chosen, vocabulary.NOTE_TAG: note})
        if best is not None:
            self._store.log_json(run_id, vocabulary.GENOTYPE, shapes.genotype_json(result.best.trained.genotype))
        self._runs.finish(run_id, "FINISHED")

    def _hypervolume(self, result: StageResult) -> dict[str, float]:
        first = self._first_stage
        found = None if first is None else relative_hypervolume(result, first, self.started.config.objectives)
        return {} if found is None else {vocabulary.HYPERVOLUME: found}

    def _search_finished(self, event: SearchFinished) -> None:
        config, run_id, result = self.started.config, self.run_id, event.result
        if not self._runs.is_open(run_id):
            return
        best, hours = result.best, result.seconds / SECONDS_PER_HOUR
        spent = vocabulary.GPU_HOURS if config.runtime.device.startswith("cuda") else vocabulary.CPU_HOURS
        last = len(result.stages) - 1
        self._log_missing(run_id, {vocabulary.HOURS: hours, spent: hours * len(config.runtime.device_names)}, step=last)
        alpha = shapes.alpha_json(best.trained.alpha, config.space.search_space())
        lineage = shapes.lineage_json(result.stages, best.id, self.run_id_of)
        self._store.log_json(run_id, vocabulary.GENOTYPE, shapes.genotype_json(best.trained.genotype))
        self._store.log_json(run_id, vocabulary.ALPHA, alpha)
        self._store.log_json(run_id, vocabulary.LINEAGE, lineage)
        best_run = self.run_id_of(best.id)
        note = search_note(result, best_run, run_id)
        found = {vocabulary.BEST_TAG: best_run, vocabulary.CHOSEN_BY_TAG: result.why, vocabulary.NOTE_TAG: note}
        cut = {vocabulary.CUT_TAG: "\n".join(result.cuts)} if result.cuts else {}
        self._store.set_tags(run_id, found | cut)
        self._runs.finish(run_id, "FINISHED")


def stage_metrics(result: StageResult) -> dict[str, float]:
    """What a stage came to, as metrics: the objectives are its best individual's, where one was ranked."""
    best = result.best.evaluated if result.ranked else None
    found = {} if best is None else {vocabulary.BEST_ACCURACY: best.trained.valid_accuracy, **best.objectives}
    pruned = {"n_pruned": float(len(result.pruned))} if result.pruned else {}
    return found | {
        "front_size": float(sum(ranked.front == 0 for ranked in result.ranked)),
        "n_failed": float(len(result.failed)),
        **pruned,
    }
