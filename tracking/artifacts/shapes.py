"""The JSON shapes of a run's artifacts, and the way back from them to values.

Objects carry a format and a version (`files.versioned`), but for two that others read as they are: a
genotype is DARTS's published form, which knows no further fields, and a history is a table, one object a row.
The readers here take all of them without a version, too: version 1, as the first releases wrote them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ConfigDict, ValidationError

from medarts_ops.alpha import Alpha, CellAlpha
from medarts_ops.errors import ConfigError, GenotypeError, RunError
from medarts_ops.individual import (
    EpochRecord,
    EvaluationEpoch,
    FailedIndividual,
    Individual,
    RankedIndividual,
    StageResult,
    lineage_of,
)
from medarts_ops.observers import DatasetSummary
from medarts_ops.settings import Settings
from medarts_ops.space.formats import genotype_from_data
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.search_space import N_INPUTS, SearchSpace
from medarts_ops.tracking import vocabulary
from medarts_ops.tracking.artifacts.files import unversioned, versioned
from medarts_ops.value import Value

Json = dict[str, Any]
RunIdOf = Callable[[str], str]
"""From an individual's id to the id of its MLflow run."""


def plain(value: Settings | DatasetSummary) -> Json:
    """A config or a dataset as its artifact."""
    return versioned(vocabulary.DATASET if isinstance(value, DatasetSummary) else vocabulary.CONFIG, _data(value))


def _data(value: Value) -> Json:
    """A value as plain data that is JSON: infinities and NaN as strings."""
    data: Json = json.loads(value.model_dump_json())
    return data


def alpha_json(alpha: Alpha, space: SearchSpace) -> Json:
    """α with the names that its rows and columns have: `edges` (input, node) and `operations`.

    Each of the strategy's arrays has its name (DARTS: `op_logits [edge, op]`), and so has a `mask` [edge, op]. float32
    survives exactly.
    """
    cells = {"normal": _cell_json(alpha.normal, space), "reduce": _cell_json(alpha.reduce, space)}
    return versioned(vocabulary.ALPHA, cells)


def _cell_json(cell: CellAlpha, space: SearchSpace) -> Json:
    return _axes_json(space) | _arrays_json(cell)


def _arrays_json(cell: CellAlpha) -> Json:
    return {name: array for name, array in cell.model_dump(mode="json").items() if array is not None}


def _axes_json(space: SearchSpace) -> Json:
    """What the edges and operations of α's arrays are."""
    return {"edges": [list(edge) for edge in space.edges], "operations": list(space.primitives)}


class _CellFile(Value):
    """One cell of α as `alpha_json` writes it; beside its axes stand the arrays."""

    model_config = ConfigDict(extra="allow")

    edges: tuple[tuple[int, int], ...]
    operations: tuple[str, ...]


class _AlphaFile(Value):
    normal: _CellFile
    reduce: _CellFile


def read_alpha(data: Any, space: SearchSpace | None = None) -> Alpha:
    """The inverse of `alpha_json`.

    Args:
        data: the artifact's JSON.
        space: the space that α must be of; None takes the one that the artifact itself describes.

    Raises:
        RunError: not that shape, of a newer version, an unknown operation, edges that no cell has, numbers that are
            not finite or do not fit the edges and operations, or α of another space.
    """
    data = unversioned(data, vocabulary.ALPHA)
    try:
        cells = _AlphaFile.model_validate(data)
        expected = _described_space(cells.normal) if space is None else space
        return Alpha(normal=_cell_of(cells.normal, expected), reduce=_cell_of(cells.reduce, expected))
    except (ValueError, ConfigError) as error:
        raise RunError(
            f"this is no {vocabulary.ALPHA}: {reason_of(error)}; allowed are 'normal' and 'reduce' of one search space"
        ) from error


def _described_space(cell: _CellFile) -> SearchSpace:
    last_node = cell.edges[-1][1] if cell.edges else N_INPUTS - 1
    return SearchSpace(n_nodes=last_node - N_INPUTS + 1, primitives=cell.operations)


def _cell_of(cell: _CellFile, space: SearchSpace) -> CellAlpha:
    if cell.edges != space.edges or cell.operations != space.primitives:
        raise ValueError(
            f"{len(cell.edges)} edges of {len(cell.operations)} operations are not the space's {space.n_edges} of "
            f"{space.n_primitives}, in its order"
        )
    for name, rows in (cell.model_extra or {}).items():
        if isinstance(rows, list) and len(rows) != space.n_edges:
            raise ValueError(f"{name} has {len(rows)} edges, allowed are the space's {space.n_edges}")
    found = CellAlpha.model_validate(cell.model_extra)
    by_operation = {"op_logits": found.arrays.get("op_logits"), "mask": found.mask}
    for name, array in by_operation.items():
        if array is not None and array.shape != (space.n_edges, space.n_primitives):
            allowed = [space.n_edges, space.n_primitives]
            raise ValueError(f"{name} is {list(array.shape)}, allowed is {allowed} [edge, op]")
    return found


def genotype_json(genotype: Genotype) -> Json:
    """The genotype in DARTS's flat form, and nothing else: `--genotype` and other programs read the file."""
    return _data(genotype)


