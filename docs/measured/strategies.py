"""What each strategy finds, alone and inside the evolution, over seeds: a table of three sweeps' results.

    medarts sweep strategies_alone.yaml --name alone --data IMAGES.npz --yes --json > alone.json
    medarts sweep strategies_p_darts.yaml --name p-darts-alone --data IMAGES.npz --json > p_darts.json
    medarts sweep strategies_inside.yaml --name inside --data IMAGES.npz --yes --json > inside.json
    medarts bench strategies --cells 6 --channels 8 --batch 32 --set runtime.threads=1 --json > step.json
    python strategies.py alone.json p_darts.json inside.json step.json ORACLE_FOLDER

A sweep that was stopped goes on with `medarts resume NAME --json`. An oracle, which no search sees, scores the cells.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from better_cells import mean_of, oracle_of

Row = tuple[float, float, float, float]
"""Test error in percent, percentile, skips of the normal cell, parameters (of the objective `params`) in M."""

Rows = dict[tuple[str, int], Row]
"""By strategy and seed."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("alone", type=Path)
    parser.add_argument("p_darts", type=Path)
    parser.add_argument("inside", type=Path)
    parser.add_argument("step", type=Path)
    parser.add_argument("oracle", type=Path)
    asked = parser.parse_args()
    percentile = oracle_of(asked.oracle)
    alone = rows_of(asked.alone, percentile) | rows_of(asked.p_darts, percentile)
    inside = rows_of(asked.inside, percentile)
    steps = {each["strategy"]: each for each in json.loads(asked.step.read_text())["strategies"]}
    columns = "seeds | test error, % | oracle's percentile | skips, normal cell | parameters, M | step, ms | step, MiB"
    for name, rows in (("alone", alone), ("inside the evolution", inside)):
        print(f"| {name} | {columns} |")
        print("|:---|---:|---:|---:|---:|---:|---:|---:|")
        for strategy in strategies_of(rows):
            of_strategy = [row for (name, _), row in rows.items() if name == strategy]
            means, step = " | ".join(map(mean_of, zip(*of_strategy, strict=True))), steps[strategy]
            cost = f"{1000 * step['seconds']:.0f} | {step['peak_bytes'] / 2**20:.0f}"
            print(f"| `{strategy}` | {len(of_strategy)} | {means} | {cost} |")
        print()
    print("| paired by seed | test error, points | oracle's percentile |")
    print("|:---|---:|---:|")
    for strategy in strategies_of(alone):
        print(f"| `{strategy}`, inside - alone {differences_of(paired(inside, alone, [strategy]))} |")
    print(f"| all of them {differences_of(paired(inside, alone, strategies_of(alone)))} |")
    trained = [strategy for strategy in strategies_of(inside) if strategy != "fixed"]
    for name, rows in (("alone", alone), ("inside", inside)):
        against = [(rows[each, seed], inside["fixed", seed]) for each, seed in rows if each in trained]
        print(f"| all of them {name} - `fixed` inside {differences_of(against)} |")
    everything = np.array([*alone.values(), *inside.values()])
    with_error = [np.corrcoef(everything[:, 0], everything[:, column])[0, 1] for column in (1, 3)]
    print(f"\ncorrelation of error with percentile {with_error[0]:.2f}, with parameters {with_error[1]:.2f}")


def strategies_of(rows: Rows) -> list[str]:
    return list(dict.fromkeys(strategy for strategy, _ in rows))


def paired(ones: Rows, others: Rows, strategies: Sequence[str]) -> list[tuple[Row, Row]]:
    """Of these strategies, the rows of the seeds that both have."""
    return [(row, others[key]) for key, row in ones.items() if key in others and key[0] in strategies]


def differences_of(pairs: Sequence[tuple[Row, Row]]) -> str:
    """How many, and the mean differences of error and percentile."""
    means = " | ".join(mean_of([one[column] - other[column] for one, other in pairs]) for column in (0, 1))
    return f"({len(pairs)}) | {means}"


def rows_of(sweep: Path, percentile: Any) -> Rows:
    """A row for each search whose evaluation is finished."""
    trainings = json.loads(sweep.read_text())["trainings"]
    searches = {each["key"].removesuffix(".search"): each for each in trainings if each["kind"] == "search"}
    rows: Rows = {}
    for each in trainings:
        if each["kind"] == "evaluation" and each["state"] == "finished":
            search, cells = searches[each["key"]], each["genotype"]
            skips = sum(name == "skip_connect" for name, _ in cells["normal"])
            told = yaml.safe_load(each["subject"].removeprefix("strategy="))  # its name, or its settings
            strategy = told["name"] if isinstance(told, dict) else told
            row = (100 * each["measures"]["test_error"], percentile(cells), skips, search["measures"]["params"] / 1e6)
            rows[strategy, each["seed"]] = row
    return rows


if __name__ == "__main__":
    main()
