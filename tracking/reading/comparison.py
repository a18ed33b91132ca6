"""Runs of one kind side by side: what was set differently, what came of it, and their genotypes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from medarts_ops.errors import RunError
from medarts_ops.quantities import SECONDS_PER_HOUR
from medarts_ops.space.genotype import Genotype
from medarts_ops.tracking.reading.contents import genotype_of, objective_names, objectives_of
from medarts_ops.tracking.reading.problems import unless_unreadable
from medarts_ops.tracking.reading.relations import KnownRuns, chosen_individual, known_relations, search_of
from medarts_ops.tracking.stores.stored_run import StoredRun
from medarts_ops.tracking.vocabulary import CPU_HOURS, GPU_HOURS, HOURS, HYPERVOLUME, JOB_OF_RUN, SECONDS

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore

Setting = int | float | str
T = TypeVar("T")

DERIVED_PARAMETERS = ("parameters",)
"""Of a run's parameters in MLflow those that follow from the others."""

COST = (HOURS, SECONDS, CPU_HOURS, GPU_HOURS)
"""Metrics that are told as the cost."""

OF_ITS_OWN_SCALE = (HYPERVOLUME,)
"""Metrics in units of each search's own first stage, which say nothing beside another's."""


@dataclass(frozen=True)
class ComparedRun:
    """One of the runs.

    `objectives` are those of the individual that a search, stage or individual stands for: empty for an evaluation,
    and before there is one. `genotype` is None before the run has one. `problems` says what of all this can't be read.
    """

    run: StoredRun
    search_run_id: str | None
    objectives: Mapping[str, float]
    genotype: Genotype | None
    problems: tuple[str, ...] = ()

    @property
    def settings(self) -> dict[str, Setting]:
        """The run's settings by dotted path, numbers as numbers."""
        return {key: as_setting(value) for key, value in self.run.params.items() if key not in DERIVED_PARAMETERS}

    @property
    def hours(self) -> float | None:
        """The time that its training took, a search's and a stage's over all individuals; None if it is not over."""
        seconds = self.run.metrics.get(SECONDS)
        return self.run.metrics.get(HOURS, None if seconds is None else seconds / SECONDS_PER_HOUR)


@dataclass(frozen=True)
class Comparison:
    """Runs of one kind, in the order in which they were given."""

    runs: tuple[ComparedRun, ...]

    @property
    def kind(self) -> str:
        """What all of them are."""
        return self.runs[0].run.kind

    @property
    def differing_settings(self) -> dict[str, tuple[Setting | None, ...]]:
        """Each setting that is not the same in all runs: its value in each of them, None where a run lacks it."""
        return {key: values for key, values in _columns(self._settings).items() if len(set(values)) > 1}

    @property
    def equal_settings(self) -> int:
        """How many settings are the same in all runs."""
        return len(_columns(self._settings)) - len(self.differing_settings)

    @property
    def _settings(self) -> list[dict[str, Setting]]:
        return [compared.settings for compared in self.runs]

    @property
    def objectives(self) -> dict[str, tuple[float | None, ...]]:
        """Each objective's value in each run."""
        return _columns([compared.objectives for compared in self.runs])

    @property
    def metrics(self) -> dict[str, tuple[float | None, ...]]:
        """The last value of each other metric in each run, without those that are the cost or don't compare."""
        told = {*self.objectives, *COST, *OF_ITS_OWN_SCALE}
        metrics = _columns([compared.run.metrics for compared in self.runs])
        return {key: metrics[key] for key in sorted(metrics) if key not in told}

    @property
    def with_genotype(self) -> tuple[ComparedRun, ...]:
        """Those that have a genotype."""
        return tuple(compared for compared in self.runs if compared.genotype is not None)


def compare_runs(store: RunStore, given: Sequence[str]) -> Comparison:
    """Read runs to compare: two at least, each by its id, or by its name if it is a job.

    Raises:
        RunError: fewer than two runs, the same one twice, runs of several kinds, or one that is not there.
    """
    if len(given) < 2:
        raise RunError(f"a comparison takes two runs at least: got {len(given)}; see `medarts runs`")
    runs = store.find_runs(given)
    ids = [run.run_id for run in runs]
    twice = [run for run in runs if ids.count(run.run_id) > 1]
    if twice:
        raise RunError(f"run {twice[0].run_id} ({twice[0].name}) is given more than once: name each run once")
    kinds: dict[str, list[str]] = {}
    for run in runs:
        kinds.setdefault(run.kind, []).append(run.name if run.kind == "search" else f"{run.name} ({run.run_id})")
    if len(kinds) > 1:
        listed = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in kinds.items())
        raise RunError(
            f"only runs of one kind have the same settings and metrics: got {listed}; compare like with like"
        )
    known = known_relations(store, runs)
    return Comparison(tuple(_compared(store, run, known) for run in runs))


def _compared(store: RunStore, run: StoredRun, known: KnownRuns) -> ComparedRun:
    problems: list[str] = []
    search = unless_unreadable(problems, lambda: search_of(known, run))
    objectives: dict[str, float] | None = None
    if search is not None and JOB_OF_RUN.get(run.kind) == "search":
        objectives = unless_unreadable(problems, lambda: _objectives(store, run, search, known))
    genotype = unless_unreadable(problems, lambda: genotype_of(store, run))
    return ComparedRun(
        run=run,
        search_run_id=None if search is None else search.run_id,
        objectives=objectives or {},
        genotype=genotype,
        problems=tuple(problems),
    )


def _objectives(store: RunStore, run: StoredRun, search: StoredRun, known: KnownRuns) -> dict[str, float]:
    individual = chosen_individual(known, run)
    return {} if individual is None else objectives_of(individual, objective_names(store, search))


def as_setting(text: str) -> Setting:
    """A parameter as it was before MLflow made text of it: a finite number, or else text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return value
    return text


def _columns(tables: Sequence[Mapping[str, T]]) -> dict[str, tuple[T | None, ...]]:
    keys = dict.fromkeys(key for table in tables for key in table)
    return {key: tuple(table.get(key) for table in tables) for key in keys}
