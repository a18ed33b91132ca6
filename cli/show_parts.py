"""What `medarts show` lists below a run: individuals in a table, stages, evaluations and trainings in lines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console

from medarts_ops.cli.output import print_line, print_table, table
from medarts_ops.objectives.shown import objective
from medarts_ops.quantities import SECONDS_PER_HOUR, duration, percent
from medarts_ops.tracking import vocabulary

if TYPE_CHECKING:
    from medarts_ops.tracking.stores.stored_run import StoredRun

OF_A_SEARCH, OF_A_STAGE = 10, 200
"""Individuals of a stage that are listed of a whole search, and of the stage itself; JSON has all."""


def individual_row(run: StoredRun, objectives: Sequence[str], chosen: str | None = None) -> dict[str, Any]:
    """An individual's run as plain data; `chosen` is the run id of the one that its search found.

    `survivor` is whether it went on to the next stage; `front` is None of one that was not ranked.
    """
    from medarts_ops.tracking.reading.contents import objectives_of

    front = run.metrics.get(vocabulary.FRONT, math.nan)
    return {
        "run_id": run.run_id,
        "name": run.tags.get(vocabulary.INDIVIDUAL_TAG, run.name),
        "stage": run.tags.get(vocabulary.STAGE_TAG),
        "status": run.status,
        "pruned": vocabulary.PRUNED_TAG in run.tags,
        "origin": run.tags.get(vocabulary.ORIGIN_TAG, ""),
        "parents": list(filter(None, run.tags.get(vocabulary.PARENTS_TAG, "").split(","))),
        "objectives": objectives_of(run, objectives),
        "front": int(front) if math.isfinite(front) else None,
        "crowding": run.tags.get(vocabulary.CROWDING_TAG),
        "survivor": run.tags.get(vocabulary.SELECTED_TAG) == "true",
        "chosen": run.run_id == chosen,
    }


def by_rank(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Individuals of each stage from best to worst, stages as they come; those that were not ranked behind."""
    stages = list(dict.fromkeys(row["stage"] for row in rows))
    return sorted(rows, key=lambda row: (stages.index(row["stage"]), *_place(row)))


def print_individuals(console: Console, rows: Sequence[Mapping[str, Any]], most: int) -> None:
    """Writes a table of individuals in the order given, the first `most` of each stage; a line says how many more."""
    of_stage: dict[str | None, list[Mapping[str, Any]]] = {}
    for row in rows:
        of_stage.setdefault(row["stage"], []).append(row)
    objectives = list(dict.fromkeys(name for row in rows for name in row["objectives"]))
    made = table("individual", "origin", *objectives, "front", "", numbers=[*objectives, "front"])
    for members in of_stage.values():
        for row in members[:most]:
            known = row["objectives"]
            values = [objective(name, known[name]) if name in known else "-" for name in objectives]
            front = "-" if row["front"] is None else str(row["front"])
            made.add_row(row["name"], row["origin"], *values, front, _remark(row))
    print_table(console, made)
    for stage, members in of_stage.items():
        if len(members) > most:
            more = f"and {len(members) - most} more of stage {stage}"
            print_line(console, f"{more}: `medarts show SEARCH/stage-{stage}` lists more of them, --json all")


def print_runs(console: Console, rows: Sequence[Mapping[str, Any]], deciding: str) -> None:
    """Writes stages, evaluations or trainings, a line each, and below it what warns of one.

    `deciding` is the objective by which a stage's best was chosen.
    """
    for row in rows:
        print_line(console, f"  {row['run_id']}  {row['name']}, {row['status']}{_key_result(row, deciding)}")
        for warning in row.get("warnings", ()):
            print_line(console, f"    Warning: {warning}")


def _place(row: Mapping[str, Any]) -> tuple[float, float, str]:
    try:
        crowding = float(row["crowding"] or 0)
    except ValueError:  # anybody can edit a tag
        crowding = 0.0
    return (math.inf if row["front"] is None else row["front"], -crowding, row["name"])


def _remark(row: Mapping[str, Any]) -> str:
    if row["chosen"]:
        return "found"
    if row["survivor"]:
        return "survivor"
    if row["pruned"]:
        return "pruned"
    return "" if row["status"] == "FINISHED" else row["status"].lower()


def _key_result(row: Mapping[str, Any], deciding: str) -> str:
    metrics = row["metrics"]
    of_stage = vocabulary.BEST_ACCURACY if deciding == vocabulary.ACCURACY else deciding
    found = []
    if row["kind"] == "stage" and of_stage in metrics:
        found.append(f", best {deciding} {objective(deciding, metrics[of_stage])}")
    if vocabulary.TEST_ERROR in metrics:
        found.append(f", test error {percent(metrics[vocabulary.TEST_ERROR])}")
    if vocabulary.HOURS in metrics:
        found.append(f", {duration(SECONDS_PER_HOUR * metrics[vocabulary.HOURS])}")
    return "".join(found)
