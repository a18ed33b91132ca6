"""What each strategy finds, alone and inside the evolution, over seeds: a table of three sweeps' results.

    medarts sweep strategies_alone.yaml --name alone --data IMAGES.npz --yes --json > alone.json
    medarts sweep strategies_p_darts.yaml --name p-darts-alone --data IMAGES.npz --json > p_darts.json
    medarts sweep strategies_inside.yaml --name inside --data IMAGES.npz --yes --json > inside.json
    python strategies.py alone.json p_darts.json inside.json ORACLE_FOLDER

A sweep that was stopped goes on with `medarts resume NAME --json`. An oracle, which no search sees, scores the cells.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from better_cells import mean_of, oracle_of

Row = tuple[float, float, float, float, float]
"""Test error in percent, percentile, skips of the normal cell, parameters in M, minutes of the search."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweeps", nargs="+", type=Path)
    parser.add_argument("oracle", type=Path)
    asked = parser.parse_args()
    percentile = oracle_of(asked.oracle)
    found = {path.stem: rows_of(json.loads(path.read_text())["trainings"], percentile) for path in asked.sweeps}
    print("| sweep | strategy | seeds | test error, % | percentile | skips | parameters, M | minutes of search |")
    print("|:---|:---|---:|---:|---:|---:|---:|---:|")
    for sweep, strategies in found.items():
        for strategy, rows in strategies.items():
            means = " | ".join(mean_of(column) for column in np.array(rows).T)
            print(f"| {sweep} | {strategy} | {len(rows)} | {means} |")


def rows_of(trainings: list[dict[str, Any]], percentile: Any) -> dict[str, list[Row]]:
    """By strategy, a row for each seed whose search and evaluation are finished."""
    searches = {each["key"].removesuffix(".search"): each for each in trainings if each["kind"] == "search"}
    rows: dict[str, list[Row]] = defaultdict(list)
    for each in trainings:
        if each["kind"] == "evaluation" and each["state"] == "finished":
            search, cells = searches[each["key"]], each["genotype"]
            skips = sum(name == "skip_connect" for name, _ in cells["normal"])
            error, size = 100 * each["measures"]["test_error"], search["measures"]["params"] / 1e6
            rows[each["subject"].removeprefix("strategy=")].append(
                (error, percentile(cells), skips, size, search["seconds"] / 60)
            )
    return rows


if __name__ == "__main__":
    main()
