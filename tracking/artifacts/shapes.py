"""The JSON shapes of a run's artifacts, and the way back from them to values.

Objects carry a format and a version (`files.versioned`), but for two that others read as they are: a
genotype is DARTS's published form, which knows no further fields, and a history is a table, one object a row.
The readers here take all of them without a version, too: version 1, as the first releases wrote them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from medarts_ops.alpha import Alpha, CellAlpha
from medarts_ops.errors import GenotypeError, RunError
from medarts_ops.individual import (
    EpochRecord,
    EvaluationEpoch,
    FailedIndividual,
    PrunedIndividual,
    RankedIndividual,
    StageResult,
    TrainedIndividual,
    lineage_of,
)
from medarts_ops.observers import DatasetSummary
from medarts_ops.settings import Settings
from medarts_ops.space.formats import genotype_from_data
from medarts_ops.space.genotype import Genotype
from medarts_ops.space.search_space import SearchSpace
from medarts_ops.tracking import vocabulary
from medarts_ops.tracking.artifacts.files import parse_json, unversioned, versioned
from medarts_ops.value import Value
from medarts_ops.worth import Worth

Json = dict[str, Any]
RunIdOf = Callable[[str], str]
"""From an individual's id to the id of its MLflow run."""


def plain(value: Settings | DatasetSummary) -> Json:
    """A config or a dataset as its artifact."""
    return versioned(vocabulary.DATASET if isinstance(value, DatasetSummary) else vocabulary.CONFIG, _data(value))


def _data(value: Value, include: Any = None) -> Json:
    """A value, or the parts of it that `include` names, as plain data that is JSON: infinities and NaN as strings."""
    data: Json = json.loads(value.model_dump_json(include=include))
    return data


def alpha_json(alpha: Alpha, space: SearchSpace) -> Json:
    """α with the names that its rows and columns have: `edges` (input, node) and `operations`.

    Each of the strategy's arrays has its name (DARTS: `op_logits [edge, op]`), and so has a `mask` [edge, op]. float32
    survives exactly.
    """
    cells = {"normal": alpha.normal, "reduce": alpha.reduce}
    return versioned(vocabulary.ALPHA, {name: _axes(space) | _arrays(cell) for name, cell in cells.items()})


def _axes(space: SearchSpace) -> Json:
    """What the edges and operations of α's arrays are."""
    return {"edges": [list(edge) for edge in space.edges], "operations": list(space.primitives)}


def _arrays(cell: CellAlpha) -> Json:
    return {name: array for name, array in cell.model_dump(mode="json").items() if array is not None}


def worth_json(worth: Worth, space: SearchSpace) -> Json:
    """Worth with the names of its rows and columns, as of α: `worth [edge, op]`, `edge_worth [edge]`, `measured`."""
    return versioned(
        vocabulary.WORTH,
        {
            name: _axes(space)
            | {
                "worth": cell.operations.tolist(),
                "edge_worth": cell.edges.tolist(),
                "measured": cell.measured.tolist(),
            }
            for name, cell in (("normal", worth.normal), ("reduce", worth.reduce))
        },
    )


def alpha_epochs_json(history: Sequence[EpochRecord], space: SearchSpace) -> Json:
    """α after each epoch that kept it, as in `alpha_json` with an axis in front: `op_logits [epoch, edge, op]`."""
    kept = [(record.epoch, record.alpha) for record in history if record.alpha is not None]
    cells = {"normal": [alpha.normal for _, alpha in kept], "reduce": [alpha.reduce for _, alpha in kept]}
    stacked = {name: _axes(space) | _stacked([_arrays(cell) for cell in each]) for name, each in cells.items()}
    return versioned(vocabulary.ALPHA_EPOCHS, {"epochs": [epoch for epoch, _ in kept], **stacked})


def _stacked(cells: Sequence[Json]) -> Json:
    return {name: [cell[name] for cell in cells] for name in (cells[0] if cells else ())}


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
    left_out = {"alpha", "genotype"}
    for record in history[:1]:
        if isinstance(record, EvaluationEpoch):  # all epochs are measured alike, by the test set or to validate
            left_out |= {key for key, value in record if value is None}
    return [{key: value for key, value in _data(record).items() if key not in left_out} for record in history]


def population_json(result: StageResult, run_id_of: RunIdOf) -> Json:
    """A stage's ranking as a table, best first, and those that were pruned or failed.

    `crowding_distance` is "Infinity" at the ends of a front.
    """
    table = {
        "stage": result.name,
        "ranked": [_ranked_row(ranked, run_id_of) for ranked in result.ranked],
        "failed": [
            {
                "individual": failed.individual.id,
                "run_id": run_id_of(failed.individual.id),
                "cause": failed.cause,
                "reason": failed.reason,
                "epoch": failed.epoch,
            }
            for failed in result.failed
        ],
        "pruned": pruned_rows(result, run_id_of),
    }
    return versioned(vocabulary.POPULATION, table)


