"""Finding a finished training that is equal to one that an experiment asks for, so that it need not be done again."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from medarts_ops.config import EvaluateConfig, SearchConfig
from medarts_ops.experiment import PARAMETERS, TEST_ERROR, ExperimentPlan, FinishedTraining, Training
from medarts_ops.quantities import SECONDS_PER_HOUR
from medarts_ops.space.genotype import Genotype
from medarts_ops.tracking import vocabulary
from medarts_ops.tracking.artifacts.shapes import flattened
from medarts_ops.tracking.reading.contents import genotype_of, objective_names, objectives_of
from medarts_ops.tracking.reading.relations import chosen_individual
from medarts_ops.tracking.stores.stored_run import LONGEST_PARAM, StoredRun
from medarts_ops.value import as_older_release

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore

_DIFFERS_FREELY = {
    "preset": "where settings started from, not what they are",
    "dataset.name": "the fingerprint says which images they are",
    "dataset.data": "as dataset.name",
    "dataset.resolution": "the fingerprint follows from it",
    "dataset.max_pixels": "which images are refused, not what they are",
    "dataset.fit": "the fingerprint follows from it",
    "dataset.skip_unreadable": "as dataset.fit",
    "dataset.cache": "where images are kept, not which they are",
    "dataset.test_share": "the fingerprint follows from it",
    "retries": "an individual that is trained again comes to the same",
    "runtime.device": "where numbers are computed, not which",
    "runtime.threads": "rounding alone depends on it",
    "runtime.channels_last": "as runtime.threads",
    "runtime.tf32": "as runtime.threads",
    "runtime.deterministic": "as runtime.threads",
    "runtime.workers": "as runtime.device",
    "runtime.stack": "as runtime.threads",
    "runtime.cuda_graphs": "as runtime.device",
    "runtime.matrix_side": "as runtime.threads",
    "runtime.paths_together": "as runtime.threads",
    "runtime.checkpoint_cells": "as runtime.device",
    "runtime.compile": "as runtime.threads",
    "runtime.executor": "as runtime.device",
    **dict.fromkeys(
        (f"runtime.budget.{part}" for part in ("seconds", "scale", "prepared", "stages", "genotypes")),
        "what it made smaller says so itself, and what it cut short is never equal",
    ),
}
"""Settings in which trainings may differ and count as equal, unless they are what an experiment compares. All others
count, new ones too."""


class EqualTrainings:
    """The finished trainings of a store that an experiment of this `plan` may take over, asked for once."""

    def __init__(self, store: RunStore, plan: ExperimentPlan) -> None:
        self._store = store.within(None)
        self._free = frozenset(_DIFFERS_FREELY) - _compared(plan)
        self._found: dict[tuple[str, str], list[StoredRun]] = {}

    def find(self, training: Training, genotype: Genotype | None) -> FinishedTraining | None:
        """The newest equal one: of the same images, settings and seed, and for an evaluation of that `genotype`.

        Raises:
            StoreError: the store failed.
            RunError: one that would do can't be read.
        """
        if training.kind == "search":
            runs = self._runs(vocabulary.FINGERPRINT_TAG, training.arm.fingerprint)
            equal = [run for run in runs if run.kind == "search" and is_equal(training, run, self._free)]
            return self._search(training, equal[-1]) if equal else None
        assert genotype is not None, "an evaluation has a genotype"
        runs = self._runs(vocabulary.GENOTYPE_TAG, genotype.identity)
        equal = [run for run in runs if run.kind == "evaluation" and is_equal(training, run, self._free)]
        return _evaluation(training, genotype, equal[-1]) if equal else None

    def _runs(self, tag: str, value: str) -> list[StoredRun]:
        if (tag, value) not in self._found:
            self._found[tag, value] = self._store.runs_with(None, tag, value)
        return self._found[tag, value]

    def _search(self, training: Training, run: StoredRun) -> FinishedTraining | None:
        individual, genotype = chosen_individual(self._store, run), genotype_of(self._store, run)
        if individual is None or genotype is None or vocabulary.HOURS not in run.metrics:
            return None
        return FinishedTraining(
            key=training.key,
            measures=objectives_of(individual, objective_names(self._store, run)),
            seconds=SECONDS_PER_HOUR * run.metrics[vocabulary.HOURS],
            genotype=genotype,
            taken_from=run.run_id,
        )


def _compared(plan: ExperimentPlan) -> set[str]:
    """The settings in which the arms of an experiment differ."""
    found: set[str] = set()
    for configs in ([arm.search for arm in plan.arms], [arm.evaluation for arm in plan.arms]):
        settings = [flattened(config) for config in configs if config is not None]
        keys = {key for each in settings for key in each}
        found |= {key for key in keys if len({str(each.get(key)) for each in settings}) > 1}
    return found


def is_equal(training: Training, run: StoredRun, free: Collection[str]) -> bool:
    """Whether a run is a finished training of the same images with the same seed and settings, but for `free` ones.

    A setting that the run's release did not know it had at its default, or at what that release did.
    """
    if run.status != "FINISHED" or vocabulary.CUT_TAG in run.tags:
        return False
    if run.tags.get(vocabulary.FINGERPRINT_TAG) != training.arm.fingerprint:
        return False
    config = training.search_config if training.kind == "search" else training.evaluate_config
    usual = flattened(as_older_release(SearchConfig() if training.kind == "search" else EvaluateConfig()))
    asked = {key: value for key, value in flattened(config).items() if key not in free}
    return all(run.params.get(key, _text(usual.get(key))) == _text(value) for key, value in asked.items())


def _text(value: object) -> str:
    """A parameter as MLflow keeps it."""
    return str(value)[:LONGEST_PARAM]


def _evaluation(training: Training, genotype: Genotype, run: StoredRun) -> FinishedTraining | None:
    names = {
        TEST_ERROR: vocabulary.TEST_ERROR,
        "best_test_error": vocabulary.BEST_TEST_ERROR,
        PARAMETERS: vocabulary.PARAMS,
    }
    # One that chose its epoch by validation images tested no other.
    if not {*names.values(), vocabulary.HOURS} - {vocabulary.BEST_TEST_ERROR} <= run.metrics.keys():
        return None
    return FinishedTraining(
        key=training.key,
        measures={name: run.metrics[metric] for name, metric in names.items() if metric in run.metrics},
        seconds=SECONDS_PER_HOUR * run.metrics[vocabulary.HOURS],
        genotype=genotype,
        taken_from=run.run_id,
    )