def read_genotype(data: Any) -> Genotype:
    """The inverse of `genotype_json`.

    Raises:
        GenotypeError: not that shape, an unknown operation, or an impossible cell.
        RunError: of a newer version.
    """
    data = unversioned(data, vocabulary.GENOTYPE)
    try:
        return genotype_from_data(data)
    except GenotypeError as error:
        raise GenotypeError(f"this is no {vocabulary.GENOTYPE}: {error}") from error


def reason_of(error: Exception) -> str:
    """What an error says of an artifact, in a few words on one line."""
    text = str(error)
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        text = f"{'.'.join(str(part)[:40] for part in first['loc']) or 'data'}: {first['msg']}"
    return " ".join(text.split())[:300] or type(error).__name__


def history_json(history: Sequence[EpochRecord] | Sequence[EvaluationEpoch]) -> list[Json]:
    """One object an epoch: a table that other programs read as it is, so a list of numbers, without α."""
    return [{key: value for key, value in _data(record).items() if key != "alpha"} for record in history]


def alpha_epochs_json(history: Sequence[EpochRecord], space: SearchSpace) -> Json:
    """α after each epoch that kept it, as in `alpha_json` with an axis in front: `op_logits [epoch, edge, op]`."""
    kept = [(record.epoch, record.alpha) for record in history if record.alpha is not None]
    cells = {
        "normal": _cells_json([alpha.normal for _, alpha in kept], space),
        "reduce": _cells_json([alpha.reduce for _, alpha in kept], space),
    }
    return versioned(vocabulary.ALPHA_EPOCHS, {"epochs": [epoch for epoch, _ in kept], **cells})


def _cells_json(cells: Sequence[CellAlpha], space: SearchSpace) -> Json:
    numbers = [_arrays_json(cell) for cell in cells]
    return _axes_json(space) | {key: [each[key] for each in numbers] for key in (numbers[0] if numbers else ())}


def population_json(result: StageResult, run_id_of: RunIdOf) -> Json:
    """A stage's ranking as a table, best first, and those that failed.

    `crowding_distance` is "Infinity" at the ends of a front.
    """
    table = {
        "stage": result.name,
        "ranked": [_ranked_row(ranked, run_id_of) for ranked in result.ranked],
        "failed": [_failed_row(failed, run_id_of) for failed in result.failed],
    }
    return versioned(vocabulary.POPULATION, table)


def _ranked_row(ranked: RankedIndividual, run_id_of: RunIdOf) -> Json:
    individual = ranked.trained.individual
    return {
        "individual": ranked.id,
        "run_id": run_id_of(ranked.id),
        "front": ranked.front,
        "crowding_distance": _number(ranked.crowding_distance),
        "origin": individual.origin,
        "parents": list(individual.parents),
        "genotype_hash": ranked.trained.genotype.identity,
        "objectives": {name: _number(value) for name, value in ranked.evaluated.objectives.items()},
    }


def _number(value: float) -> float | str:
    # As `Value` writes them: JSON has no word for infinity.
    return value if math.isfinite(value) else str(value).replace("inf", "Infinity").replace("nan", "NaN")


def _failed_row(failed: FailedIndividual, run_id_of: RunIdOf) -> Json:
    return {
        "individual": failed.individual.id,
        "run_id": run_id_of(failed.individual.id),
        "cause": failed.cause,
        "reason": failed.reason,
        "epoch": failed.epoch,
    }


def failure_tags(failed: FailedIndividual) -> dict[str, str]:
    """Why an individual failed, as its run in MLflow and its trial in Optuna say it."""
    return {vocabulary.FAILURE_TAG: failed.reason, vocabulary.FAILURE_CAUSE_TAG: failed.cause}


def lineage_json(stages: Sequence[StageResult], best_id: str, run_id_of: RunIdOf) -> Json:
    """The best individual and all its ancestors, from the last stage back to random individuals."""
    rows = [_lineage_row(individual, run_id_of) for individual in lineage_of(stages, best_id)]
    return versioned(vocabulary.LINEAGE, {"best": best_id, "individuals": rows})


def _lineage_row(individual: Individual, run_id_of: RunIdOf) -> Json:
    return {
        "individual": individual.id,
        "run_id": run_id_of(individual.id),
        "stage": individual.stage,
        "origin": individual.origin,
        "parents": list(individual.parents),
        "parent_run_ids": [run_id_of(parent) for parent in individual.parents],
    }


def flattened(value: Value) -> dict[str, object]:
    """A config as run parameters: dotted keys, numbered for lists of settings; plain lists stay one value."""
    flat: dict[str, object] = {}
    _flatten("", _data(value), flat)
    return flat


def _flatten(path: str, node: Any, flat: dict[str, object]) -> None:
    if isinstance(node, dict):
        for key, child in node.items():
            _flatten(f"{path}.{key}" if path else str(key), child, flat)
    elif isinstance(node, list) and any(isinstance(child, dict) for child in node):
        for index, child in enumerate(node):
            _flatten(f"{path}.{index}", child, flat)
    else:
        flat[path] = json.dumps(node) if isinstance(node, list) else node