def pruned_rows(result: StageResult, run_id_of: Callable[[str], str | None]) -> list[Json]:
    """Those of a stage that were pruned, as they stood then."""
    return [
        {
            "individual": pruned.individual.id,
            "run_id": run_id_of(pruned.individual.id),
            "epochs": len(pruned.history),
            "front": pruned.front,
            "objectives": _data(pruned, {"objectives"})["objectives"],
        }
        for pruned in result.pruned
    ]


def _ranked_row(ranked: RankedIndividual, run_id_of: RunIdOf) -> Json:
    individual = ranked.trained.individual
    numbers = _data(ranked, {"crowding_distance": True, "evaluated": {"objectives": True}})
    return {
        "individual": ranked.id,
        "run_id": run_id_of(ranked.id),
        "front": ranked.front,
        "crowding_distance": numbers["crowding_distance"],
        "origin": individual.origin,
        "parents": list(individual.parents),
        "genotype_hash": ranked.trained.genotype.identity,
        "objectives": numbers["evaluated"]["objectives"],
    }


def failure_tags(failed: FailedIndividual) -> dict[str, str]:
    """Why an individual failed, as its run in MLflow and its trial in Optuna say it."""
    return {vocabulary.FAILURE_TAG: failed.reason, vocabulary.FAILURE_CAUSE_TAG: failed.cause}


def pruned_tags(pruned: PrunedIndividual) -> dict[str, str]:
    """Why an individual was pruned, likewise."""
    return {vocabulary.PRUNED_TAG: pruned.reason}


def intermediate_values(pruned: PrunedIndividual) -> dict[int, float]:
    """What a pruned individual had come to, as its trial in Optuna has it: the first objective, by epoch from 0."""
    return {pruned.history[-1].epoch: next(iter(pruned.objectives.values()))}


def lineage_json(stages: Sequence[StageResult], best_id: str, run_id_of: RunIdOf) -> Json:
    """The best individual and all its ancestors, from the last stage back to random individuals."""
    rows = [
        {
            "individual": individual.id,
            "run_id": run_id_of(individual.id),
            "stage": individual.stage,
            "origin": individual.origin,
            "parents": list(individual.parents),
            "parent_run_ids": [run_id_of(parent) for parent in individual.parents],
        }
        for individual in lineage_of(stages, best_id)
    ]
    return versioned(vocabulary.LINEAGE, {"best": best_id, "individuals": rows})


def reading_tags(trained: TrainedIndividual) -> dict[str, str]:
    """How a trained individual's genotype came to be, where it is more than its last epoch's α says."""
    skips = ", ".join(f"{source} → {node}" for source, node in trained.skips_set_aside)
    found = {
        vocabulary.GENOTYPE_TAG: trained.genotype.identity,
        vocabulary.TAKEN_FROM_TAG: trained.taken_from,
        vocabulary.SKIPS_TAG: skips or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def evaluate_tags(settings: Mapping[str, Any]) -> dict[str, str]:
    """The settings that evaluations of a search begin from, where it was given some."""
    return {vocabulary.EVALUATE_SETTINGS_TAG: json.dumps(settings, allow_nan=False)} if settings else {}


def read_evaluate_tag(run_id: str, tags: Mapping[str, str]) -> Json:
    """The inverse of `evaluate_tags`, of a run's tags.

    Raises:
        RunError: anybody can edit a tag, and this one holds no settings.
    """
    source = f"tag {vocabulary.EVALUATE_SETTINGS_TAG} of run {run_id}"
    settings = parse_json(tags.get(vocabulary.EVALUATE_SETTINGS_TAG, "{}").encode(), source)
    if not isinstance(settings, dict):
        raise RunError(f"{source} is no object of settings: mend it or take it off")
    return settings


def flattened(value: Value) -> dict[str, object]:
    """A config as run parameters: dotted keys, numbered for lists of settings; plain lists stay one value."""
    return dict(_leaves("", _data(value)))


def _leaves(path: str, node: Any) -> Iterator[tuple[str, object]]:
    if isinstance(node, list) and any(isinstance(child, dict) for child in node):
        node = dict(enumerate(node))
    if isinstance(node, dict):
        for key, child in node.items():
            yield from _leaves(f"{path}.{key}" if path else str(key), child)
    else:
        yield path, json.dumps(node) if isinstance(node, list) else node
