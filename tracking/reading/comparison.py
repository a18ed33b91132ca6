"""Runs of one kind side by side: what was set differently, what came of it, and where their genotypes part."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from medarts_ops.errors import RunError
from medarts_ops.quantities import SECONDS_PER_HOUR
from medarts_ops.space.genotype import EDGES_PER_NODE, CellKind, Genotype
from medarts_ops.space.search_space import N_INPUTS
from medarts_ops.tracking.reading.stored_runs import (
    chosen_individual,
    genotype_of,
    objective_names,
    objectives_of,
    search_of,
)
from medarts_ops.tracking.stores.tracked_run import TrackedRun

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.run_store import RunStore

Setting = int | float | str
T = TypeVar("T")

FEWEST = 2
CELLS: tuple[CellKind, ...] = ("normal", "reduce")

NO_SETTINGS = ("parameters",)
"""Of a run's parameters in MLflow those that follow from the others."""

COST = ("hours", "seconds", "cpu_hours", "gpu_hours")
"""Metrics that are told as the cost."""

OWN_UNITS = ("hypervolume",)
"""Metrics in units of each search's own first stage, which say nothing beside another's."""


@dataclass(frozen=True)
class ComparedRun:
    """One of the runs.

    `objectives` are those of the individual that a search, stage or individual stands for: empty for an evaluation,
    and before there is one. `genotype` is None before the run has one.
    """

    run: TrackedRun
    search_run_id: str | None
    objectives: Mapping[str, float]
    genotype: Genotype | None

    @property
    def settings(self) -> dict[str, Setting]:
        """The run's settings by dotted path, numbers as numbers."""
        return {key: as_setting(value) for key, value in self.run.params.items() if key not in NO_SETTINGS}

    @property
    def hours(self) -> float | None:
        """The time that its training took, a search's and a stage's over all individuals; None if it is not over."""
        seconds = self.run.metrics.get("seconds")
        return self.run.metrics.get("hours", None if seconds is None else seconds / SECONDS_PER_HOUR)


class EdgeDifference(NamedTuple):
    """An edge of a cell that not all genotypes have alike.

    `operations` holds what each genotype has between the two states, in the genotypes' order: none where it lacks the
    edge, two where a node reads one state twice.
    """

    cell: CellKind
    node: int
    source: int
    operations: tuple[tuple[str, ...], ...]


class GenotypeDifferences(NamedTuple):
    """Where genotypes part; `equal` counts the edges that all share, `concats` the outputs of cells that differ."""

    edges: tuple[EdgeDifference, ...]
    equal: int
    concats: Mapping[CellKind, tuple[tuple[int, ...], ...]]


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
        return {key: values for key, values in _side_by_side(self._settings).items() if len(set(values)) > 1}

    @property
    def equal_settings(self) -> int:
        """How many settings are the same in all runs."""
        return len(_side_by_side(self._settings)) - len(self.differing_settings)

    @property
    def _settings(self) -> list[dict[str, Setting]]:
        return [compared.settings for compared in self.runs]

    @property
    def objectives(self) -> dict[str, tuple[float | None, ...]]:
        """Each objective's value in each run."""
        return _side_by_side([compared.objectives for compared in self.runs])

    @property
    def metrics(self) -> dict[str, tuple[float | None, ...]]:
        """The last value of each other metric in each run, without those that are the cost or don't compare."""
        told = {*self.objectives, *COST, *OWN_UNITS}
        metrics = _side_by_side([compared.run.metrics for compared in self.runs])
        return {key: metrics[key] for key in sorted(metrics) if key not in told}

    @property
    def with_genotype(self) -> tuple[ComparedRun, ...]:
        """Those that have a genotype."""
        return tuple(compared for compared in self.runs if compared.genotype is not None)


def compare_runs(store: RunStore, given: Sequence[str]) -> Comparison:
    """Read runs to compare.

    Args:
        store: where they are.
        given: a run id or the name of a search or evaluation for each, two at least.

    Raises:
        RunError: fewer than two runs, the same one twice, runs of several kinds, or one that is not there.
    """
    if len(given) < FEWEST:
        raise RunError(f"a comparison takes two runs at least: got {len(given)}; see `medarts runs`")
    runs = [store.find_run(name) for name in given]
    _check_distinct(runs)
    _check_one_kind(runs)
    return Comparison(tuple(_compared(store, run) for run in runs))


def _check_distinct(runs: Sequence[TrackedRun]) -> None:
    ids = [run.run_id for run in runs]
    twice = [run for run in runs if ids.count(run.run_id) > 1]
    if twice:
        raise RunError(f"run {twice[0].run_id} ({twice[0].name}) is given more than once: name each run once")


def _check_one_kind(runs: Sequence[TrackedRun]) -> None:
    kinds: dict[str, list[str]] = {}
    for run in runs:
        kinds.setdefault(run.kind, []).append(run.name if run.kind == "search" else f"{run.name} ({run.run_id})")
    if len(kinds) > 1:
        listed = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in kinds.items())
        raise RunError(
            f"only runs of one kind have the same settings and metrics: got {listed}; compare like with like"
        )


def _compared(store: RunStore, run: TrackedRun) -> ComparedRun:
    search = search_of(store, run)
    individual = None if run.kind == "evaluation" else chosen_individual(store, run)
    names = () if search is None or individual is None else objective_names(store, search)
    return ComparedRun(
        run=run,
        search_run_id=None if search is None else search.run_id,
        objectives={} if individual is None else objectives_of(individual, names),
        genotype=genotype_of(store, run),
    )


def as_setting(text: str) -> Setting:
    """A parameter as it was before MLflow made text of it: a finite number, or else text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if type(value) is int or (type(value) is float and math.isfinite(value)):
        return value
    return text


def _side_by_side(columns: Sequence[Mapping[str, T]]) -> dict[str, tuple[T | None, ...]]:
    keys = dict.fromkeys(key for column in columns for key in column)
    return {key: tuple(column.get(key) for column in columns) for key in keys}


def genotype_differences(genotypes: Sequence[Genotype]) -> GenotypeDifferences:
    """Compare genotypes edge by edge; the order of a node's two edges means nothing.

    Cells may have different numbers of nodes.
    """
    differing: list[EdgeDifference] = []
    equal = 0
    for cell in CELLS:
        tables = [_operations(genotype, cell) for genotype in genotypes]
        for node, source in sorted({edge for operations in tables for edge in operations}):
            found = tuple(operations.get((node, source), ()) for operations in tables)
            if len(set(found)) == 1:
                equal += len(found[0])
            else:
                differing.append(EdgeDifference(cell, node, source, found))
    concats = {cell: tuple(tuple(sorted(genotype.concat(cell))) for genotype in genotypes) for cell in CELLS}
    return GenotypeDifferences(
        tuple(differing), equal, {cell: found for cell, found in concats.items() if len(set(found)) > 1}
    )


def _operations(genotype: Genotype, cell: CellKind) -> dict[tuple[int, int], tuple[str, ...]]:
    """From (node, source) to what is between these states."""
    found: dict[tuple[int, int], tuple[str, ...]] = {}
    for place, (operation, source) in enumerate(genotype.edges(cell)):
        edge = (N_INPUTS + place // EDGES_PER_NODE, source)
        found[edge] = tuple(sorted((*found.get(edge, ()), operation)))
    return found
